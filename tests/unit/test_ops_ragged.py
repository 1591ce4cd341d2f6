"""Ops on ragged data by their definitions, a token at a time; what they refuse, and what they never mix."""

import numpy as np
import pytest

from chronos.architecture import ops
from chronos.architecture.ops.ragged import check_ends, check_index
from chronos.architecture.tape import Tensor, apply, backward
from chronos.console import ChronosError

LENGTHS = [0, 3, 1, 0, 7, 2, 0]
ENDS = np.cumsum(LENGTHS)
STARTS = ENDS - LENGTHS
N = int(ENDS[-1])
ATTENTION = {"q_ends": ENDS, "k_ends": ENDS, "heads": 2}


def run(op, *arrays, **settings) -> np.ndarray:
    return apply(op, *map(Tensor, arrays), **settings).data


def a(*shape, seed=0) -> np.ndarray:
    return np.random.default_rng((seed, *shape)).standard_normal(shape)


# ---- attention ---------------------------------------------------------------------------------------------


def one_query(q, keys, values, heads) -> np.ndarray:
    """Attention of one query (D,) to the keys that it sees, a head at a time."""
    out, K = [], len(q) // heads
    for h in range(heads):
        part = slice(h * K, (h + 1) * K)
        e = np.exp(keys[:, part] @ q[part] / np.sqrt(K))
        out.append(e / e.sum() @ values[:, part] if len(e) else np.zeros(K))
    return np.concatenate(out)


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize(("before", "heads"), [(0, 1), (0, 3), (4, 3)])
def test_attention_is_its_definition(before, heads, causal):
    """Own tokens stand last, behind `before` others."""
    k_ends = ENDS + before * np.arange(1, len(ENDS) + 1)
    q, kv = a(N, 6), a(k_ends[-1], 12)
    found = run(ops.RaggedAttention, q, kv, q_ends=ENDS, k_ends=k_ends, heads=heads, causal=causal)
    first = 0
    for s, n in enumerate(LENGTHS):
        for i in range(n):
            stop = first + before + i + 1 if causal else k_ends[s]
            seen = kv[first:stop]
            expected = one_query(q[STARTS[s] + i], seen[:, :6], seen[:, 6:], heads)
            assert np.allclose(found[STARTS[s] + i], expected, rtol=0, atol=1e-14)
        first = k_ends[s]


def test_without_keys_nothing_is_found():
    two, none = np.array([2]), np.array([0])
    settings = {"q_ends": two, "k_ends": none, "heads": 1, "causal": False}
    for kind in (np.float64, np.float32):
        arrays = [a(2, 4).astype(kind), np.zeros((0, 8), kind)]
        assert not run(ops.RaggedAttention, *arrays, **settings).any()
        tensors = [Tensor(array, requires_grad=True) for array in arrays]
        backward(apply(ops.RaggedAttention, *tensors, **settings))
        assert not tensors[0].grad.any() and tensors[1].grad.shape == (0, 8)


@pytest.mark.parametrize("place", [2, 5])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_segments_never_mix_and_nothing_later_is_seen(kind, place):
    """Other numbers in one token move, in its own segment and from it on, the outputs and nothing else."""
    x, w = a(N, 8).astype(kind), a(3, 8).astype(kind)
    at = STARTS[4] + place
    other = x.copy()
    other[at] += 1
    later = np.zeros(N, bool)
    later[at : ENDS[4]] = True

    def attend(x):
        return run(ops.RaggedAttention, x, np.concatenate([x, x], 1), **ATTENTION)

    assert ((attend(x) != attend(other)).any(1) == later).all()
    later[at + 4 :] = False  # the convolution reaches three tokens far
    moved = (run(ops.RaggedConv, x, w, ends=ENDS) != run(ops.RaggedConv, other, w, ends=ENDS)).any(1)
    assert (moved == later).all() and later.sum() == min(4, 7 - place)
    pooled = [run(ops.RaggedPool, v[:, :2].copy(), v, ends=ENDS) for v in (x, other)]
    assert (pooled[0] != pooled[1]).any((1, 2)).tolist() == [s == 4 for s in range(len(ENDS))]


# ---- convolution, pooling, rows ----------------------------------------------------------------------------


def test_convolution_is_its_definition():
    x, w = a(N, 5), a(3, 5)
    found = run(ops.RaggedConv, x, w, ends=ENDS)
    for s, n in enumerate(LENGTHS):
        for i in range(n):
            t = STARTS[s] + i
            reach = zip((1, 0.5, 0.25), w, x[STARTS[s] : t][::-1], strict=False)
            assert np.allclose(found[t], x[t] + sum(c * v * y for c, v, y in reach), rtol=0, atol=1e-14)


def test_pooling_is_its_definition():
    scores, x = a(N, 3) * 4, a(N, 5)
    found = run(ops.RaggedPool, scores, x, ends=ENDS)
    for s, n in enumerate(LENGTHS):
        part = slice(STARTS[s], ENDS[s])
        e = np.exp(scores[part])
        expected = (e / e.sum(0)).T @ x[part] if n else np.zeros((3, 5))
        assert np.allclose(found[s], expected, rtol=0, atol=1e-14)


def test_rows_are_taken_and_put_back():
    """Repeats add up; rows of several arrays are counted through, whatever their shapes."""
    x, y, index = (
        Tensor(a(4, 3), requires_grad=True),
        Tensor(a(2, 5, 3), requires_grad=True),
        [3, 13, 3, 0, 6],
    )
    both = np.concatenate([x.data, y.data.reshape(-1, 3)])
    out = apply(ops.Weave, x, y, index=np.array(index))
    assert (out.data == both[index]).all()
    assert (run(ops.TakeRows, both, index=np.array(index)) == both[index]).all()
    dy = a(5, 3, seed=1)
    backward(out, dy.copy())
    assert np.allclose(x.grad[3], dy[0] + dy[2]) and np.allclose(x.grad[0], dy[3])
    assert (y.grad[1, 4] == dy[1]).all() and (y.grad[0, 2] == dy[4]).all()
    assert np.count_nonzero(x.grad.any(1)) == np.count_nonzero(y.grad.any(2)) == 2


def test_unit_rows():
    x = a(3, 4) * 1e3
    x[1] = 0
    tensor = Tensor(x, requires_grad=True)
    y = apply(ops.UnitRows, tensor)
    assert np.allclose(np.linalg.norm(y.data, axis=1), [1, 0, 1], rtol=1e-12)
    assert np.allclose(y.data[0] * np.linalg.norm(x[0]), x[0])
    backward(y, y.data.copy())  # along itself a row of unit length cannot grow
    assert np.allclose(tensor.grad, 0, atol=1e-12)


def test_small_ops_on_numbers():
    assert np.allclose(run(ops.Sigmoid, np.array([-800.0, 0, np.log(3), 800])), [0, 0.5, 0.75, 1])
    assert (run(ops.ScaleBy, np.arange(3.0), c=2.5) == [0, 2.5, 5]).all()
    total = run(ops.WeightedSum, np.array(2.0), np.array([3.0]), weights=(1, 0.5))
    assert total == 3.5 and total.shape == ()


# ---- refusals ----------------------------------------------------------------------------------------------

REFUSED = [
    (lambda: check_ends("Op", "ends", ENDS, N + 1), "do not stop where the rows do, expected 14, got 13"),
    (lambda: check_ends("Op", "ends", np.array([], np.int64), 1), "do not stop where the rows do"),
    (lambda: check_ends("Op", "ends", np.array([4, 3, 5]), 5), "segment 1: Op: ends fall"),
    (lambda: check_ends("Op", "ends", np.array([-1, 5]), 5), "segment 0: Op: ends fall"),
    (lambda: check_ends("Op", "ends", ENDS.astype(np.int32), N), r"expected \(S,\) int64"),
    (lambda: check_ends("Op", "ends", ENDS[None], N), r"expected \(S,\) int64"),
    (lambda: check_index("Op", "index", np.array([0, 5]), 5), "names no row, expected 0 … 4, got 0 … 5"),
    (lambda: check_index("Op", "index", np.array([-1]), 5), "names no row"),
    (lambda: check_index("Op", "index", np.array([1.0]), 5), r"expected \(m,\) int64"),
    (lambda: run(ops.RaggedAttention, a(N, 5), a(N, 10), **ATTENTION), "heads do not divide the width"),
    (lambda: run(ops.RaggedAttention, a(N, 4), a(N, 4), **ATTENTION), "kv does not fit"),
    (lambda: run(ops.RaggedAttention, a(N), a(N, 4), **ATTENTION), "q does not fit"),
    (
        lambda: run(ops.RaggedAttention, a(N, 4), a(N, 8), **ATTENTION | {"k_ends": np.array([N])}),
        "k_ends does not fit",
    ),
    (
        lambda: run(
            ops.RaggedAttention, a(2, 4), a(2, 8), q_ends=np.array([1, 2]), k_ends=np.array([0, 2]), heads=1
        ),
        "segment 0: RaggedAttention: fewer keys than queries",
    ),
    (lambda: run(ops.RaggedConv, a(N, 4), a(2, 4), ends=ENDS), r"w does not fit, expected \(3, 4\)"),
    (lambda: run(ops.RaggedPool, a(N - 1, 2), a(N, 4), ends=ENDS), "scores does not fit"),
    (lambda: run(ops.TakeRows, a(3, 4), index=np.array([3])), "TakeRows: index names no row"),
    (lambda: run(ops.Weave, a(3, 4), a(3, 5), index=np.array([0])), "Weave needs arrays"),
    (lambda: run(ops.Weave, index=np.array([0])), "Weave needs arrays"),
    (lambda: run(ops.WeightedSum, np.array(1.0), weights=()), "WeightedSum needs scalars and a weight each"),
    (lambda: run(ops.WeightedSum, a(2), weights=(1,)), "WeightedSum needs scalars"),
]


@pytest.mark.parametrize(("call", "told"), REFUSED)
def test_what_does_not_fit_is_refused(call, told):
    with pytest.raises(ChronosError, match=told):
        call()
