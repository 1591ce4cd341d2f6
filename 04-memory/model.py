"""The assembled model: tokens and a state in, hidden vectors and the next state out.

This is the one place where a model is put together. It refuses tokens outside the vocabulary and
sequences longer than its context, in one line.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from chronos import native
from chronos.architecture import ops
from chronos.architecture.attention import Where
from chronos.architecture.layers import DropoutPlan, Embedding, Linear, Module, Taps
from chronos.architecture.tape import Tensor, apply, recording
from chronos.architecture.transformer import Memory, Stack, initialize
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
        dropout: DropoutPlan | None = None, carry: bool = True, counted: np.ndarray | None = None,
        measure: bool = False,
    ) -> Output:  # fmt: skip
        """tokens (B, T) integers; `lengths` (B,) says how many of each row are real, the rest is padding.

        `carry=False` makes no state: for one-piece evaluation. `counted` (B, T) says which tokens the losses
        of `aux` are about (default: all). `aux` holds, while recording or with `measure` (and no state):
        "losses", name → scalar tensors to be minimised beside the main one ("index": Σ KL of DSA's indexers);
        "index_kl", its mean a token and block in nats; with `measure`, which costs a dense attention more,
        "index_recall", the share of dense attention's mass that lies on the picked tokens.
        """
        tokens = self._checked(tokens)
        B, T = tokens.shape
        new = np.full(B, T) if lengths is None else np.asarray(lengths, np.int64)
        offsets = np.zeros(B, np.int64) if state is None else state.length
        self._check_room(offsets, new, B, T)
        caches, state = self._caches(state, B, carry)
        at = np.minimum(offsets[:, None] + np.arange(T), self.config.context - 1)
        where = Where(at, offsets, offsets + new, counted=counted, measure=measure)
        x = self.embed(tokens, at)
        if dropout is not None:
            x = dropout(x)
        hidden = self.stack(x, where, caches, dropout, self.taps)
        if state is not None:
            state = state.advanced(offsets + new, self._changed(caches))
        return Output(hidden, state, _aux(where, T))

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
        """Sum of −log p(target) · scale, in nats, over targets (B, T) ≥ 0; logits are never stored.

        Losses beside it (`aux`) send their gradients, times `scale`, but do not show in the value. At DSA's
        stage `warmup` they are all that is learned.
        """
        counted = targets >= 0 if targets.shape == tokens.shape else None  # the op refuses other shapes
        out = self(tokens, dropout=dropout, carry=False, counted=counted)
        weight = self.output_weight
        if isinstance(weight, native.QuantTensor):
            weight = Tensor(native.dequantize(weight))
        targets = np.ascontiguousarray(targets.reshape(-1), np.int64)
        loss = apply(ops.LinearCrossEntropy, out.hidden, weight, targets=targets, scale=scale)
        beside = [one for named in out.aux.get("losses", {}).values() for one in named]
        if not beside or not recording():
            return loss
        if self.config.dsa.stage == "warmup":
            loss = Tensor(loss.data)
        return apply(ops.Beside, loss, *beside, weight=scale, shown=False)

    def at_stage(self, stage: str) -> "Model":
        """A copy to be trained at another stage of DSA: `dense` or `warmup`, then `sparse`."""
        config = replace(self.config, dsa=replace(self.config.dsa, stage=stage))
        twin = Model(config, seed=None)
        for p, own in zip(twin.parameters().values(), self.parameters().values(), strict=True):
            p.data[...] = own.data
        return twin

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

    def _caches(self, state: State | None, B: int, carry: bool) -> tuple[list[Memory] | None, State | None]:
        """What each block writes into, and the state that owns it; none while recording or bidirectional."""
        c = self.config
        if recording() or not c.causal or not carry:
            if state is not None:
                raise ChronosError("a state is carried by causal models, under no_grad() and with carry=True")
            return None, None
        mixers = [block.attention for block in self.stack.block]
        shapes = [mixer.shapes(B) for mixer in mixers]
        expected = {
            f"block.{i}.{name}": (np.float32, s) for i, all in enumerate(shapes) for name, s in all.items()
        }
        if state is None:
            arrays = {name: np.zeros(shape, np.float32) for name, (_, shape) in expected.items()}
            state = State({**arrays, LENGTH: np.zeros(B, np.int64)})
        elif {name: (a.dtype, a.shape) for name, a in state.items() if name != LENGTH} != expected:
            mend = "use the model that made it, or start without a state"
            raise ChronosError("the state is another model's", mend=mend)
        else:
            state = state.writable()
        caches = [
            mixer.memory({name: state[f"block.{i}.{name}"] for name in names})
            for i, (mixer, names) in enumerate(zip(mixers, shapes))
        ]
        return caches, state

    @staticmethod
    def _changed(caches: list[Memory]) -> dict[str, np.ndarray]:
        """Arrays of the state that this call has made anew, by their names in it."""
        return {
            f"block.{i}.{name}": a for i, cache in enumerate(caches) for name, a in cache.changed().items()
        }


def _aux(where: Where, T: int) -> dict[str, Any]:
    """What the blocks have left beside their output."""
    if not where.losses:
        return {}
    real = np.arange(T) < (where.lengths - where.offsets)[:, None]
    tokens = int((real if where.counted is None else real & where.counted).sum())
    index = where.losses["index"]
    aux = {
        "losses": where.losses,
        "index_kl": sum(float(t.data) for t in index) / max(1, tokens * len(index)),
    }
    return aux | {name: float(np.mean(np.concatenate(found))) for name, found in where.seen.items()}
