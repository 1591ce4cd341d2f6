"""The course of a model that remembers, in seconds: a short life, a tiny model, every stage's command.

The commands are those of the Makefile, at other sizes. Each stage must take what the one before it made; how
well the model remembers is not asked.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TINY = ["model.width=32", "model.key=32", "recall.stages=8", "recall.questions=8", "recall.eval_lives=1"]
TINY += ["recall.eval_events=32", "recall.eval_questions=8", "train.steps=3", "train.eval_every=0"]


@pytest.fixture(scope="module")
def course(tmp_path_factory) -> dict:
    """What each stage's command printed, and the folder of all artefacts."""
    a = tmp_path_factory.mktemp("lives")
    env = os.environ | {"CHRONOS_ARTIFACTS": str(a)}
    life, small, memory = a / "01-data/life", a / "07-inference/model-q8", a / "07-inference/memory"
    config = a / "config.yaml"

    def run(*command: str | Path) -> dict:
        words = [sys.executable, "-m", "chronos", *map(str, command), "--json"]
        done = subprocess.run(words, cwd=ROOT, env=env, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr
        assert done.stdout.count("\n") == 1, "one object and nothing else on standard output"
        return json.loads(done.stdout)

    found = {"folder": a, "run": run, "memory": memory, "small": small}
    found["01"] = run("data", "cairo", "--events", "60", "--seed", "9", "--out-dir", life)
    words = ["--kind", "words", "--vocab", "0", "--text", life / "life.jsonl"]
    found["03"] = run("tokenizer", "train", *words, "--tokenizer-path", a / "03-tokenization")
    config.write_text(json.dumps(run("config", "--experiment", "live", *TINY)))
    given = ["--tokenizer-path", a / "03-tokenization"]
    found["04"] = run("model", "init", "--config", config, *given, "--out-dir", a / "04-memory")
    found["05"] = run("train", "--experiment", "live", *given, *TINY)
    asked = ["--events", "60", "--seed", "9", "--lives", "1", "--questions", "8", "--conditions", "main"]
    found["06"] = run("eval", "--suite", "cairo", *asked)
    found["report"] = run("report", "--live", a / "06-evaluation/cairo/records")
    found["07"] = run("quantize", "--model-path", a / "model", "--out-dir", small, "--qtype", "Q8_0")
    read = ["--model-path", small, "--state", memory]
    found["ingest"] = run("ingest", "--input", life / "life.jsonl", *read)
    found["query"] = run("query", "--questions", life / "questions.jsonl", *read)
    return found


def test_each_stage_leaves_its_artefacts(course):
    for name in (
        *("01-data/life/life.jsonl", "01-data/life/questions.jsonl", "03-tokenization/tokenizer.json"),
        *("04-memory/model/model.safetensors", "04-memory/selftest.json", "05-training/metrics.jsonl"),
        *("model/config.json", "06-evaluation/live.html", "06-evaluation/microscope.html"),
        *("07-inference/model-q8/model.gguf", "07-inference/memory/journal.log"),
    ):
        assert (course["folder"] / name).is_file(), name
    assert list(course["folder"].rglob("*.tmp")) == []


def test_the_tokenizer_of_stage_03_is_the_models(course):
    parts = ("03-tokenization", "04-memory/model", "model", "07-inference/model-q8")
    tokenizers = {(course["folder"] / part / "tokenizer.json").read_bytes() for part in parts}
    assert len(tokenizers) == 1


def test_reads_do_not_depend_on_company(course):
    assert course["04"]["differences"].keys() == {
        "read one by one", "asked one by one", "before what came later"
    }  # fmt: skip
    assert max(course["04"]["differences"].values()) < 1e-4
    shown = course["run"]("model", "show", "--model-path", course["small"])
    assert shown["weights"] == "Q8_0" and shown["cost"] == course["04"]["cost"]


def test_what_scripts_rely_on(course):
    assert course["05"]["steps"] == 3 and 0 <= course["05"]["accuracy"] <= 1
    assert course["06"]["n"] == 8 and {"off", "majority"} <= course["06"]["baselines"].keys()
    assert course["06"]["weights_unchanged"] is True
    assert course["ingest"]["events"] == 60 == course["ingest"]["written"]
    assert course["query"]["n"] == course["01"]["questions"]["rows"]


def test_an_answer_cites_events_of_the_life(course):
    read = ["--model-path", course["small"], "--state", course["memory"]]
    found = course["run"]("query", "--question", "Where am I?", "--now", "60", *read)
    assert {"answer", "memories"} <= found.keys()
    listed = course["run"]("memory", "list", "--limit", "60", "--state", course["memory"])["events"]
    assert {one["text"] for one in found["memories"]} <= {one["text"] for one in listed}
