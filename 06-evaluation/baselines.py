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
    scale = float(len(val) / val.bytes / np.log(2))
    return {name: {"nats_per_token": nats, "bits_per_byte": nats * scale} for name, nats in found.items()}


def _unigram_nats(val: TokenShards, unigram: np.ndarray, limit: int) -> float:
    nats = -np.log(unigram)
    found = [nats[targets].sum() for _, targets in _pairs(val, limit)]
    return float(sum(found) / _predicted(val, limit))


def _bigram_nats(train: TokenShards, val: TokenShards, unigram: np.ndarray, limit: int) -> float:
    E = len(unigram)
    table = np.zeros(E * E, np.uint32)
    for before, after in _pairs(train, 0):
        np.add.at(table, before * E + after, 1)
    total = table.reshape(E, E).sum(1, dtype=np.float64)
    followers = np.maximum(1, np.count_nonzero(table.reshape(E, E), axis=1))
    nats = 0.0
    for before, after in _pairs(val, limit):
        weight = followers[before]
        p = (table[before * E + after] + weight * unigram[after]) / (total[before] + weight)
        nats -= float(np.log(p).sum())
    return nats / _predicted(val, limit)


def _predicted(shards: TokenShards, limit: int) -> int:
    last = len(shards) - 1
    return min(last, limit) if limit else last


def _pairs(shards: TokenShards, limit: int):
    """(token, the next one) of all neighbours, piece by piece, as int64."""
    last = _predicted(shards, limit)
    for start in range(0, last, PIECE):
        ids = shards.read(start, min(PIECE, last - start) + 1).astype(np.int64)
        yield ids[:-1], ids[1:]
