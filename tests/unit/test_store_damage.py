"""A damaged store: every cut and every flipped byte is noticed and named, and a repair keeps the rest."""

import os
import shutil

import numpy as np
import pytest

from chronos.console import ChronosError
from chronos.memory.episodes import repair
from chronos.memory.episodes.journal import DamageError
from chronos.memory.episodes.store import Cursor, EventStore

WHO = {"model": "a" * 64}
DATA = ("events-000001.bin", "words-000001.bin")
CHECKED = (*DATA, "journal.log", "about.json")  # uses may be lost, head.bin is told by itself


def key(i: int) -> np.ndarray:
    return np.random.default_rng(i).standard_normal((1, 4))


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Nobody pulls the plug here."""
    monkeypatch.setattr(os, "fsync", lambda handle: None)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Six events in three flushes with cursors, one forgotten, some used."""
    path = tmp_path_factory.mktemp("small") / "m"
    with EventStore.create(path, width=4, identity=WHO) as store:
        for i in range(6):
            store.append(key(i), [f"event {i}"], [i], ids=[[i, 300]])
            if i % 2:
                store.flush({"diary": Cursor("h", i + 1, i + 1)})
        store.forget([2])
        store.used([0])
    return path


@pytest.fixture
def copy(small, tmp_path):
    return shutil.copytree(small, tmp_path / "m")


def texts(store) -> list[str]:
    return [store.read(i)[1].text for i in range(len(store)) if store.alive[i]]


def ingest_again(store) -> list[str]:
    """Go on where the cursor says: what an unbroken run gives, if nothing was doubled or lost."""
    cursor = store.cursor("diary")
    for i in range(cursor.offset if cursor else 0, 6):
        store.append(key(i), [f"event {i}"], [i])
    store.flush({"diary": Cursor("h", 6, 6)})
    return texts(store)


@pytest.mark.parametrize("name", CHECKED)
def test_every_cut_is_noticed_and_mended(small, tmp_path, name):
    """Each length of each file: refused by name; repaired, then ingested again, every event is there once."""
    whole, path = (small / name).read_bytes(), tmp_path / "m"
    for length in range(len(whole.rstrip(b"\n")) if name == "about.json" else len(whole)):
        if length % 4 == 0:
            shutil.rmtree(path, ignore_errors=True)
            shutil.copytree(small, path)
        (path / name).write_bytes(whole[:length])
        with pytest.raises(DamageError, match=name):
            EventStore.open(path)
        if length % (4 if name in DATA else 12):
            continue
        with EventStore.open(path, write=True, repair=True) as store:
            assert store.notes, f"{name} cut to {length} bytes"
            kept = texts(store)
            assert kept == [t for t in (f"event {i}" for i in range(6)) if t in kept]
            if store.cursor("diary") or name in DATA:
                again = [
                    t for t in ingest_again(store) if t != "event 2"
                ]  # cut with its tombstone, it may return
                assert again == [f"event {i}" for i in (0, 1, 3, 4, 5)], f"{name} cut to {length} bytes"
            else:  # the journal lost its cursors: all that is whole is kept, and what is lost was said
                assert name == "journal.log" and len(kept) == 6 and length < whole.index(b"diary") + 30
        assert repair.verify(path) == []


@pytest.mark.parametrize("name", CHECKED)
def test_every_flipped_byte_is_noticed_and_mended(small, tmp_path, name):
    """One bit of each byte: refused by name, at most one event is lost, and the repair names it."""
    whole = (small / name).read_bytes()
    path = shutil.copytree(small, tmp_path / "m")
    everything = {f: f.read_bytes() for f in path.iterdir()}
    for at in range(len(whole)):
        bad = bytearray(whole)
        bad[at] ^= 1 << at % 8
        (path / name).write_bytes(bad)
        with pytest.raises(DamageError, match=name.replace(".", r"\.")):
            EventStore.open(path)
        if at % 7 == 0:
            assert repair.verify(path)
            with EventStore.open(path, write=True, repair=True) as store:
                lost = {f"event {i}" for i in range(6) if i != 2} - set(texts(store))
                assert store.notes and len(lost) <= (1 if name in DATA else 2), f"{name}, byte {at}"
            assert repair.verify(path) == []
            for file, content in everything.items():
                file.write_bytes(content)
            for file in set(path.iterdir()) - set(everything):
                file.unlink()


def test_the_head_tells_of_itself(copy):
    """A flipped bit in either of its notes is damage; without the file nothing is known to lack."""
    whole = (copy / "head.bin").read_bytes()
    for at in range(len(whole)):
        bad = bytearray(whole)
        bad[at] ^= 1 << at % 8
        (copy / "head.bin").write_bytes(bad)
        with pytest.raises(DamageError, match=r"head\.bin is damaged"):
            EventStore.open(copy)
    with EventStore.open(copy, write=True, repair=True) as store:
        assert texts(store) == [f"event {i}" for i in (0, 1, 3, 4, 5)] and store.cursor("diary").offset == 6
    (copy / "head.bin").unlink()
    EventStore.open(copy).close()


def test_an_older_journal_is_noticed(copy):
    """Put back from a copy that was made before a compaction."""
    old = (copy / "journal.log").read_bytes()
    with EventStore.open(copy, write=True) as store:
        store.compact()
    (copy / "journal.log").write_bytes(old)
    with pytest.raises(DamageError, match=r"journal\.log is an older one"):
        EventStore.open(copy)


def test_a_damaged_event_is_named_when_it_is_read(copy, monkeypatch):
    """Where a store is too large to be checked on opening, reading the event, verify and repair tell."""
    monkeypatch.setattr(repair, "TAIL_BYTES", 10)
    raw = bytearray((copy / DATA[1]).read_bytes())
    raw[raw.index(b"event 3") + 2] ^= 4
    (copy / DATA[1]).write_bytes(raw)
    with EventStore.open(copy) as store:
        assert store.event(4).text == "event 4"
        with pytest.raises(DamageError, match="event 3 is damaged; repair it"):
            store.event(3)
    told = repair.verify(copy)
    assert told == ["words-000001.bin is damaged between events 2 and 3", "event 3 is damaged"]
    with EventStore.open(copy, write=True) as store, pytest.raises(DamageError, match="event 3 is damaged"):
        store.compact()
    with EventStore.open(copy, write=True, repair=True) as store:
        assert store.notes == ["1 damaged events are forgotten: 3"]
        assert texts(store) == [f"event {i}" for i in (0, 1, 4, 5)]
        store.compact()
        assert texts(store) == [f"event {i}" for i in (0, 1, 4, 5)] and len(store) == 4


def test_words_that_claim_to_be_huge_are_not_asked_for(copy, monkeypatch):
    """A damaged length of 4 TiB is an event that is damaged, not a machine without memory."""
    monkeypatch.setattr(repair, "TAIL_BYTES", 10)
    raw = bytearray((copy / DATA[1]).read_bytes())
    begin = raw.index(b"event 3") - 5  # two lengths and three bytes of token ids
    raw[begin : begin + 6] = b"\xff\xff\xff\xff\xff\x7f"
    (copy / DATA[1]).write_bytes(raw)
    with EventStore.open(copy) as store, pytest.raises(DamageError, match="event 3 is damaged"):
        store.event(3)
    assert "event 3 is damaged" in repair.verify(copy)


def test_a_torn_append_never_happened(copy):
    """Records, words and half a line that no flush confirmed: readers pass over them, a writer cuts them."""
    sizes = {name: (copy / name).stat().st_size for name in CHECKED}
    for name in DATA:
        with open(copy / name, "ab") as file:
            file.write(b"\1" * 50)
    with open(copy / "journal.log", "ab") as file:
        file.write(b'0123abcd {"events":9')
    with EventStore.open(copy) as store:
        assert len(store) == 6
    with EventStore.open(copy, write=True) as store:
        assert store.notes == ["120 bytes that were never confirmed are cut off"]
        assert {name: (copy / name).stat().st_size for name in CHECKED} == sizes
        store.append(key(9), ["event 6"], [6])
        assert store.flush() == 7
    assert repair.verify(copy) == []


def test_without_the_journal_events_are_found_again(copy):
    """Which were forgotten and what was read of a source is lost with it, and said."""
    (copy / "journal.log").unlink()
    with pytest.raises(DamageError, match=r"journal\.log is missing"):
        EventStore.open(copy)
    with EventStore.open(copy, write=True, repair=True) as store:
        assert texts(store) == [f"event {i}" for i in range(6)] and "forget them again" in store.notes[1]
    assert repair.verify(copy) == []


def test_repair_leaves_a_whole_store_alone(copy):
    before = {f.name: f.read_bytes() for f in copy.iterdir() if f.name != "head.bin"}
    with EventStore.open(copy, write=True, repair=True) as store:
        assert store.notes == []
    assert {f.name: f.read_bytes() for f in copy.iterdir() if f.name != "head.bin"} == before


def test_another_version_is_refused_also_by_repair(copy):
    about = (copy / "about.json").read_text().replace('"schema": 1', '"schema": 2')
    (copy / "about.json").write_text(about)
    (copy / "journal.log").unlink()
    with pytest.raises(ChronosError, match="a memory store of another version, expected 1, got 2"):
        EventStore.open(copy, write=True, repair=True)


@pytest.mark.parametrize("name", [*CHECKED, "head.bin", "uses-000001.bin", "lock"])
@pytest.mark.parametrize("how", ["missing", "a directory", "empty", "noise"])
def test_odd_folders_give_one_line_or_a_store(copy, name, how):
    """Whatever a file was replaced by: opening, repairing and reading end well or with a ChronosError."""
    (copy / name).unlink()
    if how == "a directory":
        (copy / name).mkdir()
    elif how != "missing":
        (copy / name).write_bytes(b"" if how == "empty" else np.random.default_rng(0).bytes(300))
    for options in ({}, {"write": True}, {"write": True, "repair": True}, {"write": True}):
        try:
            with EventStore.open(copy, **options) as store:
                texts(store)
                store.uses(range(len(store)))
        except ChronosError as error:
            assert "\n" not in str(error)


def test_foreign_files_are_left_alone(copy):
    (copy / "notes.txt").write_text("mine")
    (copy / "events-old.bin").write_text("mine")
    with EventStore.open(copy, write=True) as store:
        store.compact()
    assert (copy / "notes.txt").read_text() == (copy / "events-old.bin").read_text() == "mine"
    with pytest.raises(ChronosError, match="something else is here"):
        EventStore.create(copy, width=4, identity=WHO)


def test_a_killed_compaction_is_cleared_away(copy):
    for name in ("events-000002.bin", "words-000002.bin", ".journal.log.12-ab.tmp"):
        (copy / name).write_bytes(b"half")
    with EventStore.open(copy) as store:
        assert len(store) == 6 and (copy / "events-000002.bin").exists()  # a reader removes nothing
    EventStore.open(copy, write=True).close()
    assert not [f for f in copy.iterdir() if "2.bin" in f.name or f.name.endswith(".tmp")]


def test_creating_again_after_a_kill_before_the_first_journal(tmp_path):
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "events-000001.bin").write_bytes(b"")
    (tmp_path / "m" / "about.json").write_text("{}")
    EventStore.create(tmp_path / "m", width=4, identity=WHO).close()
    assert repair.verify(tmp_path / "m") == []
