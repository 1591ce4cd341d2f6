"""The state of a model, explicit: what it carries from one call to the next, as named arrays.

It can be saved, restored, copied, reset, merged and looked into. A state is a value: a call returns a new
one, and the old one stays good, also when both are continued differently.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import safetensors
from safetensors.numpy import load_file, save

from chronos.console import ChronosError
from chronos.files import write_atomic

SCHEMA = 1
LENGTH = "length"  # (B,) int64: how many tokens each row has seen


class State(Mapping[str, np.ndarray]):
    """A flat `{name: array}`, batch first. For the `gpt` preset: `block.i.k` and `block.i.v`, and `length`.

    Key/value arrays have room for the whole context, and are written in place when this state is the
    newest that uses them; otherwise they are copied first (`writable`).
    """

    def __init__(self, arrays: Mapping[str, np.ndarray], _lease: list[int] | None = None):
        self._arrays = dict(arrays)
        self._lease = [0] if _lease is None else _lease  # shared by all states on the same buffers
        self._turn = self._lease[0]

    def __getitem__(self, name: str) -> np.ndarray:
        return self._arrays[name]

    def __iter__(self):
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)

    @property
    def length(self) -> np.ndarray:
        """(B,) tokens seen by each row."""
        return self._arrays[LENGTH]

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays, room included."""
        return sum(a.nbytes for a in self.values())

    def writable(self) -> "State":
        """This state if nothing has been written past it, else a copy that may be written to."""
        return self if self._lease[0] == self._turn else self.copy()

    def advanced(self, length: np.ndarray) -> "State":
        """The state after tokens were written in place: same buffers, new lengths."""
        self._lease[0] += 1
        return State({**self._arrays, LENGTH: length}, self._lease)

    def copy(self) -> "State":
        """An independent copy."""
        return State({name: a.copy() for name, a in self.items()})

    def rows(self, which: Sequence[int] | np.ndarray) -> "State":
        """The state of some rows of the batch, in that order (repeats allowed): select, shuffle, branch."""
        return State({name: a[np.asarray(which)] for name, a in self.items()})

    def save(self, path: Path) -> None:
        """Write as safetensors, atomically."""
        arrays = {name: np.ascontiguousarray(a) for name, a in self.items()}
        write_atomic(path, save(arrays, {"chronos_state": str(SCHEMA)}))


def merge(states: Sequence[State]) -> State:
    """One batch of several states with the same names."""
    if not states or any(set(s) != set(states[0]) for s in states):
        raise ChronosError("states can be merged only if they hold the same names")
    return State({name: np.concatenate([s[name] for s in states]) for name in states[0]})


def load_state(path: Path) -> State:
    """Read what `State.save` wrote."""
    try:
        with safetensors.safe_open(str(path), "numpy") as file:
            version = (file.metadata() or {}).get("chronos_state")
        if version != str(SCHEMA):
            raise ChronosError("not a state of this version", where=path, expected=SCHEMA, got=version)
        return State(load_file(str(path)))
    except (OSError, safetensors.SafetensorError) as error:
        raise ChronosError(f"cannot read state: {error}", where=path) from error
