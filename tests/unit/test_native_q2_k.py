"""Q2_K's search against llama.cpp's: less error on every kind of weights, by blocks that ggml itself made.

The fixture comes from tests/oracle/make_q2_k_fixture.py; the layout is tested in test_native_packed.py.
"""

import numpy as np
import pytest
from safetensors.numpy import load_file

from chronos import native

KINDS = (  # what our root mean square error is at most, of ggml's; the weighted one is never larger
    *(("normal", 0.94), ("uniform", 0.97), ("positive", 0.99), ("negative", 0.85), ("shifted", 0.98)),
    *(("heavy tails", 0.88), ("outliers", 0.84), ("sparse", 0.63), ("columns of many sizes", 0.42)),
    *(("two peaks", 0.985), ("three values", 0.01), ("a trained model", 0.94)),
)


@pytest.fixture(scope="module")
def fixture(root):
    return load_file(root / "tests" / "fixtures" / "q2_k.safetensors")


def test_every_kind_is_here(fixture):
    assert {name for name, _ in KINDS} == {name.split(".")[0] for name in fixture}


@pytest.mark.parametrize(("kind", "most"), KINDS)
def test_it_leaves_less_error_than_llama_cpp(fixture, kind, most):
    """The error, and the same with each square times |w|, which is what llama.cpp's search looks at."""
    w = fixture[f"{kind}.weights"].astype(np.float64)
    theirs = native.QuantTensor.frombytes("Q2_K", w.shape, fixture[f"{kind}.blocks"].tobytes())
    ours = native.quantize(w, "Q2_K")
    square, theirs_square = (np.square(native.dequantize(q) - w) for q in (ours, theirs))
    assert square.sum() <= most**2 * theirs_square.sum()
    assert (np.abs(w) * square).sum() <= 0.99 * (np.abs(w) * theirs_square).sum()


def test_blocks_of_few_values_are_exact_but_for_the_halves():
    """Up to four values at equal distances, which all sixteens share, whatever their size."""
    rng = np.random.default_rng(0)
    for values in ([-1, 1], [-1, 0, 1], [0, 1], [0, 1, 2, 3], [-3, -1, 1, 3], [-5], [5]):
        for size in (0.02, 1.0, 1e4):
            w = (rng.choice(values, (40, 256)) * size).astype(np.float32)
            off = native.dequantize(native.quantize(w, "Q2_K")) - w
            assert np.abs(off).max() <= 2e-3 * np.abs(w).max(), (values, size)


def test_a_fit_in_one_sixteen_does_not_spoil_the_others():
    """A lone outlier: it is kept, and so are the other sixteens."""
    w = np.random.default_rng(1).standard_normal((50, 256)).astype(np.float32)
    alone = native.dequantize(native.quantize(w, "Q2_K"))
    w[:, 3] = 20
    back = native.dequantize(native.quantize(w, "Q2_K"))
    assert np.abs(back[:, 3] - 20).max() < 0.4
    others = [np.square((v - w)[:, 16:]).mean() for v in (back, alone)]
    assert others[0] < 3 * others[1]
