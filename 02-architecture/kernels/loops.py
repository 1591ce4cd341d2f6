"""The loops of those fast kernels that are not in C: Numba, serial, `nogil`; `fast.py` calls them.

Loops over contiguous float32 rows that LLVM vectorizes for this CPU; what they share is in `scalars.py`.
"""

import numpy as np

from chronos.architecture.kernels.scalars import TWO, ZERO, exact, jit


@jit
def relu2(x, y):
    for i in range(x.size):
        v = x[i]
        v = ZERO if v < ZERO else v
        y[i] = v * v


@jit
def relu2_backward(dy, x, dx):
    for i in range(x.size):
        v = x[i]
        v = ZERO if v < ZERO else v
        dx[i] = TWO * v * dy[i]


@jit
def embedding_backward(dy, ids, out):
    for r in range(ids.size):
        row = ids[r]
        for i in range(dy.shape[1]):
            out[row, i] += dy[r, i]


@exact
def _mix(h):
    """Wellons' lowbias32; every step is cut back to 32 bits, for Numba widens uint32 products."""
    h = np.uint32(h ^ (h >> np.uint32(16)))
    h = np.uint32(h * np.uint32(0x7FEB352D))
    h = np.uint32(h ^ (h >> np.uint32(15)))
    h = np.uint32(h * np.uint32(0x846CA68B))
    return np.uint32(h ^ (h >> np.uint32(16)))


@jit
def dropout(x, threshold, low, high, over, y):
    for i in range(x.size):
        h = _mix(np.uint32(np.uint32(np.uint32(i) * np.uint32(0x9E3779B9)) + low))
        h = _mix(np.uint32(h ^ high))
        y[i] = x[i] * over if h >= threshold else ZERO
