"""Recall from a store against the op that training uses, hop by hop; filters; memory; readers meanwhile."""

import subprocess
import sys
import threading

import numpy as np
import pytest

from chronos.architecture import kernels, ops
from chronos.architecture.tape import Tensor, apply
from chronos.console import ChronosError
from chronos.memory.episodes import reader as reader_module
from chronos.memory.episodes import scan
from chronos.memory.episodes import store as store_module
from chronos.memory.episodes.reader import whole_journal
from chronos.memory.episodes.repair import verify
from chronos.memory.episodes.scan import recall
from chronos.memory.episodes.store import EventStore

WHO = {"model": "a" * 64}
S, B = 25.0, -14.0
NEVER = -1e9  # a threshold that cuts nothing


def filled(path, n: int, width: int = 16, **more) -> EventStore:
    rng = np.random.default_rng(1)
    store = EventStore.create(path, width=width, identity=WHO, **more)
    store.append(
        rng.standard_normal((n, width)), [f"event {i}" for i in range(n)], np.arange(n) * 10,
        sources=np.arange(n) % 4,
    )  # fmt: skip
    store.flush()
    return store


def full(store, q, ok=None, g=None, first=None, **settings) -> np.ndarray:
    """`StickRead` in float64 over the keys as they are stored: (Q, N + 1)."""
    keys = store.keys(np.arange(len(store))).astype(float)
    arrays = [q[None].astype(float), keys, np.array(S), np.array(B), ok, g, first]
    arrays = [
        None if a is None else Tensor(a if a.ndim != 2 or i == 1 else a[None]) for i, a in enumerate(arrays)
    ]
    return apply(ops.StickRead, *arrays, **settings).data[0]


def dense(found, n: int) -> np.ndarray:
    out = np.zeros((len(found.ids), n + 1))
    for row, (ids, weights) in enumerate(zip(found.ids, found.weights)):
        out[row, ids[ids >= 0]] = weights[ids >= 0]
    out[:, n] = found.null
    return out


def questions(n: int, width: int = 16) -> np.ndarray:
    return np.random.default_rng(2).standard_normal((n, width)) * 3


@pytest.mark.parametrize("kind", ["int8", "float16"])
@pytest.mark.parametrize("block", [7, 4096])
def test_recall_is_the_trained_read(tmp_path, monkeypatch, kind, block):
    """Without the threshold, every share of two hops with a learned as-of and a clock."""
    monkeypatch.setattr(scan, "BLOCK", block)
    q, rng = questions(5), np.random.default_rng(3)
    with filled(tmp_path / "m", 300, kind=kind) as store:
        everything = {"zmin": NEVER, "spent": 0.0, "top": 300}
        first = recall(store, q, S, B, **everything)
        exact = full(store, q)
        assert np.abs(dense(first, 300) - exact).max() < 2e-5
        assert (np.diff(first.weights, axis=1) <= 0).all()
        cuts, shares = rng.integers(0, 301, (5, 3)), rng.dirichlet(np.ones(3), 5)
        ok = (shares[:, None] * (cuts[:, None] > np.arange(300)[:, None])).sum(-1)
        g = rng.uniform(0, 1, 5)
        second = recall(store, q[::-1], S, B, cuts=cuts, shares=shares, g=g, first=first, **everything)
        expected = full(store, q[::-1], ok, g, exact)
        assert np.abs(dense(second, 300) - expected).max() < 2e-5
        hard = recall(store, q, S, B, cuts=cuts[:, 0], **everything)
        expected = full(store, q, cut=cuts[None, :, 0])
        assert np.abs(dense(hard, 300) - expected).max() < 2e-5 and hard.read <= cuts[:, 0].max()


def test_small_matches_count_as_none_and_a_spent_stick_stops(tmp_path):
    """Exactly the full form where β below the threshold is 0; the scan ends early."""
    q = questions(8)
    with filled(tmp_path / "m", 20_000) as store:
        found = recall(store, q, S, B)
        keys = store.keys(np.arange(20_000)).astype(float)
        z = S * q @ keys.T / np.linalg.norm(q, axis=1, keepdims=True) + B
        beta = np.where(z < scan.ZMIN, 0, 1 / (1 + np.exp(-z)))
        later = np.cumprod(np.concatenate([np.ones((8, 1)), 1 - beta[:, ::-1]], axis=1), axis=1)
        exact = (beta[:, ::-1] * later[:, :-1])[:, ::-1]
        assert np.abs(dense(found, 20_000)[:, :-1] - exact).max() < 1e-4 + 2e-5
        assert found.read < 20_000 and (found.null < scan.SPENT).all()


def test_filters(tmp_path):
    """By time, by source, and never what was forgotten."""
    q = questions(3)
    with filled(tmp_path / "m", 500) as store:
        everything = {"zmin": NEVER, "spent": 0.0, "top": 500}
        best = recall(store, q, S, B).ids[:, 0]
        assert (best >= 0).all()
        store.forget(best)
        later = recall(store, q, S, B, **everything)
        assert not np.isin(best, later.ids[later.weights > 0]).any()
        some = recall(store, q, S, B, since=1000, until=3000, sources=["user", "correction"], **everything)
        ids = some.ids[some.ids >= 0]
        assert ids.min() >= 100 and ids.max() < 300 and set((ids % 4).tolist()) == {1, 3}
        mask = np.zeros((3, 500))
        mask[:, [i for i in range(100, 300) if i % 2 and store.alive[i]]] = 1
        assert np.abs(dense(some, 500) - full(store, q, mask)).max() < 2e-5
        store.forget(range(500))
        gone = recall(store, q, S, B)
        assert (gone.ids == -1).all() and (gone.null == 1).all()


def test_an_empty_store_recalls_nothing(tmp_path):
    with EventStore.create(tmp_path / "m", width=16, identity=WHO) as store:
        found = recall(store, questions(2), S, B)
        assert (found.ids == -1).all() and (found.null == 1).all() and found.read == 0


@pytest.mark.parametrize("q", [np.ones((1, 15)), np.full((1, 16), np.inf), np.ones(16)])
def test_questions_that_do_not_fit_are_refused(tmp_path, q):
    with (
        filled(tmp_path / "m", 3) as store,
        pytest.raises(ChronosError, match="questions do not fit the store"),
    ):
        recall(store, q, S, B)


def test_plain_numpy_recalls_the_same(tmp_path, monkeypatch):
    """Where Numba is switched off, the definition reads the store."""
    from chronos.architecture.kernels import stick_plain

    q = questions(4)
    with filled(tmp_path / "m", 300) as store:
        fast = recall(store, q, S, B)
        monkeypatch.setattr(kernels, "stick_scan", stick_plain.stick_scan)
        plain = recall(store, q, S, B)
        assert np.array_equal(fast.ids, plain.ids) and np.allclose(fast.weights, plain.weights, atol=1e-5)


def test_readers_during_writing(tmp_path):
    """While one thread appends, forgets and compacts, readers see whole prefixes of what was flushed."""
    path, failures, done = tmp_path / "m", [], threading.Event()
    store = EventStore.create(path, width=4, identity=WHO)

    def read() -> None:
        try:
            with EventStore.open(path) as reader:
                while not done.is_set():
                    n = reader.refresh()
                    texts = [reader.read(i)[1].text for i in range(max(0, n - 20), n)]
                    numbers = [int(t) for t in texts]
                    assert numbers == sorted(numbers) and n % 5 == 0, (n, numbers)
                    EventStore.open(path).close()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=read) for _ in range(2)]
    for thread in threads:
        thread.start()
    for i in range(60):
        store.append(np.ones((5, 4)), [str(5 * i + j) for j in range(5)], [0] * 5)
        store.flush()
        if i % 20 == 19:
            store.forget(range(5))
            store.compact()
    done.set()
    for thread in threads:
        thread.join()
    store.close()
    assert not failures, failures
    assert verify(path) == []


def test_a_reader_whom_a_compaction_overtakes_tries_again(tmp_path, monkeypatch):
    """The journal it has read names files that are gone by the time it opens them."""
    path = tmp_path / "m"
    with filled(path, 10) as store, EventStore.open(path) as reader:
        store.forget([0])
        store.compact()
        overtaken = whole_journal(path)
        store.forget([0])
        store.compact()
        for module, look in (
            (store_module, lambda: len(EventStore.open(path))),
            (reader_module, reader.refresh),
        ):
            told = [overtaken]
            monkeypatch.setattr(
                module, "whole_journal", lambda p, told=told: told.pop() if told else whole_journal(p)
            )
            assert look() == 8 and not told
        assert [reader.event(i).text for i in (0, 7)] == ["event 2", "event 9"]


FLAT = """
import resource, sys
import numpy as np
from pathlib import Path
from chronos.memory.episodes.store import EventStore
from chronos.memory.episodes.reader import whole_journal
from chronos.memory.episodes.repair import verify
from chronos.memory.episodes.scan import recall

def grown(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

path, rng, small = Path(sys.argv[1]), np.random.default_rng(0), None
with EventStore.create(path, width=64, identity={"m": "a"}) as store:
    for i in range(50):
        store.append(rng.standard_normal((2000, 64), np.float32), ["x" * 300] * 2000, np.arange(2000))
        if i % 2:
            store.flush()
        if i == 4:
            recall(store, np.ones((1, 64)), 30, -90)
            small = grown()
    recall(store, np.ones((1, 64)), 30, -90, zmin=-1e9)
    assert len(store) == 100_000
print(grown() - small)
"""


def test_a_hundred_thousand_events_in_flat_memory(tmp_path):
    """From 10,000 to 100,000 events (39 MB of files) the process grows by less than what the keys weigh."""
    done = subprocess.run([sys.executable, "-c", FLAT, str(tmp_path / "m")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 20
