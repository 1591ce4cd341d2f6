"""The episodic store on disk: events appended by one writer, read by many, safe from a kill at any instant.

Nothing is ever changed in place but how often an event was used. It makes no keys and answers nothing: the
model does. scan.py recalls, view.py lists and searches, repair.py checks and mends.
"""

import contextlib
import os
import secrets
import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from chronos.console import ChronosError
from chronos.files import explain_os_errors, fsync_directory
from chronos.memory.episodes import repair as mending
from chronos.memory.episodes.disk import Lock, data_names, ours, remove_leftovers, write_at
from chronos.memory.episodes.journal import (
    DATA,
    JOURNAL,
    SCHEMA,
    Cursor,
    DamageError,
    Journal,
    Line,
    encode,
    write_head,
    write_journal,
)  # fmt: skip
from chronos.memory.episodes.layout import (
    KINDS,
    SOURCES,
    WORDS_LIMIT,
    pack,
    pack_keys,
    with_checksums,
    write_words,
)  # fmt: skip
from chronos.memory.episodes.reader import ATTEMPTS, StoreReader, whole_journal

PENDING_BYTES = 8 << 20  # of words and records that wait in memory for a flush before they go to the files
LINES = 4096  # a journal with more is folded when a writer opens it


class EventStore(StoreReader):
    """An open store; `StoreReader` tells how it is read. `notes`: what was found and mended on opening.

    with EventStore.at(path, width=64, identity={"model": hash}) as store:
        store.append(keys, texts, times)
        store.flush({"diary.md": Cursor(hash, offset, count)})

    Files are written in this order: records and words, fsync, a line of the journal, fsync. What the journal
    does not name is not there. Ids are positions in order of appending, whatever the times say.
    """

    def __init__(self, path: Path, journal: Journal, lock: Lock | None):
        self._lock, self.notes = lock, []
        super().__init__(path, journal)

    # ---- opening -------------------------------------------------------------------------------------------

    @classmethod
    def create(
        cls, path: Path | str, *, width: int, identity: Mapping[str, str], kind: str = "int8"
    ) -> "EventStore":
        """Make an empty store for keys of `width` numbers and open it for writing.

        `identity` names what makes the keys (model and tokenizer, by their hashes). ChronosError where
        something else lies at `path`.
        """
        path = Path(path)
        if kind not in KINDS or not 0 < width <= 4096:
            expected = f"{' or '.join(KINDS)}, 1 … 4096 numbers"
            raise ChronosError("no such key", expected=expected, got=f"{kind}, {width}")
        with explain_os_errors(path):
            path.mkdir(parents=True, exist_ok=True)
            lock = Lock(path)
            try:
                strangers = [f.name for f in path.iterdir() if not ours(f.name)]
                if strangers or any(_sizes(path)) or (path / JOURNAL).exists():
                    mend = "give a new or an empty folder"
                    raise ChronosError("something else is here", where=path, mend=mend)
                header = {
                    "chronos": "events", "schema": SCHEMA, "id": secrets.token_hex(8), "key": kind,
                    "width": width, "identity": dict(identity), "data": 1, "rewrite": 1,
                }  # fmt: skip
                for name in data_names(1):
                    (path / name).write_bytes(b"")
                return cls(path, write_journal(path, header, []), lock)
            except BaseException:
                lock.release()
                raise

    @classmethod
    def at(
        cls, path: Path | str, *, width: int, identity: Mapping[str, str], kind: str = "int8"
    ) -> "EventStore":
        """The store at `path`, opened for writing; an empty one is made where there is none."""
        if not (Path(path) / JOURNAL).exists() and not any(_sizes(Path(path))):
            return cls.create(path, width=width, identity=identity, kind=kind)
        store = cls.open(path, identity=identity, write=True)
        if (store.width, store.kind) != (width, kind):
            got = f"{store.kind} × {store.width}"
            store.close()
            raise ChronosError("a store of other keys", where=path, expected=f"{kind} × {width}", got=got)
        return store

    @classmethod
    def open(
        cls, path: Path | str, *, identity: Mapping[str, str] | None = None, write: bool = False,
        repair: bool = False,
    ) -> "EventStore":  # fmt: skip
        """Open a store to read, or as its one writer.

        With `identity`, a store whose keys another model made is refused. A writer cuts off what an append
        that was killed left behind. Damage is a DamageError; `repair` (of a writer) keeps what is whole, with
        a line in `.notes` for each loss. The words of large stores are checked when they are read, and by
        `repair.verify`; of the newest, and of small stores, also here.
        """
        path = Path(path)
        if not (path / JOURNAL).exists() and not any(_sizes(path)):
            raise ChronosError("no memory store here", where=path, mend="make one with EventStore.create")
        with explain_os_errors(path):
            lock = Lock(path) if write or repair else None
            try:
                notes = mending.repair(path) if repair else []
                store, beyond = cls._settled(path, lock)
                store.notes = notes
                if identity is not None and store.identity != dict(identity):
                    raise _another_model(store, identity)
                if lock:
                    store._tidy(beyond)
                return store
            except BaseException:
                if lock:
                    lock.release()
                raise

    @classmethod
    def _settled(cls, path: Path, lock: Lock | None) -> tuple["EventStore", int]:
        """The store, and the bytes beyond what is confirmed, once what is quickly checked is checked.

        Tried again for a reader under whom the store is compacted: the journal then names other files.
        """
        for attempt in range(ATTEMPTS):
            journal = whole_journal(path)
            try:
                beyond = mending.check_tail(path, journal.header, journal)
                return cls(path, journal, lock), beyond
            except (DamageError, FileNotFoundError):
                if attempt == ATTEMPTS - 1 or lock or whole_journal(path).header == journal.header:
                    raise
        raise AssertionError("the last attempt returns or raises")

    def _tidy(self, beyond: int) -> None:
        """Cut off what was never confirmed, remove what a killed compaction left, fold a long journal."""
        if beyond or self.journal.torn:
            last = self.journal.last
            os.ftruncate(self._events, last.events * self.record.itemsize)
            os.ftruncate(self._words, last.words)
            os.truncate(self.path / JOURNAL, self.journal.size)
            self.notes.append(f"{beyond + self.journal.torn} bytes that were never confirmed are cut off")
            self.journal.torn = 0
        remove_leftovers(self.path, self.header["data"])
        (self.path / data_names(self.header["data"])[2]).touch()
        if len(self.journal.lines) > LINES:
            self._replace_journal(mending.folded(self.journal))

    def _flags(self) -> int:
        return os.O_RDWR if self._lock else os.O_RDONLY

    def _adopt(self, journal: Journal) -> None:
        super()._adopt(journal)
        self._turn = len(journal.lines) + 1
        if self._lock:
            write_head(self.path, self.header["rewrite"], self._turn, journal.size)

    def _reset(self) -> None:
        """What was appended but not confirmed is let go."""
        super()._reset()
        last = self.journal.last
        self._count, self._size, self._crc = last.events, last.words, last.crc
        self._pending: list[tuple[bytes, bytes]] = []
        self._pending_bytes = 0

    def close(self) -> None:
        """Let go of files and lock; what was not flushed is lost."""
        super().close()
        if self._lock:
            self._lock.release()
            self._lock = None

    # ---- writing -------------------------------------------------------------------------------------------

    def append(
        self, keys: np.ndarray, texts: Sequence[str], times: Sequence[int] | np.ndarray, *,
        ids: Sequence[Sequence[int]] | None = None, sources: int | np.ndarray = 0,
        surprises: float | np.ndarray = 0.0,
    ) -> np.ndarray:  # fmt: skip
        """Add n events: keys (n, K) any float (their length is dropped), texts, times in microseconds.

        Token `ids` are kept if given; sources 0 … 3 and surprises are one for all or one each. Returns their
        ids (n,). Visible and durable after `flush`. Times may repeat and run backwards: order is appending.
        """
        self._writer()
        keys = np.asarray(keys)
        n = len(texts)
        if keys.shape != (n, self.width) or not np.isfinite(keys).all():
            got = f"{keys.shape}" if keys.shape != (n, self.width) else "NaN or infinity"
            raise ChronosError(
                "keys do not fit the store", where=self.path, expected=(n, self.width), got=got
            )
        if (len(ids) if ids is not None else n) != n or len(times) != n:
            got = f"{len(times)} times, {len(ids) if ids is not None else 'no'} ids"
            raise ChronosError("as many times and token ids as texts are needed", expected=n, got=got)
        sources = np.broadcast_to(np.asarray(sources), (n,))
        if n and (sources.min() < 0 or sources.max() >= len(SOURCES)):
            raise ChronosError("no such source", expected=f"0 … {len(SOURCES) - 1}", got=int(sources.max()))
        words = write_words(texts, ids)
        records = np.zeros(n, self.record)
        at = self._size + np.cumsum([0, *map(len, words)])
        if at[-1] >= WORDS_LIMIT:
            raise ChronosError("the store is full", where=self.path, expected="at most 1 TiB of words")
        records["key"], records["scale"] = pack_keys(keys, self.kind)
        try:
            records["time"] = np.asarray(times, np.int64)
        except OverflowError:
            raise ChronosError("a time is beyond 64 bits of microseconds", where=self.path) from None
        records["packed"] = pack(at[:-1], sources, np.broadcast_to(np.asarray(surprises, float), (n,)))
        self._queue(with_checksums(records, words), b"".join(words), n)
        return np.arange(self._count - n, self._count)

    def _queue(self, records: bytes, words: bytes, n: int) -> None:
        self._crc = (zlib.crc32(records, self._crc[0]), zlib.crc32(words, self._crc[1]))
        self._pending.append((records, words))
        self._pending_bytes += len(records) + len(words)
        self._count += n
        self._size += len(words)
        if self._pending_bytes > PENDING_BYTES:
            with self._undone_if_failing():
                self._write_pending()

    def _write_pending(self) -> None:
        """Bring what waits to the files, behind what they hold; not yet durable, not yet visible."""
        records, words = (b"".join(pieces) for pieces in zip(*self._pending, strict=True))
        write_at(self._events, records, self._count * self.record.itemsize - len(records))
        write_at(self._words, words, self._size - len(words))
        self._pending, self._pending_bytes = [], 0

    def flush(self, cursors: Mapping[str, Cursor] | None = None) -> int:
        """Make all that was appended durable and visible, in one step with the `cursors` of its sources.

        Returns the number of visible events. A kill before it returns leaves all of it or nothing.
        """
        return self._commit(dict(cursors or {}), ())

    def _commit(self, cursors: dict[str, Cursor], forget: tuple[tuple[int, int], ...]) -> int:
        self._writer()
        last = self.journal.last
        if self._count == last.events and not forget and cursors.items() <= self.journal.cursors.items():
            return len(self)
        line = Line(self._count, self._size, self._crc, cursors, forget)
        with self._undone_if_failing():
            if self._pending:
                self._write_pending()
            if self._count > last.events:
                os.fsync(self._events)
                os.fsync(self._words)
            more, crc = encode(line.plain(), self.journal.crc)
            with open(self.path / JOURNAL, "r+b") as file:
                write_at(file.fileno(), more, self.journal.size)
                os.fsync(file.fileno())
        journal = self.journal
        journal.add(line)
        journal.size, journal.crc, self._turn = journal.size + len(more), crc, self._turn + 1
        write_head(self.path, self.header["rewrite"], self._turn, journal.size)
        self._reset()
        return len(self)

    @contextlib.contextmanager
    def _undone_if_failing(self):
        """A full disk leaves the store as it was confirmed last, ready to go on."""
        try:
            with explain_os_errors(self.path):
                yield
        except BaseException:
            self._reset()
            with contextlib.suppress(OSError):
                os.ftruncate(self._events, self._count * self.record.itemsize)
                os.ftruncate(self._words, self._size)
                os.truncate(self.path / JOURNAL, self.journal.size)
            raise

    def cursor(self, name: str) -> Cursor | None:
        """How far the source of that name was read, or None."""
        return self.journal.cursors.get(name)

    def forget(self, ids: Iterable[int]) -> int:
        """No longer recall these events; how many were still remembered. Their bytes go with `compact`."""
        self._writer()
        at = np.unique(np.fromiter(ids, np.int64))
        self._check_ids(at)
        at = at[self.alive[at] == 1]
        if len(at):
            breaks = np.flatnonzero(np.diff(at) > 1)
            firsts, lasts = at[[0, *(breaks + 1)]].tolist(), at[[*breaks, len(at) - 1]].tolist()
            self._commit({}, tuple((first, last + 1) for first, last in zip(firsts, lasts)))
        return len(at)

    def compact(self) -> int:
        """Write the store anew without what was forgotten; bytes saved. Ids move up; no trace is left."""
        return self._rewritten(mending.compacted)

    def truncate(self, events: int) -> int:
        """Go back to the first `events` events and the cursors of that time (a checkpoint); bytes saved."""
        if not 0 <= events <= len(self):
            raise ChronosError("no such length", where=self.path, expected=f"0 … {len(self)}", got=events)
        return self._rewritten(lambda store, data: mending.truncated(store, data, events))

    def _rewritten(self, how) -> int:
        self._writer()
        self.flush()
        before = self.disk_bytes()
        with explain_os_errors(self.path):
            try:
                lines = how(self, self.header["data"] + 1)
                self._replace_journal(lines, data=self.header["data"] + 1)
            finally:
                remove_leftovers(self.path, self.header["data"])
        return before - self.disk_bytes()

    def _replace_journal(self, lines: list[Line], **changes: Any) -> None:
        header = self.header | {"rewrite": self.header["rewrite"] + 1} | changes
        fsync_directory(self.path)
        self._adopt(write_journal(self.path, header, lines))

    def _writer(self) -> None:
        if not self._lock:
            raise ChronosError("opened to be read", where=self.path, mend="open it with write=True")


def _sizes(path: Path) -> list[int]:
    """Bytes of each file of events, words or uses that lies there."""
    there = path.iterdir() if path.is_dir() else ()
    return [f.stat().st_size for f in there if DATA.fullmatch(f.name)]


def _another_model(store: EventStore, identity: Mapping[str, str]) -> ChronosError:
    def short(these: Mapping[str, str]) -> str:
        return " ".join(f"{name} {value[:12]}" for name, value in sorted(these.items()))

    mend = "ask with the model that wrote it, or ingest again into a new store"
    what = "a store made by another model"
    return ChronosError(
        what, where=store.path, expected=short(identity), got=short(store.identity), mend=mend
    )
