"""Memory that is used again: buffers come back, views keep them, threads trade them, steps need no more."""

import gc
import queue
import threading
import tracemalloc

import numpy as np
import pytest

from chronos import native
from chronos.architecture.kernels.workspace import SMALL, Workspace, empty, empty_like, workspace, zeros
from chronos.architecture.layers import DropoutPlan
from chronos.architecture.tape import backward
from chronos.memory.config import ModelConfig
from chronos.memory.model import Model

BIG = SMALL  # floats: four times the limit below which NumPy's own cache serves


def address(array: np.ndarray) -> int:
    return array.__array_interface__["data"][0]


def test_a_freed_buffer_comes_back():
    space = Workspace()
    a = space.empty(BIG)
    first = address(a)
    del a
    b = space.empty((BIG // 8, 8))
    assert address(b) == first
    assert space.misses == 1
    assert space.empty(BIG) is not None and space.misses == 2  # while b lives, another is needed


def test_views_keep_their_buffer():
    space = Workspace()
    a = space.empty((4, BIG))
    a[...] = 7
    view = a[1:].T[5:]
    del a
    other = space.empty((4, BIG))
    other[...] = 1
    assert not np.shares_memory(view, other)
    assert (view == 7).all() and space.misses == 2
    del view
    assert space.empty((4, BIG)) is not None and space.misses == 2


def test_arrays_are_ordinary():
    space = Workspace()
    for shape, kind in (
        ((3, BIG), np.float32),
        ((BIG,), np.float64),
        ((5, BIG, 1), np.int64),
        ((BIG * 9,), bool),
    ):
        a = space.empty(shape, kind)
        assert a.shape == shape and a.dtype == kind
        assert a.flags.c_contiguous and a.flags.writeable and address(a) % 64 == 0
    assert space.misses == 3  # the last lies in what the first one left
    assert workspace().empty((2, 0)).shape == (2, 0)
    assert empty(3).shape == (3,)
    like = empty_like(np.ones((BIG, 2), np.float64).T)
    assert like.shape == (2, BIG) and like.dtype == np.float64 and like.flags.c_contiguous


def test_small_arrays_are_left_to_numpy():
    space = Workspace()
    space.empty(SMALL // 4 - 1)
    assert space.misses == 0
    space.empty(SMALL // 4)
    assert space.misses == 1


def test_little_is_wasted():
    """Nearly equal sizes share a buffer; no buffer is an eighth larger than what it holds, and a page."""
    for size in [*range(SMALL, SMALL + 9000, 100), 10**5, 10**6 + 1, 2**24 - 1, 2**24, 2**24 + 1, 10**8]:
        space = Workspace()
        space.empty(size, np.uint8)
        assert size <= space.allocated <= size * 9 / 8 + 4096
    space = Workspace()
    first = address(space.empty(2**20 - 4000, np.uint8))
    assert address(space.empty(2**20, np.uint8)) == first


def test_the_smallest_free_buffer_that_fits_is_lent_but_none_of_twice_the_size():
    space = Workspace()
    large, middle = space.empty(3 * BIG), space.empty(2 * BIG)
    where = address(middle)
    del large, middle
    lent = space.empty(2 * BIG - BIG // 4)
    assert address(lent) == where and space.misses == 2
    del lent
    assert address(space.empty(2 * BIG)) == where and space.misses == 2  # it went home
    kept = space.empty(BIG)
    assert space.misses == 3 and kept.size == BIG


def test_zeros_are_zeros_in_used_memory():
    a = empty(BIG)
    a[...] = 3
    where = address(a)
    del a
    b = zeros(BIG)
    assert address(b) == where and not b.any()


def test_release_gives_back_what_lies_free():
    space = Workspace()
    a, b = space.empty(BIG), space.empty(BIG)
    a[...] = 5
    del b
    space.release()
    assert space.allocated == 4 * BIG
    space.empty(BIG)
    assert space.misses == 3
    assert (a == 5).all()
    del a
    space.release()
    assert space.allocated == 0


def test_sizes_that_keep_changing_do_not_pile_up(monkeypatch):
    monkeypatch.setattr("chronos.architecture.kernels.workspace.IDLE", 0)
    space, largest = Workspace(), 0
    for n in range(40):
        largest = max(largest, space.empty(BIG * (1 + n % 20)).nbytes * 9 // 8)
        assert space.allocated <= 4 * largest
    assert space.idle == space.allocated  # nothing is in use, and both counts say so
    steady = Workspace()
    for n in (1, 3, 1, 3, 1):
        steady.empty(n * BIG)
    assert steady.misses == 2


# ---- threads -----------------------------------------------------------------------------------------------


def in_thread(function):
    """The result of a function run in a new thread."""
    found = []
    thread = threading.Thread(target=lambda: found.append(function()))
    thread.start()
    thread.join()
    return found[0]


def test_each_thread_has_its_own():
    mine = workspace()
    assert workspace() is mine
    assert in_thread(workspace) is not mine


def test_what_another_thread_frees_comes_home():
    """Gradients are made in a lane and dropped in another after the update."""
    a = empty(BIG)
    where, holder, misses = address(a), [a], workspace().misses
    del a
    assert in_thread(lambda: (holder.clear(), workspace().misses)[1]) == 0
    assert address(empty(BIG)) == where
    assert workspace().misses == misses


def test_arrays_outlive_their_thread():
    a = in_thread(lambda: empty(BIG))
    a[...] = 2
    gc.collect()
    assert in_thread(lambda: float(zeros(BIG).sum())) == 0
    assert (a == 2).all()


def test_threads_trade_arrays_without_sharing_memory():
    """Three threads pass arrays on; whoever receives one finds what was written, and writes its own."""
    queues = [queue.Queue() for _ in range(3)]
    wrong = []

    def lane(me: int) -> None:
        for turn in range(300):
            a = empty(BIG // 2 + 64 * (turn % 3))
            a[...] = 1000 * me + turn
            queues[(me + 1) % 3].put((a, 1000 * me + turn))
            del a
            if turn >= 5:
                found, value = queues[me].get(timeout=20)
                if not (found == value).all():
                    wrong.append((me, turn))
                found[...] = -1

    threads = [threading.Thread(target=lane, args=(i,)) for i in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


# ---- training steps ----------------------------------------------------------------------------------------

SHAPES = {
    "default": {},
    "published": {"norm": "layernorm", "positions": "learned", "activation": "gelu", "bias": True},
    "grouped": {"kv_heads": 2, "qk_norm": True, "tied": False, "activation": "relu2"},
}


def small_model(**settings) -> Model:
    return Model(ModelConfig(vocabulary=300, context=48, layers=2, width=64, heads=4, **settings))


def step(model: Model, rows: np.ndarray, turn: int) -> None:
    """A training step without the optimizer, which needs no memory of its own; gradients end with it."""
    loss = model.loss(rows[:, :-1], rows[:, 1:], scale=0.01, dropout=DropoutPlan(0.1, 0, turn, 0))
    backward(loss)
    for p in model.parameters().values():
        p.grad = None


@pytest.mark.parametrize("shape", SHAPES)
def test_no_step_allocates_what_the_last_one_freed(shape):
    model = small_model(**SHAPES[shape])
    rows = np.random.default_rng(0).integers(0, 300, (6, 49))
    for turn in range(2):
        step(model, rows, turn)
    misses = workspace().misses
    for turn in range(4):
        step(model, rows, turn)
        assert workspace().misses == misses


@pytest.mark.skipif(not native.available(), reason="NumPy's own products have arrays elsewhere")
def test_what_a_step_takes_elsewhere_is_little():
    """Large arrays come from the workspace: NumPy's own are below a twentieth of them."""
    model = small_model()
    rows = np.random.default_rng(0).integers(0, 300, (16, 49))

    def work():
        step(model, rows, 0)
        tracemalloc.start()
        try:
            step(model, rows, 1)
            return tracemalloc.get_traced_memory()[1], workspace().allocated
        finally:
            tracemalloc.stop()

    elsewhere, here = in_thread(work)
    assert elsewhere < here / 20


def test_lanes_need_no_more_either():
    """Two threads train on replicas; the gradients of both die in the first, as an optimizer's would."""
    model = small_model()
    replicas = [model.replica(), model.replica()]
    rows = np.random.default_rng(0).integers(0, 300, (5, 49))
    shares = [rows[:2], rows[2:]]
    barrier, misses = threading.Barrier(2, timeout=60), {0: [], 1: []}

    def lane(me: int) -> None:
        for _ in range(6):
            backward(replicas[me].loss(shares[me][:, :-1], shares[me][:, 1:], scale=0.01))
            barrier.wait()
            if me == 0:
                for mine, other in zip(*(r.parameters().values() for r in replicas)):
                    np.add(mine.grad, other.grad, out=mine.grad)
                    mine.grad = other.grad = None
            misses[me].append(workspace().misses)
            barrier.wait()

    threads = [threading.Thread(target=lane, args=(i,)) for i in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for counts in misses.values():
        assert counts[0] > 0
        assert counts[1:] == counts[1:2] * 5
