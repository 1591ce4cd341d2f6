"""The rows of a life: an event, a question, and the check of every field of each.

Damage is told by file:line and never repaired. Used through `chronos.data.lives`, which reads the files.
"""

import datetime
import re
from dataclasses import dataclass
from typing import Any

from chronos.data.decoding import DamageError, clean, refuse_surrogates

LATEST = 1 << 53  # the last integer that every JSON reader holds exactly

_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened at time t ≥ 0; `date` is YYYY-MM-DD or empty, life 0 the only one."""

    t: int
    text: str
    date: str = ""
    life: int = 0


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked at time t, and the answer.

    `age`: t − time of the fact that answers, 0 where there is none. `overwrites`: how often what is asked
    about changed between that fact and t. `evidence`: times of the events needed. `accept`: other right
    answers.
    """

    question: str
    answer: str
    kind: str
    t: int
    age: int = 0
    overwrites: int = 0
    evidence: tuple[int, ...] = ()
    accept: tuple[str, ...] = ()
    life: int = 0


class LifeOrder:
    """Lives come one after the other, so that they can be streamed."""

    def __init__(self) -> None:
        self.life = -1

    def check(self, row: Event | Question, where: object) -> None:
        """DamageError for a row that may not follow those before it."""
        if row.life < self.life:
            what = "an earlier life comes after a later one"
            raise DamageError(what, where=where, expected=f"life {self.life} or later", got=row.life)
        self.life = row.life


class EventOrder(LifeOrder):
    """And within a life time never runs backwards."""

    def __init__(self) -> None:
        super().__init__()
        self.t = 0

    def check(self, row: Event | Question, where: object) -> None:
        """As above, and for times."""
        previous = self.life
        super().check(row, where)
        if row.life == previous and row.t < self.t:
            raise DamageError("time runs backwards", where=where, expected=f"t ≥ {self.t}", got=row.t)
        self.t = row.t


def parse_event(row: Any, where: object) -> Event:
    """An event from parsed JSON; DamageError names the field that is wrong."""
    row = _object(row, where)
    date = row.get("date", "")
    if date != "":
        _check_date(date, where)
    life = _integer(row, "life", where) if "life" in row else 0
    return Event(_integer(row, "t", where), _text(row, "text", where), date, life)


def parse_question(row: Any, where: object) -> Question:
    """A question from parsed JSON; DamageError names the field that is wrong."""
    row = _object(row, where)
    t, age = _integer(row, "t", where), _integer(row, "age", where)
    if age > t:
        raise DamageError("the fact is older than time", where=where, expected=f"age ≤ {t}", got=age)
    evidence = _list(row, "evidence", where)
    for i in range(len(evidence)):
        if _integer(evidence, i, where, "evidence") > t:
            raise DamageError("evidence from the future", where=where, expected=f"≤ {t}", got=evidence[i])
    accept = _list(row, "accept", where)
    kind = _text(row, "kind", where)
    if kind == "all":
        raise DamageError("the kind of a question cannot be all", where=where, mend="give it another name")
    return Question(
        _text(row, "question", where),
        _text(row, "answer", where),
        kind,
        t,
        age,
        _integer(row, "overwrites", where),
        tuple(evidence),
        tuple(_text(accept, i, where, "accept") for i in range(len(accept))),
        _integer(row, "life", where) if "life" in row else 0,
    )


def _object(row: Any, where: object) -> dict[str, Any]:
    if not isinstance(row, dict):
        raise DamageError("a row must be an object", where=where, got=type(row).__name__)
    return row


def _integer(row: Any, name: Any, where: object, inside: str = "") -> int:
    value = row[name] if inside else row.get(name)
    if type(value) is not int or not 0 <= value <= LATEST:  # a bool is an int only to isinstance
        what = f"field {inside or name!r} must be a whole number of 0 … 2⁵³"
        raise DamageError(what, where=where, got=_short(value))
    return value


def _text(row: Any, name: Any, where: object, inside: str = "") -> str:
    value = row[name] if inside else row.get(name)
    if not isinstance(value, str) or not (value := clean(value)).strip():
        what = f"field {inside or name!r} must be a text with something in it"
        raise DamageError(what, where=where, got=_short(value))
    refuse_surrogates(value, where)
    return value


def _list(row: dict[str, Any], name: str, where: object) -> list[Any]:
    value = row.get(name, [])
    if not isinstance(value, list):
        raise DamageError(f"field {name!r} must be a list", where=where, got=_short(value))
    return value


def _check_date(date: Any, where: object) -> None:
    try:
        if not (isinstance(date, str) and _DATE.fullmatch(date)):
            raise ValueError
        datetime.date.fromisoformat(date)
    except ValueError:
        what = "field 'date' must be a day of the calendar"
        raise DamageError(what, where=where, expected="YYYY-MM-DD", got=_short(date)) from None


def _short(value: Any) -> str:
    told = "nothing" if value is None else ascii(value)
    return told if len(told) <= 40 else told[:37] + "…"
