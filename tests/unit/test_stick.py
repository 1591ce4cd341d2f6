"""The stick-breaking read and the learned as-of: their definitions, event by event, and both twins."""

import inspect

import numpy as np
import pytest

from chronos.architecture import kernels, ops
from chronos.architecture.kernels import stick_fast, stick_plain
from chronos.architecture.ops.stick import token_shares
from chronos.architecture.tape import Tensor, apply, backward
from chronos.console import ChronosError


def read(*arrays, **settings) -> np.ndarray:
    return apply(ops.StickRead, *(None if a is None else Tensor(a) for a in arrays), **settings).data


def one_read(q, k, s, b, ok, g, first, cut, repeat) -> list[float]:
    """The definition for one question, newest event first: a stick, and pieces broken off it."""
    n, cosine = len(k), k @ q / np.linalg.norm(q) / np.linalg.norm(k, axis=1)
    shares, stick = [0.0] * (n + 1), 1.0
    for i in range(n - 1, -1, -1):
        clock = 1 - g + g * sum(first[i + 1 : n])
        beta = ok[i] * clock * (i < cut) / (1 + np.exp(-(s * cosine[i] + b)))
        shares[i] = beta * stick
        stick *= (1 - beta) ** repeat
    return [*shares[:n], stick]


def setting(rng, B=2, Q=3, N=7, K=4, kind=np.float64):
    """q, k, s, b, ok, g, first for B lives, and cuts."""
    arrays = [rng.standard_normal((B, Q, K)), rng.standard_normal((B, N, K)), np.array(3.0)]
    arrays += [rng.standard_normal(Q), rng.uniform(0, 1, (B, Q, N)), rng.uniform(0, 1, (B, Q))]
    arrays += [rng.dirichlet(np.ones(N + 1), (B, Q))]
    return [a.astype(kind) for a in arrays], rng.integers(0, N + 1, (B, Q))


@pytest.mark.parametrize("repeat", [1.0, 3.5])
def test_the_read_is_its_definition(repeat):
    (q, k, s, b, ok, g, first), cut = setting(np.random.default_rng(1))
    found = read(q, k, s, b, ok, g, first, cut=cut, repeat=repeat)
    logs = read(q, k, s, b, ok, g, first, cut=cut, repeat=repeat, log=True)
    for i, j in np.ndindex(2, 3):
        expected = one_read(q[i, j], k[i], s, b[j], ok[i, j], g[i, j], first[i, j], cut[i, j], repeat)
        assert np.allclose(found[i, j], expected, rtol=1e-10, atol=0)
        assert np.allclose(np.exp(logs[i, j]), expected, rtol=1e-10, atol=0)


def test_a_whole_stick_is_given_out():
    """Shares and null sum to 1; with later events repeated, to less."""
    (q, k, s, b, ok, _, _), cut = setting(np.random.default_rng(2))
    assert np.allclose(read(q, k, s, b, ok, cut=cut).sum(-1), 1, rtol=1e-14)
    assert (read(q, k, s, b, repeat=4.0).sum(-1) < 0.999).all()


def test_keys_may_be_shared_by_all_lives():
    (q, k, s, b, ok, _, _), _ = setting(np.random.default_rng(3))
    both = np.stack([k[0], k[0]])
    assert np.allclose(read(q, k[0], s, b, ok), read(q, both, s, b, ok), rtol=1e-14)


def test_the_most_recent_match_wins():
    """Three events match equally: the newest takes nearly all, or the newest before the cut."""
    k = np.array([[1.0, 0], [0, 1], [1, 0], [0, 1], [1, 0], [0, 1]])
    q, s, b = np.array([[[1.0, 0], [1, 0]]]), np.array(12.0), np.array(-4.0)
    found = read(q, k, s, b, cut=np.array([[6, 4]]))[0]
    assert found.argmax(-1).tolist() == [4, 2] and found.max(-1).min() > 0.98


def test_before_what_was_found_first():
    """The clock of the second hop shuts out the found event and all later ones."""
    k, q = np.ones((4, 2)), np.ones((1, 1, 2))
    first = read(q, k, np.array(12.0), np.array(-4.0))
    second = read(q, k, np.array(12.0), np.array(-4.0), None, np.array(1.0), first)
    assert first.argmax() == 3 and second.argmax() == 2 and second[0, 0, 3] == 0


@pytest.mark.parametrize("events", [0, 1])
def test_no_events_leave_the_whole_stick(events):
    found = read(np.ones((2, 3, 4)), np.ones((2, events, 4)), np.array(2.0), np.array(-90.0))
    assert found.shape == (2, 3, events + 1) and np.allclose(found[..., -1], 1)
    tensors = [Tensor(a, requires_grad=True) for a in (np.ones((2, 3, 4)), np.ones((2, events, 4)))]
    backward(apply(ops.StickRead, *tensors, Tensor(np.array(2.0)), Tensor(np.array(-90.0))))
    assert all(t.grad.shape == t.shape and np.isfinite(t.grad).all() for t in tensors)


@pytest.mark.parametrize("bias", [-16.0, -4.0, 0.0, 30.0])
def test_a_hundred_thousand_events_in_float32(bias):
    """As exact as in float64, with 10⁵ tiny shares or with sure ones; gradients stay finite."""
    rng = np.random.default_rng(4)
    N = 100_000
    arrays = [rng.standard_normal((1, 1, 8)), rng.standard_normal((1, N, 8)), np.array(12.0), np.array(bias)]
    ok = np.ones((1, 1, N))
    exact, single = read(*arrays, ok), None
    tensors = [Tensor(a.astype(np.float32), requires_grad=True) for a in (*arrays, ok)]
    single = apply(ops.StickRead, *tensors)
    assert np.abs(single.data - exact).max() < 3e-5
    assert abs(float(single.data.sum(dtype=np.float64)) - 1) < 1e-5
    backward(single, rng.standard_normal(single.shape).astype(np.float32))
    assert all(np.isfinite(t.grad).all() for t in tensors)


def test_the_logarithmic_form_has_slopes_where_shares_vanish():
    """A thousand sure later matches, each 64 times: the share is 0 in any float, its logarithm is not."""
    k, q = np.ones((1000, 2), np.float32), np.ones((1, 1, 2), np.float32)
    bias = Tensor(np.array(5.0, np.float32), requires_grad=True)
    logs = apply(
        ops.StickRead, Tensor(q), Tensor(k), Tensor(np.array(1.0, np.float32)), bias, repeat=64.0, log=True
    )
    shares = apply(ops.Exp, logs)
    assert shares.data[0, 0, 0] == 0 and -5e5 < logs.data[0, 0, 0] < -3e5
    one = np.zeros_like(logs.data)
    one[0, 0, 0] = 1
    backward(logs, one)
    assert abs(float(bias.grad) + 64 * 999 / (1 + np.exp(-6.0))) < 1


REFUSED = [
    ({"k": np.ones((1, 5, 4))}, "keys for each life, expected 2 lives, got 1"),
    ({"k": np.ones((2, 5, 3))}, r"needs q \(B, Q, K\) and k"),
    ({"ok": np.ones((2, 3, 4))}, r"ok does not fit, expected \(2, 3, 5\)"),
    ({"g": np.array(0.5)}, "needs g and the first hop's shares together"),
    ({"first": np.ones((2, 3, 5)), "g": np.array(0.5)}, r"first does not fit, expected \(2, 3, 6\)"),
    ({"s": np.ones(2)}, r"s does not fit, expected \(\) or \(1,\) or \(3,\) or \(2, 3\), got \(2,\)"),
]


@pytest.mark.parametrize(("change", "told"), REFUSED, ids=[told[:20] for _, told in REFUSED])
def test_shapes_that_do_not_fit_are_refused(change, told):
    arrays = {"q": np.ones((2, 3, 4)), "k": np.ones((2, 5, 4)), "s": np.array(1.0), "b": np.array(0.0)}
    arrays |= {"ok": None, "g": None, "first": None} | change
    with pytest.raises(ChronosError, match=told):
        read(*arrays.values())


# ---- the time asked about ----------------------------------------------------------------------------------


def as_of(scores, **settings):
    return apply(ops.AsOf, Tensor(scores), **settings).data


def test_as_of_is_its_definition():
    rng = np.random.default_rng(5)
    scores, cuts, valid = rng.standard_normal((3, 6)), rng.integers(0, 10, (3, 6)), rng.random((3, 6)) < 0.7
    valid[:, 0] = True
    alpha = token_shares(scores, valid)
    assert np.allclose(alpha.sum(-1), 1) and not alpha[~valid].any()
    found = as_of(scores, cuts=cuts, events=9, valid=valid)
    for row, i in np.ndindex(3, 9):
        assert abs(found[row, i] - alpha[row][cuts[row] > i].sum()) < 1e-14
    hard = as_of(scores, cuts=cuts, events=9, valid=valid, hard=True)
    for row in range(3):
        best = cuts[row][np.where(valid[row], scores[row], -np.inf).argmax()]
        assert np.array_equal(hard[row], np.arange(9) < best)


def test_a_mask_never_rounds_above_one():
    """10,000 questions of 24 tokens in float32; β > 1 would have no logarithm of 1 − β."""
    scores = np.random.default_rng(6).standard_normal((10_000, 24)).astype(np.float32)
    share = token_shares(scores)
    assert share.cumsum(-1).max() > 1  # else the next line says nothing
    assert as_of(scores, cuts=np.full(scores.shape, 2), events=2).max() <= 1


def test_cuts_beyond_the_events_are_refused():
    with pytest.raises(ChronosError, match=r"the cuts do not fit, expected cuts \(1, 2\) of 0 … 3"):
        as_of(np.zeros((1, 2)), cuts=np.array([[0, 4]]), events=3)


# ---- what recall is trained by -----------------------------------------------------------------------------


def evidence_loss(logs, marks, every, **settings) -> tuple[float, list[np.ndarray]]:
    tensors = [Tensor(a, requires_grad=True) for a in logs]
    out = apply(ops.Evidence, *tensors, evidence=marks, every=every, **settings)
    backward(out)
    return float(out.data), [t.grad for t in tensors]


def test_evidence_is_its_definition():
    """Labelled: a product over hops. Not labelled: one less the product of what each hop missed."""
    rng = np.random.default_rng(8)
    shares = rng.dirichlet(np.ones(6), (2, 3, 4))  # two hops, three lives, four questions
    marks, every = rng.random((2, 3, 4, 6)) < 0.4, rng.random((3, 4)) < 0.5
    marks[:, 0, 0] = False
    marks[:, 0, 1:, 2] = marks[:, 1:, :, 2] = True
    marks[0, 2, 3], every[2, 3] = False, True  # a hop that has nothing to find
    x = (shares * marks).sum(-1)
    p = np.where(every, np.where(marks.any(-1), x, 1).prod(0), 1 - (1 - x).prod(0))
    p[0, 0] = 1  # left out
    loss, slopes = evidence_loss(np.log(shares), marks, every, scale=0.5)
    assert abs(loss + 0.5 * np.log(p).sum()) < 1e-12
    assert not any(s[0, 0].any() for s in slopes)


@pytest.mark.parametrize("every", [True, False])
def test_evidence_that_got_next_to_nothing_still_pulls(every):
    """Shares of e⁻⁵⁰⁰; and none at all, behind a mask, costs a fixed sum and pulls nothing."""
    logs = [np.array([[[-500.0, -0.1]]], np.float32), np.array([[[-900.0, -0.1]]], np.float32)]
    marks = np.array([True, False])[None, None, None].repeat(2, 0)
    loss, slopes = evidence_loss(logs, marks, np.array([[every]]))
    assert abs(loss - (1400 if every else 500)) < 1e-3
    assert [s[0, 0, 0] for s in slopes] == ([-1, -1] if every else [-1, 0]) and not slopes[0][0, 0, 1]
    loss, slopes = evidence_loss([np.full_like(a, -np.inf) for a in logs], marks, np.array([[every]]))
    assert loss == 100 and not any(s.any() for s in slopes)


def test_a_sure_hop_is_no_trouble():
    loss, slopes = evidence_loss([np.zeros((1, 1, 1))] * 2, np.ones((2, 1, 1, 1), bool), np.array([[False]]))
    assert abs(loss) < 1e-12 and all(np.isfinite(s).all() for s in slopes)


def test_evidence_of_another_shape_is_refused():
    with pytest.raises(
        ChronosError, match=r"do not fit, expected \(1, 1, 1, 2\) and \(1, 1\), got \(1, 1, 2\)"
    ):
        evidence_loss([np.zeros((1, 1, 2))], np.ones((1, 1, 2), bool), np.array([[True]]))


# ---- the two twins -----------------------------------------------------------------------------------------


def test_every_stick_kernel_has_both_twins():
    for name, function in inspect.getmembers(stick_plain, inspect.isfunction):
        if not name.startswith("_"):
            assert (
                inspect.isfunction(getattr(stick_fast, name))
                and getattr(kernels, name).__doc__ == function.__doc__
            )


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("repeat", [1.0, 7.5])
@pytest.mark.parametrize("scale", [3.0, 70.0])
@pytest.mark.parametrize("shape", [(1, 0), (1, 1), (5, 7), (3, 300)])
def test_fast_is_plain_to_rounding(shape, scale, repeat, log):
    rng = np.random.default_rng(7)
    R, N = shape
    c, m = rng.uniform(-1, 1, shape), rng.choice([0, 0.3, 0.999999, 1, 1], shape)
    arrays = [rng.standard_normal((R, N + 1)), c, np.full(R, scale), rng.standard_normal(R), m]
    single = [a.astype(np.float32) for a in arrays]
    double = [a.astype(np.float64) for a in single]
    how = (repeat, log)
    pairs = [(stick_fast.stick(*single[1:], *how), stick_plain.stick(*double[1:], *how))]
    pairs += zip(
        stick_fast.stick_backward(*single, *how), stick_plain.stick_backward(*double, *how), strict=True
    )
    for got, exact in pairs:
        assert got.dtype == np.float32 and got.shape == exact.shape
        finite = np.isfinite(exact)
        assert np.array_equal(finite, np.isfinite(got))
        room = 1e-6 * np.abs(exact[finite]) + 1e-6 * np.abs(exact[finite]).max(initial=0) * np.isin(
            got.ndim, 1
        )
        assert (np.abs(got[finite] - exact[finite]) <= room + 1e-36).all()
