"""`kill -9` at any instant, then --resume: the unbroken run to the last bit, metrics and moments too."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ARGS = """train --json --threads 2 --steps 40 tokenizer.kind=char model.layers=2 model.width=64 model.heads=2
    model.context=32 train.batch_size=8 train.warmup=4 train.eval_every=10 train.checkpoint_every=2
    train.sample_tokens=0 train.dropout=0.1 train.optimizer=muon""".split()


def command(run: Path, text: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "chronos", *ARGS, "--train", str(text), "--out-dir", str(run), *more]


def finish(run: Path, text: Path) -> dict:
    done = subprocess.run(command(run, text, "--resume"), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def text(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("text") / "text.txt"
    path.write_text("a quick brown fox jumps over the lazy dog while it rains. " * 60)
    return path


@pytest.fixture(scope="module")
def unbroken(text, outcome, tmp_path_factory) -> tuple[dict, float]:
    run = tmp_path_factory.mktemp("whole") / "run"
    finish(run, text)  # also fills the caches of compiled kernels, so that what follows is not all start-up
    (run.parent / "again").mkdir()
    begun = time.perf_counter()
    finish(run.parent / "again" / "run", text)
    return outcome(run), time.perf_counter() - begun


def kill_and_resume(text: Path, run: Path, times: list[float]) -> int:
    """Start, kill after each of the given seconds, finish; returns how many kills met a living process."""
    met = 0
    for seconds in times:
        process = subprocess.Popen(
            command(run, text, "--resume"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        time.sleep(seconds)
        met += process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.wait()
    finish(run, text)
    return met


def test_four_kills(text, unbroken, outcome, tmp_path):
    expected, seconds = unbroken
    rng = random.Random(5)
    met = kill_and_resume(text, tmp_path / "run", [rng.uniform(0.3, 1.0) * seconds for _ in range(4)])
    assert met >= 1
    assert outcome(tmp_path / "run") == expected


@pytest.mark.slow
def test_twenty_kills_at_random_instants(text, unbroken, outcome, tmp_path):
    """Five runs, each killed four times: before the first checkpoint, inside writes, between steps."""
    expected, seconds = unbroken
    rng = random.Random(11)
    met = 0
    for number in range(5):
        times = [rng.uniform(0.2, 1.0) * seconds for _ in range(4)]
        met += kill_and_resume(text, tmp_path / f"run{number}", times)
        assert outcome(tmp_path / f"run{number}") == expected
    assert met >= 10


@pytest.mark.parametrize("place", ["before rename", "inside write", "after rename"])
def test_killed_inside_a_checkpoint_write(text, unbroken, outcome, tmp_path, place):
    """Die exactly there, in the second checkpoint."""
    hook = tmp_path / "sitecustomize.py"
    function = {"before rename": "os.replace", "inside write": "os.fsync", "after rename": "shutil.rmtree"}[
        place
    ]
    module, name = function.split(".")
    hook.write_text(
        f"import os, signal, sys, {module}\n"
        f"real, seen = {function}, []\n"
        f"def deadly(path, *rest, **more):\n"
        f"    shown = os.readlink(f'/proc/self/fd/{{path}}') if isinstance(path, int) else str(path)\n"
        f"    if '.step-00000004.' in shown or ({name!r} == 'rmtree' and 'step-00000002' in shown):\n"
        f"        os.kill(os.getpid(), signal.SIGKILL)\n"
        f"    return real(path, *rest, **more)\n"
        f"{module}.{name} = deadly\n"
    )
    if not Path("/proc/self/fd").exists():
        pytest.skip("needs /proc to know which file is written")
    run = tmp_path / "run"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    dead = subprocess.run(
        command(run, text, "train.keep_checkpoints=1"), capture_output=True, env=environment, text=True
    )
    assert dead.returncode == -signal.SIGKILL, dead.stderr
    hook.unlink()
    finish(run, text)
    assert outcome(run) == unbroken[0]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_saves_and_prints_the_command_that_resumes(text, unbroken, outcome, tmp_path, number):
    run = tmp_path / "run"
    process = subprocess.Popen(command(run, text), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while not list(run.glob("checkpoints/step-*")):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(number)
    _, told = process.communicate()
    assert process.returncode == 130
    last = told.strip().splitlines()[-1]
    assert "state saved" in last
    resume = last.split("continue with: ")[1]
    assert resume == f"chronos train --out-dir {run} --resume"
    done = subprocess.run(
        [sys.executable, "-m", *resume.split(), "--json", "--threads", "2"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert outcome(run) == unbroken[0]
