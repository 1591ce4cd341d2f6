"""Kimi Delta Attention in plain NumPy: the recurrence that defines it, its chunked form, and both slopes.

Shapes: B batch, T time, H heads, K key width, V value width; x (B, T, H(2K + V)) holds all heads' q, then k,
then v. Any float type. Its fast twin is `kda_fast.py`. Source: Kimi Linear (arXiv 2510.26692).
"""

import numpy as np

CHUNK = 32  # tokens between two states that backward starts from, and the length of a chunk


def heads_of(x: np.ndarray, H: int, K: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Views q, k (B, H, T, K) and v (B, H, T, V) of packed x (B, T, H(2K + V))."""
    B, T, _ = x.shape
    parts = np.split(x, (H * K, 2 * H * K), axis=-1)
    q, k, v = (a.reshape(B, T, H, a.shape[-1] // H).transpose(0, 2, 1, 3) for a in parts)
    return q, k, v


def kda_step(
    x: np.ndarray, g: np.ndarray, beta: np.ndarray, lengths: np.ndarray, state: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The definition, token by token: S ← (I − β k kᵀ) Diag(eᵍ) S + β k vᵀ, o = Sᵀ q.

    x (B, T, H(2K + V)), g (B, T, H·K) ≤ 0, beta (B, T, H), state (B, H, V, K) → o (B, T, H·V) and the state
    after each row's `lengths` (B,) tokens. What follows them is padding: o is 0 there. Arrays hold Sᵀ: a row
    for each value channel, which is a recurrence of its own.
    """
    B, H, V, K = state.shape
    T = x.shape[1]
    q, k, v = heads_of(x, H, K)
    o, S = np.zeros((B, T, H, V), x.dtype), state.copy()
    for t in range(T):
        real = (t < lengths)[:, None, None]
        decayed = S * np.exp(g[:, t]).reshape(B, H, 1, K)
        write = beta[:, t, :, None] * (v[:, :, t] - read(decayed, k[:, :, t]))
        S = np.where(real[..., None], decayed + outer(write, k[:, :, t]), S)
        o[:, t] = np.where(real, read(S, q[:, :, t]), 0)
    return o.reshape(B, T, H * V), S


def read(S: np.ndarray, k: np.ndarray) -> np.ndarray:
    """Sᵀ k: (B, H, V, K) and (B, H, K) → (B, H, V)."""
    return (S @ k[..., None])[..., 0]


def outer(v: np.ndarray, k: np.ndarray) -> np.ndarray:
    """The transpose of k vᵀ: (B, H, V) and (B, H, K) → (B, H, V, K)."""
    return v[..., None] * k[..., None, :]


def kda(
    x: np.ndarray, g: np.ndarray, beta: np.ndarray, lengths: np.ndarray, state: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`kda_step` by chunks (the WY form), and the states (B, H, ⌈T/CHUNK⌉, V, K) at which the chunks start.

    With G the sum of g since the chunk began and S its first state, the writes N solve (I + A) N =
    Diag(β)(V − (e^G ⊙ K) S), A_ij = β_i Σ_d k_id k_jd e^(G_id − G_jd) for j < i. Then
    o_i = (e^(G_i) ⊙ q_i)ᵀ S + Σ_{j≤i} (Σ_d q_id k_jd e^(G_id − G_jd)) n_j. Only differences G_i − G_j ≤ 0 are
    put into an exponential: K/e^G, of which textbooks make a product, overflows float32.
    """
    B, H, V, K = state.shape
    T = x.shape[1]
    real = np.arange(T) < lengths[:, None]
    q, k, v = heads_of(x, H, K)
    g = np.where(real[..., None], g, 0).reshape(B, T, H, K).transpose(0, 2, 1, 3)
    beta = np.where(real[..., None], beta, 0).transpose(0, 2, 1)
    o, S = np.zeros((B, H, T, V), x.dtype), state.copy()
    starts = np.zeros((B, H, -(-T // CHUNK), V, K), x.dtype)
    for n in range(starts.shape[2]):
        cut = slice(n * CHUNK, (n + 1) * CHUNK)
        starts[:, :, n] = S
        o[:, :, cut], S = _chunk(*(a[:, :, cut] for a in (q, k, v, g, beta)), S)
    o *= real[:, None, :, None]
    return o.transpose(0, 2, 1, 3).reshape(B, T, H * V), S, starts


def _chunk(q, k, v, g, beta, S):
    """o (B, H, C, V) of one chunk and the state after it."""
    G = np.cumsum(g, axis=2)
    C = G.shape[2]
    reach = G[:, :, :, None] - G[:, :, None]  # (B, H, i, j, K)
    reach = np.exp(np.where(np.tri(C, dtype=bool)[:, :, None], reach, -np.inf))
    among = np.einsum("bhid,bhjd,bhijd->bhij", k, k, reach) * beta[..., None]
    asked = np.einsum("bhid,bhjd,bhijd->bhij", q, k, reach)
    decay = np.exp(G)
    write = beta[..., None] * (v - (decay * k) @ S.swapaxes(-1, -2))
    for i in range(1, C):  # forward substitution
        write[:, :, i] -= np.einsum("bhj,bhjv->bhv", among[:, :, i, :i], write[:, :, :i])
    left = np.exp(G[:, :, -1:] - G)  # what is left of each key at the chunk's end
    after = S * decay[:, :, -1:] + write.swapaxes(-1, -2) @ (left * k)
    return (decay * q) @ S.swapaxes(-1, -2) + asked @ write, after


def kda_backward(
    do: np.ndarray, x: np.ndarray, g: np.ndarray, beta: np.ndarray, lengths: np.ndarray, starts: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """dx, dg and dbeta of `kda` from do (B, T, H·V) and the states that it kept; the state gets no gradient.

    Each chunk's states are computed again, then the recurrence is walked backward. With S' =
    Diag(eᵍ) S_{t−1}, miss = v − S'ᵀk, n = β·miss, S = S' + k nᵀ, and dS the slope from later tokens plus
    q doᵀ: dq = S do, dn = dSᵀk, dv = β dn, dβ = dn·miss, dk = dS n − S' dv, dS' = dS − k dvᵀ,
    dg = Σ_v dS' ⊙ S', dS_{t−1} = Diag(eᵍ) dS'.
    """
    B, H, N, V, K = starts.shape
    T = x.shape[1]
    q, k, v = heads_of(x, H, K)
    dx, dg, dbeta = np.zeros_like(x), np.zeros_like(g), np.zeros_like(beta)
    rooms = (*heads_of(dx, H, K), dg.reshape(B, T, H, K).swapaxes(1, 2), dbeta[..., None].swapaxes(1, 2))
    do, decay = do.reshape(B, T, H, V), np.exp(g).reshape(B, T, H, 1, K)
    dS = np.zeros((B, H, V, K), x.dtype)
    for c in reversed(range(N)):
        cut = range(c * CHUNK, min((c + 1) * CHUNK, T))
        for t, (decayed, miss) in reversed(list(zip(cut, _again(k, v, decay, beta, starts[:, :, c], cut)))):
            real = (t < lengths)[:, None, None]
            strength, out = beta[:, t, :, None], np.where(real, do[:, t], 0)
            d = dS + outer(out, q[:, :, t])
            dn = read(d, k[:, :, t])
            dv = strength * dn
            ddecayed = d - outer(dv, k[:, :, t])
            dq = read((decayed + outer(strength * miss, k[:, :, t])).swapaxes(-1, -2), out)
            dk = read(d.swapaxes(-1, -2), strength * miss) - read(decayed.swapaxes(-1, -2), dv)
            found = dq, dk, dv, (ddecayed * decayed).sum(-2), (dn * miss).sum(-1, keepdims=True)
            for room, piece in zip(rooms, found):
                room[:, :, t] = np.where(real, piece, 0)
            dS = np.where(real[..., None], decay[:, t] * ddecayed, dS)
    return dx, dg, dbeta


def _again(k, v, decay, beta, S, cut):
    """For each token of a chunk that starts with S: the decayed state S' and v − S'ᵀk."""
    found = []
    for t in cut:
        decayed = decay[:, t] * S
        miss = v[:, :, t] - read(decayed, k[:, :, t])
        S = decayed + outer(beta[:, t, :, None] * miss, k[:, :, t])
        found.append((decayed, miss))
    return found


def sigmoid(x: np.ndarray) -> np.ndarray:
    """1/(1 + e^−x), without overflow on either side."""
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, e) / (1 + e)


def short_conv(x: np.ndarray, w: np.ndarray, past: np.ndarray) -> np.ndarray:
    """y = SiLU(Σ_j w_j ⊙ x_{t−W+1+j}): x and y (B, T, F), w (W, F), past (B, W − 1, F) the inputs before."""
    c = _convolved(x, w, past)
    return c * sigmoid(c)


def short_conv_backward(
    dy: np.ndarray, x: np.ndarray, w: np.ndarray, past: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """dx (B, T, F) and dw (W, F) of `short_conv`; the past gets no gradient."""
    W, T = len(w), x.shape[1]
    c = _convolved(x, w, past)
    s = sigmoid(c)
    dc = dy * s * (1 + c * (1 - s))
    seen = np.concatenate([past, x], axis=1)
    dseen, dw = np.zeros_like(seen), np.zeros_like(w)
    for j in range(W):
        dseen[:, j : j + T] += w[j] * dc
        dw[j] = (seen[:, j : j + T] * dc).sum((0, 1))
    return dseen[:, W - 1 :], dw


def _convolved(x, w, past):
    seen, T = np.concatenate([past, x], axis=1), x.shape[1]
    return sum(w[j] * seen[:, j : j + T] for j in range(len(w)))


def decay_gate(x: np.ndarray, rate: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Log of the decay, −e^rate · log(1 + e^(x + bias)): x (R, H·K), rate (H,), bias (H·K,) → (R, H·K)."""
    return -np.exp(np.repeat(rate, len(bias) // len(rate))) * np.logaddexp(0, x + bias)


def decay_gate_backward(
    dg: np.ndarray, x: np.ndarray, rate: np.ndarray, bias: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """dx (R, H·K), drate (H,) and dbias (H·K,) of `decay_gate`."""
    each = -np.exp(np.repeat(rate, len(bias) // len(rate)))
    dx = dg * each * sigmoid(x + bias)
    drate = (dg * each * np.logaddexp(0, x + bias)).sum(0).reshape(len(rate), -1).sum(-1)
    return dx, drate, dx.sum(0)


def gated_norm(x: np.ndarray, z: np.ndarray, w: np.ndarray, eps: float) -> tuple[np.ndarray, np.ndarray]:
    """y = σ(z) ⊙ RMSNorm(x) · w over a head: x and z (R, V), w (V,) → (R, V) and 1/√(mean x² + eps) (R,)."""
    rstd = 1 / np.sqrt(np.square(x).mean(-1) + eps)
    return x * rstd[:, None] * w * sigmoid(z), rstd


def gated_norm_backward(
    dy: np.ndarray, x: np.ndarray, z: np.ndarray, w: np.ndarray, rstd: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """dx (R, V), dz (R, V) and dw (V,) of `gated_norm`."""
    s, h = sigmoid(z), x * rstd[:, None]
    dh = dy * s * w
    dx = (dh - h * (dh * h).mean(-1, keepdims=True)) * rstd[:, None]
    return dx, dy * h * w * s * (1 - s), (dy * s * h).sum(0)
