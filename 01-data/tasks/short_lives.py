"""Short lives in Cairo as texts: what a model without an event store learns to answer questions from.

Each sentence says its time, and the day where one begins, for a text has no other clock. It trains nothing.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date

from chronos.data.cairo.life import Life
from chronos.data.cairo.spans import date_value
from chronos.data.cairo.values import LANGUAGES
from chronos.data.dice import Dice
from chronos.data.lives import Event, Question
from chronos.data.tasks.example import Example, all_dice, require

_LATE = 6  # lives begin at step 1 … 10^6: late times have more digits
_FACTS = 25  # one-offs in 100 events, several times what a long life has: a question in four is about one


@dataclass(frozen=True)
class Options:
    """Lives of `least` … `most` events with `questions` each, asked at `stops` steps, the last the end."""

    least: int = 16
    most: int = 48
    questions: int = 8
    stops: int = 4
    language: str = "en"

    def __post_init__(self) -> None:
        require(8 <= self.least <= self.most, "a life has 8 events or more", got=f"{self.least}…{self.most}")
        stops = self.stops
        require(1 <= stops <= min(self.questions, self.least // 2), "stops do not fit", got=stops)
        known = (*LANGUAGES, "mixed")
        require(self.language in known, "unknown language", expected=", ".join(known), got=self.language)


def examples(n: int | None, seed: int, split: str, options: Options) -> Iterator[Example]:
    """n lives (1000), each as long, and beginning as late, as its dice say."""
    for number, dice in all_dice("cairo", seed, split, 1000 if n is None else n):
        yield _example(dice, number, split, options)


def timed(events: Iterable[Event], language: str = "en") -> Iterator[Event]:
    """The events with their time in front, "25, 3 May 2031: I moved to Maadi.", the date where it is new."""
    day = ""
    for event in events:
        new = event.date if event.date != day else ""
        told = f", {date_value(date.fromisoformat(new)).form(language)}" if new else ""
        day = event.date
        yield replace(event, text=f"{event.t}{told}: {event.text}")


def _example(dice: Dice, number: int, split: str, o: Options) -> Example:
    """A life told in a language, with as many questions at each stop as the others."""
    events = dice.between(o.least, o.most)
    first = 1 if dice.chance(30) else int(10 ** (dice.below(1000) / 1000 * _LATE))
    facts = max(1, events * _FACTS // 100)
    life = Life(
        events, dice.below(1 << 62), split=split, language=o.language, first=first, facts=facts,
        kinds=dice.pick((1, 2, 3, 9)),
    )  # fmt: skip
    told = [replace(event, life=number) for event in life.events()]
    stops = [first + dice.between(events // 3, events - 2) for _ in range(o.stops - 1)]
    asked: dict[str, Question] = {}
    for i, at in enumerate([*sorted(stops), life.end]):
        share = o.questions * (i + 1) // o.stops - o.questions * i // o.stops
        found = [q for q in life.questions(2 * o.questions, at) if q.question not in asked]
        for q in dice.sample(found, min(share, len(found))):
            asked[q.question] = replace(q, life=number)
    language = o.language if o.language in LANGUAGES else LANGUAGES[0]
    return Example(list(timed(told, language)), list(asked.values()))
