"""Kimi Delta Attention: chunks and loops are the recurrence, slopes are its own, the state is carried."""

import inspect

import numpy as np
import pytest

from chronos.architecture import kernels, ops
from chronos.architecture.attention import Where
from chronos.architecture.config import KdaConfig, TransformerConfig
from chronos.architecture.kda import CONV_WIDTH, KdaMixer, Recurrence, last_inputs
from chronos.architecture.kernels import kda_fast, kda_plain
from chronos.architecture.tape import Tensor, apply, backward, no_grad

CHUNK = kda_plain.CHUNK
LENGTHS = [0, 1, 5, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 4]


def made(T: int, kind=np.float64, B=2, H=3, K=6, V=5, seed=0, decay=(-6, 1)) -> list[np.ndarray]:
    """x with unit queries and keys, g from nearly nothing to strong, β up to 2, lengths, state."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((B, T, H * (2 * K + V)))
    unit = x[..., : 2 * H * K].reshape(B, T, 2 * H, K)
    unit /= np.linalg.norm(unit, axis=-1, keepdims=True)
    g = -np.exp(rng.uniform(*decay, (B, T, H * K)))
    floats = x, g, rng.uniform(0, 2, (B, T, H)), rng.standard_normal((B, H, V, K))
    x, g, beta, state = (a.astype(kind) for a in floats)
    return [x, g, beta, np.array([T, T // 2]), state]


def by_the_book(x, g, beta, length, state) -> tuple[np.ndarray, np.ndarray]:
    """One row and one head, as the paper writes it, with matrices."""
    V, K = state.shape
    S, o = state.T.copy(), np.zeros((len(x), V))
    for t in range(length):
        q, k, v = x[t, :K], x[t, K : 2 * K], x[t, 2 * K :]
        S = (np.eye(K) - beta[t] * np.outer(k, k)) @ np.diag(np.exp(g[t])) @ S + beta[t] * np.outer(k, v)
        o[t] = S.T @ q
    return o, S.T


# ---- the delta rule ----------------------------------------------------------------------------------------


def test_the_step_form_is_the_definition():
    x, g, beta, _, state = made(9, B=2, H=1)
    o, after = kda_plain.kda_step(x, g, beta, np.array([9, 4]), state)
    for b, n in enumerate((9, 4)):
        expected, S = by_the_book(x[b], g[b], beta[b, :, 0], n, state[b, 0])
        assert np.allclose(o[b], expected, rtol=0, atol=1e-13)
        assert np.allclose(after[b, 0], S, rtol=0, atol=1e-13)


@pytest.mark.parametrize("T", LENGTHS)
def test_chunks_are_steps(T):
    """In float64 to 1e-10; in float32 to 1e-5, both twins, and the states where chunks start too."""
    x, g, beta, lengths, state = made(T)
    o, after = kda_plain.kda_step(x, g, beta, lengths, state)
    found = kda_plain.kda(x, g, beta, lengths, state)
    assert np.allclose(found[0], o, rtol=0, atol=1e-10) and np.allclose(found[1], after, rtol=0, atol=1e-10)
    single = [a.astype(np.float32) for a in (x, g, beta)], state.astype(np.float32)
    for twin in (kda_plain, kda_fast):
        rounded = twin.kda(*single[0], lengths, single[1])
        assert all(a.dtype == np.float32 for a in rounded)
        for ours, truth in zip(rounded, (o, after, found[2])):
            assert np.abs(ours - truth).max(initial=0) <= 1e-5


@pytest.mark.parametrize("twin", [kda_plain, kda_fast])
def test_a_cut_anywhere_gives_the_same(twin):
    kind = np.float64 if twin is kda_plain else np.float32
    near = 1e-11 if twin is kda_plain else 5e-6
    x, g, beta, _, state = made(80, kind)
    whole, after, _ = twin.kda(x, g, beta, np.array([80, 80]), state)
    for cut in (1, 31, 32, 33, 64, 79):
        first, S, _ = twin.kda(x[:, :cut], g[:, :cut], beta[:, :cut], np.array([cut, cut]), state)
        rest = np.array([80 - cut, 80 - cut])
        second, S, _ = twin.kda(x[:, cut:], g[:, cut:], beta[:, cut:], rest, S)
        assert np.abs(np.concatenate([first, second], 1) - whole).max() <= near
        assert np.abs(S - after).max() <= near


@pytest.mark.parametrize("decay", [(-9, -8), (3, 4)], ids=["almost none", "e^-50 a token"])
def test_long_texts_are_stable_in_float32(decay):
    """4,096 tokens: sums of g reach −200,000, where K/e^G would be infinite; keys that repeat, with β 2."""
    x, g, beta, _, state = made(4096, np.float32, B=1, H=2, K=8, V=4, decay=decay)
    x[:, 1000:1100, 16:24] = x[:, 1000:1001, 16:24]
    beta[:, 1000:1100] = 2
    lengths = np.array([4096])
    truth = kda_plain.kda_step(
        *(a.astype(np.float64) for a in (x, g, beta)), lengths, state.astype(np.float64)
    )
    for twin in (kda_plain, kda_fast):
        o, after, starts = twin.kda(x, g, beta, lengths, state)
        assert np.abs(o - truth[0]).max() <= 2e-4 * np.abs(truth[0]).max()
        assert np.abs(after - truth[1]).max() <= 2e-4 * np.abs(truth[1]).max()
    grads = kda_fast.kda_backward(np.ones_like(o), x, g, beta, lengths, starts)
    assert all(np.isfinite(a).all() for a in grads)


@pytest.mark.parametrize("T", LENGTHS[1:])
def test_slopes_are_those_of_the_step_form(T):
    """Finite differences through the definition, not through the chunks that backward belongs to."""
    x, g, beta, lengths, state = made(T)
    rng = np.random.default_rng(3)
    do = rng.standard_normal((2, T, 15))
    grads = kda_plain.kda_backward(do, x, g, beta, lengths, kda_plain.kda(x, g, beta, lengths, state)[2])
    for i, (array, grad) in enumerate(zip((x, g, beta), grads)):
        d = rng.standard_normal(array.shape)
        moved = []
        for step in (1e-6, -1e-6):
            arrays = [x, g, beta]
            arrays[i] = array + step * d
            moved.append((kda_plain.kda_step(*arrays, lengths, state)[0] * do).sum())
        finite, ours = (moved[0] - moved[1]) / 2e-6, (grad * d).sum()
        assert abs(finite - ours) <= 1e-7 * max(1, abs(ours))
        for row, n in enumerate(lengths):
            assert not grad[row, n:].any()  # padding has none


def test_two_kinds_of_memory():
    """What the delta rule is for: a key written again replaces what it held; with g = 0 all is kept."""
    K = V = 4
    x = np.zeros((1, 3, 12))
    x[0, :, 4:8] = [[1, 0, 0, 0], [0, 1, 0, 0], [1, 0, 0, 0]]
    x[0, :, 8:] = [[1, 2, 3, 4], [5, 6, 7, 8], [9, 9, 9, 9]]
    x[0, :, :4] = [[1, 0, 0, 0]] * 3
    g, beta, state = np.zeros((1, 3, K)), np.ones((1, 3, 1)), np.zeros((1, 1, V, K))
    o, after, _ = kda_plain.kda(x, g, beta, np.array([3]), state)
    assert np.allclose(o[0], [[1, 2, 3, 4], [1, 2, 3, 4], [9, 9, 9, 9]])
    assert np.allclose(after[0, 0].T[:2], [[9, 9, 9, 9], [5, 6, 7, 8]])


# ---- fast twins --------------------------------------------------------------------------------------------


def cases() -> dict[str, list]:
    """Kernel → arguments in float32."""
    rng = np.random.default_rng(4)

    def a(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape).astype(np.float32)

    rule = made(70, np.float32)
    starts = kda_fast.kda(*rule)[2]
    x, w, past = a(2, 7, 9), a(4, 9), a(2, 3, 9)
    rate, bias, gates = a(3), a(15), a(11, 15) * 4
    rows, norm = (a(13, 5), a(13, 5) * 3, a(5)), kda_plain.gated_norm
    return {
        "kda": rule,
        "kda_backward": [a(2, 70, 15), *rule[:4], starts],
        "short_conv": [x, w, past],
        "short_conv_backward": [a(2, 7, 9), x, w, past],
        "decay_gate": [gates, rate, bias],
        "decay_gate_backward": [a(11, 15), gates, rate, bias],
        "gated_norm": [*rows, 1e-5],
        "gated_norm_backward": [a(13, 5), *rows, norm(*rows, 1e-5)[1]],
    }


CASES = cases()


def wide(arguments: list) -> list:
    floats = [isinstance(a, np.ndarray) and a.dtype == np.float32 for a in arguments]
    return [a.astype(np.float64) if is_float else a for a, is_float in zip(arguments, floats)]


def results(found) -> list[np.ndarray]:
    return list(found) if isinstance(found, tuple) else [found]


@pytest.mark.parametrize("name", CASES)
def test_fast_is_plain_to_rounding(name):
    arguments = [a.copy() if isinstance(a, np.ndarray) else a for a in CASES[name]]
    ours = results(getattr(kda_fast, name)(*arguments))
    truth = results(getattr(kda_plain, name)(*wide(arguments)))
    for before, after in zip(CASES[name], arguments):
        assert np.array_equal(before, after)  # what is read is not changed
    for got, exact in zip(ours, truth, strict=True):
        assert got.dtype == np.float32 and got.shape == exact.shape
        assert np.abs(got - exact).max() <= 4e-6 * max(1, np.abs(exact).max()), name


@pytest.mark.parametrize("name", CASES)
def test_strided_arguments_give_the_same(name):
    weights = {"short_conv": [1], "decay_gate": [1, 2], "decay_gate_backward": [2, 3]}.get(name, [])
    strided = list(CASES[name])
    for i, a in enumerate(strided):
        if np.ndim(a) > 1 and i not in weights:
            strided[i] = np.repeat(a, 2, axis=-1)[..., ::2]
    got, want = (results(getattr(kda_fast, name)(*given)) for given in (strided, CASES[name]))
    assert all(np.array_equal(a, b) for a, b in zip(got, want))


def test_every_kernel_is_chosen_and_has_both_twins():
    public = {
        name for name, it in vars(kda_plain).items()
        if inspect.isfunction(it) and it.__module__ == kda_plain.__name__ and not name.startswith("_")
    }  # fmt: skip
    helpers = {"heads_of", "kda_step", "read", "outer", "sigmoid"}
    assert public - helpers == set(CASES)
    for name in CASES:
        assert getattr(kernels, name).__name__ == name
        single, double = CASES[name], wide(CASES[name])
        assert results(getattr(kernels, name)(*single))[0].dtype == np.float32
        assert results(getattr(kernels, name)(*double))[0].dtype == np.float64


def test_the_series_of_softplus_is_long_enough():
    x = np.linspace(-80, 80, 100_001).astype(np.float32)[None]
    g = kda_fast.decay_gate(x, np.zeros(1, np.float32), np.zeros(x.size, np.float32))
    exact = -np.logaddexp(0, x.astype(np.float64))
    assert np.max(np.abs(g - exact) / np.abs(exact)) <= 2.5e-7


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_extreme_gates():
    """Where e^x is 0 or infinite, the decay and its slope are still numbers, and NaN stays NaN."""
    x = np.array([[-1e4, -100, -0.0, 0, 100, 1e4, np.nan]], np.float32)
    rate, bias = np.zeros(1, np.float32), np.zeros(7, np.float32)
    g = kda_fast.decay_gate(x, rate, bias)
    assert np.allclose(g[0, :6], [0, 0, -np.log(2), -np.log(2), -100, -1e4], rtol=1e-6) and np.isnan(g[0, 6])
    dx, drate, _ = kda_fast.decay_gate_backward(np.ones_like(x[:, :6]), x[:, :6], rate, bias[:6])
    assert np.allclose(dx[0], [0, 0, -0.5, -0.5, -1, -1], rtol=1e-6) and np.isfinite(drate).all()


# ---- the layer ---------------------------------------------------------------------------------------------


def layer(**kda) -> KdaMixer:
    config = TransformerConfig(layers=1, heads=2, width=16, context=64, pattern="kda", kda=KdaConfig(**kda))
    mixer = KdaMixer(config)
    rng = np.random.default_rng(5)
    for p in mixer.parameters().values():
        p.data[...] = rng.standard_normal(p.shape) * 0.4
    return mixer


def where(offsets, lengths, T) -> Where:
    offsets, lengths = np.array(offsets), np.array(lengths)
    return Where(offsets[:, None] + np.arange(T), offsets, offsets + lengths)


@pytest.mark.parametrize(
    "settings", [{}, {"heads": 3, "head_width": 5, "rank": 4, "negative": True}], ids=str
)
def test_the_layer_carries_its_state(settings):
    mixer = layer(**settings)
    x = np.random.default_rng(6).standard_normal((2, 50, 16)).astype(np.float32)
    whole = mixer(Tensor(x), where([0, 0], [50, 50], 50), None, None).data
    cache = Recurrence({name: np.zeros(s, np.float32) for name, s in mixer.shapes(2).items()})
    found = []
    for start, stop in ((0, 1), (1, 3), (3, 36), (36, 50)):
        n = stop - start
        found.append(mixer(Tensor(x[:, start:stop]), where([start] * 2, [n] * 2, n), cache, None).data)
    assert np.abs(np.concatenate(found, 1) - whole).max() <= 2e-6 * np.abs(whole).max()
    assert {name: a.shape for name, a in cache.changed().items()} == mixer.shapes(2)


def test_padding_is_not_remembered():
    mixer = layer()
    x = np.random.default_rng(7).standard_normal((2, 6, 16)).astype(np.float32)
    states = []
    for padding in (0, 1e3):
        y = x.copy()
        y[0, 2:] = padding
        cache = Recurrence({name: np.ones(s, np.float32) for name, s in mixer.shapes(2).items()})
        mixer(Tensor(y), where([5, 5], [2, 6], 6), cache, None)
        states.append(cache)
    assert all(np.array_equal(states[0][name], states[1][name]) for name in ("conv", "delta"))
    alone = Recurrence({name: np.ones(s, np.float32) for name, s in mixer.shapes(1).items()})
    mixer(Tensor(x[:1, :2]), where([5], [2], 2), alone, None)
    assert all(np.allclose(alone[name][0], states[0][name][0], atol=1e-5) for name in ("conv", "delta"))


def test_the_last_inputs_reach_over_calls():
    past, x = np.arange(6.0).reshape(2, 3, 1), 10 + np.arange(8.0).reshape(2, 4, 1)
    kept = last_inputs(past, x, np.array([1, 4]))
    assert kept[..., 0].tolist() == [[1, 2, 10], [15, 16, 17]]
    assert past.shape[1] == CONV_WIDTH - 1


def test_where_decays_start():
    """A rate between 1 and 16 a head, steps of 0.001 to 0.1 a channel: g = −rate · step where W x is 0."""
    mixer = layer()
    mixer.start(3, "a.")
    rates = np.exp(mixer.rate.data)
    steps = -apply(ops.DecayGate, Tensor(np.zeros((1, 1, 16), np.float32)), mixer.rate, mixer.step).data[0, 0]
    steps = steps / np.repeat(rates, 8)
    assert (rates >= 1).all() and (rates <= 16).all() and rates.std() > 1
    assert steps.min() >= 0.000999 and steps.max() <= 0.1001 and steps.max() > 20 * steps.min()
    again, other = layer(), layer()
    again.start(3, "a.")
    other.start(4, "a.")
    assert np.array_equal(again.conv.data, mixer.conv.data) and np.array_equal(
        again.step.data, mixer.step.data
    )
    assert not np.array_equal(other.conv.data, mixer.conv.data)


def test_negative_eigenvalues_turn_a_key_around():
    """β = 2 reflects: what the key held changes its sign; β ≤ 1 can only take it away."""
    x, state = np.zeros((1, 1, 3)), np.ones((1, 1, 1, 1))
    x[..., 1] = 1
    for beta, left in ((2.0, -1), (1.0, 0), (0.5, 0.5)):
        after = kda_plain.kda(x, np.zeros((1, 1, 1)), np.full((1, 1, 1), beta), np.array([1]), state)[1]
        assert after[0, 0, 0, 0] == left
    y = np.array([[[50.0]]])
    assert apply(ops.Strength, Tensor(y), most=2.0).data == 2


def test_a_state_gets_no_gradient_and_is_not_written_to():
    mixer = layer()
    x = Tensor(np.ones((1, 3, 16), np.float32), requires_grad=True)
    cache = Recurrence({name: np.ones(s, np.float32) for name, s in mixer.shapes(1).items()})
    before = {name: a.copy() for name, a in cache.items()}
    arrays = dict(cache)
    y = mixer(x, where([3], [3], 3), cache, None)
    backward(y, np.ones_like(y.data))
    assert x.grad is not None and all(np.array_equal(arrays[name], before[name]) for name in before)
    assert not np.array_equal(cache["delta"], before["delta"])
    with no_grad():
        assert mixer(Tensor(x.data), where([3], [3], 3), Recurrence(before), None).creator is None
