"""A life of Cairo as a memory is told it: its events with times, its questions, and the way back to steps.

Step t of a life is an hour: it begins at origin + (t − 1) hours, and questions are asked when theirs ends. It
knows no model and no store.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from chronos.console import ChronosError
from chronos.data.cairo.life import Life
from chronos.data.lives import Event
from chronos.data.notes.dates import step_of, step_time
from chronos.memory.recall import Moment
from chronos.tokenization.clock import life_origin


@dataclass(frozen=True)
class Lives:
    """Test lives to be asked about: how many, from which seed on, how long, and how they are told.

    `questions`: how many are asked of each, at its end. The others are as `chronos.data.cairo.life.Options`.
    Raises ChronosError for what cannot be.
    """

    events: int = 10_000
    lives: int = 2
    questions: int = 240
    seed: int = 900
    language: str = "en"
    templates: str = "seen"
    values: str = "seen"
    changes: str = "announced"

    def __post_init__(self) -> None:
        for name in ("lives", "questions"):
            if getattr(self, name) < 1:
                raise ChronosError(f"{name} must be at least 1", got=getattr(self, name))
        self.life(self.lives)  # the last that is read: of one life alone the next is "another"

    def life(self, i: int) -> Life:
        """The life number i, from 0."""
        names = ("language", "templates", "values", "changes")
        told = {name: getattr(self, name) for name in names}
        return Life(self.events, self.seed + i, split="test", **told)


class Told:
    """One life, its questions, and its clock. Attributes: life, number (its seed), origin, now, questions."""

    def __init__(self, life: Life, questions: int):
        self.life, self.number = life, life.options.seed
        first = next(iter(life.events()))
        self.origin = life_origin(first.date, first.t)
        self.now = self.time(life.end + 1) - 1  # when the hour ends in which questions are asked
        self.questions = life.questions(questions)

    def __len__(self) -> int:
        return self.life.options.events

    def moments(self) -> Iterator[Moment]:
        """Its events, one at a time, as a recall model reads them."""
        return (Moment(self.time(event.t), event.text) for event in self.events())

    def events(self) -> Iterator[Event]:
        """Its events as the generator tells them."""
        return self.life.events()

    def time(self, t: int) -> int:
        """When step t begins, in microseconds."""
        return step_time(t, self.origin)

    def step(self, time: int) -> int:
        """Which step a time lies in."""
        return step_of(time, self.origin)

    def place(self, time: int) -> int:
        """The number, from 1, of the event at this time: there is one an hour."""
        return self.step(time) - self.life.first + 1
