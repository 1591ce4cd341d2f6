"""The journal of an event store: which events are there, checked line by line; the one file that decides.

`journal.log` is text. Its first line says what the store is, each later one what holds from then on, and each
begins with a CRC-32 over itself and the one before. A line counts once it is whole, so an append that was
killed never happened. It knows nothing of events; store.py writes them to disk before it adds a line.
"""

import json
import os
import re
import struct
import time
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chronos.console import ChronosError
from chronos.files import read_json, write_atomic, write_json

SCHEMA = 1
JOURNAL, HEAD, LOCK, ABOUT = "journal.log", "head.bin", "lock", "about.json"
DATA = re.compile(r"(events|words|uses)-(\d{6})\.bin")
REPAIR = "repair it: chronos memory check --repair"
_SLOT = struct.Struct("<8sQQQI")  # magic, rewrite, turn, bytes of the journal, CRC-32
_MAGIC = b"chronos\n"
CONSTANT = (
    "chronos",
    "schema",
    "id",
    "key",
    "width",
    "identity",
)  # of a header; "data" and "rewrite" count up


class DamageError(ChronosError):
    """Bytes on disk are not what was written there; the line says which, and how to go on with the rest."""


@dataclass(frozen=True)
class Cursor:
    """How far a source has been read: its hash, where to go on (bytes or lines), events written so far."""

    hash: str
    offset: int
    count: int
    done: bool = False


@dataclass(frozen=True)
class Line:
    """What holds from here on: events, bytes of words, CRC-32 of all of both; and what is new."""

    events: int
    words: int
    crc: tuple[int, int]
    cursors: dict[str, Cursor] = field(default_factory=dict)
    forget: tuple[tuple[int, int], ...] = ()  # ranges [first, end)

    def plain(self) -> dict[str, Any]:
        """As JSON can say it."""
        said: dict[str, Any] = {"events": self.events, "words": self.words, "crc": list(self.crc)}
        if self.cursors:
            said["cursors"] = {name: list(vars_of(c)) for name, c in self.cursors.items()}
        if self.forget:
            said["forget"] = [list(pair) for pair in self.forget]
        return said


@dataclass
class Journal:
    """A journal as it was read: the header, whole lines, its bytes, and what was wrong with it."""

    header: dict[str, Any]
    lines: list[Line]
    size: int  # bytes of the whole lines
    torn: int = 0  # bytes after them
    crc: int = 0  # of the last line
    damage: list[str] = field(default_factory=list)

    cursors: dict[str, Cursor] = field(default_factory=dict)  # the newest of each name
    forgotten: list[tuple[int, int]] = field(default_factory=list)  # all ranges that ever were

    @property
    def last(self) -> Line:
        return self.lines[-1] if self.lines else Line(0, 0, (0, 0))

    def add(self, line: Line) -> None:
        """What a line says, taken in."""
        self.lines.append(line)
        self.cursors |= line.cursors
        self.forgotten += line.forget


def vars_of(cursor: Cursor) -> tuple[str, int, int, bool]:
    """The fields of a cursor, in order."""
    return cursor.hash, cursor.offset, cursor.count, cursor.done


def encode(payload: dict[str, Any], before: int) -> tuple[bytes, int]:
    """A line and its checksum, given that of the line before it."""
    text = json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
    crc = zlib.crc32(text, before)
    return b"%08x %s\n" % (crc, text), crc


def write_journal(folder: Path, header: dict[str, Any], lines: Iterable[Line]) -> Journal:
    """Replace the journal in one step: the moment at which a store is made, folded, compacted or repaired."""
    about = {name: header[name] for name in CONSTANT}
    if read_about(folder) != about:
        write_json(folder / ABOUT, about)
    journal = Journal(header, [], 0)
    out, crc = encode(header, 0)
    for line in lines:
        journal.add(line)
        more, crc = encode(line.plain(), crc)
        out += more
    write_atomic(folder / JOURNAL, out)
    journal.size, journal.crc = len(out), crc
    return journal


def read_about(folder: Path) -> dict[str, Any] | None:
    """The copy of what never changes in a header, kept beside the journal for repairs; None if unreadable."""
    try:
        about = read_json(folder / ABOUT)
    except ChronosError:
        return None
    return about if isinstance(about, dict) and set(about) == set(CONSTANT) else None


def read_journal(folder: Path) -> Journal:
    """Read and check every line; what is damaged is told in `.damage` and left out. OSError without one."""
    head = _read_head(folder)  # first: the journal may grow meanwhile, never shrink
    raw = (folder / JOURNAL).read_bytes()
    pieces = raw.split(b"\n")
    found = Journal({}, [], len(raw) - len(pieces[-1]), torn=len(pieces[-1]))
    for number, piece in enumerate(pieces[:-1], 1):
        crc = _hex(piece[:8])
        payload = _payload(piece, found.crc)
        if payload is None:
            found.damage.append(f"line {number} of {JOURNAL} is damaged")
        elif number == 1:
            found.header = payload
        else:
            found.add(_line(payload))
        found.crc = found.crc if crc is None else crc
    if not found.header and not found.damage:
        found.damage.append(f"{JOURNAL} is cut short: its first line is not there")
    about = read_about(folder)
    if about is None or (found.header and about != {name: found.header.get(name) for name in CONSTANT}):
        found.damage.append(f"{ABOUT} is damaged")
    if head is None:
        found.damage.append(f"{HEAD} is damaged")
    elif found.header and head[0] > found.header["rewrite"]:
        found.damage.append(f"{JOURNAL} is an older one than {HEAD} was written for")
    elif head[0] == found.header.get("rewrite") and head[1] > found.size:
        found.damage.append(f"{JOURNAL} is cut short: {head[1]} bytes were written, {found.size} are whole")
    return found


def _hex(digits: bytes) -> int | None:
    return int(digits, 16) if re.fullmatch(rb"[0-9a-f]{8}", digits) else None


def _payload(piece: bytes, before: int) -> dict[str, Any] | None:
    """The object of a line, or None if its checksum is not what it should be."""
    if piece[8:9] != b" " or _hex(piece[:8]) != zlib.crc32(piece[9:], before):
        return None
    try:
        payload = json.loads(piece[9:])
    except ValueError:
        return None
    return payload if isinstance(payload, dict) else None


def _line(payload: dict[str, Any]) -> Line:
    cursors = {name: Cursor(*c) for name, c in payload.get("cursors", {}).items()}
    forget = tuple((a, b) for a, b in payload.get("forget", ()))
    return Line(payload["events"], payload["words"], tuple(payload["crc"]), cursors, forget)


def write_head(folder: Path, rewrite: int, turn: int, size: int) -> None:
    """Note beside the journal how long it is, in two places by turns, so that cutting it short is seen.

    Not fsynced: after a power cut an older note stands, which is true as well.
    """
    body = _SLOT.pack(_MAGIC, rewrite, turn, size, 0)[:-4]
    handle = os.open(folder / HEAD, os.O_WRONLY | os.O_CREAT, 0o666)
    try:
        os.lseek(handle, turn % 2 * _SLOT.size, os.SEEK_SET)
        os.write(handle, body + struct.pack("<I", zlib.crc32(body)))
    finally:
        os.close(handle)


def _read_head(folder: Path) -> tuple[int, int] | None:
    """The newest note, (rewrite, bytes); (−1, 0) if none was written; None if one is damaged."""
    path = folder / HEAD
    for _ in range(3):  # a reader may come while a note is being written
        raw = path.read_bytes() if path.is_file() else b""
        slots = [slot for at in (0, _SLOT.size) if (slot := raw[at : at + _SLOT.size]).strip(b"\0")]
        if all(
            len(s) == _SLOT.size and zlib.crc32(s[:-4]) == int.from_bytes(s[-4:], "little") for s in slots
        ):
            notes = [_SLOT.unpack(slot)[1:4] for slot in slots]
            rewrite, _, size = max(notes, default=(-1, 0, 0))
            return rewrite, size
        time.sleep(0.001)
    return None
