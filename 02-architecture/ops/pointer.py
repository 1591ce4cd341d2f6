"""The pointer: an answer's next token may be copied from a recalled event, also one that was never trained.

One op from hidden states to the loss; `likeliest` and `chances` tell the same when an answer is generated.
It recalls nothing itself: the shares come from `StickRead` (ops/stick.py).
"""

import numpy as np

from chronos.architecture import kernels
from chronos.architecture.kernels.workspace import empty, zeros
from chronos.architecture.ops.loss import chunk_rows
from chronos.architecture.products import add_product, prepared, product
from chronos.architecture.tape import Node, Op
from chronos.console import ChronosError

FLOOR = 1e-20  # added to p: a target that nobody offers has a finite loss, and slopes stay true down to here


class Pointer(Op):
    """Σ_r −log p(target_r) · scale in nats: what the head says, mixed with words copied from recalled events.

        p(y) = γ p_LM(y) + (1 − γ) Σ_{h,l} a_hl Σ_k A_hk [word l of event k = y]

    Tensors: h (R, D) and head w (E, D), p_LM = softmax(h wᵀ); gate (R,), γ = σ(gate); scores (R, H, L), whose
    softmax over the slots that hold a word in some recalled event is a; then, a hop each, shares
    (B, Q, N + 1) as `StickRead` gives them (null points nowhere, so that lost recall costs). Settings: words
    (B, N, L) token ids of the events, −1 beyond their end, E and above for words that are no output class;
    of (R,) which question a row answers, 0 … B·Q − 1; targets (R,), negative to leave a row out; top, how
    many events of a hop are looked at; told (R,), if given, is filled with p(target). As in
    LinearCrossEntropy the slopes are known with the loss and saved.
    """

    @staticmethod
    def forward(
        ctx: Node, h: np.ndarray, w: np.ndarray, gate: np.ndarray, scores: np.ndarray, *hops: np.ndarray,
        words: np.ndarray, of: np.ndarray, targets: np.ndarray, top: int = 8, scale: float = 1.0,
        told: np.ndarray | None = None,
    ) -> np.ndarray:  # fmt: skip
        _check(h, gate, scores, hops, words, of, targets)
        used = targets >= 0
        shares, slots, places = _recalled(hops, words, of, top)
        match = (slots == targets[:, None, None, None]) & used[:, None, None, None]  # (R, H, k, L)
        a = slot_shares(scores, slots)
        offered = np.einsum("rhk,rhkl->rhl", shares, match)
        p_copy = np.einsum("rhl,rhl->r", a, offered)
        g = 1 / (1 + np.exp(-gate))
        weigh = _Mixture(g, p_copy, used, scale, told)
        dh, dw, loss = _head(ctx, h, w, targets, weigh)
        lift = weigh.copied[:, None, None]  # (1 − γ)·dp
        da = lift * offered
        dscores = a * (da - (a * da).sum((1, 2), keepdims=True))
        dshares = lift * np.einsum("rhl,rhkl->rhk", a, match)
        dhops = [_scatter(dshares[:, i], of, places[i], hop) for i, hop in enumerate(hops)]
        ctx.saved.update(grads=(dh, dw, weigh.gate_slope, dscores, *dhops))
        return np.asarray(loss, h.dtype)

    @staticmethod
    def backward(ctx: Node, grad: np.ndarray) -> tuple[np.ndarray | None, ...]:
        return tuple(None if piece is None else piece * grad for piece in ctx.saved["grads"])


class _Mixture:
    """γ p_LM + (1 − γ) p_copy for the rows of one loss, and its slopes, filled chunk by chunk."""

    def __init__(
        self, g: np.ndarray, p_copy: np.ndarray, used: np.ndarray, scale: float, told: np.ndarray | None
    ):
        self.g, self.p_copy, self.used, self.scale, self.told = g, p_copy, used, scale, told
        self.copied, self.gate_slope = np.zeros_like(g), np.zeros_like(g)

    def __call__(self, part: slice, p_lm: np.ndarray) -> tuple[np.ndarray, float]:
        """p_LM of some rows → the factor of their cross-entropy slopes (R',), and their loss."""
        g, p_copy, used = self.g[part], self.p_copy[part], self.used[part]
        p = g * p_lm + (1 - g) * p_copy + g.dtype.type(FLOOR)
        if self.told is not None:
            self.told[part] = p
        dp = np.where(used, -self.scale / p, 0).astype(g.dtype)
        self.copied[part] = (1 - g) * dp
        self.gate_slope[part] = dp * (p_lm - p_copy) * g * (1 - g)
        loss = -self.scale * float(np.log(p, where=used, out=np.zeros_like(p)).sum(dtype=np.float64))
        return g * p_lm / p, loss


def _head(ctx: Node, h, w, targets, weigh: _Mixture) -> tuple[np.ndarray | None, np.ndarray | None, float]:
    """The head and its softmax, a chunk of rows at a time: dh, dw and the loss."""
    dh = empty(h.shape, h.dtype) if ctx.needs[0] else None
    dw = zeros(w.shape, w.dtype) if ctx.needs[1] else None
    forward, back = prepared(w.T), prepared(w)
    known = np.where(targets < len(w), targets, -1)  # a word that is no output class can only be copied
    loss = 0.0
    for start in range(0, len(h), chunk_rows(len(w))):
        part = slice(start, start + chunk_rows(len(w)))
        logits = product(h[part], forward, empty((len(h[part]), len(w)), h.dtype))
        nats = kernels.cross_entropy(logits, known[part], weigh.scale)
        factor, more = weigh(part, np.where(known[part] >= 0, np.exp(-nats), 0).astype(h.dtype))
        loss += more
        logits *= factor[:, None]
        if dh is not None:
            product(logits, back, dh[part])
        if dw is not None:
            add_product(logits.T, h[part], dw)
    return dh, dw, loss


def slot_shares(scores: np.ndarray, slots: np.ndarray) -> np.ndarray:
    """a (R, H, L): softmax of scores over the slots of all hops where one of slots (R, H, k, L) is ≥ 0."""
    masked = np.where((slots >= 0).any(2), scores, -np.inf)
    top = masked.max((1, 2), keepdims=True, initial=-np.inf)
    e = np.exp(masked - np.where(np.isfinite(top), top, 0))
    return e / np.maximum(e.sum((1, 2), keepdims=True), np.finfo(e.dtype).tiny)


def likeliest(
    p_lm: np.ndarray, gate: np.ndarray, scores: np.ndarray, shares: np.ndarray, slots: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The likeliest token of each row, int64 (R,), and its probability, for generating.

    p_LM (R, E), gate (R,), scores (R, H, L), shares (R, H, k); slots (R, H, k, L) are the words of the
    recalled events, −1 where none stands: also ids of E and above, which can only be copied.
    """
    R, E = p_lm.shape
    g = 1 / (1 + np.exp(-gate))[:, None]
    p = g * p_lm
    mass = (1 - g)[..., None, None] * shares[..., None] * slot_shares(scores, slots)[:, :, None]
    known = (slots >= 0) & (slots < E)
    np.add.at(p, (np.nonzero(known)[0], slots[known]), mass[known])
    ids = p.argmax(1)
    best = p[np.arange(R), ids]
    for row in np.flatnonzero((slots >= E).any((1, 2, 3))):
        words, place = np.unique(slots[row][slots[row] >= E], return_inverse=True)
        copied = np.bincount(place, mass[row][slots[row] >= E])
        if copied.max() > best[row]:
            ids[row], best[row] = words[copied.argmax()], copied.max()
    return ids, best


def chances(
    p_lm: np.ndarray, gate: np.ndarray, scores: np.ndarray, shares: np.ndarray, slots: np.ndarray,
    tokens: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """How likely these tokens (R, n) are in each row, (R, n); the rest as in `likeliest`."""
    E = p_lm.shape[1]
    g = 1 / (1 + np.exp(-gate))[:, None]
    mass = (1 - g)[..., None, None] * shares[..., None] * slot_shares(scores, slots)[:, :, None]
    head = np.where(tokens < E, np.take_along_axis(p_lm, np.minimum(tokens, E - 1), axis=1), 0)
    flat, mass = slots.reshape(len(slots), -1), mass.reshape(len(slots), -1)
    return g * head + np.einsum("rm,rnm->rn", mass, flat[:, None] == tokens[..., None])


def _recalled(hops, words: np.ndarray, of: np.ndarray, top: int) -> tuple[np.ndarray, np.ndarray, list]:
    """Each hop's heaviest `top` events: shares (R, H, k), words (R, H, k, L), and places (B·Q, k) a hop."""
    N = words.shape[1]
    life = np.arange(hops[0].shape[0] * hops[0].shape[1]) // hops[0].shape[1]
    shares, slots, places = [], [], []
    for hop in hops:
        flat = hop.reshape(-1, N + 1)[:, :N]
        k = min(top, N)
        best = np.argpartition(-flat, k - 1, axis=1)[:, :k] if 0 < k < N else np.argsort(-flat, axis=1)
        shares.append(np.take_along_axis(flat, best, axis=1)[of])
        slots.append(words[life[:, None], best][of])
        places.append(best)
    return np.stack(shares, 1), np.stack(slots, 1), places


def _scatter(d: np.ndarray, of: np.ndarray, best: np.ndarray, hop: np.ndarray) -> np.ndarray:
    """d (R, k) added where the shares came from, in the shape of the hop."""
    flat = np.zeros((hop.shape[0] * hop.shape[1], hop.shape[2]), hop.dtype)
    np.add.at(flat, (of[:, None], best[of]), d)
    return flat.reshape(hop.shape)


def _check(h, gate, scores, hops, words, of, targets) -> None:
    R = len(h)
    if not hops or any(hop.ndim != 3 or hop.shape != hops[0].shape for hop in hops):
        raise ChronosError("Pointer needs the shares of each hop, (B, Q, N + 1)", got=[a.shape for a in hops])
    B, Q, slots = hops[0].shape
    wanted = {"gate": (gate, (R,)), "of": (of, (R,)), "targets": (targets, (R,))}
    wanted["scores"] = (scores, (R, len(hops), words.shape[-1]))
    wanted["words"] = (words, (B, slots - 1, words.shape[-1]))
    for name, (array, shape) in wanted.items():
        if array.shape != shape:
            raise ChronosError(f"Pointer: {name} does not fit", expected=shape, got=array.shape)
    if R and (of.min() < 0 or of.max() >= B * Q):
        got = f"{of.min()} … {of.max()}"
        raise ChronosError("Pointer: a row answers no question", expected=f"0 … {B * Q - 1}", got=got)
