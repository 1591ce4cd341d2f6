"""What the loops of all fast kernels share: how they are compiled, and eˣ and its kin for one float32.

`exp` and its kin are polynomials, because Numba's `math.exp` has no vector form. No `fastmath=True`, which
would let NaN guards vanish. It holds no loops. Numba's cache knows the file of a loop, not what the loop
calls: after a change here, delete `kernels/__pycache__`.
"""

import numpy as np
from numba import njit

f32 = np.float32
FLAGS = {"contract", "reassoc", "nsz", "arcp"}
jit = njit(cache=True, nogil=True, fastmath=FLAGS, error_model="numpy")
# Never inline="always" here: Numba would then compile the rounding trick under its caller's `reassoc`.
exact = njit(cache=True, nogil=True, fastmath={"contract"}, error_model="numpy")

ZERO, HALF, ONE, TWO, THREE = f32(0), f32(0.5), f32(1), f32(2), f32(3)
_LOW, _HIGH = f32(-88), f32(89)  # 2ⁿ is 0 at the one and infinity at the other, as eˣ should be
_LOG2E, _LN2_HIGH, _LN2_LOW = f32(1.4426950408889634), f32(0.693359375), f32(-2.12194440e-4)
_ROUND = f32(12582912.0)  # adding and subtracting 1.5·2²³ rounds to an integer
_E0, _E1, _E2 = f32(1.9875691500e-4), f32(1.3981999507e-3), f32(8.3334519073e-3)
_E3, _E4, _E5 = f32(4.1665795894e-2), f32(1.6666665459e-1), f32(5.0000001201e-1)
_BIAS, _MANTISSA = np.int32(127), np.int32(23)
_P1, _P2, _P3, _P4 = f32(1 / 3), f32(1 / 5), f32(1 / 7), f32(1 / 9)
_P5, _P6, _P7 = f32(1 / 11), f32(1 / 13), f32(1 / 15)


@exact
def exp(x):
    """eˣ to 1 ulp (Cephes' polynomial): x = n ln 2 + r, eˣ = 2ⁿ · eʳ; NaN stays NaN.

    Where eˣ is no normal number it is 0 or infinity (a little early: below −87.68 and above 88.37).
    """
    x = _LOW if x < _LOW else x
    x = _HIGH if x > _HIGH else x
    n = (x * _LOG2E + _ROUND) - _ROUND
    r = x - n * _LN2_HIGH - n * _LN2_LOW
    p = ((((_E0 * r + _E1) * r + _E2) * r + _E3) * r + _E4) * r + _E5
    p = p * (r * r) + r + ONE
    return p * np.int32((np.int32(n) + _BIAS) << _MANTISSA).view(np.float32)


@exact
def tanh(x):
    """tanh x = 1 − 2/(e²ˣ + 1): absolute error within 1e-7."""
    return ONE - TWO / (exp(TWO * x) + ONE)


@exact
def softplus(x):
    """log(1 + eˣ) = max(x, 0) + log(1 + y), y = e^−|x|; log(1 + y) = 2 artanh z with z = y/(2 + y) ≤ 1/3.

    The series of artanh ends where its next term is below 1e-9 of the first.
    """
    y = exp(-abs(x))
    z = y / (TWO + y)
    w = z * z
    p = ((((((_P7 * w + _P6) * w + _P5) * w + _P4) * w + _P3) * w + _P2) * w + _P1) * w + ONE
    return (x if x > ZERO else ZERO) + TWO * z * p


@exact
def sigmoid(x):
    """1/(1 + e^−x)."""
    return ONE / (ONE + exp(-x))
