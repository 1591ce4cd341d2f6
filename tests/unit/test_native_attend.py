"""Attention in C against the same sums in float64, head by head, with what is rounded rounded there too.

Arrays end at a page that must not be touched. A head's bits must not depend on threads or on other rows; what
does not fit is refused in one line.
"""

import numpy as np
import pytest

from chronos import native
from chronos.console import ChronosError

if not native.available():
    pytest.skip("needs the C library", allow_module_level=True)

from chronos.native import compiled
from chronos.native.attend import KINDS, attend, attend_backward
from chronos.native.check_kernels import guarded
from chronos.native.gemm_plain import bf16

CASES = {  # B, T, H, G, K, causal
    "one token": (2, 1, 1, 1, 1, True),
    "some blocks, odd": (2, 61, 2, 1, 7, True),
    "shared keys": (1, 45, 6, 2, 33, True),
    "every key": (2, 30, 2, 2, 16, False),
    "as in training": (1, 100, 2, 2, 64, True),
}
SCALE = 0.3


@pytest.fixture(params=compiled.isas())
def isa(request):
    compiled.choose_isa(request.param)
    yield request.param
    compiled.choose_isa(None)


def problem(B: int, T: int, H: int, G: int, K: int, causal: bool, seed: int = 0) -> list[np.ndarray]:
    """x, visible and the gradient of o; the last row of the batch has fewer keys, its first query none."""
    rng = np.random.default_rng(seed)
    visible = np.tile(np.arange(T) + 1 if causal else T, (B, 1)).astype(np.int64).reshape(B, -1)
    visible = np.broadcast_to(visible, (B, T)).copy()
    if B > 1:
        visible[-1] = np.minimum(visible[-1], max(1, 2 * T // 3))
        visible[-1, 0] = 0
    x, grad = rng.standard_normal((B, T, (H + 2 * G) * K), np.float32), rng.standard_normal((B, T, H * K))
    return [guarded(a) for a in (x, visible, grad.astype(np.float32))]


def run(x: np.ndarray, visible: np.ndarray, grad: np.ndarray, H: int, G: int, kind: str) -> list[np.ndarray]:
    """o, lse and dx."""
    B, T, width = grad.shape
    shapes = (B, T, width), (B, H, T), x.shape
    o, lse, dx = (guarded(np.full(shape, np.nan, np.float32)) for shape in shapes)
    attend(x, visible, H, G, SCALE, o, lse, kind)
    attend_backward(grad, x, lse, visible, H, G, SCALE, dx, kind)
    return [o, lse, dx]


def expected(x, visible, grad, H: int, G: int, kind: str) -> list[np.ndarray]:
    """The same in float64; what enters a product is rounded to bf16 where kind says so."""

    def r(a: np.ndarray) -> np.ndarray:
        return bf16(a.astype(np.float32)).astype(float) if kind == "bf16" else a.astype(float)

    B, T, K = *grad.shape[:2], grad.shape[2] // H
    o, lse, dx = np.zeros(grad.shape), np.zeros((B, H, T)), np.zeros(x.shape)
    for b in range(B):
        hidden = np.arange(T) >= visible[b, :, None]
        for h in range(H):
            at = [slice(n * K, (n + 1) * K) for n in (h, H + h * G // H, H + G + h * G // H)]
            q, k, v, do = (r(a) for a in (*(x[b, :, one] for one in at), grad[b, :, at[0]]))
            z = np.where(hidden, -np.inf, q @ k.T * SCALE)
            with np.errstate(divide="ignore"):
                lse[b, h] = np.log(np.exp(z).sum(1))
            p = np.where(hidden, 0, np.exp(z - np.where(np.isinf(lse[b, h]), 0, lse[b, h])[:, None]))
            o[b, :, at[0]] = r(p) @ v
            dp = do @ v.T
            ds = p * (dp - (p * dp).sum(1, keepdims=True)) * SCALE
            dx[b, :, at[0]] = r(ds) @ k
            dx[b, :, at[1]] += r(ds).T @ q
            dx[b, :, at[2]] += r(p).T @ do
    return [o, lse, dx]


@pytest.mark.parametrize("case", CASES)
def test_it_is_what_the_formulas_say(isa, case):
    H, G = CASES[case][2:4]
    arrays = problem(*CASES[case])
    for kind in KINDS:
        right, exact = (expected(*arrays, H, G, one) for one in (kind, "f32"))
        for found, one, plain in zip(run(*arrays, H, G, kind), right, exact):
            seen = np.isfinite(one)
            assert np.array_equal(np.isfinite(found), seen)
            found, one, plain = found[seen], one[seen], plain[seen]
            if kind == "f32":
                assert np.abs(found - one).max() < 1e-5 * max(1, np.abs(one).max())
            else:  # a sum in float32 may round to the neighbour, a few of many
                assert np.abs(found - one).mean() < 0.05 * np.abs(plain - one).mean() + 1e-6


def test_no_bit_depends_on_threads_or_on_other_rows(isa):
    before = native.info()["threads"]
    x, visible, grad = problem(4, 70, 4, 2, 24, True)
    try:
        for kind in KINDS:
            whole = run(x, visible, grad, 4, 2, kind)
            for threads in (1, 2, 5):
                native.set_threads(threads)
                again = run(x, visible, grad, 4, 2, kind)
                assert all(a.tobytes() == b.tobytes() for a, b in zip(whole, again))
            alone = run(*(np.ascontiguousarray(a[2:3]) for a in (x, visible, grad)), 4, 2, kind)
            assert all(np.array_equal(a[2:3], b) for a, b in zip(whole, alone))
    finally:
        native.set_threads(before)


def test_nothing_is_done_with_nothing():
    for shape in ((0, 5), (3, 0)):
        x, grad = np.zeros((*shape, 16), np.float32), np.zeros((*shape, 8), np.float32)
        assert all(not a.size for a in run(x, np.zeros(shape, np.int64), grad, 2, 1, "bf16"))


X, SEEN, GRAD = problem(2, 9, 4, 2, 3, True)
O, LSE, DX = np.empty((2, 9, 12), np.float32), np.empty((2, 4, 9), np.float32), np.empty_like(X)
LOCKED = np.empty_like(O)
LOCKED.flags.writeable = False
WRONG = {
    "another kind": lambda: attend(X, SEEN, 4, 2, SCALE, O, LSE, "f16"),
    "no heads": lambda: attend(X, SEEN, 0, 2, SCALE, O, LSE),
    "heads that cannot share": lambda: attend(X, SEEN, 4, 3, SCALE, O, LSE),
    "a width of other heads": lambda: attend(X, SEEN, 5, 1, SCALE, O, LSE),
    "heads of no width": lambda: attend(X[..., :0].copy(), SEEN, 4, 2, SCALE, O[..., :0].copy(), LSE),
    "two axes": lambda: attend(X[0], SEEN, 4, 2, SCALE, O, LSE),
    "no array": lambda: attend([1.0], SEEN, 4, 2, SCALE, O, LSE),
    "float64": lambda: attend(X.astype(float), SEEN, 4, 2, SCALE, O, LSE),
    "strided": lambda: attend(X[:, ::-1], SEEN, 4, 2, SCALE, O, LSE),
    "int32": lambda: attend(X, SEEN.astype(np.int32), 4, 2, SCALE, O, LSE),
    "too many keys": lambda: attend(X, SEEN + 1, 4, 2, SCALE, O, LSE),
    "fewer than none": lambda: attend_backward(GRAD, X, LSE, -SEEN, 4, 2, SCALE, DX),
    "o too small": lambda: attend(X, SEEN, 4, 2, SCALE, O[:, :8], LSE),
    "o not to be written": lambda: attend(X, SEEN, 4, 2, SCALE, LOCKED, LSE),
    "lse of other heads": lambda: attend(X, SEEN, 4, 2, SCALE, O, LSE[:, :2].copy()),
    "lse of other heads, back": lambda: attend_backward(GRAD, X, LSE[:1], SEEN, 4, 2, SCALE, DX),
    "grad like x": lambda: attend_backward(X, X, LSE, SEEN, 4, 2, SCALE, DX),
    "dx like grad": lambda: attend_backward(GRAD, X, LSE, SEEN, 4, 2, SCALE, O),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_does_not_fit_is_refused(case):
    with pytest.raises(ChronosError) as refused:
        WRONG[case]()
    assert "\n" not in str(refused.value)
