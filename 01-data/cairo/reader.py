"""A reader of lives that understands every template: it reads sentences only, and answers from what they say.

All of them, or the last few (`window`): the perfect reader that a model with a bounded context could be at
best. It never sees the generator's state. It learns nothing; what no sentence says is "I don't know".
"""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from chronos.data.cairo.book import UNKNOWN
from chronos.data.cairo.grammar import Asked, ask_what, understand
from chronos.data.cairo.spans import Calendar, date_value, day_of, day_span, step_value
from chronos.data.cairo.values import Value
from chronos.data.lives import Event, read_events, read_questions, score


class Reader:
    """`read(event)` in order, then `answer(question)`; `window`: how many events back it remembers."""

    def __init__(self, window: int | None = None):
        self.window = window
        self.steps: list[int] = []  # of all events
        self.said: dict[str, list[tuple[int, Value]]] = defaultdict(list)  # attribute: (t, value) in order
        self.facts: dict[tuple[str, Value | None], tuple[int, Value]] = {}
        self.calendar: Calendar | None = None
        self.female = False  # who tells the life, once a form has shown it

    def read(self, event: Event) -> None:
        """Take in one event."""
        self.steps.append(event.t)
        if self.calendar is None and event.date:
            self.calendar = Calendar(date.fromisoformat(event.date) - timedelta(days=day_of(event.t)))
        said = understand(event.text)
        if said and said.key:
            self.facts[said.name, said.key] = (event.t, said.value)
        elif said:
            self.said[said.name].append((event.t, said.value))
            self.female = self.female if said.female is None else said.female

    def answer(self, question: str, t: int | None = None) -> str:
        """The answer in the question's language, as of step t (default: the last that was read)."""
        asked = ask_what(question)
        if asked is None:
            return UNKNOWN.form("en" if question.endswith("?") else "ar")
        t = self.steps[-1] if t is None and self.steps else t or 0
        value = self._answer(asked, t) or UNKNOWN
        return value.form(asked.language, self.female)

    def _answer(self, asked: Asked, t: int) -> Value | None:
        if asked.form in ("fact", "fact_when", "join"):
            fact = self._fact(asked.name if asked.form == "fact" else asked.kind, asked.key, t)
            if not fact or asked.form == "fact":
                return fact and fact[1]
            return (
                self._when(fact[0], asked.how) if asked.form == "fact_when" else self._last(asked, t, fact[0])
            )
        if asked.form == "now":
            return self._last(asked, t, t)
        if asked.form == "at":
            span = self._span(asked, t)
            return self._last(asked, t, *span) if span else None
        turns = [i for i in self._turns(asked.name, t) if asked.value in (None, self.said[asked.name][i][1])]
        if not turns:
            return None
        if asked.form == "when":
            return self._when(self.said[asked.name][turns[-1]][0], asked.how)
        return self.said[asked.name][turns[-1] - 1][1]

    def _begin(self, t: int) -> int:
        """The first step that is still remembered at step t."""
        if self.window is None:
            return 0
        read = bisect_right(self.steps, t)
        return self.steps[max(0, read - self.window)] if self.steps and self.window else t + 1

    def _fact(self, kind: str, key: Value | None, t: int) -> tuple[int, Value] | None:
        fact = self.facts.get((kind, key))
        return fact if fact and self._begin(t) <= fact[0] <= t else None

    def _last(self, asked: Asked, t: int, first: int, last: int | None = None) -> Value | None:
        """What holds from step `first` to `last`: the last statement before it, if none in it differs."""
        said = self.said[asked.name]
        begin = bisect_left(said, self._begin(t), key=lambda one: one[0])
        at = bisect_right(said, first, key=lambda one: one[0]) - 1
        end = bisect_right(said, first if last is None else last, key=lambda one: one[0]) - 1
        if at < begin or any(said[i][1] is not said[at][1] for i in range(at, end + 1)):
            return None
        return said[at][1]

    def _turns(self, name: str, t: int) -> list[int]:
        """Where in the statements an attribute's value was another than in the one before."""
        said = self.said[name]
        begin = bisect_left(said, self._begin(t), key=lambda one: one[0])
        end = bisect_right(said, t, key=lambda one: one[0])
        return [i for i in range(begin + 1, end) if said[i][1] is not said[i - 1][1]]

    def _when(self, t: int, how: str) -> Value | None:
        if how == "step":
            return step_value(t)
        return date_value(self.calendar.date(t)) if self.calendar else None

    def _span(self, asked: Asked, t: int) -> tuple[int, int] | None:
        """The steps that a named time stands for, seen from step t."""
        if asked.how == "step":
            return asked.number, asked.number
        if asked.how == "hours":
            return t - asked.number, t - asked.number
        if asked.how == "yesterday":
            return day_span(day_of(t) - 1)
        if asked.how == "days":
            return day_span(day_of(t) - asked.number)
        if self.calendar is None:
            return None
        if asked.how == "week":
            return self.calendar.week_before(t)
        day, month, year = asked.on
        if year:
            return day_span(self.calendar.day(date(year, month, day)))
        days = self.calendar.without_year(day, month, self.steps[0], t)
        return day_span(days[0]) if len(days) == 1 else None


def solve(folder: Path | str, window: int | None = None) -> dict[str, Any]:
    """The score of a reader on the life and the questions of a folder: {"n", "accuracy", "by_kind"}."""
    reader = Reader(window)
    for event in read_events(folder):
        reader.read(event)
    asked = list(read_questions(folder))
    return score(asked, [reader.answer(question.question, question.t) for question in asked])
