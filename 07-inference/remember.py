"""Reading a person's texts into a memory: the work of `chronos ingest`.

What to remember is the model's business (`chronos.memory.recall`); files and dates are stage 01's. It prints
nothing but warnings.
"""

import contextlib
import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from chronos.console import ChronosError, Progress, warn
from chronos.data.notes.dates import written
from chronos.data.notes.reading import Note, Reading, Source, merged, read_notes, sources_of
from chronos.memory.bookmark import Bookmark
from chronos.memory.episodes.journal import DATA, JOURNAL
from chronos.memory.episodes.store import EventStore

TOGETHER = " + "  # between the names of texts that were put in order together


@dataclasses.dataclass(frozen=True)
class Text:
    """What is read under one name: one file, or several that are put in order of time together."""

    name: str
    files: tuple[Source, ...]
    how: Reading

    def notes(self) -> Iterator[Note]:
        """Its events, from the first."""
        return self._read(self.how)

    def again(self) -> Iterator[Note]:
        """The same, without the warnings."""
        return self._read(dataclasses.replace(self.how, quiet=True))

    def _read(self, how: Reading) -> Iterator[Note]:
        return read_notes(self.files[0], how) if len(self.files) == 1 else merged(self.files, how)


def texts_of(inputs: Sequence[Path], how: Reading) -> list[Text]:
    """The texts that the inputs stand for, each with a name of its own. ChronosError for one given twice."""
    groups = [sources_of(path) for path in inputs]
    files = [source for group in groups for source in group]
    names = [source.name for source in files]
    if twice := [name for name in names if names.count(name) > 1]:
        mend = "give each once, or ingest folders of equal names one by one"
        raise ChronosError("two texts of one name", where=twice[0], mend=mend)
    if how.sort and len(files) > 1:
        return [Text(TOGETHER.join(_named(groups, inputs)), tuple(files), how)]
    return [Text(source.name, (source,), how) for source in files]


def _named(groups: Sequence[Sequence[Source]], inputs: Sequence[Path]) -> Iterator[str]:
    """The names of what was given: a folder's own, not those of all its files."""
    for group, path in zip(groups, inputs):
        inner = group[0].path.relative_to(path).as_posix() if path.is_dir() else ""
        yield group[0].name.removesuffix(f"/{inner}") if inner else group[0].name


@dataclasses.dataclass(frozen=True)
class Unread:
    """A text that has been looked through: its events, how many of them are new, its first and last time."""

    text: Text
    events: int
    new: int
    first: int
    last: int


class _Watch:
    """Passes notes on and keeps the first and the last time."""

    first = last = 0

    def over(self, notes: Iterable[Note]) -> Iterator[Note]:
        for count, note in enumerate(notes):
            self.first = self.first if count else note.time_us
            self.last = note.time_us
            yield note


def look_through(texts: Iterable[Text], store: EventStore | None) -> list[Unread]:
    """Read all texts once, before anything is written: damage, disorder and changes are found here.

    In order of their first times, as they will be remembered. ChronosError as `read_notes` and `Bookmark` do,
    and where a text was read before under another name together with others.
    """
    found = []
    for text in texts:
        _refuse_twice(text, store)
        mark, watch = Bookmark(text.name, store.cursor(text.name) if store else None), _Watch()
        with Progress(None, f"looking through {text.name}", unit="events") as bar:
            new = 0
            for new, _ in enumerate(mark.unread(watch.over(text.notes())), 1):
                bar.update(new)
        found.append(Unread(text, mark.read, new, watch.first, watch.last))
    found.sort(key=lambda one: one.first)
    _warn_of_order([one for one in found if one.new], store)
    return found


def _refuse_twice(text: Text, store: EventStore | None) -> None:
    """ChronosError where a part of the text is in the memory already, read by itself or with others."""
    ours_ = set(text.name.split(TOGETHER))
    for name in store.journal.cursors if store else ():
        theirs = set(name.split(TOGETHER))
        if name != text.name and any(_within(a, b) or _within(b, a) for a in ours_ for b in theirs):
            mend = "read it as it was read then, or into a new memory"
            raise ChronosError("this text was read before, with others or by itself", where=name, mend=mend)


def _within(name: str, other: str) -> bool:
    """Whether they are one text, given by itself and in its folder, or the other is its folder."""
    return name == other or name.startswith(f"{other}/") or name.endswith(f"/{other}")


def _warn_of_order(found: Sequence[Unread], store: EventStore | None) -> None:
    """Say once where what is read later happened earlier: the order of reading is the order of the memory."""
    last = int(store.times.max()) if store is not None and len(store) else None
    for one in found:
        if last is not None and one.first < last and one.new == one.events:
            warn(
                f"{one.text.name}: begins {written(one.first)}, before the memory's last event "
                f"({written(last)}), and counts as more recent all the same; to put several texts in order, "
                "read them together with --sort"
            )
            return
        last = one.last if last is None else max(last, one.last)


def ingest(model: Path, inputs: Sequence[Path], state: Path, how: Reading) -> dict[str, Any]:
    """Read texts into the memory at `state`, made where there is none; {"events", "written", "bytes", …}.

    `events` and `written` count what is new, `bytes` are the memory's. Reading the same again adds nothing,
    an interrupted reading goes on. Nothing is written where a text is refused.
    """
    from chronos.memory.recall import Moment, load_recaller

    texts = texts_of(inputs, how)
    with _as_it_is(state) as store:
        found = look_through(texts, store)
    recaller = load_recaller(model)
    opened = recaller.open_store(state, write=True) if has_memory(state) else recaller.create_store(state)
    events = stored = 0
    seconds = 0.0
    with opened as store:
        for one in found:
            if one.new or store.cursor(one.text.name) is None or not store.cursor(one.text.name).done:
                moments = (Moment(note.time_us, note.text, note.source) for note in one.text.again())
                told = recaller.ingest(store, moments, one.text.name, total=one.new)
                events, stored = events + told.events, stored + told.written
                seconds += told.events / told.events_per_s if told.events_per_s else 0.0
        speed = events / seconds if seconds else None
        size, total = store.disk_bytes(), int(store.alive.sum())
    names = {one.text.name: one.new for one in found}
    counts = {"events": events, "written": stored, "bytes": size, "events_per_s": speed}
    return {**counts, "total": total, "texts": names, "state": str(state)}


@contextlib.contextmanager
def _as_it_is(state: Path) -> Iterator[EventStore | None]:
    """The memory at a place, opened to be read, or None where there is none."""
    if not has_memory(state):
        yield None
        return
    with EventStore.open(state) as store:
        yield store


def has_memory(state: Path) -> bool:
    """Whether a memory, whole or damaged, lies in a folder."""
    files = list(state.iterdir()) if state.is_dir() else []
    return any(file.name == JOURNAL or (DATA.fullmatch(file.name) and file.stat().st_size) for file in files)
