"""The fast twins of `dsa_plain.py`: float32, Numba, serial, `nogil`. It checks nothing; the ops have.

Attention to picked tokens gathers rows of keys and values instead of masking a dense product: its work grows
with the number of picked tokens, not with what was read. `top_k` sorts nothing; it finds the k-th largest bit
by bit.
"""

import numpy as np

from chronos.architecture.kernels.scalars import ONE, ZERO, exact, exp, f32, jit
from chronos.architecture.kernels.workspace import empty, empty_like, zeros


def index_scores(s, w):
    z = empty((len(s), s.shape[2]))
    _index_scores(np.ascontiguousarray(s), np.ascontiguousarray(w), z)
    return z


def index_scores_backward(dz, s, w):
    ds, dw = empty_like(s), empty_like(w)
    _index_scores_backward(*(np.ascontiguousarray(a) for a in (dz, s, w)), ds, dw)
    return ds, dw


def top_k(z, visible, k):
    picked = empty((len(z), k), np.int32)
    _top_k(np.ascontiguousarray(z).view(np.int32), np.ascontiguousarray(visible), picked)
    return picked


def index_kl(z, target):
    losses = empty(len(z))
    if not z.flags.c_contiguous:
        raise ValueError("an array that is changed in place must be contiguous")
    _index_kl(z, np.ascontiguousarray(target), losses)
    return losses


def sparse_attention(q, keys, values, picked, scale):
    o, lse, share = empty_like(q), empty(q.shape[:3]), empty(picked.shape)
    _sparse_attention(
        *(np.ascontiguousarray(a) for a in (q, keys, values, picked)), f32(scale), o, lse, share
    )
    return o, lse, share


def sparse_attention_backward(do, q, keys, values, picked, lse, scale):
    dq, dk, dv = zeros(q.shape), zeros(keys.shape), zeros(values.shape)
    arrays = (np.ascontiguousarray(a) for a in (do, q, keys, values, picked, lse))
    _sparse_attention_backward(*arrays, f32(scale), dq, dk, dv)
    return dq, dk, dv


@jit
def _index_scores(s, w, z):
    R, H, S = s.shape
    for r in range(R):
        for i in range(S):
            z[r, i] = ZERO
        for h in range(H):
            weight = w[r, h]
            for i in range(S):
                v = s[r, h, i]
                z[r, i] += weight * (v if v > ZERO else ZERO)


@jit
def _index_scores_backward(dz, s, w, ds, dw):
    R, H, S = s.shape
    for r in range(R):
        for h in range(H):
            weight, total = w[r, h], ZERO
            for i in range(S):
                v, d = s[r, h, i], dz[r, i]
                total += d * (v if v > ZERO else ZERO)
                ds[r, h, i] = d * weight if v > ZERO else ZERO
            dw[r, h] = total


@exact
def _largest(counts, want):
    """The bin in which the want-th largest lies, and how many of that bin are wanted."""
    place = counts.size - 1
    while want > counts[place]:
        want -= counts[place]
        place -= 1
    return place, want


@exact
def _top_k(z, visible, picked):
    """z: the bits of float32 scores. Keys are these bits, made to sort as the numbers do: 11, 11 and 10."""
    R, N = picked.shape
    S = z.shape[1]
    keys, near = np.empty(S, np.uint32), np.empty(S, np.uint32)
    counts = np.empty(2048, np.int64)
    for r in range(R):
        n = min(visible[r], S)
        if n <= N:
            for i in range(N):
                picked[r, i] = i if i < n else -1
            continue
        counts[:] = 0
        for i in range(n):
            bits = np.int64(z[r, i])
            if bits < 0:  # a negative number, of which −0 becomes 0
                bits = -(bits + (1 << 31))
            keys[i] = np.uint32(bits + (1 << 31))
            counts[keys[i] >> np.uint32(21)] += 1
        place, want = _largest(counts, N)
        limit, found = np.int64(place) << 21, 0
        for i in range(n):
            if np.int64(keys[i]) >> 21 == place:
                near[found] = keys[i]
                found += 1
        counts[:] = 0
        for i in range(found):
            counts[(np.int64(near[i]) >> 10) & 2047] += 1
        middle, want = _largest(counts, want)
        limit |= np.int64(middle) << 10
        counts[:] = 0
        for i in range(found):
            if (np.int64(near[i]) >> 10) & 2047 == middle:
                counts[np.int64(near[i]) & 1023] += 1
        low, want = _largest(counts, want)
        limit |= np.int64(low)
        m = 0
        for i in range(n):
            key = np.int64(keys[i])
            if key > limit or (key == limit and want > 0):
                want -= key == limit
                picked[r, m] = i
                m += 1


@jit
def _index_kl(z, target, losses):
    R, S = z.shape
    for r in range(R):
        top, total, mass, loss = -f32(np.inf), ZERO, ZERO, ZERO
        for i in range(S):
            if target[r, i] >= ZERO and z[r, i] > top:
                top = z[r, i]
        for i in range(S):
            p = target[r, i]
            if p >= ZERO:
                d = z[r, i] - top
                total += exp(d)
                mass += p
                loss += p * ((np.log(p) if p > ZERO else ZERO) - d)
        over = mass / total if total > ZERO else ZERO
        losses[r] = loss + mass * np.log(total) if total > ZERO else ZERO
        for i in range(S):
            p = target[r, i]
            z[r, i] = exp(z[r, i] - top) * over - p if p >= ZERO else ZERO


@jit
def _softmax_of(q, keys, picked, b, t, h, g, scale, p):
    """Scores of one head's query with its picked keys into p; returns how many there are."""
    n = 0
    for m in range(picked.shape[2]):
        s = picked[b, t, m]
        if s < 0:
            break
        score = ZERO
        for i in range(q.shape[3]):
            score += q[b, t, h, i] * keys[b, s, g, i]
        p[m] = score * scale
        n += 1
    return n


@jit
def _sparse_attention(q, keys, values, picked, scale, o, lse, share):
    B, T, H, K = q.shape
    N, group = picked.shape[2], H // keys.shape[2]
    p, part = np.empty(N, f32), ONE / f32(H)
    for b in range(B):
        for t in range(T):
            for m in range(N):
                share[b, t, m] = ZERO
            for h in range(H):
                n = _softmax_of(q, keys, picked, b, t, h, h // group, scale, p)
                top, total = p[0], ZERO
                for m in range(n):
                    top = max(top, p[m])
                for m in range(n):
                    e = exp(p[m] - top)
                    p[m] = e
                    total += e
                lse[b, t, h] = top + np.log(total)
                over = ONE / total
                for i in range(K):
                    o[b, t, h, i] = ZERO
                for m in range(n):
                    s, each = picked[b, t, m], p[m] * over
                    share[b, t, m] += each * part
                    for i in range(K):
                        o[b, t, h, i] += each * values[b, s, h // group, i]


@jit
def _sparse_attention_backward(do, q, keys, values, picked, lse, scale, dq, dk, dv):
    B, T, H, K = q.shape
    N, group = picked.shape[2], H // keys.shape[2]
    p, dp = np.empty(N, f32), np.empty(N, f32)
    for b in range(B):
        for t in range(T):
            for h in range(H):
                g = h // group
                n = _softmax_of(q, keys, picked, b, t, h, g, scale, p)
                total = ZERO
                for m in range(n):
                    p[m] = exp(p[m] - lse[b, t, h])
                    s, d = picked[b, t, m], ZERO
                    for i in range(K):
                        d += do[b, t, h, i] * values[b, s, g, i]
                    dp[m] = d
                    total += p[m] * d
                for m in range(n):
                    s, each = picked[b, t, m], p[m]
                    ds = each * (dp[m] - total) * scale
                    for i in range(K):
                        dq[b, t, h, i] += ds * keys[b, s, g, i]
                    for i in range(K):
                        dk[b, s, g, i] += ds * q[b, t, h, i]
                    for i in range(K):
                        dv[b, s, g, i] += each * do[b, t, h, i]
