"""The state of a model, explicit: what it carries from one call to the next, as named arrays.

It can be saved, restored, copied, reset, merged and looked into. A state is a value: a call returns a new
one, and the old one stays good, also when both are continued differently.
"""

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import safetensors
from safetensors.numpy import save

from chronos.console import ChronosError
from chronos.files import write_atomic

SCHEMA = 1
LENGTH = "length"  # (B,) int64: how many tokens each row has seen

_leases = threading.Lock()


class State(Mapping[str, np.ndarray]):
    """A flat `{name: array}`, batch first: `length`, and what each block keeps.

    Attention keeps `block.i.k` and `block.i.v`, DSA also `block.i.index`; KDA keeps `block.i.conv` and
    `block.i.delta`, whose size no text changes, and which are new arrays after each call. The others have
    room for the whole context, and are written in place when this state is the newest that uses them;
    otherwise they are copied first (`writable`), as are arrays that were handed in from outside, which may
    belong to somebody else.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray], _lease: list[int] | None = None):
        if LENGTH not in arrays:
            raise ChronosError(f"a state needs the array {LENGTH!r}", got=", ".join(arrays) or "nothing")
        self._arrays = dict(arrays)
        self._lease = [0] if _lease is None else _lease  # shared by all states on the same buffers
        self._turn = -1 if _lease is None else self._lease[0]

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
        """The same values, to be written past: these buffers if nobody has done so yet, else copies."""
        with _leases:  # of two threads that continue one state, one gets the buffers
            if self._lease[0] == self._turn:
                self._lease[0] += 1
                return State(self._arrays, self._lease)
        return self.copy()

    def advanced(self, length: np.ndarray, changed: Mapping[str, np.ndarray] | None = None) -> "State":
        """What a writable state becomes after a call: its buffers, new lengths, `changed` arrays replaced."""
        return State({**self._arrays, **(changed or {}), LENGTH: length}, self._lease)

    def copy(self) -> "State":
        """An independent copy."""
        return State({name: a.copy() for name, a in self.items()}, [0])

    def rows(self, which: Sequence[int] | np.ndarray) -> "State":
        """The state of some rows of the batch, in that order (repeats allowed): select, shuffle, branch."""
        return State({name: a[np.asarray(which)] for name, a in self.items()}, [0])

    def save(self, path: Path) -> None:
        """Write as safetensors, atomically."""
        arrays = {name: np.ascontiguousarray(a) for name, a in self.items()}
        write_atomic(path, save(arrays, {"chronos_state": str(SCHEMA)}))


def merge(states: Sequence[State]) -> State:
    """One batch of several states with the same names."""
    forms = [{name: a.shape[1:] for name, a in s.items()} for s in states]
    if not forms or any(form != forms[0] for form in forms):
        raise ChronosError("states can be merged only if they hold arrays of the same names and shapes")
    return State({name: np.concatenate([s[name] for s in states]) for name in states[0]}, [0])


def load_state(path: Path) -> State:
    """Read what `State.save` wrote; damage is one line."""
    try:
        with safetensors.safe_open(str(path), "numpy") as file:
            version = (file.metadata() or {}).get("chronos_state")
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
    except (OSError, safetensors.SafetensorError, ValueError) as error:
        raise ChronosError(f"cannot read state: {error}", where=path) from error
    if version != str(SCHEMA):
        raise ChronosError("not a state of this version", where=path, expected=SCHEMA, got=version)
    rows = {a.shape[:1] for a in arrays.values()}
    length = arrays.get(LENGTH)
    whole = length is not None and length.dtype == np.int64 and rows == {length.shape} and length.size
    if not whole or length.min() < 0:
        raise ChronosError("damaged state", where=path, mend="start without it")
    return State(arrays, [0])
