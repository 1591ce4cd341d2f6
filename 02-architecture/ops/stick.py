"""The episodic read: stick-breaking attention over events ("the most recent match") and the time asked about.

Ops with hand-written backwards; kernels in kernels/stick_*.py. They know no store and no text: events are
rows, oldest first. `StickRead` returns shares of one stick, so that a sum over them is a recalled memory.
"""

import numpy as np

from chronos.architecture import kernels
from chronos.architecture.tape import Node, Op
from chronos.console import ChronosError

NORM_EPS = 1e-12  # under the root of a norm: a key of all zeros stays zero


class Exp(Op):
    """y = eˣ; any shape, −∞ gives 0 without a slope. Backward: dx = dy·y. Saves y."""

    @staticmethod
    def forward(ctx: Node, x: np.ndarray) -> np.ndarray:
        ctx.saved["y"] = np.exp(x)
        return ctx.saved["y"]

    @staticmethod
    def backward(ctx: Node, grad: np.ndarray) -> tuple[np.ndarray]:
        return (grad * ctx.saved["y"],)


class StickRead(Op):
    """Shares of B lives' events for Q questions each: (B, Q, N + 1), the last column the null share.

    q (B, Q, K); k (B, N, K), or (N, K) when all read the same events; both are L2-normalised here.

        z = s·cos(q, k) + b        β_i = σ(z_i) · ok_i · clock_i · [i < cut]
        A_i = β_i Π_{j>i} (1 − β_j)^repeat        null = Π_j (1 − β_j)^repeat
        clock_i = 1 − g + g Σ_{j>i} first_j        (strictly before what the first hop found)

    Tensors, of which the last three may be absent: scale s, bias b and g in [0, 1], each one number, (Q,) or
    (B, Q); ok (B, Q, N) in [0, 1]; g goes together with first (B, Q, N + 1), the shares of an earlier hop
    (its null share is not looked at). Settings: cut (B, Q) integers; `repeat` ≥ 1 reads as if
    each *later* event had happened so often (length augmentation: shares and null then sum to less than 1,
    for the copies took the rest); `log` gives the logarithms, which stay exact where the shares underflow.
    Saves unit vectors, norms, cosines and masks. ChronosError where shapes do not fit.
    """

    @staticmethod
    def forward(
        ctx: Node, q: np.ndarray, k: np.ndarray, s: np.ndarray, b: np.ndarray, ok: np.ndarray | None = None,
        g: np.ndarray | None = None, first: np.ndarray | None = None, *,
        cut: np.ndarray | None = None, repeat: float = 1.0, log: bool = False,
    ) -> np.ndarray:  # fmt: skip
        B, Q, N = _check(q, k, s, b, ok, g, first, cut)
        unit_q, over_q = _unit(q.reshape(1, -1, q.shape[-1]) if k.ndim == 2 else q)
        unit_k, over_k = _unit(k[None] if k.ndim == 2 else k)
        c = np.matmul(unit_q, unit_k.swapaxes(-1, -2)).reshape(B * Q, N)
        inside, before, after = None, None, None
        if cut is not None:
            inside = np.arange(N) < cut[..., None]
        if first is not None:
            after = _sum_after(first[..., :-1])
            before = 1 - _spread(g, B, Q)[..., None] * (1 - after)
        mask = _product((B, Q, N), q.dtype, ok, inside, before)
        rows = [np.ascontiguousarray(_spread(a, B, Q).reshape(-1)) for a in (s, b)]
        out = kernels.stick(c, *rows, mask, repeat, log)
        ctx.saved.update(q=(unit_q, over_q), k=(unit_k, over_k), c=c, rows=rows, mask=mask, how=(repeat, log))
        ctx.saved.update(parts=(ok, inside, before, after, g), shapes=(q.shape, k.shape, s.shape, b.shape))
        return out.reshape(B, Q, N + 1)

    @staticmethod
    def backward(ctx: Node, grad: np.ndarray) -> tuple[np.ndarray | None, ...]:
        (unit_q, over_q), (unit_k, over_k) = ctx.saved["q"], ctx.saved["k"]
        q_shape, k_shape, s_shape, b_shape = ctx.saved["shapes"]
        B, Q, N = *q_shape[:2], grad.shape[-1] - 1
        dc, ds, db, dm = kernels.stick_backward(
            np.ascontiguousarray(grad.reshape(B * Q, N + 1)), ctx.saved["c"], *ctx.saved["rows"],
            ctx.saved["mask"], *ctx.saved["how"],
        )  # fmt: skip
        dc = dc.reshape(len(unit_k), B * Q // max(1, len(unit_k)), N)
        dq = _unit_backward(np.matmul(dc, unit_k), unit_q, over_q).reshape(q_shape)
        dk = _unit_backward(np.matmul(dc.swapaxes(-1, -2), unit_q), unit_k, over_k).reshape(k_shape)
        ds, db = _gather(ds.reshape(B, Q), s_shape), _gather(db.reshape(B, Q), b_shape)
        grads = (dq, dk, ds, db, *_mask_backward(dm.reshape(B, Q, N), *ctx.saved["parts"]))
        return grads[: len(ctx.needs)]


class AsOf(Op):
    """The time that a question asks about, as a mask over events: scores (…, T) → ok (…, N) in [0, 1].

    α = softmax of the scores over a question's tokens (where `valid`), and cuts (…, T) says how many events
    lie at or before the time that starts at a token (N where none starts): ok_i = Σ_{t: cut_t > i} α_t.
    Forward is a histogram of α over the cuts and a reversed running sum; backward a running sum. `hard`
    takes the strongest token alone, as a question asked after training does. Saves α.
    """

    @staticmethod
    def forward(
        ctx: Node, scores: np.ndarray, *, cuts: np.ndarray, events: int,
        valid: np.ndarray | None = None, hard: bool = False,
    ) -> np.ndarray:  # fmt: skip
        if cuts.shape != scores.shape or (cuts.size and (cuts.min() < 0 or cuts.max() > events)):
            expected = f"cuts {scores.shape} of 0 … {events}"
            got = f"{cuts.shape}, {cuts.min(initial=0)} … {cuts.max(initial=0)}"
            raise ChronosError("the cuts do not fit", expected=expected, got=got)
        share = token_shares(scores, valid, hard)
        T = scores.shape[-1]
        flat, at = share.reshape(-1, T), cuts.reshape(-1, T)
        counts = np.zeros((len(flat), events + 1), scores.dtype)
        np.add.at(counts, (np.arange(len(flat))[:, None], at), flat)
        ok = np.cumsum(counts[:, ::-1], axis=1)[:, ::-1][:, 1:]
        ctx.saved.update(share=share, cuts=cuts, hard=hard)
        return np.minimum(ok, 1).reshape(*scores.shape[:-1], events)  # a sum of shares may round above 1

    @staticmethod
    def backward(ctx: Node, grad: np.ndarray) -> tuple[np.ndarray]:
        share, cuts = ctx.saved["share"], ctx.saved["cuts"]
        if ctx.saved["hard"]:
            return (np.zeros_like(share),)
        start = np.zeros((*grad.shape[:-1], 1), grad.dtype)
        sums = np.concatenate([start, np.cumsum(grad, axis=-1)], axis=-1)
        d = np.take_along_axis(sums, cuts, axis=-1)
        return (share * (d - (share * d).sum(-1, keepdims=True)),)


def token_shares(scores: np.ndarray, valid: np.ndarray | None = None, hard: bool = False) -> np.ndarray:
    """α of `AsOf`: softmax over the last axis where `valid`, or 1 at its largest (the first of equals)."""
    scores = scores if valid is None else np.where(valid, scores, -np.inf)
    if hard:
        return np.eye(scores.shape[-1], dtype=scores.dtype)[scores.argmax(-1)]
    top = scores.max(-1, keepdims=True)
    e = np.exp(scores - np.where(np.isfinite(top), top, 0))
    return e / np.maximum(e.sum(-1, keepdims=True), np.finfo(e.dtype).tiny)


def _check(q, k, s, b, ok, g, first, cut) -> tuple[int, int, int]:
    """B, Q, N, or one line about the first shape that does not fit."""
    if q.ndim != 3 or k.ndim not in (2, 3) or k.shape[-1] != q.shape[-1]:
        what = "StickRead needs q (B, Q, K) and k (B, N, K) or (N, K)"
        raise ChronosError(what, got=f"{q.shape}, {k.shape}")
    B, Q, N = *q.shape[:2], k.shape[-2]
    if k.ndim == 3 and len(k) != B:
        raise ChronosError("StickRead needs keys for each life", expected=f"{B} lives", got=len(k))
    if (g is None) != (first is None):
        raise ChronosError("the clock needs g and the first hop's shares together")
    wanted = {"ok": (ok, (B, Q, N)), "first": (first, (B, Q, N + 1)), "cut": (cut, (B, Q))}
    for name, (array, shape) in wanted.items():
        if array is not None and array.shape != shape:
            raise ChronosError(f"StickRead: {name} does not fit", expected=shape, got=array.shape)
    for name, array in (("s", s), ("b", b), ("g", g)):
        shapes = ((), (1,), (Q,), (B, Q))
        if array is not None and array.shape not in shapes:
            expected = " or ".join(map(str, dict.fromkeys(shapes)))
            raise ChronosError(f"StickRead: {name} does not fit", expected=expected, got=array.shape)
    return B, Q, N


def _unit(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows of unit length, and one over their length."""
    over = 1 / np.sqrt(np.einsum("...k,...k->...", x, x)[..., None] + x.dtype.type(NORM_EPS))
    return x * over, over


def _unit_backward(d: np.ndarray, unit: np.ndarray, over: np.ndarray) -> np.ndarray:
    return (d - unit * np.einsum("...k,...k->...", d, unit)[..., None]) * over


def _sum_after(a: np.ndarray) -> np.ndarray:
    """Σ_{j>i} a_j over the last axis, at most 1 (shares of one stick, rounded)."""
    sums = np.cumsum(a[..., ::-1], axis=-1)[..., ::-1]
    return np.minimum(np.concatenate([sums[..., 1:], np.zeros_like(a[..., :1])], axis=-1), 1)


def _product(shape: tuple[int, ...], kind: np.dtype, *factors: np.ndarray | None) -> np.ndarray:
    """The factors that are there, multiplied, as rows (B·Q, N)."""
    mask = np.ones(shape, kind)
    for factor in factors:
        if factor is not None:
            mask *= factor
    return mask.reshape(shape[0] * shape[1], shape[2])


def _mask_backward(dm, ok, inside, before, after, g) -> tuple[np.ndarray | None, ...]:
    """dok (B, Q, N), dg, dfirst (B, Q, N + 1) of ok · [i < cut] · (1 − g + g after)."""
    if inside is not None:
        dm = dm * inside
    if before is None:
        return dm, None, None
    dbefore = dm if ok is None else dm * ok
    B, Q, N = dm.shape
    dg = (dbefore * (after - 1)).sum(-1)
    dafter = dbefore * _spread(g, B, Q)[..., None]
    dfirst = np.zeros((B, Q, N + 1), dm.dtype)
    np.cumsum(dafter[..., :-1], axis=-1, out=dfirst[..., 1:N])
    return dm * before, _gather(dg, g.shape), dfirst


def _spread(a: np.ndarray, B: int, Q: int) -> np.ndarray:
    return np.broadcast_to(a, (B, Q))


def _gather(d: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Sum d (B, Q) over what a number of that shape was spread to."""
    if d.shape == shape:
        return d
    return (d.sum(0) if shape and shape[0] == d.shape[1] else d.sum()).reshape(shape)
