"""Which tokens a step sees: a shuffled walk over windows whose position is one integer, the cursor.

Each epoch visits every window once, in a permutation that is computed, not stored (a Feistel network), from
a fresh phase; so resuming at sample 10⁹ costs what resuming at 0 costs.
"""

import hashlib

import numpy as np

from chronos.console import ChronosError
from chronos.tokenization.shards import TokenShards

ROUNDS = 4


def permute(index: np.ndarray, n: int, key: int) -> np.ndarray:
    """A pseudo-random permutation of 0 … n−1, applied to `index`; the inverse is never needed.

    Feistel rounds on 2·b bits (Luby & Rackoff 1988); values beyond n walk on until they fall inside.
    """
    half = max(1, ((n - 1).bit_length() + 1) // 2)
    mask = np.uint64((1 << half) - 1)
    value = np.asarray(index).astype(np.uint64)
    outside = np.ones(value.shape, bool)
    while outside.any():
        left, right = value >> np.uint64(half), value & mask
        for turn in range(ROUNDS):
            left, right = right, left ^ (_mix(right, key + turn) & mask)
        value = np.where(outside, left << np.uint64(half) | right, value)
        outside = value >= np.uint64(n)
    return value.astype(np.int64)


def _mix(x: np.ndarray, key: int) -> np.ndarray:
    """SplitMix64's finalizer."""
    x = x + np.uint64((key * 0x9E3779B97F4A7C15 + 0x9E3779B97F4A7C15) % 2**64)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


class Windows:
    """Training windows of `context` + 1 tokens over memory-mapped shards."""

    def __init__(self, shards: TokenShards, context: int, seed: int):
        last = len(shards) - 1  # the last token is only ever a target
        if last < context:
            mend = f"give more text or set model.context to {max(1, last)} or less"
            raise ChronosError(
                "the text is shorter than the context",
                expected=f"{context + 1} tokens",
                got=len(shards),
                mend=mend,
            )
        self.shards, self.context, self.seed = shards, context, seed
        self.per_epoch = max(1, (last - (context - 1)) // context)
        self.spare = last - self.per_epoch * context  # room for the phase

    def batch(self, cursor: int, size: int) -> tuple[np.ndarray, np.ndarray]:
        """Samples cursor … cursor + size − 1 as tokens and targets, both (size, context) int64.

        Targets that are marked as untrained are −1.
        """
        samples = np.arange(cursor, cursor + size)
        tokens = np.empty((size, self.context), np.int64)
        targets = np.empty_like(tokens)
        for epoch in np.unique(samples // self.per_epoch):
            here = np.flatnonzero(samples // self.per_epoch == epoch)
            phase, key = self._epoch(int(epoch))
            windows = permute(samples[here] % self.per_epoch, self.per_epoch, key)
            for row, window in zip(here, windows):
                pair = self.shards.pairs(phase + int(window) * self.context, self.context)
                tokens[row], targets[row] = pair
        return tokens, targets

    def _epoch(self, epoch: int) -> tuple[int, int]:
        digest = hashlib.blake2b(f"{self.seed}/{epoch}".encode(), digest_size=16).digest()
        return int.from_bytes(digest[:8], "little") % (self.spare + 1), int.from_bytes(digest[8:], "little")
