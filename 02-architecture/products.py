"""The matrix products of layers: BLAS's in float32, or within `amp()` native's, with inputs rounded to bf16.

Weights, activations, gradients and sums stay float32; only what enters a product is rounded. On a CPU without
bf16, and for float64, `amp()` changes nothing. Each thread chooses for itself.
"""

import contextlib
import threading
from collections.abc import Iterator

import numpy as np

from chronos import native
from chronos.architecture.kernels.workspace import empty

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
    if isinstance(b, native.PackedMatrix) or _rounds(a):
        return native.matmul_bf16(a, b, out=out)
    return np.matmul(a, b, out=out)


def add_product(a: np.ndarray, b: np.ndarray, out: np.ndarray) -> np.ndarray:
    """out += a b."""
    if _rounds(a):
        return native.matmul_bf16(a, b, out=out, add=True)
    out += np.matmul(a, b, out=empty(out.shape, out.dtype))
    return out


def prepared(b: np.ndarray) -> Factor:
    """b, as `product` takes it with several a: rounded once, or b itself."""
    return native.pack_bf16(b) if _rounds(b) else b


def _rounds(a: np.ndarray) -> bool:
    return getattr(_local, "bf16", False) and a.dtype == np.float32
