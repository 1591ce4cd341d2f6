"""Activations. Each saves what its slope is had from: its input, and the sigmoid its output."""

import numpy as np

from chronos.architecture import kernels
from chronos.architecture.tape import Node, Op


class GELU(Op):
    """y = GELU(x), tanh form; any shape."""

    @staticmethod
    def forward(ctx: Node, x: np.ndarray) -> np.ndarray:
        ctx.saved["x"] = x
        return kernels.gelu(x)

    @staticmethod
    def backward(ctx: Node, grad: np.ndarray) -> tuple[np.ndarray]:
        return (kernels.gelu_backward(grad, ctx.saved["x"]),)


class ReLU2(Op):
    """y = max(x, 0)²; any shape."""

    @staticmethod
    def forward(ctx: Node, x: np.ndarray) -> np.ndarray:
        ctx.saved["x"] = x
        return kernels.relu2(x)

    @staticmethod
    def backward(ctx: Node, grad: np.ndarray) -> tuple[np.ndarray]:
        return (kernels.relu2_backward(grad, ctx.saved["x"]),)


class Sigmoid(Op):
    """y = 1/(1 + e^−x); any shape. Backward: dx = dy·y·(1 − y)."""

    @staticmethod
    def forward(ctx: Node, x: np.ndarray) -> np.ndarray:
        ctx.saved["y"] = kernels.kda_plain.sigmoid(x)
        return ctx.saved["y"]

    @staticmethod
    def backward(ctx: Node, grad: np.ndarray) -> tuple[np.ndarray]:
        y = ctx.saved["y"]
        return (grad * y * (1 - y),)


class SwiGLU(Op):
    """y = SiLU(g) · u for x = [g | u]: (…, 2F) → (…, F)."""

    @staticmethod
    def forward(ctx: Node, x: np.ndarray) -> np.ndarray:
        ctx.saved["x"] = x
        y = kernels.swiglu(x.reshape(-1, x.shape[-1]))
        return y.reshape(*x.shape[:-1], -1)

    @staticmethod
    def backward(ctx: Node, grad: np.ndarray) -> tuple[np.ndarray]:
        x = ctx.saved["x"]
        dx = kernels.swiglu_backward(grad.reshape(-1, grad.shape[-1]), x.reshape(-1, x.shape[-1]))
        return (dx.reshape(x.shape),)
