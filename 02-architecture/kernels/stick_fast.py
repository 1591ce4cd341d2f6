"""The fast twins of `stick_plain.py`: one Numba loop a question, serial, `nogil`, in float64 within a row.

Same names, arguments and results to float32 rounding. The scan is one pass over int8 keys as they lie on
disk; a share of the stick is worked out only for the few events that match.
"""

import math

import numpy as np
from numba import njit

from chronos.architecture.kernels.stick_plain import LOG_EDGE
from chronos.architecture.kernels.workspace import empty

_jit = njit(cache=True, nogil=True, error_model="numpy")
# Only sums of products may be taken in another order; no NaN guard lives in them.
_dots = njit(cache=True, nogil=True, fastmath={"contract", "reassoc", "nsz"}, error_model="numpy")


def stick(c, s, b, m, repeat, log):
    w = empty((c.shape[0], c.shape[1] + 1))
    _stick(np.ascontiguousarray(c), s, b, np.ascontiguousarray(m), float(repeat), log, w)
    return w


def stick_backward(dw, c, s, b, m, repeat, log):
    c, m = np.ascontiguousarray(c), np.ascontiguousarray(m)
    dc, dm, ds, db = empty(c.shape), empty(c.shape), empty(len(c)), empty(len(c))
    _stick_backward(np.ascontiguousarray(dw), c, s, b, m, float(repeat), log, dc, ds, db, dm)
    return dc, ds, db, dm


def stick_scan(
    q, rows, column, scale, allowed, base, s, b, zmin, spent,
    cuts, shares, clock, first, found, left, ids, weights,
):  # fmt: skip
    limits = (float(zmin), float(spent))
    _scan(
        q, rows, column, scale, allowed, base, s, b, *limits, cuts, shares, clock, first, found, left, ids,
        weights,
    )  # fmt: skip


@_jit
def _odds(z, m):
    """σ(z), 1 − σ(z), 1 − β and log(1 − β) for β = σ(z)·m, without cancellation at either end."""
    e = math.exp(-abs(z))
    hit, miss = (1 / (1 + e), e / (1 + e)) if z >= 0 else (e / (1 + e), 1 / (1 + e))
    beta = hit * m
    left = (1 - m) + m * miss
    rest = math.log1p(-beta) if beta < 0.5 else math.log(left)
    return hit, miss, left, rest


@_jit
def _log_beta(z, m):
    if m <= 0:
        return -np.inf
    return min(z, 0.0) - math.log1p(math.exp(-abs(z))) + (0.0 if m == 1 else math.log(m))


@_jit
def _stick(c, s, b, m, repeat, log, w):
    R, N = c.shape
    for r in range(R):
        scale, bias = np.float64(s[r]), np.float64(b[r])
        later = 0.0
        for i in range(N - 1, -1, -1):
            z, mask = c[r, i] * scale + bias, np.float64(m[r, i])
            hit, _, _, rest = _odds(z, mask)
            if log:
                w[r, i] = _log_beta(z, mask) + repeat * later
            else:
                w[r, i] = hit * mask * math.exp(repeat * later)
            later += rest
        w[r, N] = repeat * later if log else math.exp(repeat * later)


@_jit
def _stick_backward(dw, c, s, b, m, repeat, log, dc, ds, db, dm):
    R, N = c.shape
    stick_at = np.empty(N, np.float64)  # what was left of the stick when event i was read, to the power
    for r in range(R):
        scale, bias = np.float64(s[r]), np.float64(b[r])
        later = 0.0
        if not log:
            for i in range(N - 1, -1, -1):
                _, _, _, rest = _odds(c[r, i] * scale + bias, np.float64(m[r, i]))
                stick_at[i] = math.exp(repeat * later)
                later += rest
        before = np.float64(dw[r, N])
        before *= 1.0 if log else math.exp(repeat * later)
        total, dot = 0.0, 0.0
        for i in range(N):
            mask, d = np.float64(m[r, i]), np.float64(dw[r, i])
            hit, miss, left, _ = _odds(c[r, i] * scale + bias, mask)
            ratio = miss / left if left > 0 else 1.0
            if log:
                slope = d if mask > 0 else 0.0
                own = slope / mask if mask > 0 else 0.0
                dm[r, i] = own - repeat * before * hit / max(left, LOG_EDGE)
            else:
                slope = d * hit * mask * stick_at[i]
                dm[r, i] = hit * (d * stick_at[i] - repeat * before / max(left, 1e-300))
            dz = slope * miss - repeat * before * hit * mask * ratio
            before += slope
            dc[r, i] = dz * scale
            total += dz
            dot += dz * c[r, i]
        ds[r], db[r] = dot, total


@_dots
def _dot(q, key):
    total = np.float32(0)
    for j in range(q.size):
        total += q[j] * np.float32(key[j])
    return total


@_jit
def _keep(ids, weights, event, weight):
    """Put an event in the first free place, or in that of the lightest if it is heavier."""
    lightest = 0
    for j in range(ids.size):
        if ids[j] < 0:
            ids[j], weights[j] = event, weight
            return
        if weights[j] <= weights[lightest]:  # the last of equals, which is the oldest
            lightest = j
    if weight > weights[lightest]:
        for j in range(lightest, ids.size - 1):
            ids[j], weights[j] = ids[j + 1], weights[j + 1]
        ids[-1], weights[-1] = event, weight


@_jit
def _after(at, weights, event):
    total = 0.0
    for j in range(at.size):
        if at[j] > event:
            total += weights[j]
    return total


@_jit
def _scan(
    q, rows, column, scale, allowed, base, s, b, zmin, spent,
    cuts, shares, clock, first, found, left, ids, weights,
):  # fmt: skip
    for row in range(q.shape[0]):
        rest = left[row]
        for i in range(rows.shape[0] - 1, -1, -1):
            if rest < spent:
                break
            if allowed.size and allowed[i] == 0:
                continue
            z = s[row] * _dot(q[row], rows[i, column : column + q.shape[1]]) * scale[i] + b[row]
            if z < zmin:
                continue
            share = 1 / (1 + math.exp(-z))
            if cuts.shape[1]:
                share *= _after(cuts[row], shares[row], base + i)
            if first.shape[1]:
                share *= 1 - clock[row] + clock[row] * _after(first[row], found[row], base + i)
            if share > 0:
                _keep(ids[row], weights[row], base + i, np.float32(share * rest))
                rest *= 1 - share
        left[row] = rest
