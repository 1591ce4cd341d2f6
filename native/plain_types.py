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

    Each sixteen gets the scale and the offset (at most 0) of least squared error (`_fit`); d and dmin are
    the largest of them over 15, as halves, the largest half at most; then each sixteen takes the multiples of
    both next to its own that leave the least error (`_choose`). Done on w times a power of two, in float32.
    """
    blocks = np.zeros(len(w), Q2_K)
    amax = np.abs(w).max(axis=1, initial=0)
    power = np.frexp(amax)[1].astype(np.int32)
    x = np.ldexp(w, -power[:, None]).reshape(-1, SIXTEENS, 16).transpose(2, 0, 1)  # (16, blocks, sixteens)
    scale, offset = _fit(x)
    units = []
    for name, most in (("d", scale.max(axis=1, initial=0)), ("dmin", -offset.min(axis=1, initial=0))):
        with np.errstate(over="ignore"):
            blocks[name] = np.minimum(np.ldexp(most / F(15), power), LARGEST)
        units.append(np.ldexp(blocks[name].astype(F), -power)[:, None])
    sc, m = _choose(x, scale, offset, *units)
    s = units[0] * sc
    codes = _codes((x + units[1] * m) * _inverse(s)).astype(np.uint8).transpose(1, 2, 0).reshape(-1, 2, 4, 32)
    blocks["scales"] = sc.astype(np.uint8) | m.astype(np.uint8) << 4
    blocks["q"] = (codes << np.array([0, 2, 4, 6], np.uint8)[:, None]).sum(axis=2).reshape(-1, 64)
    blocks[amax == 0] = np.zeros((), Q2_K)
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


def _fit(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """x (16, blocks, sixteens) → scale and offset (blocks, sixteens), by guessed codes and least squares."""
    low = np.minimum(x.min(axis=0), F(0))
    width = x.max(axis=0) - low
    scale, offset, best = np.zeros_like(low), np.zeros_like(low), np.full_like(low, np.inf)
    x1 = _sum(x)
    for step in range(16):
        inverse = np.divide(F(2.5) + F(0.1) * F(step), width, out=np.zeros_like(width), where=width > 0)
        codes = _codes((x - low) * inverse)
        l1, l2, xl = _sum(codes), _sum(codes * codes), _sum(x * codes)
        det = F(16) * l2 - l1 * l1
        safe = np.where(det > 0, det, F(1))
        fitted = (l2 * x1 - l1 * xl) / safe
        free = (det > 0) & (fitted < 0)
        o = np.where(det > 0, np.where(free, fitted, F(0)), low)
        s = np.where(free, (F(16) * xl - x1 * l1) / safe, xl / np.where(l2 > 0, l2, F(1)))
        s = np.where(free | (l2 > 0), np.maximum(s, F(0)), F(0))
        off = s * codes + o - x
        error = _sum(off * off)
        better = error < best
        best, scale, offset = (np.where(better, *p) for p in ((error, best), (s, scale), (o, offset)))
    return scale, offset


def _choose(x, scale, offset, d, dmin) -> tuple[np.ndarray, np.ndarray]:
    """The multiples (blocks, sixteens) of d and dmin (blocks, 1), 0..15, of those around the fitted ones."""
    ratios = (np.divide(a, u, out=np.zeros_like(a), where=u > 0) for a, u in ((scale, d), (-offset, dmin)))
    sc0, m0 = ((np.clip(r, 0, 15) + F(0.5)).astype(np.int32).astype(F) for r in ratios)
    sc, m, best = np.zeros_like(sc0), np.zeros_like(m0), np.full_like(sc0, np.inf)
    for t in range(9):
        a, b = np.clip(sc0 + F(t // 3 - 1), 0, 15), np.clip(m0 + F(t % 3 - 1), 0, 15)
        s, o = d * a, dmin * b
        off = s * _codes((x + o) * _inverse(s)) - o - x
        error = _sum(off * off)
        better = error < best
        best, sc, m = (np.where(better, *p) for p in ((error, best), (a, sc), (b, m)))
    return sc, m
