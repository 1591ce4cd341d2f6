"""All seven stages in seconds, through the command line, on a few stories and a tiny model.

The commands are those of the Makefile, at other sizes. What each makes is looked at; how well the model
learns is not asked here.
"""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TINY = ["model.layers=2", "model.heads=2", "model.width=32", "model.context=32", "train.batch_size=4"]
TINY += ["train.steps=6", "train.eval_every=3", "train.checkpoint_every=3", "train.sample_tokens=8"]


class Course:
    """Runs commands in one artefacts folder; each gives the object that it prints."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.results: dict[str, dict] = {}
        self.env = os.environ | {"CHRONOS_ARTIFACTS": str(folder)}

    def run(self, *command: str | Path, text: str = "") -> dict:
        words = [sys.executable, "-m", "chronos", *map(str, command), "--json"]
        done = subprocess.run(
            words, cwd=ROOT, env=self.env, input=text, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr
        assert done.stdout.count("\n") == 1, "one object and nothing else on standard output"
        return json.loads(done.stdout)


@pytest.fixture(scope="module")
def course(tmp_path_factory) -> Course:
    """The seven stages, run one after the other as `make` does."""
    a = tmp_path_factory.mktemp("course")
    course = Course(a)
    for stage, command in (
        ("01", ["data", "prepare", "--stories", "120", "--out-dir", a / "01-data"]),
        ("02", ["architecture", "check", "--out-dir", a / "02-architecture"]),
        (
            "03",
            [
                "tokenizer",
                "prepare",
                "--data",
                a / "01-data",
                "--out-dir",
                a / "03-tokenization",
                "--vocab",
                "400",
            ],
        ),
        ("04", ["model", "init", "--tokenizer-path", a / "03-tokenization", "--out-dir", a / "04-memory"]),
        ("05", ["train", "--experiment", "default", "--shards", a / "03-tokenization", *TINY]),
        ("06", ["report", "--run", a / "05-training", "--out-dir", a / "06-evaluation"]),
        (
            "07",
            [
                "quantize",
                "--model-path",
                a / "model",
                "--out-dir",
                a / "07-inference/model-q8",
                "--qtype",
                "Q8_0",
            ],
        ),
    ):
        course.results[stage] = course.run(*command)
    return course


def test_each_stage_leaves_its_artefacts(course):
    for name in (
        *("01-data/train.jsonl", "01-data/val.jsonl", "01-data/stats.json"),
        "02-architecture/gradients.json",
        *(
            "03-tokenization/tokenizer.json",
            "03-tokenization/train/shards.json",
            "03-tokenization/val/shards.json",
        ),
        *("04-memory/model/model.safetensors", "04-memory/selftest.json"),
        *(
            "05-training/config.yaml",
            "05-training/metrics.jsonl",
            "model/config.json",
            "model/tokenizer.json",
        ),
        *("06-evaluation/report.json", "06-evaluation/report.md", "06-evaluation/report.html"),
        *("07-inference/model-q8/model.gguf", "07-inference/model-q8/tokenizer.json"),
    ):
        assert (course.folder / name).is_file(), name
    leftovers = list(course.folder.rglob("*.tmp"))
    assert leftovers == []


def test_training_tells_what_scripts_rely_on(course):
    result = course.results["05"]
    keys = {
        "steps",
        "val_nats",
        "bits_per_byte",
        "tokens_per_s",
        "seconds",
        "peak_rss_bytes",
        "model_path",
        "checkpoint",
    }
    assert keys <= result.keys()
    assert result["steps"] == 6
    assert 0 < result["val_nats"] < math.log(400) + 1
    rows = [json.loads(line) for line in (course.folder / "05-training" / "metrics.jsonl").open()]
    assert rows[0]["kind"] == "start"
    assert [row["step"] for row in rows if row["kind"] == "train"] == [1, 2, 3, 4, 5, 6]
    evaluated = [(row["step"], row["val_nats"]) for row in rows if row["kind"] == "eval"]
    assert [step for step, _ in evaluated] == [3, 6]
    assert evaluated[-1][1] == result["val_nats"]


def test_a_finished_run_is_not_trained_again(course):
    model = course.folder / "model" / "model.safetensors"
    before = model.stat().st_mtime_ns
    again = course.run(
        "train", "--experiment", "default", "--shards", course.folder / "03-tokenization", "--resume", *TINY
    )
    assert again["steps"] == 6
    assert model.stat().st_mtime_ns == before


def test_encoding_and_decoding_are_inverse(course):
    text = "Nora has the ball. Ünïcødé …"
    ids = course.run("tokenizer", "encode", text=text)["ids"]
    assert course.run("tokenizer", "decode", text=" ".join(map(str, ids)))["text"] == text


def test_the_quantized_model_speaks_and_nearly_as_the_other(course):
    words = ["generate", "--prompt", "Nora", "--max-new-tokens", "8", "--temperature", "0"]
    full = course.run(*words, "--model-path", course.folder / "model")
    small = course.run(*words, "--model-path", course.folder / "07-inference" / "model-q8")
    assert len(full["ids"]) == len(small["ids"]) > 0
    again = course.run(*words, "--model-path", course.folder / "model")
    assert again["ids"] == full["ids"]
    losses = [
        course.run(
            "eval", "--model-path", course.folder / path, "--data", course.folder / "01-data/val.jsonl"
        )
        for path in ("model", "07-inference/model-q8")
    ]
    assert losses[1]["nats_per_token"] == pytest.approx(losses[0]["nats_per_token"], rel=0.01)
    assert losses[0]["tokens"] > 1000
