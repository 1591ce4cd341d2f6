"""Making tokenizers: from a text, or from a tokenizer.json.

It chooses the class and nothing more. Run it as `chronos tokenizer train --help`.
"""

from collections.abc import Iterable
from pathlib import Path

from chronos.console import ChronosError
from chronos.tokenization.bpe import BpeTokenizer
from chronos.tokenization.hf_json import read_layout
from chronos.tokenization.tokenizer import BytesTokenizer, CharTokenizer, Tokenizer


def train_tokenizer(kind: str, texts: Iterable[str], vocab: int = 0) -> Tokenizer:
    """Learn a tokenizer; `vocab` counts for "bpe" alone: characters are all kept, bytes need no text."""
    if kind == "bpe":
        return BpeTokenizer.train(texts, vocab)
    if kind == "char":
        return CharTokenizer.train(texts)
    if kind == "bytes":
        return BytesTokenizer()
    raise ChronosError("unknown kind of tokenizer", expected="bpe, char or bytes", got=repr(kind))


def load_tokenizer(path: Path | str) -> Tokenizer:
    """Read a tokenizer.json, or the one in a directory; ChronosError for one that is damaged or not ours."""
    layout = read_layout(path)
    if layout.kind == "bpe":
        return BpeTokenizer(layout.tokens, layout.merges)
    return CharTokenizer(layout.tokens) if layout.kind == "char" else BytesTokenizer()
