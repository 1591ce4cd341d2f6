"""MinHash: short signatures whose agreement estimates how much two texts share, and bands that find pairs.

It compares no texts with each other; `chronos.data.corpus.duplicates` does, over the files of a corpus.
Broder 1997 (resemblance), Leskovec, Rajaraman, Ullman, "Mining of Massive Datasets", ch. 3 (banding).
"""

import re
import zlib
from collections.abc import Sequence

import numpy as np

from chronos.data.dice import mix

GRAM = 5  # words in a shingle
PERMUTATIONS = 128
RECALL = 0.99  # of pairs exactly at the threshold, by the banding formula

_WORD = re.compile(r"\w+")
_ASCII_WORDS = bytes(c if chr(c).isalnum() or c == ord("_") else ord(" ") for c in range(128)) + bytes(128)
_CHUNK = 2048  # shingles permuted at a time: (128, 2048) uint32 stay in the cache
_CACHE = 1 << 17  # words whose hash is remembered

# Multipliers of the word hashes in a shingle, then the odd a of each permutation h -> a h mod 2^32. (An
# offset + b, as textbooks have it, changes nothing measurable: the h are well stirred already.)
_PLACES = np.array([mix(i) | 1 for i in range(GRAM)], np.uint64)
_A = np.array([mix(1000 + i) >> 32 | 1 for i in range(PERMUTATIONS)], np.uint32)[:, None]


def banding(similarity: float) -> tuple[int, int]:
    """(bands b, rows r) with b r ≤ 128: the most rows with which a pair of this similarity is still found.

    A band of r minima agrees with probability s^r, so a pair of Jaccard similarity s shares at least one of
    b bands with probability 1 − (1 − s^r)^b. Taken is the largest r for which that is ≥ 0.99 at the
    threshold; more rows make fewer false candidates.
    """
    fitting = [r for r in range(1, 33) if found(similarity, PERMUTATIONS // r, r) >= RECALL]
    rows = max(fitting, default=1)
    return PERMUTATIONS // rows, rows


def found(s: float, bands: int, rows: int) -> float:
    """1 − (1 − s^r)^b: how probably a pair of Jaccard similarity s becomes a candidate."""
    return 1 - (1 - s**rows) ** bands


def words(text: str) -> list[bytes]:
    """The words that are compared: runs of letters, digits and _, case folded, as UTF-8."""
    text = text.casefold()
    if text.isascii():  # the same, four times as fast
        return text.encode("ascii").translate(_ASCII_WORDS).split()
    return [word.encode("utf-8") for word in _WORD.findall(text)]


class _Hashes(dict):
    """word -> 32 bits, computed once as long as it is remembered."""

    def __missing__(self, word: bytes) -> int:
        value = self[word] = zlib.crc32(word)
        return value


class Signer:
    """`sign(text)` gives the (128,) uint16 signature and `bands(signatures)` the keys that pairs share.

    The set of a text is that of its word 5-grams (a shorter text is one shingle; one without words has
    none). Each shingle is hashed to 32 bits and each of 128 permutations keeps its minimum over the set;
    two texts agree in a minimum with the probability of their Jaccard similarity. Of each minimum the low
    16 bits are kept, which adds 2^-16 to that.
    """

    def __init__(self) -> None:
        self.hashes = _Hashes()

    def sign(self, text: str) -> np.ndarray:
        """The signature, (128,) uint16; for a text without words all zeros, which no band key will hold."""
        minima = np.full((PERMUTATIONS, 1), 0xFFFFFFFF, np.uint32)
        shingles = self.shingles(text)
        for start in range(0, len(shingles), _CHUNK):
            permuted = _A * shingles[None, start : start + _CHUNK]
            np.minimum(minima, permuted.min(axis=1, keepdims=True), out=minima)
        return (minima[:, 0] & 0xFFFF).astype(np.uint16) if len(shingles) else np.zeros(128, np.uint16)

    def shingles(self, text: str) -> np.ndarray:
        """The hashes of a text's word 5-grams, (n,) uint32, in order and with repetitions."""
        found = words(text)
        if not found:
            return np.empty(0, np.uint32)
        if len(self.hashes) > _CACHE:
            self.hashes.clear()
        hashes = np.fromiter(map(self.hashes.__getitem__, found), np.uint64, len(found))
        count = max(len(hashes) - GRAM + 1, 1)
        sums = np.zeros(count, np.uint64)
        for place, weight in enumerate(_PLACES[: len(hashes)]):
            part = hashes[place : place + count]
            sums += (part + np.uint64(0x9E3779B97F4A7C15)) * weight
        return _stirred(sums)


def _stirred(values: np.ndarray) -> np.ndarray:
    """The finalizer of SplitMix64, folded to 32 bits."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (values >> np.uint64(32)).astype(np.uint32)


def bands(signatures: np.ndarray, similarity: float) -> np.ndarray:
    """The key of each band of each text: (n, 128) uint16 -> (b, n) uint64; 0 for a text without words."""
    count, rows = banding(similarity)
    keys = np.zeros((count, len(signatures)), np.uint64)
    for band in range(count):
        for row in range(band * rows, (band + 1) * rows):
            keys[band] = (keys[band] ^ signatures[:, row]) * np.uint64(0xBF58476D1CE4E5B9)
            keys[band] ^= keys[band] >> np.uint64(29)
    keys |= np.uint64(1)
    keys[:, ~signatures.any(axis=1)] = 0
    return keys


def estimate(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """The share of minima in which (…, 128) signatures agree: Jaccard's index within √(s(1−s)/128)."""
    return (left == right).mean(axis=-1)


def jaccard(left: Sequence[bytes], right: Sequence[bytes]) -> float:
    """What is estimated, by its definition: |A ∩ B| / |A ∪ B| of the word 5-grams of two texts' words."""
    one, other = (
        {tuple(side[i : i + GRAM]) for i in range(max(len(side) - GRAM + 1, 1))} for side in (left, right)
    )
    return len(one & other) / len(one | other)
