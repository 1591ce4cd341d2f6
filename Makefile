# `make` sets up .venv and runs all seven stages: a model learns to remember, reads a life, and is asked.
# `make demo` asks the model that is shipped; `make test` runs the tests; README.md tells the rest.
# Each stage leaves a stamp, artifacts/<stage>/.done, that depends on the configuration, on the text and
# on the stages before it: what is up to date is not made again, and a killed stage leaves no stamp.
# Written for GNU make 4.3 and for the 3.81 of macOS. Holds no work of its own: stages are `chronos` commands.
#
#   TEXT=book.txt make        a language model instead, of your text (.txt .md .json .jsonl or a folder)
#   TEXT=stories make         the same, of stories that Chronos writes
#   make EVENTS=2000 SEED=7   another life to remember
#   make PYTHON=python3.12    the Python (3.11 to 3.14) that .venv is made of

PYTHON ?= python3
A := $(if $(CHRONOS_ARTIFACTS),$(CHRONOS_ARTIFACTS),artifacts)
PY := .venv/bin/python
CHRONOS := .venv/bin/chronos
ORACLE_PYTHON ?= .venv-oracle/bin/python
EVENTS := 10000
SEED := 900
# With TEXT the stages make a language model, without it one that remembers. (`value`: a name may hold a $.)
COURSE := $(if $(value TEXT),text,life)
EXPERIMENT := $(if $(value TEXT),default,live)

SHELL := /bin/sh
export CHRONOS_ARTIFACTS := $(A)
export TEXT
.SUFFIXES:
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: all setup stage-01 stage-02 stage-03 stage-04 stage-05 stage-06 stage-07
.PHONY: demo test test-all test-oracle bench lint clean FORCE
ifneq ($(words $(A)),1)
$(error CHRONOS_ARTIFACTS=$(A): make cannot work with spaces in it)
endif

STAGES := 01-data 02-architecture 03-tokenization 04-memory 05-training 06-evaluation 07-inference
C_SOURCES := $(wildcard native/*.c native/*.h native/*/*.c native/*/*.h native/*build*.py)
READY := .venv/.ready
DEMO := 07-inference/demo

# ---- everything --------------------------------------------------------------------------------------------

# The newest "all is made" mark is younger than every stage: then there is nothing to do but say so.
all: $(A)/.inputs/all
	@if [ -f $(A)/.inputs/fresh ]; then rm -f $(A)/.inputs/fresh; else echo "Everything is up to date."; fi
	@printf '%s\n' $(NEXT)

$(A)/.inputs/all: $(STAGES:%=$(A)/%/.done)
	@printf '\nAll seven stages ran. What each made, and the seconds it took:\n\n'
	@for stage in $(STAGES); do \
	  printf '  %-16s %5s s   %s\n' "$$stage" "$$(head -n 1 $(A)/$$stage/.done)" "$$(sed -n 2p $(A)/$$stage/.done)"; \
	done
	@$(SHOW)
	@echo
	@touch $(A)/.inputs/fresh $@

stage-01 stage-02 stage-03 stage-04 stage-05 stage-06 stage-07: stage-%:
	@ls -d $(A)/$*-*/ | grep -v previous | sed 's/^/ready: /'
stage-01: $(A)/01-data/.done
stage-02: $(A)/02-architecture/.done
stage-03: $(A)/03-tokenization/.done
stage-04: $(A)/04-memory/.done
stage-05: $(A)/05-training/.done
stage-06: $(A)/06-evaluation/.done
stage-07: $(A)/07-inference/.done

# ---- what both courses share -------------------------------------------------------------------------------

# `other` is what the other course leaves in the same place, which would be taken for this one's.
begin = @printf '\n── %s\n' "$(notdir $(@D))"; date +%s > $(A)/.inputs/began
clear = @! [ -d $(@D) ] || { cd $(@D) && rm -rf $(other); }
# The stamp: seconds, then what was made. Written beside and renamed, only after the stage succeeded.
end = @mkdir -p $(@D); echo "$$(( $$(date +%s) - $$(cat $(A)/.inputs/began) ))" > $@.part; \
  echo '$(@D): $(made)' >> $@.part; mv $@.part $@
# Replace a file only if it says something new, so that what depends on it is left alone otherwise.
if_new = if cmp -s $@.part $@; then rm -f $@.part; else mv $@.part $@; fi

$(A)/02-architecture/.done: made = gradients.json, the gradient check of every op
$(A)/02-architecture/.done: | $(A)/01-data/.done
	$(begin)
	$(CHRONOS) architecture check --out-dir $(A)/02-architecture
	$(end)

$(A)/04-memory/.done: made = the initialised model, its self-test, what it costs
$(A)/04-memory/.done: $(A)/03-tokenization/.done $(A)/.inputs/config.yaml
	$(begin)
	$(CHRONOS) model init --config $(A)/.inputs/config.yaml --tokenizer-path $(A)/03-tokenization \
	  --out-dir $(A)/04-memory
	$(end)

# An interrupted run goes on where its last checkpoint stands; a run on other data or another configuration
# is moved aside, because its weights answer another question.
$(A)/05-training/.done: made = metrics, checkpoints, and the model in $(A)/model
$(A)/05-training/.done: $(A)/03-tokenization/.done $(A)/.inputs/config.yaml \
  $(if $(wildcard $(A)/model),,FORCE) | $(A)/04-memory/.done
	$(begin)
	@cat $(A)/.inputs/config.yaml $(LEARNED_FROM) | cksum > $(A)/.inputs/run.part
	@cd $(A) && if [ -d 05-training ] && ! cmp -s .inputs/run.part .inputs/run; then \
	  rm -rf 05-training.previous && mv 05-training 05-training.previous && \
	  echo "the data or the configuration changed: the earlier run is in $(A)/05-training.previous"; \
	fi && mv .inputs/run.part .inputs/run
	$(CHRONOS) train --experiment $(EXPERIMENT) $(LEARN) --out-dir $(A)/05-training --resume
	$(end)

ifeq ($(COURSE),life)
# ---- the stages of a model that remembers ------------------------------------------------------------------

$(A)/01-data/.done: made = life/, $(EVENTS) events and questions about them
$(A)/01-data/.done: other = train.jsonl val.jsonl stats.json
$(A)/01-data/.done: $(A)/.inputs/text
	$(begin)
	$(clear)
	$(CHRONOS) data cairo --events $(EVENTS) --seed $(SEED) --out-dir $(A)/01-data/life
	$(end)

$(A)/03-tokenization/.done: made = tokenizer.json, the words of lives to learn from
$(A)/03-tokenization/.done: other = train val stats.json
$(A)/03-tokenization/.done: $(A)/.inputs/tokenizer.flags | $(A)/02-architecture/.done
	$(begin)
	$(clear)
	@mkdir -p $(@D)
	@$(PY) -c "$$WORDS_OF" $(A)/.inputs/config.yaml > $(A)/03-tokenization/words.txt
	$(CHRONOS) tokenizer train --kind words --vocab 0 --text $(A)/03-tokenization/words.txt \
	  --tokenizer-path $(A)/03-tokenization
	$(end)

LEARNED_FROM = $(A)/03-tokenization/tokenizer.json
LEARN = --tokenizer-path $(A)/03-tokenization

$(A)/06-evaluation/.done: made = live.html, microscope.html: what the memory is worth
$(A)/06-evaluation/.done: other = report.* gradient-norm.svg learning-rate.svg loss.svg position.svg speed.svg
$(A)/06-evaluation/.done: $(A)/01-data/.done $(A)/05-training/.done
	$(begin)
	$(clear)
	$(CHRONOS) eval --suite cairo --model-path $(A)/model --events $(EVENTS) --seed $(SEED) --lives 1 \
	  --conditions main
	$(CHRONOS) report --live $(A)/06-evaluation/cairo/records --out-dir $(A)/06-evaluation
	$(end)

$(A)/07-inference/.done: made = model-q8, its memory of the life, and answers.txt
$(A)/07-inference/.done: other = prompt.txt sample.txt
$(A)/07-inference/.done: $(A)/01-data/.done $(A)/05-training/.done | $(A)/06-evaluation/.done
	$(begin)
	$(clear)
	$(CHRONOS) quantize --model-path $(A)/model --out-dir $(A)/07-inference/model-q8 --qtype Q8_0
	@rm -rf $(A)/07-inference/memory
	$(CHRONOS) ingest --model-path $(A)/07-inference/model-q8 --input $(A)/01-data/life/life.jsonl \
	  --state $(A)/07-inference/memory
	$(CHRONOS) query --model-path $(A)/07-inference/model-q8 --state $(A)/07-inference/memory \
	  --questions $(A)/01-data/life/questions.jsonl > $(A)/07-inference/answers.txt
	@$(call ask,$(A)/07-inference/model-q8,$(A)/01-data/life,$(A)/07-inference/memory) \
	  >> $(A)/07-inference/answers.txt
	$(end)

SHOW = printf '\nIt read a life of $(EVENTS) events once, its weights frozen, and was asked:\n\n'; \
  sed 's/^/  /' $(A)/07-inference/answers.txt
NEXT = "Report     $(A)/06-evaluation/live.html" "Look in    $(A)/06-evaluation/microscope.html" \
  "Ask next   $(CHRONOS) query --model-path $(A)/07-inference/model-q8 --state $(A)/07-inference/memory" \
  "Your own   $(CHRONOS) ingest --input diary.md   then   $(CHRONOS) query" \
  "Try next   TEXT=book.txt make   ·   make test   ·   01-data/README.md"
else
# ---- the stages of a language model ------------------------------------------------------------------------

$(A)/01-data/.done: made = train.jsonl val.jsonl stats.json
$(A)/01-data/.done: other = life
$(A)/01-data/.done: $(A)/.inputs/text $(A)/.inputs/data.flags
	$(begin)
	$(clear)
	@rm -f $@
	$(CHRONOS) data prepare --text "$$TEXT" --out-dir $(A)/01-data $$(cat $(A)/.inputs/data.flags)
	$(end)

$(A)/03-tokenization/.done: made = tokenizer.json and the token shards train/ val/
$(A)/03-tokenization/.done: other = words.txt
$(A)/03-tokenization/.done: $(A)/01-data/.done $(A)/.inputs/tokenizer.flags | $(A)/02-architecture/.done
	$(begin)
	$(clear)
	$(CHRONOS) tokenizer prepare --data $(A)/01-data --out-dir $(A)/03-tokenization \
	  $$(cat $(A)/.inputs/tokenizer.flags)
	$(end)

LEARNED_FROM = $(A)/03-tokenization/*/shards.json
LEARN = --shards $(A)/03-tokenization

$(A)/06-evaluation/.done: made = report.json report.md report.html
$(A)/06-evaluation/.done: other = cairo live.* microscope.html by-age.svg by-kind.svg by-overwrites.svg
$(A)/06-evaluation/.done: $(A)/05-training/.done
	$(begin)
	$(clear)
	$(CHRONOS) report --run $(A)/05-training --out-dir $(A)/06-evaluation
	$(end)

$(A)/07-inference/.done: made = model-q8 and sample.txt
$(A)/07-inference/.done: other = memory answers.txt
$(A)/07-inference/.done: $(A)/05-training/.done | $(A)/06-evaluation/.done
	$(begin)
	$(clear)
	$(CHRONOS) quantize --model-path $(A)/model --out-dir $(A)/07-inference/model-q8 --qtype Q8_0 \
	  --data $(A)/03-tokenization/val
	@$(PY) -c "$$PROMPT_OF" $(A)/01-data/val.jsonl > $(A)/07-inference/prompt.txt
	$(CHRONOS) generate --model-path $(A)/07-inference/model-q8 --prompt "$$(cat $(A)/07-inference/prompt.txt)" \
	  --max-new-tokens 100 --temperature 0.7 --seed 1 > $(A)/07-inference/sample.txt
	$(end)

SHOW = printf '\nA sample of the quantized model:\n\n'; \
  cd $(A)/07-inference && { printf '%s' "$$(cat prompt.txt)"; cat sample.txt; } | \
  LC_ALL=C tr -d '\000-\010\013-\037' | sed 's/^/  /'
NEXT = "Report    $(A)/06-evaluation/report.html" \
  "Try next  $(CHRONOS) chat   ·   make   ·   make test   ·   01-data/README.md"
endif

# ---- asking ------------------------------------------------------------------------------------------------

# Of a life's questions the first about something told once, about two events together, and about a change.
define THREE_OF
import json, sys
rows = [json.loads(line) for line in open(sys.argv[1], encoding="utf-8")]
for kind in ("oneoff", "join", "before"):
    for row in [row for row in rows if row["kind"] == kind][:1]:
        print(row["t"], row["question"], row["answer"], sep="\t")
endef
export THREE_OF

# $(call ask,model,life,memory): three questions, the answers and what they stand on, and the right answers.
ask = $(PY) -c "$$THREE_OF" $(2)/questions.jsonl > $(A)/.inputs/three && \
  while IFS="$$(printf '\t')" read -r hour question answer; do \
    printf '\n? %s\n' "$$question" && \
    $(CHRONOS) query --model-path $(1) --state $(3) --now "$$hour" --question "$$question" < /dev/null && \
    printf '(right: %s)\n' "$$answer" || exit 1; \
  done < $(A)/.inputs/three

# A life that nobody has read before, read and asked by the model that comes with the repository.
demo: $(READY)
	@mkdir -p $(A)/.inputs && rm -rf $(A)/demo
	@$(CHRONOS) data cairo --events 1000 --seed 7 --out-dir $(A)/demo/life > /dev/null
	@printf 'A life of 1,000 hours in Cairo. It begins:\n\n'
	@head -n 5 $(A)/demo/life/life.jsonl | sed 's/.*"text": "\(.*\)", "date".*/  \1/'
	@printf '\nA model of %s bytes, which never saw it, reads it once:\n\n' \
	  "$$(wc -c < $(DEMO)/model.gguf | tr -d ' ')"
	@$(CHRONOS) ingest --model-path $(DEMO) --input $(A)/demo/life/life.jsonl --state $(A)/demo/memory
	@$(call ask,$(DEMO),$(A)/demo/life,$(A)/demo/memory)
	@printf '\n%s\n' "Ask next   $(CHRONOS) query --model-path $(DEMO) --state $(A)/demo/memory"
	@printf '%s\n' "Your own   $(CHRONOS) ingest --input diary.md   then   $(CHRONOS) query" \
	  "Train it   make"

# ---- what the stages depend on -----------------------------------------------------------------------------

# The name, size and time of each file of TEXT; a TEXT that is not there changes nothing.
define SIGN_TEXT
import os, sys
text = sys.argv[1]
folders = [(os.path.dirname(text), [], [os.path.basename(text)])] if os.path.isfile(text) else os.walk(text)
files = sorted(os.path.join(folder, name) for folder, _, names in folders for name in names)
print(ascii(text))
for file in files:
    at = os.stat(file) if os.path.exists(file) else None
    print(ascii(file), at and at.st_size, at and at.st_mtime_ns)
endef
export SIGN_TEXT

$(A)/.inputs/text: FORCE | $(READY)
	@case "$$TEXT" in ""|stories) ;; *) [ -e "$$TEXT" ] || \
	  { echo "error: TEXT=$$TEXT: there is no such file or folder" >&2; exit 1; };; esac
	@mkdir -p $(@D)
	@if [ $(COURSE) = life ]; then echo "a life of $(EVENTS) events, seed $(SEED)"; \
	  else $(PY) -c "$$SIGN_TEXT" "$$TEXT"; fi > $@.part
	@$(if_new)

# What all layers of the configuration come to, and what of it concerns the first stages.
$(A)/.inputs/config.yaml: FORCE | $(READY)
	@mkdir -p $(@D)
	@$(CHRONOS) config --experiment $(EXPERIMENT) > $@.part
	@$(if_new)

define FLAGS_OF
import sys, yaml
config = yaml.safe_load(open(sys.argv[1], encoding="utf-8"))
if config.get("recall"):
    print(config["recall"]["language"], config["recall"]["vocabulary_lives"], config["train"]["seed"])
    sys.exit()
data, tokenizer = config["data"], config["tokenizer"]
options, kind = data["options"], tokenizer["kind"]
cleaning, near = options["cleaning"], options["dedupe"] == "near"
flags = {
    "data": ["--val-fraction", data["val_fraction"], "--on-damage", data["on_damage"]]
    + ["--dedupe", options["dedupe"], "--unicode", cleaning["unicode"]]
    + (["--similarity", options["similarity"]] if near else [])
    + (["--filters", ",".join(options["filters"])] if options["filters"] else [])
    + ["--quality-report"] * options["report"] + ["--unwrap"] * cleaning["unwrap"]
    + ["--drop-invisible"] * cleaning["invisible"] + ["--keep-controls"] * (not cleaning["controls"]),
    "tokenizer": ["--kind", kind]
    + (["--vocab", tokenizer["vocab"], "--pattern", tokenizer["pattern"]] if kind == "bpe" else []),
}
if kind == "file":
    flags["tokenizer"] = ["--tokenizer-path", config["tokenizer"]["path"]]
print(*flags[sys.argv[2]])
endef
export FLAGS_OF

$(A)/.inputs/data.flags $(A)/.inputs/tokenizer.flags: $(A)/.inputs/%.flags: $(A)/.inputs/config.yaml
	@$(PY) -c "$$FLAGS_OF" $< $* > $@.part
	@$(if_new)

# The words of the lives that training draws, so that stage 05 can take its tokenizer from stage 03.
define WORDS_OF
import sys
from pathlib import Path
from chronos.training.config import load_run_config
from chronos.training.recall.lives import vocabulary_texts
config = load_run_config(Path(sys.argv[1]))
for text in vocabulary_texts(config.recall, config.train.seed):
    sys.stdout.buffer.write(text.encode() + b"\n")
endef
export WORDS_OF

# The sample continues the question of a story, or the first words of the text that was held back.
define PROMPT_OF
import json, sys
text = json.loads(open(sys.argv[1], encoding="utf-8").readline())["text"]
print(text[: text.index("?") + 1] if "?" in text[:600] and "\n" in text[:600] else text[:48])
endef
export PROMPT_OF

# ---- the environment ---------------------------------------------------------------------------------------

setup: $(READY)
	@echo "The environment is ready; see $(CHRONOS) doctor"

# A folder that was moved needs a new environment: installed scripts hold its full path. And a `make setup` that
# is asked for by name tries again to build the C library where it is missing.
AGAIN := $(if $(filter setup,$(MAKECMDGOALS)),$(if $(wildcard native/_chronos_native*.so),,FORCE))
MOVED := $(shell [ "`cat $(READY) 2>/dev/null`" = "`pwd -P`" ] || echo FORCE)
define USABLE
import sys
if not (3, 11) <= sys.version_info[:2] <= (3, 14):
    sys.exit("error: Chronos needs Python 3.11 to 3.14, and $(PYTHON) is %s.%s; install one, then run make PYTHON=python3.12" % sys.version_info[:2])
endef
export USABLE

$(READY): pyproject.toml setup.py $(C_SOURCES) $(MOVED) $(AGAIN)
	@command -v "$(PYTHON)" >/dev/null || { \
	  echo "error: there is no $(PYTHON); install Python 3.11 to 3.14, then run make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c "$$USABLE"
	@echo "Setting up .venv: a minute or two, once"
	@want="$$($(PYTHON) -V)"; have="$$($(PY) -V 2>/dev/null || true)"; \
	if [ "$$want" != "$$have" ]; then $(PYTHON) -m venv --clear .venv || { \
	  echo "error: $(PYTHON) cannot make environments; on Debian: sudo apt-get install python3-venv" >&2; exit 1; }; fi
	@$(PY) -m pip install --quiet --disable-pip-version-check -e ".[plots,test,lint]"
	@$(PY) -c "from chronos import native; raise SystemExit(not native.available())" 2>/dev/null || \
	  echo "notice: the C library was not built, slower kernels are used; \`$(CHRONOS) doctor\` tells how to mend it"
	@pwd -P > $@

# ---- tests and care ----------------------------------------------------------------------------------------

test: $(READY)
	$(PY) -m pytest -m "not slow and not oracle"

test-all: $(READY)
	$(PY) -m pytest -m "not oracle"

# Heavy oracles live in an environment of their own; ORACLE_PYTHON names another that has them.
test-oracle: $(READY)
	@[ "$(ORACLE_PYTHON)" != .venv-oracle/bin/python ] || [ -x $(ORACLE_PYTHON) ] || $(PYTHON) -m venv .venv-oracle
	@$(ORACLE_PYTHON) -c "import chronos.training, hypothesis, pytest, tokenizers, torch" 2>/dev/null || \
	  $(ORACLE_PYTHON) -m pip install --disable-pip-version-check -e ".[plots,test,oracle]"
	$(ORACLE_PYTHON) -m pytest -m oracle

bench: $(READY)
	$(CHRONOS) bench native
	$(CHRONOS) bench train
	$(CHRONOS) bench decode

lint: $(READY)
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .

# Only what make and the tools made: runs that you put into artifacts/ under other names stay, and so does .venv.
clean:
	rm -rf $(STAGES:%=$(A)/%) $(A)/05-training.previous $(A)/model $(A)/demo $(A)/.inputs
	rm -rf build *.egg-info .pytest_cache .ruff_cache .hypothesis
