"""From logits to the next token: temperature, top-k, top-p, min-p, and a seeded choice.

Filters are applied in that order, each on what the one before has left, and keep the likeliest token.
"""

from dataclasses import dataclass

import numpy as np

from chronos.console import ChronosError


@dataclass(frozen=True)
class Sampling:
    """temperature 0 is the likeliest token; top_k 0, top_p 1 and min_p 0 are off."""

    temperature: float = 0.8
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not (np.isfinite(self.temperature) and self.temperature >= 0):
            raise ChronosError("temperature must be 0 or above", got=self.temperature)
        if self.top_k < 0:
            raise ChronosError("top-k must be 0 (off) or above", got=self.top_k)
        if not 0 < self.top_p <= 1:
            raise ChronosError("top-p must be above 0 and at most 1", got=self.top_p)
        if not 0 <= self.min_p <= 1:
            raise ChronosError("min-p must be between 0 and 1", got=self.min_p)


def probabilities(logits: np.ndarray, s: Sampling) -> np.ndarray:
    """The filtered distribution (E,), float64, from logits (E,)."""
    z = logits.astype(np.float64)
    if not np.isfinite(z.max()):  # NaN is the maximum of anything that holds it
        mend = "its weights are damaged, or training diverged"
        raise ChronosError("the model gives no usable logits", got=f"a maximum of {z.max()}", mend=mend)
    if s.temperature == 0:
        return (np.arange(len(z)) == z.argmax()).astype(np.float64)
    with np.errstate(over="ignore"):  # a tiny temperature: −∞, which is probability 0
        p = np.exp((z - z.max()) / s.temperature)
    p /= p.sum()
    order = np.argsort(-p, kind="stable")
    if s.top_k:
        p[order[s.top_k :]] = 0
        p /= p.sum()
    if s.top_p < 1:  # the smallest set whose mass reaches top_p
        before = np.cumsum(p[order]) - p[order]
        p[order[before >= s.top_p]] = 0
    p[p < s.min_p * p.max()] = 0
    return p / p.sum()


def choose(logits: np.ndarray, s: Sampling, step: int) -> int:
    """The token for `step`: the draw depends on (seed, step) alone, so any of it can be repeated."""
    p = probabilities(logits, s)
    if s.temperature == 0:
        return int(p.argmax())
    key = np.array([s.seed % 2**64, step], np.uint64)  # as a list, large seeds would pass through float64
    u = np.random.Generator(np.random.Philox(key=key)).random()
    return int(min(np.searchsorted(np.cumsum(p), u, side="right"), np.flatnonzero(p)[-1]))
