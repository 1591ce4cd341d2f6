"""Make tests/fixtures/tokenizer.json: what Hugging Face's `tokenizers` learns and encodes, to compare with.

It imports nothing of ours, so the fixture cannot agree with us by construction. Needs `tokenizers`:
`python tests/oracle/make_tokenizer_fixture.py`.
"""

import json
from pathlib import Path

import tokenizers
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

SPECIALS = ["<pad>", "<start>", "<end>", "<unk>", "<mask>"]
OUT = Path(__file__).parent.parent / "fixtures" / "tokenizer.json"

TEXTS = [
    "The lighthouse keeper counted the ships. One ship, two ships, three ships; the fourth wasn't a ship.\n"
    "It was an island that hadn't been there yesterday, and it wouldn't be there tomorrow.\n\n",
    "def count(ships):\n    total = 0\n    for ship in ships:\n        total += 1\n    return total\n",
    "In 1998 there were 1,024 lamps; in 2048 there'll be 65,536. We've counted them: they're all lit.",
    "Der Leuchtturmwärter zählte die Schiffe. Größe, Höhe, Tür und Tor. «Où est l'île?» demanda l'évêque.",
    "لا أعرف أين الجزيرة. 灯台守は船を数えた。船が一つ、船が二つ。 Маяк и корабли, корабли и маяк.",
    "aaaaaaaa aaaaaaa aaaaa aaa abababab bababa abcabcabc bcabca  \t\t  \n\n\n   done "
    "🐈🐈🐈 👩‍👩‍👧 e\u0301e\u0301\n",
]
PROBES = [
    *TEXTS,
    "",
    " ",
    "hello   world  ",
    "it's IT'S 'll 'tis we'd've",
    "\x1c\x1d\x85\xa0\u2028\u3000\u200b\ufeff",
    "a \x1cb \x85c \xa0d \u200be \u2007f",
    "½ ² Ⅷ ٣ ㊅ x²y 3rd",
    "unseen: žluťoučký kůň, ひらがな, 한국어, 🦜",
    "a" * 100,
    "\r\n\t tabs\tand\r\nreturns \r",
]


def trained_bpe() -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=420,
        min_frequency=2,
        special_tokens=SPECIALS,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    return tokenizer


def raw_bytes() -> Tokenizer:
    # GPT-2's alphabet: a byte that can be seen stands for itself, the others for U+0100 onwards.
    seen = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [byte for byte in range(256) if byte not in seen]
    names = SPECIALS + [chr(b) if b in seen else chr(256 + hidden.index(b)) for b in range(256)]
    tokenizer = Tokenizer(models.BPE({name: i for i, name in enumerate(names)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(SPECIALS)
    return tokenizer


def characters() -> Tokenizer:
    names = SPECIALS + sorted(set("".join(TEXTS)))
    tokenizer = Tokenizer(models.WordLevel({name: i for i, name in enumerate(names)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), behavior="isolated")
    tokenizer.decoder = decoders.Fuse()
    tokenizer.add_special_tokens(SPECIALS)
    return tokenizer


def main() -> None:
    made = {"bpe": trained_bpe(), "bytes": raw_bytes(), "char": characters()}
    fixture = {
        "made_by": f"tests/oracle/make_tokenizer_fixture.py with tokenizers {tokenizers.__version__}",
        "texts": TEXTS,
        "probes": PROBES,
        "kinds": {
            kind: {
                "document": json.loads(tokenizer.to_str()),
                "ids": [tokenizer.encode(probe).ids for probe in PROBES],
            }
            for kind, tokenizer in made.items()
        },
    }
    OUT.write_text(json.dumps(fixture, ensure_ascii=True) + "\n", encoding="utf-8")
    print(f"{OUT}: {OUT.stat().st_size} bytes")


if __name__ == "__main__":
    main()
