"""Ops that move numbers: another shape, arrays side by side, one column, a mask; rows against their slots.

Nothing is learned here. `SlotScores` multiplies a row's vector with each slot of the question it belongs to.
"""

import numpy as np

from chronos.architecture import kernels
from chronos.architecture.ops.ragged import check_index
from chronos.architecture.tape import Node, Op
from chronos.console import ChronosError


class Reshape(Op):
    """The same numbers in another shape. Saves the shape they came in."""

    @staticmethod
    def forward(ctx: Node, x: np.ndarray, *, shape: tuple[int, ...]) -> np.ndarray:
        ctx.saved["shape"] = x.shape
        return x.reshape(shape)

    @staticmethod
    def backward(ctx: Node, grad: np.ndarray) -> tuple[np.ndarray]:
        return (grad.reshape(ctx.saved["shape"]),)


class Side(Op):
    """Arrays (n, D₁), (n, D₂), … next to each other: (n, D₁ + D₂ + …). Saves the widths."""

    @staticmethod
    def forward(ctx: Node, *xs: np.ndarray) -> np.ndarray:
        ctx.saved["edges"] = np.cumsum([x.shape[1] for x in xs])[:-1]
        return np.concatenate(xs, axis=1)

    @staticmethod
    def backward(ctx: Node, grad: np.ndarray) -> tuple[np.ndarray, ...]:
        return tuple(np.ascontiguousarray(part) for part in np.split(grad, ctx.saved["edges"], axis=1))


class Column(Op):
    """x (…, C) → x[…, at] (…). Saves the shape."""

    @staticmethod
    def forward(ctx: Node, x: np.ndarray, *, at: int) -> np.ndarray:
        ctx.saved.update(shape=x.shape, at=at)
        return np.ascontiguousarray(x[..., at])

    @staticmethod
    def backward(ctx: Node, grad: np.ndarray) -> tuple[np.ndarray]:
        d = np.zeros(ctx.saved["shape"], grad.dtype)
        d[..., ctx.saved["at"]] = grad
        return (d,)


class Masked(Op):
    """x · mask, elementwise; the mask is a setting of the same shape. Saves it."""

    @staticmethod
    def forward(ctx: Node, x: np.ndarray, *, mask: np.ndarray) -> np.ndarray:
        ctx.saved["mask"] = mask
        return x * mask

    @staticmethod
    def backward(ctx: Node, grad: np.ndarray) -> tuple[np.ndarray]:
        return (grad * ctx.saved["mask"],)


class SlotScores(Op):
    """q (R, D) against the slots k (n, S, D) of its own question, of (R,): (R, S), q_r · k_of(r),s / √D.

    Saves q, k and `of`. ChronosError where shapes or numbers do not fit.
    """

    @staticmethod
    def forward(ctx: Node, q: np.ndarray, k: np.ndarray, *, of: np.ndarray) -> np.ndarray:
        if q.ndim != 2 or k.ndim != 3 or k.shape[2] != q.shape[1] or of.shape != (len(q),):
            got = f"{q.shape}, {k.shape}, {of.shape}"
            raise ChronosError("SlotScores needs q (R, D), k (n, S, D) and of (R,)", got=got)
        check_index("SlotScores", "of", of, len(k))
        ctx.saved.update(q=q, k=k, of=of)
        return np.matmul(k[of], q[:, :, None])[:, :, 0] * q.dtype.type(q.shape[1] ** -0.5)

    @staticmethod
    def backward(ctx: Node, grad: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        q, k, of = ctx.saved["q"], ctx.saved["k"], ctx.saved["of"]
        d = grad * q.dtype.type(q.shape[1] ** -0.5)
        dq = np.matmul(d[:, None], k[of])[:, 0]
        outer = (d[:, :, None] * q[:, None]).reshape(len(q), -1)
        dk = np.zeros((len(k), outer.shape[1]), q.dtype)
        kernels.embedding_backward(outer, of, dk)
        return dq, dk.reshape(k.shape)
