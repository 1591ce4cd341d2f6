"""The whole `gpt` step and AdamW against PyTorch, from fixtures; with torch there, the fixtures themselves.

Comparing needs no torch and runs with every `make test`; making the fixtures anew does (`make test-oracle`).
"""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open

from chronos.architecture import kernels, ops
from chronos.architecture.kernels import plain
from chronos.architecture.tape import apply, backward, no_grad
from chronos.memory.config import config_from
from chronos.memory.model import Model

HERE = Path(__file__).parent
FIXTURES = HERE.parent / "fixtures"
MODELS = ("gpt2", "modern", "both_ways")


def read(name: str) -> tuple[dict[str, np.ndarray], dict]:
    """A fixture's arrays and its metadata."""
    with safe_open(str(FIXTURES / f"gpt_{name}.safetensors"), "numpy") as file:
        arrays = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (no mapping)
        return arrays, {key: json.loads(value) for key, value in file.metadata().items() if key != "made_by"}


def step(name: str, kind: type) -> tuple[float, dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Our loss, our gradients by name, and the fixture's arrays."""
    arrays, metadata = read(name)
    model = Model(config_from(metadata["config"]), seed=None)
    parameters = model.parameters()
    assert set(parameters) == {key[8:] for key in arrays if key.startswith("weights.")}
    for key, p in parameters.items():
        weights = arrays[f"weights.{key}"]
        assert weights.shape == p.shape
        p.data = weights.astype(kind)
    targets = arrays["targets"].reshape(-1)
    hidden = model(arrays["tokens"], lengths=arrays["lengths"]).hidden
    scale = 1 / int((targets >= 0).sum())
    loss = apply(ops.LinearCrossEntropy, hidden, model.output_weight, targets=targets, scale=scale)
    backward(loss)
    return float(loss.data), {key: p.grad for key, p in parameters.items()}, arrays


@pytest.mark.parametrize(("kind", "room"), [(np.float32, 1e-5), (np.float64, 3e-7)], ids=["fast", "plain"])
@pytest.mark.parametrize("name", MODELS)
def test_loss_and_gradients_are_torchs(name, kind, room):
    """Relative error, by parameter; in float64 what is left is the fixture's own float32."""
    loss, gradients, arrays = step(name, kind)
    assert abs(loss - arrays["loss"]) <= room * arrays["loss"]
    for key, ours in gradients.items():
        theirs = arrays[f"gradients.{key}"].astype(np.float64)
        assert ours.dtype == kind
        assert np.linalg.norm(theirs) > 1e-4, key  # else nothing is compared
        assert np.linalg.norm(ours - theirs) <= room * np.linalg.norm(theirs), key
        assert np.abs(ours - theirs).max() <= 5 * room * np.abs(theirs).max(), key


@pytest.mark.parametrize("name", MODELS)
def test_the_models_own_loss_and_logits_are_torchs(name):
    """`model.loss` where rows are whole; logits give the same loss by the definition of cross-entropy."""
    arrays, metadata = read(name)
    model = Model(config_from(metadata["config"]), seed=None)
    for key, p in model.parameters().items():
        p.data[...] = arrays[f"weights.{key}"]
    tokens, targets, lengths = arrays["tokens"], arrays["targets"], arrays["lengths"]
    with no_grad():
        logits = model.logits(model(tokens, lengths=lengths).hidden).astype(np.float64)
        if (lengths == tokens.shape[1]).all():
            ours = float(model.loss(tokens, targets, scale=1 / int((targets >= 0).sum())).data)
            assert abs(ours - arrays["loss"]) <= 2e-6 * arrays["loss"]
    logp = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    chosen = np.take_along_axis(logp, np.maximum(targets, 0)[..., None], -1)[..., 0]
    assert abs(-chosen[targets >= 0].mean() - arrays["loss"]) <= 2e-6 * arrays["loss"]


@pytest.mark.parametrize("module", [kernels, plain], ids=["fast", "plain"])
def test_adamw_is_torchs(module):
    arrays, metadata = read("adamw")
    s = metadata["settings"]
    w = arrays["w.0"].copy()
    m, v = np.zeros_like(w), np.zeros_like(w)
    for i in (1, 2, 3):
        g = arrays[f"g.{i}"]
        norm = float(np.sqrt(np.square(g, dtype=np.float64).sum()))
        assert np.isclose(norm, float(arrays[f"norm.{i}"]), rtol=1e-6)
        clip = min(1.0, s["max_norm"] / (norm + 1e-6))
        module.adamw(w, g, m, v, s["lr"], *s["betas"], s["eps"], s["weight_decay"], i, clip)
        for ours, theirs in ((w, f"w.{i}"), (m, f"m.{i}"), (v, f"v.{i}")):
            assert np.allclose(ours, arrays[theirs], rtol=1e-6, atol=1e-9), theirs
    assert {float(arrays[f"norm.{i}"]) > s["max_norm"] for i in (1, 2, 3)} == {True, False}


def test_fixtures_are_small():
    for path in FIXTURES.glob("gpt_*.safetensors"):
        assert path.stat().st_size < 150_000


@pytest.mark.oracle
@pytest.mark.parametrize("name", [*MODELS, "adamw"])
def test_fixtures_are_what_torch_gives(name):
    pytest.importorskip("torch")
    spec = importlib.util.spec_from_file_location("make_gpt_fixture", HERE / "make_gpt_fixture.py")
    maker = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(maker)
    tensors, metadata = maker.made(name)
    arrays, stored = read(name)
    assert {key: json.loads(value) for key, value in metadata.items()} == stored
    assert set(tensors) == set(arrays)
    for key, tensor in tensors.items():
        assert np.allclose(tensor.numpy(), arrays[key], rtol=1e-6, atol=1e-9), key
