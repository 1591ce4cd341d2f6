"""Copying: some words are to be kept among much that is not, and said again in order at the end.

Selective copying of Gu and Dao (2023), "Mamba" (the words are scattered), and plain copying (they come
first). It trains nothing. Try `chronos data recall --task copying --n 3 --out-dir DIR`.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from chronos.data import wording
from chronos.data.dice import Dice
from chronos.data.lives import Event, Question
from chronos.data.tasks.example import IGNORED, Example, all_dice, require, word

BLANK = 0
SIGHTS = tuple(
    sight for _, sights, _ in wording.DAYS for sight in sights
)  # in a life, what is not to be kept


@dataclass(frozen=True)
class Options:
    """The layout, T = `noise` + 2·`tokens`.

    The first `noise` + `tokens` positions hold the tokens to copy, each one of 1 … `vocabulary` − 2 and with
    `selective` at random places, else at the beginning; all else is 0. Then `tokens` times the marker
    `vocabulary` − 1, whose labels are the tokens in order; all other labels are −100.
    """

    tokens: int = 8
    noise: int = 48
    vocabulary: int = 16
    selective: bool = True

    def __post_init__(self) -> None:
        require(self.tokens >= 1, "tokens must be at least 1", got=self.tokens)
        require(self.noise >= 0, "noise cannot be negative", got=self.noise)
        require(self.vocabulary >= 4, "vocabulary must be at least 4", got=self.vocabulary)


def examples(n: int | None, seed: int, split: str, options: Options) -> Iterator[Example]:
    """n examples (1000), each a life with its token arrays.

    In the life a token is "Remember WORD.", a blank some sight of the day, and times are positions. At each
    marker one word is asked for by its number (kind nth), at the last also all of them (kind order, whose
    age is that of the first).
    """
    for life, dice in all_dice("copying", seed, split, 1000 if n is None else n):
        yield _example(dice, options, life)


def _example(dice: Dice, o: Options, life: int) -> Example:
    body = o.noise + o.tokens
    places = sorted(dice.sample(range(body), o.tokens)) if o.selective else list(range(o.tokens))
    tokens = [dice.between(1, o.vocabulary - 2) for _ in places]
    inputs = np.full(body + o.tokens, BLANK, np.int32)
    inputs[places], inputs[body:] = tokens, o.vocabulary - 1
    labels = np.full(len(inputs), IGNORED, np.int32)
    labels[body:] = tokens
    kept = dict(zip(places, tokens))
    events = [
        Event(t, f"Remember {word(kept[t])}." if t in kept else dice.pick(SIGHTS), life=life)
        for t in range(body)
    ]
    questions = []
    for i, (place, token) in enumerate(kept.items()):
        ask, t = f"What was word number {i + 1} to remember?", body + i
        counted = tuple(places[: i + 1])  # the words before it are needed for its number
        questions.append(Question(ask, word(token), "nth", t, t - place, 0, counted, (), life))
    ask, answer = "What were the words to remember, in order?", " ".join(map(word, tokens))
    last, evidence = body + o.tokens - 1, tuple(places)
    questions.append(Question(ask, answer, "order", last, last - places[0], 0, evidence, (), life))
    return Example(events, questions, inputs, labels)
