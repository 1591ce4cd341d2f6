"""Fast kernels at the edges: the exponential, NaN, infinity, huge numbers, and dropout's masks to the bit."""

import numpy as np
import pytest

from chronos import native
from chronos.architecture.kernels import fast, plain, scalars

pytestmark = pytest.mark.skipif(not native.available(), reason="needs the C library")

EPS = float(np.finfo(np.float32).eps)
TINY = 1e-36  # where float32 has no normal numbers left, the fast exponential is 0 or infinity


def numbers(rng, *shape) -> np.ndarray:
    return rng.standard_normal(shape).astype(np.float32)


# ---- the exponential ---------------------------------------------------------------------------------------


def fast_exp(x: np.ndarray) -> np.ndarray:
    """The exponential inside the fast kernels, as the vectorized loop of `softmax_again` runs it."""
    s = x.astype(np.float32).reshape(1, 1, 1, -1)
    fast.softmax_again(s, np.zeros((1, 1, 1), np.float32), np.array([[s.size]]), 1.0)
    return s.reshape(-1)


def test_exp_is_right_to_two_units_in_the_last_place():
    x = np.concatenate([np.linspace(-87, 88, 400_001), np.random.default_rng(0).uniform(-1, 1, 100_001)])
    x = x.astype(np.float32)
    exact = np.exp(x.astype(np.float64))
    ulp = np.spacing(exact.astype(np.float32)).astype(np.float64)
    assert np.max(np.abs(fast_exp(x) - exact) / ulp) <= 2
    assert max(abs(scalars.exp(v) - e) / np.spacing(np.float32(e)) for v, e in zip(x[::99], exact[::99])) <= 2


def test_exp_at_its_ends():
    x = np.array([0, -100, -np.inf, 100, np.inf, -1e38, 1e38, np.nan, -0.0], np.float32)
    expected = [1, 0, 0, np.inf, np.inf, 0, np.inf, np.nan, 1]
    assert np.array_equal(fast_exp(x), expected, equal_nan=True)


# ---- NaN, infinity, large numbers --------------------------------------------------------------------------


@pytest.mark.parametrize("position", range(19))
def test_nan_comes_out_where_it_went_in(position):
    """At every place of a vector and of its remainder: NaN tells that training went wrong."""
    rng = np.random.default_rng(4)
    x, dy = numbers(rng, 2, 19), numbers(rng, 2, 19)
    x[0, position] = np.nan
    here = np.isnan(x)
    pair = np.concatenate([x, dy], axis=1)
    assert np.array_equal(np.isnan(fast.gelu(x)), here)
    assert np.array_equal(np.isnan(fast.relu2(x)), here)
    assert np.array_equal(np.isnan(fast.relu2_backward(dy, x)), here)
    assert np.array_equal(np.isnan(fast.gelu_backward(dy, x)), here)
    assert np.array_equal(np.isnan(fast.swiglu(pair)), here)
    assert np.array_equal(np.isnan(fast.swiglu_backward(dy, pair)), np.concatenate([here, here], axis=1))
    for name in ("rms_norm", "layer_norm"):
        w = np.ones(19, np.float32)
        rest = (w, None, 1e-5) if name == "layer_norm" else (w, 1e-5)
        assert np.isnan(getattr(fast, name)(x, *rest)[0]).tolist() == [[True] * 19, [False] * 19]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("position", range(19))
def test_a_row_with_nan_or_infinity_has_no_softmax(position, bad):
    rng = np.random.default_rng(5)
    x = numbers(rng, 2, 19)
    x[0, position] = bad
    s = x.reshape(1, 1, 2, 19).copy()
    lse = fast.softmax_visible(s, np.full((1, 2), 19), 1.0)
    assert np.isnan(s[0, 0, 0]).all() and np.isnan(lse[0, 0, 0]) and np.isfinite(s[0, 0, 1]).all()
    logits = x.copy()
    losses = fast.cross_entropy(logits, np.array([3, 3]), 1.0)
    assert np.isnan(losses[0]) and np.isnan(logits[0]).any() and np.isfinite(losses[1])


def test_a_hidden_nan_is_not_seen():
    """Keys beyond the visible ones hold whatever memory held."""
    s = numbers(np.random.default_rng(6), 1, 1, 1, 9)
    s[..., 4:] = np.nan
    p = s.copy()
    lse = fast.softmax_visible(p, np.array([[4]]), 1.0)
    assert np.isclose(p[..., :4].sum(), 1) and not p[..., 4:].any()
    fast.softmax_again(s, lse, np.array([[4]]), 1.0)
    assert np.allclose(s, p, rtol=1e-6)


EXTREMES = np.array([np.inf, -np.inf, 100, -100, 1e4, -1e4, 88.5, -88.5, 0, -0.0], np.float32)


@pytest.mark.parametrize("name", ["gelu", "relu2", "swiglu"])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_extreme_inputs_give_what_plain_gives(name):
    """Infinities and NaN in the same places (−∞ · 0 is NaN in both), and the same numbers."""
    x = np.stack([EXTREMES, np.ones_like(EXTREMES)], -1) if name == "swiglu" else EXTREMES[:, None]
    dy = np.ones((len(x), 1), np.float32)
    for kernel, arguments in ((name, [x]), (f"{name}_backward", [dy, x])):
        wide = [a.astype(np.float64) for a in arguments]
        got, want = getattr(fast, kernel)(*arguments), getattr(plain, kernel)(*wide)
        assert np.allclose(got, want, rtol=4 * EPS, atol=TINY, equal_nan=True), kernel


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_softmax_of_extreme_scores():
    rows = np.array(
        [[1e4, 0, -1e4], [-np.inf, 0, 0], [3e38, 3e38, -3e38], [-1e5, -1e5 - 8, -2e5]], np.float32
    )
    for module in (fast, plain):
        s = rows.reshape(1, 1, 4, 3).copy()
        lse = module.softmax_visible(s, np.full((1, 4), 3), 1.0)[0, 0]
        half = 1 / (1 + np.exp(-8))
        expected = [[1, 0, 0], [0, 0.5, 0.5], [0.5, 0.5, 0], [half, 1 - half, 0]]
        assert np.allclose(s[0, 0], expected, rtol=2e-6, atol=1e-30)
        assert np.allclose(lse, [1e4, np.log(2), 3e38, -1e5], rtol=1e-6)
        losses = module.cross_entropy(rows.copy(), np.array([2, 0, 0, 2]), 1.0)
        assert np.allclose(losses, [2e4, np.inf, np.log(2), 1e5], rtol=1e-6)


# ---- dropout -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", [0, 1, 17, 2**32, 2**64 - 1, 0x9E3779B97F4A7C15])
@pytest.mark.parametrize("rate", [0.0, 0.1, 0.5, 0.999])
def test_dropout_is_plain_bit_for_bit(key, rate):
    x = numbers(np.random.default_rng(7), 101, 37)
    got = fast.dropout(x, rate, key)
    assert np.array_equal(got, plain.dropout(x, rate, key))
    assert np.array_equal(got != 0, plain.keep_mask(x.size, rate, key).reshape(x.shape).astype(bool))


def test_dropout_keeps_its_share_without_pattern():
    """Within five standard deviations of a binomial; neighbours, rows and keys are independent."""
    n = 400_000
    for rate in (0.1, 0.5, 0.9):
        masks = [plain.keep_mask(n, rate, key).astype(float) for key in (5, 5 + 0x9E3779B97F4A7C15)]
        sigma = np.sqrt(rate * (1 - rate) / n)
        for mask in masks:
            assert abs(mask.mean() - (1 - rate)) < 5 * sigma
        pairs = [(masks[0], masks[1]), *((masks[0][:-lag], masks[0][lag:]) for lag in (1, 2, 64, 384))]
        for a, b in pairs:
            assert abs(np.corrcoef(a, b)[0, 1]) < 5 / np.sqrt(len(a))
