"""Kimi Delta Attention as ops: the short convolution, the decay, the delta rule and the gated norm.

What reaches back before this call (the last inputs, the state) comes in as a setting, so gradients stop
there. The formulas are in `kernels/kda_plain.py`; the layer that joins the ops is `kda.py`.
"""

from typing import Any

import numpy as np

from chronos.architecture import kernels
from chronos.architecture.tape import Node, Op


class ShortConv(Op):
    """y = SiLU of each channel's causal convolution: x (B, T, F), w (W, F), past (B, W − 1, F). Saves all."""

    @staticmethod
    def forward(ctx: Node, x: np.ndarray, w: np.ndarray, *, past: np.ndarray) -> np.ndarray:
        ctx.saved.update(x=x, w=w, past=past)
        return kernels.short_conv(x, w, past)

    @staticmethod
    def backward(ctx: Node, grad: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return kernels.short_conv_backward(grad, ctx.saved["x"], ctx.saved["w"], ctx.saved["past"])


class DecayGate(Op):
    """g = −e^rate · softplus(x + bias): x (B, T, H·K), rate (H,), bias (H·K,). Saves x."""

    @staticmethod
    def forward(ctx: Node, x: np.ndarray, rate: np.ndarray, bias: np.ndarray) -> np.ndarray:
        rows = x.reshape(-1, x.shape[-1])
        ctx.saved.update(x=rows, rate=rate, bias=bias)
        return kernels.decay_gate(rows, rate, bias).reshape(x.shape)

    @staticmethod
    def backward(ctx: Node, grad: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        x, rate, bias = (ctx.saved[name] for name in ("x", "rate", "bias"))
        dx, drate, dbias = kernels.decay_gate_backward(grad.reshape(x.shape), x, rate, bias)
        return dx.reshape(grad.shape), drate, dbias


class Strength(Op):
    """β = most · σ(x), any shape: how much of what a key held is taken away. Saves σ(x)."""

    @staticmethod
    def forward(ctx: Node, x: np.ndarray, *, most: float) -> np.ndarray:
        ctx.saved.update(s=kernels.kda_plain.sigmoid(x), most=most)
        return ctx.saved["s"] * x.dtype.type(most)

    @staticmethod
    def backward(ctx: Node, grad: np.ndarray) -> tuple[np.ndarray]:
        s = ctx.saved["s"]
        return (grad * s * (1 - s) * grad.dtype.type(ctx.saved["most"]),)


class DeltaRule(Op):
    """S ← (I − β k kᵀ) Diag(eᵍ) S + β k vᵀ, o = Sᵀ q: x (B, T, H(2K + V)), g (B, T, H·K), β (B, T, H).

    → (B, T, H·V). `state` (B, H, V, K) holds Sᵀ at the start; `lengths` (B,) says how many tokens of a row
    are real. The state behind them is put into the mapping `after` under "delta". Saves the inputs and a
    state a chunk.
    """

    @staticmethod
    def forward(
        ctx: Node, x: np.ndarray, g: np.ndarray, beta: np.ndarray, *, state: np.ndarray,
        lengths: np.ndarray, after: dict[str, Any] | None = None,
    ) -> np.ndarray:  # fmt: skip
        o, last, starts = kernels.kda(x, g, beta, lengths, state)
        ctx.saved.update(x=x, g=g, beta=beta, lengths=lengths, starts=starts)
        if after is not None:
            after["delta"] = last
        return o

    @staticmethod
    def backward(ctx: Node, grad: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return kernels.kda_backward(grad, *(ctx.saved[n] for n in ("x", "g", "beta", "lengths", "starts")))


class GatedNorm(Op):
    """y = σ(z) ⊙ RMSNorm(x) · w over each head: x and z (B, T, H·V), w (V,). Saves x, z and 1/√."""

    @staticmethod
    def forward(ctx: Node, x: np.ndarray, z: np.ndarray, w: np.ndarray, *, eps: float) -> np.ndarray:
        rows, gates = x.reshape(-1, len(w)), z.reshape(-1, len(w))
        y, rstd = kernels.gated_norm(rows, gates, w, eps)
        ctx.saved.update(x=rows, z=gates, w=w, rstd=rstd)
        return y.reshape(x.shape)

    @staticmethod
    def backward(ctx: Node, grad: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        x, z, w, rstd = (ctx.saved[name] for name in ("x", "z", "w", "rstd"))
        dx, dz, dw = kernels.gated_norm_backward(grad.reshape(x.shape), x, z, w, rstd)
        return dx.reshape(grad.shape), dz.reshape(grad.shape), dw
