"""The model directory: `config.json`, `tokenizer.json`, and weights in safetensors or, quantized, in GGUF.

A directory is portable and whole: it is written beside and renamed, and loading checks hashes and shapes.
"""

import errno
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import gguf
import numpy as np
import safetensors
from safetensors.numpy import load_file, save_file

from chronos import native
from chronos.architecture.layers import Embedding, Linear, Module
from chronos.console import ChronosError
from chronos.files import atomic_directory, read_json, sha256_file, write_json
from chronos.memory.config import config_dict, config_from
from chronos.memory.model import Model
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
    """Write a model directory, replacing an older one in one step; GGUF if any weight is quantized."""
    write_model(path, model, tokenizer, config_dict(model.config), model.config.context)


def write_model(
    path: Path, model: Module, tokenizer: Tokenizer, config: dict[str, Any], context: int
) -> None:
    """The files of any kind of model: weights, tokenizer.json, and config.json with `config` in it."""
    quantized = any(isinstance(p, native.QuantTensor) for _, p in model.named())
    with atomic_directory(path) as folder:
        weights = folder / (GGUF if quantized else SAFETENSORS)
        if quantized:
            _write_gguf(weights, model, context)
        else:
            write_safetensors(weights, model)
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
    """Put a file of weights into a model of their shape; the type of its blocks, None for float32."""
    if weights.name == SAFETENSORS:
        fill(model, read_safetensors(weights), weights)
        return None
    return _read_gguf(weights, model)


def write_safetensors(path: Path, model: Module) -> None:
    """Name → float32 array of every parameter."""
    write_arrays(path, {name: p.data for name, p in model.parameters().items()})


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
    """A copy with every matrix that fits in `qtype` blocks, and the names of those that stay float32."""
    copy = model.replica()
    left = []
    for name, module in _holders(copy):
        if module.weight.shape[1] % native.BLOCK:
            left.append(f"{name}weight")
        else:
            module.weight = native.pack(native.quantize(np.ascontiguousarray(module.weight.data), qtype))
    return copy, left


def _holders(module: Module, prefix: str = "") -> list[tuple[str, Any]]:
    """Every Linear and Embedding below, with its dotted name."""
    found = [(prefix, module)] if isinstance(module, Linear | Embedding) else []
    for child, name in module.slots():
        if isinstance(child, Module):
            found += _holders(child, f"{prefix}{name}.")
    return found


def _write_gguf(path: Path, model: Module, context: int) -> None:
    try:
        _write_gguf_tensors(path, model, context)
    except OSError as error:
        if error.errno is not None:
            raise
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from error  # NumPy: a short write


def _write_gguf_tensors(path: Path, model: Module, context: int) -> None:
    writer = gguf.GGUFWriter(str(path), arch="chronos")
    writer.add_name("chronos")
    writer.add_context_length(context)
    for name, p in model.named():
        if isinstance(p, native.QuantTensor):
            blocks = np.frombuffer(p.tobytes(), np.uint8).reshape(p.shape[0], -1)
            writer.add_tensor(name, blocks, raw_dtype=gguf.GGMLQuantizationType[p.type])
        else:
            writer.add_tensor(name, p.data)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _read_gguf(path: Path, model: Module) -> str | None:
    """Put a GGUF file's tensors into the model: blocks stay quantized. Returns their type."""
    try:
        tensors = {t.name: t for t in gguf.GGUFReader(str(path)).tensors}
    except (OSError, ValueError, IndexError, KeyError, UnicodeDecodeError, MemoryError) as error:
        raise ChronosError(f"cannot read GGUF: {error}", where=path) from error
    qtype = None
    for prefix, module in _holders(model):
        tensor = tensors.get(f"{prefix}weight")
        if tensor is not None and tensor.tensor_type.name != "F32":
            qtype = tensor.tensor_type.name
            if tuple(tensor.shape[::-1]) != module.weight.shape:
                what = f"tensor {prefix}weight has another shape"
                raise ChronosError(
                    what, where=path, expected=module.weight.shape, got=tuple(tensor.shape[::-1])
                )
            blocks = native.QuantTensor.frombytes(qtype, module.weight.shape, tensor.data.tobytes())
            module.weight = native.pack(blocks)
    floats = {name: np.array(t.data) for name, t in tensors.items() if t.tensor_type.name == "F32"}
    if odd := sorted(set(tensors) ^ {name for name, _ in model.named()}):
        raise ChronosError("weights do not fit the configuration", where=path, got=f"odd tensor {odd[0]}")
    fill(model, floats, path)
    return qtype


def sizes(model: Module) -> dict[str, int]:
    """Name → number of weights of every parameter, quantized or not."""
    return {name: int(np.prod(p.shape)) for name, p in model.named()}


def parameter_count(model: Module) -> int:
    """Number of weights, quantized or not."""
    return sum(sizes(model).values())
