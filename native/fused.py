"""What lies between products, in C: loss, norms, activations, softmax, rotary positions, AdamW.

Importing it raises ImportError where the extension was not built: there is no twin here, for the plain NumPy
of each function is in 02-architecture/kernels/plain.py. Every function checks all that enters C, writes into
arrays that the caller owns, and returns nothing. Shapes: R rows, D columns, H heads of K, B batch, T queries,
S keys, E vocabulary. Results depend neither on the number of threads nor on the other rows.
"""

import numpy as np

from chronos.console import ChronosError
from chronos.native.compiled import FLOATS, ffi, lib

F32, I64 = np.dtype(np.float32), np.dtype(np.int64)
INTEGERS = ffi.typeof("int64_t[]")
pointer = ffi.from_buffer
MAPS = {"exp": 0, "tanh": 1, "sigmoid": 2, "silu": 3, "gelu": 4}  # fused.h's order
ERRORS = {-3: "out of memory", -5: "an index is out of range"}

Array = np.ndarray


def apply(name: str, x: Array, y: Array) -> None:
    """y = f(x), any shape; f is one of "exp", "tanh", "sigmoid", "silu", "gelu" (the tanh form).

    Within 1.25, 2.5, 2.5 and 3 units of the last place of the exact value (gelu: 2⁻²² |x|); where it is no
    normal float32 number it may be 0, or infinity from 88.37 on instead of 88.73. NaN stays NaN.
    """
    if name not in MAPS:
        raise ChronosError("no such function", where="fused.apply", expected=", ".join(MAPS), got=repr(name))
    _done("apply", lib.chronos_map(MAPS[name], _in(x, "x", _shape(x, "x")), _out(y, "y", x.shape), x.size))


def gelu_backward(dy: Array, x: Array, dx: Array) -> None:
    """dx of GELU, tanh form; all of one shape."""
    places = _in(dy, "dy", _shape(x, "x")), _in(x, "x", x.shape), _out(dx, "dx", x.shape)
    _done("gelu_backward", lib.chronos_gelu_backward(*places, x.size))


def swiglu(x: Array, y: Array) -> None:
    """x (R, 2D) holds gate g and value u side by side; y (R, D) = g σ(g) u."""
    rows, d = _axes(y, "y", 2)
    places = _in(x, "x", (rows, 2 * d)), _out(y, "y", (rows, d))
    _done("swiglu", lib.chronos_swiglu(*places, rows, d))


def swiglu_backward(dy: Array, x: Array, dx: Array) -> None:
    """dx (R, 2D) of `swiglu` from dy (R, D)."""
    rows, d = _axes(dy, "dy", 2)
    places = _in(dy, "dy", (rows, d)), _in(x, "x", (rows, 2 * d)), _out(dx, "dx", (rows, 2 * d))
    _done("swiglu_backward", lib.chronos_swiglu_backward(*places, rows, d))


def rotary(x: Array, cos: Array, sin: Array, heads: int, y: Array) -> None:
    """Turn the first `heads` heads of x (R, H, K) by cos and sin (R, K/2), halves paired; the others pass."""
    rows, all_heads, k = _axes(x, "x", 3)
    if k % 2 or not isinstance(heads, int | np.integer) or not 0 <= heads <= all_heads:
        got = f"{heads} of {all_heads} heads of {k}"
        raise ChronosError("heads cannot turn", where="fused.rotary", expected="some of H, K even", got=got)
    tables = _in(cos, "cos", (rows, k // 2)), _in(sin, "sin", (rows, k // 2))
    places = _in(x, "x", x.shape), *tables, _out(y, "y", x.shape)
    _done("rotary", lib.chronos_rotary(*places, rows, all_heads, heads, k))


def rms_norm(x: Array, gain: Array, eps: float, y: Array, rstd: Array) -> None:
    """y = x / √(mean x² + eps) · gain over rows of x (R, D) with gain (D,) and rstd (R,) = 1/√…

    Or over each head of x (R, H, K) with gain (H', K) and rstd (R, H'); heads from H' on pass unchanged.
    """
    sizes, saved = _heads(x, gain)
    ins, outs = (_in(x, "x", x.shape), _in(gain, "gain", gain.shape)), _out(y, "y", x.shape)
    _done("rms_norm", lib.chronos_rms_norm(*ins, eps, outs, _out(rstd, "rstd", saved), *sizes))


def rms_norm_backward(dy: Array, x: Array, gain: Array, rstd: Array, dx: Array, dgain: Array) -> None:
    """dx and dgain, like x and gain, of `rms_norm`."""
    sizes, saved = _heads(x, gain)
    ins = _in(dy, "dy", x.shape), _in(x, "x", x.shape), _in(gain, "gain", gain.shape)
    outs = _in(rstd, "rstd", saved), _out(dx, "dx", x.shape), _out(dgain, "dgain", gain.shape)
    _done("rms_norm_backward", lib.chronos_rms_norm_backward(*ins, *outs, *sizes))


def layer_norm(
    x: Array, gain: Array, shift: Array | None, eps: float, y: Array, mean: Array, rstd: Array
) -> None:
    """y = (x − μ)/√(σ² + eps) · gain + shift over rows of x (R, D); μ and 1/√… (R,); shift may be None."""
    rows, d = _axes(x, "x", 2)
    ins = _in(x, "x", x.shape), _in(gain, "gain", (d,))
    more = ffi.NULL if shift is None else _in(shift, "shift", (d,))
    outs = _out(y, "y", x.shape), _out(mean, "mean", (rows,)), _out(rstd, "rstd", (rows,))
    _done("layer_norm", lib.chronos_layer_norm(*ins, more, eps, *outs, rows, d))


def layer_norm_backward(
    dy: Array, x: Array, gain: Array, mean: Array, rstd: Array, dx: Array, dgain: Array, dshift: Array
) -> None:
    """dx (R, D), dgain (D,) and dshift (D,) of `layer_norm`."""
    rows, d = _axes(x, "x", 2)
    ins = _in(dy, "dy", x.shape), _in(x, "x", x.shape), _in(gain, "gain", (d,))
    saved = _in(mean, "mean", (rows,)), _in(rstd, "rstd", (rows,))
    outs = _out(dx, "dx", x.shape), _out(dgain, "dgain", (d,)), _out(dshift, "dshift", (d,))
    _done("layer_norm_backward", lib.chronos_layer_norm_backward(*ins, *saved, *outs, rows, d))


def softmax(s: Array, visible: Array, scale: float, lse: Array) -> None:
    """In place: s (B, H, T, S) → softmax of scale·s over the first visible (B, T) keys, 0 beyond.

    lse (B, H, T) becomes log Σ exp. Where nothing is visible the row is 0 and its lse −∞.
    """
    batch, _, queries, _ = _axes(s, "s", 4)
    places = _out(s, "s", s.shape), _ids(visible, "visible", (batch, queries))
    out = _out(lse, "lse", s.shape[:3])
    _done("softmax", lib.chronos_softmax(*places, scale, out, *s.shape))


def softmax_again(s: Array, lse: Array, visible: Array, scale: float) -> None:
    """In place: the probabilities of `softmax` once more, from scores s and their lse."""
    batch, _, queries, _ = _axes(s, "s", 4)
    places = _out(s, "s", s.shape), _in(lse, "lse", s.shape[:3]), _ids(visible, "visible", (batch, queries))
    _done("softmax_again", lib.chronos_softmax_again(*places, scale, *s.shape))


def softmax_backward(p: Array, dp: Array, delta: Array, scale: float) -> None:
    """In place: dp (R, S) → p (dp − delta) scale, with delta (R,) = Σ p dp."""
    rows, keys = _axes(p, "p", 2)
    places = _in(p, "p", p.shape), _out(dp, "dp", p.shape), _in(delta, "delta", (rows,))
    _done("softmax_backward", lib.chronos_softmax_backward(*places, scale, rows, keys))


def cross_entropy(logits: Array, targets: Array, scale: float, losses: Array) -> None:
    """losses (R,) = −log softmax(logits)[target]; logits (R, E) become (softmax − one-hot) · scale.

    A negative target is left out: loss 0, gradient 0.
    """
    rows, vocabulary = _axes(logits, "logits", 2)
    places = _out(logits, "logits", logits.shape), _ids(targets, "targets", (rows,))
    out = _out(losses, "losses", (rows,))
    _done("cross_entropy", lib.chronos_cross_entropy(*places, scale, out, rows, vocabulary))


def adamw(
    w: Array, g: Array, m: Array, v: Array, lr: float, b1: float, b2: float, eps: float, decay: float,
    step: int, clip: float,
) -> None:  # fmt: skip
    """AdamW in place on w, m and v, any one shape; g is scaled by `clip` first; step ≥ 1."""
    if not (step >= 1 and 0 <= b1 < 1 and 0 <= b2 < 1):
        got = (step, b1, b2)
        raise ChronosError("steps count from 1, b1 and b2 are below 1", where="fused.adamw", got=got)
    lr_now, fix = lr / (1 - b1**step), 1 / (1 - b2**step)
    constants = ffi.new("float[9]", [lr_now, b1, b2, 1 - b1, 1 - b2, eps, 1 - lr * decay, fix, clip])
    shape = _shape(w, "w")
    places = _out(w, "w", shape), _in(g, "g", shape), _out(m, "m", shape), _out(v, "v", shape)
    _done("adamw", lib.chronos_adamw(*places, w.size, constants))


# ---- what may enter C --------------------------------------------------------------------------------------


def _shape(a: Array, name: str) -> tuple[int, ...]:
    if not isinstance(a, np.ndarray):
        got = type(a).__name__
        raise ChronosError(f"{name} does not fit", where="native.fused", expected="an array", got=got)
    return a.shape


def _axes(a: Array, name: str, count: int) -> tuple[int, ...]:
    shape = _shape(a, name)
    if len(shape) != count:
        got = f"shape {shape}"
        raise ChronosError(f"{name} does not fit", where="native.fused", expected=f"{count} axes", got=got)
    return shape


def _heads(x: Array, gain: Array) -> tuple[tuple[int, int, int, int], tuple[int, ...]]:
    """R, H, H', K of a norm, and the shape of its saved 1/√…"""
    shape, gains = _shape(x, "x"), _shape(gain, "gain")
    if len(shape) == 2 and gains == shape[1:]:
        return (shape[0], 1, 1, shape[1]), shape[:1]
    if len(shape) == 3 and len(gains) == 2 and gains[0] <= shape[1] and gains[1] == shape[2]:
        return (shape[0], shape[1], gains[0], shape[2]), (shape[0], gains[0])
    expected = "x (R, D) and (D,), or (R, H, K) and (H', K) with H' up to H"
    raise ChronosError("gain does not fit", where="native.fused", expected=expected, got=f"{shape}, {gains}")


def _in(a: Array, name: str, shape: tuple[int, ...]) -> ffi.CData:
    """A pointer to floats that C reads."""
    if not (isinstance(a, np.ndarray) and a.dtype == F32 and a.shape == shape and _whole(a)):
        _refuse(a, name, F32, shape)
    return pointer(FLOATS, a)


def _out(a: Array, name: str, shape: tuple[int, ...]) -> ffi.CData:
    """A pointer to floats that C writes."""
    if not (isinstance(a, np.ndarray) and a.dtype == F32 and a.shape == shape and a.flags.carray):
        _refuse(a, name, F32, shape, "writable ")
    return pointer(FLOATS, a)


def _ids(a: Array, name: str, shape: tuple[int, ...]) -> ffi.CData:
    """A pointer to int64 that C reads, and checks the range of."""
    if not (isinstance(a, np.ndarray) and a.dtype == I64 and a.shape == shape and _whole(a)):
        _refuse(a, name, I64, shape)
    return pointer(INTEGERS, a)


def _whole(a: Array) -> bool:
    flags = a.flags
    return flags.carray or (flags.c_contiguous and flags.aligned)


def _refuse(a: Array, name: str, dtype: np.dtype, shape: tuple[int, ...], more: str = "") -> None:
    got = type(a).__name__
    if isinstance(a, np.ndarray):
        got = f"{a.dtype} {a.shape}" + ("" if a.flags.carray else ", strided, unaligned or read-only")
    expected = f"{more}contiguous {dtype} {shape}"
    raise ChronosError(f"{name} does not fit", where="native.fused", expected=expected, got=got)


def _done(where: str, code: int) -> None:
    if code == -3:
        raise MemoryError(f"fused.{where}: {ERRORS[code]}")
    if code:
        raise ChronosError(ERRORS[code], where=f"fused.{where}", mend="targets are below E, visible in 0..S")
