"""The event store: what is written is read, in order, once; cursors, forgetting, compaction, going back."""

import json
import os

import numpy as np
import pytest

from chronos.console import ChronosError
from chronos.memory.episodes import view
from chronos.memory.episodes.layout import read_words, words_size, write_words
from chronos.memory.episodes.repair import verify
from chronos.memory.episodes.store import LINES, Cursor, EventStore

WHO = {"model": "a" * 64, "tokenizer": "b" * 64}
TEXTS = ["Mary went to the kitchen.", "", "انتقل عمر إلى المكتب", "line\nbreak \0 and 🦉", "x" * 3000]


def keys(n: int, width: int = 8, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, width))


def fresh(path, n: int = 0, **more) -> EventStore:
    """A store with n events "event 0", "event 1" …, a second apart, flushed."""
    store = EventStore.create(path, width=8, identity=WHO, **more)
    if n:
        store.append(keys(n), [f"event {i}" for i in range(n)], [i * 10**6 for i in range(n)])
        store.flush()
    return store


def texts(store) -> list[str]:
    return [store.read(at)[1].text for at in range(len(store))]


@pytest.mark.parametrize("kind", ["int8", "float16"])
def test_what_is_written_is_read(tmp_path, kind):
    ids, vectors = [[1, 2, 300], [], [70_000], [4_000_000_000, 0, 127, 128], list(range(500))], keys(5)
    times = [-5, 2**62, 2**62, 0, 1_700_000_000_000_000]  # before 1970, repeated, backwards
    with EventStore.create(tmp_path / "m", width=8, identity=WHO, kind=kind) as store:
        at = store.append(
            vectors, TEXTS, times, ids=ids, sources=[0, 1, 2, 3, 1], surprises=[0, 0.5, 1, 2.25, 1e9]
        )
        assert at.tolist() == [0, 1, 2, 3, 4] and len(store) == 0
        assert store.flush() == 5
    with EventStore.open(tmp_path / "m", identity=WHO) as store:
        events = [store.event(i) for i in range(5)]
        assert [e.text for e in events] == TEXTS and [list(e.ids) for e in events] == ids
        assert store.times.tolist() == times == [e.time for e in events]
        assert [e.source for e in events] == ["unknown", "user", "training", "correction", "user"]
        assert [e.surprise for e in events] == [0, 0.5, 1, 2.25, 65504]
        unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        stored = store.keys(np.arange(5))
        assert np.allclose(np.linalg.norm(stored, axis=1), 1, rtol=1e-6)
        assert np.abs(stored - unit).max() < (0.006 if kind == "int8" else 4e-4)
    assert verify(tmp_path / "m") == []


def test_sizes_of_words_are_told_by_their_first_bytes():
    written = write_words(TEXTS, [[5] * n for n in (0, 1, 127, 128, 20_000)])
    for one, text, n in zip(written, TEXTS, (0, 1, 127, 128, 20_000), strict=True):
        assert words_size(one[:16]) == len(one)
        assert read_words(one).text == text and len(read_words(one).ids) == n


def test_unflushed_events_are_not_there(tmp_path):
    with fresh(tmp_path / "m", 3) as store:
        store.append(keys(2), ["lost", "lost too"], [1, 2])
        assert len(store) == 3
    with EventStore.open(tmp_path / "m", write=True) as store:
        assert texts(store) == ["event 0", "event 1", "event 2"] and store.notes == []


def test_more_than_the_room_for_what_waits(tmp_path, monkeypatch):
    """Large batches reach the files before the flush, and still count only after it."""
    monkeypatch.setattr("chronos.memory.episodes.store.PENDING_BYTES", 1000)
    with fresh(tmp_path / "m") as store:
        for i in range(10):
            store.append(keys(5), [f"{i} {j}" for j in range(5)], [0] * 5)
        assert (tmp_path / "m" / "events-000001.bin").stat().st_size > 0
        with EventStore.open(tmp_path / "m") as reader:
            assert len(reader) == 0
        store.flush()
        assert texts(store) == [f"{i} {j}" for i in range(10) for j in range(5)]
    assert verify(tmp_path / "m") == []


def test_a_cursor_goes_with_its_events(tmp_path):
    """Killed or not, a source is read on from where its events end; a complete one adds nothing."""
    with fresh(tmp_path / "m") as store:
        assert store.cursor("diary.md") is None
        store.append(keys(3), ["a", "b", "c"], [1, 2, 3])
        store.flush({"diary.md": Cursor("f00", 120, 3)})
        store.append(keys(1), ["d"], [4])
        store.flush({"diary.md": Cursor("f00", 150, 4, True), "chat": Cursor("0ff", 1, 0)})
        size = store.disk_bytes()
        assert store.flush({"diary.md": Cursor("f00", 150, 4, True)}) == 4 and store.disk_bytes() == size
    with EventStore.open(tmp_path / "m") as store:
        assert store.cursor("diary.md") == Cursor("f00", 150, 4, True) and store.cursor("chat").offset == 1


def test_one_writer_many_readers(tmp_path):
    """A second writer is refused; readers see whole flushes, and what they saw does not move."""
    with fresh(tmp_path / "m", 2) as store:
        with pytest.raises(ChronosError, match="another process is writing to this memory"):
            EventStore.open(tmp_path / "m", write=True)
        reader = EventStore.open(tmp_path / "m")
        with pytest.raises(ChronosError, match="opened to be read"):
            reader.append(keys(1), ["no"], [0])
        store.append(keys(2), ["event 2", "event 3"], [0, 0])
        assert reader.refresh() == 2
        store.flush()
        assert len(reader) == 2 and reader.refresh() == 4
        assert texts(reader) == [f"event {i}" for i in range(4)]
        old_map = reader.records
        store.forget([0])
        store.compact()
        assert (
            reader.event(3).text == "event 3" and old_map["time"][1] == 10**6
        )  # its files are still its own
        assert reader.refresh() == 3 and reader.event(0).text == "event 1"
        reader.close()
    EventStore.open(tmp_path / "m", write=True).close()


def test_uses_are_counted_in_place(tmp_path, monkeypatch):
    monkeypatch.setattr("chronos.memory.episodes.repair.CHUNK", 2)  # events that a compaction moves at once
    with fresh(tmp_path / "m", 4) as store, EventStore.open(tmp_path / "m") as reader:
        reader.used([3, 1])
        store.used([3])
        assert reader.uses([0, 1, 2, 3]).tolist() == [0, 1, 0, 2] and store.event(3).uses == 2
        store.forget([1])
        store.compact()
        assert store.uses([0, 1, 2]).tolist() == [0, 0, 2]
        assert texts(store) == ["event 0", "event 2", "event 3"]


def test_forgotten_and_compacted_leaves_no_byte(tmp_path):
    """Text, token ids, key and surprise of a forgotten event are in no file of the folder afterwards."""
    with fresh(tmp_path / "m", 3) as store:
        secret = np.arange(8.0)[::-1][None] + 5
        at = store.append(secret, ["my PIN is 9921"], [77], ids=[[60_001, 60_002]], surprises=0.123)
        store.append(keys(2, seed=1), ["after 1", "after 2"], [5, 6])
        store.flush({"diary": Cursor("f", 9, 6)})
        row, entry = store.read(3)
        traces = [
            b"9921",
            row["key"].tobytes(),
            write_words([entry.text], [entry.ids])[0][2:8],
            row.tobytes()[:8],
        ]
        assert store.forget(at) == 1 and store.forget(at) == 0
        with pytest.raises(ChronosError, match="event 3 was forgotten"):
            store.event(3)
        everything = b"".join(f.read_bytes() for f in (tmp_path / "m").iterdir())
        assert all(trace in everything for trace in traces)  # a tombstone only
        assert store.compact() > 0
        everything = b"".join(f.read_bytes() for f in (tmp_path / "m").iterdir())
        assert not any(trace in everything for trace in traces)
        assert texts(store) == ["event 0", "event 1", "event 2", "after 1", "after 2"]
        assert store.cursor("diary") == Cursor("f", 9, 6) and store.alive.all()
        store.append(keys(1), ["and on"], [0])
        assert store.flush() == 6
    assert verify(tmp_path / "m") == []
    with EventStore.open(tmp_path / "m") as store:
        assert texts(store)[-1] == "and on" and [f.name for f in (tmp_path / "m").glob("*1.bin")] == []


def test_back_to_a_checkpoint(tmp_path):
    """Events and cursors of that time; what was forgotten since stays forgotten."""
    with fresh(tmp_path / "m", 3) as store:
        store.flush({"a": Cursor("h", 1, 3)})
        store.append(keys(2), ["later", "still later"], [0, 0])
        store.flush({"a": Cursor("h", 2, 5)})
        store.forget([1, 4])
        store.truncate(3)
        assert texts(store) == ["event 0", "event 1", "event 2"] and store.alive.tolist() == [1, 0, 1]
        assert store.cursor("a") == Cursor("h", 1, 3)
        store.append(keys(1), ["anew"], [0])
        store.flush()
        store.truncate(1)
        assert texts(store) == ["event 0"]
        with pytest.raises(ChronosError, match="no such length, expected 0 … 1, got 2"):
            store.truncate(2)
    assert verify(tmp_path / "m") == []


def test_a_long_journal_is_folded(tmp_path, monkeypatch):
    monkeypatch.setattr("chronos.memory.episodes.store.LINES", 20)
    assert LINES > 1000
    with fresh(tmp_path / "m") as store:
        for i in range(90):
            store.append(keys(1), [f"event {i}"], [i])
            store.flush({f"file {i % 3}": Cursor("h", i, i)})
        store.forget([5, 6, 9])
    size = (tmp_path / "m" / "journal.log").stat().st_size
    with EventStore.open(tmp_path / "m", write=True) as store:
        assert (tmp_path / "m" / "journal.log").stat().st_size < size / 10
        assert texts(store) == [f"event {i}" for i in range(90)]
        assert store.cursor("file 1").offset == 88 and np.flatnonzero(store.alive == 0).tolist() == [5, 6, 9]
    assert verify(tmp_path / "m") == []


def test_times_that_run_backwards(tmp_path):
    """Order is order of appending; filters go by value; a cut lies before the first event that is later."""
    with fresh(tmp_path / "m") as store:
        store.append(keys(6), list("abcdef"), [10, 30, 20, 30, 5, 40])
        store.flush()
        assert [e.text for e in view.listing(store, since=10, until=30)] == ["c", "a"]
        assert store.cuts([9, 10, 25, 30, 39, 40, -1]).tolist() == [0, 1, 1, 5, 5, 6, 0]


def test_list_search_export_and_statistics(tmp_path):
    with fresh(tmp_path / "m") as store:
        lines = ["Mary is in the Kitchen", "Omar is in the garden", "the kitchen is red", "Mary sleeps"]
        store.append(keys(4), lines, [1, 2, 3, 4], ids=[[1], [2], [3], [4]], sources=[1, 1, 2, 0])
        store.flush({"diary": Cursor("f", 10, 4, True)})
        store.forget([3])
        assert [e.id for e in view.search(store, "KITCHEN the")] == [2, 0]
        assert [e.id for e in view.search(store, "mary")] == [0]
        assert [e.id for e in view.search(store, "kitchen", limit=1)] == [2]
        assert [e.id for e in view.search(store, "kitchen", sources=["user"])] == [0]
        assert [e.id for e in view.listing(store, limit=2)] == [2, 1]
        assert [e.id for e in view.listing(store, source="user", oldest_first=True)] == [0, 1]
        for bad in (
            lambda: list(view.search(store, "  ")),
            lambda: list(view.listing(store, source="me")),
        ):
            with pytest.raises(ChronosError, match=r"no words to search for|no such source"):
                bad()
        told = view.stats(store)
        assert (told["events"], told["forgotten"], told["id_bytes"]) == (3, 1, 4)
        assert told["text_bytes"] == sum(map(len, lines)) and told["bytes"] == store.disk_bytes()
        assert told["sources"] == {"unknown": 0, "user": 2, "training": 1, "correction": 0}
        assert (told["first_time"], told["last_time"], told["cursors"]) == (1, 3, {"diary": 4})
        assert view.export(store, tmp_path / "out.jsonl") == 3
        rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
        assert [(r["id"], r["text"], r["time"], r["source"], r["ids"]) for r in rows][1] == (
            1,
            lines[1],
            2,
            "user",
            [2],
        )


def test_a_hundred_bytes_an_event(tmp_path):
    """Keys of 64 numbers, flushes of 500: 90 bytes beside the text, and a byte or two for each token id."""
    with EventStore.create(tmp_path / "m", width=64, identity=WHO) as store:
        for _ in range(20):
            ids = np.random.default_rng(0).integers(0, 500, (500, 6)).tolist()
            store.append(keys(500, 64), ["Mary went to the kitchen."] * 500, [0] * 500, ids=ids)
            store.flush()
        told = view.stats(store)
        assert 88 < told["beside_text"] - told["id_bytes"] / 10_000 < 91 and told["beside_text"] < 102


REFUSED = [
    ({"keys": np.ones((2, 7))}, r"keys do not fit the store, expected \(2, 8\), got \(2, 7\)"),
    ({"keys": np.full((2, 8), np.nan)}, "got NaN or infinity"),
    ({"times": [1]}, "as many times and token ids as texts"),
    ({"times": [1, 2**70]}, "a time is beyond 64 bits"),
    ({"ids": [[1]]}, "as many times and token ids as texts"),
    ({"ids": [[1], [-1]]}, "a token id is out of range"),
    ({"sources": 4}, "no such source, expected 0 … 3, got 4"),
    ({"texts": ["fine", "half \ud83e"]}, "half of a character"),
]


@pytest.mark.parametrize(("change", "told"), REFUSED, ids=[told[:16] for _, told in REFUSED])
def test_what_cannot_be_an_event_is_refused(tmp_path, change, told):
    with fresh(tmp_path / "m", 1) as store:
        given = {"keys": np.ones((2, 8)), "texts": ["a", "b"], "times": [1, 2]} | change
        with pytest.raises(ChronosError, match=told):
            store.append(given.pop("keys"), given.pop("texts"), given.pop("times"), **given)
        store.append(keys(1), ["fine"], [2])
        assert store.flush() == 2 and texts(store) == ["event 0", "fine"]


def test_keys_of_zeros_are_kept_and_match_nothing(tmp_path):
    with fresh(tmp_path / "m") as store:
        store.append(np.zeros((1, 8)), ["nothing"], [0])
        store.flush()
        assert not store.keys([0]).any()


def test_another_models_store_is_one_line(tmp_path):
    fresh(tmp_path / "m", 1).close()
    with pytest.raises(
        ChronosError, match=r"a store made by another model, expected model c+ tokenizer b+, got model a"
    ):
        EventStore.open(tmp_path / "m", identity={"model": "c" * 64, "tokenizer": "b" * 64}, write=True)
    EventStore.open(tmp_path / "m", write=True).close()  # the lock was let go
    with pytest.raises(ChronosError, match="no memory store here"):
        EventStore.open(tmp_path / "elsewhere")
    with pytest.raises(ChronosError, match="something else is here"):
        EventStore.create(tmp_path / "m", width=8, identity=WHO)
    with pytest.raises(ChronosError, match="no such event, expected 0 … 0, got 1"):
        EventStore.open(tmp_path / "m").event(1)


def test_a_store_is_made_where_there_is_none(tmp_path):
    EventStore.at(tmp_path / "m", width=8, identity=WHO).close()
    with pytest.raises(ChronosError, match="something else is here"):  # an empty store is a store
        EventStore.create(tmp_path / "m", width=8, identity=WHO)
    for n in (1, 2):
        with EventStore.at(tmp_path / "m", width=8, identity=WHO) as store:
            store.append(keys(1), [f"event {n}"], [n])
            assert store.flush() == n
    with pytest.raises(ChronosError, match="a store of other keys, expected int8 × 9, got int8 × 8"):
        EventStore.at(tmp_path / "m", width=9, identity=WHO)
    (tmp_path / "m" / "journal.log").unlink()
    with pytest.raises(ChronosError, match=r"journal\.log is missing; repair it"):
        EventStore.at(tmp_path / "m", width=8, identity=WHO)


@pytest.mark.parametrize("works", [0, 1, 2])
def test_a_full_disk_leaves_what_was_confirmed(tmp_path, monkeypatch, works):
    """Records, words or the journal's line are written by half, and then no more."""
    real, calls = os.pwrite, []

    def full(handle, data, at):
        calls.append(at)
        if len(calls) <= works:
            return real(handle, data, at)
        real(handle, data[: len(data) // 2], at)
        raise OSError(28, "No space left on device")

    with fresh(tmp_path / "m", 2) as store:
        store.append(keys(1), ["too much"], [0])
        monkeypatch.setattr(os, "pwrite", full)
        with pytest.raises(ChronosError, match="No space left on device"):
            store.flush({"a": Cursor("h", 1, 1)})
        monkeypatch.setattr(os, "pwrite", real)
        assert verify(tmp_path / "m") == [] and len(store) == 2 and store.cursor("a") is None
        assert (tmp_path / "m" / "words-000001.bin").stat().st_size == store.journal.last.words
        store.append(keys(1), ["event 2"], [0])
        store.flush()
        assert texts(store) == ["event 0", "event 1", "event 2"]
