"""Make tests/fixtures/q2_k.safetensors: weights of several kinds, and ggml's blocks of Q2_K for them.

It imports nothing of ours. Needs libggml-base in the folder that CHRONOS_GGML names, or llama-cpp-python:
`CHRONOS_GGML=DIR python tests/oracle/make_q2_k_fixture.py`.
"""

import ctypes
import importlib.util
import os
import sys
from pathlib import Path

import gguf
import numpy as np
from safetensors.numpy import save_file

ROOT = Path(__file__).parent.parent.parent
FIXTURE = ROOT / "tests" / "fixtures" / "q2_k.safetensors"
SUPER, BYTES = 256, 84


def library() -> ctypes.CDLL | None:
    """ggml's library with the blocks, or None where there is none."""
    named = os.environ.get("CHRONOS_GGML")
    spec = None if named else importlib.util.find_spec("llama_cpp")
    places = [Path(named)] if named else [Path(spec.origin).parent / "lib"] if spec and spec.origin else []
    files = ("libggml-base.so", "libggml-base.dylib", "ggml-base.dll")
    found = next((place / name for place in places for name in files if (place / name).exists()), None)
    if found is None:
        return None
    ggml = ctypes.CDLL(str(found))
    numbers, pointer = ctypes.c_int64, ctypes.c_void_p
    ggml.ggml_quantize_chunk.restype = ctypes.c_size_t
    ggml.ggml_quantize_chunk.argtypes = [ctypes.c_int, pointer, pointer, *[numbers] * 3, pointer]
    return ggml


def encode(ggml: ctypes.CDLL, w: np.ndarray, qtype: str) -> np.ndarray:
    """w (N, K) float32 → ggml's blocks (nbytes,) uint8, without weights of importance."""
    kind = gguf.GGMLQuantizationType[qtype]
    w, (weights, size) = np.ascontiguousarray(w, np.float32), gguf.GGML_QUANT_SIZES[kind]
    blocks = np.zeros(w.size // weights * size, np.uint8)
    written = ggml.ggml_quantize_chunk(int(kind), w.ctypes.data, blocks.ctypes.data, 0, *w.shape, None)
    assert written == blocks.size
    return blocks


def kinds(rows: int, seed: int) -> dict[str, np.ndarray]:
    """Name → weights (rows, 256) float32 that a half can hold."""
    rng, shape = np.random.default_rng(seed), (rows, SUPER)
    found = {
        "normal": rng.standard_normal(shape),
        "uniform": rng.uniform(-1, 1, shape),
        "positive": rng.uniform(0, 1, shape),
        "negative": -np.abs(rng.standard_normal(shape)),
        "shifted": rng.standard_normal(shape) + 3,
        "heavy tails": rng.standard_t(2, shape),
        "outliers": rng.standard_normal(shape) * np.where(rng.random(shape) < 0.004, 20, 1),
        "sparse": rng.standard_normal(shape) * (rng.random(shape) < 0.1),
        "columns of many sizes": rng.standard_normal(shape) * np.exp(1.5 * rng.standard_normal(SUPER)),
        "two peaks": 0.2 * rng.standard_normal(shape) + rng.choice([-1, 1], shape),
        "three values": rng.integers(-1, 2, shape),
        "a trained model": trained(rng, rows),
    }
    return {name: w.astype(np.float16).astype(np.float32) for name, w in found.items()}


def trained(rng: np.random.Generator, rows: int) -> np.ndarray:
    """Rows of the matrices of the model that is shipped."""
    tensors = gguf.GGUFReader(str(ROOT / "07-inference" / "demo" / "model.gguf")).tensors
    matrices = [gguf.dequantize(t.data, t.tensor_type) for t in tensors if t.tensor_type.name == "Q8_0"]
    flat = np.concatenate([m.reshape(-1)[: m.size // SUPER * SUPER] for m in matrices]).reshape(-1, SUPER)
    return flat[rng.choice(len(flat), rows)]


def main() -> None:
    """Write the fixture."""
    ggml = library()
    if ggml is None:
        sys.exit("libggml-base is not there: name its folder by CHRONOS_GGML, or install llama-cpp-python")
    arrays = {}
    for name, w in kinds(rows=12, seed=0).items():
        arrays[f"{name}.weights"] = w.astype(np.float16)
        arrays[f"{name}.blocks"] = encode(ggml, w, "Q2_K").reshape(-1, BYTES)
    save_file(arrays, str(FIXTURE), {"made by": "tests/oracle/make_q2_k_fixture.py"})
    print(f"wrote {FIXTURE}, {FIXTURE.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
