"""The head and the cross-entropy in one op, so that no array of all logits ever exists."""

import numpy as np

from chronos.architecture import kernels
from chronos.architecture.kernels.workspace import empty, zeros
from chronos.architecture.products import add_product, prepared, product
from chronos.architecture.tape import Node, Op
from chronos.console import ChronosError

CHUNK_BYTES = 4 << 20  # logits at a time: they stay in cache between product and softmax


def chunk_rows(vocabulary: int) -> int:
    """Rows of logits that are worked on at once."""
    return max(16, CHUNK_BYTES // (4 * vocabulary))


class LinearCrossEntropy(Op):
    """Σ_r −log softmax(h_r Wᵀ)[target_r] · scale: h (…, D), W (E, D), targets (R,) → scalar, in nats.

    A negative target is left out. The gradients are known with the loss (softmax − one-hot), so forward
    computes them chunk by chunk (dh = g W, dW = gᵀ h) and backward only multiplies by dy. Saves dh and dW.
    """

    @staticmethod
    def forward(ctx: Node, h: np.ndarray, w: np.ndarray, *, targets: np.ndarray, scale: float) -> np.ndarray:
        shape, h = h.shape, h.reshape(-1, h.shape[-1])
        if targets.shape != (len(h),) or targets.max(initial=-1) >= len(w):  # a kernel would write beyond
            expected = f"{len(h)} ids below {len(w)}"
            got = f"shape {targets.shape}, up to {targets.max(initial=-1)}"
            raise ChronosError("targets do not fit the logits", expected=expected, got=got)
        dh = empty(h.shape, h.dtype) if ctx.needs[0] else None
        dw = zeros(w.shape, w.dtype) if ctx.needs[1] else None
        losses = empty(len(h), h.dtype)
        step = chunk_rows(len(w))
        out_of, into = prepared(w.T), prepared(w)  # for all chunks
        for start in range(0, len(h), step):
            part = slice(start, start + step)
            logits = product(h[part], out_of, empty((len(h[part]), len(w)), h.dtype))
            losses[part] = kernels.cross_entropy(logits, targets[part], scale)
            if dh is not None:
                product(logits, into, dh[part])
            if dw is not None:
                add_product(logits.T, h[part], dw)
        ctx.saved.update(dh=None if dh is None else dh.reshape(shape), dw=dw)
        return np.asarray(losses.sum(dtype=np.float64) * scale, h.dtype)

    @staticmethod
    def backward(ctx: Node, grad: np.ndarray) -> tuple[np.ndarray | None, ...]:
        grads = (ctx.saved["dh"], ctx.saved["dw"])
        for piece in grads:
            if piece is not None and grad != 1:
                piece *= grad
        return grads


class Logistic(Op):
    """Σ −log σ(±(x + shift)) · scale, in nats: x any shape, labels bool say which sign. Saves the slopes."""

    @staticmethod
    def forward(
        ctx: Node, x: np.ndarray, *, labels: np.ndarray, scale: float = 1.0, shift: float = 0.0
    ) -> np.ndarray:
        x = x + x.dtype.type(shift)
        turned = np.where(labels, -x, x)
        ctx.saved["slopes"] = (np.where(labels, -scale, scale) / (1 + np.exp(-turned))).astype(x.dtype)
        return np.asarray(np.logaddexp(0, turned).sum() * scale, x.dtype)

    @staticmethod
    def backward(ctx: Node, grad: np.ndarray) -> tuple[np.ndarray]:
        return (ctx.saved["slopes"] * grad,)
