"""Memory that a training step uses again: large arrays come from free lists, not from the system.

An array from `empty` goes back to its list when the last view of it dies, so the next step finds it there; a
smaller one may be lent it. Without this each step would ask the system for gigabytes and touch every page for
the first time. What lies free is bounded: work whose sizes keep changing gives it back.
"""

import math
import threading
from collections import defaultdict

import numpy as np

SMALL = 1 << 14  # bytes; below this NumPy's own cache is faster
IDLE = 64 << 20  # bytes that may lie free in any case, besides twice the most that was ever in use

Buffer = tuple[np.ndarray, int]  # memory and its address, which costs a microsecond to ask for


class _Block:
    """Owner of one buffer; NumPy keeps it alive as the base of every array that lies in the buffer."""

    __slots__ = ("__array_interface__", "__weakref__", "buffer", "home")

    def __init__(self, buffer: Buffer, home: list[Buffer], shape: tuple[int, ...], typestr: str):
        self.buffer, self.home = buffer, home
        data = (buffer[1], False)
        self.__array_interface__ = {"shape": shape, "typestr": typestr, "data": data, "version": 3}

    def __del__(self) -> None:
        self.home.append(self.buffer)


class Workspace:
    """Free lists by size. `allocated` counts the bytes ever taken from the system, `misses` how often."""

    def __init__(self) -> None:
        self.free: dict[int, list[Buffer]] = defaultdict(list)
        self.allocated = 0
        self.misses = 0
        self.most_used = 0

    def empty(self, shape: tuple[int, ...] | int, dtype: type = np.float32) -> np.ndarray:
        """An uninitialised C-contiguous array, 64-byte aligned when large."""
        shape = (shape,) if isinstance(shape, int) else tuple(shape)
        kind = np.dtype(dtype)
        size = math.prod(shape) * kind.itemsize
        if size < SMALL:
            return np.empty(shape, kind)
        home = self.free[_bucket(size)]
        try:
            buffer = home.pop()
        except IndexError:
            buffer, home = self._lent(size) or (self._new(_bucket(size)), home)
        return np.asarray(_Block(buffer, home, shape, kind.str))

    @property
    def idle(self) -> int:
        """Bytes that lie free."""
        return sum(size * len(home) for size, home in list(self.free.items()))

    def _lent(self, size: int) -> tuple[Buffer, list[Buffer]] | None:
        """The smallest free buffer of more than `size` bytes, but not twice as many, and its list."""
        fit = [room for room, home in self.free.items() if size < room < 2 * size and home]
        if not fit:
            return None
        home = self.free[min(fit)]
        return home.pop(), home

    def _new(self, size: int) -> Buffer:
        idle = self.idle
        self.most_used = max(self.most_used, self.allocated - idle + size)
        if idle > 2 * self.most_used + IDLE:
            self.release()
        self.misses += 1
        self.allocated += size
        raw = np.empty(size + 64, np.uint8)
        start = -raw.ctypes.data % 64
        return raw[start : start + size], raw.ctypes.data + start

    def release(self) -> None:
        """Give what lies free back to the system (between phases that need other sizes)."""
        for size, home in self.free.items():
            while home:  # one by one: another thread may be returning a buffer right now
                home.pop()
                self.allocated -= size


def _bucket(size: int) -> int:
    """Round up so that nearly equal sizes share buffers: at most an eighth is wasted."""
    step = 1 << max(12, size.bit_length() - 4)
    return -(-size // step) * step


_local = threading.local()


def workspace() -> Workspace:
    """This thread's workspace (each training lane has its own: no locks, and memory stays near its core)."""
    if not hasattr(_local, "workspace"):
        _local.workspace = Workspace()
    return _local.workspace


def empty(shape: tuple[int, ...] | int, dtype: type = np.float32) -> np.ndarray:
    """An uninitialised array from this thread's workspace."""
    return workspace().empty(shape, dtype)


def empty_like(array: np.ndarray) -> np.ndarray:
    """An uninitialised C-contiguous array of the same shape and type."""
    return empty(array.shape, array.dtype)


def zeros(shape: tuple[int, ...] | int, dtype: type = np.float32) -> np.ndarray:
    """A zeroed array from this thread's workspace."""
    out = empty(shape, dtype)
    out.fill(0)
    return out
