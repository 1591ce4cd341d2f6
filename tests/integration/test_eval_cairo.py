"""`chronos eval --suite cairo` and `chronos report --live` as processes: killed, gone on with, reported.

The model was never trained; what is asked, recorded and reported has to be whole all the same.
"""

import dataclasses
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from chronos.data.cairo.life import Life
from chronos.evaluation.live.conditions import ALL
from chronos.evaluation.live.records import read
from chronos.memory.recall import save_recaller
from chronos.memory.recall.config import RecallConfig
from chronos.memory.recall.net import RecallNet
from chronos.tokenization.words import WordTokenizer

ASK = "eval --suite cairo --events 60 --lives 2 --questions 16 --seed 60 --language mixed --json".split()


@pytest.fixture
def command(tmp_path) -> list[str]:
    """How a question of two lives begins, to a model whose hash is in the file."""
    tokenizer = WordTokenizer.train(event.text for event in Life(200, 9).events())
    config = RecallConfig(vocabulary=tokenizer.vocab_size, width=32, key=16)
    save_recaller(tmp_path / "model", RecallNet(config, 1), tokenizer)
    return [sys.executable, "-m", "chronos", *ASK, "--model-path", str(tmp_path / "model")]


def run(words: list[str], folder: Path) -> dict:
    done = subprocess.run([*words, "--out-dir", str(folder)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def timeless(records: Path) -> list:
    return [dataclasses.replace(row, ms=0) for row in read(records).answers()]


def test_killed_and_gone_on_with(command, root, tmp_path):
    whole = run(command, tmp_path / "whole")
    assert set(whole["by_condition"]) == set(ALL) and whole["n"] == 32 and whole["weights_unchanged"]
    process = subprocess.Popen([*command, "--out-dir", str(tmp_path / "cut")], stderr=subprocess.DEVNULL)
    parts = tmp_path / "cut" / ".records.partial" / "parts"
    while process.poll() is None and len(list(parts.glob("[!.]*"))) < 3:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = {path.name: path.stat().st_mtime_ns for path in parts.glob("[!.]*")}
    assert 3 <= len(before) < 2 * len(ALL) and not (tmp_path / "cut" / "records").exists()
    again = run(command, tmp_path / "cut")
    assert timeless(Path(again["records"])) == timeless(Path(whole["records"]))
    same = ("n", "accuracy", "by_kind", "baselines", "by_condition", "written", "weights")
    assert {name: again[name] for name in same} == {name: whole[name] for name in same}

    report = [sys.executable, "-m", "chronos", "report", "--live", again["records"]]
    done = subprocess.run([*report, "--out-dir", str(tmp_path / "report")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    told = json.loads((tmp_path / "report" / "live.json").read_text())
    on = next(row for row in told["totals"] if row["condition"] == "on")
    assert on["accuracy"] == again["without_unknown"] and told["lives"] == 2
    assert "Memory microscope: life 60" in (tmp_path / "report" / "microscope.html").read_text()
