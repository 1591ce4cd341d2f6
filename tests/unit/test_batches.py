"""The walk over windows: a permutation per epoch, from any cursor, reproducible."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronos.console import ChronosError
from chronos.training.batches import Windows, permute


class Tokens:
    """Shards in memory: token i is i."""

    def __init__(self, n: int):
        self.n = n

    def __len__(self) -> int:
        return self.n

    def pairs(self, start: int, length: int) -> tuple[np.ndarray, np.ndarray]:
        assert start >= 0 and start + length + 1 <= self.n
        ids = np.arange(start, start + length + 1)
        return ids[:-1], ids[1:]


@given(st.integers(1, 3000), st.integers(0, 2**63 - 1))
def test_permute_is_a_permutation(n, key):
    assert sorted(permute(np.arange(n), n, key)) == list(range(n))


def test_permute_depends_on_the_key_and_mixes():
    a, b = permute(np.arange(1000), 1000, 1), permute(np.arange(1000), 1000, 2)
    assert (a == b).mean() < 0.05
    assert np.mean(np.abs(np.diff(a))) > 200  # neighbours are torn apart: 333 in expectation


@pytest.mark.parametrize(("tokens", "context"), [(1000, 16), (17, 16), (18, 16), (33, 16), (5000, 7)])
def test_an_epoch_visits_every_window_once(tokens, context):
    windows = Windows(Tokens(tokens), context, seed=3)
    inputs, targets = windows.batch(0, windows.per_epoch)
    starts = np.sort(inputs[:, 0])
    assert (np.diff(starts) == context).all()
    assert (targets == inputs + 1).all()
    assert (
        windows.per_epoch * context >= tokens - 2 * context
    )  # what the phase leaves out is less than a window


def test_a_batch_depends_on_the_cursor_alone():
    windows = Windows(Tokens(10_000), 16, seed=5)
    far, _ = windows.batch(10**9, 6)
    parts = [windows.batch(10**9 + i, 2)[0] for i in (0, 2, 4)]
    assert np.array_equal(far, np.concatenate(parts))
    again, _ = Windows(Tokens(10_000), 16, seed=5).batch(10**9, 6)
    assert np.array_equal(far, again)
    other, _ = Windows(Tokens(10_000), 16, seed=6).batch(10**9, 6)
    assert not np.array_equal(far, other)


def test_a_batch_across_two_epochs_is_its_parts():
    windows = Windows(Tokens(1000), 16, seed=5)
    border = windows.per_epoch
    across, _ = windows.batch(border - 3, 6)
    parts = [windows.batch(border - 3, 3)[0], windows.batch(border, 3)[0]]
    assert np.array_equal(across, np.concatenate(parts))


def test_epochs_differ_in_order_and_phase():
    windows = Windows(Tokens(10_000), 16, seed=5)
    first, _ = windows.batch(0, windows.per_epoch)
    second, _ = windows.batch(windows.per_epoch, windows.per_epoch)
    assert not np.array_equal(first, second)
    assert len({int(first[0, 0]) % 16, *(int(windows._epoch(e)[0]) for e in range(8))}) > 2


def test_a_text_shorter_than_the_context_is_refused():
    with pytest.raises(
        ChronosError, match=r"shorter than the context, expected 17 tokens, got 16.*context to 15"
    ):
        Windows(Tokens(16), 16, seed=0)
