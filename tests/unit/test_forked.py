"""Lanes as processes: their gradients, one clear line when one fails or dies, and none left over."""

import os
import signal

import numpy as np
import pytest

from chronos.architecture.tape import Tensor
from chronos.console import ChronosError
from chronos.training import forked

pytestmark = pytest.mark.skipif(not forked.possible(), reason="processes cannot be forked safely here")


def replicas(lanes: int) -> list[dict[str, Tensor]]:
    """The same two weights for each lane, shared."""
    weights = [Tensor(np.arange(6, dtype=np.float32).reshape(2, 3)), Tensor(np.ones(4, np.float32))]
    forked.share(weights)
    return [{name: Tensor(w.data) for name, w in zip("wb", weights)} for _ in range(lanes)]


def started(lanes: int = 3) -> forked.Forked:
    """Lanes whose gradient of w is w times what they are asked, and of b only in lane 1 anything."""
    twins = replicas(lanes)

    def task(lane, asked):
        if asked.get("fail") == lane:
            raise ChronosError("this lane cannot")
        if asked.get("break") == lane:
            raise ValueError("a defect")
        if asked.get("die") == lane:
            os.kill(os.getpid(), signal.SIGKILL)
        twins[lane]["w"].grad = twins[lane]["w"].data * asked["times"]
        twins[lane]["b"].grad = np.full(4, 7.0, np.float32) if lane == 1 else None
        return {"lane": lane, "where": os.getpid(), "times": asked["times"]}

    return forked.Forked(twins, task)


@pytest.fixture
def lanes():
    found = started()
    yield found
    found.close()


def test_each_lane_answers_and_leaves_its_gradients_here(lanes):
    for times in (2.0, 0.1):
        found = lanes.run([{"times": times * (i + 1)} for i in range(3)])
        assert [one["lane"] for one in found] == [0, 1, 2]
        assert [one["times"] for one in found] == [times, times * 2, times * 3]
        assert found[0]["where"] == os.getpid()
        assert {one["where"] for one in found[1:]} == set(lanes.children)
        for i, twin in enumerate(lanes.gradients):
            assert np.array_equal(twin["w"].grad, twin["w"].data * np.float32(times * (i + 1)))
            assert (twin["b"].grad is not None) == (i == 1)
        assert lanes.gradients[1]["b"].grad.tolist() == [7] * 4


def test_a_child_sees_weights_that_changed_since(lanes):
    lanes.run([{"times": 1}] * 3)
    lanes.gradients[0]["w"].data[...] = 5
    lanes.run([{"times": 1}] * 3)
    assert (lanes.gradients[2]["w"].grad == 5).all()


@pytest.mark.parametrize(
    ("how", "said"),
    [("fail", "lane 2: this lane cannot"), ("break", "ValueError: a defect"), ("die", "has ended")],
)
def test_a_lane_that_fails_or_dies_is_told(lanes, how, said):
    with pytest.raises(ChronosError, match=said):
        lanes.run([{"times": 1, how: 2}] * 3)


def test_children_end_with_close_and_when_nobody_is_left_to_ask_them():
    lanes = started()
    children = list(lanes.children)
    lanes.close()
    for child in children:
        with pytest.raises(ProcessLookupError):
            os.kill(child, 0)
    reader, writer = os.pipe()
    parent = os.fork()
    if parent == 0:  # it forks a lane, tells which, and dies at once
        os.close(reader)
        os.write(writer, str(started(2).children[0]).encode())
        os.close(writer)
        os.kill(os.getpid(), signal.SIGKILL)
    os.close(writer)
    os.waitpid(parent, 0)
    with os.fdopen(reader) as told:  # ends when the last has ended that holds the other end: the orphan
        assert told.read().isdigit()


def test_weights_keep_their_values_and_shapes_when_they_are_shared():
    before = [np.array([[1.5, -2]], np.float32), np.array([3.0], np.float32)]
    tensors = [Tensor(a.copy()) for a in before]
    forked.share(tensors)
    for tensor, a in zip(tensors, before):
        assert np.array_equal(tensor.data, a)
        assert tensor.data.shape == a.shape
