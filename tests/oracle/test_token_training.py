"""What is learned and what others' files say, live against `tokenizers`: more texts and more settings.

The unit tests compare with a small fixture; here are larger texts, both engines, and random tokenizers with
random added tokens. Needs `tokenizers`: `make test-oracle`.
"""

import json
import random

import pytest

from chronos.data.stories import stories
from chronos.tokenization import compiled_core, hf_json
from chronos.tokenization.factory import from_layout, load_tokenizer, train_tokenizer
from chronos.tokenization.layout import MEMORY, SPECIALS
from chronos.tokenization.normalizers import nfc
from chronos.tokenization.pretokenize import PATTERNS, REGEXES

pytestmark = pytest.mark.oracle
tokenizers = pytest.importorskip("tokenizers")

ODD = " \t\n\r'abcsdtrelvmST019_.,!?\x0b\x1c\x1d\x85\xa0\u2028\u3000\u200b\ufeff½²③Ⅷ٣猫éß\u0301İʰªºſ"


def odd_texts(n):
    dice = random.Random(5)
    points = [chr(point) for point in range(0x30000) if not 0xD800 <= point < 0xE000]
    return ["".join(dice.choice((ODD, points)[dice.random() < 0.5]) for _ in range(20)) for _ in range(n)]


TEXTS = {
    "stories": list(stories(400, 0)),
    "odd": odd_texts(4000),
    "ties": ["".join(word) for word in zip("abcd" * 60, "bcda" * 60, "  cd" * 60)] * 3,
}


def cutter(pattern):
    pre = tokenizers.pre_tokenizers
    if pattern in ("gpt2", "none"):
        return pre.ByteLevel(add_prefix_space=False, use_regex=pattern == "gpt2")
    split = pre.Split(tokenizers.Regex(REGEXES[pattern]), "isolated")
    return pre.Sequence([split, pre.ByteLevel(add_prefix_space=False, use_regex=False)])


def trained_by_them(texts, vocab, pattern):
    theirs = tokenizers.Tokenizer(tokenizers.models.BPE())
    theirs.pre_tokenizer = cutter(pattern)
    theirs.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=vocab,
        min_frequency=2,
        special_tokens=[*SPECIALS, *MEMORY],
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    theirs.train_from_iterator(texts, trainer)
    return theirs


@pytest.mark.parametrize("engine", ["plain", "compiled"])
@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("name", TEXTS)
def test_training_agrees(name, pattern, engine, monkeypatch):
    if engine == "plain":
        monkeypatch.setattr(compiled_core, "usable", lambda pattern: False)
    for vocab in (400, 700, 5000):
        ours = train_tokenizer("bpe", TEXTS[name], vocab, pattern=pattern)
        theirs = trained_by_them(TEXTS[name], vocab, pattern)
        assert ours.to_json() == json.loads(theirs.to_str())


def test_training_on_a_book_agrees(shared):
    text = (shared / "data" / "text" / "Stevenson_Treasure_1883.txt").read_text(encoding="utf-8")
    for pattern in ("gpt2", "gpt4"):
        ours = train_tokenizer("bpe", text.splitlines(keepends=True), 6000, pattern=pattern)
        theirs = trained_by_them(text.splitlines(keepends=True), 6000, pattern)
        assert ours.to_json() == json.loads(theirs.to_str())


@pytest.mark.parametrize("kind", ["char", "bytes"])
def test_plain_kinds_agree(kind, tmp_path):
    ours = train_tokenizer(kind, TEXTS["odd"][:1000], 0)
    theirs = tokenizers.Tokenizer.from_file(str(ours.save(tmp_path)))
    for text in [*TEXTS["odd"], "<end><pad> <mask>"]:
        theirs.encode_special_tokens = True
        assert ours.encode(text).tolist() == theirs.encode(text).ids
        theirs.encode_special_tokens = False
        assert ours.encode(text, allow_special=True).tolist() == theirs.encode(text).ids


LETTERS = "ab\u00e5\u212b <>|"


def random_tokenizer(dice):
    """Random merges, ids, settings and added tokens, all of kinds that we say we read."""
    names = hf_json.BYTE_TO_CHAR[:]
    dice.shuffle(names)
    merges, some = [], [hf_json.BYTE_TO_CHAR[byte] for byte in LETTERS.encode()]
    while len(merges) < 30:
        pair = (dice.choice(some), dice.choice(some))
        if pair not in merges:
            merges.append(pair)
            some.append("".join(pair))
    vocab = {name: i for i, name in enumerate([*names, *dict.fromkeys(map("".join, merges))])}
    for name in ("ab<", "<|", "ÃĥÂ¥a"):
        vocab.setdefault(name, len(vocab))
    made = tokenizers.Tokenizer(tokenizers.models.BPE(vocab, merges, ignore_merges=dice.random() < 0.3))
    made.pre_tokenizer = cutter(dice.choice(PATTERNS))
    made.decoder = tokenizers.decoders.ByteLevel()
    if dice.random() < 0.4:
        made.normalizer = tokenizers.normalizers.NFC()
    for _ in range(dice.randrange(8)):
        content = "".join(dice.choices(LETTERS, k=dice.randrange(1, 5)))
        normalized, special, strip = (dice.random() < 0.5 for _ in range(3))
        left = special and strip and dice.random() < 0.5
        token = tokenizers.AddedToken(
            content, lstrip=left, rstrip=special and strip, normalized=normalized, special=special
        )
        (made.add_special_tokens if special else made.add_tokens)([token])
    return made


def test_random_tokenizers_give_the_same_ids():
    dice, refused, read = random.Random(8), 0, 0
    for _ in range(400):
        made = random_tokenizer(dice)
        document = json.loads(made.to_str())
        theirs = tokenizers.Tokenizer.from_str(made.to_str())
        try:
            ours = from_layout(hf_json.parse(document))
        except hf_json.Refused:
            refused += 1
            continue
        read += 1
        again = from_layout(hf_json.parse(ours.to_json()))
        assert again.hash == ours.hash
        for _ in range(30):
            text = "".join(dice.choices([*LETTERS, "A\u030a", "12345", "\n"], k=dice.randrange(12)))
            theirs.encode_special_tokens = False
            assert ours.encode(text, allow_special=True).tolist() == theirs.encode(text).ids, (document, text)
            theirs.encode_special_tokens = True
            assert ours.encode(text).tolist() == again.encode(text).tolist() == theirs.encode(text).ids
            if document["normalizer"] is None:
                assert ours.decode(ours.encode(text)) == text
            else:
                assert nfc(ours.decode(ours.encode(text))) == nfc(text)
    assert read > 300 and refused < 60


def test_a_saved_file_reads_alike(tmp_path):
    theirs = trained_by_them(TEXTS["stories"], 700, "gpt4")
    theirs.save(str(tmp_path / "tokenizer.json"))
    ours = load_tokenizer(tmp_path)
    assert all(ours.encode(text).tolist() == theirs.encode(text).ids for text in TEXTS["odd"])
