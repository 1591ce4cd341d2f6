"""What context is worth: the loss by a token's position in its window.

A model that used nothing but the last few tokens would have a flat curve; the fall is what it gains from
reading further back. Shown in the report of a run.
"""

from functools import partial
from typing import Any

import numpy as np

from chronos.architecture import kernels
from chronos.architecture.ops.loss import chunk_rows
from chronos.architecture.tape import Tensor, no_grad
from chronos.memory.model import Model
from chronos.tokenization.shards import TokenShards
from chronos.training.lanes import Lanes
from chronos.training.validate import stacked

WINDOWS = 256  # enough for an error of a few hundredths of a nat, in seconds


def token_nats(model: Model, tokens: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """−log p(target) of every token, in nats: tokens and targets (B, T) → (B, T) float32.

    NaN where the target is −1: such a token is not predicted.
    """
    with no_grad():
        hidden = model(tokens, carry=False).hidden.data
    flat, wanted = hidden.reshape(-1, hidden.shape[-1]), np.ascontiguousarray(targets.reshape(-1), np.int64)
    nats = np.empty(len(flat), np.float32)
    step = chunk_rows(model.config.vocabulary)
    for start in range(0, len(flat), step):
        part = slice(start, start + step)
        nats[part] = kernels.cross_entropy(model.logits(Tensor(flat[part])), wanted[part], 1.0)
    nats[wanted < 0] = np.nan
    return nats.reshape(targets.shape)


def by_position(
    model: Model, shards: TokenShards, lanes: Lanes, *, windows: int = WINDOWS, batch_size: int = 16
) -> dict[str, Any]:
    """{"windows", "context", "nats": (C,) means by position, "bins": […]} over evenly spaced windows.

    Position 1 is a window's first prediction, made from one token; the windows are as long as the context, or
    as the text where that is shorter. Bins end at powers of two: 1, 2, 3–4, 5–8 …
    """
    context = min(model.config.context, len(shards) - 1)
    starts = np.unique(np.linspace(0, len(shards) - 1 - context, windows).astype(np.int64))
    batches = [starts[i : i + batch_size] for i in range(0, len(starts), batch_size)]
    shares = [batches[i :: lanes.count] for i in range(lanes.count)]
    found = lanes.run([partial(_measure, model, shards, context, share) for share in shares if share])
    nats = np.concatenate(found)
    return {
        "windows": len(nats),
        "context": context,
        "nats": _means(nats, 0).tolist(),
        "bins": [_bin(nats, first, last) for first, last in _edges(context)],
    }


def _measure(model: Model, shards: TokenShards, context: int, batches: list[np.ndarray]) -> np.ndarray:
    found = [token_nats(model, *stacked(shards, starts, context)) for starts in batches]
    return np.concatenate(found).astype(np.float64)


def _edges(context: int) -> list[tuple[int, int]]:
    ends = [2**i for i in range(context.bit_length())]
    ends += [context] if ends[-1] < context else []
    return [(before + 1, end) for before, end in zip([0, *ends], ends)]


def _means(nats: np.ndarray, axis: int) -> np.ndarray:
    """Means of what was predicted; 0 where nothing was."""
    counted = (~np.isnan(nats)).sum(axis)
    return np.nansum(nats, axis) / np.maximum(1, counted)


def _bin(nats: np.ndarray, first: int, last: int) -> dict[str, Any]:
    """Mean over positions first … last; the error is that of the mean over windows."""
    part = nats[:, first - 1 : last]
    means = _means(part[~np.isnan(part).all(1)], 1)
    if not len(means):
        return {"first": first, "last": last, "nats": 0.0, "standard_error": None}
    error = float(means.std(ddof=1) / np.sqrt(len(means))) if len(means) > 1 else None
    return {"first": first, "last": last, "nats": float(means.mean()), "standard_error": error}
