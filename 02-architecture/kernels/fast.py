"""The fast twins of `plain.py`: same names, same arguments, same results to float32 rounding.

Each takes float32 arrays, finds room for the result in the workspace and runs one loop over it: in C
(`chronos.native.fused`), or, for what `BY_NUMBA` names, in Numba. Refuses nothing itself: the ops, which call
kernels, have checked shapes, and what enters C is checked there. Those in C need the C library.
"""

import numpy as np

from chronos import native
from chronos.architecture.kernels import loops
from chronos.architecture.kernels.workspace import empty, empty_like

if native.available():
    from chronos.native import fused

f32 = np.float32
BY_NUMBA = ("relu2", "relu2_backward", "embedding_backward", "dropout")
_whole = np.ascontiguousarray


def _in_place(array: np.ndarray, *shape: int) -> np.ndarray:
    """Another shape of the same memory: what a loop writes into a copy would be lost."""
    if not array.flags.c_contiguous:
        raise ValueError("an array that is changed in place must be contiguous")
    return array.reshape(shape)


# ---- in C --------------------------------------------------------------------------------------------------


def gelu(x):
    y = empty(x.shape)
    fused.apply("gelu", _whole(x), y)
    return y


def gelu_backward(dy, x):
    dx = empty(x.shape)
    fused.gelu_backward(_whole(dy), _whole(x), dx)
    return dx


def swiglu(x):
    y = empty((len(x), x.shape[1] // 2))
    fused.swiglu(_whole(x), y)
    return y


def swiglu_backward(dy, x):
    dx = empty(x.shape)
    fused.swiglu_backward(_whole(dy), _whole(x), dx)
    return dx


def layer_norm(x, w, b, eps):
    y, mean, rstd = empty(x.shape), empty(len(x)), empty(len(x))
    fused.layer_norm(_whole(x), _whole(w), b if b is None else _whole(b), eps, y, mean, rstd)
    return y, mean, rstd


def layer_norm_backward(dy, x, w, mean, rstd):
    dx, dw, db = empty(x.shape), empty(w.shape), empty(w.shape)
    fused.layer_norm_backward(_whole(dy), _whole(x), _whole(w), _whole(mean), _whole(rstd), dx, dw, db)
    return dx, dw, db


def rms_norm(x, w, eps):
    y, rstd = empty(x.shape), empty(len(x))
    fused.rms_norm(_whole(x), _whole(w), eps, y, rstd)
    return y, rstd


def rms_norm_backward(dy, x, w, rstd):
    dx, dw = empty(x.shape), empty(w.shape)
    fused.rms_norm_backward(_whole(dy), _whole(x), _whole(w), _whole(rstd), dx, dw)
    return dx, dw


def qk_norm(x, w, eps):
    y, rstd = empty(x.shape), empty((len(x), len(w)))
    fused.rms_norm(_whole(x), _whole(w), eps, y, rstd)
    return y, rstd


qk_norm_backward = rms_norm_backward  # the same, of rows of heads


def rotary(x, cos, sin, heads):
    y = empty(x.shape)
    fused.rotary(_whole(x), _whole(cos), _whole(sin), heads, y)
    return y


def softmax_visible(s, visible, scale):
    lse = empty(s.shape[:3])
    fused.softmax(s, _whole(visible), scale, lse)
    return lse


def softmax_again(s, lse, visible, scale):
    fused.softmax_again(s, _whole(lse), _whole(visible), scale)


def softmax_backward(p, dp, delta, scale):
    S = p.shape[-1]
    fused.softmax_backward(_whole(p).reshape(-1, S), _in_place(dp, -1, S), _whole(delta).reshape(-1), scale)


def cross_entropy(logits, targets, scale):
    losses = empty(len(targets))
    fused.cross_entropy(logits, _whole(targets), scale, losses)
    return losses


def adamw(w, g, m, v, lr, b1, b2, eps, decay, step, clip):
    flat = _in_place(w, -1), _whole(g).reshape(-1), _in_place(m, -1), _in_place(v, -1)
    fused.adamw(*flat, lr, b1, b2, eps, decay, step, clip)


# ---- in Numba ----------------------------------------------------------------------------------------------


def relu2(x):
    y = empty(x.shape)
    loops.relu2(_whole(x).reshape(-1), y.reshape(-1))
    return y


def relu2_backward(dy, x):
    dx = empty(x.shape)
    loops.relu2_backward(_whole(dy).reshape(-1), _whole(x).reshape(-1), dx.reshape(-1))
    return dx


def embedding_backward(dy, ids, out):
    loops.embedding_backward(_whole(dy), ids, out)


def dropout(x, rate, key):
    y = empty_like(x)
    threshold = np.uint32(min(rate * 2**32, 2**32 - 1))
    low, high = np.uint32(key & 0xFFFFFFFF), np.uint32(key >> 32 & 0xFFFFFFFF)
    loops.dropout(_whole(x).reshape(-1), threshold, low, high, f32(1 / (1 - rate)), y.reshape(-1))
    return y
