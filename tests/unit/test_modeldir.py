"""The model directory: what is saved comes back, `gguf` reads it, damage is one line, failure is harmless."""

import json
import os

import gguf
import numpy as np
import pytest
import safetensors

from chronos import native
from chronos.architecture.tape import no_grad
from chronos.console import ChronosError
from chronos.files import sha256_file
from chronos.memory import modeldir
from chronos.memory.config import ModelConfig
from chronos.memory.model import Model
from chronos.memory.modeldir import load_model, parameter_count, quantize_model, save_model, type_for
from chronos.tokenization.factory import train_tokenizer

SHAPES = {
    "default": {},
    "published": {"norm": "layernorm", "positions": "learned", "activation": "gelu", "bias": True},
    "untied": {"kv_heads": 1, "qk_norm": True, "tied": False},
}
TOKENS = np.random.default_rng(0).integers(0, 261, (2, 8))
TOKENIZER = train_tokenizer("bytes", [])


def build(**settings) -> Model:
    shape = {"vocabulary": 261, "context": 8, "layers": 2, "width": 64, "heads": 2} | settings
    model = Model(ModelConfig(**shape), seed=4)
    rng = np.random.default_rng(1)
    for p in model.parameters().values():
        p.data[...] = p.data + rng.standard_normal(p.shape) * 0.1
    return model


def logits(model: Model) -> np.ndarray:
    with no_grad():
        return model.logits(model(TOKENS).hidden)


@pytest.fixture
def saved(tmp_path):
    save_model(tmp_path / "m", build(), TOKENIZER)
    return tmp_path / "m"


# ---- there and back ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES)
def test_float_weights_come_back(shape, tmp_path):
    model = build(**SHAPES[shape])
    save_model(tmp_path / "m", model, TOKENIZER)
    assert sorted(os.listdir(tmp_path / "m")) == ["config.json", "model.safetensors", "tokenizer.json"]
    loaded = load_model(tmp_path / "m")
    assert loaded.qtype is None and loaded.path == tmp_path / "m"
    assert loaded.model.config == model.config
    assert loaded.tokenizer.hash == TOKENIZER.hash
    for name, p in model.parameters().items():
        assert np.array_equal(loaded.model.parameters()[name].data, p.data)
    assert np.array_equal(logits(loaded.model), logits(model))
    assert parameter_count(loaded.model) == sum(p.data.size for p in model.parameters().values())


@pytest.mark.parametrize("qtype", ["Q8_0", "Q4_0", "INT4_64", "F16", "BF16"])
@pytest.mark.parametrize("shape", SHAPES)
def test_quantized_weights_come_back(shape, qtype, tmp_path):
    model = build(**SHAPES[shape])
    small, left = quantize_model(model, qtype)
    assert left == []
    assert not any(isinstance(p, native.QuantTensor) for _, p in model.named())  # the original stays
    save_model(tmp_path / "m", small, TOKENIZER)
    file = "model.safetensors" if "INT4" in qtype else "model.gguf"
    assert sorted(os.listdir(tmp_path / "m")) == ["config.json", file, "tokenizer.json"]
    loaded = load_model(tmp_path / "m")
    assert loaded.qtype == qtype
    assert parameter_count(loaded.model) == parameter_count(model)
    for (name, before), (again, after) in zip(small.named(), loaded.model.named(), strict=True):
        assert name == again and type(before) is type(after)
        if isinstance(before, native.QuantTensor):
            assert before.type == after.type == qtype and before.shape == after.shape
            assert before.tobytes() == after.tobytes()
        else:
            assert np.array_equal(before.data, after.data)
    assert np.array_equal(logits(loaded.model), logits(small))


@pytest.mark.parametrize("qtype", ["Q8_0", "Q4_0", "INT4", "F16"])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_quantized_model_computes_with_its_rounded_weights(shape, qtype):
    """Beside the rounding of activations to 8 bits, it is the float model of the dequantized weights."""
    model = build(**SHAPES[shape])
    small, _ = quantize_model(model, qtype)
    for name, p in small.named():
        if isinstance(p, native.QuantTensor):
            model.parameters()[name].data[...] = native.dequantize(p)
    exact, found = logits(model), logits(small)
    off = np.sqrt(np.square(found - exact).mean())
    assert off < 0.04 * exact.std() and (off > 0 or qtype == "F16")  # which rounds no activations


@pytest.mark.parametrize("tied", [True, False])
def test_a_tied_head_is_one_matrix(tied):
    model = build(tied=tied)
    small, _ = quantize_model(model, "Q8_0")
    assert ("head.weight" in model.parameters()) is not tied
    assert small.output_weight is (small.embed.weight if tied else small.head.weight)
    assert isinstance(small.output_weight, native.QuantTensor)


def test_the_loss_of_a_quantized_model():
    model = build()
    small, _ = quantize_model(model, "Q8_0")
    with no_grad():
        exact, found = (float(m.loss(TOKENS, TOKENS).data) for m in (model, small))
    assert abs(found - exact) < 0.02 * exact


def test_what_does_not_fit_in_blocks_gets_a_wider_type_by_name(tmp_path):
    """Width 48 is no multiple of 32, the hidden width 64 is: only `down` gets what was asked for."""
    model = build(width=48, hidden=64)
    small, other = quantize_model(model, "Q4_0")
    expected = ["embed.weight"]
    for i in range(2):
        expected += [f"stack.block.{i}.attention.qkv.weight", f"stack.block.{i}.attention.out.weight"]
        expected += [f"stack.block.{i}.ffn.up.weight"]
    assert sorted(other) == sorted(expected)
    types = {name: p.type for name, p in small.named() if isinstance(p, native.QuantTensor)}
    assert {types[name] for name in other} == {"F16"} and types["stack.block.1.ffn.down.weight"] == "Q4_0"
    save_model(tmp_path / "m", small, TOKENIZER)
    loaded = load_model(tmp_path / "m")
    assert loaded.qtype == "F16"  # what most weights are
    assert np.array_equal(logits(loaded.model), logits(small))


def test_a_model_is_called_after_the_type_of_most_weights(tmp_path):
    small, _ = quantize_model(build(), "Q8_0")
    small.embed.weight = native.quantize(native.dequantize(small.embed.weight), "F16")
    save_model(tmp_path / "m", small, TOKENIZER)
    assert load_model(tmp_path / "m").qtype == "Q8_0"


@pytest.mark.parametrize(
    ("qtype", "width", "kind"),
    [
        ("Q2_K", 256, "Q2_K"),
        ("Q2_K", 288, "Q4_0"),
        ("Q2_K", 48, "F16"),
        ("Q8_0", 48, "F16"),
        ("Q4_0", 32, "Q4_0"),
    ]
    + [(kind, 7, kind) for kind in ("INT4", "INT4_128", "F16", "BF16")],
)
def test_the_type_that_rows_get(qtype, width, kind):
    assert type_for(qtype, width) == kind


# ---- gguf reads it -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("qtype", ["Q8_0", "Q4_0"])
@pytest.mark.parametrize("shape", SHAPES)
def test_gguf_opens_our_file(shape, qtype, tmp_path):
    small, _ = quantize_model(build(**SHAPES[shape]), qtype)
    save_model(tmp_path / "m", small, TOKENIZER)
    reader = gguf.GGUFReader(tmp_path / "m" / "model.gguf")
    assert bytes(reader.fields["general.architecture"].parts[-1]).decode() == "chronos"
    assert int(reader.fields["chronos.context_length"].parts[-1][0]) == 8
    tensors = {t.name: t for t in reader.tensors}
    assert set(tensors) == {name for name, _ in small.named()}
    for name, p in small.named():
        tensor = tensors[name]
        assert tuple(int(n) for n in tensor.shape[::-1]) == tuple(p.shape)
        if isinstance(p, native.QuantTensor):
            assert tensor.tensor_type.name == qtype
            theirs = gguf.dequantize(tensor.data, tensor.tensor_type)
            assert np.array_equal(theirs, native.dequantize(p))
            assert bytes(tensor.data.tobytes()) == p.tobytes()
        else:
            assert tensor.tensor_type.name == "F32" and np.array_equal(tensor.data, p.data)


# ---- damage ------------------------------------------------------------------------------------------------


def check_refused(path, told: str) -> None:
    with pytest.raises(ChronosError) as error:
        load_model(path)
    assert told in str(error.value) and "\n" not in str(error.value), str(error.value)


def rehash(path) -> None:
    """Make the hash that of the weights which lie there now, to reach the checks behind it."""
    config = json.loads((path / "config.json").read_text())
    config["sha256"] = sha256_file(path / config["weights"])
    (path / "config.json").write_text(json.dumps(config))


def change(path, **entries) -> None:
    config = json.loads((path / "config.json").read_text())
    config |= entries
    (path / "config.json").write_text(json.dumps(config))


def test_nothing_there(tmp_path):
    check_refused(tmp_path, "no model here; train one with")
    check_refused(tmp_path / "gone", "no model here")


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json"])
def test_a_missing_file(saved, name):
    (saved / name).unlink()
    check_refused(saved, name)


@pytest.mark.parametrize("qtype", [None, "Q4_0", "INT4"])
def test_truncated_or_flipped_weights(tmp_path, qtype):
    """At every place: a parser is never given a file that is not the one that was written."""
    model = build() if qtype is None else quantize_model(build(), qtype)[0]
    save_model(tmp_path / "m", model, TOKENIZER)
    file = next((tmp_path / "m").glob("model.*"))
    whole = file.read_bytes()
    rng = np.random.default_rng(2)
    for size in (0, 1, 100, len(whole) // 2, len(whole) - 1):
        file.write_bytes(whole[:size])
        check_refused(
            tmp_path / "m", f"{file.name}: the weights are damaged: their hash differs; copy the whole"
        )
    for place in [0, 9, 20, *rng.integers(0, len(whole), 5)]:
        damaged = bytearray(whole)
        damaged[place] ^= 16
        file.write_bytes(damaged)
        check_refused(tmp_path / "m", "the weights are damaged")
    file.write_bytes(whole)
    load_model(tmp_path / "m")


@pytest.mark.parametrize("qtype", [None, "Q8_0", "INT4", "BF16"])
def test_files_that_are_no_weights(tmp_path, qtype):
    """With a hash that fits: written so, and still not to be read."""
    model = build() if qtype is None else quantize_model(build(), qtype)[0]
    save_model(tmp_path / "m", model, TOKENIZER)
    file = next((tmp_path / "m").glob("model.*"))
    whole = file.read_bytes()
    for content in (b"", b"no weights", whole[:1000], whole[:-1], whole[:4] + whole[8:]):
        file.write_bytes(content)
        rehash(tmp_path / "m")
        check_refused(tmp_path / "m", "cannot read")


def test_flipped_bits_in_the_configuration(saved):
    """One line, or a model that is another by its configuration; never a traceback."""
    file = saved / "config.json"
    whole = file.read_bytes()
    loaded = 0
    for place in range(len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << place % 7
        file.write_bytes(damaged)
        try:
            load_model(saved)
            loaded += 1
        except ChronosError as error:
            assert "\n" not in str(error)
    assert loaded < 0.1 * len(whole)


def test_impossible_configurations(saved):
    for content, told in (("[]", "unknown model version"), ("{", "damaged JSON"), ("", "damaged JSON")):
        whole = (saved / "config.json").read_bytes()
        (saved / "config.json").write_text(content)
        check_refused(saved, told)
        (saved / "config.json").write_bytes(whole)
    model = json.loads((saved / "config.json").read_text())["model"]
    for entries, told in (
        ({"version": 2}, "unknown model version, expected 1"),
        ({"tokenizer": "0" * 64}, "tokenizer.json is not the one the model was trained with"),
        ({"model": model | {"heads": 3}}, "does not divide by model.heads 3"),
        ({"model": model | {"colour": 3}}, "unknown setting 'model.colour'"),
        ({"model": 5}, "model must be a mapping"),
        ({"model": model | {"vocabulary": 262}}, "disagree on the vocabulary, expected 262, got 261"),
        ({"model": model | {"width": 32}}, "tensor embed.weight has another shape, expected (261, 32)"),
        ({"model": model | {"layers": 3}}, "odd tensor stack.block.2."),
        ({"model": model | {"tied": False}}, "odd tensor head.weight"),
        ({"weights": "elsewhere"}, "elsewhere"),
        ({"weights": None}, "None"),
    ):
        whole = (saved / "config.json").read_bytes()
        change(saved, **entries)
        check_refused(saved, told)
        (saved / "config.json").write_bytes(whole)
    load_model(saved)


def test_another_tokenizer(saved):
    train_tokenizer("char", ["abc"]).save(saved)
    check_refused(
        saved, "tokenizer.json is not the one the model was trained with; copy the whole model directory"
    )


@pytest.mark.parametrize("qtype", [None, "Q8_0", "INT4", "F16"])
def test_missing_odd_and_misshapen_tensors(tmp_path, qtype, monkeypatch):
    def save(model):
        save_model(tmp_path / "m", model, TOKENIZER)
        return tmp_path / "m"

    def other(config, **parts):
        """A model whose configuration says one thing and whose weights are another's."""
        model = build(**parts) if qtype is None else quantize_model(build(**parts), qtype)[0]
        model.config = config
        return save(model)

    config = build().config
    check_refused(other(config, qk_norm=True), "odd tensor stack.block.0.attention.gain")
    check_refused(other(build(qk_norm=True).config), "odd tensor stack.block.0.attention.gain")
    check_refused(other(config, hidden=32), "has another shape")
    check_refused(other(config, bias=True), "odd tensor stack.block.0.")


# ---- replacing and failing ---------------------------------------------------------------------------------


def snapshot(folder) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in folder.iterdir()}


def test_an_older_model_is_replaced(saved):
    small, _ = quantize_model(build(layers=1), "Q4_0")
    save_model(saved, small, TOKENIZER)
    assert sorted(os.listdir(saved)) == ["config.json", "model.gguf", "tokenizer.json"]
    assert load_model(saved).model.config.layers == 1
    assert os.listdir(saved.parent) == ["m"]


FAILURES = [
    safetensors.SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)"),
    OSError(28, "No space left on device"),
    KeyboardInterrupt(),
    MemoryError(),
]


@pytest.mark.parametrize("failure", FAILURES, ids=lambda f: type(f).__name__)
@pytest.mark.parametrize("name", ["save_file", "write_json"])
def test_a_failed_save_leaves_the_older_model(saved, failure, name, monkeypatch):
    before = snapshot(saved)

    def fail(*_):
        raise failure

    monkeypatch.setattr(modeldir, name, fail)
    expected = ChronosError if isinstance(failure, OSError | safetensors.SafetensorError) else type(failure)
    if name == "write_json" and isinstance(failure, safetensors.SafetensorError):
        expected = type(failure)  # nothing but weights are written by safetensors
    with pytest.raises(expected) as told:
        save_model(saved, build(layers=1), TOKENIZER)
    assert snapshot(saved) == before
    assert os.listdir(saved.parent) == ["m"]
    if expected is ChronosError:
        assert str(told.value) == f"{saved}: cannot write or read: No space left on device; " + (
            "free some space and run the command again"
        )


def test_a_full_disk_while_writing_gguf(saved, monkeypatch):
    """NumPy tells a short write without saying why; there is one usual reason."""
    before = snapshot(saved)

    def fail(self):
        raise OSError("50688 requested and 41440 written")

    monkeypatch.setattr(gguf.GGUFWriter, "write_tensors_to_file", fail)
    with pytest.raises(ChronosError, match="No space left on device; free some space"):
        save_model(saved, quantize_model(build(), "Q8_0")[0], TOKENIZER)
    assert snapshot(saved) == before and os.listdir(saved.parent) == ["m"]


def test_somebodys_folder_is_not_replaced(tmp_path):
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "letter.txt").write_text("dear")
    with pytest.raises(ChronosError, match="refusing to replace it"):
        save_model(tmp_path / "m", build(), TOKENIZER)
    assert snapshot(tmp_path / "m") == {"letter.txt": b"dear"}
