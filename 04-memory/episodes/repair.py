"""Checking, mending and rewriting an event store: tails, flipped bytes, compaction, going back.

Works on the files of a store, for its writer. `verify` reads every byte; `repair` keeps whatever is whole and
says what is not; `compacted` and `truncated` write new files, which count once the journal names them.
"""

import dataclasses
import os
import zlib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from chronos.console import ChronosError, Progress
from chronos.memory.episodes.disk import data_names, mapped
from chronos.memory.episodes.journal import (
    CONSTANT,
    DATA,
    JOURNAL,
    REPAIR,
    SCHEMA,
    Cursor,
    DamageError,
    Journal,
    Line,
    read_about,
    read_journal,
    write_head,
    write_journal,
)  # fmt: skip
from chronos.memory.episodes.layout import begins, record_type, whole_words, with_checksums

TAIL_BYTES = 16 << 20  # checked on every opening: 10 ms
CHUNK = 8192  # events rewritten at a time
_BLOCK = 1 << 20
_START = Line(0, 0, (0, 0))


def check_tail(path: Path, header: dict[str, Any], journal: Journal) -> int:
    """Compare the files with the journal: lengths, and the checksums of the newest TAIL_BYTES.

    Returns the bytes beyond what was confirmed; DamageError for bytes that lack or differ.
    """
    beyond, last = _beyond(path, header, journal.last), journal.last
    size = record_type(header["width"], header["key"]).itemsize
    anchors = [_START, *journal.lines]
    reach = [line for line in anchors if _bytes(last, size) - _bytes(line, size) <= TAIL_BYTES]
    for problem in _segments(path, header, reach):
        raise DamageError(problem, where=path, mend=REPAIR)
    return beyond


def _beyond(path: Path, header: dict[str, Any], last: Line) -> int:
    """Bytes of the files beyond what a line says; DamageError where some lack."""
    size, beyond = record_type(header["width"], header["key"]).itemsize, 0
    for name, needed in zip(data_names(header["data"]), (last.events * size, last.words)):
        if not (path / name).is_file():
            raise DamageError(f"{name} is missing", where=path, mend=REPAIR)
        there = (path / name).stat().st_size
        if there < needed:
            what = f"{name} is cut short"
            raise DamageError(what, where=path, expected=f"{needed} bytes", got=there, mend=REPAIR)
        beyond += there - needed
    return beyond


def verify(path: Path | str) -> list[str]:
    """Read every byte of a store; what is wrong with it, a line each, the damaged events by their ids."""
    path = Path(path)
    journal = read_journal(path)
    problems = list(journal.damage)
    if journal.header:
        try:
            _beyond(path, journal.header, journal.last)
        except DamageError as error:
            return [*problems, str(error)]
        problems += _segments(path, journal.header, [_START, *journal.lines])
        if problems:
            ends = _ends(path, journal.header, journal.last.events, journal.last.words)
            problems += [f"event {at} is damaged" for at, end in enumerate(ends) if end < 0]
    return problems


def _bytes(line: Line, size: int) -> int:
    return line.events * size + line.words


def _segments(path: Path, header: dict[str, Any], lines: list[Line]) -> Iterator[str]:
    """What lies between neighbouring lines, against their running checksums."""
    if not lines:
        return
    size, total = record_type(header["width"], header["key"]).itemsize, lines[-1]
    names = data_names(header["data"])
    with open(path / names[0], "rb") as events, open(path / names[1], "rb") as words, \
            Progress(_bytes(total, size), "checking", unit="B") as bar:  # fmt: skip
        for a, b in pairwise(lines):
            found = (
                _crc(events, a.events * size, b.events * size, a.crc[0]),
                _crc(words, a.words, b.words, a.crc[1]),
            )
            for name, crc, wanted in zip(names, found, b.crc):
                if crc != wanted:
                    yield f"{name} is damaged between events {a.events} and {b.events - 1}"
            bar.update(_bytes(b, size))


def _crc(file, start: int, end: int, crc: int) -> int:
    file.seek(start)
    while start < end:
        block = file.read(min(_BLOCK, end - start))
        if not block:
            break
        crc, start = zlib.crc32(block, crc), start + len(block)
    return crc


def _ends(path: Path, header: dict[str, Any], events: int, words: int) -> Iterator[int]:
    """Where the words of each event end, in order; −1 for a damaged one."""
    kind, names = record_type(header["width"], header["key"]), data_names(header["data"])
    with open(path / names[0], "rb") as file, open(path / names[1], "rb") as other, \
            Progress(events, "checking each event", unit="events") as bar:  # fmt: skip
        records, text = mapped(file.fileno(), events * kind.itemsize), mapped(other.fileno(), words)
        for at in range(0, events, CHUNK):
            size = min(CHUNK, events - at)
            rows = np.frombuffer(records[at * kind.itemsize : (at + size) * kind.itemsize], kind)
            for begin, whole in zip(begins(rows["packed"]).tolist(), whole_words(rows, text)):
                yield -1 if whole is None else begin + len(whole)
            bar.update(at + size)


# ---- mending -----------------------------------------------------------------------------------------------


def repair(path: Path) -> list[str]:
    """Make a damaged store whole again: what was lost, a line each; nothing is done to a store that is whole.

    Damaged events are forgotten, what is missing at the end is cut, and with it the cursors that came later,
    so that ingesting the same source again brings it back and doubles nothing.
    """
    try:
        journal = read_journal(path)
    except FileNotFoundError:
        journal = Journal({}, [], 0, damage=[f"{JOURNAL} is missing"])
    header, notes = _header(path, journal), list(journal.damage)
    if any(JOURNAL in problem for problem in notes):
        notes.append("what the lost lines said of forgotten events is not known: forget them again")
    if not notes and not _tail_damage(path, header, journal):
        return []
    for name in data_names(header["data"]):
        if not (path / name).exists():
            (path / name).write_bytes(b"")
            notes.append(f"{name} is missing: what it held is lost")
    last, sizes = journal.last, [(path / name).stat().st_size for name in data_names(header["data"])]
    there = sizes[0] // record_type(header["width"], header["key"]).itemsize
    told = any(line.cursors for line in journal.lines)
    keep_more = bool(journal.damage) and not told  # beyond the last line: perhaps confirmed by a lost one
    ends = list(_ends(path, header, there if keep_more else min(there, last.events), sizes[1]))
    short = there < last.events or sizes[1] < last.words
    while ends and ends[-1] < 0 and (short or len(ends) > last.events):
        ends.pop()
    kept = [line for line in journal.lines if line.events <= len(ends)]
    if any(line.cursors for line in journal.lines[len(kept) :]):
        ends = ends[: kept[-1].events if kept else 0]
    if len(ends) != last.events:
        notes.append(f"{last.events} events were confirmed, {len(ends)} are left")
    notes += _mended(path, header, journal, kept, ends)
    return notes


def _tail_damage(path: Path, header: dict[str, Any], journal: Journal) -> bool:
    try:
        check_tail(path, header, journal)
    except DamageError:
        return True
    return any(_segments(path, header, [_START, *journal.lines]))


def _header(path: Path, journal: Journal) -> dict[str, Any]:
    """The header of the journal, or what can be known of it otherwise."""
    if journal.header:
        header = journal.header
    else:
        about = read_about(path)
        numbers = [int(m[2]) for m in map(DATA.fullmatch, os.listdir(path)) if m]
        if about is None or not numbers:
            what = "neither the journal nor its copy of what the store is can be read"
            raise DamageError(what, where=path, mend="take it from a copy, or ingest again")
        header = about | {"data": min(numbers), "rewrite": 0}
    if header.get("schema") != SCHEMA or not all(name in header for name in CONSTANT):
        what = "a memory store of another version"
        raise ChronosError(what, where=path, expected=SCHEMA, got=header.get("schema"))
    return header


def _mended(path: Path, header, journal: Journal, kept: list[Line], ends: list[int]) -> list[str]:
    """Cut the files, write a journal that fits them; what is said about damaged events."""
    size = record_type(header["width"], header["key"]).itemsize
    bad = [at for at, end in enumerate(ends) if end < 0]
    words = max(0, *ends, journal.last.words if len(ends) == journal.last.events else 0)
    crcs = []
    for name, end in zip(data_names(header["data"]), (len(ends) * size, words)):
        with open(path / name, "r+b") as file:
            file.truncate(end)
            crcs.append(_crc(file, 0, end, 0))
            os.fsync(file.fileno())
    gone = [*journal.forgotten, *((at, at + 1) for at in bad)]
    cursors: dict[str, Cursor] = {name: c for line in kept for name, c in line.cursors.items()}
    line = Line(len(ends), words, (crcs[0], crcs[1]), cursors, _joined(gone, len(ends)))
    header = header | {"rewrite": header["rewrite"] + 1}
    write_head(path, header["rewrite"], 0, 0)
    write_head(path, header["rewrite"], 1, 0)
    write_journal(path, header, [line])
    named = ", ".join(map(str, bad[:5])) + (" …" if len(bad) > 5 else "")
    return [f"{len(bad)} damaged events are forgotten: {named}"] if bad else []


# ---- rewriting ---------------------------------------------------------------------------------------------


def _joined(ranges, events: int) -> tuple[tuple[int, int], ...]:
    """Ranges [first, end) in order, those that touch joined, nothing beyond `events`."""
    out: list[list[int]] = []
    for first, end in sorted(ranges):
        first, end = min(first, events), min(end, events)
        if out and first <= out[-1][1]:
            out[-1][1] = max(out[-1][1], end)
        elif first < end:
            out.append([first, end])
    return tuple((a, b) for a, b in out)


def folded(journal: Journal) -> list[Line]:
    """A short journal that says the same: some lines as anchors of checksums, all else in the last."""
    last = dataclasses.replace(
        journal.last, cursors=journal.cursors, forget=_joined(journal.forgotten, journal.last.events)
    )
    return [dataclasses.replace(line, cursors={}, forget=()) for line in journal.lines[:-1:256]] + [last]


def compacted(store, number: int) -> list[Line]:
    """Write files of that number without what was forgotten; the lines of the new journal."""
    out = _Writer(store.path, number)
    alive = np.flatnonzero(store.alive)
    text = store.words
    with out, Progress(len(alive), "compacting", unit="events") as bar:
        for start in range(0, len(alive), CHUNK):
            ids = alive[start : start + CHUNK]
            out.add(store.path, store.records[ids], text, ids, store.uses(ids))
            bar.update(start + len(ids))
    return [dataclasses.replace(out.line(), cursors=store.journal.cursors)]


class _Writer:
    """New data files, filled with events that move to another place."""

    def __init__(self, path: Path, number: int):
        self.files = [open(path / name, "wb") for name in data_names(number)]  # noqa: SIM115 (closed in __exit__)
        self.events = self.words = 0
        self.crc = [0, 0]

    def add(self, path: Path, rows: np.ndarray, text, ids: np.ndarray, uses: np.ndarray) -> None:
        """Copy events with their words; DamageError for a damaged one."""
        rows, whole = rows.copy(), whole_words(rows, text)
        if None in whole:
            raise DamageError(f"event {ids[whole.index(None)]} is damaged", where=path, mend=REPAIR)
        sizes = np.cumsum([0, *map(len, whole)])
        moved = self.words + sizes[:-1] - begins(rows["packed"])
        rows["packed"] += moved.astype(np.uint64)  # of the 64 bits only the lowest 40 change
        records, used = with_checksums(rows, whole), uses.astype("<u4").tobytes() if uses.any() else b""
        if used:
            self.files[2].seek(4 * self.events)
        blobs = records, b"".join(whole), used
        for file, blob in zip(self.files, blobs):
            file.write(blob)
        self.crc = [zlib.crc32(blob, crc) for blob, crc in zip(blobs, self.crc)]
        self.events, self.words = self.events + len(rows), self.words + int(sizes[-1])

    def line(self) -> Line:
        return Line(self.events, self.words, (self.crc[0], self.crc[1]))

    def __enter__(self) -> "_Writer":
        return self

    def __exit__(self, *_: object) -> None:
        for file in self.files:
            file.flush()
            os.fsync(file.fileno())
            file.close()


def truncated(store, number: int, events: int) -> list[Line]:
    """Write files of that number with the first `events` events; the lines of the new journal.

    Cursors are those of that time. What was forgotten since stays forgotten.
    """
    if events == len(store):
        words = store.journal.last.words
    else:
        words = int(begins(store.records["packed"][events : events + 1])[0])
    crcs = []
    for old, new, end in zip(
        data_names(store.header["data"]),
        data_names(number),
        (events * store.record.itemsize, words, 4 * events),
    ):
        crcs.append(_copy(store.path / old, store.path / new, end))
    kept = [dataclasses.replace(line, forget=()) for line in store.journal.lines if line.events <= events]
    gone = _joined(store.journal.forgotten, events)
    return [*kept, Line(events, words, (crcs[0], crcs[1]), {}, gone)]


def _copy(old: Path, new: Path, end: int) -> int:
    crc = 0
    with open(old, "rb") as source, open(new, "wb") as target:
        while end > 0 and (block := source.read(min(_BLOCK, end))):
            target.write(block)
            crc, end = zlib.crc32(block, crc), end - len(block)
        target.flush()
        os.fsync(target.fileno())
    return crc
