"""The plain twin of the types beside Q4_0 and Q8_0: Q2_K, INT4, F16 and BF16 in NumPy.

The definition of what quants_k.c and quants_int4.c do, byte for byte; plain.py calls it.
"""

import numpy as np

from chronos.native.blocks import BLOCK, FORMATS, INT4

F = np.float32
SUPER, SIXTEENS, LARGEST = 256, 16, F(65504)  # Q2_K's block, its sixteens, and the largest half
Q2_K = np.dtype([("scales", "u1", SIXTEENS), ("q", "u1", 64), ("d", "<f2"), ("dmin", "<f2")])
LAYOUTS = {name: np.dtype([("d", "<f2"), ("q", "u1", FORMATS[name][0] // 2)]) for name in INT4}
LAYOUTS |= {"Q2_K": Q2_K, "F16": np.dtype("<f2"), "BF16": np.dtype("<u2")}


def quantize(qtype: str, w: np.ndarray) -> np.ndarray:
    """w (N, K) float32, finite → blocks (nbytes,) uint8.

    INT4: d = max|w| / 7, at most the largest half; code = w/d + 8 rounded, halves up, by the stored d. F16
    and BF16: rounded to nearest, ties to even; beyond F16's largest is infinity. Q2_K: `_quantize_q2_k`.
    """
    if qtype == "F16":
        with np.errstate(over="ignore"):
            return w.astype("<f2").reshape(-1).view(np.uint8)
    if qtype == "BF16":
        bits = w.reshape(-1).view(np.uint32).astype(np.uint64)
        return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype("<u2").view(np.uint8)
    if qtype == "Q2_K":
        return _quantize_q2_k(w.reshape(-1, SUPER))
    group = FORMATS[qtype][0]
    x = w.reshape(-1, group)
    blocks = np.zeros(len(x), LAYOUTS[qtype])
    blocks["d"] = np.minimum(np.abs(x).max(axis=1, initial=0) / F(7), LARGEST)
    d = blocks["d"].astype(F)
    inverse = np.divide(F(1), d, out=np.zeros_like(d), where=d > 0)
    with np.errstate(over="ignore"):
        codes = (np.clip(x * inverse[:, None], F(-7), F(7)) + F(8.5)).astype(np.uint8)
    blocks["q"] = _nibbles(codes.reshape(-1, BLOCK)).reshape(blocks["q"].shape)
    return blocks.view(np.uint8)


def dequantize(qtype: str, data: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Blocks (nbytes,) uint8 → w (N, K) float32."""
    blocks = data.view(LAYOUTS[qtype])
    if qtype == "F16":
        return blocks.astype(F).reshape(shape)
    if qtype == "BF16":
        return (blocks.astype(np.uint32) << 16).view(F).reshape(shape)
    with np.errstate(invalid="ignore"):  # an infinite scale times code 0
        if qtype == "Q2_K":
            scale = blocks["d"].astype(F)[:, None] * (blocks["scales"] & 15).astype(F)
            least = blocks["dmin"].astype(F)[:, None] * (blocks["scales"] >> 4).astype(F)
            return (scale[..., None] * _two_bits(blocks["q"]).astype(F) - least[..., None]).reshape(shape)
        group = FORMATS[qtype][0]
        pairs = blocks["q"].reshape(len(blocks), group // BLOCK, 1, BLOCK // 2)
        codes = (pairs >> np.array([0, 4], np.uint8)[:, None] & 15).reshape(len(blocks), group).astype(F) - F(
            8
        )
        return (blocks["d"].astype(F)[:, None] * codes).reshape(shape)


def _nibbles(codes: np.ndarray) -> np.ndarray:
    """Codes (blocks, 32) → bytes (blocks, 16): code j below, code j + 16 above."""
    return codes[:, : BLOCK // 2] | codes[:, BLOCK // 2 :] << 4


def _two_bits(q: np.ndarray) -> np.ndarray:
    """Bytes (blocks, 64) → codes (blocks, 16, 16): code 128h + 32p + i is bits 2p, 2p+1 of byte 32h + i."""
    parts = q.reshape(-1, 2, 1, 32) >> np.array([0, 2, 4, 6], np.uint8)[:, None] & 3
    return parts.reshape(-1, SIXTEENS, 16)


def _quantize_q2_k(w: np.ndarray) -> np.ndarray:
    """w (blocks, 256) → blocks of Q2_K.

    Each sixteen gets the scale and the offset (at most 0) of least squared error (`_fit`), in which a weight
    counts |w| + 0.3 mean|w|. d and dmin are the largest of them over 15; each sixteen takes the multiples of
    both, near its own, that leave the least error (`_choose`). For these d and dmin are fitted once more
    (`_refit`) and chosen from again; what leaves less error is taken. All on w times a power of two.
    """
    amax = np.abs(w).max(axis=1, initial=0)
    power = np.frexp(amax)[1].astype(np.int32)
    x = np.ldexp(w, -power[:, None]).reshape(-1, SIXTEENS, 16).transpose(2, 0, 1)  # (16, blocks, sixteens)
    counts = np.abs(x) + F(0.3) / F(SUPER) * _across(_sum(np.abs(x)))
    scale, offset = _fit(x, counts)
    units = _halves((scale.max(axis=1, initial=0) / F(15), -offset.min(axis=1, initial=0) / F(15)), power)
    first = _choose(x, counts, scale, offset, *(np.ldexp(u.astype(F), -power) for u in units))
    units2 = _halves(_refit(x, counts, *first), power)
    second = _choose(x, counts, scale, offset, *(np.ldexp(u.astype(F), -power) for u in units2))
    better = second[-1] < first[-1]
    units = (np.where(better, b, a) for a, b in zip(units, units2, strict=True))
    chosen = (np.where(better[:, None], b, a) for a, b in zip(first[2:5], second[2:5], strict=True))
    return _blocks_of(amax > 0, *units, *chosen)


def _halves(units: tuple[np.ndarray, np.ndarray], power: np.ndarray) -> list[np.ndarray]:
    """Units times 2^power as halves, the largest half at most."""
    with np.errstate(over="ignore"):
        return [np.minimum(np.ldexp(np.maximum(u, F(0)), power), LARGEST).astype("<f2") for u in units]


def _blocks_of(used, d, dmin, sc, m, codes) -> np.ndarray:
    """Halves (blocks,), multiples (blocks, sixteens), codes (16, blocks, sixteens) → blocks, as bytes."""
    blocks = np.zeros(len(d), Q2_K)
    codes = codes.astype(np.uint8).transpose(1, 2, 0).reshape(-1, 2, 4, 32)
    blocks["d"], blocks["dmin"] = d, dmin
    blocks["scales"] = sc.astype(np.uint8) | m.astype(np.uint8) << 4
    blocks["q"] = (codes << np.array([0, 2, 4, 6], np.uint8)[:, None]).sum(axis=2).reshape(-1, 64)
    blocks[~used] = np.zeros((), Q2_K)
    return blocks.view(np.uint8)


def _inverse(v: np.ndarray) -> np.ndarray:
    """1/v, or 0 where v is not above 0."""
    return np.divide(F(1), v, out=np.zeros_like(v), where=v > 0)


def _codes(v: np.ndarray) -> np.ndarray:
    """Rounded to 0..3."""
    return (np.clip(v, 0, 3) + F(0.5)).astype(np.int32).astype(F)


def _sum(terms: np.ndarray) -> np.ndarray:
    """Sum over the first axis, one after another, as C does."""
    total = np.zeros_like(terms[0])
    for term in terms:
        total += term
    return total


def _across(v: np.ndarray) -> np.ndarray:
    """Sums (blocks, 1) over the sixteens, in order."""
    return _sum(np.moveaxis(v, -1, 0))[:, None]


def _fit(x: np.ndarray, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """x and what it counts (16, blocks, sixteens) → scale and offset (blocks, sixteens).

    Codes are guessed, scale and offset fitted to them by least squares, codes assigned anew, and once more. A
    guess is how many steps lie between least and largest; 1 and 2 must leave a quarter of an error of note.
    """
    low = np.minimum(x.min(axis=0), F(0))
    width = x.max(axis=0) - low
    scale, offset, best = np.zeros_like(low), np.zeros_like(low), np.full_like(low, np.inf)
    for guess in (2.5, 2.7, 2.9, 3.1, 3.3, 3.6, 4, 1, 2):
        codes = _codes((x - low) * np.divide(F(guess), width, out=np.zeros_like(width), where=width > 0))
        for _ in range(2):
            s, o = _solve(x, w, codes, low)
            codes, error = _assign(x, w, s, o)
            better = error < (best if guess > 2 else F(0.25) * best - F(2.0**-18))
            best, scale, offset = (np.where(better, *p) for p in ((error, best), (s, scale), (o, offset)))
    return scale, offset


def _solve(x: np.ndarray, w: np.ndarray, codes: np.ndarray, low: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The scale and offset of least squared error for these codes; `low` is the offset if all are alike."""
    wl, wx = w * codes, w * x
    w1, x1, l1, l2, xl = (_sum(terms) for terms in (w, wx, wl, wl * codes, wx * codes))
    every = w1 * l2
    det = every - l1 * l1
    apart = det > F(1e-6) * every
    safe = np.where(apart, det, F(1))
    fitted = (l2 * x1 - l1 * xl) / safe
    free = apart & (fitted < 0)
    s = np.where(free, (w1 * xl - x1 * l1) / safe, np.where(l2 > 0, xl / np.where(l2 > 0, l2, F(1)), F(0)))
    return np.maximum(s, F(0)), np.where(apart, np.where(free, fitted, F(0)), low)


def _assign(x: np.ndarray, w: np.ndarray, scale, offset) -> tuple[np.ndarray, np.ndarray]:
    """The codes (16, blocks, sixteens) that come closest, and the error (blocks, sixteens) they leave."""
    codes = _codes((x - offset) * _inverse(scale))
    off = scale * codes + offset - x
    return codes, _sum(w * (off * off))


def _choose(x, w, scale, offset, d, dmin) -> tuple[np.ndarray, ...]:
    """For d and dmin (blocks,): multiples (blocks, sixteens), 0..15, around the fitted ones, of least error.

    Returns d and dmin (blocks, 1), those multiples, codes (16, blocks, sixteens) and the error (blocks,).
    """
    d, dmin = d[:, None], dmin[:, None]
    ratios = (np.divide(a, u, out=np.zeros_like(a), where=u > 0) for a, u in ((scale, d), (-offset, dmin)))
    sc0, m0 = ((np.clip(r, 0, 15) + F(0.5)).astype(np.int32).astype(F) for r in ratios)
    sc, m, best = np.zeros_like(sc0), np.zeros_like(m0), np.full_like(sc0, np.inf)
    for t in range(9):
        a, b = np.clip(sc0 + F(t // 3 - 1), 0, 15), np.clip(m0 + F(t % 3 - 1), 0, 15)
        _, error = _assign(x, w, d * a, -dmin * b)
        better = error < best
        best, sc, m = (np.where(better, *p) for p in ((error, best), (a, sc), (b, m)))
    codes, error = _assign(x, w, d * sc, -dmin * m)
    return d, dmin, sc, m, codes, _across(error)[:, 0]


def _refit(x, w, d, dmin, sc, m, codes, _error) -> tuple[np.ndarray, np.ndarray]:
    """The d and dmin (blocks,) of least squared error for these multiples and codes."""
    p = sc * codes
    wp, wm = w * p, w * m
    pp, pm, mm, px, mx = (_across(_sum(terms)) for terms in (wp * p, wp * m, wm * m, wp * x, wm * x))
    det = pp * mm - pm * pm
    apart = det > F(1e-6) * (pp * mm)
    safe, some = np.where(apart, det, F(1)), np.where(pp > 0, pp, F(1))
    alone = np.where(pp > 0, (px + dmin * pm) / some, d)
    d = np.where(apart, (px * mm - mx * pm) / safe, alone)
    return d[:, 0], np.where(apart, (px * pm - mx * pp) / safe, dmin)[:, 0]
