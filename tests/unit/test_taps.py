"""Taps read and replace activations; the self-test of a model's state passes, and fails where it should."""

import numpy as np
import pytest

from chronos import native
from chronos.architecture import ops
from chronos.architecture.attention import KeyValueCache
from chronos.architecture.config import DsaConfig
from chronos.architecture.tape import Tensor, apply, backward, no_grad
from chronos.console import ChronosError
from chronos.memory.config import ModelConfig
from chronos.memory.model import Model
from chronos.memory.selftest import TOLERANCE, self_test

SHAPES = {
    "default": {},
    "published": {"norm": "layernorm", "positions": "learned", "activation": "gelu", "bias": True},
    "grouped": {"kv_heads": 2, "qk_norm": True, "tied": False},
    "one key head": {"kv_heads": 1, "activation": "relu2", "positions": "none", "norm_bias": True},
    "then": {"preset": "then", "pattern": "kda dsa", "positions": "none", "dsa": DsaConfig(top_k=5)},
}


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


def test_taps_read_every_named_activation(model):
    seen = {}
    names = [f"block.{i}.{part}" for i in range(2) for part in ("attention", "ffn", "out")]
    with no_grad():
        before = model(TOKENS).hidden.data
        for name in names:
            with model.tap(name, lambda x, name=name: seen.update({name: x.data.copy()})):
                assert np.array_equal(model(TOKENS).hidden.data, before)
        assert set(seen) == set(names) and all(a.shape == (3, 16, 32) for a in seen.values())
        embedded = model.embed(TOKENS, np.tile(np.arange(16), (3, 1))).data
        summed = embedded + seen["block.0.attention"] + seen["block.0.ffn"]
        assert np.allclose(seen["block.0.out"], summed, atol=1e-5)
        assert np.allclose(model.stack.norm(Tensor(seen["block.1.out"])).data, before, atol=1e-5)


def test_taps_replace_while_their_block_runs(model):
    with no_grad():
        before = model(TOKENS).hidden.data
        with model.tap("block.0.attention", lambda x: Tensor(np.zeros_like(x.data))):
            ablated = model(TOKENS).hidden.data
            assert not np.allclose(ablated, before)
            inside = model.replica()(TOKENS).hidden.data  # lanes see the taps of their model
            assert np.array_equal(inside, ablated)
        assert np.array_equal(model(TOKENS).hidden.data, before)
        with pytest.raises(KeyError), model.tap("block.0.out", lambda x: {}["gone"]):
            model(TOKENS)
        assert np.array_equal(model(TOKENS).hidden.data, before)


def test_gradients_flow_through_what_a_tap_puts_in():
    model = build()
    bias = Tensor(np.zeros((3, 16, 32), np.float32), requires_grad=True)
    with model.tap("block.0.out", lambda x: apply(ops.Add, x, bias)):
        backward(model.loss(TOKENS, TOKENS))
    assert np.abs(bias.grad).max() > 0
    assert model.parameters()["embed.weight"].grad is not None


def test_an_unknown_tap_is_refused():
    with pytest.raises(
        ChronosError, match=r"no activation is named 'block\.2\.out', expected one of block\.0"
    ):
        build().tap("block.2.out", print).__enter__()


# ---- the self-test -----------------------------------------------------------------------------------------


def test_the_self_test_passes_and_can_fail(model, monkeypatch):
    found = self_test(model)
    assert set(found) == {"in chunks", "token by token", "row by row", "padded"}
    assert max(found.values()) <= TOLERANCE
    monkeypatch.setattr(KeyValueCache, "append", lambda *_: None)
    assert self_test(model)["token by token"] > TOLERANCE


def test_the_self_test_of_other_models():
    assert set(self_test(build(causal=False))) == {"row by row", "padded"}
    assert max(self_test(build(context=2)).values()) <= TOLERANCE
    quantized = build(width=64)
    quantized.embed.weight = native.quantize(quantized.embed.weight.data, "Q8_0")
    assert max(self_test(quantized).values()) <= TOLERANCE
