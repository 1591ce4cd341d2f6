"""The C kernels, with the functions of plain.py: this file hands over pointers and checks nothing itself.

Importing it raises ImportError where the extension was not built. Arguments come from the package's face,
which has checked types, shapes, sizes, strides and alignment; C trusts them.
"""

import os

import numpy as np

from chronos.console import ChronosError
from chronos.native._chronos_native import ffi, lib
from chronos.native.blocks import data_bytes
from chronos.native.panels import panel_bytes

FLOATS, BYTES = ffi.typeof("float[]"), ffi.typeof("uint8_t[]")  # parsed once: a product is called often
ROWS, LINE = ffi.typeof("int64_t[]"), 64
TYPE_NUMBERS = {  # ggml's, but for INT4
    **{"F16": 1, "Q4_0": 2, "Q8_0": 8, "Q2_K": 10, "BF16": 30},
    **{"INT4_32": 1032, "INT4_64": 1064, "INT4_128": 1128},
}
PEAKS = ("float32", "int8", "bf16")  # in the order of limits.c
ERRORS = {-1: "unknown type", -3: "out of memory", -4: "unknown ISA"}


def _done(code: int) -> None:
    if code == -3:
        raise MemoryError("native: no memory for the quantized activations")
    if code:
        raise ChronosError(f"native: {ERRORS[code]}")


def quantize(qtype: str, w: np.ndarray) -> np.ndarray:
    """w (N, K) float32 → blocks (nbytes,) uint8."""
    blocks = np.empty(data_bytes(qtype, w.shape), np.uint8)
    out = ffi.from_buffer(BYTES, blocks)
    _done(lib.chronos_quantize(TYPE_NUMBERS[qtype], ffi.from_buffer(FLOATS, w), *w.shape, out))
    return blocks


def dequantize(qtype: str, data: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Blocks (nbytes,) uint8 → w (N, K) float32."""
    w = np.empty(shape, np.float32)
    out = ffi.from_buffer(FLOATS, w)
    _done(lib.chronos_dequantize(TYPE_NUMBERS[qtype], ffi.from_buffer(BYTES, data), *shape, out))
    return w


def matmul(x: np.ndarray, qtype: str, data: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """x (B, K) float32, blocks of w (N, K) → y (B, N) float32. The interpreter runs on meanwhile."""
    y = np.empty((x.shape[0], shape[0]), np.float32)
    blocks, xs, out = ffi.from_buffer(BYTES, data), ffi.from_buffer(FLOATS, x), ffi.from_buffer(FLOATS, y)
    _done(lib.chronos_matmul(TYPE_NUMBERS[qtype], blocks, shape[0], shape[1], xs, x.shape[0], out))
    return y


def pack(qtype: str, data: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Blocks of w (N, K) → its panels (panel_bytes,) uint8, on a cache line."""
    size = panel_bytes(qtype, shape)
    room = np.empty(size + LINE, np.uint8)
    start = -room.ctypes.data % LINE
    panels = room[start : start + size]
    out = ffi.from_buffer(BYTES, panels)
    _done(lib.chronos_pack(TYPE_NUMBERS[qtype], ffi.from_buffer(BYTES, data), *shape, out))
    return panels


def unpack_rows(qtype: str, packed: np.ndarray, shape: tuple[int, int], rows: np.ndarray) -> np.ndarray:
    """Panels of w (N, K) → the blocks (nbytes,) uint8 of some of its rows (R,) int64, each in 0..N-1."""
    blocks = np.empty(data_bytes(qtype, (len(rows), shape[1])), np.uint8)
    buffers = ffi.from_buffer(BYTES, packed), shape[1], ffi.from_buffer(ROWS, rows), len(rows)
    _done(lib.chronos_unpack_rows(TYPE_NUMBERS[qtype], *buffers, ffi.from_buffer(BYTES, blocks)))
    return blocks


def matmul_packed(x: np.ndarray, qtype: str, packed: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """x (B, K) float32, panels of w (N, K) → y (B, N) float32. The interpreter runs on meanwhile."""
    y = np.empty((x.shape[0], shape[0]), np.float32)
    panels, xs, out = ffi.from_buffer(BYTES, packed), ffi.from_buffer(FLOATS, x), ffi.from_buffer(FLOATS, y)
    _done(lib.chronos_matmul_packed(TYPE_NUMBERS[qtype], panels, *shape, xs, x.shape[0], out))
    return y


def back(g: np.ndarray, qtype: str, data: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """g (B, N) float32, blocks of w (N, K) → y (B, K) float32: g @ dequantize(w)."""
    y = np.empty((g.shape[0], shape[1]), np.float32)
    blocks, gs, out = ffi.from_buffer(BYTES, data), ffi.from_buffer(FLOATS, g), ffi.from_buffer(FLOATS, y)
    _done(lib.chronos_back(TYPE_NUMBERS[qtype], blocks, *shape, gs, g.shape[0], out))
    return y


def first_nonfinite(w: np.ndarray) -> int:
    """The flat index of the first NaN or infinity in w, or -1."""
    index = lib.chronos_nonfinite(ffi.from_buffer(FLOATS, w), w.size)
    return index if index < w.size else -1


def read(data: np.ndarray, times: int = 1) -> int:
    """Read all of data (bytes,) uint8 with all threads, for the clock; the sums of its words modulo 2^64."""
    return lib.chronos_read(ffi.from_buffer(BYTES, data), data.size, times)


def peak(kind: str, rounds: int) -> float:
    """Multiply-adds in registers with all threads, for the clock; operations done, 0 if this ISA has none.

    `kind`: one of PEAKS.
    """
    return lib.chronos_peak(PEAKS.index(kind), rounds)


def set_threads(n: int) -> None:
    """Threads of the products, the caller's included."""
    lib.chronos_set_threads(n)


def isas() -> list[str]:
    """The names of what this CPU and this build support, slowest first."""
    names, i = [], 0
    while (name := lib.chronos_isa_at(i)) != ffi.NULL:
        names.append(ffi.string(name).decode())
        i += 1
    return names


def choose_isa(name: str | None) -> None:
    """Use this one of `isas()` from now on; None is the best."""
    _done(lib.chronos_isa_choose(ffi.NULL if name is None else name.encode()))


def info() -> dict:
    """What runs: see `chronos.native.info`."""
    return {
        "isa": ffi.string(lib.chronos_isa_name()).decode(),
        "isas": isas(),
        "threads": lib.chronos_threads(),
        "compiler": ffi.string(lib.chronos_compiler()).decode(),
        "sources": ffi.string(lib.chronos_sources()).decode(),
    }


choose_isa(None)
set_threads(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
