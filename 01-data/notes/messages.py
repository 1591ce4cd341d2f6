"""Rows of a .jsonl that are somebody's words: chat messages and plain texts, under many common field names.

Rows of a life ({"t", "text"}) are `chronos.data.lives`'s. Unknown rows and damaged fields are named by
file:line.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from chronos.data.decoding import DamageError, clean, numbered_lines, refuse_surrogates
from chronos.data.documents import Tally
from chronos.data.notes.dates import EARLIEST, LATEST, Dates, Survey, of_number, survey
from chronos.data.notes.plain import Cut, Piece, spoken
from chronos.data.rows import parse_json

TEXTS = ("text", "content", "message", "body")
PEOPLE = ("role", "sender", "sender_name", "from", "author", "speaker", "user", "name")
TIMES = (
    "timestamp",
    "timestamp_ms",
    "datetime",
    "date",
    "time",
    "created_at",
    "create_time",
    "sent_at",
    "ts",
)
OWN = ("user", "human", "me")  # roles and senders whose words are the person's own
KNOWN = (
    "text; or role or sender, with content or message; or messages; each with a date or timestamp if known"
)


def rows_of(path: Path, tally: Tally) -> Iterator[tuple[str, Any]]:
    """The rows of a .jsonl with their file:line; damage is counted or raised."""
    for number, line in numbered_lines(path):
        where = f"{path}:{number}"
        try:
            if isinstance(line, DamageError):
                raise line
            if line := line.strip(" \t\r\n"):
                yield where, parse_json(line, path, number)
        except DamageError as error:
            tally.damage(error)


def is_life(path: Path) -> bool:
    """Whether the first whole row is a life's: it has a `t`."""
    row = next((row for _, row in rows_of(path, Tally(skip=True))), None)
    return isinstance(row, dict) and "t" in row


def survey_of(path: Path) -> Survey:
    """The dates of a file of rows; damage is passed over here, since reading tells it."""
    found: list[int] = []
    seen = survey(_dates(path, found))
    return Survey(found[0] if found else seen.first, seen.day_first, seen.ambiguous)


def _dates(path: Path, found: list[int]) -> Iterator[str]:
    """The dates of rows that are written in letters; the first that is a number goes to `found`."""
    for where, row in rows_of(path, Tally(skip=True)):
        with contextlib.suppress(DamageError):
            for _, message in messages(row, where):
                value = _first(message, TIMES)
                number = _number(value)
                if number is None and isinstance(value, str):
                    yield value
                elif number is not None and not found:
                    found.append(number)


def pieces(path: Path, found: Survey, cut: Cut, tally: Tally) -> Iterator[Piece]:
    """The events of a file of rows, in order. DamageError, by file:line, for rows that are no such thing."""
    dates = Dates(found.day_first)
    for where, row in rows_of(path, tally):
        try:
            yield from [piece for one in messages(row, where) for piece in _pieces(*one, dates, cut, tally)]
        except DamageError as error:
            tally.damage(error)


def messages(row: Any, where: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The messages of a row: itself, or those it lists, which take over what it says for all of them."""
    if not isinstance(row, dict):
        raise DamageError("a row must be an object", where=where, got=type(row).__name__)
    fields = {str(name).lower(): value for name, value in row.items()}
    if not isinstance(fields.get("messages"), list):
        yield where, fields
        return
    shared = {name: fields[name] for name in TIMES if name in fields}
    for message in fields["messages"]:
        if not isinstance(message, dict):
            raise DamageError("a message must be an object", where=where, got=type(message).__name__)
        yield where, shared | {str(name).lower(): value for name, value in message.items()}


def _pieces(where: str, fields: dict[str, Any], dates: Dates, cut: Cut, tally: Tally) -> Iterator[Piece]:
    text = _text(fields, where)
    time, (speaker, own) = _time(fields, dates, where), _speaker(fields)
    if not text.strip():
        tally.empty += 1
    for line in filter(str.strip, text.split("\n")):
        for event in spoken(cut(line, where), speaker):
            yield Piece(event, where, time, "user" if own else "unknown")


def _first(fields: dict[str, Any], names: tuple[str, ...]) -> Any:
    return next((fields[name] for name in names if fields.get(name) not in (None, "")), None)


def _text(fields: dict[str, Any], where: str) -> str:
    """What a message says; parts of a message ([{"type": "text", "text": …}]) stand one after another."""
    value = next((fields[name] for name in TEXTS if name in fields), None)
    if isinstance(value, list):
        parts = [part.get("text", "") if isinstance(part, dict) else part for part in value]
        value = "".join(part for part in parts if isinstance(part, str))
    if not isinstance(value, str):
        got = ", ".join(sorted(fields)[:8]) or "no fields"
        raise DamageError("unknown kind of row", where=where, expected=KNOWN, got=got)
    refuse_surrogates(value, where)
    return clean(value)


def _speaker(fields: dict[str, Any]) -> tuple[str, bool]:
    """The name to put before what is said, none for the person's own words, and whether they are that."""
    value = _first(fields, PEOPLE)
    value = value.get("name") or value.get("role") if isinstance(value, dict) else value
    name = " ".join(clean(value).split())[:40] if isinstance(value, str) else ""
    own = not name or name.casefold() in OWN
    return ("" if own else name), own or "role" not in fields


def _number(value: Any) -> int | None:
    """A count since 1970, as a number or written as one."""
    if isinstance(value, str) and value.strip().replace(".", "", 1).isdecimal():
        value = float(value) if "." in value else int(value)
    return of_number(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _time(fields: dict[str, Any], dates: Dates, where: str) -> int | None:
    value = _first(fields, TIMES)
    if value is None:
        return None
    time = _number(value)
    if time is None and isinstance(value, str):
        stamp = dates.stamp(value)
        time = stamp.time if stamp and not stamp.rest else None
    if time is None or not EARLIEST <= time <= LATEST:
        expected = "2024-05-03T14:22:10Z or the like"
        raise DamageError("this is no date", where=where, expected=expected, got=ascii(value)[:40])
    return time
