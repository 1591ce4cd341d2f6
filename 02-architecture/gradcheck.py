"""Gradient check by random projection: every op's backward against finite differences in float64.

Run `chronos architecture check` for the report, or `demo()` for one op in four lines.
"""

from typing import Any

import numpy as np

from chronos.architecture import ops
from chronos.architecture.attention import rotary_rows
from chronos.architecture.tape import Op, Tensor, apply, backward

STEP = 1e-5  # central differences in float64: rounding and truncation error both near 1e-10
TOLERANCE = 1e-6


def check(
    op: type[Op], arrays: list[np.ndarray | None], settings: dict[str, Any], seed: int = 0, step: float = STEP
) -> float:
    """Largest relative error, over the inputs, of ⟨∂(y·r)/∂x, d⟩ for random r and direction d.

    The projection turns a whole Jacobian into one number per input, which two evaluations give too.
    """
    rng = np.random.default_rng(seed)
    tensors = [None if a is None else Tensor(a.copy(), requires_grad=True) for a in arrays]
    y = apply(op, *tensors, **settings)
    r = rng.standard_normal(y.shape).astype(y.data.dtype)
    backward(y, r.copy())

    def value(changed: list[np.ndarray | None]) -> float:
        fresh = [None if a is None else Tensor(a.copy()) for a in changed]
        return float((apply(op, *fresh, **settings).data * r).sum(dtype=np.float64))

    worst = 0.0
    for i, tensor in enumerate(tensors):
        if tensor is None:
            continue
        d = rng.standard_normal(tensor.shape).astype(tensor.data.dtype)
        up, down = list(arrays), list(arrays)
        up[i], down[i] = arrays[i] + step * d, arrays[i] - step * d
        finite = (value(up) - value(down)) / (2 * step)
        ours = float((tensor.grad * d).sum())
        worst = max(worst, abs(ours - finite) / max(1.0, abs(ours), abs(finite)))
    return worst


Cases = dict[str, list[tuple[list[np.ndarray | None], dict[str, Any]]]]


def _cases() -> Cases:
    """Name of op → inputs and settings that reach each of its branches."""
    rng = np.random.default_rng(7)

    def a(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape)

    ids, at = rng.integers(0, 5, (2, 3)), np.tile(np.arange(3), (2, 1))
    cos, sin = rotary_rows(at, 4, 100.0)
    turn = {"cos": cos.astype(float), "sin": sin.astype(float), "heads": 2}
    here = {"offsets": np.zeros(2, int), "lengths": np.array([150, 97])}
    away_from_zero = a(3, 6)
    away_from_zero += np.sign(away_from_zero) * 0.1
    return {
        "ActiveLinear": [
            ([a(2, 3, 4), a(5, 4), a(5)], {"f": ops.GELU}),
            ([a(2, 3, 8), a(5, 4), None], {"f": ops.SwiGLU}),
        ],
        "Add": [([a(2, 3), a(2, 3)], {})],
        "Attention": [
            ([a(2, 150, 12)], {"heads": 2, "kv_heads": 1, "causal": True, **here}),
            ([a(2, 150, 12)], {"heads": 2, "kv_heads": 2, "causal": False, **here}),
        ],
        "Dropout": [([a(4, 5)], {"rate": 0.3, "key": 2**40 + 17})],
        "Embedding": [
            ([a(5, 4), a(3, 4)], {"ids": ids, "at": at}),
            ([a(5, 4), None], {"ids": ids, "at": at}),
        ],
        "GELU": [([a(3, 6)], {})],
        "LayerNorm": [
            ([a(3, 6), a(6), a(6)], {"eps": 1e-5}),
            ([a(2, 3, 6), a(6), None], {"eps": 1e-5}),
        ],
        "Linear": [([a(2, 3, 4), a(5, 4), a(5)], {}), ([a(3, 4), a(5, 4), None], {})],
        "LinearCrossEntropy": [
            ([a(40, 4), a(7, 4)], {"targets": np.arange(40) % 8 - 1, "scale": 0.2}),
        ],
        "QKNorm": [([a(2, 3, 12), a(2, 4)], {"eps": 1e-5})],
        "ReLU2": [([away_from_zero], {})],
        "RMSNorm": [([a(2, 3, 6), a(6)], {"eps": 1e-5})],
        "Rotary": [([a(2, 3, 12)], turn)],
        "ScaleBy": [([a(2, 3)], {"c": 1.7})],
        "Sigmoid": [([a(3, 4)], {})],
        "SwiGLU": [([a(2, 3, 8)], {})],
        "WeightedSum": [([np.array(2.0), np.array([3.0]), np.array(-1.0)], {"weights": (0.7, 2.0, -3.0)})],
        **_recall_cases(np.random.default_rng(8)),
        **_working_cases(np.random.default_rng(9)),
        **_ragged_cases(np.random.default_rng(10)),
    }


def _recall_cases(rng: np.random.Generator) -> Cases:
    """Cases of the episodic read: every mask, both forms, keys shared and keys of two lives."""

    def a(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape)

    scale, bias = np.array(2.0), a(2) - 0.5
    ok, cut = rng.uniform(0.2, 1, (2, 2, 5)), np.array([[5, 3], [0, 4]])
    first, g = rng.dirichlet(np.ones(6), (2, 2)), rng.uniform(0.2, 0.8, (2, 2))
    q, keys = a(2, 2, 3), a(2, 5, 3)
    words = np.array([[[3, 8, -1], [0, 1, 2], [8, 3, 3]], [[-1, -1, -1], [4, 5, -1], [9, 5, 4]]])
    rows = {"of": np.array([0, 3, 1, 2, 3]), "targets": np.array([3, 5, -1, 9, 4]), "words": words}
    heads = [a(5, 4), a(6, 4), a(5), a(5, 2, 3)]
    shares = [rng.dirichlet(np.ones(4), (2, 2)) for _ in range(2)]
    logs = [np.log(rng.dirichlet(np.ones(6), (2, 2))) for _ in range(3)]
    marks = {"evidence": rng.random((3, 2, 2, 6)) < 0.6, "every": np.array([[True, False], [False, True]])}
    return {
        "AsOf": [([a(2, 3, 4)], {"cuts": rng.integers(0, 8, (2, 3, 4)), "events": 7})],
        "Evidence": [
            (logs, {**marks, "scale": 0.7}),
            (logs[:1], {**marks, "evidence": marks["evidence"][:1]}),
        ],
        "Exp": [([a(3, 4)], {})],
        "Pointer": [([*heads, *shares], {**rows, "top": top, "scale": 3.0}) for top in (2, 9)],
        "StickRead": [
            ([q, keys, scale, bias], {}),
            ([q, keys[0], scale[None], bias], {"log": True, "repeat": 3.5}),
            ([q, keys, scale, bias, ok, g, first], {"cut": cut, "repeat": 2.0}),
            ([q, keys, a(2, 2), a(2, 2), ok], {"log": True, "repeat": 2.0}),
            ([q, keys, scale, bias, ok, g[0], first], {"log": True, "cut": None}),
        ],
    }


def _working_cases(rng: np.random.Generator) -> Cases:
    """Cases of KDA (rows of different lengths, more than a chunk) and DSA (all tokens, and picked ones)."""

    def a(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape)

    x, picked = a(2, 6, 16), np.sort(np.argsort(a(2, 6, 6))[..., :3]).astype(np.int32)
    picked[:, 0] = [0, -1, -1]
    index, seen = [a(2, 6, 6), a(2, 6, 3), a(2, 6, 2)], np.tile(np.arange(6) + 1, (2, 1))
    some = {"picked": picked, "shares": rng.dirichlet(np.ones(3), (2, 6)) * (picked >= 0)}
    gates = [-np.exp(a(2, 40, 6)), rng.uniform(0, 2, (2, 40, 2))]
    keys = a(2, 40, 20) * 0.6
    return {
        "Beside": [([np.array(2.0), np.array(3.0), np.array(-1.0)], {"weight": 0.7})],
        "DecayGate": [([a(2, 3, 6), a(2), a(6)], {})],
        "DeltaRule": [([keys, *gates], {"state": a(2, 2, 4, 3), "lengths": np.array([40, 5])})],
        "GatedNorm": [([a(2, 3, 8), a(2, 3, 8), a(4)], {"eps": 1e-5})],
        "IndexLoss": [
            (index, {"main": (x, 2, 1), "visible": np.minimum(seen, [[6], [4]])}),
            (
                index,
                {
                    "main": (x, 2, 1),
                    "visible": np.full((2, 6), 6),
                    "counted": rng.random((2, 6)) < 0.7,
                    **some,
                },
            ),
        ],
        "ShortConv": [([a(2, 6, 3), a(4, 3)], {"past": a(2, 3, 3)})],
        "SparseAttention": [([x], {"heads": 2, "kv_heads": 1, "picked": picked})],
        "Strength": [([a(3, 4)], {"most": 2.0})],
    }


def _ragged_cases(rng: np.random.Generator) -> Cases:
    """Cases of ragged data: an empty segment, a single token, longer ones; two lives of two questions."""

    def a(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape)

    ends, more = np.array([0, 1, 6, 8]), np.array([2, 4, 9, 11])
    index, ids = np.array([3, 0, 3, 7, 1]), np.array([2, 5, 2**61 + 9, 0, 2, 5])
    marks = np.array([[[0, 4], [3, -1], [4, 4]], [[-1, -1], [2, 0], [4, 1]]])
    recall = {
        "idx": np.array([[2, 3, 2], [1, 0, 2]]),
        "ends": ends,
        "length": 4,
        "marks": marks,
        "times": 1.5,
    }
    recalled = [a(8, 6), a(6, 6), a(2, 6), a(6, 6), a(1, 6)]
    spans = {"q_ends": ends, "k_ends": more, "heads": 2}
    return {
        "RaggedAttention": [
            ([a(8, 6), a(11, 12)], spans),
            ([a(8, 6), a(11, 12)], {**spans, "causal": False}),
            ([a(8, 6), a(8, 12)], {**spans, "k_ends": ends}),
        ],
        "RaggedConv": [([a(8, 3), a(3, 3)], {"ends": ends})],
        "RaggedPool": [([a(8, 2), a(8, 3)], {"ends": ends})],
        "Recalled": [([shares, *recalled], recall) for shares in (a(4, 4), a(2, 2, 4))],
        "Logistic": [([a(6)], {"labels": np.arange(6) % 3 == 0, "scale": 0.5, "shift": -0.3})],
        "Masked": [([a(3, 4)], {"mask": np.arange(4) % 2.0 + np.zeros((3, 1))})],
        "Column": [([a(3, 4)], {"at": 2})],
        "Reshape": [([a(3, 4)], {"shape": (2, 6)})],
        "Side": [([a(3, 4), a(3, 1)], {})],
        "SlotScores": [([a(5, 4), a(2, 3, 4)], {"of": np.array([1, 0, 0, 1, 1])})],
        "TakeRows": [([a(8, 3)], {"index": index})],
        "UnitRows": [([a(3, 4)], {})],
        "Weave": [([a(2, 3), a(2, 2, 3), a(2, 3)], {"index": index})],
        "WordVectors": [([a(5, 70), a(1), a(70)], {"ids": ids, "times": 1.5})],
    }


def check_all() -> dict[str, float]:
    """Op name → worst relative error over its cases; an op without a case is reported as infinite."""
    cases = _cases()
    errors = {}
    for op in ops.OPS:
        found = [check(op, arrays, settings) for arrays, settings in cases.get(op.__name__, [])]
        errors[op.__name__] = max(found, default=float("inf"))
    return errors


def demo() -> None:
    """One op, forward and backward, in the open."""
    x = Tensor(np.array([[1.0, -2.0, 3.0]]), requires_grad=True)
    y = apply(ops.ReLU2, x)
    backward(y)
    print("x     ", x.data, "\ny     ", y.data, "\ndy/dx ", x.grad)
