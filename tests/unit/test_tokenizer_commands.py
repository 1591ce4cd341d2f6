"""The commands of stage 03: flags reach the functions, idle ones are named."""

import io
import json

import pytest

from chronos.cli import main
from chronos.console import ChronosError
from chronos.tokenization import commands, pretokenize
from chronos.tokenization.factory import load_tokenizer
from chronos.tokenization.shard_writer import write_shards


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("It'S 12345 lamps. It'S 12345 ships.\n" * 9)
    return path


def test_the_patterns_offered_are_those_there_are():
    assert commands.PATTERNS == pretokenize.PATTERNS


def test_the_pattern_is_the_one_asked_for(tmp_path, text, capsys):
    argv = ["tokenizer", "train", "--text", str(text), "--tokenizer-path", str(tmp_path / "t")]
    assert main([*argv, "--vocab", "380", "--pattern", "gpt4"]) == 0
    assert load_tokenizer(tmp_path / "t").layout.pattern == "gpt4"
    assert main([*argv, "--kind", "char", "--pattern", "gpt4"]) == 0
    assert "--pattern has no effect: --kind is char" in capsys.readouterr().err


def test_special_tokens_in_a_text_are_text_unless_allowed(tmp_path, text, capsys, monkeypatch):
    place = ["--tokenizer-path", str(tmp_path / "t")]
    assert main(["tokenizer", "train", "--text", str(text), *place]) == 0
    capsys.readouterr()
    found = {}
    for flags in ([], ["--allow-special"]):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"a<end>MEM_3")))
        assert main(["tokenizer", "encode", *place, *flags, "--json"]) == 0
        found[bool(flags)] = json.loads(capsys.readouterr().out)["ids"]
    assert found[True][1:] == [2, 8] and not {2, 8} & set(found[False])


def test_words_are_learned_and_never_made_into_shards(tmp_path, text, capsys, monkeypatch):
    place = ["--tokenizer-path", str(tmp_path / "t")]
    argv = ["tokenizer", "train", "--text", str(text), "--kind", "words", "--vocab", "36"]
    assert main([*argv, "--pattern", "gpt4", *place]) == 0
    said = capsys.readouterr()
    assert "words tokenizer with 33 ids" in said.out and "--pattern has no effect" in said.err
    assert "--vocab has" not in said.err
    for action, given in (("encode", "Lamps 12 zork"), ("decode", None)):
        given = given or said
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(given.encode())))
        assert main(["tokenizer", action, *place]) == 0
        said = capsys.readouterr().out
    assert said == "lamps 12 \ufffd\n"
    with pytest.raises(ChronosError, match="token shards cannot be made by a tokenizer of kind words"):
        write_shards(["lamps"], load_tokenizer(tmp_path / "t"), tmp_path / "shards")
    assert not (tmp_path / "shards").exists()
