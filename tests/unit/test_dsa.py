"""DeepSeek Sparse Attention: what is picked, attention to it, and an indexer that learns apart."""

import inspect
import tracemalloc

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from chronos.architecture import kernels, ops
from chronos.architecture.attention import Where
from chronos.architecture.config import DsaConfig, TransformerConfig
from chronos.architecture.dsa import DsaMixer
from chronos.architecture.kernels import dsa_fast, dsa_plain
from chronos.architecture.ops import dsa
from chronos.architecture.tape import Tensor, apply, backward, no_grad
from chronos.memory.config import ModelConfig
from chronos.memory.model import Model

RNG = np.random.default_rng(0)
TOKENS = RNG.integers(0, 30, (2, 24))


# ---- fast twins --------------------------------------------------------------------------------------------


def cases() -> dict[str, list]:
    """Kernel → arguments in float32."""
    rng = np.random.default_rng(1)

    def a(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape).astype(np.float32)

    target = rng.random((6, 41)).astype(np.float32)
    target[rng.random(target.shape) < 0.3] = -1
    target[2], target[3, 5], target[4] = -1, 0, 0  # nothing to foretell; a share of 0; only shares of 0
    picked = dsa_plain.top_k(a(18, 12), np.minimum(np.tile(np.arange(9) + 1, 2), 12), 5).reshape(2, 9, 5)
    q, keys, values = a(2, 9, 4, 8), a(2, 12, 2, 8), a(2, 12, 2, 8)
    lse = dsa_plain.sparse_attention(q, keys, values, picked, 0.3)[1]
    return {
        "index_scores": [a(7, 3, 50), a(7, 3)],
        "index_scores_backward": [a(7, 50), a(7, 3, 50), a(7, 3)],
        "index_kl": [a(6, 41) * 3, target],
        "sparse_attention": [q, keys, values, picked, 0.3],
        "sparse_attention_backward": [a(2, 9, 4, 8), q, keys, values, picked, lse, 0.3],
        "top_k": [a(7, 50), np.array([50, 1, 7, 8, 9, 30, 49]), 8],
    }


CASES = cases()


def wide(arguments: list) -> list:
    floats = [isinstance(a, np.ndarray) and a.dtype == np.float32 for a in arguments]
    return [a.astype(np.float64) if is_float else a for a, is_float in zip(arguments, floats)]


def run(twin, name: str, arguments: list) -> list[np.ndarray]:
    """All results of a kernel, with what `index_kl` changes in place; the rest is seen to be left alone."""
    copies = [a.copy() if isinstance(a, np.ndarray) and a.flags.c_contiguous else a for a in arguments]
    found = getattr(twin, name)(*copies)
    for i, (a, b) in enumerate(zip(arguments, copies)):
        assert np.array_equal(a, b) or (name, i) == ("index_kl", 0)
    found = list(found) if isinstance(found, tuple) else [found]
    return [*found, copies[0]] if name == "index_kl" else found


@pytest.mark.parametrize("name", CASES)
def test_fast_is_plain_to_rounding(name):
    ours, truth = run(dsa_fast, name, CASES[name]), run(dsa_plain, name, wide(CASES[name]))
    for got, exact in zip(ours, truth, strict=True):
        assert got.dtype == (np.int32 if name == "top_k" else np.float32) and got.shape == exact.shape
        assert np.abs(got - exact).max() <= 2e-6 * max(1, np.abs(exact).max())


@pytest.mark.parametrize("name", CASES)
def test_strided_arguments_give_the_same(name):
    strided = list(CASES[name])
    for i, a in enumerate(strided):
        if np.ndim(a) > 1 and (name, i) != ("index_kl", 0):
            strided[i] = np.repeat(a, 2, axis=-1)[..., ::2]
    for got, want in zip(run(dsa_fast, name, strided), run(dsa_fast, name, CASES[name]), strict=True):
        assert np.array_equal(got, want)


def test_in_place_on_a_strided_array_is_refused():
    with pytest.raises(ValueError, match="contiguous"):
        dsa_fast.index_kl(np.ones((2, 6), np.float32)[:, ::2], np.ones((2, 3), np.float32))


def test_every_kernel_is_chosen_and_has_both_twins():
    public = {
        name for name, it in vars(dsa_plain).items()
        if inspect.isfunction(it) and it.__module__ == dsa_plain.__name__ and not name.startswith("_")
    }  # fmt: skip
    assert public == set(CASES)
    for name in CASES:
        assert getattr(kernels, name).__name__ == name
        assert run(kernels, name, wide(CASES[name]))[0].dtype in (np.float64, np.int32)


# ---- what is picked ----------------------------------------------------------------------------------------


def test_top_k_by_sorting():
    """Many ties, zeros of both signs, infinities, and more wanted than there is, by both twins."""
    rng = np.random.default_rng(2)
    for trial in range(200):
        n, k = int(rng.integers(1, 150)), int(rng.integers(1, 60))
        z = np.round(rng.standard_normal((4, n)) * rng.choice([0.4, 3, 1e30, 1e-40])).astype(np.float32)
        z[z == 0] *= rng.choice([-1, 1], np.sum(z == 0))
        z[0, rng.integers(n)] = rng.choice([np.inf, -np.inf])
        visible = rng.integers(1, n + 1, 4)
        expected = [sorted(sorted(range(m), key=lambda i: (-row[i], i))[:k]) for row, m in zip(z, visible)]
        for twin in (dsa_plain, dsa_fast):
            picked = twin.top_k(z, visible, k)
            assert [[i for i in row if i >= 0] for row in picked.tolist()] == expected, trial
            assert all(row == sorted(row, key=lambda i: (i < 0, i)) for row in picked.tolist())


def test_nan_picks_nothing_that_is_not_there():
    z = np.full((1, 90), np.nan, np.float32)
    z[0, ::3] = -np.float32(np.nan)
    for twin in (dsa_plain, dsa_fast):
        picked = twin.top_k(z, np.array([80]), 7)[0]
        assert len(set(picked.tolist())) == 7 and picked.min() >= 0 and picked.max() < 80


def indexed(B=2, T=24, H=3, d=6, kind=np.float64) -> list[np.ndarray]:
    rng = np.random.default_rng(3)
    return [rng.standard_normal(s).astype(kind) for s in ((B, T, H * d), (B, T, d), (B, T, H))]


def scores_by_hand(q, k, w) -> np.ndarray:
    B, T, H = w.shape
    heads = q.reshape(B, T, H, -1)
    out = np.zeros((B, T, T))
    for b, t, s, h in np.ndindex(B, T, T, H):
        out[b, t, s] += w[b, t, h] * max(0, heads[b, t, h] @ k[b, s])
    return out / np.sqrt(q.shape[-1])


@pytest.mark.parametrize("floats", [dsa.BLOCK_FLOATS, 1])
def test_pick_is_the_best_of_what_is_visible(floats, monkeypatch):
    """In one block of queries and in many."""
    monkeypatch.setattr(dsa, "BLOCK_FLOATS", floats)
    q, k, w = indexed()
    visible = np.minimum(np.arange(24) + 1, np.array([[24], [10]]))
    picked = dsa.pick(q, k, w, visible, 5)
    scores = scores_by_hand(q, k, w)
    for b, t in np.ndindex(2, 24):
        best = sorted(np.argsort(-scores[b, t, : visible[b, t]], kind="stable")[:5].tolist())
        assert [i for i in picked[b, t].tolist() if i >= 0] == best


# ---- attention to the picked -------------------------------------------------------------------------------


def test_attention_to_all_is_dense_attention():
    rng = np.random.default_rng(4)
    x = rng.standard_normal((2, 12, 4 * 4 + 2 * 2 * 4))
    everything = np.where(np.tri(12, dtype=bool), np.arange(12), -1)
    picked = np.tile(everything, (2, 1, 1)).astype(np.int32)
    here = {"offsets": np.zeros(2, int), "lengths": np.array([12, 12])}
    for kind, near in ((np.float64, 1e-14), (np.float32, 1e-6)):
        shares = np.zeros((2, 12, 12), kind)
        a = apply(
            ops.SparseAttention, Tensor(x.astype(kind)), heads=4, kv_heads=2, picked=picked, shares=shares
        )
        b = apply(ops.Attention, Tensor(x.astype(kind)), heads=4, kv_heads=2, causal=True, **here)
        assert np.abs(a.data - b.data).max() <= near
        dense = [dsa.attention_shares(x, 4, 2, row, slice(0, 12), np.arange(12) + 1) for row in range(2)]
        assert np.abs(np.where(picked >= 0, shares, -1) - dense).max() <= near


def test_attention_sees_the_picked_alone():
    rng = np.random.default_rng(5)
    x = rng.standard_normal((1, 9, 12)).astype(np.float32)
    picked = np.array([[[0, -1]] + [[0, t] for t in range(1, 9)]], np.int32)
    y = x.copy()
    y[0, 3, 4:] += 100  # key and value of token 3, which only itself may see
    a, b = (apply(ops.SparseAttention, Tensor(v), heads=1, kv_heads=1, picked=picked).data for v in (x, y))
    assert (np.abs(a - b).max((0, 2)) > 0).tolist() == [t == 3 for t in range(9)]


# ---- the indexer's loss ------------------------------------------------------------------------------------


@pytest.mark.parametrize("floats", [dsa.BLOCK_FLOATS, 1])
@pytest.mark.parametrize("sparse", [False, True])
def test_the_loss_is_the_divergence_from_what_was_attended_to(sparse, floats, monkeypatch):
    """Over all tokens, or over the picked ones with both sides made to sum to one there."""
    monkeypatch.setattr(dsa, "BLOCK_FLOATS", floats)
    q, k, w = indexed()
    x = np.random.default_rng(6).standard_normal((2, 24, 12))
    visible = np.minimum(np.arange(24) + 1, np.array([[24], [15]]))
    picked, shares = dsa.pick(q, k, w, visible, 5), np.zeros((2, 24, 5))
    apply(ops.SparseAttention, Tensor(x), heads=2, kv_heads=1, picked=picked, shares=shares)
    counted = np.arange(24) < np.array([[24], [15]])
    more = {"picked": picked, "shares": shares} if sparse else {}
    arrays = (Tensor(a) for a in (q, k, w))
    found = apply(ops.IndexLoss, *arrays, main=(x, 2, 1), visible=visible, counted=counted, **more).data
    scores, expected, mass = scores_by_hand(q, k, w), 0.0, np.zeros((2, 24))
    for b, t in zip(*np.nonzero(counted)):
        heads = x[b].reshape(24, 4, 3)
        logits = heads[: visible[b, t], 2] @ heads[t, :2].T / np.sqrt(3)
        p = (np.exp(logits) / np.exp(logits).sum(0)).mean(1)
        chosen = [i for i in picked[b, t] if i >= 0]
        mass[b, t] = p[chosen].sum()
        if sparse:
            logits = logits[chosen]
            p = (np.exp(logits) / np.exp(logits).sum(0)).mean(1)
        z = scores[b, t, chosen if sparse else slice(visible[b, t])]
        expected += (p * (np.log(p) - z + np.log(np.exp(z).sum()))).sum()
    assert abs(found - expected) <= 1e-12 * expected
    assert np.allclose(dsa.recalled((x, 2, 1), picked, visible)[counted], mass[counted], rtol=1e-12)


def test_the_losss_slopes_are_the_same_block_by_block(monkeypatch):
    """Keys get what the queries of all blocks send."""
    main, visible = (
        (np.random.default_rng(6).standard_normal((2, 24, 12)), 2, 1),
        np.tile(np.arange(24) + 1, (2, 1)),
    )
    found = []
    for floats in (dsa.BLOCK_FLOATS, 1):
        monkeypatch.setattr(dsa, "BLOCK_FLOATS", floats)
        assert len(list(dsa.blocks(24, 3, 24))) == (1 if floats > 1 else 3)
        tensors = [Tensor(a, requires_grad=True) for a in indexed()]
        backward(apply(ops.IndexLoss, *tensors, main=main, visible=visible))
        found.append([t.grad for t in tensors])
    for one, many in zip(*found):
        assert one.any() and np.allclose(one, many, rtol=0, atol=1e-13)


def build(pattern="dsa", top_k=5, stage="sparse", **more) -> Model:
    config = DsaConfig(top_k=top_k, index_heads=3, index_width=8, index_rotary=4, stage=stage)
    shape = {
        "layers": 2,
        "heads": 2,
        "width": 16,
        "context": 24,
        "vocabulary": 30,
        "positions": "none",
    } | more
    model = Model(ModelConfig(**shape, pattern=pattern, dsa=config), seed=3)
    rng = np.random.default_rng(7)
    for p in model.parameters().values():
        p.data[...] = p.data + rng.standard_normal(p.shape) * 0.3
    return model


def gradients(model: Model, loss: Tensor) -> dict[str, np.ndarray]:
    for p in model.parameters().values():
        p.grad = None
    backward(loss)
    return {
        name: np.zeros_like(p.data) if p.grad is None else p.grad for name, p in model.parameters().items()
    }


@pytest.mark.parametrize("stage", ["sparse", "dense"])
def test_neither_loss_reaches_the_other_side(stage):
    """The main loss gives the indexer exactly nothing; the indexer's loss gives the rest exactly nothing."""
    model = build(stage=stage)
    out = model(TOKENS)
    main = gradients(model, out.hidden)
    index = gradients(model, model(TOKENS).aux["losses"]["index"][1])
    for name in main:
        inside = ".indexer." in name
        assert main[name].any() != inside, name
        assert index[name].any() == (inside and ".1." in name), name


def test_training_sends_both_and_shows_one():
    model, targets = build(), np.roll(TOKENS, -1, axis=1)
    both = gradients(model, model.loss(TOKENS, targets, scale=0.1))
    shown = float(model.loss(TOKENS, targets, scale=0.1).data)
    out = model(TOKENS)
    parts = [gradients(model, loss) for loss in out.aux["losses"]["index"]]
    with no_grad():
        assert float(model.loss(TOKENS, targets, scale=0.1).data) == shown
    for name in both:
        if ".indexer." in name:
            assert np.allclose(both[name], 0.1 * sum(p[name] for p in parts), rtol=1e-4, atol=1e-7)
    assert np.isclose(out.aux["index_kl"], sum(float(t.data) for t in out.aux["losses"]["index"]) / 96)


def test_untrained_targets_are_not_foretold_either():
    model, targets = build(), np.full(TOKENS.shape, -1)
    targets[:, 20] = 3
    one = gradients(model, model.loss(TOKENS, targets))
    out = model(TOKENS, counted=targets >= 0)
    other = [gradients(model, loss) for loss in out.aux["losses"]["index"]]
    name = "stack.block.0.attention.indexer.query.weight"
    assert np.allclose(one[name], other[0][name]) and one[name].any()
    assert not np.allclose(gradients(model, model(TOKENS).aux["losses"]["index"][0])[name], one[name])


def test_in_the_warm_up_the_indexer_alone_learns():
    model, plain = build(stage="warmup"), build(stage="dense")
    targets = np.roll(TOKENS, -1, axis=1)
    loss = model.loss(TOKENS, targets)
    assert float(loss.data) == float(plain.loss(TOKENS, targets).data)
    for name, grad in gradients(model, loss).items():
        assert grad.any() == (".indexer." in name), name


def test_the_indexer_learns_to_foretell():
    """Both measures that `aux` reports get better when only the indexer's loss is followed."""
    model = build(stage="warmup", layers=1)
    seen = []
    for _ in range(60):
        with no_grad():
            seen.append(model(TOKENS, carry=False, measure=True).aux)
        grads = gradients(model, model.loss(TOKENS, TOKENS, scale=1 / TOKENS.size))
        for name, p in model.parameters().items():
            p.data -= 1.0 * grads[name]
    assert seen[-1]["index_kl"] < 0.7 * seen[0]["index_kl"]
    assert seen[-1]["index_recall"] > seen[0]["index_recall"] + 0.02
    assert 0 < seen[0]["index_recall"] < 1


# ---- the layer in a model ----------------------------------------------------------------------------------


@pytest.mark.parametrize("positions", ["none", "rotary"])
def test_enough_to_pick_is_dense_attention_exactly(positions):
    """With k ≥ T the very same bits as attention's, in evaluation, in recording, and with a cache."""
    model, dense = (build(p, top_k=24, positions=positions) for p in ("dsa", "attention"))
    for name, p in dense.parameters().items():
        p.data[...] = model.parameters()[name].data
    assert np.array_equal(model(TOKENS).hidden.data, dense(TOKENS).hidden.data)
    with no_grad():
        states = [m(TOKENS[:, :9]).state for m in (model, dense)]
        found = [m(TOKENS[:, 9:], state).hidden.data for m, state in zip((model, dense), states)]
        assert np.array_equal(*found)
        assert model(TOKENS, carry=False, measure=True).aux["index_recall"] == pytest.approx(1, abs=1e-6)
    fewer = build("dsa", top_k=3, positions=positions)
    assert not np.allclose(fewer(TOKENS).hidden.data, dense(TOKENS).hidden.data, atol=1e-3)


def test_one_less_than_all_differs_at_the_last_token_alone():
    dense, sparse = build(layers=1, top_k=24), build(layers=1, top_k=23)
    apart = np.abs(dense(TOKENS).hidden.data - sparse(TOKENS).hidden.data).max((0, 2))
    assert apart[:23].max() <= 5e-6 < 1e-4 < apart[23]


def test_the_indexer_turns_a_part_by_position():
    """Pairs lie half a width apart; those beyond the turning part stand still; only distances are seen."""
    mixer = DsaMixer(
        TransformerConfig(layers=1, heads=2, width=16, dsa=DsaConfig(index_width=8, index_rotary=4))
    )
    rng = np.random.default_rng(8)
    for p in mixer.indexer.parameters().values():
        p.data[...] = rng.standard_normal(p.shape)
    x = Tensor(np.tile(rng.standard_normal(16), (1, 2, 1)).astype(np.float32))

    def at(*positions) -> Where:
        return Where(np.array([positions]), np.zeros(1, int), np.array([2]))

    q, k, _ = (a.data.reshape(2, -1, 8)[:, 0] for a in mixer.indexer(x, at(0, 1))[:2] + (x,))
    for rows in (q, k):
        assert np.allclose(rows[0][[2, 3, 6, 7]], rows[1][[2, 3, 6, 7]])
        a, b = rows[0][0] + 1j * rows[0][4], rows[1][0] + 1j * rows[1][4]
        assert np.isclose(b / a, np.exp(1j), atol=1e-5)  # the first pair turns by one radian a token
    far = [a.data.reshape(2, -1, 8)[:, 0] for a in mixer.indexer(x, at(1000, 1001))[:2]]
    assert np.isclose(q[1] @ k[0], far[0][1] @ far[1][0], rtol=1e-3)


def test_long_texts_fit_into_memory():
    """4,096 tokens, forward and backward: a T × T array of one head alone would be 64 MiB."""
    mixer = DsaMixer(TransformerConfig(layers=1, heads=4, width=32, context=4096, dsa=DsaConfig(top_k=16)))
    rng = np.random.default_rng(9)
    for p in mixer.parameters().values():
        p.data[...] = rng.standard_normal(p.shape) * 0.2
    x = Tensor(rng.standard_normal((1, 4096, 32)).astype(np.float32), requires_grad=True)
    where = Where(np.arange(4096)[None], np.zeros(1, int), np.array([4096]))
    tracemalloc.start()
    with threadpool_limits(1):
        y = mixer(x, where, None, None)
        head = Tensor(np.ones((2, 32), np.float32))
        main = apply(ops.LinearCrossEntropy, y, head, targets=np.zeros(4096, int), scale=1.0)
        backward(apply(ops.Beside, main, *where.losses["index"], weight=1.0))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 48 << 20
    assert np.isfinite(x.grad).all() and mixer.indexer.query.weight.grad.any()
