"""Ops on ragged data: sentences of any length lie end to end in one flat array, and nothing is padded.

Tokens (n, D) come with `ends` (S,) int64, ends[s] the first token beyond segment s; segments may be empty.
No op here knows what a segment stands for. Kernels and formulas are in `kernels/ragged_plain.py`.
"""

import numpy as np

from chronos.architecture import kernels
from chronos.architecture.kernels.workspace import empty, zeros
from chronos.architecture.tape import Node, Op
from chronos.console import ChronosError

NORM_EPS = 1e-12  # under the root of a norm: a row of zeros stays zero


class RaggedAttention(Op):
    """Attention within each segment: q (n, D), kv (m, 2D), all heads' keys, then their values → (n, D).

        o_i = Σ_j softmax_j(q_i · k_j / √K) v_j, a head of width K = D/heads at a time

    Settings: q_ends and k_ends (S,), heads. Query i of a segment with nq queries and nk ≥ nq keys sees keys
    0 … nk − nq + i if `causal` (its own tokens stand last), else all of them; with none to see, o is 0.
    Saves q, kv, o and the logarithm of each row's sum, so that no scores are kept. ChronosError where shapes
    or ends do not fit.
    """

    @staticmethod
    def forward(
        ctx: Node, q: np.ndarray, kv: np.ndarray, *, q_ends: np.ndarray, k_ends: np.ndarray, heads: int,
        causal: bool = True,
    ) -> np.ndarray:  # fmt: skip
        _check_attention(q, kv, q_ends, k_ends, heads, causal)
        o, lse = kernels.ragged_attention(q, kv, q_ends, k_ends, heads, causal)
        ctx.saved.update(inputs=(q, kv, q_ends, k_ends, heads, causal, o, lse))
        return o

    @staticmethod
    def backward(ctx: Node, grad: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return kernels.ragged_attention_backward(grad, *ctx.saved["inputs"])


class RaggedConv(Op):
    """y_t = x_t + w_0 x_{t−1} + ½ w_1 x_{t−2} + ¼ w_2 x_{t−3}, a channel at a time, within a segment.

    x (n, D), w (3, D) → (n, D); setting ends (S,). What lies before a segment counts as 0. The factors are
    part of the definition: with weights of one size, nearer tokens say more. Saves x and w.
    """

    @staticmethod
    def forward(ctx: Node, x: np.ndarray, w: np.ndarray, *, ends: np.ndarray) -> np.ndarray:
        check_ends("RaggedConv", "ends", ends, _rows("RaggedConv", "x", x))
        _fits("RaggedConv", "w", w, (3, x.shape[1]))
        ctx.saved.update(x=x, w=w, ends=ends)
        return kernels.ragged_conv(x, w, ends)

    @staticmethod
    def backward(ctx: Node, grad: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return kernels.ragged_conv_backward(grad, ctx.saved["x"], ctx.saved["w"], ctx.saved["ends"])


class RaggedPool(Op):
    """P weighted means of each segment: scores (n, P), x (n, D) → (S, P, D), weights softmax of the scores.

    Setting ends (S,). An empty segment gives 0. Saves the weights and x.
    """

    @staticmethod
    def forward(ctx: Node, scores: np.ndarray, x: np.ndarray, *, ends: np.ndarray) -> np.ndarray:
        n = _rows("RaggedPool", "x", x)
        check_ends("RaggedPool", "ends", ends, n)
        _fits("RaggedPool", "scores", scores, (n, scores.shape[-1] if scores.ndim else 1))
        y, p = kernels.ragged_pool(scores, x, ends)
        ctx.saved.update(p=p, x=x, ends=ends)
        return y

    @staticmethod
    def backward(ctx: Node, grad: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return kernels.ragged_pool_backward(grad, ctx.saved["p"], ctx.saved["x"], ctx.saved["ends"])


class TakeRows(Op):
    """y = x[index]: x (n, D), index (m,) int64, repeats allowed → (m, D).

    Backward adds rows of dy where they came from, in order. Saves the shape and the index.
    """

    @staticmethod
    def forward(ctx: Node, x: np.ndarray, *, index: np.ndarray) -> np.ndarray:
        check_index("TakeRows", "index", index, _rows("TakeRows", "x", x))
        ctx.saved.update(shape=x.shape, index=index)
        return take(x, index)

    @staticmethod
    def backward(ctx: Node, grad: np.ndarray) -> tuple[np.ndarray]:
        return (put_back(grad, ctx.saved["index"], ctx.saved["shape"]),)


class Weave(Op):
    """Rows of several arrays in a new order: (m, D), row i the index[i]-th of all of them one after another.

    Arrays (…, D) count as rows (−1, D); index (m,) int64, repeats allowed. Backward as `TakeRows`. Saves the
    shapes and the index.
    """

    @staticmethod
    def forward(ctx: Node, *xs: np.ndarray, index: np.ndarray) -> np.ndarray:
        if not xs or any(x.ndim < 2 or x.shape[-1] != xs[0].shape[-1] for x in xs):
            raise ChronosError("Weave needs arrays (…, D) of one width", got=[x.shape for x in xs])
        flat = [x.reshape(-1, x.shape[-1]) for x in xs]
        total = sum(map(len, flat))
        check_index("Weave", "index", index, total)
        ctx.saved.update(shapes=[x.shape for x in xs], counts=[len(x) for x in flat], index=index)
        return take(np.concatenate(flat, out=empty((total, flat[0].shape[1]), xs[0].dtype)), index)

    @staticmethod
    def backward(ctx: Node, grad: np.ndarray) -> tuple[np.ndarray, ...]:
        counts, shapes = ctx.saved["counts"], ctx.saved["shapes"]
        d = put_back(grad, ctx.saved["index"], (sum(counts), grad.shape[1]))
        pieces = np.split(d, np.cumsum(counts)[:-1])
        return tuple(piece.reshape(shape) for piece, shape in zip(pieces, shapes, strict=True))


class UnitRows(Op):
    """y = x/√(‖x‖² + 1e-12) along the last axis: rows of unit length. Saves y and one over the length."""

    @staticmethod
    def forward(ctx: Node, x: np.ndarray) -> np.ndarray:
        over = 1 / np.sqrt(np.einsum("...d,...d->...", x, x)[..., None] + x.dtype.type(NORM_EPS))
        ctx.saved.update(y=x * over, over=over)
        return ctx.saved["y"]

    @staticmethod
    def backward(ctx: Node, grad: np.ndarray) -> tuple[np.ndarray]:
        y = ctx.saved["y"]
        return ((grad - y * np.einsum("...d,...d->...", grad, y)[..., None]) * ctx.saved["over"],)


def take(x: np.ndarray, index: np.ndarray) -> np.ndarray:
    """x[index] for rows (n, D) and an index that has been checked."""
    return np.take(x, index, axis=0, out=empty((len(index), x.shape[1]), x.dtype), mode="clip")


def put_back(dy: np.ndarray, index: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Rows of dy added where `take` read them, in an array of that shape."""
    d = zeros(shape, dy.dtype)
    kernels.embedding_backward(dy, index, d)
    return d


def check_ends(op: str, name: str, ends: np.ndarray, total: int) -> None:
    """ChronosError unless ends (S,) int64 never fall, begin at 0 or later and stop at `total` rows."""
    if ends.ndim != 1 or ends.dtype != np.int64:
        raise ChronosError(
            f"{op}: {name} does not fit", expected="(S,) int64", got=f"{ends.shape} {ends.dtype}"
        )
    last = int(ends[-1]) if len(ends) else 0
    if last != total:
        raise ChronosError(f"{op}: {name} do not stop where the rows do", expected=total, got=last)
    if len(ends) and (lengths := lengths_of(ends)).min() < 0:
        raise ChronosError(f"{op}: {name} fall", where=f"segment {int(lengths.argmin())}")


def lengths_of(ends: np.ndarray) -> np.ndarray:
    """(S,): how many rows each segment has."""
    lengths = ends.copy()
    lengths[1:] -= ends[:-1]
    return lengths


def check_index(op: str, name: str, index: np.ndarray, total: int) -> None:
    """ChronosError unless index holds int64 numbers of 0 … total − 1, along one axis."""
    if index.ndim != 1 or index.dtype != np.int64:
        got = f"{index.shape} {index.dtype}"
        raise ChronosError(f"{op}: {name} does not fit", expected="(m,) int64", got=got)
    if len(index) and (index.min() < 0 or index.max() >= total):
        got = f"{index.min()} … {index.max()}"
        raise ChronosError(f"{op}: {name} names no row", expected=f"0 … {total - 1}", got=got)


def _rows(op: str, name: str, x: np.ndarray) -> int:
    if x.ndim != 2:
        raise ChronosError(f"{op}: {name} does not fit", expected="(n, D)", got=x.shape)
    return len(x)


def _fits(op: str, name: str, x: np.ndarray, shape: tuple[int, ...]) -> None:
    if x.shape != shape:
        raise ChronosError(f"{op}: {name} does not fit", expected=shape, got=x.shape)


def _check_attention(q, kv, q_ends, k_ends, heads: int, causal: bool) -> None:
    op = "RaggedAttention"
    n, m = _rows(op, "q", q), _rows(op, "kv", kv)
    if heads < 1 or q.shape[1] % heads:
        raise ChronosError(
            f"{op}: heads do not divide the width", expected=f"divisor of {q.shape[1]}", got=heads
        )
    _fits(op, "kv", kv, (m, 2 * q.shape[1]))
    check_ends(op, "q_ends", q_ends, n)
    check_ends(op, "k_ends", k_ends, m)
    _fits(op, "k_ends", k_ends, q_ends.shape)
    short = lengths_of(k_ends) - lengths_of(q_ends)
    if causal and short.size and short.min() < 0:
        raise ChronosError(f"{op}: fewer keys than queries", where=f"segment {int(short.argmin())}")
