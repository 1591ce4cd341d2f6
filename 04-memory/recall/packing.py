"""Events and questions as flat arrays: what a recall model computes on, without padding.

Pure functions from ids to index arrays. Where ids and times come from, stages 03 and 05 know.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True)
class Ragged:
    """Rows of different lengths, one after the other: values (n,) and where each row ends, (S,) int64."""

    values: np.ndarray
    ends: np.ndarray

    @cached_property
    def lengths(self) -> np.ndarray:
        """(S,): how long each row is."""
        lengths = self.ends.copy()
        lengths[1:] -= self.ends[:-1]
        return lengths

    @cached_property
    def starts(self) -> np.ndarray:
        """(S,): where each row begins."""
        return self.ends - self.lengths

    def rows(self) -> np.ndarray:
        """(n,): the row that each value belongs to."""
        return np.repeat(np.arange(len(self.ends)), self.lengths)

    def offsets(self) -> np.ndarray:
        """(n,): the place of each value within its row."""
        return np.arange(len(self.values)) - np.repeat(self.starts, self.lengths)

    def take(self, rows: np.ndarray) -> "Ragged":
        """Some rows (R,), in that order, some perhaps twice."""
        index, ends = interleave((self.starts[rows], self.lengths[rows]))
        return Ragged(self.values[index], ends)

    def padded(self, width: int, fill: int = -1) -> np.ndarray:
        """(S, width): rows cut or filled up."""
        out = np.full((len(self.ends), width), fill, self.values.dtype)
        row, at = self.rows(), self.offsets()
        there = at < width
        out[row[there], at[there]] = self.values[there]
        return out


def ragged(rows: Sequence[np.ndarray]) -> Ragged:
    """Rows joined; int64."""
    ends = np.cumsum([len(row) for row in rows], dtype=np.int64)
    return Ragged(np.concatenate(rows).astype(np.int64) if len(rows) else np.zeros(0, np.int64), ends)


@dataclass(frozen=True)
class Events:
    """B lives of N events. sentences: U different ones; idx (B, N): which is whose; marks (B, N, M): ids in
    the time slots, −1 for none."""

    sentences: Ragged
    idx: np.ndarray
    marks: np.ndarray

    def slots(self, words: int) -> np.ndarray:
        """(B, N, words + M): the ids in every slot of every event, −1 for none."""
        return np.concatenate([self.sentences.padded(words)[self.idx], self.marks], axis=-1)


@dataclass(frozen=True)
class Times:
    """Candidates for the time that each of n questions asks about, padded to C a question.

    at (n, C): the token where a number ends, −1 for a reading that needs none; reading (n, C): which of
    `READINGS`; cuts (n, C): how many events lie at or before it; until (n, C): the last microsecond that it
    means; valid (n, C).
    """

    at: np.ndarray
    reading: np.ndarray
    cuts: np.ndarray
    until: np.ndarray
    valid: np.ndarray


@dataclass(frozen=True)
class Asked:
    """n = B·Q questions, Q for each life: their words, the times in them, and what is answered so far.

    answers: for each question the tokens that the answer consists of, <end> last (in training), or those
    given so far and one more that nobody looks at (when asked).
    """

    words: Ragged
    times: Times
    answers: Ragged

    @property
    def n(self) -> int:
        return len(self.words.ends)


def interleave(*parts: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Rows made of pieces: parts are (starts (S,), lengths (S,)) → index (total,) and ends (S,), int64.

    Row s is the piece of the first part for s, then that of the second, and so on.
    """
    lengths = sum(length for _, length in parts)
    ends = np.cumsum(lengths, dtype=np.int64)
    out = np.empty(int(ends[-1]) if len(ends) else 0, np.int64)
    at = ends - lengths
    for start, length in parts:
        within = np.arange(int(length.sum())) - np.repeat(np.cumsum(length) - length, length)
        out[np.repeat(at, length) + within] = np.repeat(start, length) + within
        at = at + length
    return out, ends
