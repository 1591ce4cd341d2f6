"""Attention over packed heads in C, forward and backward: products rounded to bf16 or not, float32 softmax.

Importing it raises ImportError where the extension was not built; what it computes stands in NumPy in
02-architecture/ops/attention.py. Everything that enters C is checked here. Shapes: B rows of T tokens; x
(B, T, (H + 2G)K) has the queries of H heads, then keys and values of G key heads, each shared by H/G heads in
a row. Results depend neither on the number of threads nor on the other rows.
"""

import numpy as np

from chronos.console import ChronosError
from chronos.native.compiled import FLOATS, ffi, lib

F32, I64 = np.dtype(np.float32), np.dtype(np.int64)
TYPES = {F32: FLOATS, I64: ffi.typeof("int64_t[]")}
KINDS = {"f32": 0, "bf16": 1}  # gemm.h's
WHERE = "native.attend"


def attend(
    x: np.ndarray, visible: np.ndarray, heads: int, key_heads: int, scale: float, o: np.ndarray,
    lse: np.ndarray, kind: str = "bf16",
) -> None:  # fmt: skip
    """o (B, T, H·K) = softmax(scale · q kᵀ) v over the first visible (B, T) keys; lse (B, H, T) = log Σ exp.

    With kind "bf16" q, k, v and the probabilities are rounded before they are multiplied, as `matmul_bf16`
    does; "f32" rounds nothing. Where nothing is visible o is 0 and lse −∞.
    """
    sizes, number = _sizes(x, heads, key_heads), _kind(kind)
    batch, tokens, _, _, k = sizes
    ins = _given(x, "x", F32, x.shape), _given(visible, "visible", I64, (batch, tokens))
    out = _given(o, "o", F32, (batch, tokens, heads * k), True)
    logs = _given(lse, "lse", F32, (batch, heads, tokens), True)
    _done(lib.chronos_attend(number, *ins, scale, out, logs, *sizes))


def attend_backward(
    grad: np.ndarray, x: np.ndarray, lse: np.ndarray, visible: np.ndarray, heads: int, key_heads: int,
    scale: float, dx: np.ndarray, kind: str = "bf16",
) -> None:  # fmt: skip
    """dx, like x, of `attend` from grad (B, T, H·K) and its lse; slopes are rounded as well."""
    sizes, number = _sizes(x, heads, key_heads), _kind(kind)
    batch, tokens, _, _, k = sizes
    ins = _given(x, "x", F32, x.shape), _given(visible, "visible", I64, (batch, tokens))
    saved = _given(lse, "lse", F32, (batch, heads, tokens))
    slopes = _given(grad, "grad", F32, (batch, tokens, heads * k))
    out = _given(dx, "dx", F32, x.shape, True)
    _done(lib.chronos_attend_backward(number, *ins, scale, saved, slopes, out, *sizes))


def _kind(kind: str) -> int:
    if kind not in KINDS:
        raise ChronosError("no such products", where=WHERE, expected=", ".join(KINDS), got=repr(kind))
    return KINDS[kind]


def _sizes(x: np.ndarray, heads: int, key_heads: int) -> tuple[int, int, int, int, int]:
    """B, T, H, G and K, once they fit each other."""
    whole = all(isinstance(n, int | np.integer) and 0 < n < 1 << 20 for n in (heads, key_heads))
    if not whole or heads % key_heads:
        expected, got = "heads a multiple of key_heads", f"{heads!r} and {key_heads!r}"
        raise ChronosError("heads do not fit", where=WHERE, expected=expected, got=got)
    packed = heads + 2 * key_heads
    if not isinstance(x, np.ndarray) or x.ndim != 3 or x.shape[2] % packed or not x.shape[2]:
        got = f"shape {x.shape}" if isinstance(x, np.ndarray) else type(x).__name__
        raise ChronosError("x does not fit", where=WHERE, expected=f"(B, T, {packed} heads)", got=got)
    return x.shape[0], x.shape[1], heads, key_heads, x.shape[2] // packed


def _given(
    a: np.ndarray, name: str, dtype: np.dtype, shape: tuple[int, ...], written: bool = False
) -> ffi.CData:
    """A pointer to a whole array, which C reads or writes."""
    right = isinstance(a, np.ndarray) and a.dtype == dtype and a.shape == shape
    if not right or not (a.flags.c_contiguous and a.flags.aligned and (a.flags.writeable or not written)):
        got = f"{a.dtype} {a.shape}, contiguous {a.flags.c_contiguous}" if hasattr(a, "flags") else repr(a)
        expected = f"{'writable ' if written else ''}contiguous {dtype} {shape}"
        raise ChronosError(f"{name} does not fit", where=WHERE, expected=expected, got=got)
    return ffi.from_buffer(TYPES[dtype], a)


def _done(code: int) -> None:
    if code == -3:
        raise MemoryError("native: no memory for attention")
    if code:
        raise ChronosError("visible keys are out of range", where=WHERE, expected="0..T")
