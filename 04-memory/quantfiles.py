"""Quantized weights in files: llama.cpp's blocks as GGUF, and INT4, which is ours, as safetensors.

A file says names, types and shapes; whether a model has them is modeldir.py's to check. No arithmetic: bytes
are moved. What is not a whole tensor of a type that we have is refused in one line.
"""

import errno
import os
from collections.abc import Mapping
from pathlib import Path

import gguf
import numpy as np

from chronos import native
from chronos.console import ChronosError

Tensors = Mapping[str, np.ndarray | native.QuantTensor]

CODES, SCALES = ".codes", ".scales"  # of an INT4 matrix (N, K): (N, G·S/2) uint8 and (N, S) float16


def is_int4(tensor: native.QuantTensor) -> bool:
    """Whether it is of a type that GGUF does not have."""
    return tensor.type.startswith("INT4")


# ---- INT4 --------------------------------------------------------------------------------------------------


def split_int4(tensors: Tensors) -> dict[str, np.ndarray]:
    """Floats as they are; of each INT4 matrix two arrays, for a safetensors file.

    S groups of G weights make a row, K filled up with zeros: a scale for each, and nibbles in the order of
    the blocks (native/products.h).
    """
    arrays = {}
    for name, tensor in tensors.items():
        if isinstance(tensor, native.QuantTensor):
            n = tensor.shape[0]
            blocks = tensor.data.reshape(n, -1, 2 + int(tensor.type.removeprefix("INT4_")) // 2)
            arrays[f"{name}{CODES}"] = np.ascontiguousarray(blocks[..., 2:]).reshape(n, -1)
            arrays[f"{name}{SCALES}"] = np.ascontiguousarray(blocks[..., :2]).view("<f2")[..., 0]
        else:
            arrays[name] = tensor
    return arrays


def join_int4(
    arrays: dict[str, np.ndarray], shapes: Mapping[str, tuple[int, int]], where: Path
) -> dict[str, np.ndarray | native.QuantTensor]:
    """The way back, for the matrices of these names and shapes (N, K); what else there is stays as it is."""
    tensors: dict[str, np.ndarray | native.QuantTensor] = dict(arrays)
    for name, shape in shapes.items():
        if f"{name}{CODES}" in arrays and f"{name}{SCALES}" in arrays:
            codes, scales = tensors.pop(f"{name}{CODES}"), tensors.pop(f"{name}{SCALES}")
            tensors[name] = _joined(codes, scales, shape, f"tensor {name}", where)
    return tensors


def _joined(
    codes: np.ndarray, scales: np.ndarray, shape: tuple[int, int], name: str, where: Path
) -> native.QuantTensor:
    kinds = (codes.dtype, codes.ndim, scales.dtype, scales.ndim)
    if kinds != (np.uint8, 2, np.float16, 2) or len(codes) != len(scales):
        got = f"{codes.dtype} {codes.shape} and {scales.dtype} {scales.shape}"
        raise ChronosError(f"{name} is not INT4", where=where, expected="uint8 and float16 rows", got=got)
    rows, groups = scales.shape
    size = 2 * codes.shape[1] // max(groups, 1)
    if f"INT4_{size}" not in native.FORMATS or 2 * codes.shape[1] != size * groups:
        expected, got = "a scale for each 32, 64 or 128 weights", (codes.shape, scales.shape)
        raise ChronosError(f"{name} is not INT4", where=where, expected=expected, got=got)
    if rows != shape[0] or groups != -(-shape[1] // size):
        got = f"{rows} rows of {groups} groups of {size}"
        raise ChronosError(f"{name} has another shape", where=where, expected=shape, got=got)
    parts = scales.astype("<f2").view(np.uint8).reshape(rows, groups, 2), codes.reshape(rows, groups, -1)
    blocks = np.concatenate(parts, axis=2)
    return native.QuantTensor.frombytes(f"INT4_{size}", shape, blocks.tobytes())


# ---- GGUF --------------------------------------------------------------------------------------------------


def write_gguf(path: Path, tensors: Tensors, context: int) -> None:
    """A GGUF file of float32 arrays and of blocks. A full disk is an OSError that says so."""
    for name, tensor in tensors.items():
        if isinstance(tensor, native.QuantTensor) and is_int4(tensor):
            mend = "quantize the whole model alike"
            raise ChronosError(f"GGUF has no {tensor.type}", where=path, got=f"tensor {name}", mend=mend)
    try:
        _write_gguf(path, tensors, context)
    except OSError as error:
        if error.errno is not None:
            raise
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from error  # NumPy: a short write


def _write_gguf(path: Path, tensors: Tensors, context: int) -> None:
    writer = gguf.GGUFWriter(str(path), arch="chronos")
    writer.add_name("chronos")
    writer.add_context_length(context)
    for name, tensor in tensors.items():
        if isinstance(tensor, native.QuantTensor):
            blocks = np.frombuffer(tensor.tobytes(), np.uint8).reshape(tensor.shape[0], -1)
            writer.add_tensor(name, blocks, raw_dtype=gguf.GGMLQuantizationType[tensor.type])
        else:
            writer.add_tensor(name, tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def read_gguf(path: Path) -> dict[str, np.ndarray | native.QuantTensor]:
    """Name → float32 array, or blocks as they are in the file."""
    try:
        found = gguf.GGUFReader(str(path)).tensors
    except (OSError, ValueError, IndexError, KeyError, UnicodeDecodeError, MemoryError) as error:
        raise ChronosError(f"cannot read GGUF: {error}", where=path) from error
    tensors: dict[str, np.ndarray | native.QuantTensor] = {}
    for t in found:
        kind, shape = t.tensor_type.name, tuple(int(n) for n in t.shape[::-1])
        if kind == "F32":
            tensors[t.name] = np.array(t.data)
            continue
        if kind not in native.FORMATS or len(shape) != 2:
            expected = "F32, or a matrix of " + " or ".join(k for k in native.FORMATS if "INT4" not in k)
            got = f"{kind} {shape}"
            raise ChronosError(f"cannot use tensor {t.name}", where=path, expected=expected, got=got)
        tensors[t.name] = native.QuantTensor.frombytes(kind, shape, t.data.tobytes())
    return tensors
