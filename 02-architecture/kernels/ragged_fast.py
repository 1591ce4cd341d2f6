"""The fast twins of `ragged_plain.py`: float32, Numba, serial, `nogil`. It checks nothing; the ops have.

Inner loops run along a head or a row and index it from 0: an offset may be negative to Numba, which keeps a
loop from being vectorized. Keys are taken four at a time, so that what is read of a query serves four; where
fewer are left the last is read again with weight 0. Forward and back of 6,000 tokens in sentences of eight
take 4.8 ms; by single keys, with offsets and the library's exponential, 16. Copying a head's keys together
first made it slower (backward 5.7 for 3.4), and so did `_recall` as one product of all shares and sentences.
"""

import math

import numpy as np
from numba import njit

from chronos.architecture.kernels.ragged_plain import REACH
from chronos.architecture.kernels.scalars import FLAGS, ONE, ZERO, exp, f32, jit
from chronos.architecture.kernels.workspace import empty, empty_like, zeros

_LEAST = f32(-3e38)

# A call for a head's few scores costs more than they do: backward took twice as long.
inlined = njit(cache=True, nogil=True, fastmath=FLAGS, error_model="numpy", forceinline=True)


def ragged_attention(q, kv, q_ends, k_ends, heads, causal):
    o, lse = empty_like(q), empty((len(q), heads))
    row = empty(_longest(k_ends) + 4)
    over = f32(1 / math.sqrt(q.shape[1] // heads))
    _attention(
        _heads(q, heads), _heads(kv, 2, heads), q_ends, k_ends, causal, over, row, _heads(o, heads), lse
    )
    return o, lse


def ragged_attention_backward(do, q, kv, q_ends, k_ends, heads, causal, o, lse):
    dq, dkv = empty_like(q), zeros(kv.shape)
    rows = empty((2, _longest(k_ends) + 4))
    over = f32(1 / math.sqrt(q.shape[1] // heads))
    _attention_backward(
        _heads(do, heads), _heads(q, heads), _heads(kv, 2, heads), q_ends, k_ends, causal, over,
        rows[0], rows[1], _heads(o, heads), lse, _heads(dq, heads), _heads(dkv, 2, heads),
    )  # fmt: skip
    return dq, dkv


def ragged_conv(x, w, ends):
    y = empty_like(x)
    _conv(np.ascontiguousarray(x), _scaled(w), ends, y)
    return y


def ragged_conv_backward(dy, x, w, ends):
    dx, dw = empty_like(x), zeros(w.shape)
    _conv_backward(np.ascontiguousarray(dy), np.ascontiguousarray(x), _scaled(w), ends, dx, dw)
    return dx, _scaled(dw)


def ragged_pool(scores, x, ends):
    p, y = empty_like(scores), zeros((len(ends), scores.shape[1], x.shape[1]))
    _pool(np.ascontiguousarray(scores), np.ascontiguousarray(x), ends, p, y)
    return y, p


def ragged_pool_backward(dy, p, x, ends):
    dscores, dx = empty_like(p), zeros(x.shape)
    _pool_backward(np.ascontiguousarray(dy), p, np.ascontiguousarray(x), ends, dscores, dx)
    return dscores, dx


def recall_words(shares, h, idx, ends, slots, length):
    out = zeros((len(shares), slots, h.shape[1]))
    at = np.empty((2, idx.shape[1] + 4), np.int64)
    _recall(np.ascontiguousarray(shares), np.ascontiguousarray(h), idx, ends, length, at, out)
    return out


def recall_words_backward(dout, shares, h, idx, ends, length):
    dshares, dh = zeros(shares.shape), zeros(h.shape)
    arrays = (np.ascontiguousarray(a) for a in (dout, shares, h))
    _recall_backward(*arrays, idx, ends, length, dshares, dh)
    return dshares, dh


def mark_shares(shares, marks, kinds):
    w = zeros((len(shares), marks.shape[2], kinds))
    _marks(np.ascontiguousarray(shares), marks, w)
    return w


def mark_shares_backward(dw, shares, marks):
    dshares = zeros(shares.shape)
    _marks_backward(np.ascontiguousarray(dw), marks, dshares)
    return dshares


def _heads(x, *parts):
    return np.ascontiguousarray(x).reshape(len(x), *parts, x.shape[1] // math.prod(parts))


def _longest(ends):
    return int(max(ends[0], (ends[1:] - ends[:-1]).max(initial=0))) if len(ends) else 0


def _scaled(w):
    return w * np.array(REACH, np.float32)[:, None]


@inlined
def _dots(x, r, h, kv, part, first, count, s):
    """s[j] = x[r, h] · kv[first + j, part, h]; up to three more elements of s repeat the last."""
    for j in range(0, count, 4):
        c0, c1 = first + j, first + min(j + 1, count - 1)
        c2, c3 = first + min(j + 2, count - 1), first + min(j + 3, count - 1)
        t0, t1, t2, t3 = ZERO, ZERO, ZERO, ZERO
        for d in range(x.shape[2]):
            a = x[r, h, d]
            t0 += a * kv[c0, part, h, d]
            t1 += a * kv[c1, part, h, d]
            t2 += a * kv[c2, part, h, d]
            t3 += a * kv[c3, part, h, d]
        s[j], s[j + 1], s[j + 2], s[j + 3] = t0, t1, t2, t3


@inlined
def _weigh(s, kv, part, first, count, y, r, h):
    """y[r, h] = Σ_j s[j] kv[first + j, part, h]; the three elements of s behind the last are overwritten."""
    s[count], s[count + 1], s[count + 2] = ZERO, ZERO, ZERO
    for d in range(y.shape[2]):
        y[r, h, d] = ZERO
    for j in range(0, count, 4):
        c0, c1 = first + j, first + min(j + 1, count - 1)
        c2, c3 = first + min(j + 2, count - 1), first + min(j + 3, count - 1)
        s0, s1, s2, s3 = s[j], s[j + 1], s[j + 2], s[j + 3]
        for d in range(y.shape[2]):
            y[r, h, d] += (
                s0 * kv[c0, part, h, d]
                + s1 * kv[c1, part, h, d]
                + s2 * kv[c2, part, h, d]
                + s3 * kv[c3, part, h, d]
            )


@inlined
def _softmax(s, count, over):
    """s[:count] ← softmax(over · s); returns the logarithm of the sum. Four chains find the largest."""
    top0, top1, top2, top3 = s[0], s[1], s[2], s[3]  # what stands behind the last repeats it
    for j in range(4, count, 4):
        top0, top1 = max(top0, s[j]), max(top1, s[j + 1])
        top2, top3 = max(top2, s[j + 2]), max(top3, s[j + 3])
    top, total = max(max(top0, top1), max(top2, top3)) * over, ZERO
    for j in range(count):
        s[j] = exp(s[j] * over - top)
        total += s[j]
    rest = ONE / total
    for j in range(count):
        s[j] *= rest
    return top + f32(math.log(total))


@jit
def _attention(q, kv, q_ends, k_ends, causal, over, s, o, lse):
    """q and o (n, H, K), kv (m, 2, H, K), lse (n, H); s has room for a row of scores and four more."""
    q0, k0 = 0, 0
    for b in range(q_ends.size):
        for r in range(q0, q_ends[b]):
            seen = k_ends[b] - k0 - (q_ends[b] - 1 - r if causal else 0)
            for h in range(q.shape[1]):
                lse[r, h] = ZERO
                if seen:
                    _dots(q, r, h, kv, 0, k0, seen, s)
                    lse[r, h] = _softmax(s, seen, over)
                _weigh(s, kv, 1, k0, seen, o, r, h)
        q0, k0 = q_ends[b], k_ends[b]


@jit
def _attention_backward(do, q, kv, q_ends, k_ends, causal, over, p, ds, o, lse, dq, dkv):
    _, H, K = q.shape
    q0, k0 = 0, 0
    for b in range(q_ends.size):
        for r in range(q0, q_ends[b]):
            seen = k_ends[b] - k0 - (q_ends[b] - 1 - r if causal else 0)
            for h in range(H):
                delta, log_sum = ZERO, lse[r, h]
                for d in range(K):
                    delta += do[r, h, d] * o[r, h, d]
                _dots(q, r, h, kv, 0, k0, seen, p)
                _dots(do, r, h, kv, 1, k0, seen, ds)
                for j in range(seen):
                    p[j] = exp(p[j] * over - log_sum)
                    ds[j] = p[j] * (ds[j] - delta) * over
                _weigh(ds, kv, 0, k0, seen, dq, r, h)
                for j in range(seen):
                    c, a, e = k0 + j, ds[j], p[j]
                    for d in range(K):
                        dkv[c, 0, h, d] += a * q[r, h, d]
                    for d in range(K):
                        dkv[c, 1, h, d] += e * do[r, h, d]
        q0, k0 = q_ends[b], k_ends[b]


@jit
def _conv(x, w, ends, y):
    """w holds the reach already. The first three tokens of a segment have fewer before them."""
    D, first = x.shape[1], 0
    for end in ends:
        for t in range(first, end):
            if t - first >= 3:
                for d in range(D):
                    y[t, d] = x[t, d] + w[0, d] * x[t - 1, d] + w[1, d] * x[t - 2, d] + w[2, d] * x[t - 3, d]
            else:
                for d in range(D):
                    y[t, d] = x[t, d]
                for j in range(t - first):
                    for d in range(D):
                        y[t, d] += w[j, d] * x[t - 1 - j, d]
        first = end


@jit
def _conv_backward(dy, x, w, ends, dx, dw):
    """dw is of w as it stands here, with the reach in it."""
    D, first = x.shape[1], 0
    for end in ends:
        for t in range(first, end):
            for d in range(D):
                dx[t, d] = dy[t, d]
            for j in range(min(3, end - 1 - t)):
                for d in range(D):
                    dx[t, d] += w[j, d] * dy[t + 1 + j, d]
                for d in range(D):
                    dw[j, d] += x[t, d] * dy[t + 1 + j, d]
        first = end


@jit
def _pool(scores, x, ends, p, y):
    first = 0
    for s in range(ends.size):
        for k in range(p.shape[1]):
            top, total = _LEAST, ZERO
            for t in range(first, ends[s]):
                top = max(top, scores[t, k])
            for t in range(first, ends[s]):
                p[t, k] = exp(scores[t, k] - top)
                total += p[t, k]
            for t in range(first, ends[s]):
                p[t, k] /= total
                for d in range(x.shape[1]):
                    y[s, k, d] += p[t, k] * x[t, d]
        first = ends[s]


@jit
def _pool_backward(dy, p, x, ends, dscores, dx):
    first = 0
    for s in range(ends.size):
        for k in range(p.shape[1]):
            mean = ZERO
            for t in range(first, ends[s]):
                dp, share = ZERO, p[t, k]
                for d in range(x.shape[1]):
                    dp += dy[s, k, d] * x[t, d]
                for d in range(x.shape[1]):
                    dx[t, d] += share * dy[s, k, d]
                dscores[t, k] = dp
                mean += share * dp
            for t in range(first, ends[s]):
                dscores[t, k] = p[t, k] * (dscores[t, k] - mean)
        first = ends[s]


@jit
def _recall(shares, h, idx, ends, length, at, out):
    """Four events at a time; of each slot the sentences that reach so far."""
    B, N = idx.shape
    rows = shares.shape[0] // B if B else 0
    for b in range(B):
        for k in range(length):
            count = 0
            for i in range(N):
                u = idx[b, i]
                t = (ends[u - 1] if u else 0) + k
                if t < ends[u]:
                    at[0, count], at[1, count] = i, t
                    count += 1
            for j in range(0, count, 4):
                i0, t0 = at[0, j], at[1, j]
                i1, t1 = at[0, min(j + 1, count - 1)], at[1, min(j + 1, count - 1)]
                i2, t2 = at[0, min(j + 2, count - 1)], at[1, min(j + 2, count - 1)]
                i3, t3 = at[0, min(j + 3, count - 1)], at[1, min(j + 3, count - 1)]
                for r in range(b * rows, (b + 1) * rows):
                    a0 = shares[r, i0]
                    a1 = shares[r, i1] if j + 1 < count else ZERO
                    a2 = shares[r, i2] if j + 2 < count else ZERO
                    a3 = shares[r, i3] if j + 3 < count else ZERO
                    if a0 == ZERO and a1 == ZERO and a2 == ZERO and a3 == ZERO:
                        continue  # shut out by a mask
                    for d in range(h.shape[1]):
                        out[r, k, d] += a0 * h[t0, d] + a1 * h[t1, d] + a2 * h[t2, d] + a3 * h[t3, d]


@jit
def _recall_backward(dout, shares, h, idx, ends, length, dshares, dh):
    """Four questions at a time share what is read of a token."""
    B, N = idx.shape
    rows = shares.shape[0] // B if B else 0
    for b in range(B):
        last = (b + 1) * rows - 1
        for i in range(N):
            u = idx[b, i]
            first = ends[u - 1] if u else 0
            for t in range(first, min(ends[u], first + length)):
                k = t - first
                for r in range(b * rows, last + 1, 4):
                    r1, r2, r3 = min(r + 1, last), min(r + 2, last), min(r + 3, last)
                    a0 = shares[r, i]
                    a1 = shares[r1, i] if r1 > r else ZERO
                    a2 = shares[r2, i] if r2 > r1 else ZERO
                    a3 = shares[r3, i] if r3 > r2 else ZERO
                    s0, s1, s2, s3 = ZERO, ZERO, ZERO, ZERO
                    for d in range(h.shape[1]):
                        x = h[t, d]
                        g0, g1, g2, g3 = dout[r, k, d], dout[r1, k, d], dout[r2, k, d], dout[r3, k, d]
                        s0 += g0 * x
                        s1 += g1 * x
                        s2 += g2 * x
                        s3 += g3 * x
                        dh[t, d] += a0 * g0 + a1 * g1 + a2 * g2 + a3 * g3
                    dshares[r, i] += s0
                    dshares[r1, i] += s1 if r1 > r else ZERO
                    dshares[r2, i] += s2 if r2 > r1 else ZERO
                    dshares[r3, i] += s3 if r3 > r2 else ZERO


@jit
def _marks(shares, marks, w):
    B, N, M = marks.shape
    rows = shares.shape[0] // B if B else 0
    for b in range(B):
        for r in range(b * rows, (b + 1) * rows):
            for i in range(N):
                a = shares[r, i]
                if a == ZERO:
                    continue
                for m in range(M):
                    if marks[b, i, m] >= 0:
                        w[r, m, marks[b, i, m]] += a


@jit
def _marks_backward(dw, marks, dshares):
    B, N, M = marks.shape
    rows = dshares.shape[0] // B if B else 0
    for b in range(B):
        for r in range(b * rows, (b + 1) * rows):
            for i in range(N):
                total = ZERO
                for m in range(M):
                    if marks[b, i, m] >= 0:
                        total += dw[r, m, marks[b, i, m]]
                dshares[r, i] = total
