"""What a loss has to beat: guesses that need no network, counted on the training tokens.

Uniform knows the vocabulary, unigram how often each token occurs, bigram which one follows which.
"""

import numpy as np

from chronos.evaluation.held_out import PIECE, count_tokens
from chronos.tokenization.shards import TokenShards

PAIRS = 1 << 24  # largest table of pairs: 4,096² counts, 64 MiB


def baselines(
    train: TokenShards, val: TokenShards, vocabulary: int, *, limit: int = 0
) -> dict[str, dict[str, float]]:
    """Name → {"nats_per_token", "bits_per_byte"} on the tokens that validation predicts (`limit` at most).

    - uniform: p(x) = 1/E
    - unigram: p(x) = (n(x) + 1) / (N + E), add-one, on training counts
    - bigram: p(x|a) = (n(a, x) + t(a)·p(x)) / (n(a) + t(a)) with t(a) different followers of a (Witten & Bell
      1991), p(x) the unigram; left out where E² is above PAIRS
    """
    counts = count_tokens(train, vocabulary)
    unigram = (counts + 1) / (counts.sum() + vocabulary)
    found = {"uniform": float(np.log(vocabulary)), "unigram": _unigram_nats(val, unigram, limit)}
    if vocabulary**2 <= PAIRS:
        found["bigram"] = _bigram_nats(train, val, unigram, limit)
    scale = float(val.trained_tokens / max(1, val.trained_bytes) / np.log(2))
    return {name: {"nats_per_token": nats, "bits_per_byte": nats * scale} for name, nats in found.items()}


def _unigram_nats(val: TokenShards, unigram: np.ndarray, limit: int) -> float:
    nats = -np.log(unigram)
    found = [(nats[targets].sum(), len(targets)) for _, targets in _pairs(val, limit)]
    total, n = (sum(part) for part in zip(*found))
    return float(total / max(1, n))


def _bigram_nats(train: TokenShards, val: TokenShards, unigram: np.ndarray, limit: int) -> float:
    E = len(unigram)
    table = np.zeros(E * E, np.uint32)
    for before, after in _pairs(train, 0):
        np.add.at(table, before * E + after, 1)
    total = table.reshape(E, E).sum(1, dtype=np.float64)
    followers = np.maximum(1, np.count_nonzero(table.reshape(E, E), axis=1))
    nats, n = 0.0, 0
    for before, after in _pairs(val, limit):
        weight = followers[before]
        p = (table[before * E + after] + weight * unigram[after]) / (total[before] + weight)
        nats -= float(np.log(p).sum())
        n += len(p)
    return nats / max(1, n)


def _pairs(shards: TokenShards, limit: int):
    """(token, the next one) of all neighbours whose second is trained on, piece by piece, as int64."""
    last = min(len(shards) - 1, limit or len(shards))
    for start in range(0, last, PIECE):
        tokens, targets = shards.pairs(start, min(PIECE, last - start))
        trained = targets >= 0
        yield tokens[trained], targets[trained]
