"""Recall from a store: the stick-breaking read over keys as they lie on disk, newest first.

The same numbers as `StickRead` (stage 02) with small matches cut to zero; it stops when the stick is spent,
and keeps the few events that match. It gives ids and weights: words are the store's, questions the model's.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from chronos.architecture import kernels
from chronos.console import ChronosError
from chronos.memory.episodes.layout import KEY_AT
from chronos.memory.episodes.reader import StoreReader
from chronos.memory.episodes.view import allowed

ZMIN = -2.0  # matches with s·cos + b below this count as none: 10⁵ of 1e-5 each would eat the stick
SPENT = 1e-4  # of a shorter stick nothing more is given
BLOCK = 4096  # events read at once: 350 KB, a core's cache


@dataclass(frozen=True)
class Recall:
    """What Q questions recalled: ids and weights (Q, k), heaviest first, −1 and 0 where fewer matched.

    `null` (Q,) is what was left of each stick: above one half, nothing fits. `read`: how many events were
    looked at.
    """

    ids: np.ndarray
    weights: np.ndarray
    null: np.ndarray
    read: int


def recall(
    store: StoreReader, q: np.ndarray, s: float | np.ndarray, b: float | np.ndarray, *, top: int = 64,
    zmin: float = ZMIN, spent: float = SPENT, cuts: np.ndarray | None = None,
    shares: np.ndarray | None = None,
    g: float | np.ndarray = 0.0, first: Recall | None = None, since: int | None = None,
    until: int | None = None, sources: Sequence[str] | None = None,
) -> Recall:  # fmt: skip
    """Read the store for q (Q, K) of any length, with scale s and bias b, one number each or (Q,).

    cuts (Q, C) and shares (Q, C) are the as-of mask of `AsOf`: an event i counts Σ shares[cuts > i]; without
    shares, each question has the one cut (Q,) or (Q, 1). g (Q,) or one number and `first`, an earlier hop's
    Recall: the clock of `StickRead`. since ≤ time < until and sources filter by value. Of an event that was
    forgotten nothing is ever given. ChronosError for shapes that do not fit or numbers that are not finite.
    """
    q = np.asarray(q, np.float32)
    if q.ndim != 2 or q.shape[1] != store.width or not np.isfinite(q).all():
        got = "NaN or infinity" if q.ndim == 2 and q.shape[1] == store.width else q.shape
        raise ChronosError(
            "questions do not fit the store", where=store.path, expected=f"(Q, {store.width})", got=got
        )
    Q = len(q)
    q = q / np.maximum(np.linalg.norm(q, axis=1, keepdims=True), 1e-12)
    cuts, shares = _steps(cuts, shares, Q)
    first_ids = np.zeros((Q, 0), np.int64) if first is None else np.ascontiguousarray(first.ids)
    found = np.zeros((Q, 0), np.float32) if first is None else np.ascontiguousarray(first.weights)
    s, b, clock = (np.ascontiguousarray(np.broadcast_to(np.asarray(a, np.float64), (Q,))) for a in (s, b, g))
    mask = allowed(store, since=since, until=until, sources=None if sources is None else list(sources))
    mask = np.zeros(0, np.uint8) if mask.all() else mask
    left = np.ones(Q)
    ids, weights = np.full((Q, top), -1, np.int64), np.zeros((Q, top), np.float32)
    end = stop = min(len(store), int(cuts.max(initial=0)) if cuts.shape[1] else len(store))
    while stop > 0 and (left >= spent).any():
        start = max(0, stop - BLOCK)
        rows, column = _block(store, start, stop)
        kernels.stick_scan(
            q, rows, column, store.records["scale"][start:stop], mask[start:stop], start, s, b, zmin, spent,
            cuts, shares, clock, first_ids, found, left, ids, weights,
        )  # fmt: skip
        stop = start
    order = np.argsort(-weights, axis=1, kind="stable")
    ids, weights = (np.take_along_axis(a, order, axis=1) for a in (ids, weights))
    return Recall(ids, weights, left, end - stop)


def _steps(cuts, shares, Q: int) -> tuple[np.ndarray, np.ndarray]:
    if cuts is None:
        return np.zeros((Q, 0), np.int64), np.zeros((Q, 0), np.float32)
    cuts = np.ascontiguousarray(np.asarray(cuts, np.int64).reshape(Q, -1))
    shares = np.ones(cuts.shape) if shares is None else np.asarray(shares)
    if shares.shape != cuts.shape:
        raise ChronosError("cuts and shares do not fit", expected=cuts.shape, got=shares.shape)
    return cuts, np.ascontiguousarray(shares, np.float32)


def _block(store: StoreReader, start: int, stop: int) -> tuple[np.ndarray, int]:
    """Rows of numbers with the keys in them, and where in a row they begin: int8 as on disk, else float32."""
    records = store.records[start:stop]
    if store.kind == "int8":
        return np.asarray(records).view(np.int8).reshape(len(records), -1), KEY_AT
    return records["key"].astype(np.float32), 0
