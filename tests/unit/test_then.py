"""The preset `then`: three blocks of KDA to one of DSA, in a model, its state, training and directory."""

import numpy as np
import pytest

from chronos import native
from chronos.architecture.config import DsaConfig
from chronos.architecture.kda import Recurrence
from chronos.architecture.tape import backward, no_grad
from chronos.architecture.transformer import Stack
from chronos.console import ChronosError
from chronos.memory.config import ModelConfig, config_dict, config_from
from chronos.memory.generate import generate
from chronos.memory.model import Model
from chronos.memory.modeldir import quantize_model
from chronos.memory.sampling import Sampling
from chronos.memory.selftest import TOLERANCE, self_test
from chronos.memory.state import LENGTH, State, load_state, merge
from chronos.training.config import resolve
from chronos.training.loop import Interrupted, Trainer
from chronos.training.run import Source, resume, start

SHAPE = {
    "preset": "then", "pattern": "kda kda kda dsa", "positions": "none", "qk_norm": True, "vocabulary": 40,
    "context": 80, "layers": 4, "width": 32, "heads": 2, "dsa": DsaConfig(top_k=12, index_heads=2),
}  # fmt: skip
TOKENS = np.random.default_rng(1).integers(0, 40, (3, 70))
NEAR = (
    4e-5  # four blocks with unit keys and a norm of each head, which magnify the roundings of short vectors
)


@pytest.fixture(scope="module")
def model() -> Model:
    made = Model(ModelConfig(**SHAPE), seed=3)
    rng = np.random.default_rng(9)
    for p in made.parameters().values():
        p.data[...] = p.data + rng.standard_normal(p.shape) * 0.1
    return made


def read(model: Model, tokens: np.ndarray, pieces: list[int], state: State | None = None):
    found, start = [], 0
    with no_grad():
        for size in pieces:
            out = model(tokens[:, start : start + size], state)
            found.append(model.logits(out.hidden))
            state, start = out.state, start + size
    return np.concatenate(found, axis=1), state


# ---- state -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pieces", [[70], [1] * 70, [31, 1, 1, 37], [33, 37], [11, 21, 32, 6]], ids=str)
def test_pieces_give_what_the_whole_gives(model, pieces):
    """Cuts beside KDA's chunks of 32, and beside the 12 tokens that DSA may pick."""
    with no_grad():
        whole = model.logits(model(TOKENS, carry=False).hidden)
    assert np.abs(read(model, TOKENS, pieces)[0] - whole).max() <= NEAR


def test_what_the_state_holds(model):
    states = [read(model, TOKENS[:, :n], [n])[1] for n in (5, 60)]
    kda = {f"block.{i}.{name}" for i in range(3) for name in ("conv", "delta")}
    assert set(states[0]) == {*kda, "block.3.k", "block.3.v", "block.3.index", LENGTH}
    assert states[0]["block.0.delta"].shape == (3, 2, 16, 16)
    assert states[0]["block.0.conv"].shape == (3, 3, 96)
    assert states[0].nbytes == states[1].nbytes
    assert (np.abs(states[0]["block.3.index"]).sum(-1) > 0).sum(1).tolist() == [5, 5, 5]


def test_a_state_is_a_value(model, tmp_path):
    """Continued twice, reordered, merged, saved: each reads on as if alone."""
    whole, _ = read(model, TOKENS, [70])
    _, state = read(model, TOKENS[:, :40], [40])
    before = {name: a.copy() for name, a in state.items()}
    for _ in range(2):
        assert np.abs(read(model, TOKENS[:, 40:], [30], state)[0] - whole[:, 40:]).max() <= NEAR
    for name in ("block.1.delta", "block.2.conv"):
        assert np.array_equal(state[name], before[name])
    state.save(tmp_path / "a.state")
    both = merge([load_state(tmp_path / "a.state"), state.rows([2])]).rows([3, 0])
    found, _ = read(model, TOKENS[[2, 0], 40:], [30], both)
    assert np.abs(found - whole[[2, 0], 40:]).max() <= NEAR


def test_another_models_state_is_refused(model):
    plain = Model(ModelConfig(vocabulary=40, context=80, layers=4, width=32, heads=2))
    _, state = read(model, TOKENS, [5])
    with no_grad(), pytest.raises(ChronosError, match="the state is another model's"):
        plain(TOKENS[:, :3], state)


def test_far_tokens_reach_the_answer_through_each_tier(model):
    """What stands first changes what is said last: with the state, and through KDA or DSA alone."""
    changed = TOKENS.copy()
    changed[:, 0] = (changed[:, 0] + 1) % 40
    _, a = read(model, TOKENS[:, :60], [60])
    _, b = read(model, changed[:, :60], [60])
    own, _ = read(model, TOKENS[:, 60:], [10], a)
    for tier in ("delta", "index", "k"):
        mixed = State({name: (b if name.endswith(tier) else a)[name] for name in a})
        assert np.abs(read(model, TOKENS[:, 60:], [10], mixed)[0] - own).max() > 1e-6, tier


def test_the_self_test_passes_and_can_fail(model, monkeypatch):
    assert max(self_test(model).values()) <= TOLERANCE
    with monkeypatch.context() as broken:
        broken.setattr(Recurrence, "changed", lambda self: {"delta": self["delta"]})
        assert self_test(model)["token by token"] > TOLERANCE
    with monkeypatch.context() as broken:
        broken.setattr(Recurrence, "changed", lambda self: {"conv": self["conv"]})
        assert self_test(model)["in chunks"] > TOLERANCE


# ---- learning ----------------------------------------------------------------------------------------------


def test_the_gradient_of_the_loss_is_its_slope(model):
    """Where all tokens are picked there are no jumps: a small step lowers the loss as much as it says."""
    smooth = Model(ModelConfig(**{**SHAPE, "dsa": DsaConfig(top_k=80, index_heads=2)}), None)
    for name, p in smooth.parameters().items():
        p.data[...] = model.parameters()[name].data
    targets = np.roll(TOKENS, -1, axis=1)
    before = smooth.loss(TOKENS, targets, scale=1 / TOKENS.size)
    start_loss = float(before.data)
    backward(before)
    main = {name: p for name, p in smooth.parameters().items() if ".indexer." not in name}
    square = sum(float(np.square(p.grad, dtype=np.float64).sum()) for p in main.values())
    for p in main.values():
        p.data -= 1e-3 / square * p.grad
    with no_grad():
        fell = start_loss - float(smooth.loss(TOKENS, targets, scale=1 / TOKENS.size).data)
    assert abs(fell - 1e-3) < 5e-5


def test_every_parameter_learns(model):
    loss = model.loss(TOKENS, np.roll(TOKENS, -1, axis=1))
    backward(loss)
    for name, p in model.parameters().items():
        assert p.grad is not None and p.grad.any() and np.isfinite(p.grad).all(), name
        p.grad = None


def test_another_stage_has_the_same_weights(model):
    dense = model.at_stage("dense")
    assert dense.config.dsa.stage == "dense" and model.config.dsa.stage == "sparse"
    assert dense.at_stage("sparse").config == model.config
    with no_grad():
        sparse, all_seen, back = (m(TOKENS).hidden.data for m in (model, dense, dense.at_stage("sparse")))
    assert np.array_equal(sparse, back) and not np.allclose(sparse, all_seen, atol=1e-3)
    dense.parameters()["embed.weight"].data[...] = 0
    assert model.parameters()["embed.weight"].data.any()
    with pytest.raises(ChronosError, match=r"unknown model\.dsa\.stage"):
        model.at_stage("denser")


def test_how_a_stack_starts():
    """The numbers of a block depend on its name alone, the seed, and not on where others are."""
    a, b = (Model(ModelConfig(**SHAPE), seed).parameters() for seed in (5, 5))
    c = Model(ModelConfig(**SHAPE), 6).parameters()
    assert all(np.array_equal(a[name].data, b[name].data) for name in a)
    for name in ("conv", "step"):
        assert not np.array_equal(
            a[f"stack.block.1.attention.{name}"].data, c[f"stack.block.1.attention.{name}"].data
        )
    assert not np.array_equal(a["stack.block.0.attention.conv"].data, a["stack.block.1.attention.conv"].data)
    assert isinstance(Model(ModelConfig(**SHAPE), None).stack, Stack)


TINY = """tokenizer.kind=char model.layers=4 model.heads=2 model.width=16 model.context=40 train.batch_size=4
    model.dsa.top_k=8 model.dsa.index_heads=2 train.steps=6 train.warmup=2 train.eval_every=3 train.lr=1e-3
    train.checkpoint_every=3 train.sample_tokens=4 train.keep_checkpoints=9 train.eval_tokens=200""".split()


def test_a_run_resumes_to_the_last_bit(tmp_path, monkeypatch):
    text = tmp_path / "text.txt"
    text.write_text("the cat sat on the mat. a dog ran to the cat and sat. " * 20)
    config = resolve(preset="then", overrides=TINY, environment={})
    assert config.model.mixers == ("kda", "kda", "kda", "dsa") and config.train.optimizer == "muon"
    whole = start(config, Source(str(text)), tmp_path / "whole")
    real = Trainer.one_step

    def stop_at_three(self):
        row = real(self)
        self.stop_wanted = self.step == 3
        return row

    with monkeypatch.context() as stopped, pytest.raises(Interrupted):
        stopped.setattr(Trainer, "one_step", stop_at_three)
        start(config, Source(str(text)), tmp_path / "cut")
    again = resume(tmp_path / "cut", {})
    weights = [(tmp_path / run / "model" / "model.safetensors").read_bytes() for run in ("whole", "cut")]
    assert weights[0] == weights[1] and whole["val_nats"] == again["val_nats"]


# ---- use ---------------------------------------------------------------------------------------------------


def test_it_generates_past_its_context(model):
    one, two = (
        list(generate(model, [1, 2, 3], max_new_tokens=100, sampling=Sampling(seed=4))) for _ in range(2)
    )
    assert one == two and len(one) == 100 and len(set(one)) > 5


def test_it_can_be_quantized(model):
    small, left = quantize_model(model, "Q8_0")
    assert left == [
        f"stack.block.{i}.attention.{gate}_up.weight" for i in range(3) for gate in ("decay", "gate")
    ]
    with no_grad():
        exact, close = (m.logits(m(TOKENS).hidden) for m in (model, small))
    assert 0 < np.abs(exact - close).mean() < 0.2 * np.abs(exact).mean()
    if native.available():  # NumPy's sums vary with the other rows, and rounding x makes steps of that
        assert max(self_test(small).values()) <= TOLERANCE


def test_the_configuration_survives_being_written():
    config = ModelConfig(**SHAPE)
    plain = config_dict(config)
    assert plain["pattern"] == "kda kda kda dsa" and plain["dsa"]["top_k"] == 12
    assert config_from(plain) == config
    with pytest.raises(ChronosError, match=r"unknown setting 'model\.dsa\.topk'; did you mean 'top_k'"):
        config_from({"vocabulary": 5, "dsa": {"topk": 3}})
