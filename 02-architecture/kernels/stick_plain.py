"""The stick-breaking "most recent match" in plain NumPy: definition, fallback and oracle of its fast twin.

One row is one question, R rows over N events, oldest first. It breaks sticks and nothing else: cosines, masks
and clocks are made by the op (ops/stick.py), which says what they mean.
"""

import numpy as np

LOG_EDGE = 1e-6  # the slope of log(1 − β) toward the mask is cut here: beyond, it is e^z and no help


def stick(c: np.ndarray, s: np.ndarray, b: np.ndarray, m: np.ndarray, repeat: float, log: bool) -> np.ndarray:
    """Shares of the stick: cosines c (R, N), scale s and bias b (R,), mask m (R, N) in [0, 1] → (R, N + 1).

    β_i = σ(s c_i + b)·m_i, A_i = β_i Π_{j>i} (1 − β_j)^repeat, and in the last column what is left,
    null = Π_j (1 − β_j)^repeat. The event's own share is never raised to a power. With `log`, their
    logarithms. Products are sums of logarithms in float64, whatever the type of c: 10⁵ factors do no harm.
    """
    log_beta, rest, _ = _odds(c, s, b, m)
    later, total = _after(rest)
    weights = np.concatenate([log_beta + repeat * later, repeat * total], axis=1)
    return (weights if log else np.exp(weights)).astype(c.dtype)


def stick_backward(
    dw: np.ndarray, c: np.ndarray, s: np.ndarray, b: np.ndarray, m: np.ndarray, repeat: float, log: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """dc (R, N), ds (R,), db (R,), dm (R, N) of `stick` for dw (R, N + 1).

    With G_i the slope of log A_i and P_i = G_null + Σ_{j<i} G_j (all whose stick event i shortens):
    dz_i = G_i (1 − σ_i) − repeat P_i β_i (1 − σ_i)/(1 − β_i), where 1 − β = (1 − m) + m (1 − σ) keeps its
    digits as β nears 1. An event with m_i = 0 has no slope in the logarithmic form.
    """
    log_beta, rest, sigma = _odds(c, s, b, m)
    later, total = _after(rest)
    dw, m = dw.astype(np.float64), m.astype(np.float64)
    if log:
        slope = np.where(m > 0, dw[:, :-1], 0)
        before = dw[:, -1:]
    else:
        slope = dw[:, :-1] * np.exp(log_beta + repeat * later)
        before = dw[:, -1:] * np.exp(repeat * total)
    before = repeat * np.cumsum(np.concatenate([before, slope], axis=1), axis=1)[:, :-1]
    not_sigma = _sigmoid(-_scores(c, s, b))
    left = (1 - m) + m * not_sigma
    ratio = np.divide(not_sigma, left, out=np.ones_like(left), where=left > 0)
    dz = slope * not_sigma - before * sigma * m * ratio
    if log:
        own = np.divide(slope, m, out=np.zeros_like(m), where=m > 0)
        dm = own - before * sigma / np.maximum(left, LOG_EDGE)
    else:
        dm = sigma * (dw[:, :-1] * np.exp(repeat * later) - before / np.maximum(left, 1e-300))
    dc, ds, db = dz * s[:, None], (dz * c).sum(1), dz.sum(1)
    return tuple(a.astype(c.dtype) for a in (dc, ds, db, dm))


def stick_scan(
    q: np.ndarray, rows: np.ndarray, column: int, scale: np.ndarray, allowed: np.ndarray, base: int,
    s: np.ndarray, b: np.ndarray, zmin: float, spent: float, cuts: np.ndarray, shares: np.ndarray,
    clock: np.ndarray, first: np.ndarray, found: np.ndarray, left: np.ndarray, ids: np.ndarray,
    weights: np.ndarray,
) -> None:  # fmt: skip
    """Read a block of events, newest first, and go on with the stick where the newer block left it.

    q (Q, K) of unit length against events base … base + n − 1, whose keys are rows[:, column : column + K]
    (int8 or float32) times scale (n,); s, b (Q,) float64; allowed (n,) uint8, or empty for all. Where
    s·cos + b < zmin, β is 0.
    Mask of event i: Σ shares[cuts > i] (both (Q, C), C = 0 for no mask), times the clock
    1 − g + g Σ found[first > i] with g = clock (Q,), `first` (Q, F) ids and `found` their weights (F = 0: no
    clock). In place: left (Q,), what is left of each stick, and ids, weights (Q, k), the heaviest so far, −1
    where free. Of a stick that is shorter than `spent` nothing more is given.
    """
    K = q.shape[1]
    keys = rows[:, column : column + K].astype(np.float32) * scale[:, None]
    z = s[:, None] * (q @ keys.T).astype(np.float64) + b[:, None]
    at = base + np.arange(len(rows))
    for row in range(len(q)):
        beta = _sigmoid(z[row]) * (z[row] >= zmin)
        if len(allowed):
            beta *= allowed != 0
        if cuts.shape[1]:
            beta *= (shares[row] * (cuts[row] > at[:, None])).sum(1)
        if first.shape[1]:
            after = (found[row] * (first[row] > at[:, None])).sum(1)
            beta *= 1 - clock[row] + clock[row] * after
        lengths = left[row] * np.cumprod(np.concatenate([[1.0], 1 - beta[::-1]]))  # newest first
        read = int((lengths >= spent).sum()) if lengths[0] >= spent else 0
        read = min(read, len(rows))
        given = (lengths[:-1] * beta[::-1])[:read]
        left[row] = lengths[read]
        _keep_heaviest(ids[row], weights[row], at[::-1][:read], given)


def _keep_heaviest(ids: np.ndarray, weights: np.ndarray, more: np.ndarray, given: np.ndarray) -> None:
    """Of what is kept and what is new, the k heaviest (the newer of equals), in the order of reading."""
    kept = ids >= 0
    all_ids = np.concatenate([ids[kept], more[given > 0]])
    all_weights = np.concatenate([weights[kept], given[given > 0].astype(weights.dtype)])
    best = np.sort(np.argsort(-all_weights, kind="stable")[: len(ids)])
    ids[...], weights[...] = -1, 0
    ids[: len(best)], weights[: len(best)] = all_ids[best], all_weights[best]


def _scores(c: np.ndarray, s: np.ndarray, b: np.ndarray) -> np.ndarray:
    return c.astype(np.float64) * s[:, None] + b[:, None]


def _odds(
    c: np.ndarray, s: np.ndarray, b: np.ndarray, m: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """log β, log(1 − β) and σ(z), each without cancellation at either end."""
    z, m = _scores(c, s, b), m.astype(np.float64)
    small = np.log1p(np.exp(-np.abs(z)))
    with np.errstate(divide="ignore"):
        log_beta = np.minimum(z, 0) - small + np.log(m)
        log_left = np.log((1 - m) + m * _sigmoid(-z))
    beta = np.exp(log_beta)
    rest = np.where(beta < 0.5, np.log1p(-np.minimum(beta, 0.5)), log_left)
    return log_beta, rest, _sigmoid(z)


def _after(rest: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Σ over later events (R, N), and over all of them (R, 1)."""
    sums = np.cumsum(rest[:, ::-1], axis=1)[:, ::-1]
    ends = np.zeros((len(rest), 1))
    sums = np.concatenate([sums, ends], axis=1)
    return sums[:, 1:], sums[:, :1]


def _sigmoid(x: np.ndarray) -> np.ndarray:
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, e) / (1 + e)
