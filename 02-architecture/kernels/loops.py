"""The loops of the fast kernels: Numba, serial, `nogil`; `fast.py` gives them their arguments.

Loops over contiguous float32 rows that LLVM vectorizes for this CPU; what they share is in `scalars.py`.
`nnan` appears only in the search for a maximum, and a NaN still shows in the sum that follows.
"""

import numpy as np
from numba import njit

from chronos.architecture.kernels.scalars import (
    FLAGS,
    HALF,
    ONE,
    THREE,
    TWO,
    ZERO,
    exact,
    exp,
    f32,
    jit,
    tanh,
)  # fmt: skip

_GELU_A, _GELU_B = f32(0.7978845608028654), f32(0.044715)


@njit(cache=True, nogil=True, fastmath=FLAGS | {"nnan"}, error_model="numpy")
def _row_max(x):
    a, b, c, d = x[0], x[0], x[0], x[0]  # four chains: one would wait for each comparison
    whole = x.size // 4 * 4
    for i in range(0, whole, 4):
        a, b, c, d = max(a, x[i]), max(b, x[i + 1]), max(c, x[i + 2]), max(d, x[i + 3])
    for i in range(whole, x.size):
        a = max(a, x[i])
    return max(max(a, b), max(c, d))


@jit
def gelu(x, y):
    for i in range(x.size):
        v = x[i]
        y[i] = HALF * v * (ONE + tanh(_GELU_A * (v + _GELU_B * v * v * v)))


@jit
def gelu_backward(dy, x, dx):
    for i in range(x.size):
        v = x[i]
        t = tanh(_GELU_A * (v + _GELU_B * v * v * v))
        slope = HALF * v * (ONE - t * t) * _GELU_A * (ONE + THREE * _GELU_B * v * v)
        dx[i] = dy[i] * (HALF * (ONE + t) + slope)


@jit
def relu2(x, y):
    for i in range(x.size):
        v = x[i]
        v = ZERO if v < ZERO else v
        y[i] = v * v


@jit
def relu2_backward(dy, x, dx):
    for i in range(x.size):
        v = x[i]
        v = ZERO if v < ZERO else v
        dx[i] = TWO * v * dy[i]


@jit
def swiglu(x, y):
    F = y.shape[1]
    for r in range(x.shape[0]):
        for i in range(F):
            g = x[r, i]
            y[r, i] = g / (ONE + exp(-g)) * x[r, F + i]


@jit
def _swiglu_gate(dy, g, u, dg):
    for i in range(dy.size):
        s = ONE / (ONE + exp(-g[i]))
        dg[i] = dy[i] * u[i] * s * (ONE + g[i] * (ONE - s))


@jit
def _swiglu_value(dy, g, du):
    for i in range(dy.size):
        du[i] = dy[i] * g[i] / (ONE + exp(-g[i]))


@jit
def swiglu_backward(dy, x, dx):
    F = dy.shape[1]
    for r in range(x.shape[0]):  # a loop for each target: two in one are not vectorized
        _swiglu_gate(dy[r], x[r, :F], x[r, F:], dx[r, :F])
        _swiglu_value(dy[r], x[r, :F], dx[r, F:])


@jit
def layer_norm(x, w, b, eps, y, mean, rstd):
    R, D = x.shape
    over = ONE / f32(D)
    for r in range(R):
        total = ZERO
        for i in range(D):
            total += x[r, i]
        mu = total * over
        square = ZERO
        for i in range(D):
            d = x[r, i] - mu
            square += d * d
        s = ONE / np.sqrt(square * over + eps)
        mean[r], rstd[r] = mu, s
        for i in range(D):
            y[r, i] = (x[r, i] - mu) * s * w[i] + b[i]


@jit
def layer_norm_backward(dy, x, w, mean, rstd, dx, dw, db):
    R, D = x.shape
    over = ONE / f32(D)
    for r in range(R):
        mu, s = mean[r], rstd[r]
        a, c = ZERO, ZERO
        for i in range(D):
            dh = dy[r, i] * w[i]
            a += dh
            c += dh * (x[r, i] - mu)
        a, c = a * over, c * s * over
        for i in range(D):
            h = (x[r, i] - mu) * s
            g = dy[r, i]
            dx[r, i] = (g * w[i] - a - h * c) * s
            dw[i] += g * h
            db[i] += g


@jit
def rms_norm(x, w, eps, y, rstd):
    R, D = x.shape
    over = ONE / f32(D)
    for r in range(R):
        square = ZERO
        for i in range(D):
            square += x[r, i] * x[r, i]
        s = ONE / np.sqrt(square * over + eps)
        rstd[r] = s
        for i in range(D):
            y[r, i] = x[r, i] * s * w[i]


@jit
def rms_norm_backward(dy, x, w, rstd, dx, dw):
    R, D = x.shape
    over = ONE / f32(D)
    for r in range(R):
        s = rstd[r]
        c = ZERO
        for i in range(D):
            c += dy[r, i] * w[i] * x[r, i]
        c *= s * over
        for i in range(D):
            h = x[r, i] * s
            dx[r, i] = (dy[r, i] * w[i] - h * c) * s
            dw[i] += dy[r, i] * h


@jit
def qk_norm(x, w, eps, y, rstd):
    R, H, K = x.shape
    over = ONE / f32(K)
    for r in range(R):
        for h in range(H):
            if h < w.shape[0]:
                square = ZERO
                for i in range(K):
                    square += x[r, h, i] * x[r, h, i]
                s = ONE / np.sqrt(square * over + eps)
                rstd[r, h] = s
                for i in range(K):
                    y[r, h, i] = x[r, h, i] * s * w[h, i]
            else:
                for i in range(K):
                    y[r, h, i] = x[r, h, i]


@jit
def qk_norm_backward(dy, x, w, rstd, dx, dw):
    R, H, K = x.shape
    over = ONE / f32(K)
    for r in range(R):
        for h in range(H):
            if h < w.shape[0]:
                s = rstd[r, h]
                c = ZERO
                for i in range(K):
                    c += dy[r, h, i] * w[h, i] * x[r, h, i]
                c *= s * over
                for i in range(K):
                    n = x[r, h, i] * s
                    dx[r, h, i] = (dy[r, h, i] * w[h, i] - n * c) * s
                    dw[h, i] += dy[r, h, i] * n
            else:
                for i in range(K):
                    dx[r, h, i] = dy[r, h, i]


@jit
def rotary(x, cos, sin, heads, y):
    R, H, K = x.shape
    half = K // 2
    for r in range(R):
        for h in range(H):
            if h < heads:
                for i in range(half):
                    a, b, c, s = x[r, h, i], x[r, h, half + i], cos[r, i], sin[r, i]
                    y[r, h, i] = a * c - b * s
                    y[r, h, half + i] = b * c + a * s
            else:
                for i in range(K):
                    y[r, h, i] = x[r, h, i]


@jit
def softmax_visible(s, visible, scale, lse):
    B, H, T, S = s.shape
    for b in range(B):
        for h in range(H):
            for t in range(T):
                row, n = s[b, h, t], visible[b, t]
                top = _row_max(row[:n]) * scale
                total = ZERO
                for i in range(n):
                    e = exp(row[i] * scale - top)
                    row[i] = e
                    total += e
                over = ONE / total
                for i in range(n):
                    row[i] *= over
                for i in range(n, S):
                    row[i] = ZERO
                lse[b, h, t] = top + np.log(total)


@jit
def softmax_again(s, lse, visible, scale):
    B, H, T, S = s.shape
    for b in range(B):
        for h in range(H):
            for t in range(T):
                row, n, z = s[b, h, t], visible[b, t], lse[b, h, t]
                for i in range(n):
                    row[i] = exp(row[i] * scale - z)
                for i in range(n, S):
                    row[i] = ZERO


@jit
def softmax_backward(p, dp, delta, scale):
    R, S = p.shape
    for r in range(R):
        d = delta[r]
        for i in range(S):
            dp[r, i] = p[r, i] * (dp[r, i] - d) * scale


@jit
def cross_entropy(logits, targets, scale, losses):
    R, E = logits.shape
    for r in range(R):
        row, target = logits[r], targets[r]
        if target < 0:
            losses[r] = ZERO
            for i in range(E):
                row[i] = ZERO
            continue
        top = _row_max(row)
        hit = row[target] - top
        total = ZERO
        for i in range(E):
            e = exp(row[i] - top)
            row[i] = e
            total += e
        losses[r] = np.log(total) - hit
        over = scale / total
        for i in range(E):
            row[i] *= over
        row[target] -= scale


@jit
def embedding_backward(dy, ids, out):
    for r in range(ids.size):
        row = ids[r]
        for i in range(dy.shape[1]):
            out[row, i] += dy[r, i]


@exact
def _mix(h):
    """Wellons' lowbias32; every step is cut back to 32 bits, for Numba widens uint32 products."""
    h = np.uint32(h ^ (h >> np.uint32(16)))
    h = np.uint32(h * np.uint32(0x7FEB352D))
    h = np.uint32(h ^ (h >> np.uint32(15)))
    h = np.uint32(h * np.uint32(0x846CA68B))
    return np.uint32(h ^ (h >> np.uint32(16)))


@jit
def dropout(x, threshold, low, high, over, y):
    for i in range(x.size):
        h = _mix(np.uint32(np.uint32(np.uint32(i) * np.uint32(0x9E3779B9)) + low))
        h = _mix(np.uint32(h ^ high))
        y[i] = x[i] * over if h >= threshold else ZERO


@jit
def adamw(w, g, m, v, lr, b1, b2, c1, c2, eps, shrink, fix1, fix2, clip):
    for i in range(w.size):
        gi = g[i] * clip
        mi = b1 * m[i] + c1 * gi
        vi = b2 * v[i] + c2 * gi * gi
        m[i], v[i] = mi, vi
        w[i] = w[i] * shrink - lr * (mi * fix1) / (np.sqrt(vi * fix2) + eps)
