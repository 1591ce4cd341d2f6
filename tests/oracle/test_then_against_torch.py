"""Models with KDA and DSA against PyTorch, from fixtures; with torch there, the fixtures themselves.

Comparing needs no torch and runs with every `make test`; making the fixtures anew does (`make test-oracle`).
"""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open

from chronos.architecture.tape import backward
from chronos.memory.config import config_from
from chronos.memory.model import Model

HERE = Path(__file__).parent
FIXTURES = HERE.parent / "fixtures"
MODELS = ("sparse", "dense")


def read(name: str) -> tuple[dict[str, np.ndarray], dict]:
    """A fixture's arrays and its configuration."""
    with safe_open(str(FIXTURES / f"then_{name}.safetensors"), "numpy") as file:
        arrays = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (no mapping)
        return arrays, json.loads(file.metadata()["config"])


@pytest.mark.parametrize(("kind", "room"), [(np.float32, 2e-5), (np.float64, 5e-7)], ids=["fast", "plain"])
@pytest.mark.parametrize("name", MODELS)
def test_losses_and_gradients_are_torchs(name, kind, room):
    """Relative error, by parameter, of the slopes of both losses; in float64 constants are still float32."""
    arrays, config = read(name)
    model = Model(config_from(config), seed=None)
    parameters = model.parameters()
    assert set(parameters) == {key[8:] for key in arrays if key.startswith("weights.")}
    for key, p in parameters.items():
        assert arrays[f"weights.{key}"].shape == p.shape
        p.data = arrays[f"weights.{key}"].astype(kind)
    tokens, targets = arrays["tokens"], arrays["targets"]
    loss = model.loss(tokens, targets, scale=1 / int((targets >= 0).sum()))
    assert abs(float(loss.data) - arrays["loss"]) <= room * arrays["loss"]
    assert abs(model(tokens, counted=targets >= 0).aux["index_kl"] - arrays["kl"]) <= room * arrays["kl"]
    backward(loss)
    for key, p in parameters.items():
        theirs = arrays[f"gradients.{key}"].astype(np.float64)
        assert p.grad.dtype == kind and np.linalg.norm(theirs) > 1e-4, key  # else nothing is compared
        assert np.linalg.norm(p.grad - theirs) <= room * np.linalg.norm(theirs), key


@pytest.mark.oracle
@pytest.mark.parametrize("name", MODELS)
def test_fixtures_are_what_torch_gives(name):
    pytest.importorskip("torch")
    spec = importlib.util.spec_from_file_location("make_then_fixture", HERE / "make_then_fixture.py")
    maker = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(maker)
    arrays, config = read(name)
    tensors, metadata = maker.made(name)
    assert json.loads(metadata["config"]) == config and set(tensors) == set(arrays)
    for key, tensor in tensors.items():
        assert np.allclose(tensor.numpy(), arrays[key], rtol=1e-5, atol=1e-6), key
