"""The loops of the fast kernels: Numba, serial, `nogil`; `fast.py` gives them their arguments.

Loops over contiguous float32 rows that LLVM vectorizes for this CPU. `exp` and `tanh` are polynomials,
because Numba's `math.exp` has no vector form. No `fastmath=True`, which would let NaN guards vanish:
`nnan` appears only in the search for a maximum, and a NaN still shows in the sum that follows.
"""

import numpy as np
from numba import njit

f32 = np.float32
_FLAGS = {"contract", "reassoc", "nsz", "arcp"}
_jit = njit(cache=True, nogil=True, fastmath=_FLAGS, error_model="numpy")
# Never inline="always" here: Numba would then compile the rounding trick under its caller's `reassoc`.
_exact = njit(cache=True, nogil=True, fastmath={"contract"}, error_model="numpy")

ZERO, HALF, ONE, TWO, THREE = f32(0), f32(0.5), f32(1), f32(2), f32(3)
_LOW, _HIGH = f32(-88), f32(89)  # 2ⁿ is 0 at the one and infinity at the other, as eˣ should be
_LOG2E, _LN2_HIGH, _LN2_LOW = f32(1.4426950408889634), f32(0.693359375), f32(-2.12194440e-4)
_ROUND = f32(12582912.0)  # adding and subtracting 1.5·2²³ rounds to an integer
_E0, _E1, _E2 = f32(1.9875691500e-4), f32(1.3981999507e-3), f32(8.3334519073e-3)
_E3, _E4, _E5 = f32(4.1665795894e-2), f32(1.6666665459e-1), f32(5.0000001201e-1)
_BIAS, _MANTISSA = np.int32(127), np.int32(23)
_GELU_A, _GELU_B = f32(0.7978845608028654), f32(0.044715)


@_exact
def _exp(x):
    """eˣ to 1 ulp (Cephes' polynomial): x = n ln 2 + r, eˣ = 2ⁿ · eʳ; NaN stays NaN.

    Where eˣ is no normal number it is 0 or infinity (a little early: below −87.68 and above 88.37).
    """
    x = _LOW if x < _LOW else x
    x = _HIGH if x > _HIGH else x
    n = (x * _LOG2E + _ROUND) - _ROUND
    r = x - n * _LN2_HIGH - n * _LN2_LOW
    p = ((((_E0 * r + _E1) * r + _E2) * r + _E3) * r + _E4) * r + _E5
    p = p * (r * r) + r + ONE
    return p * np.int32((np.int32(n) + _BIAS) << _MANTISSA).view(np.float32)


@_exact
def _tanh(x):
    """tanh x = 1 − 2/(e²ˣ + 1): absolute error within 1e-7."""
    return ONE - TWO / (_exp(TWO * x) + ONE)


@njit(cache=True, nogil=True, fastmath=_FLAGS | {"nnan"}, error_model="numpy")
def _row_max(x):
    a, b, c, d = x[0], x[0], x[0], x[0]  # four chains: one would wait for each comparison
    whole = x.size // 4 * 4
    for i in range(0, whole, 4):
        a, b, c, d = max(a, x[i]), max(b, x[i + 1]), max(c, x[i + 2]), max(d, x[i + 3])
    for i in range(whole, x.size):
        a = max(a, x[i])
    return max(max(a, b), max(c, d))


@_jit
def gelu(x, y):
    for i in range(x.size):
        v = x[i]
        y[i] = HALF * v * (ONE + _tanh(_GELU_A * (v + _GELU_B * v * v * v)))


@_jit
def gelu_backward(dy, x, dx):
    for i in range(x.size):
        v = x[i]
        t = _tanh(_GELU_A * (v + _GELU_B * v * v * v))
        slope = HALF * v * (ONE - t * t) * _GELU_A * (ONE + THREE * _GELU_B * v * v)
        dx[i] = dy[i] * (HALF * (ONE + t) + slope)


@_jit
def relu2(x, y):
    for i in range(x.size):
        v = x[i]
        v = ZERO if v < ZERO else v
        y[i] = v * v


@_jit
def relu2_backward(dy, x, dx):
    for i in range(x.size):
        v = x[i]
        v = ZERO if v < ZERO else v
        dx[i] = TWO * v * dy[i]


@_jit
def swiglu(x, y):
    F = y.shape[1]
    for r in range(x.shape[0]):
        for i in range(F):
            g = x[r, i]
            y[r, i] = g / (ONE + _exp(-g)) * x[r, F + i]


@_jit
def _swiglu_gate(dy, g, u, dg):
    for i in range(dy.size):
        s = ONE / (ONE + _exp(-g[i]))
        dg[i] = dy[i] * u[i] * s * (ONE + g[i] * (ONE - s))


@_jit
def _swiglu_value(dy, g, du):
    for i in range(dy.size):
        du[i] = dy[i] * g[i] / (ONE + _exp(-g[i]))


@_jit
def swiglu_backward(dy, x, dx):
    F = dy.shape[1]
    for r in range(x.shape[0]):  # a loop for each target: two in one are not vectorized
        _swiglu_gate(dy[r], x[r, :F], x[r, F:], dx[r, :F])
        _swiglu_value(dy[r], x[r, :F], dx[r, F:])


@_jit
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


@_jit
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


@_jit
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


@_jit
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


@_jit
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


@_jit
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


@_jit
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


@_jit
def softmax_visible(s, visible, scale, lse):
    B, H, T, S = s.shape
    for b in range(B):
        for h in range(H):
            for t in range(T):
                row, n = s[b, h, t], visible[b, t]
                top = _row_max(row[:n]) * scale
                total = ZERO
                for i in range(n):
                    e = _exp(row[i] * scale - top)
                    row[i] = e
                    total += e
                over = ONE / total
                for i in range(n):
                    row[i] *= over
                for i in range(n, S):
                    row[i] = ZERO
                lse[b, h, t] = top + np.log(total)


@_jit
def softmax_again(s, lse, visible, scale):
    B, H, T, S = s.shape
    for b in range(B):
        for h in range(H):
            for t in range(T):
                row, n, z = s[b, h, t], visible[b, t], lse[b, h, t]
                for i in range(n):
                    row[i] = _exp(row[i] * scale - z)
                for i in range(n, S):
                    row[i] = ZERO


@_jit
def softmax_backward(p, dp, delta, scale):
    R, S = p.shape
    for r in range(R):
        d = delta[r]
        for i in range(S):
            dp[r, i] = p[r, i] * (dp[r, i] - d) * scale


@_jit
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
            e = _exp(row[i] - top)
            row[i] = e
            total += e
        losses[r] = np.log(total) - hit
        over = scale / total
        for i in range(E):
            row[i] *= over
        row[target] -= scale


@_jit
def embedding_backward(dy, ids, out):
    for r in range(ids.size):
        row = ids[r]
        for i in range(dy.shape[1]):
            out[row, i] += dy[r, i]


@_exact
def _mix(h):
    """Wellons' lowbias32; every step is cut back to 32 bits, for Numba widens uint32 products."""
    h = np.uint32(h ^ (h >> np.uint32(16)))
    h = np.uint32(h * np.uint32(0x7FEB352D))
    h = np.uint32(h ^ (h >> np.uint32(15)))
    h = np.uint32(h * np.uint32(0x846CA68B))
    return np.uint32(h ^ (h >> np.uint32(16)))


@_jit
def dropout(x, threshold, low, high, over, y):
    for i in range(x.size):
        h = _mix(np.uint32(np.uint32(np.uint32(i) * np.uint32(0x9E3779B9)) + low))
        h = _mix(np.uint32(h ^ high))
        y[i] = x[i] * over if h >= threshold else ZERO


@_jit
def adamw(w, g, m, v, lr, b1, b2, c1, c2, eps, shrink, fix1, fix2, clip):
    for i in range(w.size):
        gi = g[i] * clip
        mi = b1 * m[i] + c1 * gi
        vi = b2 * v[i] + c2 * gi * gi
        m[i], v[i] = mi, vi
        w[i] = w[i] * shrink - lr * (mi * fix1) / (np.sqrt(vi * fix2) + eps)
