"""Every fast kernel on ragged data against its plain twin, which is the definition and runs in float64."""

import inspect

import numpy as np
import pytest

from chronos.architecture import kernels
from chronos.architecture.kernels import ragged_fast, ragged_plain

EPS = float(np.finfo(np.float32).eps)
SHAPES = {  # lengths of segments
    "none": [],
    "only empty": [0, 0],
    "one token": [1],
    "one segment": [23],
    "fours and their neighbours": [3, 4, 5, 0, 7, 8, 9],
    "single tokens": [1] * 12,
    "many": [(7 * i) % 13 for i in range(150)],
    "a long one among short": [2, 130, 0, 1],
}


def numbers(rng, *shape) -> np.ndarray:
    return rng.standard_normal(shape).astype(np.float32)


def spans(rng, lengths, before) -> tuple[np.ndarray, np.ndarray]:
    """Ends of queries, and of keys with up to `before` more in front of them."""
    more = rng.integers(0, before + 1, len(lengths))
    return np.cumsum(lengths, dtype=np.int64), np.cumsum(np.add(lengths, more), dtype=np.int64)


# ---- cases: (rng, lengths) → lists of arguments, and how many roundings a result may be off ----------------


def case_ragged_attention(rng, lengths):
    """Alone, behind other keys, scores so large that one key takes all, and queries without any key."""
    for before, heads, causal, loud in (
        (0, 2, True, 1),
        (9, 1, True, 1),
        (9, 3, False, 30),
        (0, 2, False, 1),
    ):
        q_ends, k_ends = spans(rng, lengths, before)
        if not causal and not before:
            k_ends = np.cumsum(lengths[::-1], dtype=np.int64)
        n, m = (int(e[-1]) if len(e) else 0 for e in (q_ends, k_ends))
        q = numbers(rng, n, 18) * np.float32(loud)
        yield [q, numbers(rng, m, 36), q_ends, k_ends, heads, causal], 80


def case_ragged_attention_backward(rng, lengths):
    for (q, *rest), allowed in case_ragged_attention(rng, lengths):
        wide = (q.astype(np.float64), rest[0].astype(np.float64), *rest[1:])
        saved = [a.astype(np.float32) for a in ragged_plain.ragged_attention(*wide)]
        yield [numbers(rng, *q.shape), q, *rest, *saved], 5 * allowed


def case_ragged_conv(rng, lengths):
    ends = np.cumsum(lengths, dtype=np.int64)
    yield [numbers(rng, sum(lengths), 19), numbers(rng, 3, 19), ends], 10


def case_ragged_conv_backward(rng, lengths):
    for (x, w, ends), _ in case_ragged_conv(rng, lengths):
        yield [numbers(rng, *x.shape), x, w, ends], 10 + len(x) // 10


def case_ragged_pool(rng, lengths):
    ends = np.cumsum(lengths, dtype=np.int64)
    for P, loud in ((1, 1), (3, 80)):
        scores = numbers(rng, sum(lengths), P) * np.float32(loud)
        yield [scores, numbers(rng, sum(lengths), 19), ends], 4 + 2 * loud


def case_ragged_pool_backward(rng, lengths):
    for (scores, x, ends), _ in case_ragged_pool(rng, lengths):
        p = ragged_plain.ragged_pool(scores, x, ends)[1]
        yield [numbers(rng, len(ends), p.shape[1], 19), p, x, ends], 20


def case_recall_words(rng, lengths):
    """Lives of several sizes; questions of which some are shut out, and columns behind the events."""
    ends = np.cumsum(lengths, dtype=np.int64)
    h = numbers(rng, sum(lengths), 19)
    for B, Q, N in ((0, 0, 3), (1, 1, 1), (3, 4, 6), (2, 5, 17)) if lengths else ((2, 3, 0),):
        shares = numbers(rng, B * Q, N + 1) * (rng.random((B * Q, N + 1)) < 0.6)
        yield [shares, h, rng.integers(0, max(1, len(lengths)), (B, N)), ends, 9, 7], 10


def case_recall_words_backward(rng, lengths):
    for (shares, h, idx, ends, slots, length), allowed in case_recall_words(rng, lengths):
        yield [numbers(rng, len(shares), slots, 19), shares, h, idx, ends, length], 2 * allowed


def case_mark_shares(rng, lengths):
    N = sum(lengths)
    for B, Q in ((0, 0), (1, 1), (2, 5)):
        yield [numbers(rng, B * Q, N + 1), rng.integers(-1, 6, (B, N, 4)), 6], 10 + N // 10


def case_mark_shares_backward(rng, lengths):
    for (shares, marks, kinds), allowed in case_mark_shares(rng, lengths):
        yield [numbers(rng, len(shares), 4, kinds), shares, marks], allowed


CASES = {name[5:]: make for name, make in list(globals().items()) if name.startswith("case_")}


def wide(arguments):
    return [a.astype(np.float64) if getattr(a, "dtype", None) == np.float32 else a for a in arguments]


def as_tuple(result) -> tuple[np.ndarray, ...]:
    return result if isinstance(result, tuple) else (result,)


def poisoned(shape, dtype=np.float32):
    return np.full(shape, np.nan, dtype)


@pytest.mark.parametrize("lengths", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("name", CASES)
def test_the_twins_agree(name, lengths, monkeypatch):
    """Also where all memory that the fast twin takes holds NaN, and where arguments are not contiguous."""
    monkeypatch.setattr(ragged_fast, "empty", poisoned)
    monkeypatch.setattr(ragged_fast, "empty_like", lambda a: poisoned(a.shape))
    rng = np.random.default_rng(len(lengths))
    for arguments, allowed in CASES[name](rng, lengths):
        expected = as_tuple(getattr(ragged_plain, name)(*wide(arguments)))
        found = as_tuple(getattr(ragged_fast, name)(*arguments))
        for got, right in zip(found, expected, strict=True):
            assert got.dtype == np.float32 and got.shape == right.shape
            most = allowed * EPS * max(1.0, np.abs(right).max(initial=0))
            assert np.abs(got - right).max(initial=0) <= most
        holes = [
            np.repeat(a, 2, -1)[..., ::2] if getattr(a, "dtype", None) == np.float32 else a for a in arguments
        ]
        again = as_tuple(getattr(ragged_fast, name)(*holes))
        assert all((one == two).all() for one, two in zip(found, again, strict=True))


def test_every_kernel_is_there_twice_and_tested():
    """Both modules have the same functions with the same arguments, and `kernels` chooses among them."""

    def public(module) -> dict:
        found = inspect.getmembers(module, inspect.isfunction)
        return {k: v for k, v in found if v.__module__ == module.__name__ and not k.startswith("_")}

    plain, fast = public(ragged_plain), public(ragged_fast)
    assert set(plain) - {"segments"} == set(fast) == set(CASES)
    for name, kernel in fast.items():
        assert list(inspect.signature(kernel).parameters) == list(inspect.signature(plain[name]).parameters)
        assert getattr(kernels, name).__doc__ == plain[name].__doc__


def test_not_a_number_stays_visible():
    """NaN in one key shows in all that see it, and in nothing else."""
    q, kv = np.ones((6, 4), np.float32), np.ones((6, 8), np.float32)
    kv[4, 0] = np.nan
    ends = np.array([3, 6])
    o, _ = ragged_fast.ragged_attention(q, kv, ends, ends, 1, True)
    assert np.isnan(o).all(1).tolist() == [False] * 4 + [True] * 2


def test_float64_takes_the_plain_twin():
    x, ends = np.ones((2, 3)), np.array([2])
    assert kernels.ragged_conv(x, np.ones((3, 3)), ends).dtype == np.float64
    assert kernels.ragged_conv(x.astype(np.float32), np.ones((3, 3), np.float32), ends).dtype == np.float32
