"""What any process may do with an event store: see its events, without locks, while another one writes.

A reader sees the prefix that was confirmed when it opened, or at its last `refresh`. Every event whose words
are read is checked against its checksum. Writing is store.py's.
"""

import mmap
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from chronos.console import ChronosError
from chronos.data.notes.dates import DAY
from chronos.files import explain_os_errors
from chronos.memory.episodes.disk import data_names, mapped, read_at, write_at
from chronos.memory.episodes.journal import JOURNAL, REPAIR, SCHEMA, DamageError, Journal, read_journal
from chronos.memory.episodes.layout import (
    SOURCES,
    Entry,
    begins,
    checksum,
    read_words,
    record_type,
    sources_of,
    surprises_of,
    words_size,
)  # fmt: skip

ATTEMPTS = 5  # of a reader, while the store is compacted under it


@dataclass(frozen=True)
class StoredEvent:
    """One event as it is stored. `time` in microseconds, `source` a name, `ids` empty if none were kept."""

    id: int
    time: int
    source: str
    surprise: float
    uses: int
    text: str
    ids: tuple[int, ...]


class StoreReader:
    """An open store. `len(store)` events are visible, those forgotten included: all that were flushed.

    Attributes: path; id, width K, kind ("int8" or "float16") and identity, as they were given to `create`;
    journal and header. Ids are positions 0 … N − 1 in order of appending.
    """

    def __init__(self, path: Path, journal: Journal):
        self.path, self._events, self._words = path, -1, -1
        self._adopt(journal)

    def _adopt(self, journal: Journal) -> None:
        """Take over a journal that was read or written: open its files, forget what was mapped."""
        header, flags = journal.header, self._flags() | getattr(os, "O_BINARY", 0)
        names = data_names(header["data"])
        events = os.open(self.path / names[0], flags)
        try:
            words = os.open(self.path / names[1], flags)
        except OSError:
            os.close(events)
            raise
        self._close_files()
        self._events, self._words = events, words
        self.header, self.journal = header, journal
        self.id, self.identity, self.width, self.kind = (
            header[n] for n in ("id", "identity", "width", "key")
        )
        self.record = record_type(self.width, self.kind)
        self._reset()

    def _flags(self) -> int:
        return os.O_RDONLY

    def _reset(self) -> None:
        """Nothing that was worked out from an older prefix stands."""
        self._map = self._alive = self._running = None

    def refresh(self) -> int:
        """Look for what the writer has flushed since; the number of visible events."""
        with explain_os_errors(self.path):
            for attempt in range(ATTEMPTS):
                journal = whole_journal(self.path)
                try:
                    if journal.header == self.header:
                        self.journal = journal
                        self._reset()
                    else:
                        self._adopt(journal)
                    break
                except FileNotFoundError:  # compacted once more since the journal was read
                    if attempt == ATTEMPTS - 1:
                        raise
        return len(self)

    def close(self) -> None:
        """Let go of the files."""
        self._close_files()

    def _close_files(self) -> None:
        for handle in (self._events, self._words):
            if handle >= 0:
                os.close(handle)
        self._events = self._words = -1
        self._map = None

    def __enter__(self):
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __len__(self) -> int:
        return self.journal.last.events

    @property
    def records(self) -> np.ndarray:
        """All records (N,), memory-mapped: fields time, packed, scale, crc, key (K,). Read only."""
        if self._map is None:
            whole = mapped(self._events, len(self) * self.record.itemsize)
            self._map = np.frombuffer(whole, self.record)
        return self._map

    @property
    def words(self) -> mmap.mmap | bytes:
        """The words of all events, memory-mapped."""
        return mapped(self._words, self.journal.last.words)

    @property
    def alive(self) -> np.ndarray:
        """(N,) uint8: 0 for what was forgotten."""
        if self._alive is None or len(self._alive) != len(self):
            self._alive = np.ones(len(self), np.uint8)
            for first, end in self.journal.forgotten:
                self._alive[first:end] = 0
        return self._alive

    @property
    def times(self) -> np.ndarray:
        """(N,) int64 microseconds, in order of appending."""
        return self.records["time"]

    @property
    def origin(self) -> int:
        """Where a life's hours count from: midnight of its first event's day, UTC; 0 while it is empty."""
        return int(self.times[0]) // DAY * DAY if len(self) else 0

    def cuts(self, times: Sequence[int] | np.ndarray) -> np.ndarray:
        """How many events lie at or before each time: those appended before the first that is later."""
        if self._running is None:
            self._running = np.maximum.accumulate(self.times) if len(self) else self.times
        return np.searchsorted(self._running, np.asarray(times, np.int64), side="right")

    def keys(self, ids: np.ndarray) -> np.ndarray:
        """Keys (n, K) float32 of unit length, as they were stored."""
        rows = self.records[np.asarray(ids, np.int64)]
        return rows["key"].astype(np.float32) * rows["scale"][:, None]

    def event(self, at: int) -> StoredEvent:
        """One event, checked. ChronosError if it is not there or forgotten, DamageError if it is damaged."""
        self._check_ids(np.array([at]))
        if not self.alive[at]:
            raise ChronosError(f"event {at} was forgotten", where=self.path)
        row, entry = self.read(at)
        packed = row["packed"].reshape(1)
        source, surprise = int(sources_of(packed)[0]), float(surprises_of(packed)[0])
        return StoredEvent(
            at, int(row["time"]), SOURCES[source], surprise, int(self.uses([at])[0]), entry.text, entry.ids
        )

    def read(self, at: int) -> tuple[np.void, Entry]:
        """Record and words of an event, forgotten or not, if its checksum is right."""
        row = self.records[at]
        raw = self.raw_words(row)
        if raw is None or checksum(row.tobytes(), raw) != row["crc"]:
            raise DamageError(f"event {at} is damaged", where=self.path, mend=REPAIR)
        return row, read_words(raw)

    def raw_words(self, row: np.void) -> bytes | None:
        """The stored words of a record, or None where there are none."""
        begin, end = int(begins(row["packed"].reshape(1))[0]), self.journal.last.words
        try:
            data = read_at(self._words, min(512, end - begin), begin) if begin < end else b""
            size = words_size(data)
        except IndexError:
            return None
        if begin + size > end:
            return None
        return data[:size] if size <= len(data) else read_at(self._words, size, begin)

    def uses(self, ids: Sequence[int] | np.ndarray) -> np.ndarray:
        """How often each was recalled (n,) uint32."""
        try:
            with open(self.path / data_names(self.header["data"])[2], "rb") as file:
                raw = [read_at(file.fileno(), 4, 4 * int(at)) for at in ids]
        except OSError:  # it may be lost, and a reader may be older than a compaction
            raw = [b""] * len(ids)
        return np.array([int.from_bytes(one, "little") if len(one) == 4 else 0 for one in raw], np.uint32)

    def used(self, ids: Sequence[int] | np.ndarray) -> None:
        """Count one use of each. Readers may, too: a count can be lost in a crash or a race, an event not."""
        ids = np.asarray(ids, np.int64)
        self._check_ids(ids)
        counts = np.minimum(self.uses(ids).astype(np.int64) + 1, 0xFFFFFFFF)
        with (
            explain_os_errors(self.path),
            open(self.path / data_names(self.header["data"])[2], "r+b") as file,
        ):
            for at, count in zip(ids.tolist(), counts.tolist()):
                write_at(file.fileno(), count.to_bytes(4, "little"), 4 * at)

    def disk_bytes(self) -> int:
        """Bytes of all files of the store."""
        return sum(f.stat().st_size for f in self.path.iterdir() if f.is_file())

    def _check_ids(self, ids: np.ndarray) -> None:
        if len(ids) and (ids.min() < 0 or ids.max() >= len(self)):
            got = int(ids.max()) if ids.max() >= len(self) else int(ids.min())
            raise ChronosError("no such event", where=self.path, expected=f"0 … {len(self) - 1}", got=got)


def whole_journal(path: Path) -> Journal:
    """The journal, if it is whole and of this version; else the one line that says what is wrong."""
    if not (path / JOURNAL).exists():
        raise DamageError(f"{JOURNAL} is missing", where=path, mend=REPAIR)
    journal = read_journal(path)
    if journal.header and journal.header.get("schema") != SCHEMA:
        got = journal.header.get("schema")
        raise ChronosError("a memory store of another version", where=path, expected=SCHEMA, got=got)
    if journal.damage:
        raise DamageError(journal.damage[0], where=path, mend=REPAIR)
    return journal
