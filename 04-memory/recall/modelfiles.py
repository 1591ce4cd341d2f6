"""A recall model as a model directory: config.json, tokenizer.json, and weights as safetensors or GGUF.

The same files as every model's (modeldir.py); `preset: chronos` says which kind it is. Damage is one line.
"""

from pathlib import Path
from typing import Any

from chronos.console import ChronosError
from chronos.files import read_json, sha256_file
from chronos.memory.modeldir import COPY_AGAIN, VERSION, read_weights, write_model
from chronos.memory.recall.config import RecallConfig
from chronos.memory.recall.net import RecallNet
from chronos.memory.recall.recaller import Recaller
from chronos.settings import build, dump
from chronos.tokenization.factory import load_tokenizer
from chronos.tokenization.words import WordTokenizer

PRESET = "chronos"


def save_recaller(path: Path, net: RecallNet, tokenizer: WordTokenizer) -> None:
    """Write a model directory, replacing an older one in one step."""
    write_model(path, net, tokenizer, {"preset": PRESET, **dump(net.config)}, context=net.config.asked)


def load_recaller(path: Path | str) -> Recaller:
    """Read a model directory, or say in one line what is missing, damaged, or another kind of model."""
    path = Path(path)
    config = described(path)
    model = dict(config["model"])
    if model.pop("preset", None) != PRESET:
        mend = "give a model of preset chronos, such as the one that `make` trains"
        raise ChronosError("this model keeps no memory of events", where=path, mend=mend)
    tokenizer = load_tokenizer(path / "tokenizer.json")
    if tokenizer.hash != config.get("tokenizer") or not isinstance(tokenizer, WordTokenizer):
        what = "tokenizer.json is not the one the model was trained with"
        raise ChronosError(what, where=path, mend=COPY_AGAIN)
    shape = build(RecallConfig, model, "model")
    if shape.vocabulary != tokenizer.vocab_size:
        what = "tokenizer and model disagree on the vocabulary"
        raise ChronosError(what, where=path, expected=shape.vocabulary, got=tokenizer.vocab_size)
    weights = path / str(config.get("weights"))
    if sha256_file(weights) != config.get("sha256"):
        raise ChronosError("the weights are damaged: their hash differs", where=weights, mend=COPY_AGAIN)
    net = RecallNet(shape, seed=None)
    read_weights(weights, net)
    return Recaller(net, tokenizer, {"model": config["sha256"], "tokenizer": tokenizer.hash})


def is_recaller(path: Path | str) -> bool:
    """Whether a model directory is one of a recall model. ChronosError where there is none."""
    return described(Path(path))["model"].get("preset") == PRESET


def described(path: Path) -> dict[str, Any]:
    """The config.json of a model directory, of this version."""
    if not (path / "config.json").is_file():
        raise ChronosError("no model here", where=path, mend="train one with `make` or `chronos train`")
    config = read_json(path / "config.json")
    if (
        not isinstance(config, dict)
        or config.get("version") != VERSION
        or not isinstance(config.get("model"), dict)
    ):
        raise ChronosError("unknown model version", where=path / "config.json", expected=VERSION)
    return config
