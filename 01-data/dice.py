"""A small random number generator whose every draw is the same on all platforms and Pythons, for ever.

SplitMix64 over a counter: a key and a position give the number. Not for secrets. Used by the generators.
"""

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")

_MASK = (1 << 64) - 1
_STEP = 0x9E3779B97F4A7C15


def mix(value: int) -> int:
    """The finalizer of SplitMix64 (Steele, Lea, Flood 2014): 64 bits to 64 well stirred bits."""
    value &= _MASK
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK
    return value ^ (value >> 31)


class Dice:
    """An independent stream for each key: `Dice(seed, index)` does not depend on other streams."""

    def __init__(self, *key: int):
        self.state = 0
        for part in key:
            self.state = mix((self.state ^ part) + _STEP)

    def below(self, n: int) -> int:
        """An integer of 0 … n−1 (its bias, n/2⁶⁴, is beyond notice)."""
        self.state = (self.state + _STEP) & _MASK
        return (mix(self.state) * n) >> 64

    def between(self, low: int, high: int) -> int:
        """An integer of low … high, both included."""
        return low + self.below(high - low + 1)

    def chance(self, percent: int) -> bool:
        """True in `percent` of 100 draws."""
        return self.below(100) < percent

    def pick(self, items: Sequence[T]) -> T:
        """One of the items."""
        return items[self.below(len(items))]

    def sample(self, items: Sequence[T], n: int) -> list[T]:
        """n different items, in random order."""
        pool = list(items)
        for i in range(n):
            j = i + self.below(len(pool) - i)
            pool[i], pool[j] = pool[j], pool[i]
        return pool[:n]
