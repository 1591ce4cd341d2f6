"""Every op's gradient against finite differences in float64; the check; ops by their definitions."""

import json

import numpy as np
import pytest

from chronos.architecture import commands, gradcheck, ops
from chronos.architecture.ops import attention, loss
from chronos.architecture.products import amp
from chronos.architecture.tape import Op, Tensor, apply, backward, no_grad
from chronos.console import ChronosError

CASES = gradcheck._cases()


@pytest.mark.parametrize("op", ops.OPS, ids=lambda op: op.__name__)
def test_gradient(op):
    """An op without a case fails here by its name."""
    for arrays, settings in CASES[op.__name__]:
        for seed in range(3):
            assert gradcheck.check(op, arrays, settings, seed) <= gradcheck.TOLERANCE


def test_every_op_is_listed():
    """What is defined as an op is exported and checked."""
    defined = {op for op in Op.__subclasses__() if op.__module__.startswith(ops.__name__)}
    assert defined == set(ops.OPS)
    assert set(ops.__all__) == {"OPS", *(op.__name__ for op in ops.OPS)}


@pytest.mark.parametrize("op", ops.OPS, ids=lambda op: op.__name__)
def test_the_check_sees_a_wrong_gradient(op):
    """A thousandth too much in the gradient of any one input is found."""
    for arrays, settings in CASES[op.__name__]:
        for wrong in (i for i, a in enumerate(arrays) if a is not None):

            def backward(ctx, grad, wrong=wrong):
                return tuple(g * 1.001 if i == wrong else g for i, g in enumerate(op.backward(ctx, grad)))

            broken = type("Broken", (op,), {"backward": staticmethod(backward)})
            found = max(gradcheck.check(broken, arrays, settings, seed) for seed in range(3))
            assert found > 10 * gradcheck.TOLERANCE, f"input {wrong}"


def test_the_check_sees_a_missing_case(monkeypatch):
    class Unknown(Op):
        """An op that nobody has written a case for."""

    monkeypatch.setattr(ops, "OPS", (*ops.OPS, Unknown))
    errors = gradcheck.check_all()
    assert errors["Unknown"] == float("inf")
    assert all(error <= gradcheck.TOLERANCE for name, error in errors.items() if name != "Unknown")


def test_the_command_reports_and_refuses(tmp_path, monkeypatch):
    args = type("Args", (), {"out_dir": tmp_path})
    result = commands.run_check(args)
    assert json.loads((tmp_path / "gradients.json").read_text()) == result
    assert set(result["errors"]) == {op.__name__ for op in ops.OPS}
    monkeypatch.setattr(ops.ReLU2, "backward", staticmethod(lambda ctx, grad: (grad,)))
    with pytest.raises(ChronosError, match=r"the gradient of ReLU2 is wrong, expected error ≤ 1e-06"):
        commands.run_check(args)


def test_branches_of_blocks_and_chunks(monkeypatch):
    """Attention by single rows and few queries, the loss by chunks of sixteen rows: the same gradients."""
    monkeypatch.setattr(attention, "SCORE_FLOATS", 1)
    monkeypatch.setattr(attention, "QUERY_BLOCK", 37)
    monkeypatch.setattr(loss, "CHUNK_BYTES", 1)
    assert loss.chunk_rows(7) == 16
    for op in (ops.Attention, ops.LinearCrossEntropy):
        for arrays, settings in CASES[op.__name__]:
            assert gradcheck.check(op, arrays, settings) <= gradcheck.TOLERANCE


# ---- attention ---------------------------------------------------------------------------------------------


def dense_attention(x, heads, kv_heads, causal, lengths):
    """Attention by its definition, one query of one head at a time."""
    B, T, F = x.shape
    K = F // (heads + 2 * kv_heads)
    packed = x.reshape(B, T, -1, K)
    out = np.zeros((B, T, heads, K), x.dtype)
    for b, h, t in np.ndindex(B, heads, T):
        g = h // (heads // kv_heads)  # the key head that this query head shares
        n = min(lengths[b], t + 1) if causal else lengths[b]
        k, v = packed[b, :n, heads + g], packed[b, :n, heads + kv_heads + g]
        s = k @ packed[b, t, h] / np.sqrt(K)
        p = np.exp(s - s.max())
        out[b, t, h] = p / p.sum() @ v
    return out.reshape(B, T, heads * K)


def run_attention(x, heads, kv_heads, causal, lengths, **more) -> np.ndarray:
    where = {"offsets": np.zeros(len(x), np.int64), "lengths": lengths} | more
    return apply(ops.Attention, Tensor(x), heads=heads, kv_heads=kv_heads, causal=causal, **where).data


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize(("heads", "kv_heads"), [(1, 1), (3, 3), (4, 2), (4, 1)])
@pytest.mark.parametrize("T", [1, 5, 128, 131])
def test_attention_is_its_definition(T, heads, kv_heads, causal):
    """Shorter than a block, exactly one, and a little more; lengths that differ."""
    rng = np.random.default_rng(T)
    x = rng.standard_normal((3, T, (heads + 2 * kv_heads) * 4))
    lengths = np.array([T, 1, (T + 1) // 2])
    expected = dense_attention(x, heads, kv_heads, causal, lengths)
    assert np.allclose(run_attention(x, heads, kv_heads, causal, lengths), expected, rtol=0, atol=1e-13)
    single = run_attention(x.astype(np.float32), heads, kv_heads, causal, lengths)
    assert single.dtype == np.float32
    assert np.allclose(single, expected, rtol=0, atol=2e-6)


def test_attention_to_a_cache():
    """Queries in the middle of a text see what was cached before them and nothing of the room behind."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 9, 3 * 8)).astype(np.float32)
    keys, values = (np.full((2, 20, 8), np.nan, np.float32) for _ in range(2))
    keys[:, :9], values[:, :9] = x[..., 8:16], x[..., 16:]
    whole = run_attention(x, 2, 2, True, np.array([9, 9]))
    offsets, lengths = np.array([6, 4]), np.array([9, 7])
    tail = np.stack([x[0, 6:9], x[1, 4:7]])
    found = run_attention(tail, 2, 2, True, lengths, offsets=offsets, past=(keys, values))
    assert np.allclose(found, np.stack([whole[0, 6:9], whole[1, 4:7]]), rtol=0, atol=1e-6)


def test_attention_beyond_its_keys_is_refused():
    x = np.ones((1, 3, 6), np.float32)
    with pytest.raises(ChronosError, match="keys that are not there, expected at most 3, got 5"):
        run_attention(x, 1, 1, False, np.array([5]))


def test_attention_backward_leaves_what_it_saved():
    """The graph is freed after one backward, but an activation may be somebody's (a tap's)."""
    x = Tensor(np.random.default_rng(0).standard_normal((1, 7, 12)).astype(np.float32), requires_grad=True)
    before = x.data.copy()
    where = {"offsets": np.zeros(1, int), "lengths": np.array([7])}
    y = apply(ops.Attention, x, heads=2, kv_heads=1, causal=True, **where)
    out, grad = y.data.copy(), np.ones_like(y.data)
    backward(y, grad)
    assert np.array_equal(x.data, before) and np.array_equal(y.data, out) and (grad == 1).all()


# ---- loss --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("chunk", [loss.CHUNK_BYTES, 1])
def test_the_loss_is_its_definition(chunk, monkeypatch):
    """All rows at once, and sixteen at a time."""
    monkeypatch.setattr(loss, "CHUNK_BYTES", chunk)
    rng = np.random.default_rng(1)
    h, w, targets = rng.standard_normal((4, 10, 4)), rng.standard_normal((9, 4)), rng.integers(-2, 9, 40)
    z = h.reshape(40, 4) @ w.T
    logp = z - np.log(np.exp(z).sum(-1, keepdims=True))
    expected = -0.3 * sum(logp[r, t] for r, t in enumerate(targets) if t >= 0)
    for kind, tolerance in ((np.float64, 1e-14), (np.float32, 1e-6)):
        arrays = Tensor(h.astype(kind)), Tensor(w.astype(kind))
        found = apply(ops.LinearCrossEntropy, *arrays, targets=targets, scale=0.3).data
        assert found.shape == () and found.dtype == kind
        assert abs(found - expected) <= tolerance * abs(expected)


def test_loss_gradients_scale_with_the_gradient_that_arrives():
    rng = np.random.default_rng(2)
    h, w, targets = rng.standard_normal((3, 4)), rng.standard_normal((5, 4)), np.array([0, 4, 2])
    grads = []
    for arriving in (1.0, -2.5):
        tensors = Tensor(h, requires_grad=True), Tensor(w, requires_grad=True)
        backward(apply(ops.LinearCrossEntropy, *tensors, targets=targets, scale=1.0), np.array(arriving))
        grads.append([t.grad for t in tensors])
    for one, other in zip(*grads):
        assert np.allclose(other, -2.5 * one, rtol=1e-14)


def test_evaluation_computes_no_gradients(monkeypatch):
    """Under no_grad the loss makes one product a chunk instead of three."""
    made = []
    real = np.matmul
    monkeypatch.setattr(np, "matmul", lambda *args, **named: made.append(1) or real(*args, **named))
    h, w = Tensor(np.ones((3, 4)), requires_grad=True), Tensor(np.ones((5, 4)), requires_grad=True)
    with no_grad():
        apply(ops.LinearCrossEntropy, h, w, targets=np.array([0, 1, 2]), scale=1.0)
    assert len(made) == 1
    apply(ops.LinearCrossEntropy, h, w, targets=np.array([0, 1, 2]), scale=1.0)
    assert len(made) == 4


@pytest.mark.parametrize("targets", [[0, 5, 1], [0, 1], [0, 1, 2, 3]])
def test_targets_beyond_the_logits_are_refused(targets):
    """A compiled loop would write into memory that is not its own."""
    h, w = Tensor(np.ones((3, 4), np.float32)), Tensor(np.ones((5, 4), np.float32))
    with pytest.raises(ChronosError, match="targets do not fit the logits, expected 3 ids below 5"):
        apply(ops.LinearCrossEntropy, h, w, targets=np.array(targets), scale=1.0)


# ---- the others --------------------------------------------------------------------------------------------


def test_linear_and_embedding_are_their_definitions():
    rng = np.random.default_rng(3)
    x, w, b = (rng.standard_normal(s).astype(np.float32) for s in ((2, 3, 4), (5, 4), (5,)))
    assert np.allclose(apply(ops.Linear, Tensor(x), Tensor(w), Tensor(b)).data, x @ w.T + b, atol=1e-6)
    assert np.allclose(apply(ops.Linear, Tensor(x), Tensor(w), None).data, x @ w.T, atol=1e-6)
    ids, at = rng.integers(0, 5, (2, 3)), rng.integers(0, 2, (2, 3))
    table, places = w, rng.standard_normal((2, 4)).astype(np.float32)
    both = apply(ops.Embedding, Tensor(table), Tensor(places), ids=ids, at=at).data
    assert np.array_equal(both, table[ids] + places[at])
    assert np.array_equal(apply(ops.Embedding, Tensor(table), None, ids=ids, at=at).data, table[ids])


def test_what_wants_no_gradient_costs_no_product():
    x, w = Tensor(np.ones((3, 4))), Tensor(np.ones((5, 4)), requires_grad=True)
    y = apply(ops.Linear, x, w, None)
    dx, dw, db = ops.Linear.backward(y.creator, np.ones((3, 5)))
    assert dx is None and db is None and dw.shape == (5, 4)


def test_values_pass_qk_norm_and_rotary_untouched():
    rng = np.random.default_rng(4)
    x, gain = rng.standard_normal((2, 3, 16)), rng.standard_normal((2, 4))
    angles = rng.uniform(0, 6, (6, 2))
    normed = apply(ops.QKNorm, Tensor(x), Tensor(gain), eps=1e-5).data
    turned = apply(ops.Rotary, Tensor(x), cos=np.cos(angles), sin=np.sin(angles), heads=2).data
    for y in (normed, turned):
        assert np.array_equal(y[..., 8:], x[..., 8:])
        assert not np.allclose(y[..., :8], x[..., :8])
    lengths = [np.linalg.norm(a.reshape(2, 3, 4, 4), axis=-1) for a in (x, turned)]
    assert np.allclose(*lengths, rtol=1e-14)  # a turn keeps them


@pytest.mark.parametrize("f", [ops.GELU, ops.ReLU2, ops.SwiGLU], ids=str)
@pytest.mark.parametrize("wanted", [False, True])
def test_an_activation_and_its_linear_layer_in_one_op_are_the_same_bits(f, wanted):
    rng, found = np.random.default_rng(0), []
    shapes = (2, 40, 66), (9, 33 if f is ops.SwiGLU else 66), 9
    arrays = [rng.standard_normal(shape).astype(np.float32) for shape in shapes]
    for both in (True, False):
        x, w, b = (Tensor(a, requires_grad=True) for a in arrays)
        with amp(wanted):
            y = apply(ops.ActiveLinear, x, w, b, f=f) if both else apply(ops.Linear, apply(f, x), w, b)
            if both:
                assert set(y.creator.saved) == {"x", "w", "f"} and y.creator.saved["x"] is x.data
            backward(y, np.ones(y.shape, np.float32))
        found.append([y.data, x.grad, w.grad, b.grad])
    assert all(np.array_equal(one, other) for one, other in zip(*found))
    frozen = Tensor(arrays[1])
    backward(apply(ops.ActiveLinear, Tensor(arrays[0], requires_grad=True), frozen, None, f=f))
    assert frozen.grad is None


@pytest.mark.parametrize("op", [ops.GELU, ops.SwiGLU, ops.RMSNorm, ops.LayerNorm, ops.Linear], ids=str)
def test_strided_activations(op):
    """What a tap puts in place of an activation need not lie in one piece."""
    rng = np.random.default_rng(5)
    wide = rng.standard_normal((2, 6, 16)).astype(np.float32)
    rest = {
        ops.RMSNorm: [np.ones(8, np.float32)],
        ops.LayerNorm: [np.ones(8, np.float32), None],
        ops.Linear: [wide[0, :5, :8].copy(), None],
    }.get(op, [])
    settings = {"eps": 1e-5} if op in (ops.RMSNorm, ops.LayerNorm) else {}
    results = []
    for x in (wide[:, ::2, ::2], wide[:, ::2, ::2].copy()):
        tensor = Tensor(x, requires_grad=True)
        y = apply(op, tensor, *(None if a is None else Tensor(a) for a in rest), **settings)
        made = y.data
        backward(y, np.ones_like(made)[:, :, ::-1])
        results.append((made, tensor.grad))
    assert all(np.allclose(a, b, rtol=1e-6) for a, b in zip(*results))
