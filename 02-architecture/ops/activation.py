"""Activations. Each saves its input and has the formula of its slope in its kernel."""

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
