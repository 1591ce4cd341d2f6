"""The assembled model: tokens and a state in, hidden vectors and the next state out.

This is the one place where a model is put together. It refuses tokens outside the vocabulary and
sequences longer than its context, in one line.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from chronos import native
from chronos.architecture import ops
from chronos.architecture.attention import KeyValueCache, Where
from chronos.architecture.layers import DropoutPlan, Embedding, Linear, Module, Taps
from chronos.architecture.tape import Tensor, apply, recording
from chronos.architecture.transformer import Stack, initialize
from chronos.console import ChronosError
from chronos.memory.config import ModelConfig
from chronos.memory.state import LENGTH, State


@dataclass
class Output:
    """hidden (B, T, D); state after these tokens (None while recording); aux: named extras of this call."""

    hidden: Tensor
    state: State | None
    aux: dict[str, Any] = field(default_factory=dict)


class Model(Module):
    """`model(tokens, state) → Output`; `model.logits(hidden)`; `model.loss(tokens, targets)`."""

    def __init__(self, config: ModelConfig, seed: int | None = 0):
        """Initialised from `seed`, or with None left empty, to be filled from a file."""
        if config.vocabulary < 1:
            raise ChronosError("model.vocabulary is unknown", mend="give a tokenizer or set model.vocabulary")
        self.config = config
        self.taps = Taps()
        learned = config.context if config.positions == "learned" else 0
        self.embed = Embedding(config.vocabulary, config.width, learned)
        self.stack = Stack(config)
        self.head = None if config.tied else Linear(config.width, config.vocabulary, bias=False)
        if seed is not None:
            initialize(self, config.layers, seed)

    def __call__(
        self, tokens: np.ndarray, state: State | None = None, *, lengths: np.ndarray | None = None,
        dropout: DropoutPlan | None = None, carry: bool = True,
    ) -> Output:  # fmt: skip
        """tokens (B, T) integers; `lengths` (B,) says how many of each row are real, the rest is padding.

        `carry=False` makes no state: for one-piece evaluation.
        """
        tokens = self._checked(tokens)
        B, T = tokens.shape
        new = np.full(B, T) if lengths is None else np.asarray(lengths, np.int64)
        offsets = np.zeros(B, np.int64) if state is None else state.length
        self._check_room(offsets, new, B, T)
        caches, state = self._caches(state, B, carry)
        at = np.minimum(offsets[:, None] + np.arange(T), self.config.context - 1)
        where = Where(at, offsets, offsets + new)
        x = self.embed(tokens, at)
        if dropout is not None:
            x = dropout(x)
        hidden = self.stack(x, where, caches, dropout, self.taps)
        return Output(hidden, None if state is None else state.advanced(offsets + new))

    def logits(self, hidden: Tensor) -> np.ndarray:
        """(…, D) → (…, E), without recording."""
        weight = self.output_weight
        flat = np.ascontiguousarray(hidden.data.reshape(-1, hidden.shape[-1]))
        quantized = isinstance(weight, native.QuantTensor)
        scores = native.matmul(flat, weight) if quantized else flat @ weight.data.T
        return scores.reshape(*hidden.shape[:-1], -1)

    def loss(
        self,
        tokens: np.ndarray,
        targets: np.ndarray,
        *,
        scale: float = 1.0,
        dropout: DropoutPlan | None = None,
    ) -> Tensor:
        """Sum of −log p(target) · scale, in nats, over targets (B, T) ≥ 0; logits are never stored."""
        hidden = self(tokens, dropout=dropout, carry=False).hidden
        weight = self.output_weight
        if isinstance(weight, native.QuantTensor):
            weight = Tensor(native.dequantize(weight))
        targets = np.ascontiguousarray(targets.reshape(-1), np.int64)
        return apply(ops.LinearCrossEntropy, hidden, weight, targets=targets, scale=scale)

    @property
    def output_weight(self) -> "Tensor | native.QuantTensor":
        """(E, D): the head's own matrix, or the embedding's where they are tied."""
        return self.embed.weight if self.head is None else self.head.weight

    @contextmanager
    def tap(self, name: str, function: Callable[[Tensor], Tensor | None]) -> Iterator[None]:
        """While the block runs, `function` sees the activation `name` and may return one in its place.

        Names: `block.i.attention`, `block.i.ffn`, `block.i.out`.
        """
        parts = ("attention", "ffn", "out")
        known = {f"block.{i}.{part}" for i in range(self.config.layers) for part in parts}
        if name not in known:
            raise ChronosError(
                f"no activation is named {name!r}", expected=f"one of block.0.out … {max(known)}"
            )
        self.taps.attached.setdefault(name, []).append(function)
        try:
            yield
        finally:
            self.taps.attached[name].remove(function)

    def _checked(self, tokens: np.ndarray) -> np.ndarray:
        tokens = np.asarray(tokens)
        if tokens.ndim != 2 or tokens.dtype.kind not in "iu" or not tokens.size:
            got = f"{tokens.dtype} {tokens.shape}"
            raise ChronosError("tokens must be integers (B, T), B and T at least 1", got=got)
        if not 0 <= tokens.min() <= tokens.max() < self.config.vocabulary:
            span = f"{tokens.min()}…{tokens.max()}"
            raise ChronosError("token id out of range", expected=f"0…{self.config.vocabulary - 1}", got=span)
        return tokens

    def _check_room(self, offsets: np.ndarray, new: np.ndarray, B: int, T: int) -> None:
        for what, array in (("state", offsets), ("lengths", new)):
            if array.shape != (B,):
                raise ChronosError(f"{what} of another batch size", expected=f"({B},)", got=array.shape)
        if new.min() < 1 or new.max() > T:
            raise ChronosError("lengths must be between 1 and T", expected=f"1…{T}", got=new.tolist())
        if (offsets + new).max() > self.config.context:
            mend = "give the model a shorter sequence or train it with a larger model.context"
            got = int((offsets + new).max())
            raise ChronosError(
                "sequence longer than the context", expected=self.config.context, got=got, mend=mend
            )

    def _caches(
        self, state: State | None, B: int, carry: bool
    ) -> tuple[list[KeyValueCache] | None, State | None]:
        """Caches to write into and the state that owns them; none while recording or when bidirectional."""
        c = self.config
        if recording() or not c.causal or not carry:
            if state is not None:
                raise ChronosError("a state is carried by causal models, under no_grad() and with carry=True")
            return None, None
        shape = (B, c.context, c.key_heads * c.head_width)
        expected = {f"block.{i}.{kind}": (np.float32, shape) for i in range(c.layers) for kind in "kv"}
        if state is None:
            arrays = {name: np.zeros(shape, np.float32) for name in expected}
            state = State({**arrays, LENGTH: np.zeros(B, np.int64)})
        elif {name: (a.dtype, a.shape) for name, a in state.items() if name != LENGTH} != expected:
            mend = "use the model that made it, or start without a state"
            raise ChronosError("the state is another model's", mend=mend)
        else:
            state = state.writable()
        caches = [KeyValueCache(state[f"block.{i}.k"], state[f"block.{i}.v"]) for i in range(c.layers)]
        return caches, state
