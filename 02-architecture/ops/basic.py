"""Addition, dropout and losses side by side: the ops that only move or mask numbers."""

import numpy as np

from chronos.architecture import kernels
from chronos.architecture.kernels.workspace import empty_like
from chronos.architecture.tape import Node, Op


class Add(Op):
    """y = a + b, equal shapes. Backward: da = db = dy. Saves nothing."""

    @staticmethod
    def forward(ctx: Node, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.add(a, b, out=empty_like(a))

    @staticmethod
    def backward(ctx: Node, grad: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return grad, grad


class Dropout(Op):
    """y = x · mask / (1 − rate), the mask a hash of (key, element). Backward: the same on dy."""

    @staticmethod
    def forward(ctx: Node, x: np.ndarray, *, rate: float, key: int) -> np.ndarray:
        ctx.saved.update(rate=rate, key=key)
        return kernels.dropout(x, rate, key)

    @staticmethod
    def backward(ctx: Node, grad: np.ndarray) -> tuple[np.ndarray]:
        return (kernels.dropout(grad, ctx.saved["rate"], ctx.saved["key"]),)


class Beside(Op):
    """y = a + weight · Σ others, all scalars: a loss and others beside it. Backward: dy, and dy · weight.

    With `shown` False the value is that of a alone, the slopes are the same. Saves how many others there are.
    """

    @staticmethod
    def forward(
        ctx: Node, a: np.ndarray, *others: np.ndarray, weight: float, shown: bool = True
    ) -> np.ndarray:
        ctx.saved.update(weight=weight, count=len(others))
        return np.asarray(a + a.dtype.type(weight) * sum(others) if shown else a.copy())

    @staticmethod
    def backward(ctx: Node, grad: np.ndarray) -> tuple[np.ndarray, ...]:
        other = grad * grad.dtype.type(ctx.saved["weight"])
        return (grad, *(other.copy() for _ in range(ctx.saved["count"])))
