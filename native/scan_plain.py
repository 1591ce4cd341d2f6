"""The plain twin of the scan in NumPy: what C computes, its oracle, and what runs where C was not built.

It holds the scores of a block of keys for all queries at once and sorts them; nothing here is fast.
"""

import numpy as np

BLOCK = 1 << 14  # keys whose scores are held at once
LANES = 16


def best(search) -> tuple[np.ndarray, np.ndarray]:
    """ids (Q, k) int64 and scores (Q, k) int32 or float32 of a checked `Search`: see scan.py."""
    q, k = len(search.queries), search.k
    ids = np.full((q, 0), -1, np.int64)
    scores = np.zeros((q, 0), np.int32 if search.integers else np.float32)
    queries = search.queries if search.keys.dtype == np.int8 else rounded_to_bf16(search.queries)
    for start in range(0, len(search.keys), BLOCK):
        cut = slice(start, start + BLOCK)
        here = np.flatnonzero(passes(search, cut))
        new = _scores(search, cut, here, queries)
        ids = np.concatenate([ids, np.where(np.isnan(new), -1, start + here)], axis=1)
        scores = np.concatenate([scores, new], axis=1)
        rank = np.where(ids < 0, -np.inf, scores.astype(np.float64))
        order = np.lexsort((ids, -rank, ids < 0))[:, :k]
        ids, scores = (np.take_along_axis(a, order, axis=1) for a in (ids, scores))
    room = ((0, 0), (0, k - ids.shape[1]))
    ids, scores = np.pad(ids, room, constant_values=-1), np.pad(scores, room)
    return ids, np.where(ids < 0, 0, scores + scores.dtype.type(0))  # of −0 it makes 0


def passes(search, cut: slice) -> np.ndarray:
    """Which keys of a slice the filters let through."""
    there = np.ones(len(search.keys[cut]), bool)
    if search.allowed is not None:
        there &= search.allowed[cut] != 0
    if search.times is not None:
        there &= (search.times[cut] >= search.since) & (search.times[cut] < search.until)
    if search.sources is not None:
        there &= search.wanted[search.sources[cut]] != 0
    return there


def rounded_to_bf16(x: np.ndarray) -> np.ndarray:
    """float32 to the nearest bfloat16, ties to even, as float32; a NaN stays one."""
    bits = np.ascontiguousarray(x, np.float32).view(np.uint32).astype(np.uint64)
    near = bits + 0x7FFF + (bits >> np.uint64(16) & np.uint64(1)) & np.uint64(0xFFFF0000)
    return np.where(np.isnan(x), x, near.astype(np.uint32).view(np.float32))


def _scores(search, cut: slice, here: np.ndarray, queries: np.ndarray) -> np.ndarray:
    """(Q, len(here)) of the keys of a slice that pass."""
    keys = search.keys[cut][here]
    if keys.dtype != np.int8:
        return bf16_products(queries, keys)
    keys = keys.astype(np.int32)
    products = np.array([(keys * q).sum(1, dtype=np.int32) for q in queries.astype(np.int32)])
    if search.scales is None:
        return products
    with np.errstate(all="ignore"):
        return products.astype(np.float32) * search.scales[cut][here]


def bf16_products(queries: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """Rounded queries (Q, D) float32 with keys (n, D), bits of bfloat16 → (Q, n) float32, by 16 lanes."""
    room = (0, 0), (0, -keys.shape[1] % LANES)
    steps = -(-keys.shape[1] // LANES)
    k = np.pad((keys.astype(np.uint32) << 16).view(np.float32), room).reshape(len(keys), steps, LANES)
    q = np.pad(queries, room).reshape(len(queries), steps, LANES)
    lanes = np.zeros((len(queries), len(keys), LANES), np.float32)
    with np.errstate(all="ignore"):
        for i in range(steps):
            lanes += k[None, :, i] * q[:, None, i]
        while lanes.shape[-1] > 1:
            half = lanes.shape[-1] // 2
            lanes = lanes[..., :half] + lanes[..., half:]
    return lanes[..., 0]
