"""The model directory: `config.json`, `tokenizer.json`, and weights in safetensors or GGUF.

A directory is portable and whole: it is written beside and renamed, and loading checks hashes and shapes. How
quantized weights lie in their file is quantfiles.py's.
"""

import errno
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import safetensors
from safetensors.numpy import load_file, save_file

from chronos import native
from chronos.architecture.layers import Embedding, Linear, Module
from chronos.console import ChronosError
from chronos.files import atomic_directory, read_json, sha256_file, write_json
from chronos.memory.config import config_dict, config_from
from chronos.memory.model import Model
from chronos.memory.quantfiles import is_int4, join_int4, read_gguf, split_int4, write_gguf
from chronos.tokenization.factory import load_tokenizer
from chronos.tokenization.tokenizer import Tokenizer

Kind = TypeVar("Kind", bound=Module)

VERSION = 1
SAFETENSORS, GGUF = "model.safetensors", "model.gguf"
COPY_AGAIN = "copy the whole model directory again"


@dataclass
class Loaded:
    """What a model directory holds."""

    model: Model
    tokenizer: Tokenizer
    path: Path
    qtype: str | None  # None for float32 weights


def save_model(path: Path, model: Model, tokenizer: Tokenizer) -> None:
    """Write a model directory, replacing an older one in one step; GGUF if it has llama.cpp's blocks."""
    write_model(path, model, tokenizer, config_dict(model.config), model.config.context)


def write_model(
    path: Path, model: Module, tokenizer: Tokenizer, config: dict[str, Any], context: int
) -> None:
    """The files of any kind of model: weights, tokenizer.json, and config.json with `config` in it."""
    tensors = {n: p if isinstance(p, native.QuantTensor) else p.data for n, p in model.named()}
    blocks = any(isinstance(t, native.QuantTensor) and not is_int4(t) for t in tensors.values())
    with atomic_directory(path) as folder:
        weights = folder / (GGUF if blocks else SAFETENSORS)
        if blocks:
            write_gguf(weights, tensors, context)
        else:
            write_arrays(weights, split_int4(tensors))
        tokenizer.save(folder / "tokenizer.json")
        about = {
            "version": VERSION,
            "model": config,
            "tokenizer": tokenizer.hash,
            "weights": weights.name,
            "sha256": sha256_file(weights),
        }
        write_json(folder / "config.json", about)


def load_model(path: Path) -> Loaded:
    """Read a model directory, or say in one line what is missing or damaged."""
    path = Path(path)
    if not (path / "config.json").is_file():
        raise ChronosError("no model here", where=path, mend="train one with `make` or `chronos train`")
    config = read_json(path / "config.json")
    if not isinstance(config, dict) or config.get("version") != VERSION:
        raise ChronosError("unknown model version", where=path / "config.json", expected=VERSION)
    if isinstance(config.get("model"), dict) and config["model"].get("preset") == "chronos":
        mend = "ask it with `chronos query`, or give a model of preset gpt or then"
        raise ChronosError("this model remembers events and writes no texts", where=path, mend=mend)
    tokenizer = load_tokenizer(path / "tokenizer.json")
    if tokenizer.hash != config.get("tokenizer"):
        what = "tokenizer.json is not the one the model was trained with"
        raise ChronosError(what, where=path, mend=COPY_AGAIN)
    model = Model(config_from(config.get("model", {})), seed=None)
    if model.config.vocabulary != tokenizer.vocab_size:
        raise ChronosError(
            "tokenizer and model disagree on the vocabulary", where=path,
            expected=model.config.vocabulary, got=tokenizer.vocab_size,
        )  # fmt: skip
    weights = path / str(config.get("weights"))
    if sha256_file(weights) != config.get("sha256"):  # before parsing: a damaged count can fill all memory
        raise ChronosError("the weights are damaged: their hash differs", where=weights, mend=COPY_AGAIN)
    return Loaded(model, tokenizer, path, read_weights(weights, model))


def read_weights(weights: Path, model: Module) -> str | None:
    """Put a file of weights into a model of their shape; the type of most of them, None for float32."""
    if weights.name == SAFETENSORS:
        shapes = {f"{prefix}weight": module.weight.shape for prefix, module in _holders(model)}
        return _place(join_int4(read_safetensors(weights), shapes, weights), model, weights)
    return _place(read_gguf(weights), model, weights)


def write_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write a safetensors file; a full disk is an OSError, which `chronos.files` knows how to tell."""
    try:
        save_file({name: np.ascontiguousarray(a) for name, a in arrays.items()}, str(path))
    except safetensors.SafetensorError as error:
        found = re.search(r"os error (\d+)", str(error))
        code = int(found[1]) if found else errno.EIO
        raise OSError(code, os.strerror(code), str(path)) from error


def read_safetensors(path: Path) -> dict[str, np.ndarray]:
    """All arrays of a safetensors file; damage is one line."""
    try:
        return load_file(str(path))
    except (OSError, safetensors.SafetensorError, ValueError) as error:
        raise ChronosError(f"cannot read weights: {error}", where=path) from error


def fill(model: Module, arrays: dict[str, np.ndarray], where: Path) -> None:
    """Copy arrays into the model's parameters; names and shapes must be exactly the model's."""
    parameters = model.parameters()
    if missing := sorted(set(parameters) ^ set(arrays)):
        raise ChronosError(
            "weights do not fit the configuration", where=where, got=f"odd tensor {missing[0]}"
        )
    for name, p in parameters.items():
        if arrays[name].shape != p.shape:
            what = f"tensor {name} has another shape"
            raise ChronosError(what, where=where, expected=p.shape, got=arrays[name].shape)
        p.data[...] = arrays[name]


def quantize_model(model: Kind, qtype: str) -> tuple[Kind, list[str]]:
    """A copy with every matrix in `qtype`, and the names of those that `type_for` gives another."""
    copy = model.replica()
    other = []
    for name, module in _holders(copy):
        kind = type_for(qtype, module.weight.shape[1])
        if kind != qtype:
            other.append(f"{name}weight")
        module.weight = native.pack(native.quantize(np.ascontiguousarray(module.weight.data), kind))
    return copy, other


def type_for(qtype: str, width: int) -> str:
    """`qtype`, or for rows that do not divide into its blocks, which GGUF cannot hold, a wider type.

    That is Q4_0 for Q2_K where it fits, else F16; llama.cpp does alike. INT4, F16 and BF16 take any width.
    """
    if qtype == "Q2_K" and width % 256:
        qtype = "Q4_0"
    return "F16" if qtype in ("Q4_0", "Q8_0") and width % native.BLOCK else qtype


def _holders(module: Module, prefix: str = "") -> list[tuple[str, Any]]:
    """Every Linear and Embedding below, with its dotted name."""
    found = [(prefix, module)] if isinstance(module, Linear | Embedding) else []
    for child, name in module.slots():
        if isinstance(child, Module):
            found += _holders(child, f"{prefix}{name}.")
    return found


def _place(tensors: dict[str, np.ndarray | native.QuantTensor], model: Module, where: Path) -> str | None:
    """Put a file's tensors into the model, names and shapes exactly its own; the type of most weights."""
    weights: dict[str, int] = {}
    for prefix, module in _holders(model):
        tensor = tensors.get(f"{prefix}weight")
        if isinstance(tensor, native.QuantTensor):
            if tensor.shape != module.weight.shape:
                what = f"tensor {prefix}weight has another shape"
                raise ChronosError(what, where=where, expected=module.weight.shape, got=tensor.shape)
            module.weight = native.pack(tensor)
            weights[tensor.type] = weights.get(tensor.type, 0) + tensor.shape[0] * tensor.shape[1]
    if odd := sorted(set(tensors) ^ {name for name, _ in model.named()}):
        raise ChronosError("weights do not fit the configuration", where=where, got=f"odd tensor {odd[0]}")
    fill(model, {n: t for n, t in tensors.items() if not isinstance(t, native.QuantTensor)}, where)
    return max(weights, key=weights.__getitem__, default=None)


def sizes(model: Module) -> dict[str, int]:
    """Name → number of weights of every parameter, quantized or not."""
    return {name: int(np.prod(p.shape)) for name, p in model.named()}


def parameter_count(model: Module) -> int:
    """Number of weights, quantized or not."""
    return sum(sizes(model).values())
