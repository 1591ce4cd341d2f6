"""Preparing a corpus, killed at any instant: the same command goes on, and the bytes are those of peace."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from chronos.console import ChronosError
from chronos.data.corpus.prepare import prepare

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs signals")

# Small blocks make many instants at which work can be interrupted.
SCRIPT = """
import sys, time
from chronos.console import ChronosError
from chronos.data import blocks
from chronos.data.corpus import config, prepare, records
blocks.BLOCK = 20_000
if __name__ == "__main__":
    options = config.Options(dedupe="near")
    try:
        prepare.prepare(sys.argv[1], sys.argv[2], options=options, num_workers=int(sys.argv[3]))
    except ChronosError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    rng = random.Random(1)
    with open(folder / "rows.jsonl", "w") as out:
        for i in range(2000):
            words = " ".join(rng.choice("abcdefghij") * rng.randrange(2, 9) for _ in range(120))
            out.write(json.dumps({"text": f"{i % 1950} {words}"}) + "\n")
    (folder / "go.py").write_text(SCRIPT)
    return folder


def start(place: Path, out: Path, workers: int = 2, **more) -> subprocess.Popen:
    command = [sys.executable, str(place / "go.py"), str(place / "rows.jsonl"), str(out), str(workers)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True, **more)


def finish(place: Path, out: Path, workers: int = 2) -> None:
    process = start(place, out, workers)
    _, told = process.communicate(timeout=120)
    assert process.returncode == 0, told


def content(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(out.iterdir())}


def blocks_done(out: Path) -> int:
    return len(list(out.parent.glob(f".{out.name}.partial/*/*.npz")))


def wait_for(condition, process: subprocess.Popen) -> None:
    until = time.monotonic() + 60
    while not condition():
        assert process.poll() is None and time.monotonic() < until, process.communicate()
        time.sleep(0.002)


@pytest.fixture(scope="module")
def peaceful(place) -> tuple[dict[str, bytes], float]:
    begun = time.monotonic()
    finish(place, place / "peace")
    return content(place / "peace"), time.monotonic() - begun


def test_killed_at_several_instants(place, peaceful, tmp_path):
    """kill -9 of the main process only: its workers see that it is gone and end by themselves."""
    expected, seconds = peaceful
    rng, out, met, done = random.Random(7), tmp_path / "out", 0, 0
    for kill in range(5):
        process = start(place, out, workers=1 + kill % 3)
        if kill < 3:
            wait_for(lambda wanted=done + 8: blocks_done(out) >= wanted, process)
        else:
            time.sleep(rng.uniform(0.3, 1.0) * seconds)
        met += process.poll() is None
        process.kill()
        process.wait()
        assert not out.exists() or content(out) == expected
        if not out.exists():
            assert blocks_done(out) >= done  # nothing that was done is lost
            done = blocks_done(out)
    assert met >= 3
    finish(place, out, workers=2)
    assert content(out) == expected
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("where", ["os.replace", "chronos.files.fsync_tree"])
def test_killed_while_the_corpus_is_put_into_place(place, peaceful, tmp_path, where):
    """Die at the rename of the finished folder, and at the flush before it."""
    function = where.rsplit(".", 1)
    (tmp_path / "sitecustomize.py").write_text(
        f"import os, signal, importlib\n"
        f"module = importlib.import_module({function[0]!r})\n"
        f"real = module.{function[1]}\n"
        f"def deadly(path, *rest, **more):\n"
        f"    if str(path).endswith('.out.partial/result'):\n"
        f"        os.kill(os.getpid(), signal.SIGKILL)\n"
        f"    return real(path, *rest, **more)\n"
        f"module.{function[1]} = deadly\n"
    )
    out = tmp_path / "out"
    process = start(place, out, workers=1, env={**os.environ, "PYTHONPATH": str(tmp_path)})
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    (tmp_path / "sitecustomize.py").unlink()
    assert not out.exists()
    finish(place, out)
    assert content(out) == peaceful[0]
    assert [path.name for path in tmp_path.iterdir() if path.name != "__pycache__"] == ["out"]


def test_ctrl_c_ends_quietly_and_says_how_to_go_on(place, peaceful, tmp_path):
    out = tmp_path / "out"
    process = start(place, out)
    wait_for(lambda: blocks_done(out) >= 3, process)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the workers too
    _, told = process.communicate(timeout=30)
    assert process.returncode == 130
    lines = [line for line in told.splitlines() if not line.startswith("preparing")]
    assert lines == ["error: interrupted: what is done is kept; run the same command again to go on"]
    before = blocks_done(out)
    assert before >= 3
    finish(place, out, workers=1)
    assert content(out) == peaceful[0]


def children(pid: int) -> list[int]:
    found = Path(f"/proc/{pid}/task/{pid}/children")
    if not found.exists():
        pytest.skip("needs /proc to know the workers")
    return [int(child) for child in found.read_text().split()]


def test_a_lost_worker_is_one_line(place, peaceful, tmp_path):
    out = tmp_path / "out"
    process = start(place, out)
    wait_for(lambda: blocks_done(out) >= 3, process)
    for child in children(process.pid):
        if b"resource_tracker" not in Path(f"/proc/{child}/cmdline").read_bytes():
            os.kill(child, signal.SIGKILL)
    _, told = process.communicate(timeout=30)
    assert process.returncode == 1
    lines = [line for line in told.splitlines() if not line.startswith("preparing")]
    assert len(lines) == 1 and "a worker process was killed by signal 9" in lines[0] and "again" in lines[0]
    finish(place, out)
    assert content(out) == peaceful[0]


def test_a_second_process_is_refused(place, peaceful, tmp_path):
    out = tmp_path / "out"
    process = start(place, out, workers=1)
    wait_for(lambda: blocks_done(out) >= 1, process)
    with pytest.raises(ChronosError, match="another process"):
        prepare("stories", out, stories_count=20)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 0, told
    assert content(out) == peaceful[0]


def test_other_options_start_afresh_with_a_notice(place, tmp_path, capsys):
    out = tmp_path / "out"
    process = start(place, out)
    wait_for(lambda: blocks_done(out) >= 3, process)
    process.kill()
    process.wait()
    stats = prepare("stories", out, stories_count=20)
    assert "unfinished work with other options or inputs is discarded" in capsys.readouterr().err
    assert stats["documents"] == 20 and [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_changed_input_starts_afresh(place, tmp_path):
    rows = tmp_path / "rows.jsonl"
    rows.write_bytes((place / "rows.jsonl").read_bytes())
    (tmp_path / "go.py").write_text(SCRIPT)
    process = start(tmp_path, tmp_path / "out")
    wait_for(lambda: blocks_done(tmp_path / "out") >= 3, process)
    process.kill()
    process.wait()
    rows.write_bytes(rows.read_bytes().replace(b"a", b"z"))
    finish(tmp_path, tmp_path / "out")
    finish(tmp_path, tmp_path / "fresh", workers=1)
    assert content(tmp_path / "out") == content(tmp_path / "fresh")
