"""The state contract as a measurement: whole, chunked, token by token and padded give the same logits."""

import numpy as np

from chronos.architecture.kernels.kda_plain import CHUNK
from chronos.architecture.tape import no_grad
from chronos.memory.model import Model

TOLERANCE = 2e-4  # float32 rounding of logits of order one, over some layers


def _logits(model: Model, tokens: np.ndarray, pieces: list[int]) -> np.ndarray:
    state, found, start = None, [], 0
    for size in pieces:
        out = model(tokens[:, start : start + size], state)
        found.append(model.logits(out.hidden))
        state, start = out.state, start + size
    return np.concatenate(found, axis=1)


def self_test(model: Model, length: int = 24, seed: int = 0) -> dict[str, float]:
    """Way of evaluating → largest absolute difference of its logits from those in one piece.

    The text is long enough for KDA to need a second chunk, and for DSA to pick among more than it may.
    """
    c = model.config
    least = {"attention": 0, "kda": CHUNK + 8, "dsa": c.dsa.top_k + 24}
    length = min(max(length, *(least[mixer] for mixer in c.mixers)), c.context)
    rng = np.random.default_rng(seed)
    tokens = rng.integers(0, model.config.vocabulary, (3, length))
    third = max(1, length // 3)
    chunks = [third] * (length // third)
    chunks[-1] += length - sum(chunks)
    with no_grad():
        whole = model.logits(model(tokens, carry=False).hidden)  # without the state that is to be tested
        found = {}
        if model.config.causal:  # a bidirectional model has no state to carry
            found["in chunks"] = _logits(model, tokens, chunks)
            found["token by token"] = _logits(model, tokens, [1] * length)
        found["row by row"] = np.concatenate([model.logits(model(row[None]).hidden) for row in tokens])
        room = model.config.context - length
        padded = np.pad(tokens, ((0, 0), (0, min(5, room))))
        lengths = np.full(len(tokens), length)
        found["padded"] = model.logits(model(padded, lengths=lengths).hidden)[:, :length]
    return {way: float(np.abs(logits - whole).max()) for way, logits in found.items()}
