"""The rows of a record of questions: an answer under a condition, and an event as the memory took it.

Damage is told by file:line and never repaired; a field that the format does not know is refused. Nothing is
judged here but that "right" says what `chronos.data.lives.is_right` says. Used through `records.py`.
"""

import datetime
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from chronos.data.decoding import DamageError, clean, refuse_surrogates
from chronos.data.lives import folded

LATEST = 1 << 53  # the last integer that every JSON reader holds exactly
SPARE = 0.01  # what shares may add up to beyond 1: they come from float32 and may be rounded


@dataclass(frozen=True, slots=True)
class Read:
    """One hop: the share that found nothing, and the events with the largest weights, (number, weight)."""

    hop: int
    null: float
    events: tuple[tuple[int, float], ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """What was given to a question under a condition.

    `seed`: of training. `life`: its number, `events`: how many it has. `t`, `age`, `overwrites`, `accept`: as
    a question of a life has them (`chronos.data.liferows.Question`). `as_of`: the step up to which the
    reader understood to be asked, None if it has no notion of one. `ms`: how long it took.
    """

    seed: int
    life: int
    events: int
    condition: str
    language: str
    question: str
    kind: str
    t: int
    age: int
    overwrites: int
    answer: str
    accept: tuple[str, ...]
    given: str
    right: bool
    as_of: int | None
    reads: tuple[Read, ...]
    ms: float


@dataclass(frozen=True, slots=True)
class Taken:
    """An event of a life and what the memory did with it: number from 1, surprise (None: not measured)."""

    n: int
    t: int
    date: str
    text: str
    surprise: float | None
    written: bool
    why: str


def parse_answer(row: Any, where: object) -> Answer:
    """An answer from parsed JSON; DamageError names the field that is wrong."""
    row = _fields_of(Answer, row, where)
    for name in ("seed", "life", "t", "age", "overwrites"):
        _check(row, name, _whole, "a whole number of 0 … 2⁵³", where)
    _check(row, "events", lambda v: _whole(v) and v > 0, "a whole number of at least 1", where)
    for name in ("condition", "language", "question", "kind", "answer"):
        _check(row, name, _telling, "a text with something in it", where)
    _check(row, "given", lambda v: isinstance(v, str), "a text", where)
    _check(row, "accept", _texts, "a list of texts", where)
    _check(row, "right", lambda v: isinstance(v, bool), "true or false", where)
    _check(row, "ms", lambda v: _finite(v) and v >= 0, "a number of milliseconds", where)
    _check(row, "as_of", lambda v: v is None or type(v) is int, "a step or null", where)
    if row["as_of"] is not None and row["as_of"] > row["t"]:
        raise DamageError("as of a time to come", where=where, expected=f"≤ {row['t']}", got=row["as_of"])
    if row["age"] > row["t"]:
        raise DamageError(
            "the fact is older than time", where=where, expected=f"≤ {row['t']}", got=row["age"]
        )
    _check(row, "reads", lambda v: isinstance(v, list), "a list of hops", where)
    reads = tuple(_read(item, row["events"], where) for item in row["reads"])
    if [read.hop for read in reads] != sorted({read.hop for read in reads}):
        raise DamageError("hops must rise", where=where, got=[read.hop for read in reads])
    found = Answer(**{**row, "accept": tuple(row["accept"]), "reads": reads})
    if found.right != (folded(found.given) in {folded(text) for text in (found.answer, *found.accept)}):
        raise DamageError("field 'right' is not what the answers say", where=where, got=found.right)
    return found


def parse_taken(row: Any, where: object) -> Taken:
    """An event of a life from parsed JSON; DamageError names the field that is wrong."""
    row = _fields_of(Taken, row, where)
    _check(row, "n", lambda v: _whole(v) and v > 0, "a whole number of at least 1", where)
    _check(row, "t", _whole, "a whole number of 0 … 2⁵³", where)
    _check(row, "date", _day, "YYYY-MM-DD or an empty text", where)
    _check(row, "text", _telling, "a text with something in it", where)
    _check(row, "surprise", lambda v: v is None or _finite(v), "a number or null", where)
    _check(row, "written", lambda v: isinstance(v, bool), "true or false", where)
    _check(row, "why", lambda v: isinstance(v, str), "a text", where)
    return Taken(**row)


def _read(row: Any, events: int, where: object) -> Read:
    row = _fields_of(Read, row, where)
    _check(row, "hop", lambda v: _whole(v) and v > 0, "a whole number of at least 1", where)
    _check(row, "null", _share, "a share of 0 … 1", where)
    _check(row, "events", lambda v: isinstance(v, list), "a list of [event, weight]", where)
    for pair in row["events"]:
        if not (isinstance(pair, list) and len(pair) == 2 and _whole(pair[0]) and _share(pair[1])):
            what = "an event that was read is [number, weight]"
            raise DamageError(what, where=where, got=_short(pair))
        if not 1 <= pair[0] <= events:
            what = "an event that the life does not have was read"
            raise DamageError(what, where=where, expected=f"1 … {events}", got=pair[0])
    total = row["null"] + sum(weight for _, weight in row["events"])
    if total > 1 + SPARE or len({n for n, _ in row["events"]}) != len(row["events"]):
        raise DamageError("the shares of a hop do not add up", where=where, got=f"{total:.4g} together")
    return Read(row["hop"], float(row["null"]), tuple((n, float(w)) for n, w in row["events"]))


def _fields_of(kind: type, row: Any, where: object) -> dict[str, Any]:
    """The row as a mapping with exactly the fields of a row of its kind."""
    if not isinstance(row, Mapping):
        raise DamageError("a row must be an object", where=where, got=type(row).__name__)
    wanted = {field.name for field in fields(kind)}
    if wrong := wanted ^ set(row):
        name = min(map(str, wrong))
        what = f"field {name!r} is {'missing' if name in wanted else 'not known'}"
        raise DamageError(what, where=where, expected=", ".join(sorted(wanted)))
    return {
        name: list(value) if isinstance(value, tuple) else clean(value) if isinstance(value, str) else value
        for name, value in row.items()
    }


def _check(
    row: Mapping[str, Any], name: str, good: Callable[[Any], bool], expected: str, where: object
) -> None:
    if not good(row[name]):
        raise DamageError(f"field {name!r} must be {expected}", where=where, got=_short(row[name]))
    texts = row[name] if isinstance(row[name], list) else [row[name]]
    for text in texts:
        if isinstance(text, str):
            refuse_surrogates(text, where)


def _whole(value: Any) -> bool:
    return type(value) is int and 0 <= value <= LATEST  # a bool is an int only to isinstance


def _finite(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def _share(value: Any) -> bool:
    return _finite(value) and 0 <= value <= 1 + SPARE


def _telling(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(map(_telling, value))


def _day(value: Any) -> bool:
    if value == "":
        return True
    try:
        return isinstance(value, str) and datetime.date.fromisoformat(value).isoformat() == value
    except ValueError:
        return False


def _short(value: Any) -> str:
    told = ascii(value)
    return told if len(told) <= 40 else told[:37] + "…"
