"""Tokenizers: ids and merges against Hugging Face's, round trips, and files that are not what they claim."""

import argparse
import copy
import io
import json
import sys
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronos.console import ChronosError
from chronos.tokenization import bpe, commands
from chronos.tokenization.bpe import BpeTokenizer, join_pair
from chronos.tokenization.factory import load_tokenizer, train_tokenizer
from chronos.tokenization.pretokenize import split
from chronos.tokenization.shards import TokenShards
from chronos.tokenization.tokenizer import SPECIALS, StreamDecoder, Tokenizer

KINDS = ("bpe", "bytes", "char")


@pytest.fixture(scope="module")
def fixture(root):
    return json.loads((root / "tests" / "fixtures" / "tokenizer.json").read_text())


@pytest.fixture(scope="module")
def ours(fixture):
    vocab = len(fixture["kinds"]["bpe"]["document"]["model"]["vocab"])
    return {kind: train_tokenizer(kind, fixture["texts"], vocab) for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
def test_our_file_is_the_one_that_tokenizers_writes(fixture, ours, kind):
    """Same vocabulary, same merges in the same order (ties included), same settings."""
    assert ours[kind].to_json() == fixture["kinds"][kind]["document"]


@pytest.mark.parametrize("kind", KINDS)
def test_our_ids_are_those_of_tokenizers(fixture, ours, kind, tmp_path):
    theirs = tmp_path / "tokenizer.json"
    theirs.write_text(json.dumps(fixture["kinds"][kind]["document"]))
    loaded = load_tokenizer(theirs)
    for tokenizer in (ours[kind], loaded):
        for probe, ids in zip(fixture["probes"], fixture["kinds"][kind]["ids"], strict=True):
            assert tokenizer.encode(probe).tolist() == ids, probe


def test_fixture_holds_ties(fixture):
    """Ties are what goes wrong in BPE trainers, so the compared text must have many."""
    words = Counter(word for text in fixture["texts"] for word in split(text))
    counts = bpe._Pairs(words, list(range(256))).counts
    assert sum(count == 2 for count in counts.values()) > 50


@pytest.mark.parametrize("kind", KINDS)
def test_contract(ours, kind, tmp_path):
    tokenizer = ours[kind]
    assert isinstance(tokenizer, Tokenizer) and tokenizer.kind == kind
    assert tokenizer.specials == {name: i for i, name in enumerate(SPECIALS)}
    assert (tokenizer.pad, tokenizer.start, tokenizer.end, tokenizer.unk, tokenizer.mask) == (0, 1, 2, 3, 4)
    ids = tokenizer.encode("The ship.")
    assert ids.dtype == np.int32 and ids.ndim == 1 and ids.max() < tokenizer.vocab_size and ids.min() >= 5
    assert tokenizer.encode("").shape == (0,) and tokenizer.decode([]) == ""
    assert tokenizer.decode(ids) == tokenizer.decode(ids.tolist()) == "The ship."
    assert tokenizer.encode("<end><pad>").tolist().count(2) == 0
    assert tokenizer.decode([1, *ids, 2, 0, 4]) == "The ship." and tokenizer.decode([3]) == "\ufffd"
    for path in (tmp_path / "a", tmp_path / "b" / "mine.json"):
        saved = tokenizer.save(path)
        again = load_tokenizer(path)
        assert saved.is_file() and type(again) is type(tokenizer)
        assert again.hash == tokenizer.hash and again.encode("The ship.").tolist() == ids.tolist()


def test_hashes_differ(ours, fixture):
    other = train_tokenizer("bpe", fixture["texts"], ours["bpe"].vocab_size - 1)
    assert len({other.hash, *(tokenizer.hash for tokenizer in ours.values())}) == 4


ANY_TEXT = st.text(st.characters(exclude_categories=("Cs",)))


@given(ANY_TEXT)
def test_words_join_to_the_text(text):
    assert "".join(split(text)) == text


@pytest.mark.parametrize("kind", ["bpe", "bytes"])
@given(ANY_TEXT)
def test_round_trip_of_any_text(ours, kind, text):
    assert ours[kind].decode(ours[kind].encode(text)) == text


def test_code_points_of_all_planes_survive(ours):
    every = "".join(chr(point) for point in range(0, 0x110000, 7) if not 0xD800 <= point < 0xE000)
    for kind in ("bpe", "bytes"):
        assert ours[kind].decode(ours[kind].encode(every)) == every


def test_unknown_characters(ours):
    tokenizer = ours["char"]
    every = "".join(chr(point) for point in range(0x110000) if not 0xD800 <= point < 0xE000)
    unknown = [c for c, i in zip(every, tokenizer.encode(every).tolist(), strict=True) if i == 3]
    assert len(unknown) == len(every) - len(tokenizer.characters)
    assert not set(unknown) & set(tokenizer.characters)
    assert tokenizer.decode(tokenizer.encode("aŘa")) == "a\ufffda"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Hello, world! It's 3rd", ["Hello", ",", " world", "!", " It", "'s", " 3", "rd"]),
        ("a  b\n\n c ", ["a", " ", " b", "\n\n", " c", " "]),
        ("we'll WE'LL 're", ["we", "'ll", " WE", "'", "LL", " '", "re"]),
        ("a \x1cb \x85c", ["a", " \x1c", "b", " ", "\x85", "c"]),
        ("x½²٣Ⅷ一", ["x", "½²٣Ⅷ", "一"]),
    ],
)
def test_words_of_gpt2(text, words):
    assert split(text) == words


def plain_encode(tokenizer, word):
    """The definition, in the slowest way: again and again join the leftmost of the earliest pairs."""
    ids = [tokenizer._byte_ids[byte] for byte in word.encode()]
    while True:
        ranked = [
            (tokenizer._ranks[pair], i) for i, pair in enumerate(pairwise(ids)) if pair in tokenizer._ranks
        ]
        if not ranked:
            return ids
        rank, i = min(ranked)
        ids[i : i + 2] = [tokenizer._made[rank]]


@given(st.text("abcn ", max_size=40))
def test_encoding_is_its_definition(text):
    tokenizer = train_small()
    assert tokenizer.encode_word(text.encode()) == plain_encode(tokenizer, text)


def train_small(
    texts=("abababcab abcabc banana bananas cabana nab" * 3, "aaaa aaa aaaaa aaaaaaa"), vocab=285
):
    return BpeTokenizer.train(texts, vocab)


def plain_learn(words, vocab):
    """BPE training by its definition: count all pairs anew for every merge."""
    tokenizer = train_small(["x"], 261)
    words = {tuple(tokenizer._byte_ids[b] for b in word.encode()): n for word, n in words.items()}
    tokens = ["?"] * 5 + tokenizer.tokens
    merges = []
    while len(tokens) < vocab:
        counts = Counter()
        for ids, n in words.items():
            for pair in pairwise(ids):
                counts[pair] += n
        best, count = min(counts.items(), key=lambda item: (-item[1], item[0]))
        if count < 2:
            break
        merges.append((tokens[best[0]], tokens[best[1]]))
        tokens.append("".join(merges[-1]))
        joined = Counter()
        for ids, n in words.items():
            joined[tuple(join_pair(list(ids), best, len(tokens) - 1)[0])] += n
        words = joined
    return merges


def test_incremental_training_is_its_definition(fixture):
    words = Counter(word for text in fixture["texts"] for word in split(text))
    assert bpe.learn(words, 400)[1] == plain_learn(words, 400)


@given(st.lists(st.integers(1, 3), max_size=12))
def test_join_pair_tells_how_counts_change(ids):
    joined, changes = join_pair(ids, (1, 2), 9)
    after = Counter(pairwise(joined))
    told = Counter(pairwise(ids))
    for pair, change in changes.items():
        told[pair] += change
    del told[1, 2], after[1, 2]
    assert +told == +after and [i for j in joined for i in ((1, 2) if j == 9 else (j,))] == ids


def test_training_is_repeatable_and_streams(fixture):
    once = train_tokenizer("bpe", iter(fixture["texts"]), 300)
    assert once.hash == train_tokenizer("bpe", list(reversed(fixture["texts"])), 300).hash


def test_long_words_are_encoded_in_no_time(ours):
    text = "a" * 100_000
    assert ours["bpe"].decode(ours["bpe"].encode(text)) == text


def test_the_word_cache_is_bounded(monkeypatch):
    monkeypatch.setattr(bpe, "CACHED_WORDS", 10)
    tokenizer = train_small()
    text = " ".join(f"{i}" for i in range(100))
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert len(tokenizer._words) <= 10


def test_too_little_to_learn_from(capsys):
    with pytest.raises(ChronosError, match="at least 261, got 260"):
        train_tokenizer("bpe", ["text"], 260)
    for kind in ("bpe", "char"):
        with pytest.raises(ChronosError, match="give some text"):
            train_tokenizer(kind, ["", ""], 300)
    with pytest.raises(ChronosError, match="unknown kind"):
        train_tokenizer("words", ["text"], 300)
    assert capsys.readouterr().err == ""
    assert train_tokenizer("bpe", ["la la la"], 5000).vocab_size == 263
    assert "vocabulary of 263, not the 5000" in capsys.readouterr().err


@pytest.mark.parametrize("kind", KINDS)
def test_lone_surrogates_are_refused(ours, kind):
    with pytest.raises(ChronosError, match="lone surrogate U\\+D83D at character 2"):
        ours[kind].encode("ab\ud83d")
    with pytest.raises(ChronosError, match="lone surrogate"):
        train_tokenizer("char" if kind == "bytes" else kind, ["ab\ud83d"], 300)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ids", [[-1], [10**6], [2**70], [1.5], ["a"], [[1, 2]], [None], [True]])
def test_what_is_no_id(ours, kind, ids):
    with pytest.raises(ChronosError):
        ours[kind].decode(ids)


def test_streaming_gives_whole_characters(ours):
    text = "naïve 🐈 猫"
    for kind in ("bytes", "bpe"):
        decoder = StreamDecoder(ours[kind])
        parts = [decoder.feed(i) for i in ours[kind].encode(text)]
        assert (
            "".join(parts) == text and not any("\ufffd" in part for part in parts) and decoder.finish() == ""
        )
    broken = StreamDecoder(ours["bytes"])
    cut = ours["bytes"].encode("é")[:1]
    assert broken.feed(cut[0]) == "" and broken.finish() == "\ufffd"
    assert ours["bytes"].decode(cut) == "\ufffd" and ours["bytes"].decode_bytes(cut) == b"\xc3"


DAMAGE = {
    "not an object": lambda d: [],
    "no model": lambda d: d.pop("model") and d,
    "model a list": lambda d: d | {"model": []},
    "another model": lambda d: d["model"].update(type="Unigram"),
    "vocab a list": lambda d: d["model"].update(vocab=[]),
    "id a string": lambda d: d["model"]["vocab"].update({"!": "5"}),
    "id twice": lambda d: d["model"]["vocab"].update({"!": 6}),
    "id missing": lambda d: d["model"]["vocab"].update({"!": 5000}),
    "specials elsewhere": lambda d: d["model"]["vocab"].update({"<pad>": 1, "<start>": 0}),
    "a byte missing": lambda d: d["model"]["vocab"].update({"猫": d["model"]["vocab"].pop("!")}),
    "token without merge": lambda d: d["model"]["vocab"].update({"qqq": len(d["model"]["vocab"])}),
    "merge of three": lambda d: d["model"]["merges"].append(["a", "b", "c"]),
    "merge of numbers": lambda d: d["model"]["merges"].append([1, 2]),
    "merge twice": lambda d: d["model"]["merges"].append(d["model"]["merges"][0]),
    "merge of strangers": lambda d: d["model"]["merges"].append(["q", "猫"]),
    "merges missing": lambda d: d["model"].pop("merges"),
    "a normalizer": lambda d: d.update(normalizer={"type": "NFC"}),
    "prefix space": lambda d: d["pre_tokenizer"].update(add_prefix_space=True),
    "dropout": lambda d: d["model"].update(dropout=0.1),
    "added token": lambda d: d["added_tokens"].append({"id": 5, "content": "!"}),
    "added tokens a string": lambda d: d.update(added_tokens="none"),
    "no splitting, yet merges": lambda d: d["pre_tokenizer"].update(use_regex=False),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damaged_files_are_one_line(fixture, tmp_path, name):
    document = copy.deepcopy(fixture["kinds"]["bpe"]["document"])
    changed = DAMAGE[name](document)
    file = tmp_path / "tokenizer.json"
    file.write_text(
        json.dumps(changed if name in ("not an object", "no model", "model a list") else document)
    )
    with pytest.raises(ChronosError) as caught:
        load_tokenizer(file)
    assert str(caught.value).startswith(f"{file}: ") and "\n" not in str(caught.value)


def test_files_that_cannot_be_read(tmp_path, ours):
    with pytest.raises(ChronosError, match="no tokenizer here"):
        load_tokenizer(tmp_path)
    file = ours["char"].save(tmp_path)
    whole = file.read_bytes()
    for broken in (whole[: len(whole) // 2], b"", b"\xff" + whole, whole.replace(b'"\xc3\xa4"', b'"ab"')):
        file.write_bytes(broken)
        with pytest.raises(ChronosError):
            load_tokenizer(file)


def test_older_merges_and_offsets_are_read(fixture, tmp_path):
    document = copy.deepcopy(fixture["kinds"]["bpe"]["document"])
    document["model"]["merges"] = [" ".join(pair) for pair in document["model"]["merges"]]
    document["pre_tokenizer"]["trim_offsets"] = False
    document["model"]["continuing_subword_prefix"] = ""
    (tmp_path / "tokenizer.json").write_text(json.dumps(document))
    assert load_tokenizer(tmp_path).to_json() == fixture["kinds"]["bpe"]["document"]


class Stdin:
    def __init__(self, data):
        self.buffer = io.BytesIO(data)


def run(words, monkeypatch, stdin=b""):
    parser = argparse.ArgumentParser()
    commands.register(parser.add_subparsers())
    monkeypatch.setattr(sys, "stdin", Stdin(stdin))
    args = parser.parse_args(["tokenizer", *words], argparse.Namespace(json=False))
    return args.run(args)


def test_commands(tmp_path, monkeypatch, capsys):
    (tmp_path / "book.txt").write_text("the cat and the hat and the bat\n" * 9)
    where = ["--tokenizer-path", str(tmp_path / "tok")]
    made = run(["train", "--text", str(tmp_path / "book.txt"), "--vocab", "270", *where], monkeypatch)
    assert made["vocab_size"] == 270 and made["hash"] == load_tokenizer(tmp_path / "tok").hash
    found = run(["encode", *where], monkeypatch, "the hat 🐈\n".encode())
    assert capsys.readouterr().out.splitlines()[-1] == " ".join(map(str, found["ids"]))
    for ids in (json.dumps(found), json.dumps(found["ids"]), " ".join(map(str, found["ids"]))):
        assert run(["decode", *where], monkeypatch, ids.encode()) == {"text": "the hat 🐈\n"}
    for wrong in (b"1 2 x", b'{"tokens": [1]}', b"[1, 2.5]", b"[true]", b"999999", b"\xff"):
        with pytest.raises(ChronosError):
            run(["decode", *where], monkeypatch, wrong)
    run(
        ["train", "--text", str(tmp_path / "book.txt"), "--kind", "char", "--vocab", "9", *where], monkeypatch
    )
    assert "--vocab has no effect" in capsys.readouterr().err


def test_prepare_command(tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    for part in ("train", "val"):
        rows = "".join(json.dumps({"text": f"the {part} and the cat {i}"}) + "\n" for i in range(9))
        (tmp_path / "data" / f"{part}.jsonl").write_text(rows)
    folders = ["--data", str(tmp_path / "data"), "--out-dir", str(tmp_path / "out")]
    result = run(["prepare", *folders, "--vocab", "265"], monkeypatch)
    shards = TokenShards(tmp_path / "out" / "train", result["tokenizer"]["hash"])
    assert len(shards) == result["train"]["tokens"] and result["tokenizer"]["vocab_size"] == 265
    given = ["--tokenizer-path", str(tmp_path / "out" / "tokenizer.json")]
    assert run(["prepare", *folders, *given], monkeypatch)["tokenizer"] == result["tokenizer"]
