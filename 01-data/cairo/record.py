"""What a life has said so far, as the questions need it: statements by attribute, and one-off facts.

Five bytes a statement, in flat arrays. It knows neither words nor dates.
"""

from array import array
from bisect import bisect_right
from dataclasses import dataclass, field

from chronos.data.cairo.book import ATTRIBUTES
from chronos.data.cairo.values import Value

Slots = dict[str, Value]


@dataclass(frozen=True, slots=True)
class Fact:
    """A one-off: said once at step t. For a rumour the key is what it is about, the answer who said it."""

    t: int
    kind: str
    key: Value
    answer: Value
    claim: Value | None = None

    def slots(self) -> Slots:
        """What its templates need."""
        if self.claim:
            return {"n": self.answer, "k": self.key, "p": self.claim}
        return {"k": self.key, "a": self.answer}


class Log:
    """What has been said of one attribute: steps, values (numbers in the life's list), and the turns.

    A turn is a statement with another value than the one before it, given by its place in the list.
    """

    def __init__(self) -> None:
        self.times, self.values, self.turns = array("I"), array("B"), array("I")

    def add(self, t: int, value: int) -> None:
        """One more statement."""
        if self.values and self.values[-1] != value:
            self.turns.append(len(self.values))
        self.times.append(t)
        self.values.append(value)

    def last(self, t: int) -> int:
        """The place of the last statement up to step t; −1 before the first."""
        return bisect_right(self.times, t) - 1

    def turned(self, place: int) -> int:
        """How many turns there were up to a place."""
        return bisect_right(self.turns, place)


@dataclass
class Record:
    """All that was said up to a step and can be asked for."""

    upto: int = 0
    logs: dict[str, Log] = field(default_factory=lambda: {name: Log() for name in ATTRIBUTES})
    facts: list[Fact] = field(default_factory=list)
