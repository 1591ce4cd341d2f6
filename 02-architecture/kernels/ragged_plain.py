"""Kernels on ragged data in plain NumPy: segments of one flat array, each by itself, without any padding.

`ends` (S,) int64 says where segments end: segment s holds the rows ends[s − 1] … ends[s] − 1 and may be
empty. The definition, the fallback and the oracle of `ragged_fast.py`; any float type. It checks nothing.
"""

from collections.abc import Iterator

import numpy as np

REACH = (1.0, 0.5, 0.25)  # how much the token before, the one before that and the third say in `ragged_conv`


def segments(ends: np.ndarray) -> Iterator[slice]:
    """The rows of each segment."""
    start = 0
    for end in ends.tolist():
        yield slice(start, end)
        start = end


def ragged_attention(
    q: np.ndarray, kv: np.ndarray, q_ends: np.ndarray, k_ends: np.ndarray, heads: int, causal: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Attention within each segment: q (n, D), kv (m, 2D), keys then values → o (n, D) and lse (n, heads).

    Query i of a segment with nq queries and nk keys sees keys 0 … nk − nq + i if `causal`, else all; with no
    key to see, o is 0. lse is the logarithm of a row's sum of exponentials, from which p can be had again.
    """
    o, lse = np.zeros_like(q), np.zeros((len(q), heads), q.dtype)
    for own, seen in _pairs(q_ends, k_ends):
        s = _scores(q[own], kv[seen], heads, causal)
        top = s.max(-1, keepdims=True)
        total = np.exp(s - top).sum(-1, keepdims=True)
        log_sum = top + np.log(total)
        o[own] = _packed(np.exp(s - log_sum) @ _heads(kv[seen], 2 * heads)[heads:])
        lse[own] = log_sum[..., 0].T
    return o, lse


def ragged_attention_backward(
    do: np.ndarray, q: np.ndarray, kv: np.ndarray, q_ends: np.ndarray, k_ends: np.ndarray, heads: int,
    causal: bool, o: np.ndarray, lse: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """dq (n, D) and dkv (m, 2D): dV = Pᵀ dO, dS = P ⊙ (dO Vᵀ − rowsum(dO ⊙ O)), dQ = dS K/√, dK = dSᵀ Q/√."""
    dq, dkv = np.zeros_like(q), np.zeros_like(kv)
    for own, seen in _pairs(q_ends, k_ends):
        p = np.exp(_scores(q[own], kv[seen], heads, causal) - lse[own].T[..., None])
        d, both = _heads(do[own], heads), _heads(kv[seen], 2 * heads)
        delta = (d * _heads(o[own], heads)).sum(-1, keepdims=True)
        ds = p * (d @ both[heads:].swapaxes(1, 2) - delta) / np.sqrt(q.shape[1] // heads).astype(q.dtype)
        dq[own] = _packed(ds @ both[:heads])
        dk = ds.swapaxes(1, 2) @ _heads(q[own], heads)
        dkv[seen] = _packed(np.concatenate([dk, p.swapaxes(1, 2) @ d]))
    return dq, dkv


def ragged_conv(x: np.ndarray, w: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """y_t = x_t + Σ_{j = 1 … 3} REACH_j w_j ⊙ x_{t−j} within a segment: x (n, D), w (3, D), nearest first."""
    y = x.copy()
    for own in segments(ends):
        for j, much in enumerate(REACH, 1):
            y[own][j:] += x[own][:-j] * (w[j - 1] * x.dtype.type(much))
    return y


def ragged_conv_backward(
    dy: np.ndarray, x: np.ndarray, w: np.ndarray, ends: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """dx (n, D) and dw (3, D): the same convolution backwards in time."""
    dx, dw = dy.copy(), np.zeros_like(w)
    for own in segments(ends):
        for j, much in enumerate(REACH, 1):
            dx[own][:-j] += dy[own][j:] * (w[j - 1] * x.dtype.type(much))
            dw[j - 1] += (dy[own][j:] * x[own][:-j]).sum(0) * x.dtype.type(much)
    return dx, dw


def ragged_pool(scores: np.ndarray, x: np.ndarray, ends: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """y (S, P, D) = pᵀ x of each segment, p (n, P) the softmax of its scores (n, P); 0 for an empty one."""
    p = np.zeros_like(scores)
    y = np.zeros((len(ends), scores.shape[1], x.shape[1]), x.dtype)
    for s, own in enumerate(segments(ends)):
        if own.stop > own.start:
            e = np.exp(scores[own] - scores[own].max(0))
            p[own] = e / e.sum(0)
            y[s] = p[own].T @ x[own]
    return y, p


def ragged_pool_backward(
    dy: np.ndarray, p: np.ndarray, x: np.ndarray, ends: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """dscores (n, P) and dx (n, D) for dy (S, P, D)."""
    dscores, dx = np.zeros_like(p), np.zeros_like(x)
    for s, own in enumerate(segments(ends)):
        dp = x[own] @ dy[s].T
        dscores[own] = p[own] * (dp - (p[own] * dp).sum(0))
        dx[own] = p[own] @ dy[s]
    return dscores, dx


def recall_words(
    shares: np.ndarray, h: np.ndarray, idx: np.ndarray, ends: np.ndarray, slots: int, length: int
) -> np.ndarray:
    """out (R, slots, D), of which slot l < length is Σ_i shares_ri h[token l of the sentence of event i].

    shares (R, N or more), h (T, D); idx (B, N) names the sentence of each event of the B lives, which ask
    R/B questions each. 0 beyond a sentence's end and in the slots from `length` on.
    """
    N = idx.shape[1]
    out = np.zeros((len(shares), slots, h.shape[1]), h.dtype)
    h = np.concatenate([h, np.zeros((1, h.shape[1]), h.dtype)])  # the last row stands for no token
    for rows, life in _lives(len(shares), idx):
        vectors = h[_tokens(idx[life], ends, length)]
        out[rows, :length] = np.einsum("rn,nld->rld", shares[rows, :N], vectors)
    return out


def recall_words_backward(
    dout: np.ndarray, shares: np.ndarray, h: np.ndarray, idx: np.ndarray, ends: np.ndarray, length: int
) -> tuple[np.ndarray, np.ndarray]:
    """dshares, shaped as shares and 0 beyond the events, and dh (T, D)."""
    h = np.concatenate([h, np.zeros((1, h.shape[1]), h.dtype)])  # as above
    dshares, dh = np.zeros_like(shares), np.zeros_like(h)
    N = idx.shape[1]
    for rows, life in _lives(len(shares), idx):
        words = _tokens(idx[life], ends, length)
        dshares[rows, :N] = np.einsum("rld,nld->rn", dout[rows, :length], h[words])
        np.add.at(dh, words, np.einsum("rn,rld->nld", shares[rows, :N], dout[rows, :length]))
    return dshares, dh[:-1]


def mark_shares(shares: np.ndarray, marks: np.ndarray, kinds: int) -> np.ndarray:
    """w (R, M, kinds): the shares that fell on events with each kind of mark in each slot.

    shares (R, N or more); marks (B, N, M) int64 of 0 … kinds − 1, or −1 for none.
    """
    M = marks.shape[2]
    w = np.zeros((len(shares), M, kinds), shares.dtype)
    for rows, life in _lives(len(shares), marks):
        event, slot = np.nonzero(marks[life] >= 0)
        at = (slice(None), slot, marks[life][event, slot])
        np.add.at(w[rows], at, shares[rows][:, event])
    return w


def mark_shares_backward(dw: np.ndarray, shares: np.ndarray, marks: np.ndarray) -> np.ndarray:
    """dshares, shaped as shares: Σ over an event's marks of dw (R, M, kinds) there."""
    dshares = np.zeros_like(shares)
    _, N, M = marks.shape
    for rows, life in _lives(len(shares), marks):
        picked = dw[rows][:, np.arange(M), marks[life]]  # (R', N, M); −1 picks something, which is left out
        dshares[rows, :N] = (picked * (marks[life] >= 0)).sum(-1)
    return dshares


def _pairs(q_ends: np.ndarray, k_ends: np.ndarray) -> Iterator[tuple[slice, slice]]:
    """Queries and keys of each segment that has some of both."""
    for own, seen in zip(segments(q_ends), segments(k_ends), strict=True):
        if own.stop > own.start and seen.stop > seen.start:
            yield own, seen


def _heads(x: np.ndarray, heads: int) -> np.ndarray:
    """(n, heads·K) → (heads, n, K)."""
    return x.reshape(len(x), heads, -1).swapaxes(0, 1)


def _packed(x: np.ndarray) -> np.ndarray:
    """(heads, n, K) → (n, heads·K)."""
    return x.swapaxes(0, 1).reshape(x.shape[1], -1)


def _scores(q: np.ndarray, kv: np.ndarray, heads: int, causal: bool) -> np.ndarray:
    """(heads, nq, nk) of one segment, −∞ where a query does not see."""
    k = _heads(kv, 2 * heads)[:heads]
    s = _heads(q, heads) @ k.swapaxes(1, 2) / np.sqrt(k.shape[-1]).astype(q.dtype)
    visible = np.tri(len(q), len(kv), len(kv) - len(q), bool) if causal else np.ones(1, bool)
    return np.where(visible, s, -np.inf).astype(q.dtype)


def _lives(rows: int, per_event: np.ndarray) -> Iterator[tuple[slice, int]]:
    """The rows of each life's questions, and which life it is."""
    each = rows // max(1, len(per_event))
    for life in range(len(per_event)):
        yield slice(life * each, (life + 1) * each), life


def _tokens(events: np.ndarray, ends: np.ndarray, length: int) -> np.ndarray:
    """Where the first `length` tokens of each event's sentence stand (N, length), −1 beyond its end."""
    at = np.concatenate([[0], ends[:-1]])[events, None] + np.arange(length)
    return np.where(at < ends[events, None], at, -1)
