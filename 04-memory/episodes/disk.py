"""The files of an event store: names, the writer's lock, reading and writing at a place.

Knows nothing of what is in them; works on Linux, macOS and Windows alike.
"""

import mmap
import os
from pathlib import Path

from chronos.console import ChronosError
from chronos.memory.episodes.journal import ABOUT, DATA, HEAD, JOURNAL, LOCK

TEMPORARY = f".{JOURNAL}."  # how a journal begins that is still being written (chronos.files)


def data_names(number: int) -> tuple[str, str, str]:
    """The files of events, words and uses. Compacting writes the next number."""
    return tuple(f"{kind}-{number:06d}.bin" for kind in ("events", "words", "uses"))


def ours(name: str) -> bool:
    """Whether a file of that name belongs to a store."""
    known = name in (ABOUT, HEAD, JOURNAL, LOCK) or DATA.fullmatch(name)
    return bool(known) or (name.startswith((TEMPORARY, f".{ABOUT}.")) and name.endswith(".tmp"))


def remove_leftovers(path: Path, number: int) -> None:
    """Remove data files of other numbers, left by a compaction that was killed, and unfinished journals."""
    keep = {ABOUT, HEAD, JOURNAL, LOCK, *data_names(number)}
    for name in os.listdir(path):
        if ours(name) and name not in keep:
            (path / name).unlink(missing_ok=True)


class Lock:
    """The right to write, held until `release` or the end of the process; readers need none."""

    def __init__(self, path: Path):
        self.handle = os.open(path / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            if os.name == "nt":
                import msvcrt

                msvcrt.locking(self.handle, msvcrt.LK_NBLCK, 1)
            else:
                import fcntl

                fcntl.flock(self.handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self.handle)
            mend = "wait until it has finished; reading is possible meanwhile"
            raise ChronosError("another process is writing to this memory", where=path, mend=mend) from None

    def release(self) -> None:
        """Let the next writer in."""
        os.close(self.handle)


def write_at(handle: int, data: bytes, at: int) -> None:
    """Write all of `data` at a place of an open file."""
    left = memoryview(data)
    while left:
        if hasattr(os, "pwrite"):
            done = os.pwrite(handle, left, at)
        else:
            os.lseek(handle, at, os.SEEK_SET)
            done = os.write(handle, left)
        left, at = left[done:], at + done


def read_at(handle: int, size: int, at: int) -> bytes:
    """Up to `size` bytes from a place of an open file."""
    if hasattr(os, "pread"):
        return os.pread(handle, size, at)
    os.lseek(handle, at, os.SEEK_SET)
    return os.read(handle, size)


def mapped(handle: int, size: int) -> mmap.mmap | bytes:
    """The first `size` bytes of an open file, to be sliced; pages come and go as memory allows."""
    return mmap.mmap(handle, size, access=mmap.ACCESS_READ) if size else b""
