"""The same comparison as from the fixture, live and larger: needs `tokenizers`."""

import random
import unicodedata

import pytest

from chronos.data.stories import stories
from chronos.tokenization.factory import load_tokenizer, train_tokenizer

pytestmark = pytest.mark.oracle
tokenizers = pytest.importorskip("tokenizers")

SPECIALS = ["<pad>", "<start>", "<end>", "<unk>", "<mask>"]
ODD = " \t\n\r'abcsdtrelvmST019_.,!?\x0b\x1c\x1d\x85\xa0\u2028\u3000\u200b\ufeff½²③Ⅷ٣猫éß\u0301İʰªº"


def odd_texts(n):
    """Characters of Unicode 3.2: of later ones Python and `tokenizers` may know different versions."""
    dice = random.Random(5)
    known = unicodedata.ucd_3_2_0.category
    points = [c for c in map(chr, range(0x110000)) if known(c) not in ("Cs", "Cn", "Co")]
    return ["".join(dice.choice((ODD, points)[dice.random() < 0.5]) for _ in range(20)) for _ in range(n)]


@pytest.fixture(scope="module")
def texts():
    return {"stories": list(stories(400, 0)), "odd": odd_texts(4000)}


@pytest.mark.parametrize("name", ["stories", "odd"])
@pytest.mark.parametrize("vocab", [300, 700, 5000])
def test_training_and_encoding_agree(texts, name, vocab, tmp_path):
    theirs = tokenizers.Tokenizer(tokenizers.models.BPE())
    theirs.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    theirs.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=vocab,
        min_frequency=2,
        special_tokens=SPECIALS,
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    theirs.train_from_iterator(texts[name], trainer)
    theirs.save(str(tmp_path / "theirs.json"))
    ours = train_tokenizer("bpe", texts[name], vocab)
    assert ours.to_json() == load_tokenizer(tmp_path / "theirs.json").to_json()
    again = tokenizers.Tokenizer.from_file(str(ours.save(tmp_path / "ours")))
    for text in [*texts["odd"], *texts["stories"]]:
        assert ours.encode(text).tolist() == again.encode(text).ids == theirs.encode(text).ids


@pytest.mark.parametrize("kind", ["char", "bytes"])
def test_plain_kinds_agree(texts, kind, tmp_path):
    ours = train_tokenizer(kind, texts["odd"][:1000], 0)
    theirs = tokenizers.Tokenizer.from_file(str(ours.save(tmp_path)))
    for text in texts["odd"]:
        assert ours.encode(text).tolist() == theirs.encode(text).ids
