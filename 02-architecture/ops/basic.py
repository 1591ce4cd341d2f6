"""Addition, scaling, dropout and sums of losses: the ops that only move, weigh or mask numbers."""

from collections.abc import Sequence

import numpy as np

from chronos.architecture import kernels
from chronos.architecture.kernels.workspace import empty_like
from chronos.architecture.tape import Node, Op
from chronos.console import ChronosError


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


class ScaleBy(Op):
    """y = c · x for a setting c; any shape. Backward: dx = c · dy. Saves c."""

    @staticmethod
    def forward(ctx: Node, x: np.ndarray, *, c: float) -> np.ndarray:
        ctx.saved["c"] = x.dtype.type(c)
        return np.multiply(x, ctx.saved["c"], out=empty_like(x))

    @staticmethod
    def backward(ctx: Node, grad: np.ndarray) -> tuple[np.ndarray]:
        return (np.multiply(grad, ctx.saved["c"], out=empty_like(grad)),)


class WeightedSum(Op):
    """y = Σ weights[i] · x_i of scalars: the terms of a loss. Backward: dx_i = weights[i] · dy.

    Saves the weights. ChronosError unless there is one for each term, and each term is one number.
    """

    @staticmethod
    def forward(ctx: Node, *terms: np.ndarray, weights: Sequence[float]) -> np.ndarray:
        if len(weights) != len(terms) or any(term.size != 1 for term in terms):
            got = f"{len(weights)} weights, terms {[term.shape for term in terms]}"
            raise ChronosError("WeightedSum needs scalars and a weight each", got=got)
        ctx.saved.update(weights=weights, shapes=[term.shape for term in terms])
        total = sum(float(term.item()) * weight for term, weight in zip(terms, weights, strict=True))
        return np.asarray(total, terms[0].dtype)

    @staticmethod
    def backward(ctx: Node, grad: np.ndarray) -> tuple[np.ndarray, ...]:
        pairs = zip(ctx.saved["weights"], ctx.saved["shapes"], strict=True)
        return tuple(np.full(shape, grad * grad.dtype.type(weight), grad.dtype) for weight, shape in pairs)
