"""The plain twin in NumPy: the definition of what the C kernels compute, their oracle, and their stand-in.

Written to be read against llama.cpp's format and SCIENCE's formulas, not to be fast. Arguments are checked by
the package's face; shapes: B rows of x, N rows of w, K columns of both.
"""

import numpy as np

from chronos.native import gemm_plain, panels, plain_types
from chronos.native.blocks import BLOCK, FORMATS, data_bytes, filled

# A block as it lies in memory: a half-precision scale d, then the codes.
LAYOUTS = {
    "Q4_0": np.dtype([("d", "<f2"), ("q", "u1", BLOCK // 2)]),  # q[j] = code j | code j+16 << 4
    "Q8_0": np.dtype([("d", "<f2"), ("q", "i1", BLOCK)]),
    **plain_types.LAYOUTS,
}
TINY = np.float32(2.0**-120)  # blocks of x below it count as zero: 127 / max|x| could overflow
ROWS_AT_ONCE = 1024  # rows of w turned into floats at once by `matmul`

_threads = 1


def quantize(qtype: str, w: np.ndarray) -> np.ndarray:
    """w (N, K) float32, finite → blocks (nbytes,) uint8.

    Q4_0: d = (the signed value of largest magnitude, the first of equals) / -8, code = min(15, trunc(w/d +
    8.5)). Q8_0: d = max|w| / 127, code = w/d rounded half away from zero. Both divide by the unrounded d and
    store it in half precision, where it may become infinity. Where 1/d overflows (d < 2^-128) codes are 0.
    The other types: see plain_types.py. Zeros fill up the last block of a row.
    """
    w = _fill_up(w, FORMATS[qtype][0])
    if qtype not in ("Q4_0", "Q8_0"):
        return plain_types.quantize(qtype, w)
    x = w.reshape(-1, BLOCK)
    blocks = np.zeros(len(x), LAYOUTS[qtype])
    if qtype == "Q4_0":
        largest = np.take_along_axis(x, np.abs(x).argmax(axis=1)[:, None], axis=1)
        d = largest / np.float32(-8)
    else:
        d = np.abs(x).max(axis=1, keepdims=True) / np.float32(127)
    with np.errstate(divide="ignore", over="ignore"):
        inverse = np.where(d == 0, np.float32(0), np.float32(1) / d)
        blocks["d"] = d[:, 0]
    usable = np.isfinite(inverse)
    scaled = x * np.where(usable, inverse, 0)
    if qtype == "Q4_0":
        codes = np.minimum((scaled + np.float32(8.5)).astype(np.int32), 15) * usable
        blocks["q"] = codes[:, : BLOCK // 2] | codes[:, BLOCK // 2 :] << 4
    else:
        magnitude = np.floor(np.abs(scaled))
        magnitude += np.abs(scaled) - magnitude >= 0.5
        blocks["q"] = np.copysign(magnitude, scaled) * usable
    return blocks.view(np.uint8)


def dequantize(qtype: str, data: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Blocks (nbytes,) uint8 → w (N, K) float32: d * (code - 8) for Q4_0, d * code for Q8_0."""
    w = _dequantize(qtype, data, (shape[0], filled(qtype, shape[1])))
    return np.ascontiguousarray(w[:, : shape[1]])


def _dequantize(qtype: str, data: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    if qtype not in ("Q4_0", "Q8_0"):
        return plain_types.dequantize(qtype, data, shape)
    blocks = data.view(LAYOUTS[qtype])
    if qtype == "Q4_0":
        codes = np.concatenate([blocks["q"] & 15, blocks["q"] >> 4], axis=1).astype(np.float32) - 8
    else:
        codes = blocks["q"].astype(np.float32)
    with np.errstate(invalid="ignore"):  # an infinite scale times code 0
        return (blocks["d"].astype(np.float32)[:, None] * codes).reshape(shape)


def quantize_x(x: np.ndarray, step: int = BLOCK) -> tuple[np.ndarray, np.ndarray]:
    """x (B, K) float32 → codes (B, S, step) int8 and scales (B, S) float32, S = ⌈K/step⌉: x ≈ scale * code.

    scale = max|x| / 127 of the block, code = x * (127 / max|x|) rounded to nearest, ties to even, so that
    |x - scale * code| ≤ scale / 2. A block with NaN or infinity gets scale NaN; one below TINY gets zeros.
    """
    x = _fill_up(x, step)
    blocks = x.reshape(len(x), x.shape[1] // step, step)
    largest = np.abs(blocks).max(axis=2, initial=0)
    usable = np.isfinite(largest) & (largest >= TINY)
    inverse = np.float32(127) / np.where(usable, largest, np.float32(1))
    with np.errstate(invalid="ignore"):
        codes = np.where(usable[..., None], np.rint(blocks * inverse[..., None]), 0).astype(np.int8)
    scales = np.where(usable, largest / np.float32(127), np.where(np.isfinite(largest), 0, np.nan))
    return codes, scales.astype(np.float32)


def round_x(qtype: str, x: np.ndarray) -> np.ndarray:
    """x (B, K) float32 as a product with weights of this type takes it: rounded by 32 values, by 256 where
    Q2_K's blocks are, each to bf16 for BF16, not at all for F16."""
    if qtype in ("F16", "BF16"):
        return x if qtype == "F16" else gemm_plain.bf16(x)
    codes, scales = quantize_x(x, 256 if qtype == "Q2_K" else BLOCK)
    return (codes * scales[..., None]).reshape(len(x), codes.shape[1] * codes.shape[2])[:, : x.shape[1]]


def matmul(x: np.ndarray, qtype: str, data: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """x (B, K) float32, blocks of w (N, K) → y (B, N) float32: (x, rounded) @ (w from blocks).T."""
    rounded = round_x(qtype, x)
    y = np.empty((len(x), shape[0]), np.float32)
    for start in range(0, shape[0], ROWS_AT_ONCE):
        rows = min(ROWS_AT_ONCE, shape[0] - start)
        begin, size = data_bytes(qtype, (start, shape[1])), data_bytes(qtype, (rows, shape[1]))
        w = dequantize(qtype, data[begin : begin + size], (rows, shape[1]))
        with np.errstate(over="ignore", invalid="ignore"):
            y[:, start : start + rows] = rounded @ w.T
    return y


def pack(qtype: str, data: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Blocks of w (N, K) → its panels."""
    return panels.pack(qtype, data, shape)


def unpack_rows(qtype: str, packed: np.ndarray, shape: tuple[int, int], rows: np.ndarray) -> np.ndarray:
    """Panels of w (N, K) → the blocks (nbytes,) of some of its rows."""
    return panels.unpack_rows(qtype, packed, shape, rows)


def matmul_packed(x: np.ndarray, qtype: str, packed: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """x (B, K) float32, panels of w (N, K) → y (B, N) float32."""
    return matmul(x, qtype, unpack_rows(qtype, packed, shape, np.arange(shape[0])), shape)


def back(g: np.ndarray, qtype: str, data: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """g (B, N) float32, blocks of w (N, K) → y (B, K) float32: g @ (w from blocks)."""
    y = np.zeros((len(g), shape[1]), np.float32)
    for start in range(0, shape[0], ROWS_AT_ONCE):
        rows = min(ROWS_AT_ONCE, shape[0] - start)
        begin, size = data_bytes(qtype, (start, shape[1])), data_bytes(qtype, (rows, shape[1]))
        w = dequantize(qtype, data[begin : begin + size], (rows, shape[1]))
        with np.errstate(over="ignore", invalid="ignore"):
            y += g[:, start : start + rows] @ w
    return y


def _fill_up(a: np.ndarray, block: int) -> np.ndarray:
    """Rows of `a` (R, K) with zeros after them, up to a multiple of `block`."""
    short = -a.shape[1] % block
    return np.pad(a, ((0, 0), (0, short))) if short else a


def first_nonfinite(w: np.ndarray) -> int:
    """The flat index of the first NaN or infinity in w, or -1."""
    bad = ~np.isfinite(w.reshape(-1))
    return int(bad.argmax()) if bad.any() else -1


def read(data: np.ndarray, times: int = 1) -> int:
    """Read all of data (bytes,) uint8, for the clock; the sums of its words modulo 2^64."""
    words = data[: data.size // 256 * 256].view(np.uint64)
    return sum(int(words.sum()) for _ in range(times)) % 2**64


def peak(kind: str, rounds: int) -> float:
    """No instruction is chosen here, so no peak is known."""
    return 0.0


def set_threads(n: int) -> None:
    """Remembered for `info`; NumPy's products have a setting of their own (threadpoolctl)."""
    global _threads
    _threads = n


def info() -> dict:
    """What runs: see `chronos.native.info`."""
    return {"isa": "plain", "isas": ["plain"], "threads": _threads, "compiler": None, "sources": None}
