"""The Hugging Face `tokenizer.json` layout: written so that `tokenizers` gives our ids, read with suspicion.

Plain dictionaries in and out; knows no tokenizer class. It reads the three layouts that it writes.
"""

from pathlib import Path
from typing import Any, NamedTuple

from chronos.console import ChronosError
from chronos.files import read_json

FILE_NAME = "tokenizer.json"
SPECIALS = ("<pad>", "<start>", "<end>", "<unk>", "<mask>")


def _byte_alphabet() -> list[str]:
    """GPT-2's printable stand-in for each byte: itself if it can be seen, else the next of U+0100 …"""
    seen = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = [b for b in range(256) if b not in seen]
    return [chr(b) if b in seen else chr(256 + hidden.index(b)) for b in range(256)]


BYTE_TO_CHAR = _byte_alphabet()
CHAR_TO_BYTE = {character: byte for byte, character in enumerate(BYTE_TO_CHAR)}


class Layout(NamedTuple):
    """What a tokenizer.json says: its kind, its tokens in id order after the specials, its merges."""

    kind: str
    tokens: list[str]
    merges: list[tuple[str, str]]


def token_bytes(token: str) -> bytes:
    """The bytes that a token in GPT-2's alphabet stands for; KeyError for another alphabet."""
    return bytes(CHAR_TO_BYTE[character] for character in token)


def byte_level_document(
    tokens: list[str], merges: list[tuple[str, str]], split_words: bool
) -> dict[str, Any]:
    """A byte-level BPE; raw bytes are one without merges that does not split words."""
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": split_words}
    model = {
        "type": "BPE",
        "dropout": None,
        "unk_token": None,
        "continuing_subword_prefix": None,
        "end_of_word_suffix": None,
        "fuse_unk": False,
        "byte_fallback": False,
        "ignore_merges": False,
        "vocab": _vocab(tokens),
        "merges": [list(pair) for pair in merges],
    }
    return _document(level, {**level, "add_prefix_space": True, "use_regex": True}, model)


def characters_document(characters: list[str]) -> dict[str, Any]:
    """One token a character: every character is split off, then looked up as a word."""
    split = {"type": "Split", "pattern": {"Regex": r"[\s\S]"}, "behavior": "Isolated", "invert": False}
    model = {"type": "WordLevel", "vocab": _vocab(characters), "unk_token": SPECIALS[3]}
    return _document(split, {"type": "Fuse"}, model)


def _vocab(tokens: list[str]) -> dict[str, int]:
    return {token: i for i, token in enumerate([*SPECIALS, *tokens])}


def _document(pre_tokenizer: dict, decoder: dict, model: dict) -> dict[str, Any]:
    plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": i, "content": name, **plain} for i, name in enumerate(SPECIALS)],
        "normalizer": None,
        "pre_tokenizer": pre_tokenizer,
        "post_processor": None,
        "decoder": decoder,
        "model": model,
    }


def read_layout(path: Path | str) -> Layout:
    """Read and check a tokenizer.json, or the one in a directory; ChronosError says what is wrong."""
    path = Path(path)
    if path.is_dir():
        path = path / FILE_NAME
    if not path.is_file():
        raise ChronosError("no tokenizer here", where=path, mend="make one with: chronos tokenizer train")
    document = read_json(path)
    try:
        layout = _parse(document)
        _check_settings(document, layout)
    except _Refused as error:
        raise ChronosError(
            f"not a tokenizer of ours ({error})", where=path, mend="train one with: chronos tokenizer train"
        ) from None
    return layout


class _Refused(Exception):
    """Why a document is not a tokenizer of ours."""


def _parse(document: Any) -> Layout:
    model = _field(document, "model", dict)
    vocab = _field(model, "vocab", dict)
    tokens = _tokens(vocab)
    pre_tokenizer = _field(document, "pre_tokenizer", dict)
    kind = model.get("type")
    if kind == "WordLevel":
        if any(len(token) != 1 or "\ud800" <= token <= "\udfff" for token in tokens) or not tokens:
            raise _Refused("its words are not single characters")
        return Layout("char", tokens, [])
    if kind != "BPE":
        raise _Refused(f"model type {kind!r}")
    merges = [_merge(pair, vocab) for pair in _field(model, "merges", list)]
    if not pre_tokenizer.get("use_regex"):
        if merges or tokens != BYTE_TO_CHAR:
            raise _Refused("it does not split words and yet is not the 256 bytes")
        return Layout("bytes", tokens, [])
    if len(set(merges)) != len(merges):
        raise _Refused("a merge occurs twice")
    if set(tokens[:256]) != set(BYTE_TO_CHAR):
        raise _Refused("the 256 bytes do not follow the special tokens")
    made = {left + right for left, right in merges}
    if any(token not in made for token in tokens[256:]):
        raise _Refused("a token that no merge makes")
    return Layout("bpe", tokens, merges)


def _field(mapping: Any, name: str, kind: type) -> Any:
    value = mapping.get(name) if isinstance(mapping, dict) else None
    if not isinstance(value, kind):
        raise _Refused(f"no {kind.__name__} {name!r}")
    return value


def _tokens(vocab: dict[str, Any]) -> list[str]:
    """The tokens in id order, if the ids are 0 … n−1 and begin with the specials."""
    for token, i in vocab.items():
        if not isinstance(i, int) or isinstance(i, bool):
            raise _Refused(f"id of {token!r} is not an integer")
    if sorted(vocab.values()) != list(range(len(vocab))):
        raise _Refused("ids are not 0, 1, 2, … each once")
    tokens = sorted(vocab, key=vocab.__getitem__)
    if tuple(tokens[: len(SPECIALS)]) != SPECIALS:
        raise _Refused(f"ids 0 to 4 are not {' '.join(SPECIALS)}")
    return tokens[len(SPECIALS) :]


def _merge(pair: Any, vocab: dict[str, int]) -> tuple[str, str]:
    if isinstance(pair, str):  # the layout of tokenizers before 0.20
        pair = pair.split(" ")
    if not (isinstance(pair, list) and len(pair) == 2 and all(isinstance(part, str) for part in pair)):
        raise _Refused("a merge is not a pair of tokens")
    left, right = pair
    if left not in vocab or right not in vocab or left + right not in vocab:
        raise _Refused(f"the merge {left!r} {right!r} names unknown tokens")
    return left, right


def _check_settings(document: dict[str, Any], layout: Layout) -> None:
    """Refuse every setting that would change ids; what only concerns offsets or decoding is let be."""
    if layout.kind == "char":
        ours = characters_document(layout.tokens)
    else:
        ours = byte_level_document(layout.tokens, layout.merges, split_words=layout.kind == "bpe")
    for section in ("normalizer", "pre_tokenizer", "post_processor"):
        if _but_offsets(document.get(section)) != _but_offsets(ours[section]):
            raise _Refused(f"another {section}")
    for name, value in ours["model"].items():
        if name not in ("vocab", "merges") and (document["model"].get(name, value) or None) != (
            value or None
        ):
            raise _Refused(f"another setting of model.{name}")
    added = document.get("added_tokens")
    if not isinstance(added, list) or not all(isinstance(token, dict) for token in added):
        raise _Refused("no list 'added_tokens'")
    if [(token.get("id"), token.get("content")) for token in added] != list(enumerate(SPECIALS)):
        raise _Refused(f"its added tokens are not {' '.join(SPECIALS)}")


def _but_offsets(section: Any) -> Any:
    if not isinstance(section, dict):
        return section
    return {name: value for name, value in section.items() if name != "trim_offsets"}
