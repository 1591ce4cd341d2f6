"""Ids of random Unicode strings and of books against `tokenizers`: GPT-2's, phi-2's and two of our own.

`CHRONOS_TOKEN_STRINGS=1000000 pytest -m oracle tests/oracle/test_token_ids.py` takes a million strings, not
20,000, and tells what it did with `-s`. Needs `tokenizers`; GPT-2 and phi-2 also ../shared/data/tokenizer.
"""

import json
import os
import random
import unicodedata

import pytest

from chronos.data.stories import stories
from chronos.tokenization.factory import load_tokenizer, train_tokenizer

pytestmark = pytest.mark.oracle
tokenizers = pytest.importorskip("tokenizers")

STRINGS = int(os.environ.get("CHRONOS_TOKEN_STRINGS", "20000"))
CHUNK = 2000

SPACES = "  \t\n\r\x0b\x0c\x1c\x1d\x85\xa0\u1680\u2000\u2007\u200a\u2028\u2029\u202f\u205f\u3000\u200b\ufeff"
EMOJI = "😀🐈🦙👩👧👍🏽🏿❤\ufe0f\u200d\u20e3🇩🇪🇯1#*☎©🏴\U000e0067\U000e007f"
MARKS = "".join(chr(p) for p in [*range(0x300, 0x370), *range(0x591, 0x5C8), *range(0x64B, 0x660), 0x94D])
CONTROLS = "".join(
    map(chr, [*range(32), *range(0x7F, 0xA0), 0xAD, *range(0x2000, 0x2070), *range(0xFFF0, 0xFFFE)])
)
BLOCKS = [
    range(0x41, 0x7B),
    range(0xC0, 0x250),
    range(0x370, 0x400),
    range(0x400, 0x530),
    range(0x5D0, 0x5EB),
]
BLOCKS += [range(0x620, 0x6D4), range(0x904, 0x940), range(0xE01, 0xE5C), range(0x3041, 0x3100)]
BLOCKS += [range(0x4E00, 0x4F00), range(0xAC00, 0xAD00), range(0x10400, 0x10450), range(0x1F600, 0x1F650)]
WORDS = [
    "it's",
    "WE'LL",
    "don't",
    "'Sx",
    "the",
    " lamp",
    "12345",
    "<|endoftext|>",
    "<end>",
    "MEM_7",
    "MEM_70",
]
WORDS += ["  ", "    ", "\t\t", "\n\n", " \n", "...", "\r\n", "'ſ", "x²", "<|", "|>", "()", "==", "//", "'"]


def uniform(dice):
    return "".join(chr(p) for p in (dice.randrange(0x110000) for _ in range(12)) if not 0xD800 <= p < 0xE000)


def scripts(dice):
    runs = (dice.choices(dice.choice(BLOCKS), k=dice.randrange(1, 7)) for _ in range(4))
    return dice.choice(["", " ", "  ", "\n", "-"]).join("".join(map(chr, run)) for run in runs)


def of(characters, size):
    return lambda dice: "".join(dice.choices(characters, k=dice.randrange(size)))


def combining(dice):
    return "".join(chr(dice.choice(dice.choice(BLOCKS))) + of(MARKS, 4)(dice) for _ in range(5))


def spoken(dice):
    return "".join(dice.choices(WORDS, k=8))


KINDS = {
    "uniform": uniform,
    "scripts": scripts,
    "spaces": of(SPACES * 2 + "aé一'1٣½!", 16),
    "digits": of("0123456789٠٣²½Ⅷ㊅ '.,-aZ\n", 16),
    "apostrophes": of("'’sStTrReEvVmMlLdDſKKİı n1 \n", 16),
    "emoji": of(EMOJI + " a", 12),
    "combining": combining,
    "controls": of(CONTROLS + " a1", 12),
    "spoken": spoken,
}


def chunks_of_strings():
    """Seeded strings, the kinds in turn, a chunk at a time."""
    dice, makers = random.Random(3), list(KINDS.values())
    for start in range(0, STRINGS, CHUNK):
        yield [makers[i % len(makers)](dice) for i in range(start, min(start + CHUNK, STRINGS))]


def theirs_from_files(folder):
    made = tokenizers.Tokenizer(
        tokenizers.models.BPE.from_file(str(folder / "encoder.json"), str(folder / "vocab.bpe"))
    )
    made.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = tokenizers.decoders.ByteLevel()
    made.add_special_tokens(["<|endoftext|>"])
    if (folder / "added_tokens.json").is_file():
        added = json.loads((folder / "added_tokens.json").read_text())
        ordered = sorted(added, key=added.__getitem__)
        made.add_tokens([tokenizers.AddedToken(name, normalized=True) for name in ordered])
    return made


@pytest.fixture(scope="module", params=["gpt2", "phi2", "ours gpt2", "ours gpt4"])
def pair(request, root):
    """(ours, theirs): published ones from their files; of our own, theirs reads our tokenizer.json."""
    name = request.param
    if not name.startswith("ours"):
        folder = request.getfixturevalue("shared") / "data" / "tokenizer" / name
        return load_tokenizer(folder), theirs_from_files(folder)
    odd = [make(random.Random(7)) for make in KINDS.values()]
    texts = [*stories(300, 0), (root / "LICENSE").read_text(), *odd * 3]
    ours = train_tokenizer("bpe", texts, 1500, pattern=name.split()[1])
    return ours, tokenizers.Tokenizer.from_str(json.dumps(ours.to_json()))


def ids_of(theirs, texts, allow_special):
    theirs.encode_special_tokens = not allow_special
    return [made.ids for made in theirs.encode_batch(texts, add_special_tokens=False)]


def without_added(theirs):
    """The same without added tokens, to compare with the plain way to encode, which knows none."""
    document = json.loads(theirs.to_str())
    document["added_tokens"] = []
    return tokenizers.Tokenizer.from_str(json.dumps(document))


def test_random_strings(pair, tmp_path, request):
    ours, theirs = pair
    theirs.save(str(tmp_path / "tokenizer.json"))
    again = load_tokenizer(tmp_path)  # theirs, read by us
    written = tokenizers.Tokenizer.from_file(str(ours.save(tmp_path / "ours.json")))  # ours, read by them
    bare = without_added(theirs)
    count = tokens = not_nfc = 0
    for texts in chunks_of_strings():
        plain = ids_of(theirs, texts, False)
        assert [ours.encode(text).tolist() for text in texts] == plain
        assert [ours.decode(ids) for ids in plain] == texts
        if count < 10 * CHUNK:
            found = [again.encode(text, allow_special=True).tolist() for text in texts]
            assert found == ids_of(theirs, texts, True)
            assert [ours.encode_words(text).tolist() for text in texts] == ids_of(bare, texts, False)
            assert ids_of(written, texts, False) == plain
            assert ids_of(written, texts, True) == ids_of(theirs, texts, True)
        count += len(texts)
        tokens += sum(map(len, plain))
        not_nfc += sum(unicodedata.normalize("NFC", text) != text for text in texts)
    print(f"\n{request.node.name}: {count} strings, {tokens} tokens, {not_nfc} not in NFC: all alike")
    assert count == STRINGS and not_nfc > count / 100


def test_books(pair, shared):
    ours, theirs = pair
    for file in sorted((shared / "data" / "text").glob("*.txt")):
        text = file.read_text(encoding="utf-8")
        ids = ours.encode(text)
        assert ids.tolist() == ids_of(theirs, [text], False)[0], file.name
        assert ours.decode(ids) == text


def test_any_bytes_come_back(pair):
    ours, _ = pair
    dice = random.Random(11)
    for _ in range(2000):
        data = dice.randbytes(dice.randrange(40)) + "é一 a".encode()[: dice.randrange(8)]
        assert ours.decode_bytes(ours.encode_bytes(data)) == data
