"""Questions as the recall model gets them: words, and the times that stand in these words.

Every reading of every number is a candidate; how many events lie before each, the memory tells. It answers
nothing.
"""

from collections.abc import Callable, Sequence

import numpy as np

from chronos.memory.recall.packing import Times
from chronos.tokenization.clock import Clock
from chronos.tokenization.times import READINGS, candidates
from chronos.tokenization.units import split

Cuts = Callable[[np.ndarray], np.ndarray]  # times in microseconds → how many events lie at or before each
READING = {name: i for i, name in enumerate(READINGS)}


def times_of(questions: Sequence[tuple[str, Clock, Cuts]]) -> Times:
    """Candidates of questions, each with its clock and what tells how many events lie at or before a time.

    What is no time, or lies in the future, is no candidate.
    """
    rows = []
    for text, clock, cuts in questions:
        found = [(one, clock.until(one)) for one in candidates(split(text))]
        known = [(one, until) for one, until in found if until is not None]
        untils = np.array([until for _, until in known], np.int64)
        rows.append([(one.at, READING[one.reading]) for one, _ in known] + [cuts(untils), untils])
    C = max((len(row) - 2 for row in rows), default=0)
    out = np.zeros((4, len(rows), C), np.int64)
    for i, (*ones, cuts_, untils) in enumerate(rows):
        out[:2, i, : len(ones)] = np.array(ones).T
        out[2:, i, : len(ones)] = cuts_, untils
    valid = np.arange(C) < np.array([len(row) - 2 for row in rows])[:, None]
    return Times(*out, valid)
