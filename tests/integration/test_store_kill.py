"""`kill -9` at any instant of an ingest: what was confirmed is there, nothing is doubled, and it goes on.

The ingest here reads a file by lines, writes events in batches, forgets and compacts now and then, and says
on its standard output what was confirmed. Run the thirty kills with `make test-all`.
"""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from chronos.memory.episodes.repair import verify
from chronos.memory.episodes.store import EventStore

LINES = 4000
INGEST = """
import sys
import numpy as np
from pathlib import Path
from chronos.memory.episodes.store import Cursor, EventStore

path, source = Path(sys.argv[1]), Path(sys.argv[2])
if (path / "journal.log").exists():
    store = EventStore.open(path, write=True, identity={"model": "m"})
else:
    store = EventStore.create(path, width=16, identity={"model": "m"})
lines = source.read_text(encoding="utf-8").splitlines()
cursor = store.cursor("life") or Cursor("h", 0, 0)
print("start", cursor.offset, flush=True)
for start in range(cursor.offset, len(lines), 13):
    part = lines[start : start + 13]
    keys = np.array([[(int(line.split()[1]) * 31 + j) % 97 - 48 for j in range(16)] for line in part])
    store.append(keys, part, [int(line.split()[1]) for line in part])
    store.flush({"life": Cursor("h", start + len(part), start + len(part), start + len(part) == len(lines))})
    print("flushed", start + len(part), flush=True)
    if start // 13 % 40 == 39:
        gone = [i for i in range(len(store)) if store.read(i)[1].text.endswith("boring")]
        store.forget(gone)
        print("forgot", start + len(part), flush=True)
        store.compact()
print("done", len(lines), flush=True)
"""


@pytest.fixture
def life(tmp_path) -> Path:
    path = tmp_path / "life.txt"
    lines = [f"line {i} boring" if i % 10 == 3 else f"line {i} told é" for i in range(LINES)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def begun(store: Path, life: Path) -> subprocess.Popen:
    """A process that ingests; its interpreter is up, so that what comes now falls into the work."""
    command = [sys.executable, "-c", INGEST, str(store), str(life)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline().startswith("start"), process.stderr.read()
    return process


def run(store: Path, life: Path, seconds: float | None) -> tuple[int, bool]:
    """Ingest, killed after some seconds; the last offset that was confirmed, and whether it met the kill."""
    process = begun(store, life)
    if seconds is not None:
        time.sleep(seconds)
        process.send_signal(signal.SIGKILL)
    out, err = process.communicate()
    assert process.returncode in ((0, -signal.SIGKILL) if seconds is not None else (0,)), err
    said = [line.split() for line in out.splitlines() if line.endswith(tuple("0123456789"))]
    offsets = [int(words[1]) for words in said if words[0] in ("flushed", "done")]
    return max(offsets, default=0), process.returncode != 0


def check(store: Path, confirmed: int) -> None:
    """All confirmed events, in order, each once (boring ones may be forgotten), and a cursor that fits."""
    if not (store / "journal.log").exists():
        assert confirmed == 0
        return
    with EventStore.open(store) as reader:
        assert verify(store) == []
        offset = reader.cursor("life").offset if reader.cursor("life") else 0
        assert offset >= confirmed
        numbers = [int(reader.read(i)[1].text.split()[1]) for i in range(len(reader)) if reader.alive[i]]
        told = [n for n in numbers if n % 10 != 3]
        assert told == [n for n in range(offset) if n % 10 != 3]
        assert numbers == sorted(set(numbers))
        assert (reader.times[reader.alive == 1] == numbers).all()


def seconds_of_work(store: Path, life: Path) -> float:
    """How long a whole life takes here."""
    process = begun(store, life)
    start = time.perf_counter()
    _, err = process.communicate()
    assert process.returncode == 0, err
    return time.perf_counter() - start


def survive(tmp_path: Path, life: Path, kills: int, seed: int) -> int:
    """Kills at random moments, together nearly as long as the work: most fall into it.

    After each the store is checked, and it ends whole. Returns how many met the work.
    """
    rng, store, confirmed, met = random.Random(seed), tmp_path / "memory", 0, 0
    longest = 1.5 * seconds_of_work(tmp_path / "whole", life) / kills
    for _ in range(kills):
        offset, killed = run(store, life, rng.uniform(0, longest))
        confirmed, met = max(confirmed, offset), met + killed
        check(store, confirmed)
    run(store, life, None)
    check(store, LINES)
    size = sum(f.stat().st_size for f in store.iterdir())
    run(store, life, None)  # complete: adds nothing
    check(store, LINES)
    assert sum(f.stat().st_size for f in store.iterdir()) == size
    return met


def test_four_kills(tmp_path, life):
    assert survive(tmp_path, life, 4, 1) >= 2


@pytest.mark.slow
def test_thirty_kills(tmp_path, life):
    assert survive(tmp_path, life, 30, 2) >= 15
