"""Linear layers and embeddings: where the parameters are, and nearly all the arithmetic.

The products are `products.py`'s: native's or BLAS's, at the hardware's limit for the sizes of training.
"""

import numpy as np

from chronos.architecture import kernels
from chronos.architecture.kernels.workspace import empty, zeros
from chronos.architecture.products import Factor, kept, product
from chronos.architecture.tape import Node, Op


class Linear(Op):
    """y = x Wᵀ + b: x (…, I), W (O, I), b (O,) or None → (…, O).

    Backward: dx = dy W, dW = dyᵀ x, db = Σ dy. Saves W, and x as dW needs it: rounded, if it will be.
    """

    @staticmethod
    def forward(ctx: Node, x: np.ndarray, w: np.ndarray, b: np.ndarray | None) -> np.ndarray:
        y = _linear(x, w, b)
        ctx.saved.update(x=kept(_rows(x)) if ctx.needs[1] else None, w=w)
        return y

    @staticmethod
    def backward(ctx: Node, grad: np.ndarray) -> tuple[np.ndarray | None, ...]:
        x, w = ctx.saved["x"], ctx.saved["w"]
        dx = _input_slopes(grad, w) if ctx.needs[0] else None
        return dx, *_weight_slopes(ctx, grad, x, w)


class ActiveLinear(Op):
    """y = f(x) Wᵀ + b for an activation f (an op): x as f takes it, W (O, I), b (O,) or None → (…, O).

    The same bits as f and then Linear. Saves x and W: f(x), nearly as large, is computed again in backward.
    """

    @staticmethod
    def forward(ctx: Node, x: np.ndarray, w: np.ndarray, b: np.ndarray | None, *, f: type[Op]) -> np.ndarray:
        ctx.saved.update(x=x, w=w, f=f)
        return _linear(f.forward(Node(f, (), ()), x), w, b)

    @staticmethod
    def backward(ctx: Node, grad: np.ndarray) -> tuple[np.ndarray | None, ...]:
        x, w, f = (ctx.saved[name] for name in ("x", "w", "f"))
        inner = Node(f, (), ())
        slopes = _weight_slopes(ctx, grad, _rows(f.forward(inner, x)), w)  # before the next large arrays
        dx = f.backward(inner, _input_slopes(grad, w))[0] if ctx.needs[0] else None
        return dx, *slopes


def _rows(x: np.ndarray) -> np.ndarray:
    return x.reshape(-1, x.shape[-1])


def _linear(x: np.ndarray, w: np.ndarray, b: np.ndarray | None) -> np.ndarray:
    y = empty((*x.shape[:-1], len(w)), x.dtype)
    product(_rows(x), w.T, y.reshape(-1, len(w)))
    if b is not None:
        y += b
    return y


def _input_slopes(grad: np.ndarray, w: np.ndarray) -> np.ndarray:
    """dx = dy W."""
    dx = empty((*grad.shape[:-1], w.shape[1]), grad.dtype)
    product(_rows(grad), w, dx.reshape(-1, w.shape[1]))
    return dx


def _weight_slopes(
    ctx: Node, grad: np.ndarray, x: Factor, w: np.ndarray
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """dW = dyᵀ x and db = Σ dy, where they are wanted."""
    dy = _rows(grad)
    dw = product(dy.T, x, empty(w.shape, dy.dtype)) if ctx.needs[1] else None
    return dw, np.ones(len(dy), dy.dtype) @ dy if ctx.needs[2] else None


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
