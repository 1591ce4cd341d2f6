"""Layers: names, replicas, initial numbers, float and quantized products, dropout's counter, taps."""

import threading

import numpy as np
import pytest

from chronos import native
from chronos.architecture.layers import (
    DropoutPlan,
    Embedding,
    Linear,
    Module,
    Norm,
    Taps,
    normal,
    parameter,
)
from chronos.architecture.tape import Tensor, backward, no_grad
from chronos.console import ChronosError


class Pair(Module):
    """A module of modules, a list of them, and a parameter."""

    def __init__(self):
        self.first = Linear(4, 3, bias=True)
        self.items = [Norm("rmsnorm", 4, False, 1e-5), Linear(4, 4, bias=False)]
        self.gain = parameter((4,), 2.0)
        self.note = "not a parameter"
        self.absent = None


NAMES = ["first.weight", "first.bias", "items.0.weight", "items.1.weight", "gain"]


def test_parameters_are_named_in_order():
    pair = Pair()
    assert [name for name, _ in pair.named()] == NAMES
    assert list(pair.parameters()) == NAMES
    outer = Module()
    outer.pair = pair
    assert list(outer.parameters()) == [f"pair.{name}" for name in NAMES]
    assert (pair.parameters()["gain"].data == 2).all()
    assert pair.parameters()["gain"].data.dtype == np.float32


def test_quantized_weights_are_named_but_are_no_parameters():
    pair = Pair()
    pair.first.weight = native.quantize(np.ones((3, 32), np.float32), "Q8_0")
    assert [name for name, _ in pair.named()] == NAMES
    assert list(pair.parameters()) == NAMES[1:]


def test_a_replica_shares_weights_and_nothing_else():
    pair = Pair()
    twin = pair.replica()
    assert list(twin.parameters()) == NAMES
    for mine, theirs in zip(pair.parameters().values(), twin.parameters().values()):
        assert theirs is not mine and theirs.data is mine.data and theirs.requires_grad
    assert twin.items is not pair.items and twin.items[1] is not pair.items[1]
    backward(twin.first(Tensor(np.ones((1, 4), np.float32))))
    assert twin.first.weight.grad is not None and pair.first.weight.grad is None
    pair.first.weight.data[...] = 5
    assert (twin.first(Tensor(np.ones((1, 4), np.float32))).data == 20).all()


def test_replicas_train_side_by_side():
    """Two threads on one set of weights: each finds its own gradients."""
    pair = Pair()
    replicas = [pair.replica() for _ in range(2)]

    def train(i: int) -> None:
        for _ in range(50):
            backward(replicas[i].first(Tensor(np.full((1, 4), float(i + 1), np.float32))))

    threads = [threading.Thread(target=train, args=(i,)) for i in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [float(r.first.weight.grad[0, 0]) for r in replicas] == [50, 100]


def test_initial_numbers_depend_on_seed_and_name_alone():
    a = normal((30, 40), 0.02, 1, "block.0.weight")
    normal((5,), 1.0, 1, "another")
    assert np.array_equal(a, normal((30, 40), 0.02, 1, "block.0.weight"))
    assert np.array_equal(a[:3], normal((3, 40), 0.02, 1, "block.0.weight"))
    assert a.dtype == np.float32
    assert abs(a.std() - 0.02) < 0.001 and abs(a.mean()) < 0.002
    for other in (normal((30, 40), 0.02, 2, "block.0.weight"), normal((30, 40), 0.02, 1, "block.1.weight")):
        assert abs(np.corrcoef(a.reshape(-1), other.reshape(-1))[0, 1]) < 0.15


# ---- quantized weights -------------------------------------------------------------------------------------


@pytest.mark.parametrize("qtype", ["Q8_0", "Q4_0"])
def test_linear_takes_quantized_weights(qtype):
    rng = np.random.default_rng(0)
    layer = Linear(64, 10, bias=True)
    layer.weight.data[...] = rng.standard_normal((10, 64))
    layer.bias.data[...] = rng.standard_normal(10)
    x = Tensor(rng.standard_normal((2, 3, 64)).astype(np.float32))
    packed = native.quantize(layer.weight.data, qtype)
    layer.weight.data[...] = native.dequantize(packed)
    exact = layer(x).data
    layer.weight = packed
    found = layer(x).data
    assert found.shape == (2, 3, 10)
    # each 32 of x are rounded to 255 steps: the bound that native states
    step = np.abs(x.data.reshape(2, 3, 2, 32)).max(-1) / 127 / 2
    weight = np.abs(native.dequantize(packed)).reshape(10, 2, 32).sum(-1)
    assert (np.abs(found - exact) <= np.einsum("btk,nk->btn", step, weight) + 1e-4).all()


def test_no_gradient_is_lost_in_quantized_weights():
    layer = Linear(32, 3, bias=False)
    layer.weight = native.quantize(np.ones((3, 32), np.float32), "Q8_0")
    x = Tensor(np.ones((1, 32), np.float32), requires_grad=True)
    with pytest.raises(ChronosError, match="quantized weights pass no gradients; evaluate under no_grad"):
        layer(x)
    with no_grad():
        assert np.allclose(layer(x).data, 32, rtol=1e-3)


@pytest.mark.parametrize("positions", [0, 7])
def test_embedding_takes_quantized_rows(positions):
    rng = np.random.default_rng(1)
    embed = Embedding(20, 32, positions)
    embed.weight.data[...] = rng.standard_normal((20, 32))
    if positions:
        embed.positions.data[...] = rng.standard_normal((7, 32))
    packed = native.quantize(embed.weight.data, "Q8_0")
    embed.weight.data[...] = native.dequantize(packed)
    ids, at = rng.integers(0, 20, (2, 3)), rng.integers(0, 7, (2, 3))
    exact = embed(ids, at).data
    embed.weight = packed
    assert np.array_equal(embed(ids, at).data, exact)


# ---- the small ones ----------------------------------------------------------------------------------------


def test_norms_are_their_formulas():
    x = np.random.default_rng(2).standard_normal((2, 3, 8)).astype(np.float32)
    layer, rms = Norm("layernorm", 8, True, 1e-5), Norm("rmsnorm", 8, True, 1e-5)
    layer.weight.data[...], layer.bias.data[...], rms.weight.data[...] = 3, 1, 3
    assert rms.bias is None and Norm("layernorm", 8, False, 1e-5).bias is None
    centred = x - x.mean(-1, keepdims=True)
    expected = 3 * centred / np.sqrt(np.square(centred).mean(-1, keepdims=True) + 1e-5) + 1
    assert np.allclose(layer(Tensor(x)).data, expected, atol=1e-5)
    expected = 3 * x / np.sqrt(np.square(x).mean(-1, keepdims=True) + 1e-5)
    assert np.allclose(rms(Tensor(x)).data, expected, atol=1e-5)


def test_dropout_is_a_function_of_its_counter():
    x = Tensor(np.ones((40, 50), np.float32), requires_grad=True)

    def masks(*counter: int) -> list[np.ndarray]:
        plan = DropoutPlan(0.4, *counter)
        return [plan(x).data != 0 for _ in range(2)]

    first, second = masks(1, 2, 3)
    assert np.array_equal(first, masks(1, 2, 3)[0]) and np.array_equal(second, masks(1, 2, 3)[1])
    for other in (second, masks(2, 2, 3)[0], masks(1, 3, 3)[0], masks(1, 2, 4)[0]):
        assert abs(np.corrcoef(first.reshape(-1), other.reshape(-1))[0, 1]) < 0.1
    y = DropoutPlan(0.4, 1, 2, 3)(x)
    kept = y.data.copy()
    backward(y)
    assert np.array_equal(x.grad, kept)
    assert np.unique(kept).tolist() == [0, np.float32(1 / 0.6)]


def test_taps_read_and_replace_in_order():
    taps, seen = Taps(), []
    x = Tensor(np.zeros(2))
    assert taps.visit("here", x) is x
    taps.attached["here"] = [
        lambda t: seen.append(t.data.tolist()),
        lambda t: Tensor(t.data + 1),
        lambda t: Tensor(t.data * 10),
    ]
    assert taps.visit("here", x).data.tolist() == [10, 10]
    assert taps.visit("there", x) is x
    assert seen == [[0, 0]]
