"""Which rows of a corpus are the same as an earlier one, or nearly: sorting keys, never comparing all pairs.

It decides by the keys and signatures that the blocks hold and reads no text. Memory: a few bytes a row.
Used by `chronos.data.corpus.assembling`.
"""

import contextlib
import mmap
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from chronos.data.corpus import near
from chronos.data.corpus.records import Made

PART = 1 << 21  # keys that are sorted at a time
PAIRS = 1 << 15  # pairs of signatures compared at a time


def exact(made: Made) -> np.ndarray:
    """(n,) bool: rows that are the same as an earlier one but for case and white space.

    By 64 bits of SHA-256: among N different texts the chance of taking any two for the same is N²/2⁶⁵, one
    in four million for three million texts.
    """
    repeated = np.zeros(sum(made.counts), bool)
    for keys, rows in _parts(made, "exact"):
        order = np.lexsort((rows, keys))
        keys, rows = keys[order], rows[order]
        repeated[rows[1:][keys[1:] == keys[:-1]]] = True
    return repeated


def nearly(made: Made, similarity: float, scratch: Path, alive: np.ndarray) -> np.ndarray:
    """(n,) bool: rows that are near-duplicates of an earlier one, directly or over others between.

    Candidates are rows among those `alive` that share a band key (near.py has the formula); each is compared
    with the first and with the previous row of its key, so that a key of k rows costs 2k comparisons and
    not k². A pair counts if its signatures agree in a share of at least `similarity`. `scratch` is the path
    of a file that is written on the way.
    """
    label = np.arange(len(alive), dtype=np.int32 if len(alive) < 2**31 else np.int64)
    with _signatures(made, scratch) as signatures:
        for band in range(near.banding(similarity)[0]):
            for keys, rows in _parts(made, f"band{band}"):
                chosen = alive[rows] & (keys != 0)
                for left, right in _candidates(keys[chosen], rows[chosen]):
                    _unite(label, left, right, signatures, similarity)
    return label != np.arange(len(label))


def _parts(made: Made, name: str) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """All keys of a kind and the rows that they belong to, in parts: equal keys come in the same part."""
    parts = -(-sum(made.counts) // PART)
    starts = made.starts()
    for part in range(parts):
        keys, rows = [], []
        for block in range(len(made.counts)):
            found = made.load(block, name)
            mine = np.flatnonzero((found >> np.uint64(32)) % np.uint64(parts) == part)
            keys.append(found[mine])
            rows.append(mine + starts[block])
        yield np.concatenate(keys), np.concatenate(rows)


def _candidates(keys: np.ndarray, rows: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pairs (earlier, later) of rows with the same key: each row with the one before and with the first."""
    order = np.lexsort((rows, keys))
    keys, rows = keys[order], rows[order]
    same = np.flatnonzero(keys[1:] == keys[:-1]) + 1
    yield rows[same - 1], rows[same]
    opens = np.ones(len(keys), bool)
    opens[same] = False
    first = np.maximum.accumulate(np.where(opens, np.arange(len(keys)), 0))
    far = same[first[same] != same - 1]
    yield rows[first[far]], rows[far]


def _unite(
    label: np.ndarray, left: np.ndarray, right: np.ndarray, signatures: "_Signatures", similarity: float
) -> None:
    """Give the rows of each pair that is similar enough the same label: their earliest row."""
    for start in range(0, len(left), PAIRS):
        one, other = left[start : start + PAIRS], right[start : start + PAIRS]
        apart = np.array([_root(label, i) != _root(label, j) for i, j in zip(one.tolist(), other.tolist())])
        if not apart.any():
            continue
        one, other = one[apart], other[apart]
        similar = near.estimate(signatures.of(one), signatures.of(other)) >= similarity
        for i, j in zip(one[similar].tolist(), other[similar].tolist()):
            low, high = sorted((_root(label, i), _root(label, j)))
            label[high] = low


def _root(label: np.ndarray, row: int) -> int:
    while (above := int(label[row])) != row:
        label[row] = label[above]
        row = above
    return row


class _Signatures:
    """The signatures of all rows in a file; what was read of it does not stay in memory."""

    def __init__(self, mapped: mmap.mmap):
        self.mapped = mapped
        self.rows = np.frombuffer(mapped, np.uint16).reshape(-1, near.PERMUTATIONS)

    def of(self, rows: np.ndarray) -> np.ndarray:
        """(k, 128), a copy."""
        found = self.rows[rows]
        if hasattr(mmap, "MADV_DONTNEED"):
            self.mapped.madvise(mmap.MADV_DONTNEED)
        return found


@contextlib.contextmanager
def _signatures(made: Made, path: Path) -> Iterator[_Signatures]:
    with open(path, "wb") as out:
        for block in range(len(made.counts)):
            out.write(made.load(block, "signatures").tobytes())
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        held = _Signatures(mapped)
        try:
            yield held
        finally:
            del held.rows  # or the file could not be closed
    path.unlink()
