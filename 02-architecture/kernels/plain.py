"""Every kernel in plain NumPy: the definition, the fallback and the oracle of its fast twin.

Pure functions on arrays, any float type. Shapes: R rows, D width, B batch, T queries, S keys, H heads,
E vocabulary. Names mirror: `f(x) -> y` and `f_backward(dy, …) -> dx, …`.
"""

import numpy as np

GELU_A, GELU_B = np.sqrt(2 / np.pi), 0.044715


def gelu(x: np.ndarray) -> np.ndarray:
    """GELU, tanh form (Hendrycks & Gimpel 2016): x/2 · (1 + tanh(√(2/π)(x + 0.044715 x³)))."""
    return x / 2 * (1 + np.tanh(GELU_A * (x + GELU_B * x * x * x)))


def gelu_backward(dy: np.ndarray, x: np.ndarray) -> np.ndarray:
    """dx of `gelu`: dy · (½(1 + t) + x/2 · (1 − t²) · √(2/π)(1 + 3·0.044715 x²))."""
    t = np.tanh(GELU_A * (x + GELU_B * x * x * x))
    return dy * ((1 + t) / 2 + x / 2 * (1 - t * t) * GELU_A * (1 + 3 * GELU_B * x * x))


def relu2(x: np.ndarray) -> np.ndarray:
    """ReLU squared (Primer, So et al. 2021): max(x, 0)²."""
    return np.square(np.maximum(x, 0))


def relu2_backward(dy: np.ndarray, x: np.ndarray) -> np.ndarray:
    """dx of `relu2`: 2 max(x, 0) dy."""
    return 2 * np.maximum(x, 0) * dy


def swiglu(x: np.ndarray) -> np.ndarray:
    """SwiGLU (Shazeer 2020): x (R, 2F) holds gate g and value u side by side; y = g·σ(g) · u, (R, F)."""
    g, u = np.split(x, 2, axis=-1)
    return g * _sigmoid(g) * u


def swiglu_backward(dy: np.ndarray, x: np.ndarray) -> np.ndarray:
    """dx (R, 2F) of `swiglu`: dg = dy·u·σ(g)(1 + g(1 − σ(g))), du = dy·g·σ(g)."""
    g, u = np.split(x, 2, axis=-1)
    s = _sigmoid(g)
    return np.concatenate([dy * u * s * (1 + g * (1 - s)), dy * g * s], axis=-1)


def _sigmoid(x: np.ndarray) -> np.ndarray:
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, e) / (1 + e)


def layer_norm(
    x: np.ndarray, w: np.ndarray, b: np.ndarray | None, eps: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """LayerNorm (Ba et al. 2016) over D: x (R, D) → y = (x − μ)/√(σ² + eps)·w + b, with μ (R,), 1/√… (R,)."""
    mean = x.mean(-1)
    rstd = 1 / np.sqrt(x.var(-1) + eps)
    y = (x - mean[:, None]) * rstd[:, None] * w
    return (y if b is None else y + b), mean, rstd


def layer_norm_backward(
    dy: np.ndarray, x: np.ndarray, w: np.ndarray, mean: np.ndarray, rstd: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """dx (R, D), dw (D,), db (D,) of `layer_norm`."""
    h = (x - mean[:, None]) * rstd[:, None]
    dh = dy * w
    dx = (dh - dh.mean(-1, keepdims=True) - h * (dh * h).mean(-1, keepdims=True)) * rstd[:, None]
    return dx, (dy * h).sum(0), dy.sum(0)


def rms_norm(x: np.ndarray, w: np.ndarray, eps: float) -> tuple[np.ndarray, np.ndarray]:
    """RMSNorm (Zhang & Sennrich 2019) over D: x (R, D) → y = x/√(mean x² + eps)·w and 1/√… (R,)."""
    rstd = 1 / np.sqrt(np.square(x).mean(-1) + eps)
    return x * rstd[:, None] * w, rstd


def rms_norm_backward(
    dy: np.ndarray, x: np.ndarray, w: np.ndarray, rstd: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """dx (R, D) and dw (D,) of `rms_norm`."""
    h = x * rstd[:, None]
    dh = dy * w
    return (dh - h * (dh * h).mean(-1, keepdims=True)) * rstd[:, None], (dy * h).sum(0)


def qk_norm(x: np.ndarray, w: np.ndarray, eps: float) -> tuple[np.ndarray, np.ndarray]:
    """RMSNorm over each head of x (R, H, K) with one gain row per head, w (H', K), H' ≤ H.

    Heads from H' on (the values) pass unchanged. Also returns 1/√… (R, H').
    """
    normed = x[:, : len(w)]
    rstd = 1 / np.sqrt(np.square(normed).mean(-1) + eps)
    return np.concatenate([normed * rstd[..., None] * w, x[:, len(w) :]], axis=1), rstd


def qk_norm_backward(
    dy: np.ndarray, x: np.ndarray, w: np.ndarray, rstd: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """dx (R, H, K) and dw (H', K) of `qk_norm`."""
    n = len(w)
    h = x[:, :n] * rstd[..., None]
    dh = dy[:, :n] * w
    dx = (dh - h * (dh * h).mean(-1, keepdims=True)) * rstd[..., None]
    return np.concatenate([dx, dy[:, n:]], axis=1), (dy[:, :n] * h).sum(0)


def rotary(x: np.ndarray, cos: np.ndarray, sin: np.ndarray, heads: int) -> np.ndarray:
    """Rotary positions (Su et al. 2021, halves paired): x (R, H, K), cos and sin (R, K/2) per row.

    The first `heads` heads (queries and keys) turn, the others (values) pass. The inverse is the same
    with −sin, which is also the backward.
    """
    out = x.copy()
    half = x.shape[-1] // 2
    a, b = x[:, :heads, :half], x[:, :heads, half:]
    c, s = cos[:, None], sin[:, None]
    out[:, :heads, :half] = a * c - b * s
    out[:, :heads, half:] = b * c + a * s
    return out


def visible_keys(offsets: np.ndarray, lengths: np.ndarray, first: int, T: int, causal: bool) -> np.ndarray:
    """How many keys each query sees, (B, T): all valid ones, or those up to its own position."""
    if not causal:
        return np.repeat(lengths[:, None], T, axis=1)
    return np.minimum(offsets[:, None] + first + np.arange(T) + 1, lengths[:, None])


def softmax_visible(s: np.ndarray, visible: np.ndarray, scale: float) -> np.ndarray:
    """In place: s (B, H, T, S) → softmax over the first visible (B, T) keys of scale·s, 0 beyond.

    Returns log Σ exp (B, H, T), from which `softmax_again` restores the probabilities.
    """
    hidden = np.arange(s.shape[-1]) >= visible[:, None, :, None]
    z = np.where(hidden, -np.inf, s * scale)
    top = z.max(-1, keepdims=True)
    e = np.exp(z - top)
    total = e.sum(-1, keepdims=True)
    s[...] = e / total
    return (np.log(total) + top)[..., 0]


def softmax_again(s: np.ndarray, lse: np.ndarray, visible: np.ndarray, scale: float) -> None:
    """In place: recompute the probabilities of `softmax_visible` from scores and log-sum-exp."""
    hidden = np.arange(s.shape[-1]) >= visible[:, None, :, None]
    s[...] = np.where(hidden, 0, np.exp(np.where(hidden, -np.inf, s * scale) - lse[..., None]))


def softmax_backward(p: np.ndarray, dp: np.ndarray, delta: np.ndarray, scale: float) -> None:
    """In place on dp: dS = p (dP − Σ p dP) · scale; delta (B, H, T) is Σ p dP (= dO·O)."""
    dp[...] = p * (dp - delta[..., None]) * scale


def cross_entropy(logits: np.ndarray, targets: np.ndarray, scale: float) -> np.ndarray:
    """Losses (R,) in nats, −log softmax(logits)[target]; logits (R, E) become their gradient · scale.

    A negative target is ignored: loss 0, gradient 0.
    """
    rows = np.arange(len(targets))
    valid = targets >= 0
    z = logits - logits.max(-1, keepdims=True)
    e = np.exp(z)
    total = e.sum(-1)
    hits = np.where(valid, targets, 0)
    losses = np.where(valid, np.log(total) - z[rows, hits], 0)
    e /= total[:, None]
    e[rows, hits] -= 1
    logits[...] = np.where(valid[:, None], e * scale, 0)
    return losses.astype(logits.dtype)


def embedding_backward(dy: np.ndarray, ids: np.ndarray, out: np.ndarray) -> None:
    """out (E, D) += dy (R, D) at rows ids (R,); repeated ids add up."""
    np.add.at(out, ids, dy)


def keep_mask(count: int, rate: float, key: int) -> np.ndarray:
    """Counter-based dropout mask: keep element i where hash(key, i) ≥ rate·2³², as uint8 (count,).

    The hash is Wellons' `lowbias32` of i·φ + key, twice: no state, so that resuming needs none.
    """
    with np.errstate(over="ignore"):
        x = np.arange(count, dtype=np.uint32) * np.uint32(0x9E3779B9) + np.uint32(key & 0xFFFFFFFF)
        for salt in (np.uint32(0), np.uint32(key >> 32 & 0xFFFFFFFF)):
            x ^= salt
            x ^= x >> np.uint32(16)
            x *= np.uint32(0x7FEB352D)
            x ^= x >> np.uint32(15)
            x *= np.uint32(0x846CA68B)
            x ^= x >> np.uint32(16)
    return (x >= np.uint32(min(rate * 2**32, 2**32 - 1))).astype(np.uint8)


def dropout(x: np.ndarray, rate: float, key: int) -> np.ndarray:
    """Inverted dropout: kept elements ×1/(1 − rate), others 0; its own backward with the same key."""
    return x * keep_mask(x.size, rate, key).reshape(x.shape) * x.dtype.type(1 / (1 - rate))


def adamw(
    w: np.ndarray, g: np.ndarray, m: np.ndarray, v: np.ndarray, lr: float, b1: float, b2: float,
    eps: float, decay: float, step: int, clip: float,
) -> None:  # fmt: skip
    """AdamW (Loshchilov & Hutter 2019) in place on w, m, v; g is scaled by `clip` first; step ≥ 1."""
    g = g * clip
    m[...] = b1 * m + (1 - b1) * g
    v[...] = b2 * v + (1 - b2) * g * g
    update = m / (1 - b1**step) / (np.sqrt(v / (1 - b2**step)) + eps)
    w[...] = w * (1 - lr * decay) - lr * update
