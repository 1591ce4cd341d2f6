"""The texts inside a .zip or .tar, one after another: names, kinds and sizes are believed only when checked.

It extracts nothing and follows no link. tar is read here block by block (the standard library's reader keeps
every member in memory and reads headers of any size); zip's directory is checked before `zipfile` reads it.
Used through `chronos.data.archives`.
"""

import io
import os
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from chronos.data.decoding import DamageError
from chronos.files import explain_os_errors

READABLE = (".txt", ".md", ".json", ".jsonl")
NESTED = (".zip", ".tar", ".gz", ".bz2", ".xz", ".zst", ".tgz", ".tbz", ".tbz2", ".txz", ".tzst", ".7z")
MEMBER_LIMIT = 100_000  # more belong in one .jsonl
DIRECTORY_LIMIT = 16 << 20  # bytes of a zip's directory, which zipfile holds whole
HEADER_LIMIT = 1 << 20  # bytes of a tar's extended header
BLOCK = 512
Spend = Callable[[int], None]
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")


def shown(name: str | bytes) -> str:
    """A member's name as it may be printed: what would play tricks on a terminal is escaped."""
    text = name.decode("utf-8", "backslashreplace") if isinstance(name, bytes) else name
    return text if text.isprintable() else ascii(text)[1:-1]


def _where(path: Path, name: str | bytes) -> str:
    told = shown(name)
    return f"{path}:{told if len(told) <= 200 else '…' + told[-200:]}"


def readable(name: str) -> bool:
    """Whether a member is wanted: a text, or an archive to be refused aloud, that is not hidden.

    `__MACOSX` holds no text, whatever its names say.
    """
    parts = PurePosixPath(name.replace("\\", "/")).parts
    hidden = any(part == "__MACOSX" or (part.startswith(".") and part != "..") for part in parts)
    return not hidden and name.lower().endswith(READABLE + NESTED)


def bad_name(name: str) -> str | None:
    """Why a member of this name is refused, if it is."""
    if _CONTROL.search(name):
        return "its name holds control characters"
    plain = name.replace("\\", "/")
    if plain.startswith("/") or plain[1:2] == ":":
        return "its name is absolute"
    if ".." in plain.split("/"):
        return "its name leads out of the archive"
    if plain.lower().endswith(NESTED):
        return "an archive inside an archive is not opened"
    return None


class Member(io.RawIOBase):
    """The bytes of one member, counted; `refuse(why)` is raised by the first read of one that is refused."""

    def __init__(self, where: str, read: Callable[[int], bytes] | None, why: str | None = None):
        self.where, self.source, self.why = where, read, why

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """Some bytes of the member; 0 at its end."""
        if self.why or self.source is None:
            mend = "unpack and mend it, or leave it out"
            raise DamageError(self.why or "it is not read", where=self.where, mend=mend)
        data = self.source(len(buffer))
        buffer[: len(data)] = data
        return len(data)


class _Names:
    """Counts members and remembers the names that were given."""

    def __init__(self, path: Path):
        self.path = path
        self.count = 0
        self.seen: set[str] = set()

    def enter(self, count: int = 1) -> None:
        """One more member, wanted or not."""
        self.count += count
        if self.count > MEMBER_LIMIT:
            expected = f"at most {MEMBER_LIMIT:,}"
            mend = "put the texts into one .jsonl"
            raise DamageError("too many members", where=self.path, expected=expected, mend=mend)

    def check(self, name: str) -> str | None:
        """Why a wanted member is refused, if it is."""
        why = bad_name(name)
        if why is None and name in self.seen:
            why = "a second member of this name"
        self.seen.add(name)
        return why


# ---- tar ---------------------------------------------------------------------------------------------------
# A header block: name 0:100, size 124:136, checksum 148:156, kind 156, magic 257:263, prefix 345:500.


@dataclass
class _Header:
    name: bytes
    size: int
    kind: bytes


def tar_members(path: Path, file: BinaryIO) -> Iterator[tuple[str, Member]]:
    """The wanted members of an unpacked tar stream: (name as shown, its bytes)."""
    tar = _Tar(path, file)
    names = _Names(path)
    while header := tar.next():
        names.enter()
        try:
            name = header.name.decode("utf-8")
        except UnicodeDecodeError:
            name, why = shown(header.name), "its name is not UTF-8"
        else:
            why = None
        if header.kind == b"5" or not readable(name):
            continue
        where = _where(path, name)
        why = why or _KINDS.get(header.kind) or names.check(name)
        tar.where = where
        member = Member(where, tar.read, why)
        try:
            yield shown(name), member
        finally:
            member.source = None  # or it would read from the next one
    while file.read(1 << 18):  # to the end, so that a packed tar's checksum is seen
        pass


_KINDS = {b"1": "it is a link", b"2": "it is a link", b"3": "it is a device", b"4": "it is a device"}
_KINDS |= {b"6": "it is a named pipe", b"S": "it is a sparse file", b"M": "it is a part of a file"}


class _Tar:
    """Header after header; `read` gives the current member, and `next` passes over what was not read."""

    def __init__(self, path: Path, file: BinaryIO):
        self.path, self.file = path, file
        self.where = str(path)
        self.left = self.padding = 0
        self.started = False

    def read(self, count: int) -> bytes:
        """At most `count` bytes of the current member."""
        with explain_os_errors(self.path):
            data = self.file.read(min(count, self.left))
        if not data and self.left and count:
            raise DamageError("the archive ends within it", where=self.where, mend="get the archive again")
        self.left -= len(data)
        return data

    def next(self) -> _Header | None:
        """The header of the next member, with what extended headers said of it; None at the end mark."""
        told: dict[bytes, bytes] = {}
        while header := self._header():
            if header.kind == b"L":
                told[b"path"] = self._extended(header).rstrip(b"\0")
            elif header.kind == b"x":
                told |= self._records(self._extended(header))
            elif header.kind in b"gKV":
                self._extended(header)
            else:
                break
        if header is None:
            return None
        header.name = told.get(b"path", header.name)
        if b"size" in told:
            header.size = self._size(told[b"size"], 10)
        if any(key.startswith(b"GNU.sparse") for key in told):
            header.kind = b"S"
        self._expect(header.size if header.kind not in b"123456" else 0)
        return header

    def _header(self) -> _Header | None:
        self.left += self.padding
        while self.left:
            self.read(min(self.left, 1 << 18))
        block = self._block()
        if block == bytes(BLOCK):
            return None
        total = sum(block[:148]) + 8 * 32 + sum(block[156:])
        if block[148:156].strip(b" \0").lstrip(b"0") != b"%o" % total:
            what = "damaged tar header" if self.started else "this is not a tar archive"
            raise DamageError(what, where=self.path, mend="get the archive again")
        self.started = True
        name = block[:100].split(b"\0")[0]
        prefix = block[345:500].split(b"\0")[0] if block[257:263] == b"ustar\0" else b""
        kind = block[156:157].replace(b"\0", b"0")
        name = prefix + b"/" + name if prefix else name
        self.where = _where(self.path, name)
        self._expect(0)
        return _Header(name, self._size(block[124:136], 8), kind)

    def _block(self) -> bytes:
        with explain_os_errors(self.path):
            block = self.file.read(BLOCK)
        if len(block) < BLOCK:
            what = "the archive ends without its end mark" if self.started else "this is not a tar archive"
            raise DamageError(what, where=self.path, mend="get the archive again")
        return block

    def _expect(self, size: int) -> None:
        self.left, self.padding = size, -size % BLOCK

    def _extended(self, header: _Header) -> bytes:
        if header.size > HEADER_LIMIT:
            what = "an extended header is too long"
            raise DamageError(what, where=self.path, expected=f"at most {HEADER_LIMIT}", got=header.size)
        self._expect(header.size)
        parts = []
        while self.left:
            parts.append(self.read(self.left))
        return b"".join(parts)

    def _records(self, data: bytes) -> dict[bytes, bytes]:
        """pax: `length key=value\\n` after another, where the length counts itself."""
        told, at = {}, 0
        data = data.rstrip(b"\0")
        while at < len(data):
            length = data[at : at + 12].partition(b" ")[0]
            end = at + int(length) if length.isdigit() else at
            key, equals, value = data[at + len(length) + 1 : end].partition(b"=")
            if not (equals and value.endswith(b"\n")) or end > len(data):
                raise DamageError("damaged extended header", where=self.path, mend="get the archive again")
            told[key] = value[:-1]
            at = end
        return told

    def _size(self, field: bytes, base: int) -> int:
        """A decimal or octal number, or (octal only) one of GNU's base-256 for what octal cannot hold."""
        digits = field.strip(b" \0") or b"0"
        if base == 8 and field[0] == 0x80:
            size = int.from_bytes(field[1:], "big")
        elif len(digits) < 20 and digits.isdigit() and (base == 10 or not digits.strip(b"01234567")):
            size = int(digits, base)
        else:
            size = 1 << 62
        if size >= 1 << 62:
            raise DamageError("damaged tar header (its size is no number)", where=self.where)
        return size


# ---- zip ---------------------------------------------------------------------------------------------------


# What zipfile raises for hostile input, besides its own error.
_ZIP_ERRORS = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, ValueError)
_ZIP_ERRORS += (OverflowError, MemoryError, RuntimeError, AttributeError, IndexError)


def zip_members(path: Path, spend: Spend) -> Iterator[tuple[str, Member]]:
    """The wanted members of a zip: (name as shown, its bytes). `spend` is told of every byte unpacked."""
    names = _Names(path)
    with explain_os_errors(path):
        _check_directory(path, names)
        try:
            archive = zipfile.ZipFile(path)
        except _ZIP_ERRORS as error:
            raise _damaged(path, error) from None
    with archive:
        names.enter(len(archive.filelist))
        for info in archive.infolist():
            if info.is_dir() or not readable(info.filename):
                continue
            where = _where(path, info.filename)
            why = _refused(info) or names.check(info.filename)
            yield (
                shown(info.filename),
                Member(where, None if why else _Zipped(archive, info, where, spend), why),
            )


def _damaged(where: object, error: Exception) -> DamageError:
    reason = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, UnicodeDecodeError):
        reason = "a name is not UTF-8"
    return DamageError(f"damaged zip ({reason})", where=where, mend="get the archive again")


def _refused(info: zipfile.ZipInfo) -> str | None:
    if info.flag_bits & 1:
        return "it is encrypted"
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return f"it is packed by method {info.compress_type} (read are 0 stored and 8 deflate)"
    if info.create_system == 3 and info.external_attr >> 28 not in (0, 8):  # Unix: S_IFMT other than a file
        return "it is a link or a device"
    return None


def _check_directory(path: Path, names: _Names) -> None:
    """Refuse a zip whose end records tell of too many members or too long a directory.

    The record PK 5 6 stands in the last 64 KiB, before it zip64's locator PK 6 7, and zip64's record PK 6 6
    stands where that says, or (so some readers take it) right before it: neither may hide a larger one.
    """
    with open(path, "rb") as file:
        start = max(0, os.path.getsize(path) - 65535 - 22 - 20 - 56)
        file.seek(start)
        tail = file.read()
        at = tail.rfind(b"PK\5\6")
        if at < 0 or len(tail) < at + 22:
            what = "this is not a zip archive, or it is cut short"
            raise DamageError(what, where=path, mend="get the archive again")
        told = [struct.unpack_from("<HL", tail, at + 10)]
        if (locator := tail[max(0, at - 20) : at]).startswith(b"PK\6\7"):
            file.seek(struct.unpack_from("<Q", locator, 8)[0] % (1 << 62))
            records = [file.read(56), tail[max(0, at - 76) : max(0, at - 20)]]
            told = [struct.unpack_from("<QQ", r, 32) for r in records if len(r) == 56 and r[:4] == b"PK\6\6"]
            if not told:
                raise DamageError("damaged zip (its zip64 record is missing)", where=path)
    for count, length in told:
        if count > MEMBER_LIMIT:
            names.enter(count)
        if length > DIRECTORY_LIMIT:
            expected = f"at most {DIRECTORY_LIMIT} bytes"
            raise DamageError("its directory is too long", where=path, expected=expected, got=length)


class _Zipped:
    """Reads one member of a zip on demand, and believes neither its length nor its checksum."""

    def __init__(self, archive: zipfile.ZipFile, info: zipfile.ZipInfo, where: str, spend: Spend):
        self.archive, self.info, self.where, self.spend = archive, info, where, spend
        self.file: Any = None
        self.given, self.over = 0, False

    def __call__(self, count: int) -> bytes:
        if self.over:
            return b""
        try:
            if self.file is None:
                self.file = self.archive.open(self.info)
            data = self.file.read(count)
        except _ZIP_ERRORS as error:
            raise _damaged(self.where, error) from None
        self.given += len(data)
        self.spend(len(data))
        if not data and count:
            self.file.close()
            self.over = True
            if self.given != self.info.file_size:
                what = "its length is not what the directory says"
                raise DamageError(what, where=self.where, expected=self.info.file_size, got=self.given)
        return data
