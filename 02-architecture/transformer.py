"""The Transformer: pre-norm blocks of attention and feed-forward around a residual stream.

A stack knows nothing of tokens, losses or files; stage 04 assembles the model around it.
"""

import numpy as np

from chronos.architecture import ops
from chronos.architecture.attention import KeyValueCache, SelfAttention, Where, rotary_rows
from chronos.architecture.config import TransformerConfig
from chronos.architecture.layers import DropoutPlan, Linear, Module, Norm, Taps, normal
from chronos.architecture.tape import Tensor, apply

INIT_STD = 0.02  # GPT-2's; projections into the residual stream are divided by √(2·layers)
ACTIVATION_OPS = {"gelu": ops.GELU, "relu2": ops.ReLU2, "swiglu": ops.SwiGLU}


class FeedForward(Module):
    """(B, T, D) → (B, T, D) through width F: SwiGLU, ReLU² or GELU."""

    def __init__(self, c: TransformerConfig):
        twice = 2 if c.activation == "swiglu" else 1
        self.up = Linear(c.width, twice * c.ffn_width, c.bias)
        self.down = Linear(c.ffn_width, c.width, c.bias)
        self.op = ACTIVATION_OPS[c.activation]

    def __call__(self, x: Tensor, dropout: DropoutPlan | None) -> Tensor:
        y = self.down(apply(self.op, self.up(x)))
        return dropout(y) if dropout else y


class Block(Module):
    """x + attention(norm(x)), then x + feed-forward(norm(x))."""

    def __init__(self, c: TransformerConfig):
        biased = c.bias or c.norm_bias
        self.norm1 = Norm(c.norm, c.width, biased, c.norm_eps)
        self.attention = SelfAttention(c)
        self.norm2 = Norm(c.norm, c.width, biased, c.norm_eps)
        self.ffn = FeedForward(c)

    def __call__(
        self, x: Tensor, where: Where, cache: KeyValueCache | None,
        dropout: DropoutPlan | None, taps: Taps, name: str,
    ) -> Tensor:  # fmt: skip
        mixed = taps.visit(f"{name}.attention", self.attention(self.norm1(x), where, cache, dropout))
        x = apply(ops.Add, x, mixed)
        fed = taps.visit(f"{name}.ffn", self.ffn(self.norm2(x), dropout))
        return taps.visit(f"{name}.out", apply(ops.Add, x, fed))


class Stack(Module):
    """All blocks and the last norm: (B, T, D) → (B, T, D)."""

    def __init__(self, c: TransformerConfig):
        self.config = c
        self.block = [Block(c) for _ in range(c.layers)]
        self.norm = Norm(c.norm, c.width, c.bias or c.norm_bias, c.norm_eps)

    def __call__(
        self, x: Tensor, where: Where, caches: list[KeyValueCache] | None,
        dropout: DropoutPlan | None, taps: Taps,
    ) -> Tensor:  # fmt: skip
        c = self.config
        if c.positions == "rotary":
            where.cos, where.sin = rotary_rows(where.at, c.head_width, c.rope_base)
        for i, block in enumerate(self.block):
            x = block(x, where, caches[i] if caches else None, dropout, taps, f"block.{i}")
        return self.norm(x)


def initialize(module: Module, layers: int, seed: int) -> None:
    """Fill every matrix with Gaussian numbers; gains stay 1 and biases 0."""
    for name, tensor in module.parameters().items():
        if name.endswith(("gain", "bias")) or tensor.data.ndim < 2:
            continue
        into_stream = name.endswith(("attention.out.weight", "ffn.down.weight"))
        std = INIT_STD / np.sqrt(2 * layers) if into_stream else INIT_STD
        tensor.data[...] = normal(tensor.shape, std, seed, name)
