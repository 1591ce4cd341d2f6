"""The Makefile's promises, with a stand-in for `chronos` that only leaves the files of each stage.

What is up to date is not made again; a change of text or configuration remakes what depends on it; a
killed stage leaves no stamp. The real stages run in tests/smoke.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(not shutil.which("make"), reason="needs make")

STAND_IN = """#!/bin/sh
[ "$1" = config ] && exec cat "$3.yaml"
echo "$@" >> calls
case "$1" in
  "$HANG_AT") exec .venv/bin/python -c 'open("hanging", "w").close(); import time; time.sleep(60)';;
  "$FAIL_AT") echo "error: told to fail" >&2; exit 1;; esac
A=$CHRONOS_ARTIFACTS
case "$1 $2" in
  "data prepare") mkdir -p $A/01-data; echo '{"text": "a ball"}' > $A/01-data/val.jsonl
    [ ! -f "$TEXT" ] || cp "$TEXT" $A/01-data/val.jsonl;;
  "data cairo") shift; while [ "$1" != --out-dir ]; do shift; done; mkdir -p "$2"
    printf '{"t": 1, "text": "I moved to Giza.", "date": "2031-05-01"}\n' > "$2/life.jsonl"
    for kind in now oneoff oneoff join before; do
      printf '{"t": 9, "question": "A %s?", "answer": "Giza", "kind": "%s"}\n' $kind $kind
    done > "$2/questions.jsonl";;
  "tokenizer prepare") for part in train val; do mkdir -p $A/03-tokenization/$part
    cksum $A/01-data/val.jsonl > $A/03-tokenization/$part/shards.json; done;;
  "tokenizer train") cksum $A/03-tokenization/words.txt > $A/03-tokenization/tokenizer.json;;
  train*) mkdir -p $A/05-training $A/model; echo run >> $A/05-training/runs;;
  "report --live") mkdir -p $A/06-evaluation; touch $A/06-evaluation/live.html;;
  report*) mkdir -p $A/06-evaluation; touch $A/06-evaluation/report.html;;
  generate*) echo 'Nora has the ball.';;
  query*) echo 'It is Giza.';;
  quantize*) mkdir -p $A/07-inference/model-q8;;
esac
"""
# The words to learn are those of the configuration: what is real takes seconds.
VOCABULARY = 'case "$2" in *vocabulary_texts*) exec grep recall "$3";; esac'
TEXTS = """model: {layers: 4}
tokenizer: {kind: bpe, vocab: 1024, pattern: gpt2, path: ""}
data: {val_fraction: 0.1, on_damage: fail, options: {dedupe: none, similarity: 0.8, filters: [], \
report: false, cleaning: {controls: true, invisible: false, unicode: none, unwrap: false}}}
"""
LIVES = """model: {preset: chronos, width: 128}
train: {seed: 1}
recall: {language: en, vocabulary_lives: 1}
"""
ORDER = ["data", "architecture", "tokenizer", "model", "train", "report", "quantize", "generate"]
RECALLED = [*ORDER[:5], "eval", "report", "quantize", "ingest", "query", "query", "query", "query"]


class House:
    """A copy of the Makefile in an empty folder, with a ready environment that holds the stand-in."""

    def __init__(self, folder: Path, makefile: Path):
        self.folder = folder
        shutil.copy(makefile, folder / "Makefile")
        bin = folder / ".venv" / "bin"
        bin.mkdir(parents=True)
        python = f'#!/bin/sh\n{VOCABULARY}\nexec "{sys.executable}" "$@"\n'
        for name, text in (("python", python), ("chronos", STAND_IN)):
            (bin / name).write_text(text)
            (bin / name).chmod(0o755)
        configurations = ("default.yaml", TEXTS), ("live.yaml", LIVES)
        for name, text in (("pyproject.toml", ""), ("setup.py", ""), *configurations):
            (folder / name).write_text(text)
        self.course: dict[str, str] = {}
        (folder / ".venv" / ".ready").write_text(f"{os.path.realpath(folder)}\n")

    def environment(self, **more: str) -> dict[str, str]:
        # `make test` is a make itself; what it hands down would change what the one under test prints
        drop = ("CHRONOS_ARTIFACTS", "TEXT", "MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES")
        return {k: v for k, v in os.environ.items() if k not in drop} | self.course | more

    def make(self, *targets: str, ok: bool = True, **env: str) -> tuple[list[str], str]:
        """Run make; the commands that the stand-in got, and the whole output."""
        (self.folder / "calls").unlink(missing_ok=True)
        done = subprocess.run(
            ["make", *targets],
            cwd=self.folder,
            env=self.environment(**env),
            capture_output=True,
            text=True,
            timeout=60,
        )
        output = done.stdout + done.stderr
        assert (done.returncode == 0) == ok, output
        calls = self.folder / "calls"
        return [line.split()[0] for line in calls.read_text().splitlines()] if calls.exists() else [], output


@pytest.fixture
def lives(tmp_path, root) -> House:
    """A house in which nobody has named a text."""
    folder = tmp_path / "a house"  # the space in the path is meant
    folder.mkdir()
    return House(folder, root / "Makefile")


@pytest.fixture
def house(lives) -> House:
    """A house whose stages make a language model, of stories unless told otherwise."""
    lives.course = {"TEXT": "stories"}
    return lives


def test_make_trains_a_model_that_remembers_and_asks_it(lives):
    calls, output = lives.make()
    assert calls == RECALLED
    asked = (lives.folder / "calls").read_text().splitlines()[-3:]
    assert [line.partition("--question ")[2] for line in asked] == ["A oneoff?", "A join?", "A before?"]
    assert all("--now 9 " in line and "--state artifacts/07-inference/memory" in line for line in asked)
    for told in ("? A join?", "It is Giza.", "(right: Giza)", "Ask next", "Your own", "microscope.html"):
        assert told in output
    calls, output = lives.make()
    assert calls == [] and output.splitlines()[0] == "Everything is up to date."
    assert lives.make("EVENTS=50")[0] == ["data", *RECALLED[5:]], "another life is read by the same model"


def test_an_unanswered_question_stops_make(lives):
    assert "told to fail" in lives.make(ok=False, FAIL_AT="query")[1]
    assert not (lives.folder / "artifacts" / "07-inference" / ".done").exists()
    assert lives.make()[0] == RECALLED[7:]


@pytest.mark.parametrize(
    ("old", "new", "remade"),
    [
        ("width: 128", "width: 64", RECALLED[3:]),
        ("vocabulary_lives: 1", "vocabulary_lives: 2", RECALLED[2:]),
    ],
)
def test_what_is_learned_from_lives_counts_by_content(lives, old, new, remade):
    lives.make()
    (lives.folder / "live.yaml").write_text(LIVES.replace(old, new))
    assert lives.make()[0] == remade
    assert lives.make()[0] == []


def test_from_one_course_to_the_other_nothing_is_taken_for_the_others(lives):
    artifacts = lives.folder / "artifacts"
    lives.make()
    assert lives.make(TEXT="stories")[0] == ["data", *ORDER[2:]]
    assert sorted(file.name for file in (artifacts / "06-evaluation").iterdir()) == [".done", "report.html"]
    assert not (artifacts / "01-data" / "life").exists()
    assert (artifacts / "05-training.previous" / "runs").read_text() == "run\n"
    assert lives.make(TEXT="stories")[0] == []
    assert lives.make()[0] == [RECALLED[0], *RECALLED[2:]]
    assert not (artifacts / "01-data" / "val.jsonl").exists()
    assert not (artifacts / "07-inference" / "sample.txt").exists()
    assert lives.make()[0] == []


def test_the_demo_asks_the_shipped_model_and_makes_no_stage(lives):
    (lives.folder / "07-inference" / "demo").mkdir(parents=True)
    (lives.folder / "07-inference" / "demo" / "model.gguf").write_bytes(b"x" * 1234)
    for _ in range(2):  # a second time as the first
        calls, output = lives.make("demo")
        assert calls == ["data", "ingest", "query", "query", "query"]
        for told in ("  I moved to Giza.\n", "of 1234 bytes", "It is Giza.", "(right: Giza)", "Ask next"):
            assert told in output
    assert "told to fail" in lives.make("demo", ok=False, FAIL_AT="query")[1]
    assert sorted(os.listdir(lives.folder / "artifacts")) == [".inputs", "demo"]
    lives.make("clean")
    assert os.listdir(lives.folder / "artifacts") == []


def test_make_runs_all_stages_in_order_then_nothing(house):
    calls, output = house.make()
    assert calls == ORDER
    for word in (
        "01-data",
        "07-inference",
        "Nora has the ball.",
        "Report    artifacts/06-evaluation",
        "Try next",
    ):
        assert word in output
    calls, output = house.make()
    assert calls == []
    assert output.splitlines()[0] == "Everything is up to date."
    assert len(output.splitlines()) == 3


def test_a_stage_builds_what_is_missing_before_it_and_nothing_else(house):
    assert house.make("stage-03")[0] == ["data", "architecture", "tokenizer"]
    assert house.make("stage-05")[0] == ["model", "train"]
    assert house.make("stage-05")[0] == []
    assert house.make("stage-02")[0] == []
    assert house.make()[0] == ["report", "quantize", "generate"]


def test_another_text_remakes_what_depends_on_it(house):
    book = house.folder / "my book.txt"
    book.write_text('{"text": "first"}')
    remade = ["data", "tokenizer", "model", "train", "report", "quantize", "generate"]
    house.make()
    assert house.make(TEXT="my book.txt")[0] == remade
    assert house.make(TEXT="my book.txt")[0] == []
    book.write_text('{"text": "other"}')  # of the same length: its time tells
    assert house.make(TEXT="my book.txt")[0] == remade
    kept = house.folder / "artifacts" / "05-training.previous" / "runs"
    assert kept.read_text() == "run\n", "the run on the earlier text must be moved aside, not resumed"
    assert house.make()[0] == remade, "the stories again"


def test_a_folder_as_text_is_watched_file_by_file(house):
    (house.folder / "books").mkdir()
    (house.folder / "books" / "one.txt").write_text("one")
    house.make("stage-01", TEXT="books")
    assert house.make("stage-01", TEXT="books")[0] == []
    (house.folder / "books" / "two.txt").write_text("two")
    assert house.make("stage-01", TEXT="books")[0] == ["data"]


def test_a_missing_text_changes_nothing(house):
    house.make()
    calls, output = house.make(ok=False, TEXT="no such.txt")
    assert calls == []
    assert "error: TEXT=no such.txt: there is no such file or folder" in output
    assert house.make()[0] == []


@pytest.mark.parametrize(
    ("old", "new", "remade"),
    [
        ("layers: 4", "layers: 6", ["model", "train", "report", "quantize", "generate"]),
        ("vocab: 1024", "vocab: 512", ["tokenizer", "model", "train", "report", "quantize", "generate"]),
        ("val_fraction: 0.1", "val_fraction: 0.2", ["data", *ORDER[2:]]),
    ],
)
def test_configuration_counts_by_content(house, old, new, remade):
    house.make()
    config = house.folder / "default.yaml"
    os.utime(config, (time.time() + 100,) * 2)
    assert house.make()[0] == []
    config.write_text(TEXTS.replace(old, new))
    assert house.make()[0] == remade
    assert house.make()[0] == []


def test_flags_of_the_first_stages_come_from_the_configuration(house):
    house.make()
    calls = (house.folder / "calls").read_text()
    assert "--val-fraction 0.1 --on-damage fail --dedupe none --unicode none\n" in calls
    assert "--kind bpe --vocab 1024 --pattern gpt2\n" in calls
    (house.folder / "default.yaml").write_text(
        TEXTS.replace("dedupe: none", "dedupe: near").replace("filters: []", "filters: [gopher, c4]")
        .replace("report: false", "report: true").replace("unwrap: false", "unwrap: true")
        .replace("unicode: none", "unicode: NFC").replace("invisible: false", "invisible: true")
        .replace("controls: true", "controls: false")
    )  # fmt: skip
    house.make()
    assert (
        "--dedupe near --unicode NFC --similarity 0.8 --filters gopher,c4 --quality-report --unwrap "
        "--drop-invisible --keep-controls\n"
    ) in (house.folder / "calls").read_text()
    for tokenizer, flags in (
        ("{kind: char}", "--kind char\n"),
        ("{kind: file, path: my/t}", "--tokenizer-path my/t\n"),
    ):
        (house.folder / "default.yaml").write_text(f"tokenizer: {tokenizer}\n{TEXTS.splitlines()[2]}\n")
        house.make()
        assert flags in (house.folder / "calls").read_text()


def test_a_run_on_the_same_data_is_resumed_not_moved(house):
    house.make()
    (house.folder / "artifacts" / "05-training" / ".done").unlink()
    house.make("stage-05")
    assert (house.folder / "artifacts" / "05-training" / "runs").read_text() == "run\nrun\n"


def test_a_failed_stage_stops_make_and_leaves_no_stamp(house):
    calls, output = house.make(ok=False, FAIL_AT="tokenizer")
    assert calls == ["data", "architecture", "tokenizer"]
    assert "error: told to fail" in output
    assert not (house.folder / "artifacts" / "03-tokenization" / ".done").exists()
    assert house.make()[0] == ORDER[2:]


@pytest.mark.parametrize("kill", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_stage_leaves_no_stamp(house, kill):
    environment = house.environment(HANG_AT="model")
    running = subprocess.Popen(
        ["make"],
        cwd=house.folder,
        env=environment,
        start_new_session=True,
        stderr=subprocess.DEVNULL,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a background job ignores it
    )
    while not (house.folder / "hanging").exists():
        assert running.poll() is None
        time.sleep(0.01)
    os.killpg(running.pid, kill)
    running.wait(10)
    assert not (house.folder / "artifacts" / "04-memory" / ".done").exists()
    assert house.make()[0] == ORDER[3:]


def test_a_lost_result_is_made_again(house):
    house.make()
    shutil.rmtree(house.folder / "artifacts" / "model")
    assert house.make()[0] == ["train", "report", "quantize", "generate"]
    shutil.rmtree(house.folder / "artifacts" / "06-evaluation")
    assert house.make()[0] == ["report"]


def test_clean_spares_what_the_user_put_there(house):
    house.make()
    (house.folder / "artifacts" / "mine").mkdir()
    house.make("clean")
    assert os.listdir(house.folder / "artifacts") == ["mine"]


def test_setup_refuses_an_unfit_python_in_one_line(house):
    (house.folder / ".venv" / ".ready").unlink()
    old = house.folder / "old-python"
    old.write_text(f'#!/bin/sh\nexec "{sys.executable}" -c "import sys; sys.version_info = (3, 9, 1)\n$2"\n')
    old.chmod(0o755)
    for python, line in (
        ("./old-python", "error: Chronos needs Python 3.11 to 3.14, and ./old-python is 3.9; install one"),
        ("no-such-python", "error: there is no no-such-python; install Python 3.11 to 3.14"),
    ):
        output = house.make("setup", f"PYTHON={python}", ok=False)[1]
        assert line in output
        assert "Traceback" not in output
    assert not (house.folder / ".venv" / ".ready").exists()


def test_a_moved_folder_gets_a_new_environment(house):
    (house.folder / ".venv" / ".ready").write_text("/somewhere/else\n")
    output = house.make("stage-01", "PYTHON=no-such-python", ok=False)[1]
    assert "there is no no-such-python" in output


def test_setup_by_name_tries_the_c_library_again(house):
    """A compiler that was installed later is found by `make setup`; other targets do not try each time."""
    assert "there is no no-such-python" in house.make("setup", "PYTHON=no-such-python", ok=False)[1]
    house.make("stage-01", "PYTHON=no-such-python")
    (house.folder / "native").mkdir()
    (house.folder / "native" / "_chronos_native.cpython.so").write_text("")
    assert "The environment is ready" in house.make("setup", "PYTHON=no-such-python")[1]


@pytest.mark.parametrize(
    ("printed", "exit_code", "passes"),
    [
        ("3 passed in 1s", 0, True),
        ("1 failed, 3 passed", 1, False),
        ("no tests ran", 5, False),
        ("2 skipped", 0, False),
    ],
)
def test_the_gate_opens_only_when_tests_passed(tmp_path, root, printed, exit_code, passes):
    """.ci/run with a `make` that does nothing but print pytest's closing line."""
    (tmp_path / ".ci").mkdir()
    shutil.copy(root / ".ci" / "run", tmp_path / ".ci" / "run")
    fake = tmp_path / "make"
    fake.write_text(
        f'#!/bin/sh\necho "$1" >> calls\n[ "$1" = test ] && echo "{printed}" && exit {exit_code}\nexit 0\n'
    )
    fake.chmod(0o755)
    path = os.pathsep.join([str(tmp_path), os.environ["PATH"]])
    done = subprocess.run(
        [tmp_path / ".ci" / "run"], env=os.environ | {"PATH": path}, capture_output=True, text=True
    )
    assert (tmp_path / "calls").read_text().split() == ["setup", "lint", "test"]
    assert (done.returncode == 0) is passes
    assert printed in done.stdout
