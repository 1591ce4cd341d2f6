"""The fast twins of `plain.py`: same names, same arguments, same results to float32 rounding.

Each takes float32 arrays, finds room for the result in the workspace and runs one Numba loop. Refuses
nothing and checks nothing: the ops, which call kernels, have checked shapes.
"""

import numpy as np

from chronos.architecture.kernels import loops
from chronos.architecture.kernels.workspace import empty, empty_like, zeros

f32 = np.float32


def _each(loop, *arrays: np.ndarray) -> np.ndarray:
    out = empty(arrays[0].shape)
    loop(*(np.ascontiguousarray(a).reshape(-1) for a in arrays), out.reshape(-1))
    return out


def _in_place(array: np.ndarray, *shape: int) -> np.ndarray:
    """Another shape of the same memory: what a loop writes into a copy would be lost."""
    if not array.flags.c_contiguous:
        raise ValueError("an array that is changed in place must be contiguous")
    return array.reshape(shape)


def gelu(x):
    return _each(loops.gelu, x)


def gelu_backward(dy, x):
    return _each(loops.gelu_backward, dy, x)


def relu2(x):
    return _each(loops.relu2, x)


def relu2_backward(dy, x):
    return _each(loops.relu2_backward, dy, x)


def swiglu(x):
    y = empty((len(x), x.shape[1] // 2))
    loops.swiglu(np.ascontiguousarray(x), y)
    return y


def swiglu_backward(dy, x):
    dx = empty_like(x)
    loops.swiglu_backward(np.ascontiguousarray(dy), np.ascontiguousarray(x), dx)
    return dx


def layer_norm(x, w, b, eps):
    x = np.ascontiguousarray(x)
    y, mean, rstd = empty_like(x), empty(len(x)), empty(len(x))
    loops.layer_norm(x, w, zeros(w.shape) if b is None else b, f32(eps), y, mean, rstd)
    return y, mean, rstd


def layer_norm_backward(dy, x, w, mean, rstd):
    dx, dw, db = empty_like(x), zeros(w.shape), zeros(w.shape)
    dy, x = np.ascontiguousarray(dy), np.ascontiguousarray(x)
    loops.layer_norm_backward(dy, x, w, mean, rstd, dx, dw, db)
    return dx, dw, db


def rms_norm(x, w, eps):
    x = np.ascontiguousarray(x)
    y, rstd = empty_like(x), empty(len(x))
    loops.rms_norm(x, w, f32(eps), y, rstd)
    return y, rstd


def rms_norm_backward(dy, x, w, rstd):
    dx, dw = empty_like(x), zeros(w.shape)
    loops.rms_norm_backward(np.ascontiguousarray(dy), np.ascontiguousarray(x), w, rstd, dx, dw)
    return dx, dw


def qk_norm(x, w, eps):
    y, rstd = empty_like(x), empty((len(x), len(w)))
    loops.qk_norm(np.ascontiguousarray(x), w, f32(eps), y, rstd)
    return y, rstd


def qk_norm_backward(dy, x, w, rstd):
    dx, dw = empty_like(x), zeros(w.shape)
    loops.qk_norm_backward(np.ascontiguousarray(dy), np.ascontiguousarray(x), w, rstd, dx, dw)
    return dx, dw


def rotary(x, cos, sin, heads):
    y = empty_like(x)
    loops.rotary(np.ascontiguousarray(x), cos, sin, heads, y)
    return y


def softmax_visible(s, visible, scale):
    lse = empty(s.shape[:3])
    loops.softmax_visible(s, visible, f32(scale), lse)
    return lse


def softmax_again(s, lse, visible, scale):
    loops.softmax_again(s, np.ascontiguousarray(lse), visible, f32(scale))


def softmax_backward(p, dp, delta, scale):
    S = p.shape[-1]
    rows, flat_delta = np.ascontiguousarray(p).reshape(-1, S), np.ascontiguousarray(delta).reshape(-1)
    loops.softmax_backward(rows, _in_place(dp, -1, S), flat_delta, f32(scale))


def cross_entropy(logits, targets, scale):
    losses = empty(len(targets))
    loops.cross_entropy(logits, targets, f32(scale), losses)
    return losses


def embedding_backward(dy, ids, out):
    loops.embedding_backward(np.ascontiguousarray(dy), ids, out)


def dropout(x, rate, key):
    y = empty_like(x)
    threshold = np.uint32(min(rate * 2**32, 2**32 - 1))
    low, high = np.uint32(key & 0xFFFFFFFF), np.uint32(key >> 32 & 0xFFFFFFFF)
    flat = np.ascontiguousarray(x).reshape(-1)
    loops.dropout(flat, threshold, low, high, f32(1 / (1 - rate)), y.reshape(-1))
    return y


def adamw(w, g, m, v, lr, b1, b2, eps, decay, step, clip):
    loops.adamw(
        _in_place(w, -1), np.ascontiguousarray(g).reshape(-1), _in_place(m, -1), _in_place(v, -1),
        f32(lr), f32(b1), f32(b2), f32(1 - b1), f32(1 - b2), f32(eps), f32(1 - lr * decay),
        f32(1 / (1 - b1**step)), f32(1 / (1 - b2**step)), f32(clip),
    )  # fmt: skip
