"""A .txt or .md as pieces of text with times: diaries, notes, chat exports as lines.

Lines become paragraphs, paragraphs sentences; headings and lines that open with a date say when. It is no
Markdown renderer and counts no hours: reading.py gives times to what has none.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from chronos.data.decoding import DamageError, clean, numbered_lines
from chronos.data.documents import Tally
from chronos.data.notes.dates import Dates, Stamp, Survey, survey
from chronos.data.notes.marks import FENCE, HEADING, ITEM, QUOTE, RULE, cells, inline
from chronos.data.notes.sentences import limited

WRAPPED = range(45, 111)  # characters of a line that a program may have ended; others were ended on purpose
_DIRECTION = re.compile("[\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")
_SPEAKER = re.compile(r"(?P<name>[^\W\d_][^:\n]{0,39}?):\s+(?P<text>\S.*)")
_FRONT_DATE = re.compile(r"(?:date|created|day)\s*:\s*[\"']?(?P<date>[^\"']+)[\"']?\s*$", re.IGNORECASE)

Cut = Callable[[str, str], list[str]]  # a paragraph and where it stands → the events in it


@dataclass(frozen=True, slots=True)
class Piece:
    """One event's text, where it stands (file:line), and when it was, as far as the file says."""

    text: str
    where: str
    time: int | None = None
    source: str = "user"


def lines_of(path: Path, tally: Tally) -> Iterator[tuple[int, str]]:
    """The cleaned lines of a text, with their numbers; damage, binary data too, is counted or raised."""
    for number, line in numbered_lines(path):
        if isinstance(line, str) and "\0" in line:
            expected = "UTF-8, or UTF-16 with its mark"
            line = DamageError(
                "binary data, no text (a zero byte)", where=f"{path}:{number}", expected=expected
            )
        if isinstance(line, DamageError):
            tally.damage(line)
        else:
            yield number, _DIRECTION.sub("", clean(line)).rstrip("\n")


def survey_of(path: Path) -> Survey:
    """The dates of a file; damage is passed over here, since reading tells it."""
    lines = (bare(text)[0] for _, text in lines_of(path, Tally(skip=True)))
    named = Dates().stamp(path.stem)
    found = survey(_with_front(lines))
    return found if named is None else Survey(named.time, found.day_first, found.ambiguous)


def _with_front(lines: Iterable[str]) -> Iterator[str]:
    for line in lines:
        front = _FRONT_DATE.match(line)
        yield front["date"] if front else line


def bare(line: str) -> tuple[str, bool]:
    """A line without the marks of headings, quotations and lists before it; whether it stands alone."""
    text = line.strip()
    text = QUOTE.sub("", text, count=1) if text.startswith(">") else text
    alone = bool(HEADING.match(text))
    text = HEADING.sub("", text, count=1).rstrip("#").rstrip() if alone else text
    item = ITEM.match(text)
    if item and not re.match(r"\d+[.)]\s+\w+\s+\d{4}", text):  # "3. May 2024" is a date, not item 3
        return text[item.end() :], True
    return text, alone


class PlainReader:
    """The pieces of one text file, in order. `cut` makes events of a paragraph."""

    def __init__(self, path: Path, found: Survey, cut: Cut, tally: Tally):
        self.path, self.cut, self.tally = path, cut, tally
        self.markdown = path.suffix.lower() == ".md"
        self.dates = Dates(found.day_first)
        named = self.dates.stamp(path.stem)
        self.time = named.time if named else None
        self.speaker = ""
        self.block: list[str] = []
        self.begun = 0  # the line on which the block begins

    def pieces(self) -> Iterator[Piece]:
        """All pieces. DamageError, by file:line, for what is no text."""
        front = False
        for number, line in lines_of(self.path, self.tally):
            if self.markdown and line.strip() == "---" and (front or number == 1):
                front = not front
            elif front:
                self._front(line)
            else:
                yield from self._line(number, line)
        yield from self._flush()

    def _front(self, line: str) -> None:
        found = _FRONT_DATE.match(line.strip())
        if found and (stamp := self.dates.stamp(found["date"])):
            self.time = stamp.time

    def _line(self, number: int, line: str) -> Iterator[Piece]:
        text, alone = bare(line)
        if not text or RULE.fullmatch(text) or (self.markdown and FENCE.match(line)):
            yield from self._flush()
            return
        stamp = self.dates.stamp(text)
        if stamp or alone or (self.block and not _goes_on(self.block[-1])):
            yield from self._flush()
        if stamp:
            text = self._stamped(stamp)
        if text:
            self.begun = self.begun if self.block else number
            self.block.append(cells(text) if self.markdown else text)
        if HEADING.match(line.strip()):
            self.speaker = ""
            yield from self._flush()

    def _stamped(self, stamp: Stamp) -> str:
        """Take over a date; of a message, also who says it. What is left of the line."""
        self.time = stamp.time
        self.speaker = ""
        said = _SPEAKER.match(stamp.rest) if stamp.clock and stamp.bracketed else None
        if said and len(said["name"].split()) <= 4:
            self.speaker = said["name"].strip()
            return said["text"]
        return stamp.rest

    def _flush(self) -> Iterator[Piece]:
        """The events of the lines that were gathered."""
        block, self.block = self.block, []
        if block:
            where = f"{self.path}:{self.begun}"
            text = "".join(line if line.endswith(("-", "—")) else line + " " for line in block).rstrip()
            text = inline(text) if self.markdown else text  # marks may span lines
            for one in spoken(self.cut(text, where), self.speaker):
                yield Piece(one, where, self.time)


def spoken(events: Iterable[str], speaker: str) -> Iterator[str]:
    """Events with the name of who said them before each; still short enough."""
    for event in events:
        yield from limited(f"{speaker}: {event}" if speaker else event)


def _goes_on(line: str) -> bool:
    """Whether the next line belongs to the same paragraph: this one is as long as wrapped lines are."""
    return len(line) in WRAPPED
