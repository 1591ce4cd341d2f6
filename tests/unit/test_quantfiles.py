"""Quantized weights in files: what is written is read, a hostile file is refused in one line."""

import gguf
import numpy as np
import pytest

from chronos import native
from chronos.console import ChronosError
from chronos.memory.modeldir import read_safetensors, write_arrays
from chronos.memory.quantfiles import join_int4, read_gguf, split_int4, write_gguf

RNG = np.random.default_rng(0)
FLOATS = RNG.standard_normal(5).astype(np.float32)
INT4 = [kind for kind in native.FORMATS if "INT4" in kind]
BLOCKS = [kind for kind in native.FORMATS if "INT4" not in kind]


def matrix(qtype: str, n: int = 6, k: int = 256) -> native.QuantTensor:
    return native.quantize(RNG.standard_normal((n, k)).astype(np.float32), qtype)


# ---- INT4 --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("qtype", INT4)
@pytest.mark.parametrize("shape", [(6, 256), (1, 1), (3, 33), (4, 100), (2, 300)])
def test_int4_comes_back_from_safetensors(tmp_path, qtype, shape):
    tensor, group = matrix(qtype, *shape), int(qtype.removeprefix("INT4_"))
    write_arrays(
        tmp_path / "a.safetensors", split_int4({"w": tensor, "gain": FLOATS, "p": native.pack(tensor)})
    )
    arrays = read_safetensors(tmp_path / "a.safetensors")
    groups = -(-shape[1] // group)
    assert {name: (a.dtype.name, a.shape) for name, a in arrays.items() if name != "gain"} == {
        f"{name}.{part}": (kind, (shape[0], size))
        for name in "wp"
        for part, kind, size in (("codes", "uint8", groups * group // 2), ("scales", "float16", groups))
    }
    back = join_int4(arrays, {"w": shape, "p": shape, "gone": (2, 2)}, tmp_path)
    assert set(back) == {"w", "gain", "p"} and (back["gain"] == FLOATS).all()
    for name in "wp":
        assert back[name].type == qtype and back[name].shape == shape
        assert back[name].tobytes() == tensor.tobytes()


def test_the_two_arrays_say_what_the_weights_are():
    """Written out by hand: w = scale · (code − 8); byte j of 32 weights holds codes j and j + 16."""
    tensor = matrix("INT4_64", 3, 128)
    arrays = split_int4({"w": tensor})
    codes, scales = arrays["w.codes"], arrays["w.scales"].astype(np.float32)
    for row, column in ((0, 0), (1, 20), (2, 127), (2, 64)):
        byte = codes[row, column // 32 * 16 + column % 16]
        code = byte >> 4 if column % 32 >= 16 else byte & 15
        expected = scales[row, column // 64] * (np.float32(code) - 8)
        assert native.dequantize(tensor)[row, column] == expected


GOOD = split_int4({"w": matrix("INT4_32", 3, 64)})
HOSTILE = {
    "codes of floats": (
        {"w.codes": np.ones((3, 32), np.float32)},
        "not INT4, expected uint8 and float16 rows",
    ),
    "scales of floats": ({"w.scales": np.ones((3, 2), np.float32)}, "not INT4"),
    "one axis": ({"w.codes": GOOD["w.codes"].reshape(-1)}, "not INT4"),
    "rows that differ": ({"w.scales": GOOD["w.scales"][:2]}, "not INT4"),
    "a row too few": (
        {name: a[:2] for name, a in GOOD.items()},
        r"another shape, expected \(3, 64\), got 2 rows",
    ),
    "groups of 16": ({"w.scales": np.ones((3, 4), np.float16)}, "a scale for each 32, 64 or 128"),
    "groups of 21 and a bit": ({"w.scales": np.ones((3, 3), np.float16)}, "a scale for each 32"),
    "no groups": ({"w.scales": np.ones((3, 0), np.float16)}, "a scale for each 32"),
    "a group too many": (
        {n: np.repeat(a, 2, axis=1) for n, a in GOOD.items()},
        "another shape.* 4 groups of 32",
    ),
    "a group too few": (
        {n: a[:, : a.shape[1] // 2] for n, a in GOOD.items()},
        "another shape.* 1 groups of 32",
    ),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_int4_that_does_not_fit_is_refused_in_one_line(tmp_path, what):
    changes, told = HOSTILE[what]
    with pytest.raises(ChronosError, match=f"tensor w .*{told}") as e:
        join_int4(GOOD | changes, {"w": (3, 64)}, tmp_path)
    assert "\n" not in str(e.value)


def test_half_an_int4_matrix_stays_what_it_is(tmp_path):
    """The model then names it as odd."""
    assert set(join_int4({"w.codes": GOOD["w.codes"]}, {"w": (3, 64)}, tmp_path)) == {"w.codes"}
    assert set(join_int4(GOOD, {}, tmp_path)) == {"w.codes", "w.scales"}


# ---- GGUF --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("qtype", BLOCKS)
def test_blocks_come_back_from_gguf_and_gguf_reads_them(tmp_path, qtype):
    tensor, file = matrix(qtype), tmp_path / "a.gguf"
    write_gguf(file, {"w": native.pack(tensor), "gain": FLOATS}, context=8)
    back = read_gguf(file)
    assert list(back) == ["w", "gain"] and back["gain"].tobytes() == FLOATS.tobytes()
    assert back["w"].type == qtype and back["w"].shape == (6, 256)
    assert back["w"].tobytes() == tensor.tobytes()
    theirs = gguf.GGUFReader(file).tensors[0]
    assert np.array_equal(gguf.dequantize(theirs.data, theirs.tensor_type), native.dequantize(tensor))


def test_gguf_holds_no_int4(tmp_path):
    with pytest.raises(
        ChronosError, match="GGUF has no INT4_32, got tensor w; quantize the whole model alike"
    ):
        write_gguf(tmp_path / "a.gguf", {"v": matrix("Q8_0"), "w": matrix("INT4_32")}, context=8)
    assert not (tmp_path / "a.gguf").exists()


def write(file, array: np.ndarray, kind: str | None = None, shape: tuple[int, ...] | None = None) -> None:
    writer = gguf.GGUFWriter(str(file), arch="chronos")
    raw = None if kind is None else gguf.GGMLQuantizationType[kind]
    writer.add_tensor("w", array, raw_shape=shape, raw_dtype=raw)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@pytest.mark.parametrize(
    ("array", "kind", "told"),
    [
        (
            np.zeros((2, 144), np.uint8),
            "Q4_K",
            r"cannot use tensor w, expected F32, or .*, got Q4_K \(2, 256\)",
        ),
        (np.zeros((2, 8), np.int32), None, r"got I32 \(2, 8\)"),
        (np.zeros((2, 8), np.float64), None, "got F64"),
        (np.zeros(64, np.float16), None, r"got F16 \(64,\)"),
        (np.zeros((2, 2, 34), np.uint8), "Q8_0", r"got Q8_0 \(2, 2, 32\)"),
    ],
)
def test_tensors_that_no_model_has_are_refused(tmp_path, array, kind, told):
    write(tmp_path / "a.gguf", array, kind)
    with pytest.raises(ChronosError, match=told) as e:
        read_gguf(tmp_path / "a.gguf")
    assert "\n" not in str(e.value)


def test_blocks_across_the_ends_of_rows_are_refused(tmp_path):
    """64 rows of 16 are 32 blocks by count, but none is a row's own."""
    write(tmp_path / "a.gguf", np.zeros((32, 34), np.uint8), "Q8_0")
    data = bytearray((tmp_path / "a.gguf").read_bytes())
    at = data.index((32).to_bytes(8, "little") * 2)
    data[at : at + 16] = (16).to_bytes(8, "little") + (64).to_bytes(8, "little")
    (tmp_path / "a.gguf").write_bytes(data)
    with pytest.raises(ChronosError, match=r"row size \(16\) is not a multiple|wrong number of bytes") as e:
        read_gguf(tmp_path / "a.gguf")
    assert "\n" not in str(e.value)


def test_a_truncated_file_of_any_length_is_one_line(tmp_path):
    file = tmp_path / "a.gguf"
    write_gguf(file, {"w": matrix("Q2_K"), "gain": FLOATS}, context=8)
    whole = file.read_bytes()
    for size in (0, 3, 4, 30, 100, len(whole) // 2, len(whole) - 40):
        file.write_bytes(whole[:size])
        with pytest.raises(ChronosError, match="cannot read GGUF") as e:
            read_gguf(file)
        assert "\n" not in str(e.value)
