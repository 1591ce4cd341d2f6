"""The matrix products of layers: native's where they are as fast as any BLAS, with `amp()` rounded to bf16.

With `amp()` weights, activations, gradients and sums stay float32; only what enters a product is rounded. On
a CPU without bf16, and for float64, it changes nothing. Each thread chooses for itself. Elsewhere it is BLAS.
"""

import contextlib
import threading
from collections.abc import Iterator

import numpy as np

from chronos import native
from chronos.architecture.kernels.workspace import empty

MANY = 24  # rows from which on native is faster than BLAS, for it packs b first

_local = threading.local()

Factor = np.ndarray | native.PackedMatrix


@contextlib.contextmanager
def amp(wanted: bool = True) -> Iterator[None]:
    """Within this block, this thread's products of float32 matrices are bf16 ones, where the CPU has them."""
    before = getattr(_local, "bf16", False)
    _local.bf16 = wanted and native.has_bf16()
    try:
        yield
    finally:
        _local.bf16 = before


def product(a: np.ndarray, b: Factor, out: np.ndarray) -> np.ndarray:
    """out (M, N) = a (M, K) b (K, N), any strides; b may be `prepared`."""
    return _product(a, b, out, False)


def add_product(a: np.ndarray, b: np.ndarray, out: np.ndarray) -> np.ndarray:
    """out += a b."""
    return _product(a, b, out, True)


def prepared(b: np.ndarray) -> Factor:
    """b, as `product` takes it with several a: packed once, or b itself."""
    kind = _kind(b)
    return b if kind is None else (native.pack_bf16 if kind == "bf16" else native.pack_f32)(b, empty)


def kept(b: np.ndarray) -> Factor:
    """b, as a product will take it later: rounded already where it would be then, which is half its bytes."""
    return native.pack_bf16(b, empty) if rounds(b) else b


def rounds(a: np.ndarray) -> bool:
    """Whether products of a are bf16 ones here."""
    return _kind(a) == "bf16"


def _product(a: np.ndarray, b: Factor, out: np.ndarray, add: bool) -> np.ndarray:
    if isinstance(b, native.PackedMatrix):
        kind = b.kind
    else:
        kind = None if _kind(a) == "f32" and len(a) < MANY else _kind(a)
    if kind is not None:
        return (native.matmul_bf16 if kind == "bf16" else native.matmul_f32)(a, b, out=out, add=add)
    if not add:
        return np.matmul(a, b, out=out)
    out += np.matmul(a, b, out=empty(out.shape, out.dtype))
    return out


def _kind(a: np.ndarray) -> str | None:
    """Which of native's products is taken for a, or None for BLAS's."""
    if a.dtype != np.float32:
        return None
    return "bf16" if getattr(_local, "bf16", False) else "f32" if native.has_wide() else None
