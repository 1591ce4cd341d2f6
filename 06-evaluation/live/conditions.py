"""The conditions under which a life's questions are asked: what of the memory is there, what of it is used.

Names, their order, and how a model is switched. It asks nothing; `interview.py` does.
"""

import numpy as np

from chronos.console import UsageError
from chronos.data.dice import Dice
from chronos.evaluation.live.readers import READERS
from chronos.memory.recall import Without
from chronos.settings import did_you_mean

ON, RESET, SHUFFLED, OTHER, AS_OF = "on", "reset", "shuffled", "another life", "as-of off"
WITHOUT = {
    ON: Without(),
    "off": Without(memory=True),
    RESET: Without(),  # the model and the questions are whole, the store is empty
    SHUFFLED: Without(),  # and the words of its events, which only a store knows: `switched`
    OTHER: Without(),  # as are those of another life, in its own store
    "hop 2 off": Without(later_hops=True),
    AS_OF: Without(as_of=True),
}
ALL = (*WITHOUT, *READERS)
MAIN = (ON, "off", *READERS)  # does the memory make the difference?


def chosen(words: str) -> tuple[str, ...]:
    """Names between commas, "all" or "main" → conditions in their order; "on" is always one of them.

    UsageError for a name that there is not.
    """
    named = {"all": ALL, "main": MAIN}.get(words.strip()) or [word.strip() for word in words.split(",")]
    for name in named:
        if name not in ALL:
            mend = did_you_mean(name, ("all", "main", *ALL))
            raise UsageError(f"no such condition {name!r}", where="--conditions", mend=mend)
    return tuple(name for name in ALL if name == ON or name in named)


def switched(condition: str, events: int, key: int) -> Without:
    """How a model is asked whose store holds so many events; `key` gives the order of "shuffled"."""
    return Without(shuffled=shuffled(events, key)) if condition == SHUFFLED else WITHOUT[condition]


def shuffled(n: int, key: int) -> np.ndarray:
    """Which event's words stand for each of n (n,) int64: one after another in one great circle.

    So each stands in for exactly one, and, of two or more, none for itself.
    """
    order = np.array(Dice(key, n).sample(range(n), n), np.int64)
    found = np.empty(n, np.int64)
    found[order] = np.roll(order, 1)
    return found
