"""The assembled model: pieces agree with the whole, rows are alone, nothing leaks; what is refused."""

import numpy as np
import pytest

from chronos.architecture.config import DsaConfig
from chronos.architecture.layers import DropoutPlan
from chronos.architecture.tape import Tensor, backward, no_grad
from chronos.console import ChronosError
from chronos.memory.config import ModelConfig, config_dict, config_from
from chronos.memory.model import Model

SHAPES = {
    "default": {},
    "published": {"norm": "layernorm", "positions": "learned", "activation": "gelu", "bias": True},
    "grouped": {"kv_heads": 2, "qk_norm": True, "tied": False},
    "one key head": {"kv_heads": 1, "activation": "relu2", "positions": "none", "norm_bias": True},
    "then": {"preset": "then", "pattern": "kda dsa", "positions": "none", "dsa": DsaConfig(top_k=5)},
}
NEAR = 5e-6  # logits are of order one: some tens of roundings


def near(model) -> float:
    """Unit keys and the norm of each head magnify the roundings of short vectors."""
    return 4 * NEAR if "kda" in model.config.mixers else NEAR


def build(**settings) -> Model:
    """A model whose numbers are large enough for every position to matter (fresh ones are nearly uniform)."""
    shape = {"vocabulary": 40, "context": 16, "layers": 2, "width": 32, "heads": 4} | settings
    model = Model(ModelConfig(**shape), seed=3)
    rng = np.random.default_rng(9)
    for p in model.parameters().values():
        p.data[...] = p.data + rng.standard_normal(p.shape) * 0.15
    return model


@pytest.fixture(params=SHAPES)
def model(request):
    return build(**SHAPES[request.param])


TOKENS = np.random.default_rng(1).integers(0, 40, (3, 16))


def logits_in(model, tokens, pieces) -> np.ndarray:
    state, found, start = None, [], 0
    for size in pieces:
        out = model(tokens[:, start : start + size], state)
        found.append(model.logits(out.hidden))
        state, start = out.state, start + size
    return np.concatenate(found, axis=1)


@pytest.mark.parametrize("pieces", [[16], [1] * 16, [5, 5, 6], [1, 14, 1], [15, 1], [3] * 5 + [1]], ids=str)
def test_pieces_give_what_the_whole_gives(model, pieces):
    with no_grad():
        whole = model.logits(model(TOKENS, carry=False).hidden)
        assert np.abs(logits_in(model, TOKENS, pieces) - whole).max() <= near(model)
    assert np.abs(whole[:, 1:] - whole[:, :-1]).max() > 0.1  # else nothing was compared


def test_recording_computes_the_same(model):
    with no_grad():
        whole = model.logits(model(TOKENS).hidden)
    assert np.abs(model.logits(model(TOKENS).hidden) - whole).max() <= near(model)


def test_rows_of_different_lengths(model):
    """Padding in the middle: each row goes on behind its own last token, not behind the padding."""
    calls = [(5, [5, 2, 4]), (4, [1, 4, 2]), (6, [6, 3, 5]), (1, [1, 1, 1])]
    ends = np.zeros(3, int)
    found = [[] for _ in range(3)]
    with no_grad():
        whole = model.logits(model(TOKENS).hidden)
        state = None
        for width, lengths in calls:
            tokens = np.full((3, width), 39)
            for row, n in enumerate(lengths):
                tokens[row, :n] = TOKENS[row, ends[row] : ends[row] + n]
            out = model(tokens, state, lengths=np.array(lengths))
            logits, state = model.logits(out.hidden), out.state
            for row, n in enumerate(lengths):
                found[row].append(logits[row, :n])
            ends += lengths
    assert state.length.tolist() == ends.tolist() == [13, 10, 12]
    for row, n in enumerate(ends):
        assert np.abs(np.concatenate(found[row]) - whole[row, :n]).max() <= near(model)


def test_rows_do_not_touch_each_other(model):
    """Alone, repeated, reordered, beside others: the same; and exactly so for a change in another row."""
    with no_grad():
        whole = model.logits(model(TOKENS).hidden)
        order = [2, 0, 0, 1]
        assert np.abs(model.logits(model(TOKENS[order]).hidden) - whole[order]).max() <= near(model)
        for row in range(3):
            alone = model.logits(model(TOKENS[row : row + 1]).hidden)
            assert np.abs(alone[0] - whole[row]).max() <= near(model)
        changed = TOKENS.copy()
        changed[1] = (changed[1] + 7) % 40
        other = model.logits(model(changed).hidden)
        assert np.array_equal(other[[0, 2]], whole[[0, 2]]) and not np.allclose(other[1], whole[1])


@pytest.mark.parametrize("recorded", [False, True])
def test_padding_changes_nothing(model, recorded):
    lengths = np.array([9, 4, 11])
    found = []
    for padding in (0, 39):
        tokens = np.where(np.arange(12) < lengths[:, None], TOKENS[:, :12], padding)
        if recorded:
            found.append(model(tokens, lengths=lengths).hidden.data)
        else:
            with no_grad():
                found.append(model(tokens, lengths=lengths).hidden.data)
    for row, n in enumerate(lengths):
        assert np.array_equal(found[0][row, :n], found[1][row, :n])
        with no_grad():
            alone = model(TOKENS[row : row + 1, :n]).hidden.data
        assert np.abs(found[0][row, :n] - alone[0]).max() <= 10 * near(model)


# ---- leaks -------------------------------------------------------------------------------------------------


def gradient_at_inputs(model: Model, position: int, lengths=None) -> np.ndarray:
    """Of the hidden vector at one position of row 0, with respect to every token's embedding: (B, T, D)."""
    with no_grad():
        embedded = model.embed(TOKENS, np.tile(np.arange(16), (3, 1)))
    inputs = Tensor(embedded.data, requires_grad=True)
    real, model.embed = model.embed, lambda ids, at: inputs
    try:
        out = model(TOKENS, lengths=lengths).hidden
    finally:
        model.embed = real
    chosen = np.zeros_like(out.data)
    chosen[0, position] = np.random.default_rng(2).standard_normal(32)
    backward(out, chosen)
    return inputs.grad


@pytest.mark.parametrize("position", [0, 7, 15])
def test_no_gradient_flows_from_later_inputs(model, position):
    grad = np.abs(gradient_at_inputs(model, position)).max(-1)
    assert (grad[0, : position + 1] > 0).all()
    assert (grad[0, position + 1 :] == 0).all()
    assert (grad[1:] == 0).all()


def test_a_bidirectional_model_sees_both_sides():
    model = build(causal=False)
    grad = np.abs(gradient_at_inputs(model, 7, lengths=np.array([12, 16, 16]))).max(-1)
    assert (grad[0, :12] > 0).all()
    assert (grad[0, 12:] == 0).all() and (grad[1:] == 0).all()
    with no_grad():
        out = model(TOKENS)
        assert out.state is None
        changed = TOKENS.copy()
        changed[0, 15] = (changed[0, 15] + 1) % 40
        assert not np.allclose(model(changed).hidden.data[0, 0], out.hidden.data[0, 0])


def test_padding_targets_send_no_gradient_into_padding():
    model = build(tied=False)
    tokens, targets = TOKENS.copy(), np.roll(TOKENS, -1, axis=1)
    tokens[:, 10:], targets[:, 10:] = 39, -1
    grads = []
    for width in (16, 10):
        loss = model.loss(tokens[:, :width], targets[:, :width])
        backward(loss)
        grads.append((float(loss.data), {name: p.grad for name, p in model.parameters().items()}))
        for p in model.parameters().values():
            p.grad = None
    assert abs(grads[0][0] - grads[1][0]) <= 1e-6 * abs(grads[0][0])
    for name, grad in grads[0][1].items():
        assert np.allclose(grad, grads[1][1][name], atol=2e-5), name


# ---- loss --------------------------------------------------------------------------------------------------


def test_the_loss_is_that_of_the_logits(model):
    targets = np.roll(TOKENS, -1, axis=1)
    targets[:, -1] = -1
    with no_grad():
        z = model.logits(model(TOKENS).hidden).astype(np.float64)
    logp = z - np.log(np.exp(z).sum(-1, keepdims=True))
    expected = -0.25 * sum(logp[b, t, targets[b, t]] for b, t in np.ndindex(3, 15))
    assert abs(float(model.loss(TOKENS, targets, scale=0.25).data) - expected) <= 1e-6 * expected


def test_the_gradient_of_the_loss_is_its_slope():
    """Through the whole model: a small step against the gradient lowers the loss as much as it says."""
    model = build(**SHAPES["grouped"])
    targets = np.roll(TOKENS, -1, axis=1)
    before = model.loss(TOKENS, targets, scale=1 / 48)
    start = float(before.data)
    backward(before)
    square = sum(float(np.square(p.grad, dtype=np.float64).sum()) for p in model.parameters().values())
    step = 1e-3 / square
    for p in model.parameters().values():
        p.data -= step * p.grad
    with no_grad():
        fell = start - float(model.loss(TOKENS, targets, scale=1 / 48).data)
    assert abs(fell - 1e-3) < 2e-5


def test_dropout_is_for_training_alone():
    model = build()
    targets = np.roll(TOKENS, -1, axis=1)

    def losses(*counter):
        return float(model.loss(TOKENS, targets, dropout=DropoutPlan(0.2, *counter)).data)

    assert losses(1, 2, 3) == losses(1, 2, 3) != losses(1, 3, 3)
    assert float(model.loss(TOKENS, targets).data) == float(model.loss(TOKENS, targets).data)


@pytest.mark.parametrize("targets", [np.full((3, 16), 40), np.zeros((3, 15), int), np.zeros((2, 16), int)])
def test_wrong_targets_are_refused(targets):
    with pytest.raises(ChronosError, match="targets do not fit the logits, expected 48 ids below 40"):
        build().loss(TOKENS, targets)


# ---- what is refused, and how it starts --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tokens", "more", "told"),
    [
        (np.array([[40]]), {}, "token id out of range, expected 0…39, got 40…40"),
        (np.array([[-1, 3]]), {}, "token id out of range, expected 0…39, got -1…3"),
        (np.array([1, 2]), {}, "tokens must be integers (B, T)"),
        (np.zeros((2, 0), int), {}, "B and T at least 1, got int64 (2, 0)"),
        (np.zeros((0, 2), int), {}, "B and T at least 1, got int64 (0, 2)"),
        (np.zeros((1, 2)), {}, "B and T at least 1, got float64 (1, 2)"),
        (
            np.zeros((1, 17), int),
            {},
            "longer than the context, expected 16, got 17; give the model a shorter",
        ),
        (
            np.zeros((2, 3), int),
            {"lengths": np.array([3])},
            "another batch size, expected (2,), got (1,)",
        ),
        (
            np.zeros((2, 3), int),
            {"lengths": np.array([3, 4])},
            "lengths must be between 1 and T, expected 1…3",
        ),
        (np.zeros((2, 3), int), {"lengths": np.array([0, 3])}, "lengths must be between 1 and T"),
    ],
)
@pytest.mark.parametrize("recorded", [False, True])
def test_wrong_calls_are_refused_in_one_line(tokens, more, told, recorded):
    model = build()
    with pytest.raises(ChronosError) as refused:
        if recorded:
            model(tokens, **more)
        else:
            with no_grad():
                model(tokens, **more)
    assert told in str(refused.value) and "\n" not in str(refused.value)


def test_padding_may_reach_past_the_context(model):
    """A batch is padded to its longest new text; what a short context lacks is only room for padding."""
    with no_grad():
        whole = model.logits(model(TOKENS).hidden)
        state = model(TOKENS[:, :13], lengths=np.array([13, 13, 5])).state
        tail = np.stack([TOKENS[0, 13:16], TOKENS[1, 13:16], TOKENS[2, 5:8]])
        tail = np.concatenate([tail, np.zeros((3, 4), int)], axis=1)
        tail[2, 3:7] = TOKENS[2, 8:12]
        out = model(tail, state, lengths=np.array([3, 3, 7]))
        found = model.logits(out.hidden)
        with pytest.raises(ChronosError, match="sequence longer than the context, expected 16, got 17"):
            model(TOKENS[:, :1], out.state)
    assert np.abs(found[:2, :3] - whole[:2, 13:16]).max() <= near(model)
    assert np.abs(found[2, :7] - whole[2, 5:12]).max() <= near(model)


def test_where_a_state_has_no_place():
    model = build()
    with no_grad():
        state = model(TOKENS[:, :4]).state
        with pytest.raises(ChronosError, match="a state is carried by causal models, under no_grad"):
            model(TOKENS[:, 4:6], state, carry=False)
        with pytest.raises(ChronosError, match=r"state of another batch size, expected \(2,\), got \(3,\)"):
            model(TOKENS[:2, 4:6], state)
        assert model(TOKENS, carry=False).state is None
    with pytest.raises(ChronosError, match="a state is carried by causal models, under no_grad"):
        model(TOKENS[:, 4:6], state)
    assert model(TOKENS).state is None


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({}, "model.vocabulary is unknown; give a tokenizer"),
        ({"vocabulary": -3}, "model.vocabulary must not be negative, got -3"),
        ({"vocabulary": 5, "preset": "gtp"}, "unknown preset 'gtp', expected gpt or then"),
        ({"vocabulary": 5, "objective": "next"}, "unknown model.objective, expected next-token, got next"),
        ({"vocabulary": 5, "hedas": 3}, "unknown setting 'model.hedas'; did you mean 'heads'?"),
        ({"vocabulary": 5, "width": "wide"}, "setting 'model.width' needs int, got 'wide'"),
    ],
)
def test_absurd_configurations_are_refused(settings, told):
    with pytest.raises(ChronosError) as refused:
        Model(config_from(settings))
    assert told in str(refused.value)


def test_a_configuration_survives_being_written():
    config = ModelConfig(vocabulary=7, norm_eps=1e-6, kv_heads=2, tied=False)
    assert config_from(config_dict(config)) == config


def test_initial_numbers_depend_on_the_seed_alone():
    shape = ModelConfig(vocabulary=40, context=16, layers=2, width=32, heads=4, tied=False)
    a, b, c, empty = (Model(shape, seed) for seed in (5, 5, 6, None))
    for name, p in a.parameters().items():
        assert np.array_equal(p.data, b.parameters()[name].data)
        if p.data.ndim == 2:
            assert not np.array_equal(p.data, c.parameters()[name].data)
            assert not empty.parameters()[name].data.any()
    with no_grad():
        entropy = float(a.loss(TOKENS, TOKENS, scale=1 / TOKENS.size).data)
    assert abs(entropy - np.log(40)) < 0.1  # a fresh model knows nothing


def test_any_integer_type_of_tokens(model):
    with no_grad():
        expected = model(TOKENS).hidden.data
        for kind in (np.int32, np.uint16, np.uint8):
            assert np.array_equal(model(TOKENS.astype(kind)).hidden.data, expected)
        wide = np.repeat(TOKENS, 2, axis=1)[:, ::2]
        assert np.array_equal(model(wide).hidden.data, expected)


def test_one_token_and_long_contexts():
    """Positions beyond one block of queries, many chunks, and a context of one."""
    tiny = build(context=1)
    with no_grad():
        assert np.isfinite(tiny(TOKENS[:, :1]).hidden.data).all()
    model = build(context=1000, layers=1, kv_heads=2)
    tokens = np.random.default_rng(5).integers(0, 40, (1, 1000))
    with no_grad():
        whole = model.logits(model(tokens).hidden)
        assert np.abs(logits_in(model, tokens, [300, 1, 128, 127, 444]) - whole).max() <= 2 * NEAR
