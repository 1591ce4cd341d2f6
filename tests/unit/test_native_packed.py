"""All formats, packed weights and the way back: bytes are `gguf`'s or the twin's, products sums of codes.

The same tests run on the plain twin and on each ISA of the C kernels; test_native.py has what Q4_0 and Q8_0
do as files hold them.
"""

import gguf
import numpy as np
import pytest
from gguf import GGMLQuantizationType

from chronos import native
from chronos.console import ChronosError
from chronos.native import PackedTensor, QuantTensor, plain

try:
    from chronos.native import compiled
except ImportError:  # no C compiler here: the plain twin is all there is to test
    compiled = None

OURS = ("INT4_32", "INT4_64", "INT4_128")  # no other library has these
SIZES = [
    (0, 5, 512),
    (1, 1, 256),
    (1, 16, 512),
    (2, 17, 768),
    (3, 0, 256),
    (5, 31, 256),
    (7, 33, 512),
    (8, 5, 1024),
]
SIZES += [(9, 48, 256), (66, 19, 512), (3, 18, 0)]
FLOAT32_LOSS = 2.0**-20  # of the sum of magnitudes: 1,024 terms of F16 at most, in two sums

formats = pytest.mark.parametrize("qtype", native.FORMATS)


def random_tensor(rng: np.random.Generator, qtype: str, n: int, k: int) -> QuantTensor:
    """Blocks with every code there is, and scales of a model's size."""
    data = rng.integers(0, 256, native.blocks.data_bytes(qtype, (n, k)), np.uint8)
    view = data.view(plain.LAYOUTS[qtype])
    for name in view.dtype.names or ():
        if name in ("d", "dmin"):
            view[name] = rng.standard_normal(len(view)) * 0.02
    if qtype in ("F16", "BF16"):
        data = plain.quantize(qtype, rng.standard_normal((n, k)).astype(np.float32))
    return QuantTensor.frombytes(qtype, (n, k), data)


# ---- formats -----------------------------------------------------------------------------------------------

NORMAL = np.random.default_rng(0).standard_normal((9, 512)).astype(np.float32)
MATRICES = {
    "normal": NORMAL,
    "small": NORMAL * np.float32(0.02),
    "huge": NORMAL * np.float32(7e37),
    "tiny": NORMAL * np.float32(1e-30),
    "scales at the end of half precision": NORMAL * np.float32(1e-6),
    "subnormal": NORMAL * np.float32(1e-41),
    "zero": np.zeros((3, 256), np.float32),
    "constant": np.full((3, 256), 0.7, np.float32),
    "constant negative": np.full((3, 256), -0.7, np.float32),
    "positive": np.abs(NORMAL),
    "negative": -np.abs(NORMAL),
    "ties of largest magnitude": np.where(np.arange(512) % 7 == 3, 1, -1).astype(np.float32) * NORMAL[:, :1],
    "one value": np.eye(256, dtype=np.float32) * np.float32(3.3),
    "mixed sizes": (NORMAL * 10.0 ** np.random.default_rng(1).integers(-44, 38, (9, 512))).astype(np.float32),
}


@formats
@pytest.mark.parametrize("kind", MATRICES)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # gguf's own overflows
def test_bytes_are_gguf_s_or_the_plain_twin_s(engine, qtype, kind):
    w = MATRICES[kind]
    packed = native.quantize(w, qtype)
    if qtype in OURS or qtype == "Q2_K":  # which gguf can only read, if at all
        expected = plain.quantize(qtype, w)
    else:
        expected = gguf.quantize(w, GGMLQuantizationType[qtype])
    assert packed.tobytes() == expected.tobytes()


@formats
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_any_bytes_are_read_as_gguf_reads_them(engine, qtype):
    shape = (16, 1024)
    data = np.random.default_rng(2).integers(0, 256, native.blocks.data_bytes(qtype, shape), np.uint8)
    w = native.dequantize(QuantTensor.frombytes(qtype, shape, data))
    if qtype in OURS:
        group = native.blocks.FORMATS[qtype][0]
        blocks = data.reshape(-1, 2 + group // 2)
        d = blocks[:, :2].copy().view("<f2").astype(np.float32)
        halves = blocks[:, 2:].reshape(len(blocks), -1, 16)
        codes = np.concatenate([halves & 15, halves >> 4], axis=2).reshape(len(blocks), group)
        expected = (d * (codes.astype(np.float32) - 8)).reshape(shape)
    else:
        expected = gguf.dequantize(data.reshape(shape[0], -1), GGMLQuantizationType[qtype])
    assert np.array_equal(w, expected, equal_nan=True)


@pytest.mark.parametrize("qtype", OURS)
def test_int4_is_off_by_half_a_step(engine, qtype):
    w = NORMAL * np.float32(0.1)
    off = np.abs(native.dequantize(native.quantize(w, qtype)) - w)
    step = np.abs(w.reshape(len(w), -1, native.blocks.FORMATS[qtype][0])).max(axis=2) / 7
    assert (off <= np.repeat(step, 512 // step.shape[1], axis=1) * 0.504).all()  # the half of d adds 2^-11


def test_int4_takes_the_largest_group_that_divides_the_rows(engine):
    assert [native.quantize(NORMAL[:, :k], "INT4").type for k in (96, 192, 256)] == list(OURS)
    assert native.quantize(NORMAL[:, :40], "INT4").type == "INT4_32"


def test_q2_k_keeps_what_two_bits_can(engine):
    """Four values at equal distances in each sixteen, with scales that four bits can say, come back."""
    rng = np.random.default_rng(3)
    scales, least = rng.integers(1, 16, (6, 16, 1)), rng.integers(0, 16, (6, 16, 1))
    scales[:, 0], least[:, 0] = 15, 15  # so that d and dmin are 1/16 and 1/8
    codes = np.tile(np.arange(4), (6, 16, 4))
    w = (scales * codes / 16 - least / 8).astype(np.float32).reshape(6, 256)
    assert np.abs(native.dequantize(native.quantize(w, "Q2_K")) - w).max() < 1e-6


def test_q2_k_of_huge_rows_is_finite(engine):
    w = native.dequantize(native.quantize(NORMAL * np.float32(7e37), "Q2_K"))
    assert np.isfinite(w).all() and w.max() > 65504 * 15


# ---- packed ------------------------------------------------------------------------------------------------


@formats
def test_packed_weights_are_the_same_weights(engine, qtype):
    rng = np.random.default_rng(4)
    for n, k in ((0, 256), (1, 256), (16, 512), (17, 768), (45, 256), (3, 0)):
        tensor = random_tensor(rng, qtype, n, k)
        packed = native.pack(tensor)
        assert isinstance(packed, PackedTensor) and isinstance(packed, QuantTensor)
        assert packed.panels.tobytes() == plain.pack(qtype, tensor.data, tensor.shape).tobytes()
        assert packed.tobytes() == tensor.tobytes() and packed.nbytes == tensor.nbytes
        assert (packed.type, packed.shape) == (qtype, (n, k)) and native.pack(packed) is packed
        rows = rng.integers(0, n, 7 if n else 0)
        assert np.array_equal(native.dequantize_rows(packed, rows), native.dequantize(tensor)[rows])
        assert np.array_equal(native.dequantize(packed), native.dequantize(tensor))


@pytest.mark.parametrize("qtype", ["Q4_0", "Q8_0", "INT4_32", "F16", "BF16"])
def test_rows_that_end_within_a_step_of_a_panel(engine, qtype):
    k = 96 if qtype not in ("F16", "BF16") else 33
    tensor = random_tensor(np.random.default_rng(5), qtype, 18, k)
    packed = native.pack(tensor)
    assert packed.panels.tobytes() == plain.pack(qtype, tensor.data, tensor.shape).tobytes()
    assert packed.tobytes() == tensor.tobytes()
    assert_product(np.random.default_rng(6).standard_normal((3, k)).astype(np.float32), packed, tensor)


def assert_product(x: np.ndarray, packed: PackedTensor, tensor: QuantTensor) -> None:
    y = native.matmul(x, packed)
    assert y.dtype == np.float32 and y.shape == (len(x), tensor.shape[0])
    rounded = plain.round_x(tensor.type, x).astype(np.float64)
    w = plain.dequantize(tensor.type, tensor.data, tensor.shape).astype(np.float64)
    least = np.abs(w)
    if tensor.type == "Q2_K":  # a difference of two, each of which is rounded
        least = least + 2 * np.abs(np.repeat(_minima(tensor), 16, axis=1))
    assert (np.abs(y - rounded @ w.T) <= FLOAT32_LOSS * (np.abs(rounded) @ least.T)).all()


def _minima(tensor: QuantTensor) -> np.ndarray:
    blocks = tensor.data.view(plain.LAYOUTS["Q2_K"])
    return (blocks["dmin"][:, None].astype(np.float64) * (blocks["scales"] >> 4)).reshape(
        tensor.shape[0], tensor.shape[1] // 16
    )


@formats
def test_products_are_sums_of_the_codes(engine, qtype):
    rng = np.random.default_rng(7)
    for b, n, k in SIZES:
        tensor = random_tensor(rng, qtype, n, k)
        assert_product(rng.standard_normal((b, k)).astype(np.float32), native.pack(tensor), tensor)


@formats
def test_an_element_depends_on_its_row_and_column_alone(engine, qtype):
    if native._engine() is plain:
        pytest.skip("BLAS promises no such thing")
    rng = np.random.default_rng(8)
    x, packed = (
        rng.standard_normal((70, 512)).astype(np.float32),
        native.pack(random_tensor(rng, qtype, 83, 512)),
    )
    whole, threads = native.matmul(x, packed), native.info()["threads"]
    pieces = [native.matmul(p, packed) for p in np.split(x, np.cumsum([1, 2, 3, 4, 5, 6, 7, 8, 9]))]
    assert np.concatenate(pieces).tobytes() == whole.tobytes()
    try:
        for count in (1, 2, 3, 5):
            native.set_threads(count)
            assert native.matmul(x, packed).tobytes() == whole.tobytes()
    finally:
        native.set_threads(threads)


@formats
def test_what_is_not_finite_in_x_stays_in_its_row(engine, qtype):
    x = np.ones((4, 512), np.float32)
    x[1, 7], x[2, 300], x[3] = np.nan, np.inf, 1e-41
    y = native.matmul(x, native.pack(native.quantize(np.ones((9, 512), np.float32), qtype)))
    assert np.isfinite(y[[0, 3]]).all() and not np.isfinite(y[1:3]).any()
    assert np.abs(y[3]).max() < 1e-37


@pytest.mark.parametrize("qtype", ["Q2_K", "INT4_64", "BF16"])
def test_blocks_that_no_kernel_reads_are_packed_for_the_call(engine, qtype):
    rng = np.random.default_rng(9)
    tensor, x = random_tensor(rng, qtype, 20, 256), rng.standard_normal((2, 256)).astype(np.float32)
    assert native.matmul(x, tensor).tobytes() == native.matmul(x, native.pack(tensor)).tobytes()


# ---- the way back ------------------------------------------------------------------------------------------


@formats
def test_gradients_go_back_through_the_weights(engine, qtype):
    rng = np.random.default_rng(10)
    for b, n, k in [(1, 1, 256), (2, 33, 512), (7, 70, 768), (50, 5, 256), (0, 3, 256), (3, 0, 256)]:
        tensor, g = random_tensor(rng, qtype, n, k), rng.standard_normal((b, n)).astype(np.float32)
        w, y = native.dequantize(tensor).astype(np.float64), native.back(g, tensor)
        assert y.dtype == np.float32 and y.shape == (b, k)
        assert (np.abs(y - g @ w) <= FLOAT32_LOSS * (np.abs(g) @ np.abs(w))).all()
        assert native.back(g, native.pack(tensor)).tobytes() == y.tobytes()
        if native._engine() is not plain and b:
            assert native.back(g[:1], tensor).tobytes() == y[:1].tobytes()


@pytest.mark.parametrize("qtype", ["Q8_0", "F16"])
def test_columns_that_fill_no_stretch_go_back_too(engine, qtype):
    rng = np.random.default_rng(11)
    tensor, g = random_tensor(rng, qtype, 40, 288 if qtype == "Q8_0" else 261), np.ones((3, 40), np.float32)
    assert np.allclose(native.back(g, tensor), g @ native.dequantize(tensor), rtol=1e-4, atol=1e-4)


# ---- refusals ----------------------------------------------------------------------------------------------

X = np.ones((3, 512), np.float32)
Q = native.pack(native.quantize(X, "Q2_K"))
REFUSED = {
    "an unknown format": (lambda: native.quantize(X, "Q3_K"), "F16 or BF16, got 'Q3_K'"),
    "a format that is no text": (lambda: native.quantize(X, 2), "got 2"),
    "packing an array": (lambda: native.pack(X), "must be a QuantTensor, got ndarray"),
    "x too narrow": (lambda: native.matmul(X[:, :256], Q), r"x \(B, 512\) for weights \(3, 512\)"),
    "g too wide": (lambda: native.back(X, Q), r"g \(B, 3\) for weights \(3, 512\), got \(3, 512\)"),
    "g of one axis": (lambda: native.back(X[0], Q), "g must have two axes"),
    "g of integers": (lambda: native.back(X.astype(int), Q), "floats, got ndarray of int64"),
    "a row that is not there": (lambda: native.dequantize_rows(Q, [3]), "expected 0 to 2, got 3"),
    "NaN for two bits": (lambda: native.quantize(X * np.nan, "Q2_K"), "must be finite"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_wrong_is_refused_in_one_line(engine, case):
    call, message = REFUSED[case]
    with pytest.raises(ChronosError, match=message):
        call()


def test_panels_cannot_be_written_and_x_of_any_layout_is_read(engine):
    rng = np.random.default_rng(12)
    with pytest.raises(ValueError, match="read-only"):
        Q.panels[0] = 1
    packed = native.pack(random_tensor(rng, "Q4_0", 20, 256))
    x = rng.standard_normal((6, 256)).astype(np.float32)
    expected = native.matmul(x, packed)
    layouts = (np.asfortranarray(x), np.repeat(x, 2, axis=1)[:, ::2], x.astype(">f4"), x.astype(np.float64))
    for same in layouts:
        assert native.matmul(same, packed).tobytes() == expected.tobytes()
