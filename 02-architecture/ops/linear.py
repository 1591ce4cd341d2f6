"""Linear layers and embeddings: where the parameters are, and nearly all the arithmetic.

The products are `products.py`'s: native's or BLAS's, at the hardware's limit for the sizes of training.
"""

import numpy as np

from chronos.architecture import kernels
from chronos.architecture.kernels.workspace import empty, zeros
from chronos.architecture.products import kept, product
from chronos.architecture.tape import Node, Op


class Linear(Op):
    """y = x Wᵀ + b: x (…, I), W (O, I), b (O,) or None → (…, O).

    Backward: dx = dy W, dW = dyᵀ x, db = Σ dy. Saves W, and x as dW needs it: rounded, if it will be.
    """

    @staticmethod
    def forward(ctx: Node, x: np.ndarray, w: np.ndarray, b: np.ndarray | None) -> np.ndarray:
        y, rows = empty((*x.shape[:-1], len(w)), x.dtype), x.reshape(-1, x.shape[-1])
        product(rows, w.T, y.reshape(-1, len(w)))
        ctx.saved.update(x=kept(rows) if ctx.needs[1] else None, w=w)
        if b is not None:
            y += b
        return y

    @staticmethod
    def backward(ctx: Node, grad: np.ndarray) -> tuple[np.ndarray | None, ...]:
        x, w = ctx.saved["x"], ctx.saved["w"]
        dy = grad.reshape(-1, grad.shape[-1])
        dx = dw = db = None
        if ctx.needs[0]:
            dx = product(dy, w, empty((len(dy), w.shape[1]), dy.dtype)).reshape(*grad.shape[:-1], w.shape[1])
        if ctx.needs[1]:
            dw = product(dy.T, x, empty(w.shape, dy.dtype))
        if ctx.needs[2]:
            db = np.ones(len(dy), dy.dtype) @ dy
        return dx, dw, db


class Embedding(Op):
    """y = table[ids] + positions[at]: ids and at (B, T), table (E, D), positions (P, D) or None → (B, T, D).

    Backward: rows of dy are added to the rows that they came from. Saves ids and at.
    """

    @staticmethod
    def forward(
        ctx: Node, table: np.ndarray, positions: np.ndarray | None, *, ids: np.ndarray, at: np.ndarray
    ) -> np.ndarray:
        ctx.saved.update(ids=ids.reshape(-1), at=at.reshape(-1), table=table, positions=positions)
        y = empty((*ids.shape, table.shape[1]), table.dtype)
        np.take(table, ids, axis=0, out=y, mode="clip")  # the model has checked the range
        if positions is not None:
            y += positions[at]
        return y

    @staticmethod
    def backward(ctx: Node, grad: np.ndarray) -> tuple[np.ndarray | None, ...]:
        dy = grad.reshape(-1, grad.shape[-1])
        grads: list[np.ndarray | None] = []
        for i, (name, rows) in enumerate((("table", "ids"), ("positions", "at"))):
            grads.append(None)
            if ctx.needs[i]:
                grads[i] = zeros(ctx.saved[name].shape, dy.dtype)
                kernels.embedding_backward(dy, ctx.saved[rows], grads[i])
        return tuple(grads)
