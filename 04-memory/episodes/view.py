"""What a person asks of a memory: list, search, statistics, export. Plain words, no model needed.

Reads an open store and changes nothing. Forgotten events are never shown.
"""

import dataclasses
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from chronos.console import ChronosError, Progress
from chronos.files import explain_os_errors, fsync_directory
from chronos.memory.episodes.layout import SOURCES, begins, read_words, sources_of, whole_words, word_sizes
from chronos.memory.episodes.reader import StoredEvent, StoreReader

CHUNK = 8192


def listing(
    store: StoreReader, *, limit: int | None = 20, since: int | None = None, until: int | None = None,
    source: str | None = None, oldest_first: bool = False,
) -> Iterator[StoredEvent]:  # fmt: skip
    """Events, newest first, with since ≤ time < until (microseconds) and of that source, at most `limit`."""
    ids = np.flatnonzero(
        allowed(store, since=since, until=until, sources=None if source is None else [source])
    )
    ids = ids if oldest_first else ids[::-1]
    return (store.event(int(at)) for at in ids[:limit])


def search(store: StoreReader, words: str, *, limit: int = 20, **filters: Any) -> Iterator[StoredEvent]:
    """Events whose text holds every one of the words (in any order and case), newest first; as `listing`."""
    wanted = words.casefold().split()
    if not wanted:
        raise ChronosError("no words to search for")
    ids = np.flatnonzero(allowed(store, **filters))[::-1]
    text = store.words
    with Progress(len(ids), "searching", unit="events") as bar:
        for start in range(0, len(ids), CHUNK):
            part = ids[start : start + CHUNK]
            for at, whole in zip(part.tolist(), whole_words(store.records[part], text)):
                held = "" if whole is None else read_words(whole).text.casefold()
                if whole is None or all(word in held for word in wanted):
                    yield store.event(at)  # which says so if it is damaged
                    limit -= 1
                if limit <= 0:
                    return
            bar.update(start + len(part))


def allowed(
    store: StoreReader, *, since: int | None = None, until: int | None = None,
    sources: list[str] | None = None,
) -> np.ndarray:  # fmt: skip
    """(N,) uint8: remembered, of these sources, and with since ≤ time < until by value, not by order."""
    mask = store.alive
    if since is not None or until is not None or sources is not None:
        mask = mask.copy()
    if since is not None:
        mask &= store.times >= since
    if until is not None:
        mask &= store.times < until
    if sources is not None:
        if unknown := [name for name in sources if name not in SOURCES]:
            raise ChronosError("no such source", expected=" ".join(SOURCES), got=unknown[0])
        mask &= np.isin(sources_of(store.records["packed"]), [SOURCES.index(name) for name in sources])
    return mask


def stats(store: StoreReader) -> dict[str, Any]:
    """Counts and bytes. `beside_text`: bytes an event for all but its text (key, ids, time, checksum …)."""
    total, text, ids = store.disk_bytes(), 0, 0
    words = store.words
    for start in range(0, len(store), CHUNK):
        texts, tokens = word_sizes(words, begins(store.records["packed"][start : start + CHUNK]))
        text, ids = text + int(texts.sum()), ids + int(tokens.sum())
    there = store.alive == 1
    counts = np.bincount(sources_of(store.records["packed"])[there], minlength=len(SOURCES))
    times = store.times[there]
    return {
        "id": store.id,
        "identity": store.identity,
        "key": f"{store.kind} × {store.width}",
        "events": int(there.sum()),
        "forgotten": int((~there).sum()),
        "bytes": total,
        "text_bytes": text,
        "id_bytes": ids,
        "beside_text": (total - text) / max(1, len(store)),
        "sources": {name: int(n) for name, n in zip(SOURCES, counts)},
        "first_time": int(times.min()) if len(times) else None,
        "last_time": int(times.max()) if len(times) else None,
        "cursors": {name: c.count for name, c in store.journal.cursors.items()},
    }


def export(store: StoreReader, path: Path | str) -> int:
    """Write all remembered events as JSONL, oldest first, whole or not at all; how many they are.

    Rows: id, time, source, surprise, uses, text, and ids where token ids were kept.
    """
    path = Path(path)
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    ids = np.flatnonzero(store.alive)
    try:
        with explain_os_errors(path), Progress(len(ids), "exporting", unit="events") as bar:
            with open(beside, "w", encoding="utf-8", newline="\n") as out:
                for done, at in enumerate(ids.tolist()):
                    out.write(json.dumps(_plain(store.event(at)), ensure_ascii=False) + "\n")
                    bar.update(done)
                out.flush()
                os.fsync(out.fileno())
            os.replace(beside, path)
            fsync_directory(path.parent)
    finally:
        beside.unlink(missing_ok=True)
    return len(ids)


def _plain(event: StoredEvent) -> dict[str, Any]:
    row = dataclasses.asdict(event)
    if not event.ids:
        del row["ids"]
    return row
