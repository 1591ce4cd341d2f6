"""The compiled step gives what the model gives: every mixer, norm and position, on every ISA."""

import dataclasses

import numpy as np
import pytest

from chronos import native
from chronos.architecture.config import DsaConfig, KdaConfig
from chronos.architecture.layers import Module
from chronos.architecture.tape import no_grad
from chronos.console import ChronosError
from chronos.memory.config import ModelConfig
from chronos.memory.decode import decoder
from chronos.memory.model import Model
from chronos.memory.modeldir import quantize_model

if not native.available():
    pytest.skip("needs the C kernels", allow_module_level=True)
from chronos.native import compiled

GPT = ModelConfig(layers=3, heads=3, width=96, context=60, vocabulary=100, qk_norm=True)
PEER = dataclasses.replace(
    GPT, layers=2, heads=2, width=128, norm="layernorm", norm_bias=True, positions="learned",
    activation="gelu", qk_norm=False, tied=False,
)  # fmt: skip
ODD = ModelConfig(
    layers=2, heads=6, width=60, context=50, vocabulary=101, norm="layernorm", bias=True, kv_heads=2,
    activation="relu2",
)  # fmt: skip
THEN = ModelConfig(
    preset="then", layers=4, heads=4, width=128, context=120, vocabulary=100, pattern="kda kda kda dsa",
    positions="none", qk_norm=True,
)  # fmt: skip
ODD_THEN = ModelConfig(
    preset="then", layers=4, heads=2, width=40, context=60, vocabulary=100, pattern="kda dsa",
    kda=KdaConfig(3, 12, 5, True), dsa=DsaConfig(top_k=7, index_heads=3, index_width=10, index_rotary=4),
)  # fmt: skip
CONFIGS = {"gpt": GPT, "peer": PEER, "odd": ODD, "then": THEN, "odd then": ODD_THEN}


@pytest.fixture(autouse=True)
def as_before():
    threads = native.info()["threads"]
    yield
    compiled.choose_isa(None)
    native.set_threads(threads)


def make_model(name: str, seed: int = 3) -> Model:
    """Untrained, with nothing left as it starts: biases and gains too."""
    model, rng = Model(CONFIGS[name], seed), np.random.default_rng(seed)
    for p in model.parameters().values():
        p.data += 0.1 * rng.standard_normal(p.shape).astype(np.float32) * (p.data.ndim == 1)
    return model


def both_ways(model: Model, start: int = 5) -> tuple[float, float]:
    """The largest differences in logits and in state, against the largest numbers, over the whole context."""
    c = model.config
    ids = np.random.default_rng(0).integers(0, c.vocabulary, c.context)
    with no_grad():
        state = model(ids[None, :start]).state
        step = decoder(model, model(ids[None, :start]).state)
        off = 0.0
        for one in ids[start:]:
            out = model(np.array([[one]]), state)
            state, expected = out.state, model.logits(out.hidden)[0, -1]
            off = max(off, float(np.abs(step.step(one) - expected).max() / np.abs(expected).max()))
    after = step.state()
    assert list(after) == list(state) and after.length.tolist() == state.length.tolist() == [c.context]
    return off, max(float(np.abs(after[n] - state[n]).max() / np.abs(state[n]).max()) for n in state)


@pytest.mark.parametrize("isa", compiled.isas())
@pytest.mark.parametrize("name", CONFIGS)
def test_a_step_is_the_models_step(name, isa):
    model = make_model(name)
    compiled.choose_isa(isa)
    off, state_off = both_ways(model)
    assert off < 1e-5 and state_off < 1e-5


def pack_all(module: Module) -> None:
    for child, name in module.slots():
        if isinstance(child, Module):
            pack_all(child)
        elif isinstance(child, native.QuantTensor):
            setattr(module, name, native.pack(child))


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("qtype", ["Q8_0", "Q4_0", "Q2_K", "INT4", "F16"])
@pytest.mark.parametrize("name", ["gpt", "then"])
def test_quantized_weights_too(name, qtype, packed):
    model, _ = quantize_model(make_model(name), qtype)
    assert any(isinstance(w, native.QuantTensor) for _, w in model.named())
    if packed:
        pack_all(model)
    ids = np.arange(30)
    with no_grad():
        step = decoder(model, model(ids[None, :-1]).state)
        expected = model.logits(model(ids[None]).hidden)[0, -1]
    # x is rounded to 8 bits on the way, and a number between two codes may go either way
    assert np.abs(step.step(29) - expected).max() < 0.05 * np.abs(expected).max()


def test_threads_change_no_bit():
    model, found = Model(dataclasses.replace(THEN, width=512, context=40)), []
    with no_grad():
        state = model(np.arange(20)[None]).state
    for threads in (1, 2, 3, 5):
        native.set_threads(threads)
        step = decoder(model, state)
        found.append(b"".join(step.step(one).tobytes() for one in range(12)))
    assert len(set(found)) == 1


@pytest.mark.parametrize("name", ["gpt", "then"])
def test_a_state_can_be_continued_twice(name):
    model = make_model(name)
    with no_grad():
        state = model(np.arange(9)[None]).state
        kept = {n: a.copy() for n, a in state.items()}
        first, second = decoder(model, state), decoder(model, state)
        one = [first.step(t) for t in (1, 2, 3)]
        other = [second.step(t) for t in (7, 8)]
        middle = second.state()
        on = model(np.array([[4]]), middle)
        tails = (1, 2, 3), (7, 8), (7, 8, 4)
        whole = [model.logits(model(np.array([[*range(9), *tail]])).hidden)[0, -1] for tail in tails]
        found = one[-1], other[-1], model.logits(on.hidden)[0, -1]
    for logits, expected in zip(found, whole, strict=True):
        assert np.abs(logits - expected).max() < 1e-4 * np.abs(expected).max()
    for n, a in kept.items():
        seen = a[:, :9] if n.endswith((".k", ".v", ".index")) else a
        now = state[n][:, :9] if n.endswith((".k", ".v", ".index")) else state[n]
        assert np.array_equal(seen, now), n


def test_what_only_the_model_can_do_is_left_to_it():
    model = make_model("gpt")
    with no_grad():
        state, two = model(np.arange(4)[None]).state, model(np.arange(8).reshape(2, 4)).state
    assert decoder(model, None) is None and decoder(model, two) is None
    with model.tap("block.0.out", lambda x: x):
        assert decoder(model, state) is None
    dense = Model(dataclasses.replace(THEN, dsa=DsaConfig(stage="dense")))
    with no_grad():
        assert decoder(dense, dense(np.arange(4)[None]).state) is None
    assert decoder(model, state) is not None


def test_ids_and_places_that_are_not_there_are_refused():
    model = make_model("gpt")
    with no_grad():
        step = decoder(model, model(np.zeros((1, GPT.context - 1), int)).state)
    for token in (-1, 100, 1 << 40):
        with pytest.raises(ChronosError, match="out of range"):
            step.step(token)
    step.step(0)
    with pytest.raises(ChronosError, match="out of range"):
        step.step(0)  # the context is full
