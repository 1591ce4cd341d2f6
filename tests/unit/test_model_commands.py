"""`chronos model init` and `show`: a model from a configuration, self-tested; what is wrong in one line."""

import json

import pytest

from chronos.console import ChronosError
from chronos.memory import commands
from chronos.tokenization.factory import train_tokenizer

TOKENIZER = train_tokenizer("bytes", [])


def arguments(**given):
    return type("Args", (), {"config": None, "tokenizer_path": None, "out_dir": None, "seed": 1} | given)


def test_init_makes_a_model_and_show_reads_it(tmp_path, capsys):
    TOKENIZER.save(tmp_path / "tok")
    (tmp_path / "small.yaml").write_text("model:\n  layers: 1\n  width: 32\n  heads: 2\n  norm_eps: 1e-4\n")
    given = {
        "config": tmp_path / "small.yaml",
        "tokenizer_path": tmp_path / "tok",
        "out_dir": tmp_path / "out",
    }
    made = commands.run_init(arguments(**given))
    assert made["model_path"] == str(tmp_path / "out" / "model")
    selftest = json.loads((tmp_path / "out" / "selftest.json").read_text())
    assert selftest["differences"] == made["differences"] and max(made["differences"].values()) < 1e-4
    shown = commands.run_show(type("Args", (), {"model_path": tmp_path / "out" / "model"}))
    assert shown["weights"] == "F32" and shown["config"]["norm_eps"] == 1e-4
    assert shown["cost"] == made["cost"] == selftest["cost"]
    assert "initialised model" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("layers: -1", "model.layers must be at least 1"),
        ("layrs: 1", "did you mean 'layers'"),
        ("- 1", "a configuration is a mapping of settings, got [1]"),
        ("{", "cannot read the configuration"),
        ("model: 3", "a configuration is a mapping"),
        (None, "cannot read the configuration"),
    ],
)
def test_init_refuses_bad_configurations(tmp_path, text, told):
    TOKENIZER.save(tmp_path / "tok")
    if text is not None:
        (tmp_path / "c.yaml").write_text(text)
    given = {"config": tmp_path / "c.yaml", "tokenizer_path": tmp_path / "tok", "out_dir": tmp_path / "out"}
    with pytest.raises(ChronosError) as error:
        commands.run_init(arguments(**given))
    assert told in str(error.value) and "\n" not in str(error.value)
    assert not (tmp_path / "out").exists()


def test_init_refuses_a_model_whose_state_does_not_carry(tmp_path, monkeypatch):
    """Also when a difference is NaN, which is above no tolerance."""
    TOKENIZER.save(tmp_path / "tok")
    for wrong in (1.0, float("nan")):
        found = {"one": 0.0, "another": wrong}
        monkeypatch.setattr("chronos.memory.selftest.self_test", lambda model, found=found: found)
        with pytest.raises(ChronosError, match="the state does not carry"):
            commands.run_init(arguments(tokenizer_path=tmp_path / "tok", out_dir=tmp_path / "out"))
    assert not (tmp_path / "out").exists()


# ---- a model that remembers --------------------------------------------------------------------------------


@pytest.fixture
def remembering(tmp_path) -> dict:
    """Arguments of `model init` for a small recall model."""
    train_tokenizer("words", ["I moved to Giza.", "Where do I live now?"]).save(tmp_path / "tok")
    (tmp_path / "c.yaml").write_text("model: {preset: chronos, width: 32, key: 16}\n")
    place = {"tokenizer_path": tmp_path / "tok", "out_dir": tmp_path / "out"}
    return {"config": tmp_path / "c.yaml", **place}


def test_init_makes_a_model_that_remembers_and_show_reads_it(remembering, tmp_path):
    made = commands.run_init(arguments(**remembering))
    assert set(made["differences"]) == {"read one by one", "asked one by one", "before what came later"}
    shown = commands.run_show(type("Args", (), {"model_path": tmp_path / "out" / "model"}))
    assert shown["weights"] == "F32" and shown["config"]["key"] == 16
    assert shown["cost"] == made["cost"] and made["cost"][-1]["part"] == "all"
    assert made["cost"][-1]["parameters"] == sum(row["parameters"] for row in made["cost"][:-1])


def test_init_refuses_a_tokenizer_that_is_not_of_words(remembering, tmp_path):
    TOKENIZER.save(tmp_path / "tok")
    with pytest.raises(ChronosError, match="memory needs a tokenizer of words, got bytes"):
        commands.run_init(arguments(**remembering))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("what", ["read one by one", "asked one by one", "before what came later"])
def test_init_refuses_a_model_whose_reads_depend_on_company(remembering, tmp_path, monkeypatch, what):
    """Keys that know how many were read, a question that knows how many are asked, a memory its length."""
    from chronos.memory.recall import net, storememory

    encode, look = net.RecallNet.encode, storememory.StoreMemory.look

    def company(self, sentences):
        h, keys = encode(self, sentences)
        keys.data += 0.01 * len(sentences.ends)
        return h, keys

    def crowd(self, hop, q, s, b, *rest):
        s.data[...] = s.data * (1 + (0.1 * len(q.data) if "asked" in what else 1e-3 * len(self.store)))
        return look(self, hop, q, s, b, *rest)

    if "read" in what:
        monkeypatch.setattr(net.RecallNet, "encode", company)
    else:
        monkeypatch.setattr(storememory.StoreMemory, "look", crowd)
    with pytest.raises(ChronosError, match=f"reads depend on what they must not.*{what}"):
        commands.run_init(arguments(**remembering))
    assert not (tmp_path / "out").exists()
