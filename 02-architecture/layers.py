"""Layers: modules that hold parameters and call ops. Shapes are (B, T, D) throughout.

No forward magic: a module is an object whose attributes are Tensors, modules, or lists of modules.
"""

import copy
import hashlib
from collections.abc import Callable, Iterator

import numpy as np

from chronos import native
from chronos.architecture import ops
from chronos.architecture.tape import Op, Tensor, apply, recording
from chronos.console import ChronosError


class Module:
    """Anything with parameters. `named()` walks them in the order of definition."""

    def named(self, prefix: str = "") -> Iterator[tuple[str, "Tensor | native.QuantTensor"]]:
        """(dotted name, parameter) for every parameter below; a shared one appears once, where it lives."""
        for owner, attribute in self.slots():
            name = f"{prefix}{attribute}"
            if isinstance(owner, Module):
                yield from owner.named(f"{name}.")
            else:
                yield name, owner

    def slots(self) -> Iterator[tuple[object, str]]:
        """(parameter or module, its name) for everything held directly."""
        for name, value in vars(self).items():
            if isinstance(value, Module | Tensor | native.QuantTensor):
                yield value, name
            elif isinstance(value, list):
                for i, item in enumerate(value):
                    if isinstance(item, Module):
                        yield item, f"{name}.{i}"

    def parameters(self) -> dict[str, Tensor]:
        """Name → trainable tensor."""
        return {name: p for name, p in self.named() if isinstance(p, Tensor)}

    def replica(self) -> "Module":
        """A module on the same weights with gradients of its own: what each training lane works with."""
        twin = copy.copy(self)
        for name, value in vars(self).items():
            if isinstance(value, Module):
                setattr(twin, name, value.replica())
            elif isinstance(value, Tensor):
                setattr(twin, name, Tensor(value.data, requires_grad=value.requires_grad))
            elif isinstance(value, list):
                setattr(twin, name, [v.replica() if isinstance(v, Module) else v for v in value])
        return twin


def parameter(shape: tuple[int, ...], fill: float = 0.0) -> Tensor:
    """A float32 parameter with every element `fill`, until `initialize` or a checkpoint sets it."""
    return Tensor(np.full(shape, fill, np.float32), requires_grad=True)


def normal(shape: tuple[int, ...], std: float, seed: int, name: str) -> np.ndarray:
    """Gaussian numbers that depend on (seed, name) alone, not on the order of creation."""
    digest = hashlib.blake2b(f"{seed}/{name}".encode(), digest_size=16).digest()
    rng = np.random.Generator(np.random.Philox(key=int.from_bytes(digest, "little")))
    return (rng.standard_normal(shape) * std).astype(np.float32)


class Linear(Module):
    """y = x Wᵀ + b. The weight is a float Tensor (O, I) or a `native.QuantTensor` of that shape (frozen)."""

    def __init__(self, inputs: int, outputs: int, bias: bool):
        self.weight: Tensor | native.QuantTensor = parameter((outputs, inputs))
        self.bias = parameter((outputs,)) if bias else None

    def __call__(self, x: Tensor) -> Tensor:
        if isinstance(self.weight, native.QuantTensor):
            if recording() and x.requires_grad:  # the product is not recorded: gradients would stop here
                mend = "evaluate under no_grad(), or train the float32 model"
                raise ChronosError("quantized weights pass no gradients", mend=mend)
            flat = np.ascontiguousarray(x.data.reshape(-1, x.shape[-1]))
            y = native.matmul(flat, self.weight).reshape(*x.shape[:-1], self.weight.shape[0])
            return Tensor(y if self.bias is None else y + self.bias.data)
        return apply(ops.Linear, x, self.weight, self.bias)

    def after(self, activation: type[Op], x: Tensor) -> Tensor:
        """This layer of activation(x), which a training step computes again instead of keeping it."""
        if isinstance(self.weight, native.QuantTensor):
            return self(apply(activation, x))
        return apply(ops.ActiveLinear, x, self.weight, self.bias, f=activation)


class Embedding(Module):
    """Token rows, plus learned position rows where the model has them: ids, at (B, T) → (B, T, D)."""

    def __init__(self, vocabulary: int, width: int, positions: int):
        self.weight: Tensor | native.QuantTensor = parameter((vocabulary, width))
        self.positions = parameter((positions, width)) if positions else None

    def __call__(self, ids: np.ndarray, at: np.ndarray) -> Tensor:
        if isinstance(self.weight, native.QuantTensor):
            rows = native.dequantize_rows(self.weight, ids.reshape(-1)).reshape(*ids.shape, -1)
            return Tensor(rows if self.positions is None else rows + self.positions.data[at])
        return apply(ops.Embedding, self.weight, self.positions, ids=ids, at=at)


class Norm(Module):
    """RMSNorm or LayerNorm over the last axis, by configuration."""

    def __init__(self, kind: str, width: int, bias: bool, eps: float):
        self.weight = parameter((width,), 1.0)
        self.bias = parameter((width,)) if bias and kind == "layernorm" else None
        self.kind, self.eps = kind, eps

    def __call__(self, x: Tensor) -> Tensor:
        if self.kind == "layernorm":
            return apply(ops.LayerNorm, x, self.weight, self.bias, eps=self.eps)
        return apply(ops.RMSNorm, x, self.weight, eps=self.eps)


class DropoutPlan:
    """Where dropout's masks come from: a counter hashed with (seed, step, lane): resuming is exact."""

    def __init__(self, rate: float, seed: int, step: int, lane: int):
        self.rate = rate
        digest = hashlib.blake2b(f"{seed}/{step}/{lane}".encode(), digest_size=8).digest()
        self.key = int.from_bytes(digest, "little")

    def __call__(self, x: Tensor) -> Tensor:
        self.key = (self.key + 0x9E3779B97F4A7C15) % 2**64
        return apply(ops.Dropout, x, rate=self.rate, key=self.key)


class Taps:
    """Named activations that a caller can read or replace: `taps.visit(name, x)` runs what is attached."""

    def __init__(self) -> None:
        self.attached: dict[str, list[Callable[[Tensor], Tensor | None]]] = {}

    def visit(self, name: str, x: Tensor) -> Tensor:
        """Show x to every function at `name`; one that returns a Tensor replaces it."""
        for function in self.attached.get(name, ()):
            x = function(x) or x
        return x
