"""The fused kernels' face: nothing unfit enters C, functions are right to a few units, rows stand alone.

Each kernel against its plain twin is in test_kernels.py; all on every ISA, in buffers that end at a page
that must not be touched, is what check_fused.py does, which runs here.
"""

import subprocess
import sys

import numpy as np
import pytest

from chronos import native
from chronos.console import ChronosError
from chronos.training.lanes import Lanes

if not native.available():
    pytest.skip("needs the C library", allow_module_level=True)

from chronos.native import bench_fused, bench_native, check_fused, compiled, fused
from chronos.native.check_fused import cases

CALLS = {check_fused.named(case): case for case in cases(np.random.default_rng(0), 6, 8)}
ULP = {"exp": 1.25, "tanh": 2.5, "sigmoid": 2.5, "silu": 3}


@pytest.fixture(params=compiled.isas())
def isa(request):
    compiled.choose_isa(request.param)
    yield request.param
    compiled.choose_isa(None)


@pytest.fixture
def threads():
    before = native.info()["threads"]
    yield
    native.set_threads(before)


# ---- functions against float64 -----------------------------------------------------------------------------


def exact(name: str, x: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        sigmoid = 1 / (1 + np.exp(-x))
        inner = np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)
        return {
            "exp": lambda: np.exp(x),
            "tanh": lambda: np.tanh(x),
            "sigmoid": lambda: sigmoid,
            "silu": lambda: x * sigmoid,
            "gelu": lambda: x / (1 + np.exp(-2 * inner)),
        }[name]()


def points(least: float, most: float) -> np.ndarray:
    """Evenly spread, and as many near 0 in every binade."""
    rng = np.random.default_rng(1)
    small = rng.choice([-1, 1], 100_000) * np.exp2(rng.uniform(-40, 3, 100_000))
    return np.concatenate([np.linspace(least, most, 200_003), small]).astype(np.float32)


def applied(name: str, x: np.ndarray) -> np.ndarray:
    y = np.empty_like(x)
    fused.apply(name, x, y)
    return y


@pytest.mark.parametrize("name", ULP)
def test_functions_are_right_to_a_few_units_in_the_last_place(name, isa):
    x = points(-87, 88)
    truth = exact(name, x.astype(np.float64))
    ulp = np.spacing(np.abs(truth).astype(np.float32)).astype(np.float64)
    worst = np.abs(applied(name, x) - truth) / ulp
    assert worst.max() <= ULP[name], x[worst.argmax()]


def test_gelu_is_right_beside_its_argument(isa):
    x = points(-30, 30)
    assert (np.abs(applied("gelu", x) - exact("gelu", x.astype(np.float64))) <= 2.0**-22 * np.abs(x)).all()


@pytest.mark.parametrize("name", fused.MAPS)
def test_functions_at_their_ends(name, isa):
    x = np.array([np.inf, 1e38, 100, -100, -1e38, np.nan, 0, -0.0], np.float32)
    expected = {
        "exp": [np.inf, np.inf, np.inf, 0, 0, np.nan, 1, 1],
        "tanh": [1, 1, 1, -1, -1, np.nan, 0, 0],
        "sigmoid": [1, 1, 1, 0, 0, np.nan, 0.5, 0.5],
        "silu": [np.inf, 1e38, 100, 0, 0, np.nan, 0, 0],
        "gelu": [np.inf, 1e38, 100, 0, 0, np.nan, 0, 0],
    }[name]
    assert np.allclose(applied(name, x), expected, rtol=1e-6, atol=1e-36, equal_nan=True)


@pytest.mark.parametrize("name", fused.MAPS)
def test_an_element_alone_is_as_in_a_vector(name, isa):
    x = points(-9, 9)[:203]
    alone = np.concatenate([applied(name, x[i : i + 1]) for i in range(len(x))])
    assert applied(name, x).tobytes() == alone.tobytes()


# ---- rows and threads --------------------------------------------------------------------------------------


def test_kernels_on_every_isa_and_number_of_threads():
    """Against the portable ones, behind guard pages; the script says WRONG otherwise, or dies."""
    script = check_fused.__file__
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("good") == len(CALLS) * len(compiled.isas())


def test_rows_stand_alone(isa):
    """A row's result does not know its neighbours: batches may be cut anywhere."""
    rng = np.random.default_rng(2)
    x, gain = rng.standard_normal((70, 37), np.float32), rng.standard_normal(37, np.float32)
    y, rstd = np.empty_like(x), np.empty(70, np.float32)
    fused.rms_norm(x, gain, 1e-5, y, rstd)
    for r in (0, 33, 69):
        row, one = np.empty((1, 37), np.float32), np.empty(1, np.float32)
        fused.rms_norm(x[r : r + 1], gain, 1e-5, row, one)
        assert row.tobytes() == y[r].tobytes() and one[0] == rstd[r]


def test_a_large_result_past_the_caches_is_the_same(isa):
    """Rotary streams what is larger than the caches; half of it is not."""
    rng = np.random.default_rng(4)
    x, (cos, sin) = rng.standard_normal((22_000, 3, 64), np.float32), rng.random((2, 22_000, 32), np.float32)
    room = np.zeros(x.nbytes + 64, np.uint8)
    y = room[-room.ctypes.data % 64 :][: x.nbytes].view(np.float32).reshape(x.shape)  # on a cache line
    fused.rotary(x, cos, sin, 2, y)
    for half in (slice(0, 11_000), slice(11_000, 22_000)):
        part = np.empty_like(x[half])
        fused.rotary(x[half], cos[half], sin[half], 2, part)
        assert np.array_equal(part, y[half])


def test_gradients_of_gains_do_not_depend_on_threads(isa, threads):
    """With more rows than partial sums."""
    rng = np.random.default_rng(3)
    dy, x = (rng.standard_normal((5001, 24), np.float32) for _ in range(2))
    gain, mean, rstd = np.ones(24, np.float32), np.zeros(5001, np.float32), np.ones(5001, np.float32)
    found = set()
    for count in (1, 2, 5):
        native.set_threads(count)
        dx, dgain, dshift = np.empty_like(x), np.empty_like(gain), np.empty_like(gain)
        fused.layer_norm_backward(dy, x, gain, mean, rstd, dx, dgain, dshift)
        found.add(dx.tobytes() + dgain.tobytes() + dshift.tobytes())
    assert len(found) == 1
    assert np.allclose(dgain, (dy * x).sum(0), atol=2e-2) and np.allclose(dshift, dy.sum(0), atol=1e-2)


def test_lanes_run_native_on_one_thread_each(threads):
    """Several lanes fill the cores already."""
    native.set_threads(3)
    with Lanes(1):
        assert native.info()["threads"] == 3
    with Lanes(2):
        assert native.info()["threads"] == 1
    assert native.info()["threads"] == 3


def test_bench_measures_every_case(monkeypatch, threads):
    small = {"rotary": lambda: bench_fused.rotary(5, 3, 2), "norm": lambda: bench_fused.layer_norm(7, 8)}
    small |= {"rms": lambda: bench_fused.rms_norm(7, 8), "loss": lambda: bench_fused.cross_entropy(3, 9)}
    small |= {"gate": lambda: bench_fused.swiglu(3, 9), "gelu": lambda: bench_fused.gelu(3, 9)}
    small |= {"adamw": lambda: bench_fused.adamw(99), "limit": lambda: bench_fused.increment(99)}
    small |= {"copy": lambda: bench_fused.rotary(5, 3, 0)}
    assert len(small) == len(bench_fused.CASES)
    monkeypatch.setattr(bench_fused, "CASES", small)
    monkeypatch.setattr(bench_native, "SECONDS", 0.001)
    found = bench_fused.bench(None, 2)
    assert list(found) == list(small) and all(row["ms"] > 0 and "ratio" not in row for row in found.values())


def test_nothing_visible_is_no_probability():
    s, lse = np.ones((1, 1, 2, 3), np.float32), np.empty((1, 1, 2), np.float32)
    fused.softmax(s, np.array([[0, 3]]), 1.0, lse)
    assert s[0, 0].tolist() == [[0, 0, 0], [np.float32(1 / 3)] * 3] and lse[0, 0, 0] == -np.inf


# ---- what is refused ---------------------------------------------------------------------------------------


def spoiled(a: np.ndarray, is_result: bool) -> list:
    """Arrays like `a` that C must not get."""
    wider = np.zeros((*a.shape[:-1], 2 * a.shape[-1]), a.dtype)
    raw = np.zeros(a.nbytes + 1, np.uint8)
    other = np.float64 if a.dtype == np.float32 else np.int32
    unfit = [None, a.tolist(), a.astype(other), a.astype(a.dtype.newbyteorder()), a[..., :-1].copy(), a[:-1]]
    unfit += [
        wider[..., ::2],
        np.zeros((1, *a.shape), a.dtype),
        raw[1:].view(a.dtype).reshape(a.shape),
        a[::-1],
    ]
    if a.ndim > 1:
        unfit.append(np.asfortranarray(a))
    if is_result:
        locked = a.copy()
        locked.flags.writeable = False
        unfit.append(locked)
    return unfit


@pytest.mark.parametrize("name", CALLS)
def test_unfit_arrays_are_refused_and_nothing_is_written(name):
    function, arguments, results = CALLS[name]
    for i, a in enumerate(arguments):
        if not isinstance(a, np.ndarray):
            continue
        for unfit in spoiled(a, i in results):
            if (function, i, unfit is None) == ("layer_norm", 2, True):
                continue  # a norm may have no shift
            if (function, i) == ("cross_entropy", 0) and np.shape(unfit) == (6, 7):
                continue  # a smaller vocabulary
            now = [x.copy() if isinstance(x, np.ndarray) else x for x in arguments]
            now[i] = unfit
            with pytest.raises(ChronosError) as refused:
                getattr(fused, function)(*now)
            assert "\n" not in str(refused.value)
            for j, x in enumerate(now):
                if j != i and isinstance(x, np.ndarray):
                    assert x.tobytes() == arguments[j].tobytes(), (i, j)


def test_wrong_indices_are_refused_and_nothing_is_written():
    logits, losses = np.ones((2, 5), np.float32), np.zeros(2, np.float32)
    s, lse = np.ones((1, 1, 2, 5), np.float32), np.zeros((1, 1, 2), np.float32)
    with pytest.raises(ChronosError, match="out of range"):
        fused.cross_entropy(logits, np.array([4, 5]), 1.0, losses)
    for visible in ([[5, 6]], [[-1, 5]], [[2**62, 5]]):
        with pytest.raises(ChronosError, match="out of range"):
            fused.softmax(s, np.array(visible), 1.0, lse)
        with pytest.raises(ChronosError, match="out of range"):
            fused.softmax_again(s, lse, np.array(visible), 1.0)
    assert (logits == 1).all() and (s == 1).all() and not losses.any()


def test_wrong_numbers_are_refused():
    x, table, y = np.ones((2, 3, 4), np.float32), np.ones((2, 2), np.float32), np.ones((2, 3, 4), np.float32)
    for heads in (-1, 4):
        with pytest.raises(ChronosError, match="heads cannot turn"):
            fused.rotary(x, table, table, heads, y)
    with pytest.raises(ChronosError, match="gain does not fit"):
        fused.rms_norm(x, np.ones((4, 4), np.float32), 1e-5, y, np.ones((2, 4), np.float32))
    with pytest.raises(ChronosError, match="no such function"):
        fused.apply("cosh", x, y)
    with pytest.raises(ChronosError, match="count from 1"):
        fused.adamw(x, x, y, y, 1e-3, 0.9, 0.99, 1e-8, 0.0, 0, 1.0)
