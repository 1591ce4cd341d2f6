"""Several sources in one corpus, by weight: 40% books, 30% encyclopaedia, 20% science, 10% news.

It only decides whose turn it is; the rows come from elsewhere, in their own order. No randomness.
Used by `chronos.data.corpus.assembling`.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeVar

from chronos.console import ChronosError

Item = TypeVar("Item")


@dataclass(frozen=True)
class Source:
    """Where text comes from ("stories", "python-docs" or a path), its share of the mix, and its name."""

    path: str
    weight: float = 1.0
    name: str = ""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.weight) and self.weight > 0):
            raise ChronosError("the weight of a source must be positive", where=self.path, got=self.weight)

    @property
    def label(self) -> str:
        """Its name, else its path."""
        return self.name or str(self.path)


def parse_source(text: str) -> Source:
    """A source as the command line gives it: [NAME=]PATH[:WEIGHT], such as books=gutenberg/:40."""
    name, equals, rest = text.partition("=")
    path, colon, weight = (rest if equals else text).rpartition(":")
    try:
        share = float(weight) if colon else 1.0
    except ValueError:  # a colon of the path's own
        path, colon, share = "", "", 1.0
    path = path if colon else rest if equals else text
    if not path:
        raise ChronosError("a source needs a path", expected="[NAME=]PATH[:WEIGHT]", got=repr(text))
    return Source(path, share, name if equals else "")


def units(weights: Sequence[float]) -> list[int]:
    """Whole numbers in inverse proportion to the weights (read as decimals), so that no rounding decides."""
    exact = [Fraction(str(weight)) for weight in weights]
    scale = math.lcm(*(weight.denominator for weight in exact))
    whole = [int(weight * scale) for weight in exact]
    return [math.lcm(*whole) // weight for weight in whole]


def mixed(
    readers: Sequence[Callable[[], Iterator[tuple[int, Item]]]], weights: Sequence[float], epochs: int = 1
) -> Iterator[tuple[int, int, Item]]:
    """Interleave sources: yields (number of the source, size, item), until one runs out.

    `readers[i]()` starts source i from its beginning and yields (size, item). Next is always the source with
    the least size so far in proportion to its weight, the first of several: so every stretch of the result
    has the mix, as nearly as whole items can. A source that ends is read again, `epochs` times in all; the
    mix ends when it is the turn of a source that is used up.
    """
    unit = units(weights)
    taken = [0] * len(unit)
    passes = [1] * len(unit)
    sources = [read() for read in readers]
    while True:
        turn = min(range(len(unit)), key=lambda i: taken[i] * unit[i])
        following = next(sources[turn], None)
        if following is None and passes[turn] < epochs:
            passes[turn] += 1
            sources[turn] = readers[turn]()
            following = next(sources[turn], None)
        if following is None:
            return
        size, item = following
        taken[turn] += size
        yield turn, size, item
