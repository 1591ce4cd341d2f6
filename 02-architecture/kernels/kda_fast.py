"""The fast twins of `kda_plain.py`: float32, Numba, serial, `nogil`. It checks nothing; the ops have.

The recurrence itself, not its chunked form: a head's state (4 KiB at 32 × 32) stays in the first cache, a
token costs four multiply-adds an element of it in one pass, and there is neither a K/e^G nor a triangular
system. At these widths that is less work than the chunk's exponentials alone. Inner loops index from 0
into whole arrays: a slice is a counted reference to Numba, an offset may be negative, and both cost fivefold.
"""

import numpy as np

from chronos.architecture.kernels.kda_plain import CHUNK
from chronos.architecture.kernels.scalars import ONE, ZERO, exp, f32, jit, sigmoid, softplus
from chronos.architecture.kernels.workspace import empty, empty_like, zeros


def kda(x, g, beta, lengths, state):
    B, H, V, K = state.shape
    T = x.shape[1]
    o, after = empty((B, T, H * V)), state.copy()
    starts = empty((B, H, -(-T // CHUNK), V, K))
    _kda(*(np.ascontiguousarray(a) for a in (x, g, beta, lengths)), after, o, starts)
    return o, after, starts


def kda_backward(do, x, g, beta, lengths, starts):
    dx, dg, dbeta = empty_like(x), empty_like(g), empty_like(beta)
    _kda_backward(*(np.ascontiguousarray(a) for a in (do, x, g, beta, lengths, starts)), dx, dg, dbeta)
    return dx, dg, dbeta


def short_conv(x, w, past):
    y = empty_like(x)
    _short_conv(np.ascontiguousarray(x), w, np.ascontiguousarray(past), y)
    return y


def short_conv_backward(dy, x, w, past):
    dx, dw = zeros(x.shape), zeros(w.shape)
    _short_conv_backward(*(np.ascontiguousarray(a) for a in (dy, x, w, past)), dx, dw)
    return dx, dw


def decay_gate(x, rate, bias):
    g = empty_like(x)
    _decay_gate(np.ascontiguousarray(x), rate, bias, g)
    return g


def decay_gate_backward(dg, x, rate, bias):
    dx, drate, dbias = empty_like(x), zeros(rate.shape), zeros(bias.shape)
    _decay_gate_backward(np.ascontiguousarray(dg), np.ascontiguousarray(x), rate, bias, dx, drate, dbias)
    return dx, drate, dbias


def gated_norm(x, z, w, eps):
    y, rstd = empty_like(x), empty(len(x))
    _gated_norm(np.ascontiguousarray(x), np.ascontiguousarray(z), w, f32(eps), y, rstd)
    return y, rstd


def gated_norm_backward(dy, x, z, w, rstd):
    dx, dz, dw = empty_like(x), empty_like(z), zeros(w.shape)
    _gated_norm_backward(*(np.ascontiguousarray(a) for a in (dy, x, z)), w, rstd, dx, dz, dw)
    return dx, dz, dw


@jit
def _load(x, g, b, first, size, h, q, k, v, a):
    """Rows of q, k, v and e^g of one head and `size` tokens from `first` on, into arrays of their own.

    Indices that begin at 0 are what makes the loops over them vectorize.
    """
    K, V, H = q.shape[1], v.shape[1], g.shape[2] // q.shape[1]
    for r in range(size):
        row = x[b, first + r]
        q[r], k[r] = row[h * K : h * K + K], row[(H + h) * K : (H + h + 1) * K]
        v[r], a[r] = row[2 * H * K + h * V : 2 * H * K + h * V + V], g[b, first + r, h * K : h * K + K]
        for i in range(K):
            a[r, i] = exp(a[r, i])


@jit
def _chunk(q, k, v, a, beta, size, S, o):
    """`size` tokens of one head: S becomes the state behind them, o (CHUNK, V) what they read."""
    V, K = S.shape
    n = np.zeros(V, np.float32)
    for r in range(size):
        along = ZERO
        before = r - 1 if r else 0  # nothing has been written before the first
        for i in range(K):
            along += k[r, i] * q[r, i]
        for j in range(V):  # the last token's write, the decay and both products in one pass
            known, asked, wrote = ZERO, ZERO, n[j]
            for i in range(K):
                s = a[r, i] * (S[j, i] + wrote * k[before, i])
                S[j, i] = s
                known += s * k[r, i]
                asked += s * q[r, i]
            wrote = beta[r] * (v[r, j] - known)
            n[j] = wrote
            o[r, j] = asked + wrote * along
    for j in range(V):
        wrote = n[j]
        for i in range(K):
            S[j, i] += wrote * k[size - 1, i]


@jit
def _kda(x, g, beta, lengths, state, o, starts):
    B, H, V, K = state.shape
    T = x.shape[1]
    q, k, a = np.empty((CHUNK, K), f32), np.empty((CHUNK, K), f32), np.empty((CHUNK, K), f32)
    v, out, most = np.empty((CHUNK, V), f32), np.empty((CHUNK, V), f32), np.empty(CHUNK, f32)
    for b in range(B):
        last = min(T, lengths[b])
        o[b, last:] = ZERO
        for h in range(H):
            S = state[b, h]
            for first in range(0, last, CHUNK):
                size = min(CHUNK, last - first)
                starts[b, h, first // CHUNK] = S
                _load(x, g, b, first, size, h, q, k, v, a)
                most[:size] = beta[b, first : first + size, h]
                _chunk(q, k, v, a, most, size, S, out)
                o[b, first : first + size, h * V : h * V + V] = out[:size]
            for c in range((last + CHUNK - 1) // CHUNK, starts.shape[2]):
                starts[b, h, c] = S


@jit
def _again(k, v, a, beta, size, start, decayed, miss):
    """The decayed states S' (CHUNK, V, K) of a chunk and v − S'ᵀk (CHUNK, V), computed once more."""
    V, K = start.shape
    for r in range(size):
        for j in range(V):
            known = ZERO
            if r == 0:
                for i in range(K):
                    s = a[0, i] * start[j, i]
                    decayed[0, j, i] = s
                    known += s * k[0, i]
            else:
                wrote = beta[r - 1] * miss[r - 1, j]
                for i in range(K):
                    s = a[r, i] * (decayed[r - 1, j, i] + wrote * k[r - 1, i])
                    decayed[r, j, i] = s
                    known += s * k[r, i]
            miss[r, j] = v[r, j] - known


@jit
def _token_backward(q, k, a, r, out, most, decayed, miss, dS, dv, dq, dk, dg):
    """Token r of a chunk, backward: dS becomes the slope of the state before it. Returns dβ."""
    V, K = dS.shape
    strength, along, asked = ZERO, ZERO, ZERO
    for i in range(K):
        asked += q[r, i] * k[r, i]
        dq[r, i], dk[r, i], dg[r, i] = ZERO, ZERO, ZERO
    for j in range(V):
        o, wrote, dn = out[r, j], most * miss[r, j], ZERO
        for i in range(K):
            dn += dS[j, i] * k[r, i]
        dn += o * asked
        along += wrote * o
        strength += dn * miss[r, j]
        dn *= most
        dv[r, j] = dn
        for i in range(K):
            s = decayed[r, j, i]
            d = dS[j, i] + q[r, i] * o
            dq[r, i] += s * o
            dk[r, i] += d * wrote - s * dn
            d -= k[r, i] * dn
            dg[r, i] += d * s
            dS[j, i] = a[r, i] * d
    for i in range(K):
        dq[r, i] += k[r, i] * along
    return strength


@jit
def _kda_backward(do, x, g, beta, lengths, starts, dx, dg, dbeta):
    B, H, _, V, K = starts.shape
    T = x.shape[1]
    q, k, a = np.empty((CHUNK, K), f32), np.empty((CHUNK, K), f32), np.empty((CHUNK, K), f32)
    v, out, miss = np.empty((CHUNK, V), f32), np.empty((CHUNK, V), f32), np.empty((CHUNK, V), f32)
    most, dS, decayed = np.empty(CHUNK, f32), np.empty((V, K), f32), np.empty((CHUNK, V, K), f32)
    dq, dk, dv = np.empty((CHUNK, K), f32), np.empty((CHUNK, K), f32), np.empty((CHUNK, V), f32)
    dgate = np.empty((CHUNK, K), f32)
    for b in range(B):
        last = min(T, lengths[b])
        dx[b, last:], dg[b, last:], dbeta[b, last:] = ZERO, ZERO, ZERO
        for h in range(H):
            dS[:] = ZERO
            for first in range((last - 1) // CHUNK * CHUNK, -1, -CHUNK):
                size = min(CHUNK, last - first)
                cut = slice(first, first + size)
                _load(x, g, b, first, size, h, q, k, v, a)
                most[:size], out[:size] = beta[b, cut, h], do[b, cut, h * V : h * V + V]
                _again(k, v, a, most, size, starts[b, h, first // CHUNK], decayed, miss)
                for r in range(size - 1, -1, -1):
                    dbeta[b, first + r, h] = _token_backward(
                        q, k, a, r, out, most[r], decayed, miss, dS, dv, dq, dk, dgate
                    )
                dx[b, cut, h * K : h * K + K], dg[b, cut, h * K : h * K + K] = dq[:size], dgate[:size]
                dx[b, cut, (H + h) * K : (H + h + 1) * K] = dk[:size]
                dx[b, cut, 2 * H * K + h * V : 2 * H * K + h * V + V] = dv[:size]


@jit
def _short_conv(x, w, past, y):
    B, T, F = x.shape
    W = w.shape[0]
    for b in range(B):
        for t in range(T):
            out = y[b, t]
            out[:] = ZERO
            for j in range(W):
                s, tap = t - W + 1 + j, w[j]
                row = x[b, s] if s >= 0 else past[b, W - 1 + s]
                for i in range(F):
                    out[i] += tap[i] * row[i]
            for i in range(F):
                out[i] *= sigmoid(out[i])


@jit
def _short_conv_backward(dy, x, w, past, dx, dw):
    B, T, F = x.shape
    W = w.shape[0]
    dc = np.empty(F, np.float32)
    for b in range(B):
        for t in range(T):
            dc[:] = ZERO
            for j in range(W):
                s, tap = t - W + 1 + j, w[j]
                row = x[b, s] if s >= 0 else past[b, W - 1 + s]
                for i in range(F):
                    dc[i] += tap[i] * row[i]
            slope = dy[b, t]
            for i in range(F):
                s_ = sigmoid(dc[i])
                dc[i] = slope[i] * s_ * (ONE + dc[i] * (ONE - s_))
            for j in range(W):
                s, tap, dtap = t - W + 1 + j, w[j], dw[j]
                row = x[b, s] if s >= 0 else past[b, W - 1 + s]
                for i in range(F):
                    dtap[i] += row[i] * dc[i]
                if s >= 0:
                    into = dx[b, s]
                    for i in range(F):
                        into[i] += tap[i] * dc[i]


@jit
def _decay_gate(x, rate, bias, g):
    R, F = x.shape
    K = F // rate.size
    for h in range(rate.size):
        each = -np.exp(rate[h])
        for r in range(R):
            row, out, shift = x[r, h * K : h * K + K], g[r, h * K : h * K + K], bias[h * K : h * K + K]
            for i in range(K):
                out[i] = each * softplus(row[i] + shift[i])


@jit
def _decay_gate_backward(dg, x, rate, bias, dx, drate, dbias):
    R, F = x.shape
    K = F // rate.size
    for h in range(rate.size):
        each, total = -np.exp(rate[h]), ZERO
        shift, dshift = bias[h * K : h * K + K], dbias[h * K : h * K + K]
        for r in range(R):
            row, slope = x[r, h * K : h * K + K], dg[r, h * K : h * K + K]
            into = dx[r, h * K : h * K + K]
            for i in range(K):
                z = row[i] + shift[i]
                d = slope[i] * each
                total += d * softplus(z)
                d *= sigmoid(z)
                into[i] = d
                dshift[i] += d
        drate[h] = total


@jit
def _gated_norm(x, z, w, eps, y, rstd):
    R, V = x.shape
    over = ONE / f32(V)
    for r in range(R):
        square = ZERO
        for i in range(V):
            square += x[r, i] * x[r, i]
        s = ONE / np.sqrt(square * over + eps)
        rstd[r] = s
        for i in range(V):
            y[r, i] = x[r, i] * s * w[i] * sigmoid(z[r, i])


@jit
def _gated_norm_backward(dy, x, z, w, rstd, dx, dz, dw):
    R, V = x.shape
    over = ONE / f32(V)
    for r in range(R):
        s, c = rstd[r], ZERO
        for i in range(V):
            gate, h = sigmoid(z[r, i]), x[r, i] * s
            open_ = dy[r, i] * gate
            dw[i] += open_ * h
            dh = open_ * w[i]
            dx[r, i] = dh
            c += dh * h
            dz[r, i] = dh * h * (ONE - gate)
        c *= over
        for i in range(V):
            dx[r, i] = (dx[r, i] - x[r, i] * s * c) * s
