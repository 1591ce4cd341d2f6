"""The layers of the recall model: within a sentence, and over a question with what it recalled.

Attention or KDA, then a ReLU² network, on ragged rows. They own parameters and know no memory.
"""

import numpy as np

from chronos.architecture import ops
from chronos.architecture.layers import Linear, Module, Norm, normal, parameter
from chronos.architecture.tape import Tensor, apply
from chronos.memory.recall.config import RecallConfig


def orthogonal(width: int, seed: int, name: str) -> np.ndarray:
    """A random rotation (width, width), float32, by (seed, name) alone."""
    q, r = np.linalg.qr(normal((width, width), 1.0, seed, name).astype(np.float64))
    return (q * np.sign(np.diag(r))).astype(np.float32)


def uniform(shape: tuple[int, int], seed: int, name: str) -> np.ndarray:
    """Numbers of variance 1/(3·inputs), as wide as is usual for matrices that nothing scales down."""
    return normal(shape, (3 * shape[1]) ** -0.5, seed, name)


class _Layer(Module):
    """Attention with a ReLU² network behind it; what it attends to, subclasses say."""

    def __init__(self, config: RecallConfig):
        D = config.width
        self.heads = config.heads
        self.norm = Norm("rmsnorm", D, False, 1e-6)
        self.norm2 = Norm("rmsnorm", D, False, 1e-6)
        self.q, self.kv = Linear(D, D, bias=False), Linear(D, 2 * D, bias=False)
        self.o = Linear(D, D, bias=False)
        self.up, self.down = Linear(D, 4 * D, bias=False), Linear(4 * D, D, bias=False)

    def attend(self, x: Tensor, y: Tensor, seen: Tensor, q_ends: np.ndarray, k_ends: np.ndarray) -> Tensor:
        """x and what its normalised rows y found among `seen`, then the network."""
        found = apply(
            ops.RaggedAttention, self.q(y), self.kv(seen), q_ends=q_ends, k_ends=k_ends, heads=self.heads
        )
        x = apply(ops.Add, x, self.o(found))
        inner = self.down(apply(ops.ReLU2, self.up(self.norm2(x))))
        return apply(ops.Add, x, inner)

    def initialize(self, seed: int, name: str) -> None:
        """Matrices into the layer are random, those out of it zero: it begins as the identity."""
        for part in ("q", "kv", "up"):
            weight = getattr(self, part).weight
            weight.data[...] = uniform(weight.shape, seed, f"{name}.{part}")
        for part in ("o", "down"):
            getattr(self, part).weight.data[...] = 0


class Lower(_Layer):
    """Within a sentence: a short convolution, causal attention, a network."""

    def __init__(self, config: RecallConfig):
        super().__init__(config)
        self.conv = parameter((3, config.width))

    def __call__(self, x: Tensor, ends: np.ndarray) -> Tensor:
        x = apply(ops.RaggedConv, x, self.conv, ends=ends)
        y = self.norm(x)
        return self.attend(x, y, y, ends, ends)

    def initialize(self, seed: int, name: str) -> None:
        super().initialize(seed, name)
        self.conv.data[...] = normal(self.conv.shape, 0.3, seed, f"{name}.conv")


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
