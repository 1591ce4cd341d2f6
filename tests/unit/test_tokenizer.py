"""Tokenizers: ids and merges against Hugging Face's, by both engines, and round trips of anything."""

import argparse
import functools
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
from chronos.tokenization import bpe, commands, compiled_core
from chronos.tokenization.bpe import BASE, BpeTokenizer, join_pair
from chronos.tokenization.factory import load_tokenizer, train_tokenizer
from chronos.tokenization.pretokenize import split
from chronos.tokenization.shards import TokenShards
from chronos.tokenization.tokenizer import MEMORY, SPECIALS, StreamDecoder, Tokenizer

KINDS = ("bpe", "bpe gpt4", "bytes", "char")


@pytest.fixture(scope="module")
def fixture(root):
    return json.loads((root / "tests" / "fixtures" / "tokenizer.json").read_text())


@pytest.fixture(scope="module", params=["plain", "compiled"])
def ours(fixture, request):
    """One of each kind, learned and used by Python alone or by the compiled core."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "plain":
            patch.setattr(compiled_core, "usable", lambda pattern: False)
        elif not compiled_core.usable("gpt4"):
            pytest.skip("needs the C kernels")
        made = {}
        for kind in KINDS:
            name, *pattern = kind.split()
            vocab = len(fixture["kinds"][kind]["document"]["model"]["vocab"])
            made[kind] = train_tokenizer(name, fixture["texts"], vocab, *pattern)
            assert getattr(made[kind], "core", None) is None or request.param == "compiled"
    return made


@pytest.mark.parametrize("kind", KINDS)
def test_our_file_is_the_one_that_tokenizers_writes(fixture, ours, kind):
    """Same vocabulary, same merges in the same order (ties included), same settings."""
    assert ours[kind].to_json() == fixture["kinds"][kind]["document"]


@pytest.mark.parametrize("kind", KINDS)
def test_our_ids_are_those_of_tokenizers(fixture, ours, kind, tmp_path):
    theirs = tmp_path / "tokenizer.json"
    theirs.write_text(json.dumps(fixture["kinds"][kind]["document"]))
    loaded = load_tokenizer(theirs)
    expected = fixture["kinds"][kind]
    for tokenizer in (ours[kind], loaded):
        for probe, ids, plain in zip(fixture["probes"], expected["ids"], expected["plain"], strict=True):
            assert tokenizer.encode(probe, allow_special=True).tolist() == ids, probe
            assert tokenizer.encode(probe).tolist() == plain, probe
        found = tokenizer.encode_many(fixture["probes"], threads=2)
        assert [ids.tolist() for ids in found] == expected["plain"]


def test_fixture_holds_ties(fixture):
    """Ties are what goes wrong in BPE trainers, so the compared text must have many."""
    words = Counter(word for text in fixture["texts"] for word in split(text))
    counts = bpe._Pairs(words, list(range(256))).counts
    assert sum(count == 2 for count in counts.values()) > 50


@pytest.mark.parametrize("kind", KINDS)
def test_contract(ours, kind, tmp_path):
    tokenizer = ours[kind]
    assert isinstance(tokenizer, Tokenizer) and tokenizer.kind == kind.split()[0]
    names = (*SPECIALS, *MEMORY) if tokenizer.kind == "bpe" else SPECIALS
    assert tokenizer.specials == {name: i for i, name in enumerate(names)}
    assert (tokenizer.pad, tokenizer.start, tokenizer.end, tokenizer.unk, tokenizer.mask) == (0, 1, 2, 3, 4)
    ids = tokenizer.encode("The ship.")
    assert ids.dtype == np.int32 and ids.ndim == 1
    assert len(names) <= ids.min() and ids.max() < tokenizer.vocab_size
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
    assert len({other.hash, *(tokenizer.hash for tokenizer in ours.values())}) == 5


def test_memory_has_the_ids_after_the_five(ours):
    tokenizer = ours["bpe"]
    assert tokenizer.specials["MEM_0"] == 5 and tokenizer.specials["MEM_94"] == 99
    assert tokenizer.encode("a").min() >= 100 and tokenizer.decode([5, 99]) == ""
    assert tokenizer.encode("MEM_10<end>", allow_special=True).tolist() == [15, 2]
    assert tokenizer.decode(tokenizer.encode("MEM_10<end>")) == "MEM_10<end>"


ANY_TEXT = st.text(st.characters(exclude_categories=("Cs",)))


@given(ANY_TEXT)
def test_words_join_to_the_text(text):
    assert "".join(split(text)) == text


@pytest.mark.parametrize("kind", ["bpe", "bpe gpt4", "bytes"])
@given(ANY_TEXT, st.binary())
def test_round_trip_of_any_text(ours, kind, text, data):
    tokenizer = ours[kind]
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert tokenizer.encode_bytes(text.encode()).tolist() == tokenizer.encode(text).tolist()
    for some in (data, text.encode()[1:], b"a" + data + "\u00e9".encode()[:1]):
        assert tokenizer.decode_bytes(tokenizer.encode_bytes(some)) == some


def test_code_points_of_all_planes_survive(ours):
    every = "".join(chr(point) for point in range(0, 0x110000, 7) if not 0xD800 <= point < 0xE000)
    for kind in ("bpe", "bpe gpt4", "bytes"):
        assert ours[kind].decode(ours[kind].encode(every)) == every


def test_unknown_characters(ours):
    tokenizer = ours["char"]
    every = "".join(chr(point) for point in range(0x110000) if not 0xD800 <= point < 0xE000)
    unknown = [c for c, i in zip(every, tokenizer.encode(every).tolist(), strict=True) if i == 3]
    assert len(unknown) == len(every) - len(tokenizer.characters)
    assert not set(unknown) & set(tokenizer.characters)
    assert tokenizer.decode(tokenizer.encode("aŘa")) == "a\ufffda"
    with pytest.raises(ChronosError, match="byte 1 is not UTF-8"):
        tokenizer.encode_bytes(b"a\xff")


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
            (tokenizer.ranks[pair], i) for i, pair in enumerate(pairwise(ids)) if pair in tokenizer.ranks
        ]
        if not ranked:
            return ids
        (_, new), i = min(ranked, key=lambda found: (found[0][0], found[1]))
        ids[i : i + 2] = [new]


@given(st.text("abcn ", max_size=40))
def test_encoding_is_its_definition(text):
    tokenizer = train_small()
    assert tokenizer.encode_word(text.encode()) == plain_encode(tokenizer, text)
    assert tokenizer.encode(text).tolist() == tokenizer.encode_words(text).tolist()


@functools.cache
def train_small(
    texts=("abababcab abcabc banana bananas cabana nab" * 3, "aaaa aaa aaaaa aaaaaaa"), vocab=BASE + 24
):
    return BpeTokenizer.train(texts, vocab)


def plain_learn(words, vocab):
    """BPE training by its definition: count all pairs anew for every merge."""
    tokenizer = train_small(("x",), BASE)
    words = {tuple(tokenizer._byte_ids[b] for b in word.encode()): n for word, n in words.items()}
    tokens = list(tokenizer.layout.vocab)
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
    vocab = BASE + 90
    merges = plain_learn(words, vocab)
    assert bpe.learn(words, vocab)[1] == train_tokenizer("bpe", fixture["texts"], vocab).merges == merges


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
    once = train_tokenizer("bpe", iter(fixture["texts"]), BASE + 50, threads=1)
    again = train_tokenizer("bpe", list(reversed(fixture["texts"])), BASE + 50, threads=3)
    assert once.hash == again.hash


def test_batches_are_counted_whatever_their_number(fixture, monkeypatch):
    if not compiled_core.usable("gpt2"):
        pytest.skip("needs the C kernels")
    once = train_tokenizer("bpe", fixture["texts"] * 30, BASE + 50)
    monkeypatch.setattr(compiled_core, "BATCH", 100)
    assert train_tokenizer("bpe", fixture["texts"] * 30, BASE + 50, threads=3).hash == once.hash


def test_long_words_are_encoded_in_no_time(ours):
    text = "a" * 100_000
    ids = ours["bpe"].encode(text)
    assert ours["bpe"].decode(ids) == text and ids.tolist() == ours["bpe"].encode_words(text).tolist()


def test_the_word_cache_is_bounded(monkeypatch):
    monkeypatch.setattr(bpe, "CACHED_WORDS", 10)
    tokenizer = BpeTokenizer.train(["la la"], BASE + 1)
    text = " ".join(f"{i}" for i in range(100))
    assert tokenizer.decode(tokenizer.encode_words(text)) == text
    assert len(tokenizer._words) <= 10


def test_too_little_to_learn_from(capsys):
    with pytest.raises(ChronosError, match="at least 356, got 355"):
        train_tokenizer("bpe", ["text"], 355)
    for kind in ("bpe", "char"):
        with pytest.raises(ChronosError, match="give some text"):
            train_tokenizer(kind, ["", ""], 400)
    with pytest.raises(ChronosError, match="unknown kind"):
        train_tokenizer("syllables", ["text"], 400)
    with pytest.raises(ChronosError, match="unknown pattern, expected gpt2, gpt4, qwen2, none, got 'gpt5'"):
        train_tokenizer("bpe", ["text"], 400, "gpt5")
    assert capsys.readouterr().err == ""
    assert train_tokenizer("bpe", ["la la la"], 5000).vocab_size == 358
    assert "vocabulary of 358, not the 5000" in capsys.readouterr().err


@pytest.mark.parametrize("kind", KINDS)
def test_lone_surrogates_are_refused(ours, kind):
    with pytest.raises(ChronosError, match="lone surrogate U\\+D83D at character 2"):
        ours[kind].encode("ab\ud83d")
    with pytest.raises(ChronosError, match="lone surrogate"):
        train_tokenizer("char" if kind == "bytes" else kind.split()[0], ["ab\ud83d"], 400)
    with pytest.raises(ChronosError, match="lone surrogate U\\+D83D at character 5"):
        ours[kind].encode("<end>\ud83d", allow_special=True)


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


class Stdin:
    def __init__(self, data):
        self.buffer = io.BytesIO(data)


def run(words, monkeypatch, stdin=b""):
    parser = argparse.ArgumentParser()
    commands.register(parser.add_subparsers())
    monkeypatch.setattr(sys, "stdin", Stdin(stdin))
    given = {word for word in words if word.startswith("--")}
    args = parser.parse_args(["tokenizer", *words], argparse.Namespace(json=False, given=given))
    return args.run(args)


def test_commands(tmp_path, monkeypatch, capsys):
    (tmp_path / "book.txt").write_text("the cat and the hat and the bat\n" * 9)
    where = ["--tokenizer-path", str(tmp_path / "tok")]
    made = run(["train", "--text", str(tmp_path / "book.txt"), "--vocab", "365", *where], monkeypatch)
    assert made["vocab_size"] == 365 and made["hash"] == load_tokenizer(tmp_path / "tok").hash
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
    result = run(["prepare", *folders, "--vocab", "360"], monkeypatch)
    shards = TokenShards(tmp_path / "out" / "train", result["tokenizer"]["hash"])
    assert len(shards) == result["train"]["tokens"] and result["tokenizer"]["vocab_size"] == 360
    given = ["--tokenizer-path", str(tmp_path / "out" / "tokenizer.json")]
    assert run(["prepare", *folders, *given], monkeypatch)["tokenizer"] == result["tokenizer"]
