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
    """{"nats" (sum), "tokens", "nats_per_token", "bits_per_byte"} of the model on these tokens."""
    context = model.config.context
    spans = windows(shards, context, limit)
    whole = [start for start, length in spans if length == context]
    parts = [(np.array(whole[i : i + batch_size]), context) for i in range(0, len(whole), batch_size)]
    parts += [(np.array([start]), length) for start, length in spans if length < context]
    shares = [parts[i :: lanes.count] for i in range(lanes.count)]
    sums = lanes.run([partial(_nats, model, shards, share) for share in shares])
    nats, tokens = sum(sums), sum(length for _, length in spans)
    per_token = nats / tokens
    return {
        "nats": nats,
        "tokens": tokens,
        "nats_per_token": per_token,
        "bits_per_byte": per_token * len(shards) / shards.bytes / np.log(2),
    }


def _nats(model: Model, shards: TokenShards, parts: list[tuple[np.ndarray, int]]) -> float:
    total = 0.0
    with no_grad():
        for starts, length in parts:
            rows = np.stack([shards.read(int(start), length + 1) for start in starts]).astype(np.int64)
            total += float(model.loss(rows[:, :-1], rows[:, 1:]).data)
    return total
