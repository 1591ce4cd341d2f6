"""Vectors of words, known and unknown, and what a read brings back, by their definitions."""

import numpy as np
import pytest

from chronos.architecture import ops
from chronos.architecture.ops.words import sign_pattern
from chronos.architecture.tape import Tensor, apply, backward
from chronos.console import ChronosError

# The first outputs of SplitMix64 seeded with 1234567, as published with the generator's ports.
PUBLISHED = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431]

PINNED = (  # bit b of byte k is column 8 k + b; ids 0, 4096, 2⁶² + 777 and 2⁶³ − 1, 200 columns each
    "afcd1d7b39a820e2f465b9a16a9e786e4f450980185dc406ec"
    "c77e1e943d9a3ad724891be7411cb3ed5941c7c8cfede018f4"
    "6004699ff38e6a05fbcf01b3d1226ed40eb0811d90e9c76770"
    "a79e032e55d7672a47f9828040010cf2904142af519315ecfb"
)


def run(op, *arrays, **settings) -> np.ndarray:
    return apply(op, *map(Tensor, arrays), **settings).data


def a(*shape, seed=0) -> np.ndarray:
    return np.random.default_rng((seed, *shape)).standard_normal(shape)


# ---- words -------------------------------------------------------------------------------------------------


def test_patterns_are_the_bits_of_the_published_generator():
    bits = [word >> b & 1 for word in PUBLISHED for b in range(64)]
    found = sign_pattern(np.array([1234567]), 256)
    assert found.dtype == np.float32 and found[0].tolist() == [1.0 if bit else -1.0 for bit in bits]


def test_patterns_stay_as_they_are():
    """What a store on disk was written with must be had again from the id alone, in any width."""
    ids = np.array([0, 4096, 2**62 + 777, 2**63 - 1])
    wide = sign_pattern(ids, 200)
    packed = np.packbits(wide > 0, axis=1, bitorder="little").tobytes().hex()
    assert packed == PINNED
    assert (sign_pattern(ids, 70) == wide[:, :70]).all()
    assert sign_pattern(ids[:0], 70).shape == (0, 70)


def test_patterns_of_near_ids_are_far_apart():
    """A thousand ids in a row: as many equal signs as coins would show, and no two vectors alike."""
    x = sign_pattern(np.arange(1000), 128)
    cosines = x @ x.T / 128 - np.eye(1000)
    assert np.abs(cosines).max() < 0.55 and abs(cosines.mean()) < 1e-3
    assert np.abs(x.mean(0)).max() < 0.15


def test_words_are_their_definition():
    emb, scale, nonce = a(5, 70), np.array([0.3]), a(70)
    ids = np.array([4, 5, 0, 2**62, 5])
    y = run(ops.WordVectors, emb, scale, nonce, ids=ids, times=2.0)
    assert np.allclose(y[[0, 2]], 2 * emb[[4, 0]], rtol=1e-15)
    new = 2 * (sign_pattern(ids[[1, 3]], 70).astype(float) * 0.3 + nonce)
    assert np.allclose(y[[1, 3]], new, rtol=1e-15) and (y[4] == y[1]).all()
    single = run(ops.WordVectors, *(v.astype(np.float32) for v in (emb, scale, nonce)), ids=ids, times=2.0)
    assert single.dtype == np.float32 and np.allclose(single, y, rtol=0, atol=1e-6)


def test_unknown_words_teach_no_row_of_the_table():
    tensors = [Tensor(v, requires_grad=True) for v in (a(5, 6), np.ones(1), a(6))]
    backward(apply(ops.WordVectors, *tensors, ids=np.array([7, 4, 9])))
    assert (tensors[0].grad == [[0] * 6] * 4 + [[1] * 6]).all()
    assert (tensors[2].grad == 2).all()
    assert tensors[1].grad == sign_pattern(np.array([7, 9]), 6).sum()


WORDS = {"emb": a(5, 6), "scale": np.ones(1), "nonce": a(6), "ids": np.array([1, 9])}


@pytest.mark.parametrize(
    ("name", "wrong", "told"),
    [
        ("emb", a(0, 6), "emb does not fit"),
        ("scale", np.ones(2), "scale does not fit"),
        ("nonce", a(5), "nonce does not fit"),
        ("ids", np.array([1, -1]), "an id is negative, expected ids ≥ 0, got -1"),
        ("ids", np.array([[1]]), r"ids do not fit, expected \(n,\) int64"),
        ("ids", np.array([1], np.int32), r"ids do not fit, expected \(n,\) int64"),
    ],
)
def test_words_that_do_not_fit(name, wrong, told):
    setting = WORDS | {name: wrong}
    with pytest.raises(ChronosError, match=told):
        run(ops.WordVectors, *(setting[k] for k in ("emb", "scale", "nonce")), ids=setting["ids"])


# ---- what a read brings back -------------------------------------------------------------------------------


def setting(B=2, Q=3, N=5, L=4, M=2, D=6) -> tuple[list[np.ndarray], dict]:
    """Shares and the rest, for sentences of 0, 1, 3, 6 (cut at L) and 4 tokens; marks of any row or none."""
    rng = np.random.default_rng(5)
    ends = np.cumsum([0, 1, 3, 6, 4])
    tensors = [a(B * Q, N + 1), a(14, D), a(7, D), a(M, D), a(L + M, D), a(1, D)]
    idx, marks = rng.integers(0, 5, (B, N)), rng.integers(-1, 7, (B, N, M))
    return tensors, {"idx": idx, "ends": ends, "length": L, "marks": marks, "times": 1.7}


def recalled(shares, h, emb, pos, null, hop, *, idx, ends, length, marks, times) -> np.ndarray:
    """The definition: one event, one slot at a time."""
    B, N, M = marks.shape
    out = np.zeros((len(shares), length + M, h.shape[1]))
    for r in range(len(shares)):
        life = r // (len(shares) // B)
        for i in range(N):
            u = idx[life, i]
            words = h[ends[u - 1] if u else 0 : ends[u]][:length]
            out[r, : len(words)] += shares[r, i] * words
            for m in range(M):
                mark = marks[life, i, m]
                out[r, length + m] += shares[r, i] * times * (pos[m] + (emb[mark] if mark >= 0 else 0))
        out[r] += shares[r, N] * null * times + hop[0] * times
    return out


@pytest.mark.parametrize("kind", [np.float64, np.float32])
def test_what_is_recalled_is_its_definition(kind):
    tensors, how = setting()
    assert (how["marks"] == -1).any() and {0, 3} <= set(how["idx"].ravel().tolist())
    expected = recalled(*tensors, **how)
    found = run(ops.Recalled, *(v.astype(kind) for v in tensors), **how)
    atol = 1e-13 if kind is np.float64 else 1e-5
    assert found.dtype == kind and np.allclose(found, expected, rtol=0, atol=atol)
    by_life = [tensors[0].reshape(2, 3, 6).astype(kind), *(v.astype(kind) for v in tensors[1:])]
    assert (run(ops.Recalled, *by_life, **how) == found).all()


def test_a_sure_read_brings_back_that_event():
    """A share of 1: the words of the event, nothing beyond their end; a null share of 1: the null slots."""
    tensors, how = setting()
    how["idx"][:] = 2  # three words
    zeros = [np.zeros_like(v) for v in tensors[2:]]
    one = np.zeros((6, 6))
    one[:, 3] = 1
    out = run(ops.Recalled, one, tensors[1], *zeros, **how)
    assert (out[:, :3] == tensors[1][1:4]).all() and not out[:, 3:].any()
    nothing = np.zeros((6, 6))
    nothing[:, 5] = 1
    zeros[2] = tensors[4]
    assert np.allclose(run(ops.Recalled, nothing, tensors[1], *zeros, **how), 1.7 * tensors[4])


@pytest.mark.parametrize("kind", [np.float64, np.float32])
def test_no_events_and_no_tokens(kind):
    """A life without events gives the null slots; sentences without a word bring back times alone."""
    tensors, how = setting(N=0)
    tensors[0][:] = 1
    found = run(ops.Recalled, *(v.astype(kind) for v in tensors), **how)
    assert np.allclose(found, 1.7 * (tensors[4] + tensors[5]), atol=1e-6)
    tensors, how = setting()
    tensors[1] = np.zeros((0, 6))
    how |= {"ends": np.zeros(5, np.int64)}
    fresh = [Tensor(v.astype(kind), requires_grad=True) for v in tensors]
    out = apply(ops.Recalled, *fresh, **how)
    assert np.allclose(out.data, recalled(*tensors, **how), atol=1e-5)
    backward(out)
    assert fresh[1].grad.shape == (0, 6) and np.isfinite(fresh[0].grad).all()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"idx": np.zeros((2, 4), np.int64)}, r"needs idx \(B, N\) and marks \(B, N, M\)"),
        ({"marks": np.zeros((2, 5, 2))}, r"needs idx \(B, N\) and marks \(B, N, M\), int64"),
        ({"idx": np.full((2, 5), 5)}, "idx out of range, expected 0 … 4, got 5 … 5"),
        ({"marks": np.full((2, 5, 2), 7)}, "marks out of range, expected -1 … 6, got 7 … 7"),
        ({"marks": np.full((2, 5, 2), -2)}, "marks out of range"),
        ({"ends": np.array([0, 1, 4, 10, 15])}, "ends do not stop where the rows do"),
        ({"length": 3}, "null does not fit"),
        ({"length": 0}, "a length"),
        ({0: a(6, 5)}, "shares do not fit"),
        ({0: a(5, 6)}, "shares do not fit"),
        ({0: a(3, 2, 6)}, "shares do not fit"),
        ({0: a(4, 2, 6)}, r"shares do not fit, expected \(2, Q, 6\)"),
        ({1: a(14)}, r"needs h \(T, D\)"),
        ({2: a(7, 5)}, "emb does not fit"),
        ({3: a(3, 6)}, "pos does not fit"),
        ({5: a(6)}, "hop does not fit"),
    ],
)
def test_recall_that_does_not_fit(change, told):
    tensors, how = setting()
    for place, wrong in change.items():
        (how if isinstance(place, str) else tensors)[place] = wrong
    with pytest.raises(ChronosError, match=told):
        run(ops.Recalled, *tensors, **how)
