"""Make tests/fixtures/tokenizer.json: what Hugging Face's `tokenizers` learns and encodes, to compare with.

It imports nothing of ours, so the fixture cannot agree with us by construction. Needs `tokenizers`:
`python tests/oracle/make_tokenizer_fixture.py`.
"""

import json
from pathlib import Path

import tokenizers
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

SPECIALS = ["<pad>", "<start>", "<end>", "<unk>", "<mask>"]
MEMORY = [f"MEM_{i}" for i in range(95)]
OUT = Path(__file__).parent.parent / "fixtures" / "tokenizer.json"

GPT4 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN2 = GPT4.replace("{1,3}", "")

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
    "it's IT'S 'll 'tis we'd've I'ſ'Sx",
    "\x1c\x1d\x85\xa0\u2028\u3000\u200b\ufeff",
    "a \x1cb \x85c \xa0d \u200be \u2007f",
    "½ ² Ⅷ ٣ ㊅ x²y 3rd 12345678",
    "unseen: žluťoučký kůň, ひらがな, 한국어, 🦜",
    "newer letters: \U000105c0\U00010d4a\u1c89 \U0001ccf0\ua7cb",
    "a" * 100,
    "\r\n\t tabs\tand\r\nreturns \r  !?\r\n\r\n'\n",
    "<end> <|endoftext|><|endoftext|> a  <mask>  b <mask><mask>MEM_1 MEM_10MEM_94MEM_95<|im<|im_end|>",
    "     x  \t\t\t\t y\t \t\n      ",
    "e\u0301 \u00e9 \u1112\u1161\u11ab \u212b q\u0307\u0323 <\u0338 \u0898\u0301\u0327",
]


def trainer(vocab: int) -> trainers.BpeTrainer:
    return trainers.BpeTrainer(
        vocab_size=vocab,
        min_frequency=2,
        special_tokens=SPECIALS + MEMORY,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )


def words_of(regex: str) -> pre_tokenizers.PreTokenizer:
    level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    return pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(regex), "isolated"), level])


def trained_bpe(pre_tokenizer: pre_tokenizers.PreTokenizer) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(TEXTS, trainer(480))
    return tokenizer


def byte_names() -> list[str]:
    # GPT-2's alphabet: a byte that can be seen stands for itself, the others for U+0100 onwards.
    seen = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [byte for byte in range(256) if byte not in seen]
    return [chr(b) if b in seen else chr(256 + hidden.index(b)) for b in range(256)]


def raw_bytes() -> Tokenizer:
    names = SPECIALS + byte_names()
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


def foreign(like: str, learned: dict) -> dict:
    """The learned merges as other people would publish them: other ids, added tokens, settings, spellings."""
    merges = [tuple(pair) for pair in learned["model"]["merges"]]
    made = [left + right for left, right in merges]
    vocab = {name: i for i, name in enumerate([*byte_names()[::-1], *dict.fromkeys(made)])}
    vocab |= {"'Ã©vÃªque": len(vocab)} if like == "llama3" else {"<|endoftext|>": len(vocab)}
    model = models.BPE(vocab, merges, ignore_merges=like == "llama3", unk_token="<|endoftext|>")
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<|endoftext|>"])
    if like == "phi2":
        spaces = [" " * n for n in range(9, 1, -1)] + ["\t" * n for n in range(4, 1, -1)]
        tokenizer.add_tokens([AddedToken(name, normalized=True) for name in spaces])
    if like == "llama3":
        tokenizer.pre_tokenizer = words_of(GPT4)
        tokenizer.add_special_tokens(["<|begin_of_text|>"])
        start = tokenizer.token_to_id("<|begin_of_text|>")
        tokenizer.post_processor = tokenizers.processors.TemplateProcessing(
            single="<|begin_of_text|> $A", special_tokens=[("<|begin_of_text|>", start)]
        )
    if like == "qwen2":
        tokenizer.normalizer = tokenizers.normalizers.NFC()
        tokenizer.pre_tokenizer = words_of(QWEN2)
        tokenizer.add_special_tokens(["<|im_end|>", "<|im"])
        tokenizer.add_tokens([AddedToken("\u212b", normalized=True), AddedToken("MEM_1", normalized=False)])
    if like == "modernbert":
        strip = AddedToken("<mask>", lstrip=True, rstrip=True, special=True)
        tokenizer.add_special_tokens([strip, AddedToken("MEM_10", rstrip=True, special=True)])
    document = json.loads(tokenizer.to_str())
    if like in ("phi2", "qwen2"):  # as older versions wrote it
        document["model"]["merges"] = [" ".join(pair) for pair in merges]
        del document["model"]["ignore_merges"]
    return document


def encoded(document: dict) -> dict:
    """A document, the ids that it gives, and the ids when special tokens are plain text."""
    tokenizer = Tokenizer.from_str(json.dumps(document))
    ids = [tokenizer.encode(probe, add_special_tokens=False).ids for probe in PROBES]
    tokenizer.encode_special_tokens = True
    plain = [tokenizer.encode(probe, add_special_tokens=False).ids for probe in PROBES]
    return {"document": document, "ids": ids, "plain": plain}


def main() -> None:
    made = {
        "bpe": trained_bpe(pre_tokenizers.ByteLevel(add_prefix_space=False)),
        "bpe gpt4": trained_bpe(words_of(GPT4)),
        "bytes": raw_bytes(),
        "char": characters(),
    }
    documents = {kind: json.loads(tokenizer.to_str()) for kind, tokenizer in made.items()}
    others = ("phi2", "llama3", "qwen2", "modernbert")
    fixture = {
        "made_by": f"tests/oracle/make_tokenizer_fixture.py with tokenizers {tokenizers.__version__}",
        "texts": TEXTS,
        "probes": PROBES,
        "kinds": {kind: encoded(document) for kind, document in documents.items()},
        "foreign": {like: encoded(foreign(like, documents["bpe gpt4"])) for like in others},
    }
    OUT.write_text(json.dumps(fixture, ensure_ascii=True) + "\n", encoding="utf-8")
    print(f"{OUT}: {OUT.stat().st_size} bytes")


if __name__ == "__main__":
    main()
