"""How far readers without a memory get on a life of Cairo: the numbers and the picture of the lesson.

The most common answer, the value named last, and the perfect reader of the last 512 words; it trains no
model. Run it as `python -m chronos.data.cairo.measure` (rewrites 01-data/cairo/results).
"""

import re
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any

from chronos.console import Progress, table
from chronos.data.cairo.book import UNKNOWN, pool
from chronos.data.cairo.drawing import draw
from chronos.data.cairo.grammar import Asked, ask_what
from chronos.data.cairo.life import Life
from chronos.data.cairo.reader import Reader
from chronos.data.cairo.spans import date_value, step_value
from chronos.data.cairo.values import PARTS
from chronos.data.lives import Event, Question, majority, score
from chronos.files import write_atomic, write_json

RESULTS = Path(__file__).parent / "results"
EVENTS, SEEDS, WORDS = 10_000, (1, 2, 3), 512
# What is varied, one at a time, from the default (seen templates and values, English, announced).
VARIANTS: dict[str, dict[str, str]] = {
    "default": {},
    "Arabic": {"language": "ar"},
    "mixed": {"language": "mixed"},
    "held-out templates": {"templates": "held-out"},
    "held-out values": {"values": "held-out"},
    "changes shown": {"changes": "shown"},
}
PICTURE = {"events": 120, "seed": 9}


def window_of(events: list[Event], words: int) -> int:
    """How many of the last events have no more than so many words together (white space parts words)."""
    total = 0
    for n, event in enumerate(reversed(events)):
        total += len(event.text.split())
        if total > words:
            return n
    return len(events)


class LastNamed:
    """Answers with the value of the right sort that the life named last, whoever was meant."""

    def __init__(self, life: Life, events: list[Event]):
        self.life, self.events = life, events
        self.last = cache(self._last)

    def answer(self, question: str) -> str:
        """The guess; it never says that it does not know, unless nothing of the sort was named."""
        asked = ask_what(question)
        found = asked and self._guess(asked)
        return found or UNKNOWN.form("en")

    def _guess(self, asked: Asked) -> str | None:
        if asked.form == "fact":
            kind = f"answer:{asked.name}"
            return self.last(kind if pool(kind, "seen") else "digits")[1]
        if asked.form not in ("when", "fact_when"):
            return self.last(asked.name)[1]
        t = self.last(asked.name or f"key:{asked.kind}")[0]
        value = step_value(t) if asked.how == "step" else date_value(self.life.calendar.date(t))
        return value.form(asked.language)

    def _last(self, name: str) -> tuple[int, str | None]:
        pattern = _naming(name, self.life.languages[0])
        for event in reversed(self.events):
            if found := pattern.findall(event.text):
                return event.t, found[-1]
        return self.life.end, None


@cache
def _naming(name: str, language: str) -> re.Pattern[str]:
    if name == "digits":
        return re.compile(r"\b\d{4}\b")
    forms = {form for which in PARTS for value in pool(name, which) for form in value.forms(language)}
    longest = sorted(forms, key=lambda form: (-len(form), form))
    return re.compile(rf"\b(?:{'|'.join(map(re.escape, longest))})\b")


def readers(life: Life, events: list[Event]) -> dict[str, Callable[[str], str]]:
    """Three readers of a life by name, each a function from question to answer."""
    everything, window = Reader(), Reader(window_of(events, WORDS))
    for event in events:
        everything.read(event)
        window.read(event)
    return {
        "last_named": LastNamed(life, events).answer,
        "last_words": window.answer,
        "everything": everything.answer,
    }


def compare(lives: Iterable[Life]) -> dict[str, dict[str, Any]]:
    """For each kind and "all": n, classes, the most common answer's share, each reader's accuracy."""
    asked: list[Question] = []
    answers: dict[str, list[str]] = {}
    for life in lives:
        events, questions = list(life.events()), life.questions()
        asked += questions
        for name, answer in readers(life, events).items():
            answers.setdefault(name, []).extend(answer(question.question) for question in questions)
    result: dict[str, dict[str, Any]] = {kind: dict(row) for kind, row in majority(asked).items()}
    for name, given in answers.items():
        scored = score(asked, given)
        for kind, row in scored["by_kind"].items():
            result[kind][name] = row["accuracy"]
        result["all"][name] = scored["accuracy"]
    return result


def measure() -> dict[str, Any]:
    """The result as it stands in results/cairo.json; the same on every machine."""
    with Progress(len(VARIANTS), "reading lives") as bar:
        variants = {}
        for i, (name, options) in enumerate(VARIANTS.items()):
            seeds = SEEDS if name == "default" else SEEDS[:1]
            variants[name] = compare(Life(EVENTS, seed, **options) for seed in seeds)
            bar.update(i + 1)
    about = {"command": "python -m chronos.data.cairo.measure", "machine": "any machine"}
    told = {**about, "events": EVENTS, "seeds": list(SEEDS), "words": WORDS}
    kinds = variants["default"]
    names = ("share", "last_named", "last_words", "everything")
    rows = [(kind, row["n"], *(f"{row[name]:.1%}" for name in names)) for kind, row in kinds.items()]
    columns = ("kind", "n", "most common", "last named", f"last {WORDS} words", "everything")
    drawn = {"columns": columns, "rows": rows}
    return {**told, "kinds": kinds, "variants": {k: v["all"] for k, v in variants.items()}, **drawn}


def picture() -> str:
    """The timeline of a short life with one question of each kind."""
    life = Life(**PICTURE)
    return draw(life, life.questions(8))


def main() -> None:
    """Measure, write results/cairo.json and timeline.svg, and show the table."""
    result = measure()
    write_json(RESULTS / "cairo.json", result)
    write_atomic(RESULTS / "timeline.svg", picture())
    table(f"Readers of {EVENTS:,} events", result["columns"], result["rows"])


if __name__ == "__main__":
    main()
