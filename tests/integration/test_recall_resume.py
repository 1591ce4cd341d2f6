"""Training on lives, killed or interrupted: with --resume it ends as the unbroken run, to the last bit."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs signals")

ARGS = """train --json --threads 2 --preset chronos --steps 40 model.width=16 model.heads=2 model.key=8
    recall.stages=8,12 recall.mastery=0.01 recall.least_steps=4 recall.questions=8 recall.events=24
    recall.vocabulary_lives=2 recall.lm_sentences=8 recall.eval_events=16 recall.eval_lives=2
    recall.eval_questions=8 train.warmup=2 train.eval_every=10 train.checkpoint_every=2""".split()


def begin(run: Path, *more: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "chronos", *ARGS, "--out-dir", str(run), *more]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(run: Path) -> dict:
    process = begin(run, "--resume")
    out, told = process.communicate(timeout=300)
    assert process.returncode == 0, told
    return json.loads(out)


def steps_done(run: Path) -> int:
    path = run / "metrics.jsonl"
    return path.read_text().count('"kind": "train"') if path.exists() else 0


def wait_for_steps(process: subprocess.Popen, run: Path, steps: int) -> None:
    while steps_done(run) < steps:
        assert process.poll() is None, process.communicate()
        time.sleep(0.005)


@pytest.fixture(scope="module")
def unbroken(outcome, tmp_path_factory) -> dict:
    run = tmp_path_factory.mktemp("whole") / "run"
    finish(run)
    return outcome(run)


def test_killed_and_resumed_is_the_unbroken_run(unbroken, outcome, tmp_path):
    """Twice, between two checkpoints: after 20 of the 40 steps, and after a few more."""
    run = tmp_path / "run"
    for steps in (21, 29):
        process = begin(run, "--resume")
        wait_for_steps(process, run, steps)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert not (run / "result.json").exists()
    finish(run)
    assert outcome(run) == unbroken


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_saves_and_prints_the_command_that_resumes(unbroken, outcome, tmp_path, number):
    run = tmp_path / "run"
    process = begin(run)
    wait_for_steps(process, run, 5)
    process.send_signal(number)
    _, told = process.communicate()
    assert process.returncode == 130
    last = told.strip().splitlines()[-1]
    assert "state saved" in last
    command = last.split("continue with: ")[1]
    assert command == f"chronos train --out-dir {run} --resume"
    again = [sys.executable, "-m", *command.split(), "--json", "--threads", "2"]
    done = subprocess.run(again, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert outcome(run) == unbroken
