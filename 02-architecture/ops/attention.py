"""Attention over packed heads, in blocks of queries: no T×T array is kept from forward to backward.

Backward computes the probabilities again from the log-sum-exp (Dao et al. 2022), so memory grows with T,
not T². The block products are BLAS's on strided views: heads are never copied into another order. With
`amp()` a pass is one call of C, which does the same with products rounded to bf16.
"""

from collections.abc import Iterator

import numpy as np

from chronos import native
from chronos.architecture import kernels
from chronos.architecture.kernels.plain import visible_keys
from chronos.architecture.kernels.workspace import empty, zeros
from chronos.architecture.products import rounds
from chronos.architecture.tape import Node, Op
from chronos.console import ChronosError

if native.available():
    from chronos.native.attend import attend, attend_backward

QUERY_BLOCK = 128  # at T = 256, the half-empty causal blocks cost a quarter instead of a half
SCORE_FLOATS = 1 << 18  # scores worked on at once: 1 MiB, a core's L2 cache


def split_heads(x: np.ndarray, heads: int, kv_heads: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Views of packed x (B, T, (H + 2 H_kv)·K): q (B, H_kv, H/H_kv, T, K); k and v (B, H_kv, 1, T, K)."""
    B, T, F = x.shape
    K = F // (heads + 2 * kv_heads)
    q = x[..., : heads * K].reshape(B, T, kv_heads, heads // kv_heads, K).transpose(0, 2, 3, 1, 4)
    k, v = (
        x[..., start : start + kv_heads * K].reshape(B, T, kv_heads, 1, K).transpose(0, 2, 3, 1, 4)
        for start in (heads * K, (heads + kv_heads) * K)
    )
    return q, k, v


class Attention(Op):
    """o = softmax(q kᵀ/√K) v per head: x (B, T, (H + 2 H_kv)·K) → (B, T, H·K).

    `past` = (keys, values), each (B, S, H_kv·K) with S ≥ what lies before: attend to these instead of
    x's own keys and values (inference only). `lengths` (B,): valid keys a row; `offsets` (B,): position of
    the first query. Saves x, the log-sum-exp (B, H, T) and, where products are not rounded, o.
    """

    @staticmethod
    def forward(
        ctx: Node, x: np.ndarray, *, heads: int, kv_heads: int, causal: bool,
        offsets: np.ndarray, lengths: np.ndarray, past: tuple[np.ndarray, np.ndarray] | None = None,
    ) -> np.ndarray:  # fmt: skip
        if past is None and rounds(x):
            visible = visible_keys(offsets, lengths, 0, x.shape[1], causal)
            return _rounded(ctx, np.ascontiguousarray(x), heads, kv_heads, visible)
        q, k, v = split_heads(x, heads, kv_heads)
        B, T, K = q.shape[0], q.shape[3], q.shape[4]
        if past is not None:
            k, v = (a.reshape(B, -1, kv_heads, 1, K).transpose(0, 2, 3, 1, 4) for a in past)
        o = empty((B, T, heads * K), x.dtype)
        out = o.reshape(B, T, kv_heads, heads // kv_heads, K).transpose(0, 2, 3, 1, 4)
        lse = empty((B, heads, T), x.dtype)
        for rows, cut, S, visible in _blocks(B, T, k.shape[3], heads, causal, offsets, lengths):
            s = _scores(q[rows, :, :, cut], k[rows, :, :, :S])
            flat = s.reshape(s.shape[0], heads, *s.shape[3:])
            lse[rows, :, cut] = kernels.softmax_visible(flat, visible, K**-0.5)
            np.matmul(s, v[rows, :, :, :S], out=out[rows, :, :, cut])
        ctx.saved.update(x=x, o=o, lse=lse, heads=(heads, kv_heads), mask=(causal, offsets, lengths))
        return o

    @staticmethod
    def backward(ctx: Node, grad: np.ndarray) -> tuple[np.ndarray]:
        if "visible" in ctx.saved:
            return (_rounded_backward(ctx, np.ascontiguousarray(grad)),)
        x, o, lse, (heads, kv_heads) = (ctx.saved[n] for n in ("x", "o", "lse", "heads"))
        q, k, v = split_heads(x, heads, kv_heads)
        B, H_kv, G, T, K = q.shape
        dx = zeros(x.shape, x.dtype)
        dq, dk, dv = split_heads(dx, heads, kv_heads)
        do = grad.reshape(B, T, H_kv, G, K).transpose(0, 2, 3, 1, 4)
        delta = np.einsum("bthk,bthk->bht", grad.reshape(B, T, heads, K), o.reshape(B, T, heads, K))
        for rows, cut, S, visible in _blocks(B, T, T, heads, *ctx.saved["mask"]):
            q_, k_, v_, do_ = q[rows, :, :, cut], k[rows, :, :, :S], v[rows, :, :, :S], do[rows, :, :, cut]
            p, dp = _scores(q_, k_), _scores(do_, v_)
            flat, dflat = (a.reshape(a.shape[0], heads, *a.shape[3:]) for a in (p, dp))
            kernels.softmax_again(flat, lse[rows, :, cut], visible, K**-0.5)
            dv[rows, :, :, :S] += _over_groups(p, do_)
            kernels.softmax_backward(flat, dflat, delta[rows, :, cut], K**-0.5)
            np.matmul(dp, k_, out=dq[rows, :, :, cut])
            dk[rows, :, :, :S] += _over_groups(dp, q_)
        return (dx,)


def _rounded(ctx: Node, x: np.ndarray, heads: int, kv_heads: int, visible: np.ndarray) -> np.ndarray:
    B, T, K = *x.shape[:2], x.shape[2] // (heads + 2 * kv_heads)
    visible = np.ascontiguousarray(visible, np.int64)
    o, lse = empty((B, T, heads * K)), empty((B, heads, T))
    attend(x, visible, heads, kv_heads, K**-0.5, o, lse)
    ctx.saved.update(x=x, lse=lse, visible=visible, heads=(heads, kv_heads, K))
    return o


def _rounded_backward(ctx: Node, grad: np.ndarray) -> np.ndarray:
    x, lse, visible, (heads, kv_heads, K) = (ctx.saved[n] for n in ("x", "lse", "visible", "heads"))
    dx = empty(x.shape)
    attend_backward(grad, x, lse, visible, heads, kv_heads, K**-0.5, dx)
    return dx


def _blocks(
    B: int, T: int, S: int, heads: int, causal: bool, offsets: np.ndarray, lengths: np.ndarray
) -> Iterator[tuple[slice, slice, int, np.ndarray]]:
    """(batch rows, query rows, keys that any of them sees, keys that each sees (b, t)), block by block."""
    for first in range(0, T, QUERY_BLOCK):
        cut = slice(first, min(first + QUERY_BLOCK, T))
        size = cut.stop - first
        visible = visible_keys(offsets, lengths, first, size, causal)
        reach = int(visible.max())
        if reach > S:
            raise ChronosError("attention to keys that are not there", expected=f"at most {S}", got=reach)
        group = max(1, SCORE_FLOATS // (heads * size * reach))
        for row in range(0, B, group):
            rows = slice(row, min(row + group, B))
            yield rows, cut, reach, visible[rows]


def _scores(q: np.ndarray, k: np.ndarray) -> np.ndarray:
    """q kᵀ per head into fresh memory: (b, H_kv, G, t, S)."""
    out = empty((*q.shape[:4], k.shape[3]), q.dtype)
    return np.matmul(q, k.swapaxes(-1, -2), out=out)


def _over_groups(p: np.ndarray, a: np.ndarray) -> np.ndarray:
    """pᵀ a, summed over the query heads that share a key head: (b, H_kv, 1, S, K)."""
    out = np.matmul(p.swapaxes(-1, -2), a, out=empty((*p.shape[:3], p.shape[4], a.shape[4]), p.dtype))
    if out.shape[2] == 1:
        return out
    return out.sum(2, keepdims=True, out=empty((*out.shape[:2], 1, *out.shape[3:]), out.dtype))
