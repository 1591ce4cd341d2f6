"""The plain twin of gemm.py in NumPy: the definition of its products, their oracle, and their stand-in.

It rounds as the C kernels do and leaves the order of summing to BLAS. Arguments are checked by gemm.py.
Shapes: a (M, K), b (K, N), c (M, N).
"""

import numpy as np


def bf16(x: np.ndarray) -> np.ndarray:
    """x float32 → the same shape, each value rounded to bf16 (8 bits of mantissa), nearest, ties to even.

    Magnitudes below 2⁻¹²⁶ become 0, as processors have it; what is beyond the largest becomes infinity; a NaN
    stays one.
    """
    bits = np.ascontiguousarray(x).view(np.uint32)
    rounded = bits + (np.uint32(0x7FFF) + (bits >> 16 & 1))
    sign, magnitude = bits & 0x80000000, bits & 0x7FFFFFFF
    rounded = np.where(magnitude > 0x7F800000, bits | 0x400000, rounded)
    rounded = np.where(magnitude < 0x00800000, sign, rounded)
    return (rounded & np.uint32(0xFFFF0000)).view(np.float32).reshape(x.shape)


def pack(kind: str, b: np.ndarray, units: np.ndarray) -> None:
    """b (K, N) as products take it, into units: rounded, and row by row."""
    units.view(np.float32).reshape(b.shape)[...] = bf16(b) if kind == "bf16" else b


def units(kind: str, shape: tuple[int, int]) -> int:
    """How many 32-bit units `pack` makes."""
    return shape[0] * shape[1]


def matmul(kind: str, a: np.ndarray, b: np.ndarray, packed: bool, c: np.ndarray, add: bool) -> None:
    """c = a b, or c += a b, in float32; `packed`: b is what `pack` made."""
    if packed:
        b = b.view(np.float32).reshape(a.shape[1], c.shape[1])
    if kind == "bf16":
        a, b = bf16(a), b if packed else bf16(b)
    with np.errstate(over="ignore", invalid="ignore"):
        if add:
            c += a @ b
        else:
            np.matmul(a, b, out=c)


def has_bf16() -> bool:
    """NumPy has no bf16."""
    return False


def has_wide() -> bool:
    """NumPy's own product is what this one is."""
    return False
