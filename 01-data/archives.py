"""Compressed text, read as it is unpacked: .gz .bz2 .xz .zst streams, and the texts in a .zip or .tar.

Nothing is ever written to disk and memory stays flat. An archive is somebody else's program for filling
memory, so bombs, lies about sizes, odd names, links and archives inside archives are refused, a line each.
Used through `chronos.data.documents`: `chronos data prepare --text rows.jsonl.gz --out-dir DIR`.
"""

import bz2
import importlib
import io
import lzma
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from chronos.console import ChronosError
from chronos.data.decoding import DamageError, require_file
from chronos.data.members import READABLE, Member, tar_members, zip_members
from chronos.files import explain_os_errors

RATIO_LIMIT = 250  # unpacked bytes a packed one; English has 3 to 10, deflate can reach 1032, bzip2 millions
GRACE = 64 << 20  # unpacked bytes that are allowed whatever the ratio
TOTAL_LIMIT = 1 << 38  # unpacked bytes of one archive
MEMORY_LIMIT = 128 << 20  # bytes that a decompressor may ask for (xz -9 needs 65 MiB, zstd --long 128 MiB)

# A short name for a packed tar, and what it stands for.
_SHORT = {".tgz": ".tar.gz", ".tbz": ".tar.bz2", ".tbz2": ".tar.bz2", ".txz": ".tar.xz", ".tzst": ".tar.zst"}
_MAGIC = {".gz": b"\x1f\x8b", ".bz2": b"BZh", ".xz": b"\xfd7zXZ\x00", ".zst": b"\x28\xb5\x2f\xfd"}
_ZSTD_SKIPPABLE = b"\x2a\x4d\x18"  # after a byte 0x50 … 0x5f: a frame of remarks


def suffixes(path: Path | str) -> tuple[str, str]:
    """What a name says: (the suffix within, the packing), such as (".jsonl", ".gz") or (".tar", ".xz").

    A .zip and a bare .tar are ("", ".zip") and (".tar", ""); the packing of anything else is "".
    """
    name = Path(path).name.lower()
    for short, long in _SHORT.items():
        name = name.removesuffix(short) + long if name.endswith(short) else name
    outer = Path(name).suffix
    if outer in _MAGIC:
        return Path(name[: -len(outer)]).suffix, outer
    return ("", outer) if outer == ".zip" else (outer, "")


def is_container(path: Path | str) -> bool:
    """Whether the name is that of an archive with members (.zip, .tar and packed .tar)."""
    inner, outer = suffixes(path)
    return outer == ".zip" or inner == ".tar"


def is_archive(path: Path | str) -> bool:
    """Whether the name is that of anything packed: `open_stream` or (is_container) `members` reads it."""
    return bool(suffixes(path)[1]) or is_container(path)


def open_stream(path: Path | str) -> BinaryIO:
    """The unpacked bytes of a .gz, .bz2, .xz or .zst file, as a stream that is read forward.

    Opening raises ChronosError for what is no file, DamageError for a wrong first byte; reading raises
    DamageError where the data are damaged, end too soon, or unpack beyond the limits of this module.
    """
    path = Path(path)
    if is_container(path):
        raise ChronosError("this archive has members", where=path, mend="read it with members()")
    outer = suffixes(path)[1]
    if not outer:
        raise ChronosError("not a packed file", where=path, expected=" ".join(_MAGIC))
    return _open_packed(path, outer)


def members(path: Path | str) -> Iterator[tuple[str, BinaryIO]]:
    """The texts of an archive in its order: (name, stream), each stream good until the next one is asked for.

    Readable are .txt .md .json .jsonl; hidden and other files are passed over. A member that has to be
    refused comes too, with a stream that raises its DamageError when it is read, so that a reader may go on
    to the next. Raises DamageError where the archive itself is damaged, ChronosError if it holds no text.
    """
    path = Path(path)
    if not is_container(path):
        raise ChronosError("not an archive with members", where=path, expected=".zip or .tar")
    found = False
    for name, member in _walk(path):
        found = True
        yield name, io.BufferedReader(member, 1 << 16)
    if not found:
        raise ChronosError("there is no text in this archive", where=path, expected=" ".join(READABLE))


def _walk(path: Path) -> Iterator[tuple[str, Member]]:
    outer = suffixes(path)[1]
    size = require_file(path)
    budget = Budget(path, lambda: size)
    if outer == ".zip":
        yield from zip_members(path, budget.spend)
        return
    with explain_os_errors(path), _open_packed(path, outer) if outer else open(path, "rb") as file:
        yield from tar_members(path, file)


class Budget:
    """How much an archive may still unpack: `spend(n)` counts n bytes and raises DamageError at a bomb."""

    def __init__(self, path: Path, packed: Callable[[], int]):
        self.path, self.packed = path, packed
        self.given = 0

    def spend(self, count: int) -> None:
        """Count `count` unpacked bytes against the limits."""
        self.given += count
        if self.given > TOTAL_LIMIT:
            self._refuse(f"at most {TOTAL_LIMIT} bytes")
        if self.given > GRACE + RATIO_LIMIT * self.packed():
            self._refuse(f"at most {RATIO_LIMIT} bytes a packed one")

    def _refuse(self, allowed: str) -> None:
        raise DamageError("it unpacks to too much, as a bomb does", where=self.path, expected=allowed)


class _Unpacked(io.RawIOBase):
    """The bytes that a file's compressed streams hold, one after another."""

    def __init__(self, path: Path, file: BinaryIO, outer: str):
        self.path, self.file, self.outer = path, file, outer
        self.make, self.errors, self.step = _codec(outer)
        self.stream: Any = None
        self.ahead = b""  # read, but not yet unpacked
        self.taken = 0
        self.budget = Budget(path, lambda: self.taken)

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        self.file.close()
        super().close()

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer as far as one step of the decompressor does; 0 at the end of the last stream."""
        while self.stream is not None or self._begin():
            with self._explained():
                data = self.stream.decompress(self._input(), len(buffer))
            if self.stream.eof:
                self.ahead, self.stream = self.stream.unused_data + self.ahead, None
            if data:
                self.budget.spend(len(data))
                buffer[: len(data)] = data
                return len(data)
        return 0

    def _begin(self) -> bool:
        """Start the next stream, if there is one: zeros after a stream are padding, all else is damage."""
        first = not self.taken
        while True:
            self.ahead = self.ahead if first else self.ahead.lstrip(b"\0")
            if self.ahead or not self._read():
                break
        while len(self.ahead) < 6 and self._read():
            pass
        if not self.ahead and not first:
            return False
        if not self._is_magic():
            what = f"this is not {self.outer} data" if first else "there is something after its end"
            raise DamageError(what, where=self.path, got=_shown_head(self.ahead), mend="get the file again")
        self.stream = self.make()
        return True

    def _is_magic(self) -> bool:
        head = self.ahead
        skippable = self.outer == ".zst" and head[1:4] == _ZSTD_SKIPPABLE and head[0] >> 4 == 5
        return head.startswith(_MAGIC[self.outer]) or skippable

    def _read(self) -> bool:
        with explain_os_errors(self.path):
            data = self.file.read(self.step)
        self.taken += len(data)
        self.ahead += data
        return bool(data)

    def _input(self) -> bytes:
        if not self.stream.needs_input:
            return b""
        if not self.ahead and not self._read():
            raise DamageError("it ends too soon", where=self.path, mend="get the file again")
        data, self.ahead = self.ahead[: self.step], self.ahead[self.step :]
        return data

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except self.errors as error:
            reason = str(error).lower()
            if "memory" in reason:
                what, mend = f"unpacking needs more than {MEMORY_LIMIT >> 20} MiB", "pack it at a lower level"
            else:
                what, mend = f"damaged {self.outer} data ({error})", "get the file again"
            raise DamageError(what, where=self.path, mend=mend) from None


def _open_packed(path: Path, outer: str) -> BinaryIO:
    size = require_file(path)
    with explain_os_errors(path):
        file = open(path, "rb")  # noqa: SIM115 (closed with the stream)
    try:
        if not size:
            raise DamageError("this file is empty", where=path, mend="get the file again")
        stream = io.BufferedReader(_Unpacked(path, file, outer), 1 << 18)
        stream.peek(1)
    except BaseException:
        file.close()
        raise
    return stream


def _shown_head(head: bytes) -> str:
    return f"bytes {head[:4].hex(' ')}" if head else "nothing"


def _codec(outer: str) -> tuple[Callable[[], Any], tuple[type[Exception], ...], int]:
    """How to unpack one stream: what makes the decompressor, what it raises, how many bytes it is fed."""
    if outer == ".gz":
        return _Gzip, (zlib.error,), 1 << 16
    if outer == ".bz2":
        return bz2.BZ2Decompressor, (OSError, ValueError), 1 << 16
    if outer == ".xz":
        return _xz, (lzma.LZMAError,), 1 << 16
    if sys.version_info >= (3, 14):
        zstd = importlib.import_module("compression.zstd")
        options = {zstd.DecompressionParameter.window_log_max: MEMORY_LIMIT.bit_length() - 1}
        return lambda: zstd.ZstdDecompressor(options=options), (zstd.ZstdError,), 1 << 16
    try:
        import zstandard
    except ImportError:
        mend = 'pip install "chronos-memory[data]"'
        raise ChronosError("reading .zst needs the package zstandard", mend=mend) from None
    return _Zstd, (zstandard.ZstdError,), 1 << 8


def _xz() -> lzma.LZMADecompressor:
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=MEMORY_LIMIT)


class _Gzip:
    """zlib's decompressor, with the face of bz2's and lzma's; it checks length and CRC."""

    def __init__(self) -> None:
        self.zlib = zlib.decompressobj(wbits=31)

    def decompress(self, data: bytes, limit: int) -> bytes:
        return self.zlib.decompress(self.zlib.unconsumed_tail + data, limit)

    @property
    def needs_input(self) -> bool:
        return not self.zlib.unconsumed_tail

    @property
    def eof(self) -> bool:
        return self.zlib.eof

    @property
    def unused_data(self) -> bytes:
        return self.zlib.unused_data


class _Zstd:
    """zstandard's decompressor of one frame, with the same face.

    It cannot be told how much to give, but 256 bytes hold at most 64 blocks of 128 KiB, hence small steps.
    (Its stream_reader can be told, but takes a file that ends within a frame for a whole one.)
    """

    def __init__(self) -> None:
        import zstandard

        self.frame = zstandard.ZstdDecompressor(max_window_size=MEMORY_LIMIT).decompressobj()
        self.ready = memoryview(b"")

    def decompress(self, data: bytes, limit: int) -> memoryview:
        if data:
            self.ready = memoryview(self.frame.decompress(data))
        given, self.ready = self.ready[:limit], self.ready[limit:]
        return given

    @property
    def needs_input(self) -> bool:
        return not self.ready and not self.frame.eof

    @property
    def eof(self) -> bool:
        return self.frame.eof and not self.ready

    @property
    def unused_data(self) -> bytes:
        return self.frame.unused_data
