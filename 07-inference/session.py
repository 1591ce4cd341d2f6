"""What a model has read so far, carried along as its state: nothing is read twice while the context has room.

`generate` and `chat` stand on it; the plain loop of stage 04 (`chronos.memory.generate`) is its oracle.
"""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from chronos.architecture.tape import Tensor, no_grad
from chronos.console import ChronosError
from chronos.memory.decode import Decoder, decoder
from chronos.memory.model import Model
from chronos.memory.sampling import Sampling, choose
from chronos.memory.state import State


class Session:
    """`add(ids)` says what comes next, `logits()` reads it and tells about the token after it.

    A full context is restarted from its last half: `restarts` counts how often. `seen` holds no more ids than
    the context does, `used` is how many of them the state holds. Single tokens are read by a compiled step
    (`chronos.memory.decode`) where there is one.
    """

    def __init__(self, model: Model):
        if not model.config.causal:
            raise ChronosError("a bidirectional model does not generate left to right")
        self.model, self.context = model, model.config.context
        self.restarts = self.used = 0
        self.seen: list[int] = []
        self.waiting: list[int] = []  # said, but not read yet: one call reads them together
        self._state: State | None = None
        self._decoder: Decoder | None = None  # goes on from the state, which is None meanwhile
        self._logits: np.ndarray | None = None

    @property
    def state(self) -> State | None:
        """What was read, to be kept or looked at; None before the first token."""
        if self._decoder is not None:
            self._state, self._decoder = self._decoder.state(), None
        return self._state

    def add(self, ids: Iterable[int] | np.ndarray) -> None:
        """Append ids to what the model is going to read."""
        self.waiting += [int(i) for i in ids]

    def logits(self) -> np.ndarray:
        """The logits (E,) of the next token, after reading what waits. ChronosError if nothing was added."""
        if self.waiting:
            self._read()
        if self._logits is None:
            raise ChronosError("there is nothing to go on from", mend="give at least one character")
        return self._logits

    def _read(self) -> None:
        seen = (self.seen + self.waiting)[-self.context :]
        if len(self.waiting) == 1 and self.used < self.context and self._step(self.waiting[0]):
            self.seen, self.waiting = seen, []
            return
        fresh, state, restarted = self.waiting, self.state, 0
        if self.used + len(fresh) > self.context:
            restarted = 1
            fresh = seen if state is None else seen[-(self.context // 2 or 1) :]
            state = None
        with no_grad():
            out = self.model(np.array([fresh]), state)
            last = self.model.logits(Tensor(out.hidden.data[:, -1:]))[0, -1]
        self.seen, self.waiting, self._state, self._logits = seen, [], out.state, last
        self.used = int(out.state.length[0])
        self.restarts += restarted

    def _step(self, token: int) -> bool:
        """Read one token by the compiled step; False where there is none."""
        if self._decoder is None:
            self._decoder = decoder(self.model, self._state)
        if self._decoder is None:
            return False
        self._logits, self._state = self._decoder.step(token), None
        self.used += 1
        return True


@dataclass
class Count:
    """Tokens, and the seconds from the first to the last of each answer: reading the prompt is not in it."""

    tokens: int = 0
    gaps: int = 0
    seconds: float = 0.0
    latest: float | None = None

    def token(self) -> None:
        """One more token, now."""
        now = time.perf_counter()
        if self.latest is not None:
            self.gaps, self.seconds = self.gaps + 1, self.seconds + now - self.latest
        self.tokens, self.latest = self.tokens + 1, now

    def add(self, other: "Count") -> None:
        """Add another answer's."""
        self.tokens, self.gaps = self.tokens + other.tokens, self.gaps + other.gaps
        self.seconds += other.seconds

    @property
    def speed(self) -> float | None:
        """Tokens a second; None for answers of one token."""
        return self.gaps / self.seconds if self.seconds > 0 else None


def tokens(
    session: Session, sampling: Sampling, count: int, *, end: int, first_step: int = 0
) -> Iterator[int]:
    """Draw up to `count` ids; ends after `end`, which the session is told but the caller is not.

    The draw of token i depends on the seed and on `first_step` + i alone.
    """
    if count < 0:
        raise ChronosError("max-new-tokens must not be negative", got=count)
    for step in range(first_step, first_step + count):
        token = choose(session.logits(), sampling, step)
        session.add([token])
        if token == end:
            return
        yield token
