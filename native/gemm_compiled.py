"""The products of gemm.c, with the functions of gemm_plain.py: it hands over pointers and checks nothing.

Importing it raises ImportError where the extension was not built. Arguments come from gemm.py.
"""

import numpy as np

from chronos.native.compiled import FLOATS, ffi, lib

UNITS, POINTER = ffi.typeof("uint32_t[]"), ffi.typeof("float *")
KINDS = {"f32": 0, "bf16": 1}  # as in gemm.h


def _address(a: np.ndarray) -> object:
    """Where `a` begins; the quick ways first, for a product by few rows takes microseconds."""
    if a.flags.c_contiguous:
        return ffi.from_buffer(FLOATS, a)
    if a.flags.f_contiguous:
        return ffi.from_buffer(FLOATS, a.T)
    return ffi.cast(POINTER, a.ctypes.data)


def _placed(a: np.ndarray) -> tuple[object, int, int]:
    """The address and both strides, in floats, of a matrix; one stride is 1. That of a lone line is free."""
    (rows, columns), (row, column) = a.shape, a.strides
    row, column = row // 4 if rows > 1 else 1, column // 4 if columns > 1 else 1
    return (_address(a), row, column) if a.size else (_address(a), 1, 1)


def pack(kind: str, b: np.ndarray, panels: np.ndarray) -> None:
    """b (K, N) → its panels, (units,) uint32."""
    if panels.size:
        lib.chronos_gemm_pack(
            KINDS[kind], b.shape[1], b.shape[0], *_placed(b), ffi.from_buffer(UNITS, panels)
        )


def units(kind: str, shape: tuple[int, int]) -> int:
    """How many 32-bit units `pack` makes."""
    return lib.chronos_gemm_packed(KINDS[kind], shape[1], shape[0])


def matmul(kind: str, a: np.ndarray, b: np.ndarray, packed: bool, c: np.ndarray, add: bool) -> None:
    """c (M, N) = a b, or c += a b; b (K, N), or its panels. The interpreter runs on meanwhile."""
    (m, k), n = a.shape, c.shape[1]
    given = (ffi.NULL, 0, 0, ffi.from_buffer(UNITS, b)) if packed else (*_placed(b), ffi.NULL)
    row = c.strides[0] // 4 if m > 1 else n
    if lib.chronos_gemm(KINDS[kind], m, n, k, *_placed(a), *given, _address(c), row, add):
        raise MemoryError("native: no memory for the packed panels")


def has_bf16() -> bool:
    """Whether instructions made for bf16 do the products."""
    return bool(lib.chronos_gemm_bf16())


def has_wide() -> bool:
    """Whether the chosen kernels multiply 16 floats at once."""
    return ffi.string(lib.chronos_isa_name()) == b"avx512"
