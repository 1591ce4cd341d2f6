"""AdamW and Muon: who gets which, what a step does, and that moments are all the state there is."""

import dataclasses
import threading
import time

import numpy as np
import pytest

from chronos.architecture.kernels.workspace import workspace
from chronos.memory.config import ModelConfig
from chronos.memory.model import Model
from chronos.training.config import TrainConfig
from chronos.training.lanes import Lanes
from chronos.training.optimizer import Optimizer, balanced, orthogonalize
from chronos.training.stepper import Stepper

SMALL = ModelConfig(layers=2, heads=2, width=64, context=16, vocabulary=40, qk_norm=True, positions="learned")


@pytest.fixture
def batch():
    ids = np.random.default_rng(1).integers(0, 40, (8, 17))
    return ids[:, :-1], ids[:, 1:]


@pytest.mark.parametrize("shape", [(64, 256), (256, 64), (48, 48)])
def test_orthogonalize_brings_singular_values_near_one(shape):
    g = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    u, s, v = np.linalg.svd(g, full_matrices=False)
    made = orthogonalize(g)
    values = np.diag(u.T @ made @ v.T)  # same singular vectors, other values
    assert np.abs(made - (u * values) @ v).max() < 1e-3
    assert values.max() < 1.25
    assert (
        values[s > 0.1 * s.max()].min() > 0.5
    )  # the smallest of a square matrix stay small: five steps only


def test_muon_takes_the_hidden_matrices_and_nothing_else():
    optimizer = Optimizer(Model(SMALL).parameters(), TrainConfig(optimizer="muon"))
    muon = {name for name in optimizer.parameters if optimizer.is_muon(name)}
    parts = ("attention.qkv", "attention.out", "ffn.up", "ffn.down")
    assert muon == {f"stack.block.{i}.{part}.weight" for i in range(2) for part in parts}
    assert f"v.{next(iter(muon))}" not in optimizer.state
    assert "v.embed.weight" in optimizer.state


def test_weight_decay_spares_vectors_and_gains():
    optimizer = Optimizer(Model(SMALL).parameters(), TrainConfig(lr=0.1, weight_decay=0.5))
    for name, p in optimizer.parameters.items():
        before = p.data.copy()
        optimizer.update(name, np.zeros_like(p.data), 1, 1.0, 1.0)
        decays = p.data.ndim >= 2 and not name.endswith("gain")
        assert np.allclose(p.data, before * (0.95 if decays else 1.0), rtol=1e-6), name


def test_groups_are_balanced_and_complete():
    sizes = {f"p{i}": (i + 1) ** 2 for i in range(11)}
    groups = balanced(sizes, 2)
    assert sorted(name for group in groups for name in group) == sorted(sizes)
    loads = [sum(sizes[name] for name in group) for group in groups]
    assert abs(loads[0] - loads[1]) < 0.1 * sum(loads)


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_training_lowers_the_loss(batch, optimizer):
    config = TrainConfig(batch_size=8, lr=3e-3, warmup=0, optimizer=optimizer, steps=100)
    with Lanes(1) as lanes:
        stepper = Stepper(Model(SMALL), config, lanes)
        losses = [stepper(*batch)["loss"] for _ in range(30)]
    assert losses[0] == pytest.approx(np.log(40), abs=0.1)
    assert losses[-1] < 0.5 * losses[0]


def _weights_after(batch, lanes: int, c: TrainConfig, steps: int = 3) -> dict[str, np.ndarray]:
    model = Model(SMALL)
    with Lanes(lanes) as threads:
        stepper = Stepper(model, c, threads)
        for _ in range(steps):
            stepper(*batch)
    return {name: p.data for name, p in model.parameters().items()}


def _largest_difference(a, b) -> float:
    return max(float(np.abs(a[name] - b[name]).max()) for name in a)


@pytest.mark.parametrize("lanes", [2, 3, 8])
def test_lanes_compute_what_one_lane_computes(batch, lanes):
    c = TrainConfig(batch_size=8, lr=1e-3, warmup=0)
    one, more = _weights_after(batch, 1, c), _weights_after(batch, lanes, c)
    # Adam divides by √v: where a gradient is nearly 0, its rounding is amplified: in some of 10⁵ weights.
    off = np.concatenate([np.abs(one[name] - more[name]).reshape(-1) for name in one])
    assert (off > 3e-6).sum() <= 1e-4 * off.size and off.max() < 0.1 * c.lr
    assert all(np.array_equal(a, b) for a, b in zip(more.values(), _weights_after(batch, lanes, c).values()))


def test_each_lane_keeps_its_thread_and_memory(batch):
    """Steps after the second take nothing from the system, in any lane."""
    with Lanes(2) as lanes:
        stepper = Stepper(Model(SMALL), TrainConfig(batch_size=8), lanes)
        names = [lanes.run([lambda: threading.current_thread().name] * 2) for _ in range(5)]
        for _ in range(3):
            stepper(*batch)
        before = lanes.run([lambda: workspace().misses] * 2)
        for _ in range(4):
            stepper(*batch)
        assert lanes.run([lambda: workspace().misses] * 2) == before
        assert min(before) > 0
    assert len(set(map(tuple, names))) == 1 and len(set(names[0])) == 2


def test_a_failing_lane_is_raised_when_all_have_stopped():
    seen = []

    def slow():
        time.sleep(0.1)
        seen.append("done")

    with Lanes(2) as lanes, pytest.raises(ZeroDivisionError):
        try:
            lanes.run([lambda: 1 / 0, slow])
        finally:
            assert seen == ["done"]


def test_accumulation_is_the_gradient_of_the_whole(batch):
    whole = TrainConfig(batch_size=8, lr=1e-3, warmup=0)
    parts = dataclasses.replace(whole, batch_size=2, accumulation_steps=4)
    assert _largest_difference(_weights_after(batch, 1, whole), _weights_after(batch, 1, parts)) < 2e-5


def test_accumulation_weighs_tokens_not_passes(batch):
    """Rows with few valid targets must not count as much as full ones."""
    tokens, targets = batch
    targets = targets.copy()
    targets[:4, 2:] = -1
    whole, parts = (
        TrainConfig(batch_size=8, warmup=0),
        TrainConfig(batch_size=4, accumulation_steps=2, warmup=0),
    )
    with Lanes(1) as lanes:
        a, b = (Stepper(Model(SMALL), c, lanes)(tokens, targets) for c in (whole, parts))
    assert a["loss"] == pytest.approx(b["loss"], rel=1e-6)
    assert a["grad_norm"] == pytest.approx(b["grad_norm"], rel=1e-5)


def test_clipping_bounds_the_step(batch):
    c = TrainConfig(batch_size=8, warmup=0, grad_clip=1e-3, optimizer="adamw", beta1=0.0, beta2=0.0)
    free = dataclasses.replace(c, grad_clip=0.0)
    with Lanes(1) as lanes:
        steppers = [Stepper(Model(SMALL), config, lanes) for config in (c, free)]
        norms = [stepper(*batch)["grad_norm"] for stepper in steppers]
    assert norms[0] == norms[1] > 1e-3  # the reported norm is that before clipping
    name = "m.embed.weight"
    clipped, whole = (s.optimizer.state[name] for s in steppers)
    assert np.allclose(clipped, whole * (1e-3 / norms[0]), rtol=1e-3, atol=1e-12)


def test_dropout_differs_by_step_and_is_repeatable(batch):
    c = TrainConfig(batch_size=8, warmup=0, lr=0.0, min_lr=0.0, dropout=0.3)
    with Lanes(2) as lanes:
        a, b = (Stepper(Model(SMALL), c, lanes) for _ in range(2))
        losses = [a(*batch)["loss"] for _ in range(3)]
        assert losses == [b(*batch)["loss"] for _ in range(3)]
    assert len(set(losses)) == 3
