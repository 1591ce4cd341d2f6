"""What every recall task is made of: an example (a life, and token arrays where there are any), words, dice.

It knows no task. Used by the modules beside it; `registry.py` writes what they make.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from chronos.console import ChronosError
from chronos.data.dice import Dice
from chronos.data.documents import Document
from chronos.data.lives import Event, Question, as_document

SPLITS = ("train", "val", "test")
IGNORED = -100  # the label of a position that no loss and no score looks at

# No letter that makes a two-syllable word of an unpleasant kind likely; every syllable sounds different.
_CONSONANTS, _VOWELS = "bdgklmnrstv", "aeiou"
_SYLLABLES = tuple(consonant + vowel for consonant in _CONSONANTS for vowel in _VOWELS)
_STRIDE = 1597  # shares no factor with 55, so a step of it visits every word; neighbours look different


@dataclass(frozen=True)
class Example:
    """A short life and its questions; `inputs` and `labels` (T,) int32 are the same thing as tokens."""

    events: list[Event]
    questions: list[Question]
    inputs: np.ndarray | None = None
    labels: np.ndarray | None = None

    def document(self, source: str) -> Document:
        """The example as text of which only the answers are trained."""
        return as_document(self.events, self.questions, source)


def all_dice(task: str, seed: int, split: str, n: int) -> Iterator[tuple[int, Dice]]:
    """For each of n examples its life's number, from 1, and dice of its own, shared with no other split.

    A longer run begins like a shorter one. Raises ChronosError for another split.
    """
    require(split in SPLITS, "no such split", expected=", ".join(SPLITS), got=repr(split))
    kind = int.from_bytes(task.encode(), "big")
    return ((i + 1, Dice(kind, SPLITS.index(split), seed, i)) for i in range(n))


def require(condition: bool, what: str, **told: object) -> None:
    """ChronosError unless the condition holds."""
    if not condition:
        raise ChronosError(what, **told)


def word(number: int) -> str:
    """A made-up word, another for each number ≥ 0, the same everywhere: baba, mubi, biba, nebi …

    Two syllables for the first 55² numbers, then three, and so on.
    """
    syllables, first = 2, 0
    while number - first >= len(_SYLLABLES) ** syllables:
        first += len(_SYLLABLES) ** syllables
        syllables += 1
    rest, spelled = (number - first) * _STRIDE % len(_SYLLABLES) ** syllables, ""
    for _ in range(syllables):
        rest, digit = divmod(rest, len(_SYLLABLES))
        spelled = _SYLLABLES[digit] + spelled
    return spelled
