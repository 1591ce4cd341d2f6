"""Products of float32 matrices in C: with inputs rounded to bf16, or as they are for few rows.

Everything that enters C is checked here; without the C library gemm_plain.py answers. It keeps nothing: who
multiplies by the same weights more than once packs them himself. All sums are float32.

    y = native.matmul_bf16(x, w.T)                  # the three products of a linear layer: forward,
    dx = native.matmul_bf16(g, w)                   # gradient of the input,
    native.matmul_bf16(g.T, x, out=dw, add=True)    # gradient of the weights, added to what is there
    packed = native.pack_f32(w.T); y = native.matmul_f32(x, packed)
"""

import importlib
from collections.abc import Callable
from functools import cache
from types import ModuleType

import numpy as np

from chronos import native
from chronos.console import ChronosError
from chronos.native import gemm_plain

KINDS = ("f32", "bf16")
SIZE = 4  # bytes of a float
LINE = 64  # bytes: panels begin on a cache line


class PackedMatrix:
    """A matrix b (K, N) in the layout of the kernels, of this process alone: make it with `pack_…`.

    kind "f32" or "bf16"; `units` (nbytes / 4,) uint32 or float32, not to be written.
    """

    __slots__ = ("kind", "shape", "units")

    def __init__(self, kind: str, shape: tuple[int, int], units: np.ndarray):
        right = isinstance(units, np.ndarray) and units.dtype in (np.uint32, np.float32)
        if kind not in KINDS or not right or not (units.flags.c_contiguous and units.flags.aligned):
            raise ChronosError(
                "no packed matrix", where="PackedMatrix", mend="make it with pack_f32 or pack_bf16"
            )
        if not (isinstance(shape, tuple) and len(shape) == 2 and all(_is_size(n) for n in shape)):
            raise ChronosError("shape must be (K, N)", where="PackedMatrix", got=repr(shape))
        units.flags.writeable = False
        for name, value in (("kind", kind), ("shape", shape), ("units", units)):
            object.__setattr__(self, name, value)

    def __setattr__(self, name: str, value: object) -> None:
        raise ChronosError(f"a PackedMatrix does not change ({name})", mend="pack the new matrix")

    @property
    def nbytes(self) -> int:
        return self.units.nbytes

    def __repr__(self) -> str:
        return f"PackedMatrix({self.kind}, {self.shape[0]} x {self.shape[1]}, {self.nbytes} bytes)"


def pack_bf16(b: np.ndarray, empty: Callable[[int, type], np.ndarray] = np.empty) -> PackedMatrix:
    """b (K, N) float32 → bf16 panels for `matmul_bf16`, half its bytes. A view such as w.T is not copied.

    Pack weights once for as long as they do not change: by 8 rows it doubles the speed.
    Memory comes from `empty(n, np.uint32)`.
    """
    return _pack("bf16", b, empty)


def pack_f32(b: np.ndarray, empty: Callable[[int, type], np.ndarray] = np.empty) -> PackedMatrix:
    """b (K, N) float32 → panels for `matmul_f32`, of the same bytes (N rounded up to a multiple of 32)."""
    return _pack("f32", b, empty)


def matmul_bf16(
    a: np.ndarray, b: np.ndarray | PackedMatrix, *, out: np.ndarray | None = None, add: bool = False
) -> np.ndarray:
    """a (M, K) b (K, N) → (M, N) float32, with a and b rounded to bf16 (nearest, ties to even).

    Each element is off by at most (K + 4) 2⁻²⁴ Σ|a b| from the exact product of the rounded values, plus
    2⁻¹²⁶ a term: magnitudes below that may count as 0. Rounding the inputs moves it by 2⁻⁸ Σ|a b| at most.
    An element depends on its row of a and its column of b alone: neither the number of threads nor the other
    rows change a bit. NaN and infinity spread as in any product.

    `out` (M, N) is written, or with `add` added to (K in blocks of 2,048, each summed before it is added),
    and returned. Its rows must be contiguous; it may not overlap a or b. a and b may be transposed or cut
    from larger matrices; with both strides above one element they are copied, other floats are converted.
    M, N and K may be 0. Safe from several Python threads. Raises ChronosError for what does not fit.
    """
    return _matmul("bf16", a, b, out, add)


def matmul_f32(
    a: np.ndarray, b: np.ndarray | PackedMatrix, *, out: np.ndarray | None = None, add: bool = False
) -> np.ndarray:
    """a (M, K) b (K, N) → (M, N) float32, as `matmul_bf16` does but without rounding a and b.

    For a few rows by weights that were packed once nothing is faster; for many, see `has_wide`.
    """
    return _matmul("f32", a, b, out, add)


def has_bf16() -> bool:
    """Whether this CPU multiplies bf16 (AVX-512 BF16); otherwise `matmul_bf16` is right, but slow."""
    return _engine().has_bf16()


def has_wide() -> bool:
    """Whether the kernels multiply 16 floats at once (AVX-512): then `matmul_f32` is as fast as good BLAS."""
    return _engine().has_wide()


def _is_size(n: object) -> bool:
    """Whether C can count with it: two of them multiplied are no more than 64 bits."""
    return isinstance(n, int | np.integer) and not isinstance(n, bool) and 0 <= n < 1 << 31


def _pack(kind: str, b: np.ndarray, empty: Callable[[int, type], np.ndarray]) -> PackedMatrix:
    where = f"pack_{kind}"
    b = _matrix(b, "b", where)
    size, more = _engine().units(kind, b.shape), LINE // SIZE
    room = empty(size + more, np.uint32)
    if not isinstance(room, np.ndarray) or (room.dtype, room.shape) != (np.uint32, (size + more,)):
        raise ChronosError("empty must give the memory it is asked for", where=where, got=repr(type(room)))
    start = -room.ctypes.data % LINE // SIZE
    units = room[start : start + size]
    if not (units.flags.c_contiguous and units.flags.writeable and units.flags.aligned):
        raise ChronosError("empty must give memory in one piece, to be written", where=where)
    _engine().pack(kind, b, units)
    return PackedMatrix(kind, b.shape, units)


def _matmul(kind: str, a: np.ndarray, b: object, out: np.ndarray | None, add: bool) -> np.ndarray:
    where = f"matmul_{kind}"
    a, packed = _matrix(a, "a", where), isinstance(b, PackedMatrix)
    if not packed:
        b = _matrix(b, "b", where)
    elif b.kind != kind or b.units.size != _engine().units(kind, b.shape):
        raise ChronosError("b is packed for other products", where=where, expected=kind, got=repr(b))
    if a.shape[1] != b.shape[0]:
        expected = f"(M, K) and (K, N), not {a.shape} and {b.shape}"
        raise ChronosError("a and b do not fit", where=where, expected=expected)
    shape, given = (a.shape[0], b.shape[1]), b.units if packed else b
    if out is None:
        if add:
            raise ChronosError("add needs out: what to add to", where=where)
        out = np.empty(shape, np.float32)
    else:
        _check_out(out, shape, where, (a, given))
    if out.size:
        _engine().matmul(kind, a, given, packed, out, bool(add))
    return out


def _check_out(
    out: np.ndarray, shape: tuple[int, int], where: str, inputs: tuple[np.ndarray, np.ndarray]
) -> None:
    """C writes whole rows of `out`, wherever they are, while it still reads the inputs."""
    if not isinstance(out, np.ndarray) or out.dtype != np.float32 or out.shape != shape:
        got = f"{out.dtype} {out.shape}" if isinstance(out, np.ndarray) else type(out).__name__
        raise ChronosError("out does not fit", where=where, expected=f"float32 {shape}", got=got)
    row, column = out.strides
    apart = (row % SIZE == 0 and row >= shape[1] * SIZE) or shape[0] <= 1
    lies = out.flags.aligned and apart and (column == SIZE or shape[1] <= 1)
    if not (out.flags.writeable and (lies or not out.size)):
        got = f"strides {out.strides}, writeable {out.flags.writeable}"
        raise ChronosError("out must be writeable, its rows contiguous", where=where, got=got)
    if np.may_share_memory(out, inputs[0]) or np.may_share_memory(out, inputs[1]):
        raise ChronosError("out overlaps a or b", where=where, mend="write to another array")


def _matrix(a: object, name: str, where: str) -> np.ndarray:
    """`a` as aligned float32 (rows, columns) of which one stride is one element, copied only if it is not."""
    if not isinstance(a, np.ndarray) or a.dtype.kind != "f" or a.ndim != 2:
        got = f"{a.dtype} of shape {a.shape}" if isinstance(a, np.ndarray) else type(a).__name__
        mend = f"pass np.asarray({name}, np.float32) with two axes"
        raise ChronosError(f"{name} must be a NumPy matrix of floats", where=where, got=got, mend=mend)
    if a.dtype != np.float32:
        with np.errstate(over="ignore"):
            a = a.astype(np.float32)
    (rows, columns), (row, column) = a.shape, a.strides
    if type(a) is np.ndarray and a.flags.aligned and not (row % SIZE or column % SIZE):
        lines = (column == SIZE and row >= SIZE * columns) or (row == SIZE and column >= SIZE * rows)
        if lines or a.flags.c_contiguous:
            return a
    return np.array(a, np.float32, order="C", copy=True, subok=False)


def _engine() -> ModuleType:
    if not native.available():
        return gemm_plain
    return gemm_compiled()


@cache
def gemm_compiled() -> ModuleType:
    """gemm_compiled.py, which can be imported only where the extension was built."""
    return importlib.import_module("chronos.native.gemm_compiled")
