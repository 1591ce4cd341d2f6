"""Every fast kernel against its plain twin, which is the definition and runs here in float64.

Each case also says how far rounding may carry the fast twin, element by element, in units of EPS. A sum of n
terms is off by at most n roundings of the sum of their sizes, whatever the order in which it is added.
"""

import os
import subprocess
import sys

import numpy as np
import pytest

from chronos import native
from chronos.architecture import kernels
from chronos.architecture.kernels import fast, plain

needs_c = pytest.mark.skipif(not native.available(), reason="needs the C library")

EPS = float(np.finfo(np.float32).eps)
TINY = 1e-36  # where float32 has no normal numbers left, the fast exponential is 0 or infinity
SHAPES = [(1, 1), (1, 33), (37, 1), (5, 7), (19, 129)]  # odd, one row, one column, more than any vector
A, B = plain.GELU_A, plain.GELU_B


def numbers(rng, *shape, scale=1.0) -> np.ndarray:
    return (rng.standard_normal(shape) * scale).astype(np.float32)


def spread(rng, rows, columns, scale) -> np.ndarray:
    """Rows of different sizes, so that an error in a small one does not hide behind a large one."""
    return numbers(rng, rows, columns, scale=scale) * np.exp2(
        rng.integers(-3, 4, (rows, 1)), dtype=np.float32
    )


# ---- cases: (rng, rows, columns, scale) → (arguments, allowed error of each result in EPS) ----------------


def case_gelu(rng, R, D, scale):
    x = spread(rng, R, D, scale)
    return [x], [2 * np.abs(x)]  # tanh is right to about 2·EPS, absolutely; it is multiplied by x/2


def case_gelu_backward(rng, R, D, scale):
    dy, x = spread(rng, R, D, 1), spread(rng, R, D, scale)
    inside = np.minimum(np.abs(x), 6.0)  # beyond 6, tanh is ±1 and the slope exact
    return [dy, x], [np.abs(dy) * (4 + 8 * inside / 2 * A * (1 + 3 * B * inside**2))]


def case_relu2(rng, R, D, scale):
    x = spread(rng, R, D, scale)
    return [x], [plain.relu2(x)]


def case_relu2_backward(rng, R, D, scale):
    dy, x = spread(rng, R, D, 1), spread(rng, R, D, scale)
    return [dy, x], [np.abs(plain.relu2_backward(dy, x))]


def case_swiglu(rng, R, D, scale):
    x = spread(rng, R, 2 * D, scale)
    return [x], [4 * np.abs(plain.swiglu(x.astype(np.float64))) + vanished(x)]


def vanished(x) -> np.ndarray:
    """What σ(g) may lose where it is no normal float32 number, times g·u."""
    return TINY / EPS * np.abs(np.prod(np.split(x.astype(np.float64), 2, axis=-1), axis=0))


def case_swiglu_backward(rng, R, D, scale):
    dy, x = spread(rng, R, D, 1), spread(rng, R, 2 * D, scale)
    g, u = np.split(x.astype(np.float64), 2, axis=-1)
    s = 1 / (1 + np.exp(-g))
    inside = np.where(g > 20, 20, np.abs(g))  # 1 − σ(g) is off by EPS, and 0 in float32 beyond 20
    dg, du = np.abs(u) * s * (4 + 4 * inside), 4 * np.abs(g) * s
    return [dy, x], [np.tile(np.abs(dy), 2) * (np.concatenate([dg, du], -1) + np.tile(vanished(x), 2))]


def case_layer_norm(rng, R, D, scale):
    x, w, b = spread(rng, R, D, scale) + np.float32(scale), numbers(rng, D), numbers(rng, D)
    y, _, rstd = plain.layer_norm(*wide(x, w, b), 1e-5)
    size = np.abs(x).mean(-1)  # the mean is off by D roundings of it
    centre = D * size[:, None] + np.abs(x)
    from_mean = 2 * D * rstd * size  # what that does to the deviation, relatively
    dy = np.abs(w) * rstd[:, None] * centre + (D + 4 + from_mean[:, None]) * np.abs(y - b) + np.abs(y)
    return [x, w, b, 1e-5], [dy, D * size, (D + 4 + from_mean) * rstd]


def case_layer_norm_backward(rng, R, D, scale):
    dy, x, w = spread(rng, R, D, 1), spread(rng, R, D, scale), numbers(rng, D)
    _, mean, rstd = (a.astype(np.float32) for a in plain.layer_norm(*wide(x, w), None, 1e-5))
    h = (np.abs(x) + np.abs(mean)[:, None]) * rstd[:, None]  # x − μ cancels
    dh = np.abs(dy * w)
    means = dh.mean(-1, keepdims=True) + h * (dh * h).mean(-1, keepdims=True)
    dx = rstd[:, None] * (2 * dh + (D + 4) * means)
    return [dy, x, w, mean, rstd], [dx, (R + 4) * (np.abs(dy) * h).sum(0), R * np.abs(dy).sum(0)]


def case_rms_norm(rng, R, D, scale):
    x, w = spread(rng, R, D, scale), numbers(rng, D)
    y, rstd = plain.rms_norm(*wide(x, w), 1e-5)
    return [x, w, 1e-5], [(D / 2 + 4) * np.abs(y), (D / 2 + 4) * rstd]


def case_rms_norm_backward(rng, R, D, scale):
    dy, x, w = spread(rng, R, D, 1), spread(rng, R, D, scale), numbers(rng, D)
    rstd = plain.rms_norm(*wide(x, w), 1e-5)[1].astype(np.float32)
    h, dh = np.abs(x * rstd[:, None]), np.abs(dy * w)
    dx = rstd[:, None] * (2 * dh + (D + 4) * h * (dh * h).mean(-1, keepdims=True))
    return [dy, x, w, rstd], [dx, (R + 2) * (np.abs(dy) * h).sum(0)]


def case_qk_norm(rng, R, D, scale):
    x, w = numbers(rng, R, 5, D, scale=scale), numbers(rng, 3, D)
    y, rstd = plain.qk_norm(*wide(x, w), 1e-5)
    return [x, w, 1e-5], [(D / 2 + 4) * np.abs(y), (D / 2 + 4) * rstd]


def case_qk_norm_backward(rng, R, D, scale):
    dy, x, w = numbers(rng, R, 5, D), numbers(rng, R, 5, D, scale=scale), numbers(rng, 3, D)
    rstd = plain.qk_norm(*wide(x, w), 1e-5)[1].astype(np.float32)
    h, dh = np.abs(x[:, :3] * rstd[..., None]), np.abs(dy[:, :3] * w)
    dx = rstd[..., None] * (2 * dh + (D + 4) * h * (dh * h).mean(-1, keepdims=True))
    passed = np.zeros((R, 2, D))  # values are copied: no rounding at all
    return [dy, x, w, rstd], [np.concatenate([dx, passed], 1), (R + 2) * (np.abs(dy[:, :3]) * h).sum(0)]


def case_rotary(rng, R, D, scale):
    x = numbers(rng, R, 5, 2 * D, scale=scale)
    angles = rng.uniform(0, 2 * np.pi, (R, D))
    size = np.abs(x[..., :D]) + np.abs(x[..., D:])
    size[:, 3:] = 0
    return [x, np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32), 3], [np.tile(size, 2)]


def visible_of(rng, b, t, keys):
    return rng.integers(1, keys + 1, (b, t))


def case_softmax_visible(rng, R, D, scale):
    s = numbers(rng, 2, 3, R, D, scale=scale)
    visible = visible_of(rng, 2, R, D)
    p = s.astype(np.float64)
    lse = plain.softmax_visible(p, visible, 0.3)
    logits = np.abs(s).max(-1, keepdims=True) * 0.3  # an exponent is off by a rounding of the logit
    return [s, visible, 0.3], [D + 4 + 3 * logits[..., 0] + np.abs(lse), (D + 8 + 4 * logits) * p]


def case_softmax_again(rng, R, D, scale):
    s = numbers(rng, 2, 3, R, D, scale=scale)
    visible = visible_of(rng, 2, R, D)
    lse = plain.softmax_visible(s.astype(np.float64), visible, 0.3).astype(np.float32)
    p = s.astype(np.float64)
    plain.softmax_again(p, lse.astype(np.float64), visible, 0.3)
    return [s, lse, visible, 0.3], [(4 + 2 * (np.abs(s) * 0.3 + np.abs(lse)[..., None])) * p]


def case_softmax_backward(rng, R, D, scale):
    p, dp = rng.random((2, 3, R, D)).astype(np.float32), numbers(rng, 2, 3, R, D, scale=scale)
    delta = numbers(rng, 2, 3, R, scale=scale)
    return [p, dp, delta, 0.3], [2 * p * 0.3 * (np.abs(dp) + np.abs(delta)[..., None])]


def case_cross_entropy(rng, R, D, scale):
    logits, targets = numbers(rng, R, D, scale=scale), rng.integers(-1, D, R)
    z = logits.astype(np.float64)
    z -= z.max(-1, keepdims=True)
    p = np.exp(z) / np.exp(z).sum(-1, keepdims=True)
    valid = targets >= 0
    hit = np.zeros((R, D))
    hit[np.flatnonzero(valid), targets[valid]] = 1
    losses = valid * (D + 4 + np.abs((z * hit).sum(-1)) + np.log(np.exp(z).sum(-1)))
    return [logits, targets, 0.7], [losses, valid[:, None] * 0.7 * ((D + 8 + np.abs(z)) * p + hit)]


def case_embedding_backward(rng, R, D, scale):
    dy, ids, out = spread(rng, R, D, scale), rng.integers(0, 4, R), numbers(rng, 6, D)
    size = np.abs(out).astype(np.float64)
    np.add.at(size, ids, np.abs(dy))
    return [dy, ids, out], [(np.bincount(ids, minlength=6)[:, None]) * size]


def case_dropout(rng, R, D, scale):
    x = spread(rng, R, D, scale)
    return [x, 0.3, 2**40 + 17], [np.abs(x) * 2]


def case_adamw(rng, R, D, scale):
    w, g, m = spread(rng, R, D, 1), spread(rng, R, D, scale), spread(rng, R, D, scale)
    v = np.square(spread(rng, R, D, scale))
    lr, b1, b2, eps, decay, step, clip = 3e-3, 0.9, 0.999, 1e-8, 0.1, 3, 0.5
    g_, m_, v_ = 0.5 * np.abs(g), np.abs(m), v.astype(np.float64)
    m1, v1 = b1 * m_ + (1 - b1) * g_, b2 * v_ + (1 - b2) * g_ * g_
    update = lr * m1 / (1 - b1**step) / (np.sqrt(v1 / (1 - b2**step)) + eps)
    return [w, g, m, v, lr, b1, b2, eps, decay, step, clip], [2 * np.abs(w) + 8 * update, 2 * m1, 3 * v1]


CASES = {name[5:]: case for name, case in list(globals().items()) if name.startswith("case_")}
IN_PLACE = {  # arguments that a kernel changes; its results are what it returns, then these
    "softmax_visible": [0],
    "softmax_again": [0],
    "softmax_backward": [1],
    "cross_entropy": [0],
    "embedding_backward": [2],
    "adamw": [0, 2, 3],
}


def wide(*arguments):
    """Arguments with float32 arrays in float64."""
    floats = [isinstance(a, np.ndarray) and a.dtype == np.float32 for a in arguments]
    return [a.astype(np.float64) if is_float else a for a, is_float in zip(arguments, floats)]


def run(module, name: str, arguments: list) -> list[np.ndarray]:
    """All results of a kernel; only what it changes in place is copied first."""
    changed = IN_PLACE.get(name, [])
    arguments = [a.copy() if i in changed else a for i, a in enumerate(arguments)]
    returned = getattr(module, name)(*arguments)
    returned = returned if isinstance(returned, tuple) else (returned,)
    return [a for a in returned if a is not None] + [arguments[i] for i in changed]


# ---- fast against plain ------------------------------------------------------------------------------------

ISAS = native.info()["isas"]
HERE = [name for name in kernels.KERNELS if native.available() or name in fast.BY_NUMBA]


@pytest.fixture
def isa(request):
    """What is in C runs on this ISA."""
    if native.available():
        native.compiled.choose_isa(request.param)
    yield
    if native.available():
        native.compiled.choose_isa(None)


@pytest.mark.parametrize("isa", ISAS, indirect=True)
@pytest.mark.parametrize("name", HERE)
def test_fast_is_plain_to_rounding(name, isa):
    """A kernel without a case fails here by its name."""
    rng = np.random.default_rng(11)
    for shape in SHAPES:
        for scale in (1.0, 30.0):
            arguments, allowed = CASES[name](rng, *shape, scale)
            ours, truth = run(fast, name, arguments), run(plain, name, wide(*arguments))
            assert len(ours) == len(truth) == len(allowed)
            for i, (got, exact, units) in enumerate(zip(ours, truth, allowed)):
                assert got.dtype == np.float32 and got.shape == exact.shape
                room = EPS * units + TINY
                excess = np.max(np.abs(got - exact) / room, initial=0)
                where = f"{name}, result {i}, shape {shape}, scale {scale}"
                assert excess <= 1, f"{where}: {excess} × the error allowed"


def test_every_kernel_has_both_twins():
    assert set(CASES) == set(kernels.KERNELS)
    public = {name for name, it in vars(plain).items() if getattr(it, "__module__", "") == plain.__name__}
    helpers = {"visible_keys", "keep_mask", "_sigmoid"}
    assert public - helpers == set(kernels.KERNELS)


@pytest.mark.parametrize("name", HERE)
def test_what_is_read_is_not_changed(name):
    arguments, _ = CASES[name](np.random.default_rng(12), 6, 9, 1.0)
    before = [np.array(a) for a in arguments]
    run(fast, name, arguments)
    assert all(np.array_equal(a, b) for a, b in zip(before, arguments))


GAINS = {"qk_norm": [1], "qk_norm_backward": [2], "rotary": [1, 2]}  # parameters and tables lie in one piece


@pytest.mark.parametrize("name", HERE)
def test_strided_arguments_give_the_same(name):
    """Activations and gradients may be every other column of a wider array."""
    arguments, _ = CASES[name](np.random.default_rng(12), 6, 9, 1.0)
    strided = list(arguments)
    for i, a in enumerate(arguments):
        fixed = i in IN_PLACE.get(name, []) or i in GAINS.get(name, [])
        if np.ndim(a) > 1 and a.dtype == np.float32 and not fixed:
            strided[i] = np.repeat(a, 2, axis=-1)[..., ::2]
            assert not strided[i].flags.c_contiguous
    for got, want in zip(run(fast, name, strided), run(fast, name, arguments), strict=True):
        assert np.array_equal(got, want)


@needs_c
@pytest.mark.parametrize(
    ("name", "changed"), [("softmax_backward", 1), ("adamw", 0), ("adamw", 2), ("adamw", 3)]
)
def test_in_place_on_a_strided_array_is_refused(name, changed):
    """Its flat copy would take the result and be lost."""
    arguments, _ = CASES[name](np.random.default_rng(12), 6, 9, 1.0)
    arguments[changed] = np.repeat(arguments[changed], 2, axis=-1)[..., ::2]
    with pytest.raises(ValueError, match="contiguous"):
        getattr(fast, name)(*arguments)


@needs_c
def test_ignored_targets_have_no_loss_and_no_gradient():
    rng = np.random.default_rng(3)
    logits, targets = numbers(rng, 6, 5), np.array([-1, 2, -100, 4, -1, 0])
    logits[targets < 0] = np.nan  # whatever stands in a row that is left out
    for module in (fast, plain):
        losses, gradients = run(module, "cross_entropy", [logits, targets, 1.0])
        assert not losses[targets < 0].any() and not gradients[targets < 0].any()
        assert (losses[targets >= 0] > 0).all() and np.allclose(gradients.sum(-1), 0, atol=1e-6)


# ---- the choice of twins -----------------------------------------------------------------------------------


@needs_c
def test_float32_takes_the_fast_twin_and_float64_the_plain_one():
    x = numbers(np.random.default_rng(8), 64, 64)
    assert np.array_equal(kernels.gelu(x), fast.gelu(x))
    assert not np.array_equal(fast.gelu(x), plain.gelu(x))  # else the line above says nothing
    assert kernels.gelu(wide(x)[0]).dtype == np.float64
    assert np.array_equal(kernels.gelu(wide(x)[0]), plain.gelu(wide(x)[0]))


@pytest.mark.parametrize(
    ("wanted", "told"), [("plain", "True False"), ("quick", "CHRONOS_KERNELS must be fast or plain")]
)
def test_the_environment_chooses(wanted, told):
    """`plain` needs no Numba at all."""
    script = (
        "import sys; from chronos.architecture import kernels\n"
        "print(kernels.adamw is kernels.plain.adamw, 'numba' in sys.modules)"
    )
    env = os.environ | {"CHRONOS_KERNELS": wanted}
    done = subprocess.run([sys.executable, "-c", script], env=env, capture_output=True, text=True)
    assert told in done.stdout + done.stderr
