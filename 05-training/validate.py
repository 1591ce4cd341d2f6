"""The loss on held-out tokens: every token of the set once, in windows of the context, on all lanes."""

from functools import partial

import numpy as np

from chronos.architecture.tape import no_grad
from chronos.memory.model import Model
from chronos.tokenization.shards import TokenShards
from chronos.training.lanes import Lanes


def windows(shards: TokenShards, context: int, limit: int = 0) -> list[tuple[int, int]]:
    """(start, length) of non-overlapping windows that predict all tokens but the first, or `limit`."""
    last = len(shards) - 1
    if limit:
        last = min(last, limit)
    return [(start, min(context, last - start)) for start in range(0, last, context)]


def validate(
    model: Model, shards: TokenShards, lanes: Lanes, *, batch_size: int = 16, limit: int = 0
) -> dict[str, float | int]:
    """{"nats" (sum), "tokens", "nats_per_token", "bits_per_byte"} of the model on these tokens.

    Tokens that are marked as untrained are read but not counted.
    """
    context = model.config.context
    spans = windows(shards, context, limit)
    whole = [start for start, length in spans if length == context]
    parts = [(np.array(whole[i : i + batch_size]), context) for i in range(0, len(whole), batch_size)]
    parts += [(np.array([start]), length) for start, length in spans if length < context]
    shares = [parts[i :: lanes.count] for i in range(lanes.count)]
    sums = lanes.run([partial(_nats, model, shards, share) for share in shares])
    nats, tokens = (sum(part) for part in zip(*sums))
    per_token = nats / max(1, tokens)
    return {
        "nats": nats,
        "tokens": tokens,
        "nats_per_token": per_token,
        "bits_per_byte": per_token * shards.trained_tokens / max(1, shards.trained_bytes) / np.log(2),
    }


def _nats(model: Model, shards: TokenShards, parts: list[tuple[np.ndarray, int]]) -> tuple[float, int]:
    total, counted = 0.0, 0
    with no_grad():
        for starts, length in parts:
            tokens, targets = stacked(shards, starts, length)
            total += float(model.loss(tokens, targets).data)
            counted += int((targets >= 0).sum())
    return total, counted


def stacked(shards: TokenShards, starts: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
    """`TokenShards.pairs` from each of the starts (B,): tokens and targets, both (B, length) int64."""
    pairs = [shards.pairs(int(start), length) for start in starts]
    return np.stack([tokens for tokens, _ in pairs]), np.stack([targets for _, targets in pairs])
