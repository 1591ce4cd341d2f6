"""A plan's steps are NumPy's, and what does not fit is refused before C sees it."""

import numpy as np
import pytest

from chronos import native
from chronos.console import ChronosError
from chronos.native import Plan
from chronos.native.check_steps import ALLOWED, AT, plans

if not native.available():
    pytest.skip("needs the C kernels", allow_module_level=True)
from chronos.native import compiled


@pytest.fixture(params=compiled.isas(), scope="module", autouse=True)
def isa(request):
    compiled.choose_isa(request.param)
    yield request.param
    compiled.choose_isa(None)


def test_each_kernel_is_numpys():
    names = set()
    for name, plan, found, expected in plans(np.random.default_rng(1), np.copy):
        plan.run(2, AT)
        assert np.abs(found - expected).max() <= ALLOWED * np.abs(expected).max(), name
        names.add(name)
    assert len(names) == 18


def test_threads_change_no_bit_of_a_product_or_of_attention():
    rng, found = np.random.default_rng(0), []
    w, x, y = (rng.standard_normal(s).astype(np.float32) for s in ((1003, 517), 517, 1003))
    q, read = (rng.standard_normal((6, 64)).astype(np.float32) for _ in range(2))
    keys, values = (rng.standard_normal((300, 128)).astype(np.float32) for _ in range(2))
    plan = Plan()
    plan.linear(w, x, y)
    plan.attend(q, keys, values, read, 0.125)
    before = native.info()["threads"]
    for threads in (1, 2, 3, 7):
        native.set_threads(threads)
        plan.run(0, 299)
        found.append(y.tobytes() + read.tobytes())
    native.set_threads(before)
    assert len(set(found)) == 1
    assert np.abs(y - w.astype(np.float64) @ x).max() < 1e-3


def test_picks_are_used_once_there_are_more_places():
    rng = np.random.default_rng(0)
    q, y = np.ones((1, 4), np.float32), np.zeros((1, 4), np.float32)
    keys, values = np.zeros((9, 4), np.float32), rng.standard_normal((9, 4)).astype(np.float32)
    (plan := Plan()).attend(q, keys, values, y, 1.0, np.array([1, 3], np.int32))
    plan.run(0, 1)
    assert np.allclose(y, values[:2].mean(0))
    plan.run(0, 2)
    assert np.allclose(y, values[[1, 3]].mean(0))


X, Y, W = np.zeros(8, np.float32), np.zeros(6, np.float32), np.zeros((6, 8), np.float32)
HEADS, CACHE = np.zeros((4, 6), np.float32), np.zeros((5, 12), np.float32)
READ_ONLY = np.zeros(6, np.float32)
READ_ONLY.flags.writeable = False


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [
        ("embed", (W, None, Y)),
        ("embed", (W, np.zeros((3, 6), np.float32), X)),
        ("embed", (W, np.zeros(8, np.float32), X)),
        ("rms_norm", (X, Y, 1e-5, X)),
        ("rms_norm", (HEADS, np.zeros((3, 6), np.float32), 1e-5, HEADS)),
        ("rms_norm", (X, X, 1e-5, Y)),
        ("layer_norm", (X, X, Y, 1e-5, X)),
        ("layer_norm", (X, X, None, 1e-5, Y)),
        ("linear", (W.T, X, Y)),
        ("linear", (W.astype(np.float64), X, Y)),
        ("linear", (np.asfortranarray(W), X, Y)),
        ("linear", (W, X[::2], Y)),
        ("linear", (W, X, Y, X)),
        ("linear", (W.tolist(), X, Y)),
        ("linear", (W, X, READ_ONLY)),
        ("turns", (np.zeros(8, np.float32), X, X)),
        ("turns", (np.zeros(6), X, X)),
        ("rotary", (HEADS, np.zeros(2, np.float32), np.zeros(2, np.float32))),
        ("rotary", (np.zeros((2, 5), np.float32), np.zeros(2, np.float32), np.zeros(2, np.float32))),
        ("store", (X, CACHE)),
        ("attend", (HEADS, CACHE[:, :10], CACHE, HEADS, 1.0)),
        ("attend", (HEADS, np.zeros((5, 10), np.float32), np.zeros((5, 10), np.float32), HEADS, 1.0)),
        ("attend", (HEADS, np.zeros((5, 18), np.float32), np.zeros((5, 18), np.float32), HEADS, 1.0)),
        ("attend", (HEADS, CACHE, CACHE[:4], HEADS, 1.0)),
        ("attend", (HEADS, CACHE, CACHE, HEADS[:3], 1.0)),
        ("attend", (HEADS, CACHE, CACHE, HEADS, 1.0, np.zeros(2, np.int64))),
        ("activation", ("swiglu", X, X)),
        ("activation", ("tanh", X, X)),
        ("conv", (X, np.zeros((1, 8), np.float32), np.zeros((0, 8), np.float32), X)),
        ("conv", (X, np.zeros((4, 8), np.float32), np.zeros((2, 8), np.float32), X)),
        ("decay", (HEADS, Y, HEADS, HEADS)),
        ("delta", (X, HEADS, HEADS[:, 0], 1.0, np.zeros((4, 6, 6), np.float32), HEADS)),
        ("gated", (HEADS, HEADS, X, 1e-5, HEADS)),
        ("pick", (HEADS, CACHE, HEADS[:, 0], 1.0, np.zeros(2, np.int32))),
        ("pick", (HEADS, np.zeros((9, 6), np.float32), Y[:4], 1.0, np.zeros(2, np.float32))),
    ],
)
def test_what_does_not_fit_is_refused(kind, arguments):
    with pytest.raises(ChronosError) as error:
        getattr(Plan(), kind)(*arguments)
    assert "\n" not in str(error.value)


def test_a_quantized_matrix_of_another_shape_is_refused():
    packed = native.quantize(np.zeros((4, 32), np.float32), "Q8_0")
    with pytest.raises(ChronosError, match="do not fit"):
        Plan().linear(packed, np.zeros(64, np.float32), np.zeros(4, np.float32))
    with pytest.raises(ChronosError, match="do not fit"):
        Plan().embed(packed, None, np.zeros(64, np.float32))


def test_places_and_tokens_beyond_the_arrays_are_refused():
    plan = Plan()
    plan.embed(W, np.zeros((7, 8), np.float32), X)
    plan.store(X, np.zeros((5, 8), np.float32))
    plan.run(5, 4)
    for token, at in ((6, 0), (-1, 0), (0, 5), (0, -1)):
        with pytest.raises(ChronosError, match="out of range"):
            plan.run(token, at)
