"""The scan over stored keys, newest first, against the full form with small matches cut to exactly zero."""

import numpy as np
import pytest

from chronos.architecture.kernels import stick_fast, stick_plain

S, B, ZMIN, SPENT = 20.0, -9.0, -2.0, 1e-4
TWINS = [stick_plain, stick_fast]


def keys(rng, n: int, K: int = 8) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows of int8 (n, 24 + K) as they lie in a store, their scales, and the unit keys they stand for."""
    rows = np.zeros((n, 24 + K), np.int8)
    rows[:, 24:] = rng.integers(-127, 128, (n, K))
    scale = 1 / np.linalg.norm(rows[:, 24:].astype(float), axis=1)
    return rows, scale.astype(np.float32), rows[:, 24:] * scale[:, None]


def questions(rng, n: int, K: int = 8) -> np.ndarray:
    q = rng.standard_normal((n, K))
    return (q / np.linalg.norm(q, axis=1, keepdims=True)).astype(np.float32)


def scan(
    module, q, rows, scale, *, allowed=None, cuts=None, clock=None, k=100, block=10_000, spent=SPENT,
    scales=None,
):  # fmt: skip
    """All blocks, newest first: ids and weights (Q, k), what is left (Q,)."""
    n, Q = len(rows), len(q)
    ids, weights, left = np.full((Q, k), -1), np.zeros((Q, k), np.float32), np.ones(Q)
    allowed = np.zeros(0, np.uint8) if allowed is None else allowed
    steps = cuts or (np.zeros((Q, 0), int), np.zeros((Q, 0), np.float32))
    g, first, found = clock or (np.zeros(Q), np.zeros((Q, 0), int), np.zeros((Q, 0), np.float32))
    strict = (np.full(Q, S) if scales is None else scales, np.full(Q, B))
    for stop in range(n, 0, -block):
        part = slice(max(0, stop - block), stop)
        module.stick_scan(
            q, rows[part], 24, scale[part], allowed[part], part.start, *strict, ZMIN, spent,
            *steps, g, first, found, left, ids, weights,
        )  # fmt: skip
    return ids, weights, left


def full(q, unit, mask=1.0):
    """The full form: every β, those below the threshold 0; shares (Q, n + 1) in float64."""
    z = S * q.astype(float) @ unit.T + B
    beta = np.where(z < ZMIN, 0, 1 / (1 + np.exp(-z))) * mask
    later = np.cumprod(np.concatenate([np.ones((len(q), 1)), 1 - beta[:, ::-1]], axis=1), axis=1)
    return np.concatenate([(beta[:, ::-1] * later[:, :-1])[:, ::-1], later[:, -1:]], axis=1)


def dense(ids, weights, n):
    out = np.zeros((len(ids), n))
    for row, (at, w) in enumerate(zip(ids, weights)):
        out[row, at[at >= 0]] = w[at >= 0]
    return out


@pytest.mark.parametrize("module", TWINS)
def test_each_question_has_its_own_strictness(module):
    rng = np.random.default_rng(2)
    rows, scale, _ = keys(rng, 300)
    q = questions(rng, 2)
    ids, weights, left = scan(module, q, rows, scale, scales=np.array([S, 30.0]))
    alone = scan(module, q[1:], rows, scale, scales=np.array([30.0]))
    assert (ids[1] == alone[0][0]).all() and np.allclose(weights[1], alone[1][0], atol=1e-6)
    assert abs(left[1] - alone[2][0]) < 1e-6 < abs(left[1] - scan(module, q, rows, scale)[2][1])


@pytest.mark.parametrize("module", TWINS)
@pytest.mark.parametrize("block", [3, 64, 10_000])
def test_the_scan_is_the_full_form(module, block):
    rng = np.random.default_rng(1)
    rows, scale, unit = keys(rng, 500)
    q = questions(rng, 20)
    ids, weights, left = scan(module, q, rows, scale, block=block, spent=0.0, k=500)
    exact = full(q, unit)
    assert np.abs(dense(ids, weights, 500) - exact[:, :-1]).max() < 1e-5
    assert np.abs(left - exact[:, -1]).max() < 1e-5


@pytest.mark.parametrize("module", TWINS)
def test_a_spent_stick_stops_the_scan(module):
    """What is not given out is less than SPENT, and nothing older than the stop is named."""
    rng = np.random.default_rng(2)
    rows, scale, unit = keys(rng, 3000)
    q = questions(rng, 20)
    ids, weights, left = scan(module, q, rows, scale)
    exact = full(q, unit)[:, :-1]
    assert (left < SPENT).all() and np.abs(dense(ids, weights, 3000) - exact).max() < SPENT
    newer = np.array([exact[r, ids[r].max(initial=0, where=ids[r] >= 0) :].sum() for r in range(20)])
    assert (newer > 0).all()
    for r in range(20):
        oldest = ids[r][ids[r] >= 0].min()
        assert exact[r, oldest:].sum() > 1 - SPENT - 1e-5
        assert (np.diff(ids[r][ids[r] >= 0]) < 0).all()  # in the order of reading


@pytest.mark.parametrize("module", TWINS)
def test_masks_clocks_and_filters(module):
    rng = np.random.default_rng(3)
    rows, scale, unit = keys(rng, 400)
    q = questions(rng, 6)
    cuts, shares = rng.integers(0, 401, (6, 5)), rng.dirichlet(np.ones(5), 6).astype(np.float32)
    first, found = rng.permuted(np.tile(np.arange(400), (6, 1)), axis=1)[:, :4], rng.dirichlet(np.ones(5), 6)
    found, g = found[:, :4].astype(np.float32), rng.uniform(0.5, 1, 6)
    allowed = (rng.random(400) < 0.8).astype(np.uint8)
    at = np.arange(400)
    ok = (shares[:, None] * (cuts[:, None] > at[:, None])).sum(-1)
    after = (found[:, None] * (first[:, None] > at[:, None])).sum(-1)
    mask = ok * (1 - g[:, None] + g[:, None] * after) * allowed
    how = {"cuts": (cuts, shares), "clock": (g, first, found), "allowed": allowed}
    ids, weights, left = scan(module, q, rows, scale, spent=0.0, k=400, block=37, **how)
    exact = full(q, unit, mask)
    assert np.abs(dense(ids, weights, 400) - exact[:, :-1]).max() < 1e-5
    assert np.abs(left - exact[:, -1]).max() < 1e-5
    assert not np.isin(ids, at[allowed == 0]).any()


@pytest.mark.parametrize("module", TWINS)
def test_the_heaviest_are_kept(module):
    rng = np.random.default_rng(4)
    rows, scale, unit = keys(rng, 800)
    q = questions(rng, 10)
    ids, weights, _ = scan(module, q, rows, scale, k=3, block=100)
    exact = full(q, unit)[:, :-1]
    for r in range(10):
        assert set(ids[r]) == set(np.argsort(-exact[r], kind="stable")[:3])
        assert np.allclose(weights[r], exact[r][ids[r]], atol=1e-5)


def test_float_keys_are_scanned_too():
    rng = np.random.default_rng(5)
    rows, scale, _ = keys(rng, 100)
    q = questions(rng, 4)
    floats = rows.astype(np.float32)
    for a, b in zip(scan(stick_fast, q, rows, scale), scan(stick_fast, q, floats, scale)):
        assert np.allclose(a, b, atol=1e-6)
