"""Rows of any length, and NaN and infinity: what fills up a block shows nowhere, what is no number stays put.

The definition is a matrix with zeros after each row. The same tests run on the plain twin and on each ISA.
"""

import numpy as np
import pytest

from chronos import native
from chronos.console import ChronosError
from chronos.native import QuantTensor, plain
from chronos.native.blocks import FORMATS, data_bytes, filled

try:
    from chronos.native import compiled
except ImportError:  # no C compiler here: the plain twin is all there is to test
    compiled = None

WIDTHS = (1, 31, 33, 63, 96, 127, 160, 257, 300, 513)
formats = pytest.mark.parametrize("qtype", native.FORMATS)


def with_zeros(a: np.ndarray, qtype: str) -> np.ndarray:
    return np.pad(a, ((0, 0), (0, filled(qtype, a.shape[1]) - a.shape[1])))


def pair(qtype: str, n: int, k: int) -> tuple[np.ndarray, QuantTensor, QuantTensor]:
    """w (n, k), its blocks, and the blocks of w with zeros after each row."""
    w = np.random.default_rng(k).standard_normal((n, k)).astype(np.float32)
    return w, native.quantize(w, qtype), native.quantize(with_zeros(w, qtype), qtype)


# ---- any width ---------------------------------------------------------------------------------------------


@formats
def test_blocks_of_any_width_are_those_of_rows_with_zeros_after_them(engine, qtype):
    weights, size = FORMATS[qtype]
    for k in WIDTHS:
        w, packed, full = pair(qtype, 5, k)
        assert packed.shape == (5, k) and packed.nbytes == 5 * -(-k // weights) * size
        assert packed.tobytes() == full.tobytes()
        back = native.dequantize(packed)
        assert back.shape == w.shape and back.tobytes() == native.dequantize(full)[:, :k].tobytes()
        rows = native.dequantize_rows(packed, [4, 0, 4])
        assert rows.tobytes() == back[[4, 0, 4]].tobytes()
        again = QuantTensor.frombytes(qtype, (5, k), packed.tobytes())
        assert native.dequantize(again).tobytes() == back.tobytes()


@formats
def test_panels_of_any_width(engine, qtype):
    for k in WIDTHS:
        _, packed, full = pair(qtype, 19, k)
        panels = native.pack(packed)
        assert panels.shape == (19, k) and panels.nbytes == packed.nbytes
        assert panels.panels.tobytes() == native.pack(full).panels.tobytes()
        assert panels.tobytes() == packed.tobytes()
        rows = native.dequantize_rows(panels, [18, 3])
        assert rows.tobytes() == native.dequantize(packed)[[18, 3]].tobytes()


@formats
@pytest.mark.parametrize("b", [1, 7, 70])
def test_products_of_any_width_are_those_of_x_with_zeros_after_it(engine, qtype, b):
    """To the bit in C; BLAS adds in another order."""
    same = np.array_equal if engine != "plain" else lambda a, b: np.allclose(a, b, rtol=0, atol=1e-4)
    rng = np.random.default_rng(b)
    for k in WIDTHS:
        _, packed, full = pair(qtype, 19, k)
        x, g = (rng.standard_normal((b, n)).astype(np.float32) for n in (k, 19))
        wide = with_zeros(x, qtype)
        assert same(native.matmul(x, packed), native.matmul(wide, full))
        assert same(native.matmul(x, native.pack(packed)), native.matmul(wide, native.pack(full)))
        assert same(native.back(g, packed), native.back(g, full)[:, :k])
        assert native.back(g, native.pack(packed)).shape == (b, k)


@formats
def test_what_lies_in_the_rest_of_a_block_shows_nowhere(engine, qtype):
    """Codes that a file could have there are multiplied by nothing."""
    weights = FORMATS[qtype][0]
    if weights == 1:
        pytest.skip("a block of one weight has no rest")
    k, rng = 2 * weights + 3, np.random.default_rng(0)
    data = rng.integers(0, 256, data_bytes(qtype, (17, k)), np.uint8)
    view = data.view(plain.LAYOUTS[qtype])
    for name in {"d", "dmin"} & set(view.dtype.names):
        view[name] = rng.standard_normal(len(view))
    packed, x = QuantTensor.frombytes(qtype, (17, k), data), rng.standard_normal((3, k)).astype(np.float32)
    w = native.dequantize(packed)
    expected = plain.round_x(qtype, x).astype(np.float64) @ w.T.astype(np.float64)
    for weight in (packed, native.pack(packed)):
        assert np.abs(native.matmul(x, weight) - expected).max() < 1e-5 * np.abs(expected).max() + 1e-3
    assert w.shape == (17, k)


@formats
def test_a_decode_step_of_any_width(engine, qtype):
    if engine == "plain":
        pytest.skip("plans are C alone")
    for k in (1, 45, 300):
        _, packed, _ = pair(qtype, 21, k)
        for weight in (native.pack(packed), *([packed] if qtype in native.TYPES else [])):
            plan, x, y = native.Plan(), np.zeros(k, np.float32), np.zeros(21, np.float32)
            plan.embed(weight, None, x)
            plan.linear(weight, x, y)
            plan.run(20, 0)
            assert x.tobytes() == native.dequantize(packed)[20].tobytes()
            assert y.tobytes() == native.matmul(x[None], weight).tobytes()


# ---- NaN and infinity --------------------------------------------------------------------------------------


@formats
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_weights_that_are_no_numbers_are_refused_with_their_place(engine, qtype, bad):
    w = np.ones((3, 45), np.float32)
    w[2, 44] = bad
    with pytest.raises(ChronosError, match=rf"weights must be finite, got {bad} at \[2, 44\] of \(3, 45\)"):
        native.quantize(w, qtype)


@formats
def test_no_number_in_x_leaves_its_row(engine, qtype):
    """Also in the last column of a block that is not full."""
    k = 2 * FORMATS[qtype][0] + 3
    _, packed, _ = pair(qtype, 9, k)
    x = np.ones((5, k), np.float32)
    x[1, k - 1], x[2, 0], x[3, k - 1] = np.nan, np.inf, -np.inf
    for weight in (packed, native.pack(packed)):
        y = native.matmul(x, weight)
        assert np.isfinite(y[[0, 4]]).all() and not np.isfinite(y[1:4]).any()
        if qtype not in ("F16", "BF16"):
            assert np.isnan(y[1:4]).all()


@formats
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_scale_that_is_no_number_stays_in_its_row_of_weights(engine, qtype, bad):
    """A file may bring one: no other row of weights and no other block of columns is touched."""
    weights, _ = FORMATS[qtype]
    k = 2 * max(weights, 32)
    _, good, _ = pair(qtype, 20, k)
    data = good.data.copy()
    view = data.view(plain.LAYOUTS[qtype]).reshape(20, -1)
    half = np.float16(bad) if qtype != "BF16" else np.float32(bad).view(np.uint32) >> 16
    view["d" if view.dtype.names else ...][3, 0] = half
    broken = QuantTensor.frombytes(qtype, (20, k), data)
    w = native.dequantize(broken)
    assert not np.isfinite(w[3, :weights]).all() and np.isfinite(w[3, weights:]).all()
    x, g = np.ones((2, k), np.float32), np.ones((2, 20), np.float32)
    others = np.arange(20) != 3
    for weight in (broken, native.pack(broken)):
        y = native.matmul(x, weight)
        assert not np.isfinite(y[:, 3]).any() and np.isfinite(y[:, others]).all()
        gradient = native.back(g, weight)
        assert not np.isfinite(gradient[:, :weights]).all() and np.isfinite(gradient[:, weights:]).all()


def test_scales_that_became_infinite_are_as_llama_cpp_has_them(engine):
    """Finite weights beyond what a half can scale: gguf's bytes, read back as infinity; ours stay finite."""
    w = np.full((1, 64), 3e38, np.float32)
    assert np.isinf(native.dequantize(native.quantize(w, "Q8_0"))).all()
    assert np.isinf(native.dequantize(native.quantize(w, "F16"))).all()
    for qtype in ("INT4", "Q2_K", "BF16"):
        back = native.dequantize(native.quantize(w, qtype))
        assert np.isfinite(back).all() and back.min() > 65504
