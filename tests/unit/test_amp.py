"""Training with bf16 products: what is rounded, what is not, and that it learns as float32 does.

Expected values are sums in float64 of rounded inputs; a run's loss is held against the same run in float32.
"""

import threading

import numpy as np
import pytest

from chronos import native
from chronos.architecture import ops, products
from chronos.architecture.products import amp
from chronos.architecture.tape import Tensor, apply, backward
from chronos.console import ChronosError
from chronos.memory.config import ModelConfig
from chronos.memory.model import Model
from chronos.native.gemm_plain import bf16
from chronos.training import run as training_run
from chronos.training.config import TrainConfig, as_mapping, resolve
from chronos.training.lanes import Lanes
from chronos.training.stepper import Stepper

needs_bf16 = pytest.mark.skipif(not native.has_bf16(), reason="needs a CPU with bf16")


def rounded(x: np.ndarray) -> np.ndarray:
    return bf16(x).astype(np.float64)


def near(found: np.ndarray, a: np.ndarray, b: np.ndarray) -> bool:
    """found = a b of the rounded values, up to float32 sums."""
    return bool((np.abs(found - a @ b) <= 1e-5 * (np.abs(a) @ np.abs(b))).all())


def linear(dtype: type = np.float32) -> tuple[Tensor, Tensor, Tensor, np.ndarray]:
    rng = np.random.default_rng(0)
    x, w, b, g = (
        rng.standard_normal(shape).astype(dtype) for shape in ((2, 9, 70), (33, 70), 33, (2, 9, 33))
    )
    return Tensor(x, requires_grad=True), Tensor(w, requires_grad=True), Tensor(b, requires_grad=True), g


@needs_bf16
def test_a_linear_layer_rounds_what_enters_its_three_products():
    x, w, b, g = linear()
    with amp():
        y = apply(ops.Linear, x, w, b)
        backward(y, g)
    rows, flat = x.data.reshape(-1, 70), g.reshape(-1, 33)
    assert near(y.data.reshape(-1, 33) - b.data, rounded(rows), rounded(w.data).T)
    assert near(x.grad.reshape(-1, 70), rounded(flat), rounded(w.data))
    assert near(w.grad, rounded(flat).T, rounded(rows))
    assert np.allclose(b.grad, flat.sum(0), atol=1e-5)
    assert {a.dtype for a in (y.data, x.grad, w.grad)} == {np.dtype(np.float32)}


@needs_bf16
def test_the_head_rounds_in_every_chunk(monkeypatch):
    rng = np.random.default_rng(0)
    h, w = (rng.standard_normal(shape).astype(np.float32) * 0.3 for shape in ((50, 40), (90, 40)))
    targets = rng.integers(0, 90, 50)

    def gradients(h: np.ndarray, w: np.ndarray) -> tuple[np.ndarray, ...]:
        tensors = Tensor(h, requires_grad=True), Tensor(w, requires_grad=True)
        loss = apply(ops.LinearCrossEntropy, *tensors, targets=targets, scale=1.0)
        backward(loss)
        return loss.data, *(t.grad for t in tensors)

    exact = gradients(rounded(h), rounded(w))
    plain = gradients(h, w)
    for rows in (16, 4096):
        monkeypatch.setattr("chronos.architecture.ops.loss.chunk_rows", lambda _, rows=rows: rows)
        with amp():
            found = gradients(h, w)
        for ours, expected, float32 in zip(found, exact, plain):
            scale = np.abs(expected).max()
            assert np.abs(ours - expected).max() < 2.0**-8 * scale  # the slopes, too, are rounded once
            assert np.abs(ours - float32).max() > 1e-6 * scale


@needs_bf16
def test_a_linear_layer_keeps_half_of_its_input_and_only_for_the_weights():
    x, w, b, _ = linear()
    with amp():
        saved = apply(ops.Linear, x, w, b).creator.saved["x"]
        assert isinstance(saved, native.PackedMatrix)
        assert saved.nbytes == 2 * 18 * 96  # 18 rows, 70 columns in panels of 32
        assert apply(ops.Linear, x, Tensor(w.data), b).creator.saved["x"] is None
    assert np.shares_memory(apply(ops.Linear, x, w, b).creator.saved["x"], x.data)


@pytest.mark.parametrize("wanted", [False, True])
def test_a_linear_layer_of_no_rows(wanted):
    _, w, b, _ = linear()
    x = Tensor(np.zeros((2, 0, 70), np.float32), requires_grad=True)
    with amp(wanted):
        y = apply(ops.Linear, x, w, b)
        backward(y, np.zeros((2, 0, 33), np.float32))
    assert y.shape == (2, 0, 33) and x.grad.shape == (2, 0, 70)
    assert not w.grad.any() and not b.grad.any()


def attention(x: np.ndarray, g: np.ndarray, **more) -> tuple[np.ndarray, np.ndarray, dict]:
    """Output, gradient of x, and what is saved between."""
    tensor, B = Tensor(x, requires_grad=True), len(x)
    where = {"offsets": np.zeros(B, int), "lengths": np.array([150, 97])} | more
    y = apply(ops.Attention, tensor, heads=4, kv_heads=2, causal=True, **where)
    saved = dict(y.creator.saved)
    backward(y, g)
    return y.data, tensor.grad, saved


@needs_bf16
def test_attention_rounds_too_and_keeps_less():
    rng = np.random.default_rng(0)
    x, g = (rng.standard_normal(shape).astype(np.float32) for shape in ((2, 150, 128), (2, 150, 64)))
    exact, slopes, _ = attention(x.astype(float), g.astype(float))
    plain, _, kept = attention(x, g)
    assert np.abs(plain - exact).max() < 1e-5 and "o" in kept
    with amp():
        found, ours, saved = attention(x, g)
        twisted = attention(x.transpose(0, 2, 1).copy().transpose(0, 2, 1), g)
        read = apply(
            ops.Attention, Tensor(x), heads=4, kv_heads=2, causal=True, offsets=np.zeros(2, int),
            lengths=np.array([150, 97]), past=(x[..., 64:96], x[..., 96:]),
        )  # fmt: skip
        with pytest.raises(ChronosError, match="visible keys"):
            attention(x, g, lengths=np.array([150, 151]), offsets=np.array([0, 1]))
    for one, other in ((found, exact), (ours, slopes)):
        off = np.abs(one - other).max() / np.abs(other).max()
        assert 2.0**-16 < off < 2.0**-6 and one.dtype == np.float32
    assert np.array_equal(twisted[0], found) and np.array_equal(twisted[1], ours)
    assert np.array_equal(read.data, plain)  # where keys are read from a cache nothing is trained
    assert "o" not in saved


@pytest.mark.parametrize("wide", [False, True])
def test_without_it_and_in_float64_nothing_is_rounded(wide, monkeypatch):
    """float32 is native's where that is as fast as BLAS, else BLAS's; float64 always is."""
    monkeypatch.setattr(native, "has_wide", lambda: wide)
    monkeypatch.setattr(products, "MANY", 1)
    for dtype in (np.float32, np.float64):
        x, w, b, _ = linear(dtype)
        rows = x.data.reshape(-1, 70)
        expected = native.matmul_f32(rows, w.data.T) if wide and dtype == np.float32 else rows @ w.data.T
        with amp(dtype == np.float64):
            found = apply(ops.Linear, x, w, b).data
        assert np.array_equal(found, expected.reshape(2, 9, 33) + b.data)
        assert np.allclose(expected, rows.astype(float) @ w.data.T.astype(float), atol=1e-5)


@pytest.mark.skipif(not native.has_wide(), reason="needs AVX-512")
def test_a_row_is_the_same_among_others_and_added_products_are_sums():
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal(shape).astype(np.float32) for shape in ((300, 70), (70, 90)))
    whole, one, packed = np.empty((300, 90), np.float32), np.empty((1, 90), np.float32), products.prepared(b)
    assert isinstance(packed, native.PackedMatrix) and packed.kind == "f32"
    products.product(a, b, whole)
    assert np.array_equal(products.product(a, packed, np.empty_like(whole)), whole)
    few = products.product(a[17 : 17 + products.MANY], b, np.empty((products.MANY, 90), np.float32))
    assert np.array_equal(few, whole[17 : 17 + products.MANY])
    assert np.array_equal(products.product(a[:1], b, one), a[:1] @ b)  # BLAS's
    twice = products.add_product(a, b, whole.copy())
    assert np.allclose(twice, 2 * whole, atol=1e-5) and products.prepared(b.astype(float)).dtype == float


@needs_bf16
def test_each_thread_chooses_and_blocks_nest():
    a, b = (np.random.default_rng(i).standard_normal((20, 20)).astype(np.float32) for i in (0, 1))
    out, other = np.empty((20, 20), np.float32), np.empty((20, 20), np.float32)
    with amp():
        thread = threading.Thread(target=products.product, args=(a, b, other))
        thread.start()
        thread.join()
        with amp(False):
            assert np.array_equal(products.product(a, b, out), other) and np.allclose(other, a @ b, atol=1e-5)
        assert near(products.product(a, b, out), rounded(a), rounded(b))
    assert np.array_equal(products.product(a, b, out), other)


def test_on_a_cpu_without_bf16_products_are_float32(monkeypatch):
    monkeypatch.setattr(native, "has_bf16", lambda: False)
    x, w, b, _ = linear()
    expected = apply(ops.Linear, x, w, b).data
    with amp():
        assert np.array_equal(apply(ops.Linear, x, w, b).data, expected)


# ---- in training -------------------------------------------------------------------------------------------


def losses(amp: bool, steps: int = 40) -> np.ndarray:
    """The training loss of a small model on sentences with a rule, step by step."""
    shape = ModelConfig(vocabulary=23, context=24, width=48, layers=2, heads=2)
    config = TrainConfig(steps=steps, batch_size=8, lr=3e-3, warmup=5, amp=amp)
    rng, found = np.random.default_rng(0), []
    with Lanes(2) as lanes:
        stepper = Stepper(Model(shape, 0), config, lanes)
        for _ in range(steps):
            start = rng.integers(0, 23, (8, 1))
            tokens = (start + 5 * np.arange(25)) % 23
            found.append(stepper(tokens[:, :-1], tokens[:, 1:])["loss"])
    return np.array(found)


@needs_bf16
def test_the_loss_falls_as_in_float32():
    ours, float32 = losses(True), losses(False)
    assert ours[-1] < 0.5 * ours[0]
    assert np.abs(ours - float32).max() < 0.05 and not np.array_equal(ours, float32)
    assert np.array_equal(ours, losses(True))


def test_the_setting_is_saved_and_off_by_default():
    assert not resolve(environment={}).train.amp
    config = resolve(environment={}, flags={"train.amp": True})
    assert config.train.amp and as_mapping(config)["train"]["amp"] is True


def test_a_run_without_bf16_says_so_once(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(native, "has_bf16", lambda: False)
    text = tmp_path / "text.txt"
    text.write_text("One day a hen met a fox by the river. " * 200)
    shape = ["model.layers=1", "model.width=16", "model.heads=2", "model.context=16", "tokenizer.kind=char"]
    told = ["train.steps=3", "train.batch_size=4", "train.sample_tokens=0", "train.amp=true"]
    config = resolve(environment={}, overrides=[*shape, *told])
    training_run.start(config, training_run.Source(train=str(text)), tmp_path / "run")
    assert capsys.readouterr().err.count("no bf16") == 1
