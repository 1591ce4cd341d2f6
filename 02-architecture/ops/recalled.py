"""What a read of the memory brings back: the words and the times of the events, weighted by their shares.

One op from the shares of a stick (`StickRead`) to L + M vectors a question. It finds nothing itself, and
what stands in a time slot is none of its business: a mark is a row of the embedding table.
"""

import numpy as np

from chronos.architecture import kernels
from chronos.architecture.ops.ragged import check_ends
from chronos.architecture.tape import Node, Op
from chronos.console import ChronosError


class Recalled(Op):
    """L word slots and M time slots a question: (R, L + M, D), R = B·Q questions on B lives of N events.

        out[r, l]     = Σ_i A_ri h[token l of the sentence of event i]          (nothing beyond its end)
        out[r, L + m] = Σ_i A_ri (emb[marks_im] + pos_m) · times                (pos_m alone for mark −1)
        and to both      A_r,null · null · times + hop · times

    Tensors: shares A (R, N + 1) or (B, Q, N + 1), the last column the null share; h (T, D), the tokens of U
    sentences; emb (V, D), pos (M, D), null (L + M, D), hop (1, D). Settings: idx (B, N) int64, the sentence
    of each event; ends (U,) int64; length L, sentences longer than that are cut; marks (B, N, M) int64;
    times. Saves its inputs and the shares by mark. ChronosError where shapes or numbers do not fit.
    """

    @staticmethod
    def forward(
        ctx: Node, shares: np.ndarray, h: np.ndarray, emb: np.ndarray, pos: np.ndarray, null: np.ndarray,
        hop: np.ndarray, *, idx: np.ndarray, ends: np.ndarray, length: int, marks: np.ndarray,
        times: float = 1.0,
    ) -> np.ndarray:  # fmt: skip
        _check(shares, h, emb, pos, null, hop, idx, ends, length, marks)
        A, much = shares.reshape(-1, shares.shape[-1]), emb.dtype.type(times)
        kinds, short = _short_names(marks, len(emb))
        by_mark = kernels.mark_shares(A, short, len(kinds))
        found = A[:, :-1].sum(1)
        out = kernels.recall_words(A, h, idx, ends, len(null), length)
        out[:, length:] += (by_mark @ emb[kinds] + found[:, None, None] * pos) * much
        out += (A[:, -1:, None] * null + hop) * much
        ctx.saved.update(A=A, h=h, vectors=emb[kinds], pos=pos, null=null, by_mark=by_mark, found=found)
        ctx.saved.update(idx=idx, ends=ends, length=length, kinds=kinds, short=short, times=much)
        ctx.saved.update(shapes=(shares.shape, emb.shape))
        return out

    @staticmethod
    def backward(ctx: Node, grad: np.ndarray) -> tuple[np.ndarray, ...]:
        saved = ctx.saved
        A, length, times = saved["A"], saved["length"], saved["times"]
        shares_shape, emb_shape = saved["shapes"]
        dA, dh = kernels.recall_words_backward(grad, A, saved["h"], saved["idx"], saved["ends"], length)
        dtime = grad[:, length:] * times
        dA += kernels.mark_shares_backward(dtime @ saved["vectors"].T, A, saved["short"])
        dA[:, :-1] += _dot(dtime, saved["pos"])[:, None]
        dA[:, -1] = _dot(grad, saved["null"]) * times
        demb = np.zeros(emb_shape, grad.dtype)
        flat = dtime.reshape(-1, grad.shape[2])
        demb[saved["kinds"]] = saved["by_mark"].reshape(len(flat), -1).T @ flat
        dpos = np.tensordot(saved["found"], dtime, 1)
        dnull = np.tensordot(A[:, -1], grad, 1) * times
        dhop = grad.sum((0, 1))[None] * times
        return dA.reshape(shares_shape), dh, demb, dpos, dnull, dhop


def _short_names(marks: np.ndarray, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Which rows of the table are marks at all (C,), and the marks by their place among them, −1 for none."""
    used = np.zeros(rows + 1, bool)
    used[marks] = True  # −1 is the last
    kinds = np.flatnonzero(used[:rows])
    place = np.full(rows + 1, -1)
    place[kinds] = np.arange(len(kinds))
    return kinds, place[marks]


def _dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Σ over slots and width: (R, S, D) and (S, D) → (R,)."""
    return a.reshape(len(a), b.size) @ b.reshape(-1)


def _check(shares, h, emb, pos, null, hop, idx, ends, length, marks) -> None:
    if marks.ndim != 3 or idx.shape != marks.shape[:2] or idx.dtype != np.int64 or marks.dtype != np.int64:
        got = f"{idx.shape} {idx.dtype}, {marks.shape} {marks.dtype}"
        raise ChronosError("Recalled needs idx (B, N) and marks (B, N, M), int64", got=got)
    if h.ndim != 2 or length < 1:
        raise ChronosError("Recalled needs h (T, D) and a length", got=f"{h.shape}, {length}")
    (B, N, M), D = marks.shape, h.shape[1]
    if shares.ndim not in (2, 3) or shares.shape[-1] != N + 1 or len(shares) % max(1, B):
        raise ChronosError(
            "Recalled: shares do not fit", expected=f"(a multiple of {B}, {N + 1})", got=shares.shape
        )
    if shares.ndim == 3 and len(shares) != B:
        raise ChronosError("Recalled: shares do not fit", expected=f"({B}, Q, {N + 1})", got=shares.shape)
    wanted = {"emb": (emb, (len(emb), D)), "pos": (pos, (M, D)), "null": (null, (length + M, D))}
    for name, (array, shape) in (wanted | {"hop": (hop, (1, D))}).items():
        if array.shape != shape:
            raise ChronosError(f"Recalled: {name} does not fit", expected=shape, got=array.shape)
    check_ends("Recalled", "ends", ends, len(h))
    for name, numbers, low, high in (("idx", idx, 0, len(ends)), ("marks", marks, -1, len(emb))):
        if numbers.size and (numbers.min() < low or numbers.max() >= high):
            got = f"{numbers.min()} … {numbers.max()}"
            raise ChronosError(f"Recalled: {name} out of range", expected=f"{low} … {high - 1}", got=got)
