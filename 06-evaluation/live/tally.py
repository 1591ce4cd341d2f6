"""Answers counted by everything that a report can ask about, in one pass: seed, size, kind, age, overwrites.

Counts only; what they mean is said in `content.py`. A few thousand cells, whatever the number of answers.
"""

from array import array
from collections import defaultdict
from itertools import pairwise
from typing import Any

from chronos.evaluation.live.interval import estimate
from chronos.evaluation.live.rows import Answer

UNKNOWN = "unknown"  # the kind that an empty memory answers for free
AGES = (0, 10, 100, 1_000, 10_000, 100_000)  # where an age bucket begins, in steps
OVERWRITES = (0, 1, 2, 4, 10, 100)
WRONG = 30  # mistakes that are kept word by word
FIELDS = ("condition", "seed", "events", "kind", "age", "overwrites", "language")


def bucket(value: int, edges: tuple[int, ...]) -> int:
    """The place of the bucket that a value falls into; below the first edge is the first bucket."""
    return max(sum(value >= edge for edge in edges) - 1, 0)


def bucket_names(edges: tuple[int, ...]) -> list[str]:
    """The buckets as they are told: 0, 1, 2–3, …, 100 and more."""
    names = [f"{low:,}" if high == low + 1 else f"{low:,}–{high - 1:,}" for low, high in pairwise(edges)]
    return [*names, f"{edges[-1]:,} and more"]


class Tally:
    """`add` every answer, then ask for groups."""

    def __init__(self) -> None:
        self.cells: dict[tuple[Any, ...], list[int]] = defaultdict(lambda: [0, 0])  # FIELDS → [right, n]
        self.ms: dict[tuple[str, int], array[float]] = defaultdict(lambda: array("d"))
        self.wrong: dict[int, list[Answer]] = defaultdict(list)  # with the memory on, by number of events
        self.lives: set[int] = set()

    def add(self, answer: Answer) -> None:
        """Count one answer."""
        age, overwrites = bucket(answer.age, AGES), bucket(answer.overwrites, OVERWRITES)
        key = (answer.condition, answer.seed, answer.events, answer.kind, age, overwrites, answer.language)
        cell = self.cells[key]
        cell[0] += answer.right
        cell[1] += 1
        self.ms[answer.condition, answer.events].append(answer.ms)
        self.lives.add(answer.life)
        if answer.condition == "on" and not answer.right and len(self.wrong[answer.events]) < WRONG:
            self.wrong[answer.events].append(answer)

    def values(self, field: str) -> list[Any]:
        """The values of a field that occur, sorted."""
        return sorted({cell[FIELDS.index(field)] for cell in self.cells})

    def groups(
        self, *names: str, unknown: bool = True, **where: Any
    ) -> dict[tuple[Any, ...], dict[str, Any]]:
        """Values of the named fields → estimate (interval.py), over the answers that have `where`'s values.

        Without `unknown`, questions of that kind are left out.
        """
        places = [FIELDS.index(name) for name in names]
        wanted = [(FIELDS.index(name), value) for name, value in where.items()]
        found: dict[tuple[Any, ...], dict[int, list[int]]] = defaultdict(lambda: defaultdict(lambda: [0, 0]))
        for key, (right, n) in self.cells.items():
            if all(key[place] == value for place, value in wanted) and (unknown or key[3] != UNKNOWN):
                counts = found[tuple(key[place] for place in places)][key[1]]
                counts[0] += right
                counts[1] += n
        return {
            group: estimate({seed: (right, n) for seed, (right, n) in sorted(seeds.items())})
            for group, seeds in sorted(found.items())
        }
