"""`chronos quantize`: every type in its file, what it costs, what does not fit, and the commands that use it.

The products of the types are tested in test_native_packed.py, their files in test_quantfiles.py.
"""

import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from chronos import native
from chronos.cli import main
from chronos.console import ChronosError
from chronos.data.stories import stories
from chronos.inference.shrink import quantize_directory
from chronos.memory.config import config_from
from chronos.memory.model import Model
from chronos.memory.modeldir import load_model, save_model
from chronos.tokenization.factory import train_tokenizer
from chronos.training.commands import QTYPES

TEXTS = list(stories(30, seed=4))
TOKENIZER = train_tokenizer("char", TEXTS)
COSTS = {  # bits a weight, and the most that the loss may move, in nats a token
    **{"F16": (16, 1e-3), "BF16": (16, 5e-3), "Q8_0": (8.5, 5e-3), "Q4_0": (4.5, 0.1), "Q2_K": (2.625, 0.5)},
    **{"INT4": (4.125, 0.1), "INT4_32": (4.5, 0.1), "INT4_64": (4.25, 0.1), "INT4_128": (4.125, 0.1)},
}


def make_model(**shape: int) -> Model:
    """Untrained, with weights large enough that its choices are not all the same."""
    shape = {"layers": 2, "heads": 2, "width": 32, "context": 12, "tied": False} | shape
    made = Model(config_from({**shape, "vocabulary": TOKENIZER.vocab_size}), seed=5)
    for p in made.parameters().values():
        p.data *= 3 if p.data.ndim > 1 else 1
    return made


@pytest.fixture
def saved(tmp_path) -> Path:
    save_model(tmp_path / "m", make_model(), TOKENIZER)
    return tmp_path / "m"


@pytest.fixture(scope="module")
def wide(tmp_path_factory) -> Path:
    """Rows that are whole blocks of every type."""
    folder = tmp_path_factory.mktemp("wide")
    save_model(folder / "m", make_model(layers=1, width=256, hidden=256), TOKENIZER)
    (folder / "a.txt").write_text("".join(TEXTS[:3]))
    return folder


def test_the_command_offers_every_type():
    assert set(QTYPES) == {*native.FORMATS, "INT4"} == set(COSTS)


@pytest.mark.parametrize("qtype", QTYPES)
def test_quantizing_a_directory(wide, tmp_path, qtype):
    found = quantize_directory(wide / "m", tmp_path / "q", qtype, wide / "a.txt")
    small = load_model(tmp_path / "q")
    assert found["qtype"] == qtype and small.qtype == ("INT4_128" if qtype == "INT4" else qtype)
    matrices = [p for _, p in small.model.named() if isinstance(p, native.QuantTensor)]
    assert len(matrices) == 2 + 4 and {p.type for p in matrices} == {small.qtype}
    assert found["other"] == {}
    bits, most = COSTS[qtype]
    weights = sum(int(np.prod(p.shape)) for p in matrices)
    gains = sum(p.data.size for p in small.model.parameters().values())
    assert found["bits_per_weight"] == pytest.approx((bits * weights + 32 * gains) / (weights + gains))
    file = tmp_path / "q" / ("model.safetensors" if "INT4" in qtype else "model.gguf")
    assert found["bytes_after"] == file.stat().st_size < found["bytes_before"]
    assert found["rise"] == found["nats_after"] - found["nats_before"]
    assert 0 < abs(found["rise"]) < most


@pytest.mark.parametrize("qtype", ["Q2_K", "INT4", "F16", "BF16"])
def test_a_quantized_model_is_used_like_any_other(saved, tmp_path, qtype, capsys, monkeypatch):
    quantize_directory(saved, tmp_path / "q", qtype)
    flags = ["--model-path", str(tmp_path / "q"), "--max-new-tokens", "6", "--temperature", "0"]
    assert main(["generate", *flags, "--prompt", "Nora", "--json"]) == 0
    ids = json.loads(capsys.readouterr().out)["ids"]
    assert main(["generate", *flags, "--prompt", "Nora", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["ids"] == ids and ids
    monkeypatch.setattr("sys.stdin", io.StringIO("Nora was\n"))
    assert main(["chat", *flags]) == 0
    assert capsys.readouterr().out.count("\n") == 1
    with pytest.raises(ChronosError, match=r"quantized already \((Q4_0|INT4_32|F16|BF16)\)"):
        quantize_directory(tmp_path / "q", tmp_path / "again", qtype)


# ---- what does not fit -------------------------------------------------------------------------------------


def test_matrices_that_do_not_fit_get_a_wider_type_and_are_named(tmp_path, capsys):
    save_model(tmp_path / "m", make_model(width=48, hidden=64), TOKENIZER)
    found = quantize_directory(tmp_path / "m", tmp_path / "q", "Q4_0")
    of_blocks = [
        f"stack.block.{i}.{n}" for i in range(2) for n in ("attention.qkv", "attention.out", "ffn.up")
    ]
    assert found["other"] == {f"{name}.weight": "F16" for name in ("embed", *of_blocks, "head")}
    small = load_model(tmp_path / "q").model
    down = small.stack.block[0].ffn.down.weight
    assert (down.type, small.embed.weight.type) == ("Q4_0", "F16")
    assert capsys.readouterr().err == ""
    save_model(tmp_path / "m", make_model(width=48, hidden=48), TOKENIZER)
    found = quantize_directory(tmp_path / "m", tmp_path / "q", "Q8_0")
    assert set(found["other"].values()) == {"F16"} and load_model(tmp_path / "q").qtype == "F16"
    assert "no matrix has rows of whole Q8_0 blocks, 32 weights" in capsys.readouterr().err


def test_two_bits_become_four_where_rows_are_short(tmp_path, capsys):
    save_model(tmp_path / "m", make_model(width=32, hidden=256), TOKENIZER)
    flags = ["--model-path", str(tmp_path / "m"), "--out-dir", str(tmp_path / "q")]
    assert main(["quantize", *flags, "--qtype", "Q2_K"]) == 0
    told = "in Q4_0, whose rows are no whole blocks of Q2_K: embed.weight, stack.block.0."
    assert told in capsys.readouterr().out
    types = {n: p.type for n, p in load_model(tmp_path / "q").model.named() if hasattr(p, "type")}
    assert {name for name, kind in types.items() if kind == "Q2_K"} == {
        f"stack.block.{i}.ffn.down.weight" for i in range(2)
    }
    assert set(types.values()) == {"Q2_K", "Q4_0"}


@pytest.mark.parametrize("qtype", ["INT4", "INT4_128", "F16", "BF16"])
def test_types_that_take_rows_of_any_width(tmp_path, qtype):
    save_model(tmp_path / "m", make_model(width=40, hidden=50), TOKENIZER)
    found = quantize_directory(tmp_path / "m", tmp_path / "q", qtype)
    assert found["other"] == {}
    small = load_model(tmp_path / "q")
    assert small.model.embed.weight.shape == (TOKENIZER.vocab_size, 40)
    assert small.model.stack.block[0].ffn.down.weight.shape == (40, 50)
    assert small.qtype == ("INT4_32" if qtype == "INT4" else qtype)


# ---- refusals ----------------------------------------------------------------------------------------------


def listing(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_quantizing_refuses_and_changes_nothing(saved, tmp_path):
    shutil.copytree(saved, tmp_path / "older")
    quantize_directory(saved, tmp_path / "q", "Q8_0")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "config.json").write_text("{}")
    (tmp_path / "mine" / "diary.txt").write_text("x")
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to(saved)
    before = listing(tmp_path)
    for source, out, qtype, told in (
        (saved, tmp_path / "x", "Q3", "unknown qtype"),
        (tmp_path / "q", tmp_path / "x", "Q8_0", "quantized already"),
        (saved, saved, "Q8_0", "onto itself"),
        (saved, tmp_path / "link", "Q8_0", "onto itself"),
        (saved, tmp_path / "mine", "Q8_0", r"not a model directory, got diary\.txt"),
        (saved, tmp_path / "file", "Q8_0", "not a model directory"),
        (tmp_path / "gone", tmp_path / "x", "Q8_0", "no model here"),
    ):
        with pytest.raises(ChronosError, match=told):
            quantize_directory(source, out, qtype)
    with pytest.raises(ChronosError, match="gone"):
        quantize_directory(saved, tmp_path / "x", "Q8_0", tmp_path / "gone.txt")
    assert listing(tmp_path) == before
    quantize_directory(saved, tmp_path / "older", "Q4_0")
    assert load_model(tmp_path / "older").qtype == "Q4_0"
    assert "model.safetensors" not in listing(tmp_path / "older")


def test_quantize_and_generate_from_the_command_line(saved, tmp_path, capsys):
    flags = ["quantize", "--model-path", str(saved), "--qtype", "Q8_0"]
    assert main([*flags, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["model_path"] == str(tmp_path / "artifacts" / "07-inference" / "m-Q8_0")
    assert main(["generate", "--model-path", found["model_path"], "--max-new-tokens", "3", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["ids"]) <= 3
    assert main([*flags[:-1], "Q8"]) == 2
    assert "Q8_0" in capsys.readouterr().err
