"""Nothing unfit enters C: random calls of every public function, and each hole that they once found.

`make -C native faces` makes the same calls for a minute, over an extension with sanitizers.
"""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from chronos import native
from chronos.console import ChronosError
from chronos.native import PackedMatrix, PackedTensor, Plan, QuantTensor

if not native.available():
    pytest.skip("needs the C kernels", allow_module_level=True)
from chronos.native import fused

ROOT, HUGE = Path(__file__).resolve().parents[2], 1 << 50


def zeros(*shape: int) -> np.ndarray:
    return np.zeros(shape, np.float32)


def test_random_calls_return_what_they_should_or_are_refused():
    command = [sys.executable, str(ROOT / "native" / "check_faces.py"), "--calls", "200", "--seconds", "60"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and done.stdout.endswith("good\n"), done.stdout + done.stderr


@pytest.mark.parametrize("pick", [-1, 9, 1 << 30, -(1 << 31)])
def test_attention_reads_no_place_that_is_not_there(pick):
    keys, picks = zeros(9, 4), np.array([0, pick], np.int32)
    (plan := Plan()).attend(zeros(1, 4), keys, keys.copy(), zeros(1, 4), 1.0, picks)
    plan.run(0, 1)  # which sees all places, not the picks
    with pytest.raises(ChronosError, match="picks name places"):
        plan.run(0, 2)
    picks[1] = 8
    plan.run(0, 2)


def panels_of(w: QuantTensor) -> np.ndarray:
    return native.pack(w).panels


@pytest.mark.parametrize(
    "bent",
    [
        lambda w, p: ("Q4_0", (1 << 20, 32), p),
        lambda w, p: ("Q4_0", (17, 64), p[:-1]),
        lambda w, p: ("Q4_0", (17, 64), p.copy()),  # which can be written
        lambda w, p: ("Q4_0", (17, 64), p.view(np.int8)),
        lambda w, p: ("Q8_0", (17, 64), p),
        lambda w, p: ("Q9", (17, 64), p),
        lambda w, p: ("Q4_0", (17, -64), p),
        lambda w, p: ("Q4_0", (HUGE, 0), p[:0]),
        lambda w, p: ("Q4_0", 17, p),
        lambda w, p: ("Q4_0", (17, 64), None),
    ],
)
def test_panels_must_be_those_of_their_type_and_shape(bent):
    w = native.quantize(zeros(17, 64), "Q4_0")
    with pytest.raises(ChronosError):
        PackedTensor(*bent(w, panels_of(w)), None)
    assert PackedTensor("Q4_0", (17, 64), panels_of(w), None).nbytes == w.nbytes


@pytest.mark.parametrize(
    "bent",
    [
        lambda u: ("f32", (2, 3), u.view(np.uint8)),
        lambda u: ("f32", (2, 3), u.astype(np.float64)),
        lambda u: ("f32", (2, 3), u[::2]),
        lambda u: ("f32", (2, 3), None),
        lambda u: ("f16", (2, 3), u),
        lambda u: ("f32", (2, -3), u),
        lambda u: ("f32", (2, 1 << 62), u),
        lambda u: ("f32", 6, u),
    ],
)
def test_a_packed_matrix_is_what_it_says(bent):
    with pytest.raises(ChronosError):
        PackedMatrix(*bent(native.pack_f32(zeros(2, 3)).units.copy()))


@pytest.mark.parametrize(
    "call",
    [
        lambda: native.quantize(zeros(HUGE, 0), "Q4_0"),
        lambda: native.pack_f32(zeros(HUGE, 0)),
        lambda: QuantTensor("Q8_0", (HUGE, 0), np.zeros(0, np.uint8)),
        lambda: QuantTensor("Q8_0", 5, b""),
        lambda: native.dequantize_rows(native.quantize(zeros(1, 32), "Q8_0"), np.broadcast_to(0, HUGE)),
        lambda: native.top_k(np.zeros((HUGE, 0), np.int8), np.zeros((1, 0), np.int8), 1),
        lambda: native.top_k(np.zeros((1, 4), np.int8), np.zeros((1, 4), np.int8), 1 << 60),
        lambda: native.top_k(
            np.zeros((1, 4), np.int8),
            np.zeros((1, 4), np.int8),
            1,
            sources=np.zeros(1, np.uint8),
            wanted=[True],
        ),
        lambda: Plan().rms_norm(zeros(2, 0), zeros(0), 1e-5, zeros(2, 0)),
        lambda: Plan().rms_norm(np.float32(1), zeros(1), 1e-5, zeros(1)),
        lambda: Plan().rms_norm(np.zeros((), np.float32), zeros(1), 1e-5, zeros(1)),
        lambda: Plan().embed([[0.0]], None, zeros(1)),
        lambda: Plan().attend(zeros(1, 0), zeros(1, 0), zeros(1, 0), zeros(1, 0), 1.0),
        lambda: Plan().attend(zeros(1, 1), zeros(2, 1), zeros(2, 1), zeros(1, 1), 1.0, [0]),
        lambda: Plan().run(0.5, 0),
        lambda: fused.rotary(zeros(1, 1, 2), zeros(1, 1), zeros(1, 1), 0.5, zeros(1, 1, 2)),
        lambda: fused.adamw(*(zeros(1) for _ in range(4)), 1e-3, 1.0, 0.9, 1e-8, 0.0, 1, 1.0),
        lambda: fused.adamw(*(zeros(1) for _ in range(4)), 1e-3, 0.9, 2, 1e-8, 0.0, 1 << 60, 1.0),
        lambda: native.learn_merges(native.Words(None, None, None), None, np.arange(256), [], 300),
        lambda: native.BpeEncoder(np.arange(256), 3, "none", np.zeros(0x110000, np.uint8)),
        lambda: native.BpeEncoder(
            np.arange(256), np.broadcast_to(0, (HUGE, 3)), "none", np.zeros(0x110000, np.uint8)
        ),
    ],
)
def test_what_made_the_faces_stumble_is_refused_in_one_line(call):
    with pytest.raises(ChronosError) as error:
        call()
    assert "\n" not in str(error.value)
