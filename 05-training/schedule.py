"""Learning rates over time, as a share of the peak: constant, cosine, or warm-up–stable–decay (WSD)."""

import math

from chronos.training.config import TrainConfig


def share(step: int, c: TrainConfig) -> float:
    """lr(step)/lr for step 0 … steps − 1: linear warm-up, then the schedule down to `min_lr`/`lr`."""
    floor = c.min_lr / c.lr if c.lr else 0.0
    if step < c.warmup:
        return (step + 1) / (c.warmup + 1)
    if c.schedule == "constant":
        return 1.0
    if c.schedule == "cosine":
        done = (step - c.warmup) / max(1, c.steps - c.warmup)
        return floor + (1 - floor) * (1 + math.cos(math.pi * min(1.0, done))) / 2
    left = (c.steps - step) / max(1, round(c.steps * c.decay_share))
    return floor + (1 - floor) * min(1.0, left)
