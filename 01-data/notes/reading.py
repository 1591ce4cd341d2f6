"""A file or folder of a person's own texts as events in time: .md, .txt, .jsonl (notes, chats, a life).

Streamed, each event with its time and file:line; nothing is dropped in silence, and the same bytes give the
same events. Try `chronos ingest --input diary.md`.
"""

import datetime
import operator
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from chronos.console import ChronosError, warn
from chronos.data import lives
from chronos.data.decoding import DamageError, open_file
from chronos.data.documents import Tally, check_on_damage
from chronos.data.notes import messages, plain
from chronos.data.notes.dates import DAY, EARLIEST, EPOCH, HOUR, LATEST, Survey, step_time, whole, written
from chronos.data.notes.plain import Cut, Piece
from chronos.data.notes.sentences import limited, sentences

SUFFIXES = (".md", ".txt", ".jsonl")
LONG = 1 << 16  # characters of a paragraph that are worth a warning
_HEAD = 8192  # bytes that are looked at to tell a binary file
_MARKS = (b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")  # of UTF-16 and UTF-32, which hold zero bytes


@dataclass(frozen=True, slots=True)
class Note:
    """An event: int64 microseconds since 1970 in UTC, its text, its source's name, and where it stands."""

    time_us: int
    text: str
    source: str
    where: str


@dataclass(frozen=True)
class Reading:
    """How texts are read. `date`: midnight (µs) of the first day of what has no dates; None for 1970-01-01.

    `sort` puts the events in order of time. `on_damage` is "fail" or "skip". `cutter` makes, for each file,
    the function that cuts a paragraph into events. `quiet` leaves out the warnings, for a second reading.
    """

    date: int | None = None
    sort: bool = False
    on_damage: str = "fail"
    cutter: Callable[[], Callable[[str], list[str]]] = lambda: sentences
    quiet: bool = False

    def tell(self, text: str) -> None:
        """A warning, unless quiet."""
        if not self.quiet:
            warn(text)

    def cut(self) -> Cut:
        """The cutter for one file, which tells of a text so long that nobody meant it to be one event."""
        cutter = self.cutter()

        def cut_up(text: str, where: str) -> list[str]:
            events = cutter(text)
            if len(text) > LONG:
                self.tell(f"{where}: a line of {len(text):,} characters is cut into {len(events):,} events")
            return events

        return cut_up


@dataclass(frozen=True)
class Source:
    """A file to read, and the name by which it is known: "folder/file", or from the given folder on."""

    path: Path
    name: str


def sources_of(given: Path | str) -> list[Source]:
    """The files that a path stands for: itself, or those of a folder with one of SUFFIXES, sorted by name.

    Names that start with a dot are passed over, other suffixes too, with a warning. ChronosError for a path
    that is not there or of another kind, and for a folder without a text.
    """
    path, parts = Path(given), Path(os.path.realpath(given)).parts
    if not path.is_dir():
        return [Source(_text_file(path), "/".join(parts[-2:]))]
    found, others = [], []
    for folder, below, names in os.walk(path):
        below[:] = sorted(one for one in below if not one.startswith("."))
        for one in sorted(names):
            file = Path(folder) / one
            if one.startswith("."):
                continue
            (found if file.suffix.lower() in SUFFIXES else others).append(file)
    if others:
        warn(f"{path}: {len(others)} other files are passed over (the first: {others[0].name})")
    if not found:
        raise ChronosError("no text in this folder", where=path, expected=" ".join(SUFFIXES))
    return [Source(_text_file(file), f"{parts[-1]}/{file.relative_to(path).as_posix()}") for file in found]


def _text_file(path: Path) -> Path:
    """The path itself; ChronosError where it is missing, of another kind, or binary."""
    with open_file(path) as file:
        head = file.read(_HEAD)
    if path.suffix.lower() not in SUFFIXES:
        mend = "rename it to .txt if it is plain text"
        got = path.suffix or "no suffix"
        raise ChronosError(
            "unknown kind of file", where=path, expected=" ".join(SUFFIXES), got=got, mend=mend
        )
    if b"\0" in head and not head.startswith(_MARKS):
        raise ChronosError("binary data, no text", where=path, mend="give its text as .txt, .md or .jsonl")
    return path


def day_of(text: str) -> int:
    """The midnight (µs) of a written day ("2024-05-03", "3 May 2024"). ChronosError for others."""
    found = whole(text)
    if found is None or found.time % DAY:
        raise ChronosError("this is no day", expected="2024-05-03", got=repr(text))
    return found.time


def read_notes(source: Source | Path | str, how: Reading = Reading()) -> Iterator[Note]:
    """The events of one file in order of time. Raises, by file:line, for damage and time running backwards.

    Events with equal times stay in the file's order. A text before the first date has that date. A file
    without any date counts an hour an event, from `how.date` on, and says so. ChronosError for a file
    without any event.
    """
    check_on_damage(how.on_damage)
    path = source.path if isinstance(source, Source) else Path(source)
    tally = Tally(skip=how.on_damage == "skip")
    notes = _notes(path, how, tally)
    notes = iter(sorted(notes, key=operator.attrgetter("time_us"))) if how.sort else _forward(notes, path)
    for note in notes:
        tally.kept += 1
        yield note
    if not how.quiet or not tally.kept:
        tally.report(path, "event")


def merged(sources: Iterable[Source], how: Reading) -> Iterator[Note]:
    """The events of several files as one life, in order of time; equal times in the order of the files."""
    notes = [note for source in sources for note in read_notes(source, how)]
    return iter(sorted(notes, key=operator.attrgetter("time_us")))


def _notes(path: Path, how: Reading, tally: Tally) -> Iterator[Note]:
    rows = path.suffix.lower() == ".jsonl"
    if rows and messages.is_life(path):
        return _life(path, how)
    found = (messages if rows else plain).survey_of(path)
    if rows:
        pieces = messages.pieces(path, found, how.cut(), tally)
    else:
        pieces = plain.PlainReader(path, found, how.cut(), tally).pieces()
    return _timed(pieces, found, how, path)


def _tell(path: Path, found: Survey, how: Reading) -> None:
    """What a person should know of how a file's dates are understood, once."""
    if found.first is None and how.date is None:
        how.tell(
            f"{path}: no dates in it: its events count hours from 1970-01-01 on; --date sets the first day"
        )
    elif found.first is not None and how.date is not None:
        how.tell(f"{path}: --date has no effect: the file has dates of its own")
    if found.ambiguous:
        told = "not certain which number is the day: the first is taken, 03/05 is 3 May"
        how.tell(f"{path}: {told}")


def _timed(pieces: Iterable[Piece], found: Survey, how: Reading, path: Path) -> Iterator[Note]:
    start, count = how.date or 0, -1
    for count, piece in enumerate(pieces):
        if found.first is None:
            time = start + count * HOUR
        else:
            time = found.first if piece.time is None else piece.time
        yield Note(time, piece.text, piece.source, piece.where)
    if count >= 0:  # an error is not preceded by it
        _tell(path, found, how)


def _forward(notes: Iterable[Note], path: Path) -> Iterator[Note]:
    """The notes, as long as time does not run backwards."""
    last: Note | None = None
    for note in notes:
        if last and note.time_us < last.time_us:
            expected, got = f"{written(last.time_us)} or later", written(note.time_us)
            mend = "put it in order, or add --sort"
            raise ChronosError("time runs backwards", where=note.where, expected=expected, got=got, mend=mend)
        last = note
        yield note


def _life(path: Path, how: Reading) -> Iterator[Note]:
    """A life's events: step t is the hour t − 1 after its first midnight, by its dates or `how.date`."""
    origin = None
    cut = replace(how, cutter=lambda: limited).cut()
    for event in lives.read_events(path, how.on_damage):
        where = f"{path}: t = {event.t}"
        if event.life:
            mend = "give each life a file, and a memory, of its own"
            raise ChronosError("rows of more than one life", where=where, mend=mend)
        if origin is None:
            origin = _origin(event, how.date)
        elif event.date and origin != _origin(event, None):
            expected = written(origin + (event.t - 1) // 24 * DAY)
            raise DamageError("date and t do not agree", where=where, expected=expected, got=event.date)
        time = step_time(event.t, origin)
        if not EARLIEST <= time <= LATEST:
            raise DamageError("a time beyond the calendar", where=where, expected="years 1 … 9999")
        for text in cut(event.text, where):
            yield Note(time, text, "user", where)


def _origin(event: lives.Event, date: int | None) -> int:
    """Midnight of the life's first day: of the event's date less the days since."""
    if not event.date:
        return date or 0
    days = datetime.date.fromisoformat(event.date).toordinal() - EPOCH.toordinal()
    return (days - (event.t - 1) // 24) * DAY
