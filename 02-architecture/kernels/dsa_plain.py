"""DeepSeek Sparse Attention in plain NumPy: what the indexer picks, attention to that, and the slopes.

Shapes: R queries, S keys, H heads, G key heads, K width, N picked tokens at most. Any float type. Its fast
twin is `dsa_fast.py`. Source: DeepSeek-V3.2-Exp (2025).
"""

import numpy as np

NONE = -1  # in a list of picked tokens: there is no more


def index_scores(s: np.ndarray, w: np.ndarray) -> np.ndarray:
    """I = Σ_h w_h · max(s_h, 0): products of queries with keys s (R, H, S), weights w (R, H) → (R, S)."""
    return np.einsum("rh,rhs->rs", w, np.maximum(s, 0))


def index_scores_backward(dz: np.ndarray, s: np.ndarray, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """ds (R, H, S) and dw (R, H) of `index_scores`."""
    ds = dz[:, None] * w[..., None] * (s > 0)
    return ds, np.einsum("rs,rhs->rh", dz, np.maximum(s, 0))


def top_k(z: np.ndarray, visible: np.ndarray, k: int) -> np.ndarray:
    """Places of the k largest of the first visible (R,) scores z (R, S), ascending; (R, k) int32, then −1.

    Of equal scores the earlier is taken. What NaN does is left open, except that it picks visible places.
    """
    picked = np.full((len(z), k), NONE, np.int32)
    for row, (scores, n) in enumerate(zip(z, visible)):
        best = np.argsort(-scores[:n], kind="stable")[:k]
        picked[row, : len(best)] = np.sort(best)
    return picked


def index_kl(z: np.ndarray, target: np.ndarray) -> np.ndarray:
    """KL(p ‖ softmax z) in nats of each row (R,); z (R, S) becomes its gradient, (Σp)·softmax z − p.

    target (R, S) holds p, and a negative number where a key is no part of the distribution: gradient 0.
    """
    inside = target >= 0
    p = np.where(inside, target, 0)
    logits = np.where(inside, z, -np.inf)
    top = np.where(inside.any(-1), logits.max(-1), 0)[:, None]
    e = np.exp(logits - top)
    total = np.where(inside.any(-1), e.sum(-1), 1)[:, None]
    log_q = np.where(inside, z - top, 0) - np.log(total)
    losses = (p * (np.log(np.where(p > 0, p, 1)) - log_q)).sum(-1)
    z[...] = p.sum(-1, keepdims=True) * e / total - p
    return losses


def sparse_attention(
    q: np.ndarray, keys: np.ndarray, values: np.ndarray, picked: np.ndarray, scale: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Attention of each query to its picked tokens: q (B, T, H, K), keys and values
    (B, S, G, K), picked (B, T, N).

    Returns o (B, T, H, K), the log of the softmax's sum (B, T, H), and the share of each picked token,
    averaged over the heads (B, T, N), 0 where none is left. Every query picks one token at least.
    """
    _, _, v, p, lse = _probabilities(q, keys, values, picked, scale)
    return np.einsum("bthn,btnhk->bthk", p, v), lse, p.mean(2)


def sparse_attention_backward(
    do: np.ndarray, q: np.ndarray, keys: np.ndarray, values: np.ndarray, picked: np.ndarray,
    lse: np.ndarray, scale: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
    """dq, dkeys, dvalues of `sparse_attention`: dS = p (dP − Σ p dP) · scale, with p computed again."""
    rows, k, v, p, _ = _probabilities(q, keys, values, picked, scale)
    dp = np.einsum("bthk,btnhk->bthn", do, v)
    ds = p * (dp - (p * dp).sum(-1, keepdims=True)) * scale
    pairs = (
        (np.zeros_like(keys), np.einsum("bthn,bthk->btnhk", ds, q)),
        (np.zeros_like(values), np.einsum("bthn,bthk->btnhk", p, do)),
    )
    for room, pieces in pairs:
        G = room.shape[2]
        np.add.at(room, rows, pieces.reshape(*pieces.shape[:3], G, -1, pieces.shape[-1]).sum(4))
    return np.einsum("bthn,btnhk->bthk", ds, k), pairs[0][0], pairs[1][0]


def _probabilities(q, keys, values, picked, scale):
    """Places in keys, picked keys and values (B, T, N, H, K), probabilities (B, T, H, N), log-sum-exp."""
    rows = np.arange(len(q))[:, None, None], np.maximum(picked, 0)
    k, v = (np.repeat(a[rows], q.shape[2] // a.shape[2], axis=3) for a in (keys, values))
    s = np.einsum("bthk,btnhk->bthn", q, k) * scale
    s = np.where((picked >= 0)[:, :, None], s, -np.inf)
    top = s.max(-1, keepdims=True)
    e = np.exp(s - top)
    total = e.sum(-1, keepdims=True)
    return rows, k, v, e / total, (np.log(total) + top)[..., 0]
