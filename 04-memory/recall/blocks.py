"""The layers of the recall model: within a sentence, and over a question with what it recalled.

Attention or KDA, then a ReLU² network, on ragged rows. They own parameters and know no memory.
"""

import numpy as np

from chronos.architecture import ops
from chronos.architecture.attention import Where
from chronos.architecture.config import TransformerConfig
from chronos.architecture.kda import KdaMixer
from chronos.architecture.layers import Linear, Module, Norm, normal, parameter
from chronos.architecture.tape import Tensor, apply
from chronos.architecture.transformer import INIT_STD
from chronos.memory.recall.config import RecallConfig


def orthogonal(width: int, seed: int, name: str) -> np.ndarray:
    """A random rotation (width, width), float32, by (seed, name) alone."""
    q, r = np.linalg.qr(normal((width, width), 1.0, seed, name).astype(np.float64))
    return (q * np.sign(np.diag(r))).astype(np.float32)


def uniform(shape: tuple[int, int], seed: int, name: str) -> np.ndarray:
    """Numbers of variance 1/(3·inputs), as wide as is usual for matrices that nothing scales down."""
    return normal(shape, (3 * shape[1]) ** -0.5, seed, name)


class _Layer(Module):
    """Attention, or what a subclass has instead, with a ReLU² network behind it."""

    def __init__(self, config: RecallConfig):
        D = config.width
        self.heads = config.heads
        self.norm = Norm("rmsnorm", D, False, 1e-6)
        self.norm2 = Norm("rmsnorm", D, False, 1e-6)
        self.mix_by(config)
        self.up, self.down = Linear(D, 4 * D, bias=False), Linear(4 * D, D, bias=False)

    def mix_by(self, config: RecallConfig) -> None:
        """Make the parameters through which rows see each other."""
        D = config.width
        self.q, self.kv = Linear(D, D, bias=False), Linear(D, 2 * D, bias=False)
        self.o = Linear(D, D, bias=False)

    def attend(self, x: Tensor, y: Tensor, seen: Tensor, q_ends: np.ndarray, k_ends: np.ndarray) -> Tensor:
        """x and what its normalised rows y found among `seen`, then the network."""
        found = apply(
            ops.RaggedAttention, self.q(y), self.kv(seen), q_ends=q_ends, k_ends=k_ends, heads=self.heads
        )
        return self.feed(apply(ops.Add, x, self.o(found)))

    def feed(self, x: Tensor) -> Tensor:
        """x and what the network makes of each of its rows."""
        return apply(ops.Add, x, self.down(apply(ops.ReLU2, self.up(self.norm2(x)))))

    def initialize(self, seed: int, name: str) -> None:
        """Matrices into the layer are random, those out of it zero: it begins as the identity."""
        for part in ("q", "kv", "up"):
            if weight := getattr(self, part, None):
                weight.weight.data[...] = uniform(weight.weight.shape, seed, f"{name}.{part}")
        for part in ("o", "down"):
            if weight := getattr(self, part, None):
                weight.weight.data[...] = 0


class Lower(_Layer):
    """Within a sentence: a short convolution and causal attention, or KDA, which has its own; a network."""

    def mix_by(self, config: RecallConfig) -> None:
        self.kda = Sentences(config) if config.mixer == "kda" else None
        if self.kda is None:
            super().mix_by(config)
            self.conv = parameter((3, config.width))

    def __call__(self, x: Tensor, ends: np.ndarray) -> Tensor:
        if self.kda is not None:
            return self.feed(apply(ops.Add, x, self.kda(self.norm(x), ends)))
        x = apply(ops.RaggedConv, x, self.conv, ends=ends)
        y = self.norm(x)
        return self.attend(x, y, y, ends, ends)

    def initialize(self, seed: int, name: str) -> None:
        super().initialize(seed, name)
        if self.kda is not None:
            self.kda.initialize(seed, f"{name}.kda")
        else:
            self.conv.data[...] = normal(self.conv.shape, 0.3, seed, f"{name}.conv")


class Sentences(KdaMixer):
    """Kimi Delta Attention (02-architecture/kda.py) over ragged rows, each sentence a memory of its own."""

    def __init__(self, config: RecallConfig):
        super().__init__(TransformerConfig(width=config.width, heads=config.heads, positions="none"))

    def __call__(self, x: Tensor, ends: np.ndarray) -> Tensor:
        """x (n, D), ends (S,) → (n, D). Sentences are filled up to the longest; nobody reads that."""
        lengths = np.diff(ends, prepend=0)
        lengths = lengths[lengths > 0]
        if not len(lengths):
            return x
        S, T = len(lengths), int(lengths.max())
        at, starts = np.arange(T), np.cumsum(lengths) - lengths
        inside = at < lengths[:, None]
        index = (starts[:, None] + np.minimum(at, lengths[:, None] - 1)).reshape(-1)
        block = apply(ops.Reshape, apply(ops.TakeRows, x, index=index), shape=(S, T, x.shape[1]))
        where = Where(np.broadcast_to(at, (S, T)), np.zeros(S, np.int64), lengths)
        y = apply(ops.Reshape, super().__call__(block, where, None, None), shape=(S * T, x.shape[1]))
        return apply(ops.TakeRows, y, index=np.flatnonzero(inside))

    def initialize(self, seed: int, name: str) -> None:
        """Matrices in are random, those of the gates small; the one out stays zero."""
        self.qkv.weight.data[...] = uniform(self.qkv.weight.shape, seed, f"{name}.qkv")
        for part in ("strength", "decay_down", "decay_up", "gate_down", "gate_up"):
            weight = getattr(self, part).weight
            weight.data[...] = normal(weight.shape, INIT_STD, seed, f"{name}.{part}")
        self.start(seed, f"{name}.")


class Upper(_Layer):
    """Rows of x attend to rows of a context woven into segments, and to themselves, which stand last."""

    def __call__(
        self, x: Tensor, context: list[Tensor], index: np.ndarray, q_ends: np.ndarray, k_ends: np.ndarray
    ) -> Tensor:
        y = self.norm(x)
        return self.attend(x, y, apply(ops.Weave, *context, y, index=index), q_ends, k_ends)

    def initialize(self, seed: int, name: str) -> None:
        """Values and the way out begin as a rotation and its inverse: what is attended to passes through."""
        super().initialize(seed, name)
        turn, D = orthogonal(self.o.weight.shape[0], seed, f"{name}.turn"), self.o.weight.shape[0]
        self.kv.weight.data[D:] = turn * 0.7
        self.o.weight.data[...] = turn.T * 0.7
