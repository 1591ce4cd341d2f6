"""Products of float matrices against sums in float64 of the rounded inputs, on every engine and ISA.

The same tests run on the plain twin. Bits must not depend on threads or on other rows; what does not fit is
refused in one line, whatever its strides.
"""

import subprocess
import sys
import threading
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronos import native
from chronos.console import ChronosError
from chronos.native import gemm, gemm_plain

try:
    from chronos.native import compiled
except ImportError:  # no C compiler here: the plain twin is all there is to test
    compiled = None

KINDS = {"f32": (native.matmul_f32, native.pack_f32), "bf16": (native.matmul_bf16, native.pack_bf16)}
kinds = pytest.mark.parametrize("kind", gemm.KINDS)
needs_c = pytest.mark.skipif(compiled is None, reason="needs the C kernels")


def rounded(kind: str, x: np.ndarray) -> np.ndarray:
    return (gemm_plain.bf16(x) if kind == "bf16" else x).astype(np.float64)


def assert_product(kind: str, y: np.ndarray, a: np.ndarray, b: np.ndarray, before: np.ndarray | float = 0.0):
    a, b = rounded(kind, a), rounded(kind, b)
    magnitude = np.abs(a) @ np.abs(b) + np.abs(before)
    assert y.dtype == np.float32 and y.shape == magnitude.shape
    assert (np.abs(y - (a @ b + before)) <= (a.shape[1] + 4) * 2.0**-24 * magnitude + 1e-37).all()


def normal(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.standard_normal(shape, np.float32)


# ---- what comes out ----------------------------------------------------------------------------------------


@kinds
@given(
    m=st.sampled_from([0, 1, 2, 3, 4, 6, 7, 13, 14, 15, 29, 45]),
    n=st.sampled_from([0, 1, 15, 16, 17, 31, 33, 64, 65, 100, 129, 300]),
    k=st.sampled_from([0, 1, 2, 3, 31, 32, 33, 64, 97]),
    turned=st.tuples(st.booleans(), st.booleans()),
    seed=st.integers(0, 99),
)
def test_products_of_any_size_and_order(engine, kind, m, n, k, turned, seed):
    multiply, pack = KINDS[kind]
    rng = np.random.default_rng(seed)
    a = normal(rng, k, m).T if turned[0] else normal(rng, m, k)
    b = normal(rng, n, k).T if turned[1] else normal(rng, k, n)
    y, c = multiply(a, b), normal(rng, m, n)
    assert_product(kind, y, a, b)
    again = multiply(a, pack(b))
    if engine == "plain":  # BLAS may add up in another order where b lies otherwise
        assert_product(kind, again, a, b)
    else:
        assert again.tobytes() == y.tobytes()
    before = c.copy()
    assert multiply(a, b, out=c, add=True) is c
    assert_product(kind, c, a, b, before)
    assert multiply(a, pack(b), out=c) is c and c.tobytes() == again.tobytes()


@kinds
def test_deep_and_wide_products_take_several_blocks(engine, kind):
    multiply, pack = KINDS[kind]
    rng = np.random.default_rng(0)
    for m, n, k in ((30, 70, 4099), (5, 1100, 2050), (400, 40, 130)):
        a, b, c = normal(rng, m, k), normal(rng, k, n), normal(rng, m, n)
        before = c.copy()
        multiply(a, b, out=c, add=True)
        assert_product(kind, c, a, b, before)
        assert multiply(a, pack(b)).tobytes() == multiply(a, np.asfortranarray(b)).tobytes()


def test_bf16_is_rounded_to_nearest_even(engine):
    """A product with the identity gives each value as it was rounded."""
    halves = np.float32([1 + 2**-8, 1 + 3 * 2**-8, 1 + 2**-8 + 2**-20, -(1 + 2**-8)])
    expected = np.float32([1, 1 + 2**-6, 1 + 2**-7, -1])
    extremes = np.float32([0, 1e-39, 2**-126, 3.38e38, -1e-45, 65504])
    values = np.concatenate([halves, extremes])[None]
    y = native.matmul_bf16(np.eye(1, dtype=np.float32), values)[0]
    assert (y[:4] == expected).all() and (y == gemm_plain.bf16(values)[0]).all()
    assert y[5] == 0 and y[6] == np.float32(2**-126)
    everything = np.random.default_rng(1).integers(0, 2**32, 4096, np.uint32).view(np.float32).reshape(1, -1)
    everything = np.where(np.isfinite(everything), everything, np.float32(1))
    y = native.matmul_bf16(np.eye(1, dtype=np.float32), everything)
    np.testing.assert_array_equal(y, gemm_plain.bf16(everything))


@kinds
def test_nan_and_infinity_stay_in_their_row_and_column(engine, kind):
    rng = np.random.default_rng(0)
    a, b = normal(rng, 20, 40), normal(rng, 40, 50)
    clean = KINDS[kind][0](a, b)
    a[3, 5], a[7, 0], b[9, 11] = np.nan, np.inf, -np.inf
    y = KINDS[kind][0](a, b)
    touched = np.zeros((20, 50), bool)
    touched[[3, 7]], touched[:, 11] = True, True
    assert not np.isfinite(y[touched]).any() and np.isnan(y[3]).all()
    assert y[~touched].tobytes() == clean[~touched].tobytes()


@kinds
def test_a_row_does_not_depend_on_the_others_nor_on_threads(engine, kind):
    if engine == "plain":
        pytest.skip("BLAS decides there")
    multiply, pack = KINDS[kind]
    rng = np.random.default_rng(0)
    a, b = normal(rng, 67, 2100), normal(rng, 2100, 333)
    packed, whole, before = pack(b), multiply(a, b), native.info()["threads"]
    for rows in (1, 2, 5, 14, 33):
        assert multiply(a[:rows], packed).tobytes() == whole[:rows].tobytes()
    assert np.ascontiguousarray(multiply(a, b[:, 50:171])).tobytes() == whole[:, 50:171].tobytes()
    for threads in (1, 2, 3, 5):
        native.set_threads(threads)
        assert multiply(a, b).tobytes() == multiply(a, packed).tobytes() == whole.tobytes()
    native.set_threads(before)


@needs_c
@kinds
def test_few_rows_by_plain_b_and_shallow_products_change_no_bit(kind):
    rng = np.random.default_rng(0)
    multiply, pack = KINDS[kind]
    for inner, columns in product((16, 130, 192, 2050), (32, 33, 130, 256)):
        a, left, right = normal(rng, 64, inner), normal(rng, inner, columns), normal(rng, columns, inner).T
        for rows, b in product((1, 7, 11, 12, 33, 64), (left, right)):
            out, expected = np.ones((rows, columns), np.float32), np.ones((rows, columns), np.float32)
            multiply(a[:rows], b, out=out, add=True)
            assert out.tobytes() == multiply(a[:rows], pack(b), out=expected, add=True).tobytes()
    for inner, columns in product((1, 17, 32), (65, 600)):
        a, b = normal(rng, inner, 300).T, normal(rng, inner, columns)
        rows = [multiply(np.ascontiguousarray(a[i : i + 1]), pack(b)) for i in range(300)]
        assert multiply(a, b).tobytes() == np.concatenate(rows).tobytes()


@needs_c
def test_two_python_threads_multiply_at_once():
    rng = np.random.default_rng(0)
    a, b = normal(rng, 150, 300), normal(rng, 300, 400)
    expected, wrong = native.matmul_bf16(a, b).tobytes(), []

    def work() -> None:
        for _ in range(20):
            if native.matmul_bf16(a, b).tobytes() != expected:
                wrong.append(1)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


# ---- what goes in ------------------------------------------------------------------------------------------


def strange(rng: np.random.Generator, rows: int, columns: int, how: str) -> np.ndarray:
    """The same shape in other clothes: only some of them are read where they lie."""
    big = normal(rng, 2 * rows + 3, 2 * columns + 5)
    unaligned = np.empty(4 * rows * columns + 1, np.uint8)[1:].view(np.float32).reshape(rows, columns)
    unaligned[...] = big[:rows, :columns]
    return {
        "cut": big[1 : rows + 1, 2 : columns + 2],
        "cut, turned": normal(rng, columns + 4, rows + 3)[2 : columns + 2, 1 : rows + 1].T,
        "every second": big[: 2 * rows : 2, : 2 * columns : 2],
        "backwards": big[:rows, :columns][::-1, ::-1],
        "one line for all": np.broadcast_to(big[0, :columns], (rows, columns)),
        "one number for all": np.broadcast_to(big[0, :1], (rows, columns)),
        "float64": big[:rows, :columns].astype(np.float64),
        "float16": big[:rows, :columns].astype(np.float16),
        "swapped": big[:rows, :columns].astype(">f4"),
        "unaligned": unaligned,
        "matrix": np.array(big[:rows, :columns]).view(type("Sub", (np.ndarray,), {})),
    }[how]


CLOTHES = ("cut", "cut, turned", "every second", "backwards", "one line for all", "one number for all")
CLOTHES += ("float64", "float16", "swapped", "unaligned", "matrix")


@kinds
@given(
    m=st.integers(1, 5), n=st.integers(1, 40), k=st.integers(1, 40),
    how=st.tuples(st.sampled_from(CLOTHES), st.sampled_from(CLOTHES)), seed=st.integers(0, 99),
)  # fmt: skip
def test_any_strides_and_floats_give_the_same(kind, m, n, k, how, seed):
    rng = np.random.default_rng(seed)
    a, b = strange(rng, m, k, how[0]), strange(rng, k, n, how[1])
    plainly = [np.ascontiguousarray(x, np.float32) for x in (a, b)]
    multiply, pack = KINDS[kind]
    assert multiply(a, b).tobytes() == multiply(*plainly).tobytes() == multiply(a, pack(b)).tobytes()
    room = np.full((m + 2, n + 9), np.nan, np.float32)
    multiply(a, b, out=room[1 : m + 1, 3 : n + 3])
    assert_product(kind, room[1 : m + 1, 3 : n + 3], *plainly)
    room[1 : m + 1, 3 : n + 3] = np.nan
    assert np.isnan(room).all()  # nothing was written beside it


X, W = np.ones((3, 4), np.float32), np.ones((4, 5), np.float32)
READ_ONLY = np.zeros((3, 5), np.float32)
READ_ONLY.flags.writeable = False
REFUSED = {
    "differ": lambda: native.matmul_bf16(X, W.T),
    "one axis": lambda: native.matmul_bf16(X, W[0]),
    "three axes": lambda: native.matmul_f32(X[None], W),
    "integers": lambda: native.matmul_f32(X.astype(int), W),
    "a list": lambda: native.matmul_f32([[1.0]], W),
    "complex": lambda: native.pack_bf16(W.astype(complex)),
    "of the other kind": lambda: native.matmul_f32(X, native.pack_bf16(W)),
    "packed, differ": lambda: native.matmul_f32(X, native.pack_f32(W.T)),
    "add to nothing": lambda: native.matmul_f32(X, W, add=True),
    "out: shape": lambda: native.matmul_f32(X, W, out=np.zeros((5, 3), np.float32)),
    "out: type": lambda: native.matmul_f32(X, W, out=np.zeros((3, 5))),
    "out: no array": lambda: native.matmul_f32(X, W, out=[0]),
    "out: read only": lambda: native.matmul_f32(X, W, out=READ_ONLY),
    "out: columns": lambda: native.matmul_f32(X, W, out=np.zeros((5, 3), np.float32).T),
    "out: backwards": lambda: native.matmul_f32(X, W, out=np.zeros((3, 5), np.float32)[::-1]),
    "out: one row": lambda: native.matmul_f32(
        X, W, out=np.lib.stride_tricks.as_strided(np.zeros(5, np.float32), (3, 5), (0, 4))
    ),
    "out: overlaps a": lambda: native.matmul_f32(X, np.ones((4, 4), np.float32), out=X),
    "changed": lambda: setattr(native.pack_f32(W), "shape", (400, 500)),
    "forged": lambda: native.matmul_f32(X, native.PackedMatrix("f32", (4, 500), np.zeros(8, np.float32))),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_does_not_fit_is_refused_in_one_line(what):
    with pytest.raises(ChronosError) as error:
        REFUSED[what]()
    assert "\n" not in str(error.value)
    assert (X == 1).all()


@needs_c
def test_what_the_kernels_can(engine):
    assert native.has_bf16() in ((True, False) if engine == "avx512" else (False,))


@pytest.mark.skipif(not native.available(), reason="plain NumPy was chosen")
def test_every_kernel_among_guard_pages():
    script = Path(__file__).resolve().parents[2] / "native" / "check_gemm.py"
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "WRONG" not in done.stdout and done.stdout.count("good") == 4 * len(native.info()["isas"])


def test_the_bench_compares_and_refuses(monkeypatch):
    from chronos.native import bench_gemm, bench_native

    monkeypatch.setattr(bench_gemm, "LARGE", ())
    monkeypatch.setattr(bench_gemm, "FEW", ((4, 32, 48),))
    monkeypatch.setattr(bench_native, "SECONDS", 0.001)
    result = bench_gemm.bench()
    name = "4x32x48, 1 thread"
    ours, numpy = result["ours"][name]["float32, packed"], result["peers"][name]["numpy float32"]
    assert result["ratios"][name]["float32, packed"] == {"numpy float32": round(ours / numpy, 2)}
    assert result["ratios"][name]["weights"] == {}  # its peers are not here
    with pytest.raises(ChronosError, match="unknown peer"):
        bench_gemm.bench("nobody")
