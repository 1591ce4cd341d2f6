"""Making tokenizers: from a text, from a tokenizer.json, or from the files of GPT-2 and its like.

It chooses the class and nothing more. Run it as `chronos tokenizer train --help`.
"""

from collections.abc import Iterable
from pathlib import Path

from chronos.console import ChronosError
from chronos.tokenization import gpt2_files, hf_json
from chronos.tokenization.bpe import BpeTokenizer
from chronos.tokenization.layout import SPECIALS, Layout
from chronos.tokenization.tokenizer import BytesTokenizer, CharTokenizer, Tokenizer
from chronos.tokenization.words import WordTokenizer


def train_tokenizer(
    kind: str, texts: Iterable[str], vocab: int = 0, pattern: str = "gpt2", threads: int | None = None
) -> Tokenizer:
    """Learn a tokenizer from texts that are read once, as a stream.

    `vocab` counts for "bpe" and "words" (0: all words); `pattern` (gpt2, gpt4, qwen2, none) and `threads`
    (default: all) for "bpe" alone: characters are all kept, bytes need no text.
    """
    if kind == "bpe":
        return BpeTokenizer.train(texts, vocab, pattern, threads)
    if kind == "char":
        return CharTokenizer.train(texts)
    if kind == "bytes":
        return BytesTokenizer()
    if kind == "words":
        return WordTokenizer.train(texts, vocab)
    raise ChronosError("unknown kind of tokenizer", expected="bpe, char, bytes or words", got=repr(kind))


def load_tokenizer(path: Path | str) -> Tokenizer:
    """Read a tokenizer.json, or a directory that holds one or GPT-2's vocab.bpe and encoder.json.

    ChronosError for what is damaged, or could not give the same ids.
    """
    path = Path(path)
    if not (path / hf_json.FILE_NAME).is_file() and path.is_dir() and gpt2_files.find(path):
        return from_layout(gpt2_files.read_gpt2_files(path))
    return from_layout(hf_json.read_layout(path))


def from_layout(layout: Layout) -> Tokenizer:
    """The tokenizer that a layout describes."""
    if layout.kind == "bpe":
        return BpeTokenizer(layout)
    if layout.kind == "words":
        return WordTokenizer(layout)
    return CharTokenizer(list(layout.vocab)[len(SPECIALS) :]) if layout.kind == "char" else BytesTokenizer()
