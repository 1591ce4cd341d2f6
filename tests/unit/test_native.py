"""Quantized blocks equal `gguf`'s to the byte, products the sums of their codes, on every engine.

The same tests run on the plain twin and on each ISA of the C kernels. Processes, threads and the build are in
test_native_process.py.
"""

import dataclasses

import numpy as np
import pytest
from gguf import GGMLQuantizationType
from gguf import dequantize as gguf_dequantize
from gguf import quantize as gguf_quantize
from hypothesis import given
from hypothesis import strategies as st

from chronos import native
from chronos.console import ChronosError
from chronos.native import QuantTensor, plain

try:
    from chronos.native import compiled
except ImportError:  # no C compiler here: the plain twin is all there is to test
    compiled = None

GGUF = {"Q4_0": GGMLQuantizationType.Q4_0, "Q8_0": GGMLQuantizationType.Q8_0}
FLOAT32_LOSS = 2.0**-21  # of the sum of magnitudes, over the at most 20 blocks of these tests

types = pytest.mark.parametrize("qtype", native.TYPES)


def float64_product(x: np.ndarray, packed: QuantTensor) -> tuple[np.ndarray, np.ndarray]:
    """The exact product of the codes, and the sums of magnitudes that bound its rounding."""
    codes, scales = plain.quantize_x(x)
    rounded = (codes * scales[..., None].astype(np.float64)).reshape(x.shape)
    w = plain.dequantize(packed.type, packed.data, packed.shape).astype(np.float64)
    return rounded @ w.T, np.abs(rounded) @ np.abs(w).T


def assert_product(x: np.ndarray, packed: QuantTensor) -> None:
    y = native.matmul(x, packed)
    assert y.dtype == np.float32 and y.shape == (len(x), packed.shape[0])
    exact, magnitude = float64_product(x.astype(np.float32), packed)
    assert (np.abs(y - exact) <= FLOAT32_LOSS * magnitude).all()


# ---- blocks ------------------------------------------------------------------------------------------------

rng = np.random.default_rng(0)
NORMAL = rng.standard_normal((37, 96), np.float32)
STEPS = np.linspace(-8, 8, 32, dtype=np.float32)
MATRICES = {
    "normal": NORMAL,
    "one row": NORMAL[:1],
    "small": NORMAL * np.float32(0.02),
    "large": NORMAL * np.float32(1e6),
    "huge": NORMAL * np.float32(7e37),
    "tiny": NORMAL * np.float32(1e-30),
    "scales at the end of half precision": NORMAL * np.float32(1e-6),
    "inverse scales about to overflow": NORMAL * np.float32(2.0**-125),
    "subnormal": NORMAL * np.float32(1e-41),
    "least subnormal": np.where(NORMAL > 0, np.float32(1e-45), np.float32(-1e-45)),
    "zero": np.zeros((3, 64), np.float32),
    "minus zero": -np.zeros((3, 64), np.float32),
    "constant": np.full((3, 64), 0.7, np.float32),
    "constant negative": np.full((3, 64), -0.7, np.float32),
    "ties of largest magnitude": np.where(np.arange(96) % 7 == 3, 1, -1).astype(np.float32)[None]
    * NORMAL[:, :1],
    "halves between codes": np.tile(np.append(np.arange(-15.5, 15.5, 1), 127), (2, 1)).astype(np.float32),
    "codes exactly": np.stack([STEPS, STEPS[::-1], STEPS * 2]),
    "one value": np.eye(32, dtype=np.float32) * np.float32(3.3),
    "mixed sizes": (NORMAL * 10.0 ** rng.integers(-44, 38, NORMAL.shape)).astype(np.float32),
}


@types
@pytest.mark.parametrize("kind", MATRICES)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # gguf's own overflows
def test_quantize_is_byte_equal_to_gguf(engine, qtype, kind):
    w = MATRICES[kind]
    packed = native.quantize(w, qtype)
    assert packed.tobytes() == gguf_quantize(w, GGUF[qtype]).tobytes()


@types
def test_rounding_of_many_weights_is_gguf_s(engine, qtype):
    w = np.random.default_rng(1).standard_normal((1000, 1024), np.float32)
    assert native.quantize(w, qtype).tobytes() == gguf_quantize(w, GGUF[qtype]).tobytes()


@types
def test_each_step_of_quantizing_rounds_to_float32(engine, qtype):
    """Weights within two floats of a code's border: a fused multiply-add gives many of them another code."""
    random = np.random.default_rng(8)
    codes = random.integers(1, 8 if qtype == "Q4_0" else 120, (2000, 31))
    d = random.uniform(0.5, 2, (2000, 1)).astype(np.float32)
    inverse = np.float32(1) / d
    x = ((codes - 0.5) / inverse.astype(np.float64)).astype(np.float32)
    x = (x.view(np.int32) + random.integers(-2, 3, x.shape).astype(np.int32)).view(np.float32)
    half = 8.5 if qtype == "Q4_0" else 0.5
    stepwise, fused = (x * inverse).astype(np.float64), x.astype(np.float64) * inverse
    assert (np.trunc(stepwise + half) != np.trunc(fused + half)).sum() > 1000
    w = np.concatenate([d * np.float32(-8 if qtype == "Q4_0" else 127), x], axis=1)
    assert native.quantize(w, qtype).tobytes() == gguf_quantize(w, GGUF[qtype]).tobytes()


@types
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_scales_round_to_half_precision_as_numpy_does(engine, qtype):
    """Every 9th half, the points midway to the next and the floats beside those; subnormals and infinity."""
    halves = np.arange(0, 0x7C00, 9, dtype=np.uint16)
    low = halves.view(np.float16).astype(np.float32)
    high = (halves + np.uint16(1)).view(np.float16).astype(np.float32)
    middle = (low + np.where(np.isinf(high), 65536, high)) / np.float32(2)
    d = np.concatenate([low, middle, np.nextafter(middle, 0), np.nextafter(middle, np.float32(np.inf))])
    w = np.zeros((len(d), 32), np.float32)
    w[:, 5] = d * np.float32(-8 if qtype == "Q4_0" else 127)
    packed = native.quantize(w, qtype)
    assert packed.tobytes() == gguf_quantize(w, GGUF[qtype]).tobytes()
    if qtype == "Q4_0":
        stored = packed.data.view(plain.LAYOUTS[qtype])["d"]
        assert (stored == d.astype(np.float16)).all()


@types
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_dequantize_is_bit_equal_to_gguf(engine, qtype):
    """All codes with all scales: zeros, subnormals, infinities; not NaN, whose bits mean nothing."""
    blocks = np.random.default_rng(2).integers(0, 256, 4096 * native.blocks.FORMATS[qtype][1], np.uint8)
    view = blocks.view(plain.LAYOUTS[qtype])
    view["d"][:3000] = np.random.default_rng(3).standard_normal(3000) * 0.02
    view["d"][np.isnan(view["d"])] = np.float16(2**-24)
    w = native.dequantize(QuantTensor.frombytes(qtype, (64, 2048), blocks))
    expected = gguf_dequantize(blocks.reshape(64, -1), GGUF[qtype])
    finite = np.isfinite(expected)
    assert (w.view(np.uint32)[finite] == expected.view(np.uint32)[finite]).all()
    assert finite.mean() > 0.9
    assert (w[np.isinf(expected)] == expected[np.isinf(expected)]).all()
    assert np.isnan(w[np.isnan(expected)]).all()


@types
def test_quantizing_what_was_dequantized_changes_nothing(engine, qtype):
    packed = native.quantize(NORMAL, qtype)
    w = native.dequantize(packed)
    again = native.dequantize(native.quantize(w, qtype))
    step = np.abs(w).reshape(37, 3, 32).max(axis=2) * 2.0**-10
    assert (np.abs(w - again).reshape(37, 3, 32) <= step[..., None]).all()


@types
def test_rows_of_blocks(engine, qtype):
    packed = native.quantize(NORMAL, qtype)
    ids = np.array([36, 0, 5, 5, 1])
    assert (native.dequantize_rows(packed, ids) == native.dequantize(packed)[ids]).all()
    assert native.dequantize_rows(packed, []).shape == (0, 96)
    assert native.dequantize_rows(QuantTensor.frombytes(qtype, (0, 96), b""), []).shape == (0, 96)


@types
@pytest.mark.parametrize("dtype", [np.float16, np.float64, ">f4"])
def test_other_floats_and_strides_are_converted(engine, qtype, dtype):
    w = np.asfortranarray(NORMAL.astype(np.float16).astype(dtype))[::2]
    expected = native.quantize(np.ascontiguousarray(w, np.float32), qtype)
    assert native.quantize(w, qtype).tobytes() == expected.tobytes()


# ---- products ----------------------------------------------------------------------------------------------


@types
@given(
    b=st.integers(0, 70),
    n=st.integers(0, 70),
    blocks=st.integers(0, 20),
    seed=st.integers(0, 2**32 - 1),
    exponent=st.integers(-20, 20),
)
def test_product_of_any_shape(engine, qtype, b, n, blocks, seed, exponent):
    random = np.random.default_rng(seed)
    w = random.standard_normal((n, 32 * blocks), np.float32)
    x = random.standard_normal((b, 32 * blocks), np.float32) * np.float32(2.0**exponent)
    assert_product(x, native.quantize(w, qtype))


@types
@pytest.mark.parametrize("shape", [(1, 1, 32), (1, 513, 320), (2, 3, 608), (300, 5, 64), (7, 1100, 32)])
def test_product_with_every_code(engine, qtype, shape):
    """Codes that `quantize` never makes, -128 among them, must not overflow a sum either."""
    b, n, k = shape
    random = np.random.default_rng(4)
    size = native.blocks.data_bytes(qtype, (n, k))
    for blocks in (
        random.integers(0, 256, size, np.uint8),
        np.full(size, 128, np.uint8),
        np.zeros(size, np.uint8),
    ):
        blocks.view(plain.LAYOUTS[qtype])["d"] = random.standard_normal(
            size // native.blocks.FORMATS[qtype][1]
        )
        packed = QuantTensor.frombytes(qtype, (n, k), blocks)
        assert_product(random.standard_normal((b, k), np.float32), packed)
        assert_product(np.full((b, k), -1, np.float32), packed)


@types
def test_product_is_within_half_a_step_of_the_exact_one(engine, qtype):
    """The documented bound: sum over blocks of max|x| / 254 times the sum of |w|."""
    random = np.random.default_rng(5)
    x = random.standard_normal((9, 544), np.float32) * np.float32(10.0) ** random.integers(-3, 4, (9, 544))
    packed = native.quantize(random.standard_normal((50, 544), np.float32), qtype)
    w = native.dequantize(packed).astype(np.float64)
    x = x.astype(np.float32)
    largest = np.abs(x).reshape(9, 17, 32).max(axis=2)
    bound = (largest / 254) @ np.abs(w).reshape(50, 17, 32).sum(axis=2).T
    off = np.abs(native.matmul(x, packed) - x.astype(np.float64) @ w.T)
    assert (off <= bound * 1.0001).all()
    assert off.max() > bound.mean() / 100  # the bound is of the right size


@types
def test_a_row_of_x_stands_alone(engine, qtype):
    """Batching changes nothing: to the bit in C, within rounding on BLAS."""
    random = np.random.default_rng(6)
    x = random.standard_normal((70, 288), np.float32)
    packed = native.quantize(random.standard_normal((67, 288), np.float32), qtype)
    whole = native.matmul(x, packed)
    rows = np.concatenate([native.matmul(x[i : i + 1], packed) for i in range(70)])
    pieces = np.concatenate([native.matmul(part, packed) for part in np.split(x, [3, 4, 11])])
    if engine == "plain":
        assert np.allclose(rows, whole, rtol=0, atol=1e-4)
    else:
        assert (rows == whole).all() and (pieces == whole).all()


@types
def test_bad_values_in_x_stay_in_their_row(engine, qtype):
    x = np.ones((6, 320), np.float32)
    x[1, 5], x[2, 319], x[4, 32], x[5] = np.nan, np.inf, -np.inf, 0
    y = native.matmul(x, native.quantize(np.ones((9, 320), np.float32), qtype))
    assert np.isnan(y[[1, 2, 4]]).all()
    assert np.allclose(y[[0, 3]], 320, rtol=1e-3)
    assert (y[5] == 0).all()


@types
def test_tiny_and_large_x(engine, qtype):
    w = native.quantize(np.eye(32, dtype=np.float32), qtype)
    for size, expected in ((1e-45, 0), (2.0**-121, 0), (1e-30, 1), (1e30, 1)):
        y = native.matmul(np.full((1, 32), size, np.float32), w)
        assert np.allclose(y, size * expected, rtol=0.01, atol=0), size
    assert (native.matmul(np.zeros((2, 32), np.float32), w) == 0).all()


@types
def test_x_is_copied_when_it_must_be_and_never_changed(engine, qtype):
    random = np.random.default_rng(7)
    x = random.standard_normal((5, 64), np.float32)
    packed = native.quantize(random.standard_normal((8, 64), np.float32), qtype)
    expected = native.matmul(x, packed)
    odd = np.frombuffer(b"?" + x.tobytes(), np.uint8)[1:].view(np.float32).reshape(5, 64)
    assert not odd.flags.aligned
    wide = np.empty((10, 128), np.float32)
    wide[::2, ::2] = x
    for same in (
        odd,
        wide[::2, ::2],
        np.asfortranarray(x),
        x.astype(">f4"),
        x.astype(np.float64),
        x[::-1][::-1],
    ):
        before = same.copy()
        assert (native.matmul(same, packed) == expected).all()
        assert (same == before).all()
    x.flags.writeable = False
    assert (native.matmul(x, packed) == expected).all()


# ---- QuantTensor and refusals ------------------------------------------------------------------------------


@types
def test_a_quant_tensor_is_frozen_and_keeps_its_bytes(qtype):
    packed = native.quantize(NORMAL, qtype)
    data = packed.tobytes()
    size = {"Q4_0": 18, "Q8_0": 34}[qtype]
    assert packed.type == qtype and packed.shape == (37, 96) and packed.nbytes == len(data) == 37 * 3 * size
    with pytest.raises(dataclasses.FrozenInstanceError):
        packed.shape = (1, 32)
    with pytest.raises(ValueError, match="read-only"):
        packed.data[0] = 1
    kept = QuantTensor.frombytes(qtype, packed.shape, data)
    assert kept.tobytes() == data and np.shares_memory(kept.data, np.frombuffer(data, np.uint8))
    mutable = bytearray(data)
    copied = QuantTensor.frombytes(qtype, packed.shape, mutable)
    mutable[:] = bytes(len(mutable))
    assert copied.tobytes() == data
    with pytest.raises(ValueError, match="read-only"):
        copied.data[0] = 1
    assert qtype in repr(packed) and "37 x 96" in repr(packed)


Q = native.quantize(np.ones((2, 64), np.float32), "Q4_0")
X = np.ones((3, 64), np.float32)
NAN = np.where(np.arange(128).reshape(2, 64) == 70, np.float32(np.nan), np.float32(1))
BYTES = np.frombuffer(Q.tobytes(), np.uint8)
REFUSED = {
    "an unknown type": (lambda: native.quantize(X, "Q5_K"), "Q4_0 or Q8_0 or .*, got 'Q5_K'"),
    "one axis": (lambda: native.quantize(X[0], "Q8_0"), r"w must have two axes, got shape \(64,\)"),
    "integers": (lambda: native.quantize(X.astype(int), "Q8_0"), "floats, got ndarray of int64"),
    "a list": (lambda: native.quantize([[1.0] * 32], "Q8_0"), "floats, got list"),
    "complex": (lambda: native.quantize(X.astype(complex), "Q8_0"), "complex128"),
    "NaN in w": (lambda: native.quantize(NAN, "Q4_0"), r"finite, got nan at \[1, 6\] of \(2, 64\)"),
    "infinity in w": (lambda: native.quantize(np.full((1, 32), -np.inf), "Q4_0"), r"-inf at \[0, 0\]"),
    "float64 too large": (lambda: native.quantize(np.full((1, 32), 1e300), "Q4_0"), r"inf at \[0, 0\]"),
    "x too narrow": (
        lambda: native.matmul(X[:, :32], Q),
        r"x \(B, 64\) for weights \(2, 64\), got \(3, 32\)",
    ),
    "x of one axis": (lambda: native.matmul(X[0], Q), "x must have two axes"),
    "x of integers": (lambda: native.matmul(X.astype(np.int32), Q), "x must be a NumPy array of floats"),
    "weights as floats": (lambda: native.matmul(X, X), "QuantTensor, got ndarray"),
    "dequantize of bytes": (lambda: native.dequantize(b""), "QuantTensor, got bytes"),
    "too few bytes": (lambda: QuantTensor.frombytes("Q4_0", (2, 64), BYTES[1:]), "expected 72, got 71"),
    "too many bytes": (lambda: QuantTensor.frombytes("Q4_0", (2, 32), BYTES), "expected 36, got 72"),
    "strided bytes": (lambda: QuantTensor.frombytes("Q4_0", (1, 64), BYTES[::2]), "contiguous"),
    "text as bytes": (lambda: QuantTensor.frombytes("Q4_0", (1, 32), "x" * 18), "buffer"),
    "no bytes at all": (lambda: QuantTensor.frombytes("Q4_0", (1, 32), b""), "expected 18, got 0"),
    "None as bytes": (lambda: QuantTensor.frombytes("Q4_0", (0, 32), None), "buffer"),
    "a negative shape": (lambda: QuantTensor.frombytes("Q4_0", (-2, -64), BYTES), r"shape must be \(N, K\)"),
    "a shape of three": (lambda: QuantTensor.frombytes("Q4_0", (1, 2, 64), BYTES), r"shape must be \(N, K\)"),
    "a shape of floats": (lambda: QuantTensor.frombytes("Q4_0", (2.0, 64), BYTES), r"shape must be \(N, K\)"),
    "a shape past 64 bits": (
        lambda: QuantTensor.frombytes("Q4_0", (2**63, 64), BYTES),
        "wrong number of bytes",
    ),
    "writable data": (lambda: QuantTensor("Q4_0", (2, 64), BYTES.copy()), "read-only uint8"),
    "strided data": (lambda: QuantTensor("Q4_0", (1, 64), BYTES[::2]), "wrong number of bytes"),
    "a row that is not there": (lambda: native.dequantize_rows(Q, [0, 2]), "expected 0 to 1, got 0 to 2"),
    "a negative row": (lambda: native.dequantize_rows(Q, [-1]), "expected 0 to 1"),
    "rows of floats": (lambda: native.dequantize_rows(Q, [0.0]), "rows must be integers"),
    "no threads": (lambda: native.set_threads(0), "expected 1 to 256, got 0"),
    "threads as text": (lambda: native.set_threads("2"), "got '2'"),
    "a million threads": (lambda: native.set_threads(10**6), "1 to 256"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_wrong_input_is_refused_in_one_line(what):
    call, told = REFUSED[what]
    with pytest.raises(ChronosError, match=told) as caught:
        call()
    assert "\n" not in str(caught.value)
