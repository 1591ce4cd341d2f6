"""Blocks against ggml itself: Q2_K leaves less error on every kind of weights, the other types are its bytes.

The unit tests compare with a small fixture; here are more weights. Needs libggml (CHRONOS_GGML names its
folder) or llama-cpp-python: `make test-oracle`.
"""

import runpy
from pathlib import Path

import numpy as np
import pytest

from chronos import native

pytestmark = pytest.mark.oracle
MAKER = runpy.run_path(str(Path(__file__).with_name("make_q2_k_fixture.py")))
GGML, KINDS, encode = MAKER["library"](), MAKER["kinds"](400, 1), MAKER["encode"]
if GGML is None:
    pytest.skip("needs libggml", allow_module_level=True)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("k", [256, 1024])
def test_q2_k_leaves_no_more_error(kind, k):
    """Root mean square, and the same with each square times |w|, which is what ggml's search looks at."""
    w = KINDS[kind].reshape(-1, k)
    theirs = native.QuantTensor.frombytes("Q2_K", w.shape, encode(GGML, w, "Q2_K").tobytes())
    ours = native.quantize(w, "Q2_K")
    square, theirs_square = (np.square(native.dequantize(q).astype(np.float64) - w) for q in (ours, theirs))
    assert square.sum() <= theirs_square.sum()
    assert (np.abs(w) * square).sum() <= (np.abs(w) * theirs_square).sum()


@pytest.mark.parametrize("qtype", ["Q4_0", "Q8_0", "F16", "BF16"])
@pytest.mark.parametrize("scale", [1.0, 1e-6, 1e-30, 1e-41, 1e6, 7e37])
def test_other_types_are_ggml_s_bytes(qtype, scale):
    """But for blocks of minus zeros, to whose d `gguf`, which we follow, gives another sign than ggml."""
    for kind, w in KINDS.items():
        w = w / max(1, np.abs(w).max() / 4) * np.float32(scale) + np.float32(0)  # -0 becomes 0
        assert native.quantize(w, qtype).tobytes() == encode(GGML, w, qtype).tobytes(), kind
