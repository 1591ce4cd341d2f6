"""The Transformer: pre-norm blocks of attention, KDA or DSA, and feed-forward, around a residual stream.

A stack knows nothing of tokens, losses or files; stage 04 assembles the model around it.
"""

from collections.abc import Iterator

import numpy as np

from chronos.architecture import ops
from chronos.architecture.attention import KeyValueCache, SelfAttention, Where, rotary_rows
from chronos.architecture.config import TransformerConfig
from chronos.architecture.dsa import DsaMixer
from chronos.architecture.kda import KdaMixer, Recurrence
from chronos.architecture.layers import DropoutPlan, Linear, Module, Norm, Taps, normal
from chronos.architecture.tape import Tensor, apply

INIT_STD = 0.02  # GPT-2's; projections into the residual stream are divided by √(2·layers)
ACTIVATION_OPS = {"gelu": ops.GELU, "relu2": ops.ReLU2, "swiglu": ops.SwiGLU}
MIXERS = {"attention": SelfAttention, "kda": KdaMixer, "dsa": DsaMixer}
Memory = KeyValueCache | Recurrence  # what a block keeps between two calls


class FeedForward(Module):
    """(B, T, D) → (B, T, D) through width F: SwiGLU, ReLU² or GELU."""

    def __init__(self, c: TransformerConfig):
        twice = 2 if c.activation == "swiglu" else 1
        self.up = Linear(c.width, twice * c.ffn_width, c.bias)
        self.down = Linear(c.ffn_width, c.width, c.bias)
        self.op = ACTIVATION_OPS[c.activation]

    def __call__(self, x: Tensor, dropout: DropoutPlan | None) -> Tensor:
        y = self.down.after(self.op, self.up(x))
        return dropout(y) if dropout else y


class Block(Module):
    """x + attention(norm(x)), then x + feed-forward(norm(x)); `attention` is whichever mixer it has."""

    def __init__(self, c: TransformerConfig, mixer: str = "attention"):
        biased = c.bias or c.norm_bias
        self.norm1 = Norm(c.norm, c.width, biased, c.norm_eps)
        self.attention = MIXERS[mixer](c)
        self.norm2 = Norm(c.norm, c.width, biased, c.norm_eps)
        self.ffn = FeedForward(c)

    def __call__(
        self, x: Tensor, where: Where, cache: Memory | None,
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
        self.block = [Block(c, mixer) for mixer in c.mixers]
        self.norm = Norm(c.norm, c.width, c.bias or c.norm_bias, c.norm_eps)

    def __call__(
        self, x: Tensor, where: Where, caches: list[Memory] | None,
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
    for name, mixer in _mixers(module):
        if isinstance(mixer, KdaMixer):
            mixer.start(seed, name)


def _mixers(module: Module, prefix: str = "") -> Iterator[tuple[str, Module]]:
    """Every mixer below, with the prefix of its parameters' names."""
    for child, name in module.slots():
        if isinstance(child, tuple(MIXERS.values())):
            yield f"{prefix}{name}.", child
        elif isinstance(child, Module):
            yield from _mixers(child, f"{prefix}{name}.")
