"""The decoding benchmark measures what it says; its PyTorch peer is the same model (needs torch)."""

import dataclasses

import numpy as np
import pytest

from chronos.console import ChronosError
from chronos.inference import bench_decode
from chronos.inference.session import Session
from chronos.memory.config import config_from
from chronos.memory.decode import Decoder
from chronos.memory.model import Model
from chronos.memory.modeldir import quantize_model
from chronos.training.config import resolve

SHAPE = {"layers": 2, "heads": 2, "width": 32, "context": 40, "vocabulary": 50}


@pytest.fixture
def small(monkeypatch):
    """A benchmark of a tiny model in the peer's shape."""
    peer = resolve(experiment=bench_decode.EXPERIMENT, environment={}).model
    model = Model(dataclasses.replace(peer, **SHAPE))
    models = {"float32": model, "Q8_0": quantize_model(model, "Q8_0")[0]}
    monkeypatch.setattr(bench_decode, "make_models", lambda: models)
    monkeypatch.setattr(bench_decode, "VOCABULARY", 50)
    monkeypatch.setattr(bench_decode, "COUNT", 5)
    monkeypatch.setattr(bench_decode, "ROUNDS", 3)
    return models


def test_what_it_returns(small):
    found = bench_decode.bench()
    assert list(found) == ["ours", "peers", "limit", "ratios", "threads", "table"]
    assert found["peers"] == {}
    for name in small:
        speed, limit = found["ours"][name]["tokens_per_s"], found["limit"][name]["tokens_per_s"]
        assert speed > 0
        assert found["ratios"]["limit"][name] == speed / limit


def test_every_round_makes_whole_steps(small, monkeypatch):
    read = []
    whole, one = Model.__call__, Decoder.step

    def counted(self, tokens, *rest, **named):
        read.append(tokens.shape[1])
        return whole(self, tokens, *rest, **named)

    def stepped(self, token):
        read.append(1)
        return one(self, token)

    monkeypatch.setattr(Model, "__call__", counted)
    monkeypatch.setattr(Decoder, "step", stepped)
    bench_decode.bench()
    each = [bench_decode.PROMPT, *[1] * 5]
    assert read == each * (1 + 3) * 2


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("positions", ["rotary", "learned"])
def test_bytes_of_a_token(tied, positions):
    model = Model(config_from({**SHAPE, "tied": tied, "positions": positions}))
    all_bytes = sum(4 * p.data.size for p in model.parameters().values())
    rows = 0 if tied else 50 * 32
    assert bench_decode.bytes_per_token(model) == all_bytes - 4 * (
        rows + (40 * 32 if positions == "learned" else 0)
    )


def test_a_peer_that_is_not_there(monkeypatch, small, tmp_path):
    with pytest.raises(ChronosError, match="unknown peer, expected torch"):
        bench_decode.bench("jax")
    fake = tmp_path / "python"
    fake.write_text("#!/bin/sh\nexit 1\n")
    fake.chmod(0o755)
    monkeypatch.setenv("CHRONOS_PEER_PYTHON", str(fake))
    with pytest.raises(ChronosError, match=r"torch is not installed.*CHRONOS_PEER_PYTHON"):
        bench_decode.bench("torch")


@pytest.mark.oracle
def test_the_peer_is_the_same_model(small):
    """Our weights in PyTorch's model: the same logits, token by token."""
    torch = pytest.importorskip("torch")
    from chronos.inference import torch_decode

    model = small["float32"]
    c = dataclasses.asdict(model.config)
    peer = torch_decode.build(c, torch).eval()
    ours = {name: torch.from_numpy(p.data.copy()) for name, p in model.parameters().items()}
    names = {
        "embed.weight": "embed.weight",
        "embed.positions": "positions.weight",
        "head.weight": "head.weight",
        **{f"stack.norm.{part}": f"norm.{part}" for part in ("weight", "bias")},
    }
    for i in range(2):
        for part in ("weight", "bias"):
            names |= {f"stack.block.{i}.{n}.{part}": f"blocks.{i}.{n}.{part}" for n in ("norm1", "norm2")}
        for a, b in (
            ("attention.qkv", "qkv"),
            ("attention.out", "out"),
            ("ffn.up", "up"),
            ("ffn.down", "down"),
        ):
            names[f"stack.block.{i}.{a}.weight"] = f"blocks.{i}.{b}.weight"
    assert set(names) == set(ours)
    peer.load_state_dict({names[name]: value for name, value in ours.items()})
    ids = np.random.default_rng(1).integers(0, 50, 20)
    session = Session(model)
    with torch.inference_mode():
        for start, stop in ((0, 8), *((i, i + 1) for i in range(8, 20))):
            session.add(ids[start:stop])
            theirs = peer.step(torch.from_numpy(ids[None, start:stop]), start)[0].numpy()
            assert np.abs(session.logits() - theirs).max() < 1e-5
