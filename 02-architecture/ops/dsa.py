"""DeepSeek Sparse Attention as ops: picking tokens, attention to the picked, and the loss of the indexer.

All work on one block of queries at a time, so no array of T × T × heads exists. The indexer learns to
foretell the main attention by a loss of its own; nothing else sends a gradient into it. Its scores are
I_ts = Σ_h w_th ReLU(q_th · k_s) / √(H·d) for H heads of width d.
"""

from collections.abc import Iterator

import numpy as np

from chronos.architecture import kernels
from chronos.architecture.kernels.workspace import empty, zeros
from chronos.architecture.ops.attention import split_heads
from chronos.architecture.tape import Node, Op

BLOCK_FLOATS = 1 << 18  # products of the indexer worked on at once: 1 MiB


def blocks(T: int, heads: int, keys: int) -> Iterator[slice]:
    """Cut T queries so that heads × queries × keys products stay in a core's second cache."""
    size = max(8, BLOCK_FLOATS // max(1, heads * keys))
    return (slice(start, min(start + size, T)) for start in range(0, T, size))


def index_products(q: np.ndarray, k: np.ndarray, heads: int) -> np.ndarray:
    """q_h · k of each head: queries q (t, H·d) with keys k (S, d) → (t, H, S)."""
    s = empty((len(q) * heads, len(k)), q.dtype)
    np.matmul(q.reshape(len(q) * heads, -1), k.T, out=s)
    return s.reshape(len(q), heads, len(k))


def pick(q: np.ndarray, k: np.ndarray, w: np.ndarray, visible: np.ndarray, most: int) -> np.ndarray:
    """The `most` tokens of the highest score among those that each query sees.

    q (B, T, H·d), k (B, S, d), w (B, T, H), visible (B, T) → places (B, T, most), ascending, then −1. Of
    equal scores the earlier token is taken.
    """
    B, T, H = w.shape
    w = w * w.dtype.type(q.shape[-1] ** -0.5)
    picked = empty((B, T, most), np.int32)
    for b in range(B):
        for cut in blocks(T, H, k.shape[1]):
            S = int(visible[b, cut].max())
            z = kernels.index_scores(index_products(q[b, cut], k[b, :S], H), w[b, cut])
            picked[b, cut] = kernels.top_k(z, visible[b, cut], most)
    return picked


def attention_shares(
    x: np.ndarray, heads: int, kv_heads: int, b: int, cut: slice, visible: np.ndarray
) -> np.ndarray:
    """What dense attention gives each key, averaged over the heads: (t, S), −1 for keys that are not seen.

    Of packed x (B, T, (H + 2 H_kv)·K), batch row b and the queries `cut`, which see `visible` (t,) keys.
    """
    S = int(visible.max())
    q, k, _ = split_heads(x, heads, kv_heads)
    q, k = q[b, :, :, cut], k[b, :, :, :S]
    p = empty((*q.shape[:3], S), x.dtype)
    np.matmul(q, k.swapaxes(-1, -2), out=p)
    kernels.softmax_visible(p.reshape(1, heads, -1, S), visible[None], q.shape[-1] ** -0.5)
    share = p.mean((0, 1))
    share[np.arange(S) >= visible[:, None]] = -1
    return share


class SparseAttention(Op):
    """o = softmax(q kᵀ/√K) v over picked tokens: x (B, T, (H + 2 H_kv)·K) → (B, T, H·K).

    `picked` (B, T, N) are places in x's own keys or in `past` = (keys, values), each (B, S, H_kv·K).
    `shares` (B, T, N), if given, is filled with what each picked token got, averaged over the heads. Saves x,
    picked and the log-sum-exp.
    """

    @staticmethod
    def forward(
        ctx: Node, x: np.ndarray, *, heads: int, kv_heads: int, picked: np.ndarray,
        past: tuple[np.ndarray, np.ndarray] | None = None, shares: np.ndarray | None = None,
    ) -> np.ndarray:  # fmt: skip
        q, k, v = _by_heads(x, heads, kv_heads)
        if past is not None:
            k, v = (a.reshape(*a.shape[:2], kv_heads, -1) for a in past)
        o, lse, found = kernels.sparse_attention(q, k, v, picked, q.shape[-1] ** -0.5)
        if shares is not None:
            shares[...] = found
        ctx.saved.update(x=x, heads=(heads, kv_heads), picked=picked, lse=lse)
        return o.reshape(*x.shape[:2], -1)

    @staticmethod
    def backward(ctx: Node, grad: np.ndarray) -> tuple[np.ndarray]:
        x, picked, lse = (ctx.saved[name] for name in ("x", "picked", "lse"))
        q, k, v = _by_heads(x, *ctx.saved["heads"])
        pieces = kernels.sparse_attention_backward(
            grad.reshape(q.shape), q, k, v, picked, lse, q.shape[-1] ** -0.5
        )
        dx = empty(x.shape, x.dtype)
        np.concatenate([piece.reshape(*x.shape[:2], -1) for piece in pieces], axis=-1, out=dx)
        return (dx,)


def _by_heads(x: np.ndarray, heads: int, kv_heads: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """q (B, T, H, K), k and v (B, T, H_kv, K) of packed x."""
    K = x.shape[-1] // (heads + 2 * kv_heads)
    packed = x.reshape(*x.shape[:2], -1, K)
    q, k, v = np.split(packed, (heads, heads + kv_heads), axis=2)
    return q, k, v


class IndexLoss(Op):
    """Σ_t KL(p_t ‖ softmax I_t) in nats: the indexer's q (B, T, H·d), k (B, T, d) and w (B, T, H) → scalar.

    p_t is what the main attention, `main` = (packed x, heads, kv_heads), gives each of the `visible` (B, T)
    tokens, or with `picked` and `shares` what it gave the picked ones, and both sides are over these alone.
    It is a constant. Queries that are not `counted` (B, T) are left out. As in the loss of the head, the
    gradients are known with the loss, block by block. Saves them.
    """

    @staticmethod
    def forward(
        ctx: Node, q: np.ndarray, k: np.ndarray, w: np.ndarray, *, main: tuple[np.ndarray, int, int],
        visible: np.ndarray, counted: np.ndarray | None = None,
        picked: np.ndarray | None = None, shares: np.ndarray | None = None,
    ) -> np.ndarray:  # fmt: skip
        B, T, H = w.shape
        scale = w.dtype.type(q.shape[-1] ** -0.5)
        w = w * scale
        grads = [zeros(a.shape, a.dtype) for a in (q, k, w)] if any(ctx.needs) else None
        total = 0.0
        for b in range(B):
            for cut in blocks(T, H, T):
                seen = visible[b, cut]
                if picked is None:
                    target = attention_shares(*main, b, cut, seen)
                else:
                    target = _scattered(picked[b, cut], shares[b, cut], int(seen.max()))
                if counted is not None:
                    target[~counted[b, cut]] = -1
                total += _index_block(q[b, cut], k[b, : target.shape[1]], w[b, cut], target, grads, b, cut)
        if grads is not None:
            grads[2] *= scale
        ctx.saved["grads"] = grads
        return np.asarray(total, q.dtype)

    @staticmethod
    def backward(ctx: Node, grad: np.ndarray) -> tuple[np.ndarray, ...]:
        return tuple(np.multiply(g, grad, out=g) for g in ctx.saved["grads"])


def _index_block(
    q: np.ndarray, k: np.ndarray, w: np.ndarray, target: np.ndarray,
    grads: list[np.ndarray] | None, b: int, cut: slice,
) -> float:  # fmt: skip
    """The loss of a block of queries; its gradients are written, or for k added, into `grads`."""
    H, S = w.shape[1], len(k)
    s = index_products(q, k, H)
    z = kernels.index_scores(s, w)
    loss = float(kernels.index_kl(z, target).sum(dtype=np.float64))
    if grads is not None:
        dq, dk, dw = grads
        ds, dw[b, cut] = kernels.index_scores_backward(z, s, w)
        flat = ds.reshape(-1, S)
        dq[b, cut] = (flat @ k).reshape(q.shape)
        dk[b, :S] += flat.T @ q.reshape(len(flat), -1)
    return loss


def _scattered(picked: np.ndarray, shares: np.ndarray, S: int) -> np.ndarray:
    """Shares (t, N) of picked places as rows of S keys, −1 for those that were not picked."""
    target = np.full((len(picked), S), -1, shares.dtype)
    row, column = np.nonzero(picked >= 0)
    target[row, picked[row, column]] = shares[row, column]
    return target


def recalled(main: tuple[np.ndarray, int, int], picked: np.ndarray, visible: np.ndarray) -> np.ndarray:
    """How much of dense attention's mass lies on the picked tokens, (B, T): 1 where they are all."""
    B, T, _ = picked.shape
    mass = np.zeros((B, T), main[0].dtype)
    for b in range(B):
        for cut in blocks(T, main[1], T):
            share = attention_shares(*main, b, cut, visible[b, cut])
            row, column = np.nonzero(picked[b, cut] >= 0)
            np.add.at(mass[b, cut], row, share[row, picked[b, cut][row, column]])
    return mass
