"""Normalizations and rotary positions: cheap row-wise ops that keep deep stacks trainable."""

import numpy as np

from chronos.architecture import kernels
from chronos.architecture.tape import Node, Op


class LayerNorm(Op):
    """y = (x − μ)/√(σ² + eps) · w + b over the last axis; x (…, D), b (D,) or None. Saves x, μ, 1/√."""

    @staticmethod
    def forward(ctx: Node, x: np.ndarray, w: np.ndarray, b: np.ndarray | None, *, eps: float) -> np.ndarray:
        y, mean, rstd = kernels.layer_norm(x.reshape(-1, x.shape[-1]), w, b, eps)
        ctx.saved.update(x=x, w=w, mean=mean, rstd=rstd)
        return y.reshape(x.shape)

    @staticmethod
    def backward(ctx: Node, grad: np.ndarray) -> tuple[np.ndarray | None, ...]:
        x, w = ctx.saved["x"], ctx.saved["w"]
        rows = (-1, x.shape[-1])
        dx, dw, db = kernels.layer_norm_backward(
            grad.reshape(rows), x.reshape(rows), w, ctx.saved["mean"], ctx.saved["rstd"]
        )
        return dx.reshape(x.shape), dw, db


class RMSNorm(Op):
    """y = x/√(mean x² + eps) · w over the last axis; x (…, D), w (D,). Saves x and 1/√."""

    @staticmethod
    def forward(ctx: Node, x: np.ndarray, w: np.ndarray, *, eps: float) -> np.ndarray:
        y, rstd = kernels.rms_norm(x.reshape(-1, x.shape[-1]), w, eps)
        ctx.saved.update(x=x, w=w, rstd=rstd)
        return y.reshape(x.shape)

    @staticmethod
    def backward(ctx: Node, grad: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        x, w = ctx.saved["x"], ctx.saved["w"]
        rows = (-1, x.shape[-1])
        dx, dw = kernels.rms_norm_backward(grad.reshape(rows), x.reshape(rows), w, ctx.saved["rstd"])
        return dx.reshape(x.shape), dw


class QKNorm(Op):
    """RMSNorm over each query and key head: x (B, T, H·K) of packed heads, gain (H', K). Saves x and 1/√.

    The first H' heads are queries and keys; values, which follow, pass (Henry et al. 2020).
    """

    @staticmethod
    def forward(ctx: Node, x: np.ndarray, gain: np.ndarray, *, eps: float) -> np.ndarray:
        heads = x.reshape(-1, x.shape[-1] // gain.shape[1], gain.shape[1])
        y, rstd = kernels.qk_norm(heads, gain, eps)
        ctx.saved.update(x=heads, gain=gain, rstd=rstd)
        return y.reshape(x.shape)

    @staticmethod
    def backward(ctx: Node, grad: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        x = ctx.saved["x"]
        dx, dw = kernels.qk_norm_backward(grad.reshape(x.shape), x, ctx.saved["gain"], ctx.saved["rstd"])
        return dx.reshape(grad.shape), dw


class Rotary(Op):
    """Turn query and key heads by their position: x (B, T, H·K), cos and sin (B·T, K/2). Saves cos, sin.

    Backward is the turn back, a rotation's transpose.
    """

    @staticmethod
    def forward(ctx: Node, x: np.ndarray, *, cos: np.ndarray, sin: np.ndarray, heads: int) -> np.ndarray:
        ctx.saved.update(cos=cos, sin=sin, heads=heads)
        rows = x.reshape(len(cos), -1, 2 * cos.shape[1])
        return kernels.rotary(rows, cos, sin, heads).reshape(x.shape)

    @staticmethod
    def backward(ctx: Node, grad: np.ndarray) -> tuple[np.ndarray]:
        cos, sin, heads = ctx.saved["cos"], ctx.saved["sin"], ctx.saved["heads"]
        rows = grad.reshape(len(cos), -1, 2 * cos.shape[1])
        return (kernels.rotary(rows, cos, -sin, heads).reshape(grad.shape),)
