"""Needle in a haystack: a few numbers hidden at known depths of a long text, among others of their kind.

After Kamradt (2023) and RULER (Hsieh et al., 2024). The hay is the stories or a text of your own; lengths
count sentences, not tokens. Try `chronos data recall --task needle --n 1 lengths=20 --out-dir DIR`.
"""

import itertools
import math
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from chronos.data.dice import Dice
from chronos.data.documents import read_documents
from chronos.data.lives import Event, Question
from chronos.data.stories import tales
from chronos.data.tasks.example import Example, all_dice, require

ADJECTIVES = ("amber", "brave", "calm", "dusty", "eager", "faint", "gentle", "hollow", "ivory", "jolly")
ADJECTIVES += ("keen", "loud", "mellow", "narrow", "old", "polite", "quiet", "rusty", "silent", "tidy")
NOUNS = ("anchor", "bottle", "camel", "drawer", "engine", "falcon", "guitar", "hammer", "island", "jacket")
NOUNS += ("kettle", "ladder", "mirror", "needle", "oven", "pillow", "quarry", "ribbon", "saddle", "tower")
UNKNOWN = "I don't know"

_SENTENCE = re.compile(r"""\S.*?(?:[.!?…؟]["”’)]*(?=\s+(?![a-z])|\s*$)|$)""", re.DOTALL)


@dataclass(frozen=True)
class Options:
    """The grid: life i is cell i of `lengths` × `depths`, over and over.

    A life is `length` sentences of hay and the needles between them. `needles` are asked for: the first at
    `depth` % of the hay, the others evenly from there to its end. `distractors` stand anywhere, name other
    things (some share a word with an asked one) and are not asked for; `unknown` questions ask for things
    that no needle names, and the answer is "I don't know". `text`: a file or folder in place of the stories.
    """

    lengths: tuple[int, ...] = (16, 64, 256)
    depths: tuple[int, ...] = (0, 25, 50, 75, 100)
    needles: int = 1
    distractors: int = 3
    unknown: int = 0
    text: str = ""

    def __post_init__(self) -> None:
        require(bool(self.lengths) and min(self.lengths) >= 1, "lengths must be at least 1", got=self.lengths)
        good = bool(self.depths) and min(self.depths) >= 0 and max(self.depths) <= 100
        require(good, "depths must lie between 0 and 100", got=self.depths)
        require(self.needles >= 1, "needles must be at least 1", got=self.needles)
        require(min(self.distractors, self.unknown) >= 0, "distractors and unknown cannot be negative")
        most = len(ADJECTIVES) * len(NOUNS)
        things = self.needles + self.distractors + self.unknown
        require(things <= most, "too many things", expected=f"at most {most} in all", got=things)


def examples(n: int | None, seed: int, split: str, options: Options) -> Iterator[Example]:
    """n examples (10 for each cell), lives without arrays; the kind of a question names its cell."""
    cells = list(itertools.product(options.lengths, options.depths))
    own = _sentences_of(options) if options.text else None
    for life, dice in all_dice("needle", seed, split, 10 * len(cells) if n is None else n):
        length, depth = cells[(life - 1) % len(cells)]
        yield _example(dice, options, length, depth, own, life)


def _sentences_of(o: Options) -> list[str]:
    """A person's text, sentence by sentence; held in memory."""
    own = [sentence for document in read_documents(o.text) for sentence in sentences(document.text)]
    got, longest = f"{len(own)} sentences", max(o.lengths)
    mend = "give more text or smaller lengths"
    require(len(own) >= longest, "the text is too short", where=o.text, expected=longest, got=got, mend=mend)
    return own


def sentences(text: str) -> Iterator[str]:
    """The sentences of each paragraph, white space made single; good enough for hay."""
    for paragraph in re.split(r"\n\s*\n", text):
        for found in _SENTENCE.finditer(paragraph):
            if sentence := " ".join(found[0].split()):
                yield sentence


def _hay(dice: Dice, length: int, own: list[str] | None) -> Iterator[str]:
    if own:
        start = dice.below(len(own) - length + 1)
        return iter(own[start : start + length])
    told = (tale.body for tale in tales(length, dice.below(1 << 62)))  # at least a sentence each
    return itertools.islice(itertools.chain.from_iterable(map(sentences, told)), length)


def _example(dice: Dice, o: Options, length: int, depth: int, own: list[str] | None, life: int) -> Example:
    things = _things(dice, o.needles + o.distractors + o.unknown)
    numbers = _numbers(dice, o.needles + o.distractors)
    hidden = defaultdict(list)  # number of sentences before it -> needles
    for i in range(o.needles):
        hidden[length * (depth * (o.needles - i) + 100 * i) // (100 * o.needles)].append(i)
    for i in range(o.needles, len(numbers)):
        hidden[dice.between(0, length)].append(i)
    events, told = [], {}
    for before, straw in enumerate([*_hay(dice, length, own), ""]):
        for i in hidden[before]:
            told[i] = len(events) + 1
            events.append(Event(told[i], f"The number of the {things[i]} is {numbers[i]}.", life=life))
        if straw:
            events.append(Event(len(events) + 1, straw, life=life))
    now, kind = len(events) + 1, f"length {length} depth {depth}"
    asked = [(things[i], str(numbers[i]), kind, told[i]) for i in range(o.needles)]
    asked += [(thing, UNKNOWN, "unknown", 0) for thing in things[len(numbers) :]]
    questions = [
        Question(f"What is the number of the {thing}?", answer, kind, now, now - at if at else 0, 0,
                 (at,) if at else (), (), life)
        for thing, answer, kind, at in asked
    ]  # fmt: skip
    return Example(events, questions)


def _things(dice: Dice, n: int) -> list[str]:
    """n different things from few words, so that many share an adjective or a noun."""
    across = min(len(ADJECTIVES), math.isqrt(n) + 1)
    down = min(len(NOUNS), -(-n // across))
    adjectives, nouns = dice.sample(ADJECTIVES, across), dice.sample(NOUNS, down)
    return dice.sample([f"{adjective} {noun}" for adjective in adjectives for noun in nouns], n)


def _numbers(dice: Dice, n: int) -> list[int]:
    """n different numbers of seven digits."""
    numbers: dict[int, None] = {}
    while len(numbers) < n:
        numbers[dice.between(1_000_000, 9_999_999)] = None
    return list(numbers)
