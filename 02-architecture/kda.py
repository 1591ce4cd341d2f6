"""Kimi Delta Attention as a layer: a working memory of constant size that takes back what a key held before.

Projections, a short convolution, unit keys, a decay for each channel and an output gate around the delta
rule. The arithmetic is in `ops/kda.py`. It has no positions: order comes from the recurrence.
"""

import numpy as np

from chronos.architecture import ops
from chronos.architecture.attention import Where
from chronos.architecture.config import TransformerConfig
from chronos.architecture.layers import DropoutPlan, Linear, Module, normal, parameter
from chronos.architecture.tape import Tensor, apply

CONV_WIDTH = 4
UNIT_EPS = 1e-6  # added to the squared length of queries and keys
RATES, STEPS = (1.0, 16.0), (1e-3, 0.1)  # where decay rates and softplus(bias) start, as in Mamba


class Recurrence(dict[str, np.ndarray]):
    """The arrays of one layer: `conv` (B, 3, F), the last inputs; `delta` (B, H, V, K), the memory itself."""

    def changed(self) -> dict[str, np.ndarray]:
        """Arrays that take the place of the state's: all."""
        return dict(self)


class KdaMixer(Module):
    """(B, T, D) → (B, T, D); names of its parameters: see `__init__`. Source: arXiv 2510.26692, section 3."""

    def __init__(self, c: TransformerConfig):
        H, K, rank = c.kda_shape
        self.config = c
        self.qkv = Linear(c.width, 3 * H * K, bias=False)
        self.conv = parameter((CONV_WIDTH, 3 * H * K))
        self.strength = Linear(c.width, H, bias=False)
        self.decay_down = Linear(c.width, rank, bias=False)
        self.decay_up = Linear(rank, H * K, bias=False)
        self.rate = parameter((H,))
        self.step = parameter((H * K,))
        self.gate_down = Linear(c.width, rank, bias=False)
        self.gate_up = Linear(rank, H * K, bias=False)
        self.gain = parameter((K,), 1.0)
        self.out = Linear(H * K, c.width, c.bias)
        # Unit length is RMSNorm with the gain 1/√K; queries also get the 1/√K of attention's scale.
        self.unit = np.repeat(np.array([1 / K, K**-0.5], np.float32), H)[:, None] * np.ones(K, np.float32)

    def __call__(
        self, x: Tensor, where: Where, cache: Recurrence | None, dropout: DropoutPlan | None
    ) -> Tensor:
        K = self.config.kda_shape[1]
        if cache is None:
            cache = Recurrence(
                {name: np.zeros(s, np.float32) for name, s in self.shapes(len(x.data)).items()}
            )
        new = where.lengths - where.offsets
        seen = self.qkv(x)
        packed = apply(ops.ShortConv, seen, self.conv, past=cache["conv"])
        packed = apply(ops.QKNorm, packed, Tensor(self.unit), eps=UNIT_EPS / K)
        decay = apply(ops.DecayGate, self.decay_up(self.decay_down(x)), self.rate, self.step)
        beta = apply(ops.Strength, self.strength(x), most=2.0 if self.config.kda.negative else 1.0)
        rule = {"state": cache["delta"], "lengths": new, "after": cache}
        read = apply(ops.DeltaRule, packed, decay, beta, **rule)
        cache["conv"] = last_inputs(cache["conv"], seen.data, new)
        gated = apply(
            ops.GatedNorm, read, self.gate_up(self.gate_down(x)), self.gain, eps=self.config.norm_eps
        )
        y = self.out(gated)
        return dropout(y) if dropout else y

    def memory(self, arrays: dict[str, np.ndarray]) -> Recurrence:
        """What this layer reads in the state's arrays and puts in their place."""
        return Recurrence(arrays)

    def shapes(self, B: int) -> dict[str, tuple[int, ...]]:
        """Name → shape of this layer's arrays in the state of B rows."""
        H, K, _ = self.config.kda_shape
        return {"conv": (B, CONV_WIDTH - 1, 3 * H * K), "delta": (B, H, K, K)}

    def start(self, seed: int, name: str) -> None:
        """Initial numbers of what is no matrix of weights: the convolution, decay rates and time steps."""
        self.conv.data[...] = normal(self.conv.shape, CONV_WIDTH**-0.5, seed, f"{name}conv")
        share = (uniform(p.shape, seed, f"{name}{n}") for n, p in (("rate", self.rate), ("step", self.step)))
        rate, step = (low + (high - low) * u for (low, high), u in zip((RATES, np.log(STEPS)), share))
        self.rate.data[...] = np.log(rate)
        self.step.data[...] = np.log(np.expm1(np.exp(step)))  # so that softplus(bias) is the step


def last_inputs(past: np.ndarray, x: np.ndarray, new: np.ndarray) -> np.ndarray:
    """The last rows of past (B, W, F) followed by the first `new` (B,) of x (B, T, F): (B, W, F)."""
    W = past.shape[1]
    both = np.concatenate([past, x[:, : int(new.max())]], axis=1)
    return np.stack([row[n : n + W] for row, n in zip(both, new)])


def uniform(shape: tuple[int, ...], seed: int, name: str) -> np.ndarray:
    """Numbers spread evenly between 0 and 1, in an order that depends on (seed, name) alone."""
    z = normal(shape, 1.0, seed, name)
    order = np.argsort(np.argsort(z, kind="stable"), kind="stable")
    return (order + 0.5) / len(z)
