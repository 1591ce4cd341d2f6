"""Quantized weights and their products, in C: `quantize`, `pack`, `matmul` and `back` on `QuantTensor`s.

One small face over two engines with the same results: the C kernels (compiled.py) where they were built, else
NumPy (plain.py), with one notice. Everything that enters C is checked here. It knows nothing of models.

    packed = native.quantize(w, "Q4_0")     # w (N, K) float32
    packed = native.pack(packed)            # the same weights, laid out for products that are fast
    y = native.matmul(x, packed)            # x (B, K) float32 → (B, N): x @ w.T, nearly
    dx = native.back(y, packed)             # (B, N) float32 → (B, K): y @ w
"""

import os
import threading
from types import ModuleType

import numpy as np

from chronos.console import ChronosError, warn
from chronos.native import plain
from chronos.native.blocks import BLOCK, INT4, MOST, PackedTensor, QuantTensor, check_size, check_type
from chronos.native.blocks import FORMATS as _FORMATS
from chronos.native.gemm import PackedMatrix, has_bf16, has_wide, matmul_bf16, matmul_f32, pack_bf16, pack_f32
from chronos.native.scan import top_k
from chronos.native.steps import Plan
from chronos.native.tokens import BpeEncoder, WordCounter, Words, learn_merges

__all__ = [
    "BLOCK",
    "FORMATS",
    "TYPES",
    "BpeEncoder",
    "PackedMatrix",
    "PackedTensor",
    "Plan",
    "QuantTensor",
    "WordCounter",
    "Words",
    "available",
    "back",
    "dequantize",
    "dequantize_rows",
    "has_bf16",
    "has_wide",
    "info",
    "learn_merges",
    "matmul",
    "matmul_bf16",
    "matmul_f32",
    "pack",
    "pack_bf16",
    "pack_f32",
    "quantize",
    "set_threads",
    "top_k",
]

TYPES = ("Q4_0", "Q8_0")  # what kernels multiply as files have it; the other formats are packed for it
FORMATS = tuple(_FORMATS)
MAX_THREADS = 256

_lock = threading.Lock()
_chosen: ModuleType | None = None


def quantize(w: np.ndarray, qtype: str) -> QuantTensor:
    """w (N, K) → its blocks as `qtype`, one of FORMATS, byte for byte those of llama.cpp and `gguf`.

    Two have no oracle for their bytes: Q2_K, llama.cpp's blocks, but what is put in them is our search's;
    and INT4, ours altogether ("INT4" alone is the largest group of 128, 64 and 32 that divides K, else 32).
    Where K is no multiple of the block, zeros fill up the last one of each row.

    Floats other than float32 are converted to it and strided arrays are copied; w is never changed or kept.
    Finite values of any size are taken: a scale beyond the largest half (65,504) is stored as infinity, as in
    llama.cpp, but Q2_K and INT4 take that half. NaN and infinity are refused. Raises ChronosError, naming the
    shape or the place.
    """
    if qtype != "INT4":
        check_type(qtype, "quantize")
    w = _float32_matrix(w, "w", "quantize")
    if qtype == "INT4":
        qtype = next((t for t in reversed(INT4) if w.shape[1] % _FORMATS[t][0] == 0), INT4[0])
    check_size(w.shape, "quantize")
    bad = _engine().first_nonfinite(w)
    if bad >= 0:
        row, column = divmod(bad, w.shape[1])
        mend = "find where training made it; a block cannot hold it"
        got = f"{w[row, column]} at [{row}, {column}] of {w.shape}"
        raise ChronosError("weights must be finite", where="quantize", got=got, mend=mend)
    data = _engine().quantize(qtype, w)
    data.flags.writeable = False
    return QuantTensor(qtype, w.shape, data)


def dequantize(packed: QuantTensor) -> np.ndarray:
    """The weights (N, K) float32 that the blocks stand for, in a new array; exactly `gguf`'s."""
    _check_packed(packed, "dequantize")
    return _engine().dequantize(packed.type, packed.data, packed.shape)


def dequantize_rows(packed: QuantTensor, rows: np.ndarray) -> np.ndarray:
    """Some rows of the weights (N, K), in the order of `rows` (R,) integers in 0..N-1 → (R, K) float32.

    What an embedding needs: the other rows are not touched. Raises ChronosError for a row that is not there.
    """
    _check_packed(packed, "dequantize_rows")
    rows = np.asarray(rows)
    if rows.ndim != 1 or rows.size >= MOST or (rows.size and rows.dtype.kind not in "iu"):
        got = f"{rows.dtype} of shape {rows.shape}"
        raise ChronosError("rows must be integers (R,)", where="dequantize_rows", got=got)
    n, k = packed.shape
    if rows.size and (rows.min() < 0 or rows.max() >= n):
        got = f"{rows.min()} to {rows.max()}"
        raise ChronosError("a row is not there", where="dequantize_rows", expected=f"0 to {n - 1}", got=got)
    if isinstance(packed, PackedTensor):
        data = _unpack(packed, np.require(rows, np.int64, ["C", "A"]))
    else:
        data = packed.data.reshape(n, -1)[rows.astype(np.intp)] if rows.size else packed.data[:0]
    return _engine().dequantize(packed.type, data.reshape(-1), (rows.size, k))


def matmul(x: np.ndarray, packed: QuantTensor) -> np.ndarray:
    """x (B, K), packed (N, K) → y (B, N) float32 in a new array: x @ dequantize(packed).T, nearly.

    Each block of 32 values of x is rounded to int8 with a scale s = max|x| / 127, so y is off by at most
    Σ_blocks s/2 · Σ|w| from the exact product, plus float32 rounding. Q2_K takes 256 values of x at once; F16
    takes x as it is; BF16 rounds each value to bf16, as `matmul_bf16` does: y moves by 2⁻⁹ Σ|x w| at most.
    With the compiled kernels the result of a row depends neither on the number of threads nor on the other
    rows of x. A row of x with NaN or infinity gives a row of NaN (with F16 and BF16 what float32 makes of
    it); a block of x below 2^-120 counts as zero. Blocks are taken as they are: a scale that is NaN or
    infinite makes the outputs of its row of weights NaN or infinite, and no others.

    Weights that are used again are worth packing (`pack`): types other than TYPES are packed for each call.
    B and N may be 0. Floats other than float32 are converted to it; x that is strided, unaligned or
    byte-swapped is copied. Safe from several Python threads at once. Raises ChronosError when shapes differ.
    """
    _check_packed(packed, "matmul")
    if not (type(x) is np.ndarray and x.dtype == np.float32 and x.ndim == 2 and x.flags.carray):
        x = _float32_matrix(x, "x", "matmul")
    if x.shape[1] != packed.shape[1]:
        expected = f"x (B, {packed.shape[1]}) for weights {packed.shape}"
        raise ChronosError(
            "x and the weights differ in width", where="matmul", expected=expected, got=f"{x.shape}"
        )
    if not isinstance(packed, PackedTensor):
        if packed.type in TYPES:
            return _engine().matmul(x, packed.type, packed.data, packed.shape)
        packed = pack(packed)
    return _engine().matmul_packed(x, packed.type, packed.panels, packed.shape)


def pack(packed: QuantTensor) -> PackedTensor:
    """The same weights with 16 rows side by side, as `matmul` reads them fastest; no value changes.

    It takes about as much memory again, so drop the original. A PackedTensor is returned as it is.
    """
    _check_packed(packed, "pack")
    if isinstance(packed, PackedTensor):
        return packed
    panels = _engine().pack(packed.type, packed.data, packed.shape)
    panels.flags.writeable = False
    return PackedTensor(packed.type, packed.shape, panels, _unpack)


def _unpack(packed: PackedTensor, rows: np.ndarray) -> np.ndarray:
    return _engine().unpack_rows(packed.type, packed.panels, packed.shape, rows)


def back(g: np.ndarray, packed: QuantTensor) -> np.ndarray:
    """g (B, N), packed (N, K) → y (B, K) float32 in a new array: g @ dequantize(packed).

    The gradient of x through frozen weights. Nothing is rounded but float32 sums, whose order depends neither
    on the number of threads nor on the other rows of g. A NaN or infinity in g, or in a scale of the weights,
    gives what float32 makes of it in that row, or that block of columns. g is copied as x is in `matmul`.
    """
    _check_packed(packed, "back")
    g = _float32_matrix(g, "g", "back")
    if g.shape[1] != packed.shape[0]:
        expected = f"g (B, {packed.shape[0]}) for weights {packed.shape}"
        raise ChronosError("g and the weights differ", where="back", expected=expected, got=f"{g.shape}")
    return _engine().back(g, packed.type, packed.data, packed.shape)


def available() -> bool:
    """Whether the C kernels run; if not, the same functions run on NumPy."""
    return _engine() is not plain


def info() -> dict:
    """What runs: isa ("avx2", "portable" or "plain"), isas to choose from, threads, compiler, and a hash of
    the C sources that the kernels were built from (both None on NumPy)."""
    return {"available": available(), **_engine().info()}


def set_threads(n: int) -> None:
    """Let products use n threads, the caller's included; 1 to 256. By default all its cores."""
    if not isinstance(n, int | np.integer) or isinstance(n, bool) or not 1 <= n <= MAX_THREADS:
        raise ChronosError(
            "wrong number of threads", where="native", expected=f"1 to {MAX_THREADS}", got=repr(n)
        )
    _engine().set_threads(int(n))


def _engine() -> ModuleType:
    """compiled.py or plain.py, chosen at the first use and for good."""
    global _chosen
    if _chosen is None:
        with _lock:
            if _chosen is None:
                _chosen = _choose(os.environ.get("CHRONOS_ISA") or None)
    return _chosen


def _choose(isa: str | None) -> ModuleType:
    """The engine for `isa`, as CHRONOS_ISA names it; None is the best there is."""
    if isa == "plain":
        return plain
    try:
        from chronos.native import compiled
    except ImportError as error:
        if isa is not None:
            raise ChronosError(
                f"CHRONOS_ISA={isa}: the C kernels are not there ({error})", mend=_MEND
            ) from None
        warn(f"the C kernels are not there ({error}), so their work is done in NumPy, slowly; {_MEND}")
        return plain
    if isa is not None and isa not in compiled.isas():
        expected = ", ".join(["plain", *compiled.isas()])
        raise ChronosError("CHRONOS_ISA names none that runs here", expected=expected, got=repr(isa))
    compiled.choose_isa(isa)
    return compiled


_MEND = "install a C compiler, then run `make setup`"


def _float32_matrix(a: np.ndarray, name: str, where: str) -> np.ndarray:
    """`a` as an aligned, contiguous float32 array (rows, columns), copied only if it is not one."""
    if not isinstance(a, np.ndarray) or a.dtype.kind != "f":
        got = f"{type(a).__name__} of {a.dtype}" if isinstance(a, np.ndarray) else type(a).__name__
        mend = f"pass np.asarray({name}, np.float32)"
        raise ChronosError(f"{name} must be a NumPy array of floats", where=where, got=got, mend=mend)
    if a.ndim != 2:
        raise ChronosError(
            f"{name} must have two axes", where=where, got=f"shape {a.shape}", mend="reshape it"
        )
    with np.errstate(
        over="ignore"
    ):  # what is too large becomes infinity, which each caller treats by its rule
        return np.require(np.asarray(a, dtype=np.float32), requirements=["C", "A"])


def _check_packed(packed: QuantTensor, where: str) -> None:
    if not isinstance(packed, QuantTensor):
        mend = "make one with native.quantize or QuantTensor.frombytes"
        raise ChronosError("weights must be a QuantTensor", where=where, got=type(packed).__name__, mend=mend)
