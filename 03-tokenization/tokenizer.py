"""What every tokenizer is, and the two simplest: one id a character, one id a byte.

Special tokens are ids, never text: "<end>" in a text is five ordinary characters. No normalization.
Try `echo "hello" | chronos tokenizer encode --tokenizer-path DIR`.
"""

import codecs
import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from chronos.console import ChronosError
from chronos.files import sha256_bytes, write_atomic
from chronos.tokenization import hf_json

SPECIALS = hf_json.SPECIALS  # ("<pad>", "<start>", "<end>", "<unk>", "<mask>") are ids 0 to 4
UNKNOWN = "\ufffd"  # what <unk> decodes to, as damaged UTF-8 does; the other specials decode to nothing


class Tokenizer(ABC):
    """Text to ids and back; subclasses say how to encode and how they look as tokenizer.json.

    Every id stands for some bytes (`pieces[id]`), so decoding is the same for all kinds: join the bytes,
    read them as UTF-8.
    """

    kind: str
    pad, start, end, unk, mask = range(len(SPECIALS))

    def __init__(self, pieces: Sequence[bytes]):
        """`pieces`: the bytes of each id after the specials."""
        self.pieces = [b"", b"", b"", UNKNOWN.encode(), b"", *pieces]
        self.specials = {name: i for i, name in enumerate(SPECIALS)}

    @property
    def vocab_size(self) -> int:
        """E, the number of ids: specials and all."""
        return len(self.pieces)

    @abstractmethod
    def encode(self, text: str) -> np.ndarray:
        """The ids of a text, int32 (T,), without special tokens. ChronosError for a lone surrogate."""

    def encode_many(self, texts: Sequence[str]) -> list[np.ndarray]:
        """`encode` of each text, in order; kinds with a compiled core use all threads for it."""
        return [self.encode(text) for text in texts]

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """The Hugging Face document that `save` writes."""

    def decode_bytes(self, ids: Iterable[int] | np.ndarray) -> bytes:
        """The bytes of some ids, whole characters or not. ChronosError for what is no id of ours."""
        pieces = self.pieces
        checked = _checked_ids(ids, len(pieces))
        return b"".join([pieces[i] for i in checked])

    def decode(self, ids: Iterable[int] | np.ndarray) -> str:
        """The text of some ids; bytes that are not UTF-8, and <unk>, become U+FFFD."""
        return self.decode_bytes(ids).decode("utf-8", "replace")

    @cached_property
    def hash(self) -> str:
        """Hex SHA-256 of the canonical JSON; token shards carry it."""
        canonical = json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return sha256_bytes(canonical.encode("utf-8"))

    def save(self, path: Path | str) -> Path:
        """Write tokenizer.json, into `path` if that is no .json file itself; return where it stands."""
        path = Path(path)
        if path.suffix != ".json":
            path = path / hf_json.FILE_NAME
        write_atomic(path, json.dumps(self.to_json(), ensure_ascii=False, indent=1) + "\n")
        return path


def _checked_ids(ids: Iterable[int] | np.ndarray, size: int) -> list[int]:
    array = np.asarray(ids if isinstance(ids, np.ndarray) else list(ids))
    if array.size == 0:
        return []
    if array.dtype.kind not in "iu" or array.ndim != 1:
        raise ChronosError("ids must be a flat list of integers", got=f"{array.dtype} of shape {array.shape}")
    low, high = int(array.min()), int(array.max())
    if low < 0 or high >= size:
        wrong = low if low < 0 else high
        raise ChronosError(
            "no such id", expected=f"0 to {size - 1}", got=wrong, mend="use this text's tokenizer"
        )
    return array.tolist()


def utf8(text: str) -> bytes:
    """The UTF-8 of a text; ChronosError for half a surrogate pair, which has none."""
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        bad = f"U+{ord(text[error.start]):04X}"
        raise ChronosError(f"lone surrogate {bad} at character {error.start} cannot be encoded") from None


class BytesTokenizer(Tokenizer):
    """One id a byte: id = 5 + byte. Needs no training and knows every text."""

    kind = "bytes"

    def __init__(self) -> None:
        super().__init__([bytes([b]) for b in range(256)])

    def encode(self, text: str) -> np.ndarray:
        return np.frombuffer(utf8(text), np.uint8).astype(np.int32) + len(SPECIALS)

    def to_json(self) -> dict[str, Any]:
        tokens = [hf_json.BYTE_TO_CHAR[b] for b in range(256)]
        return hf_json.byte_level_document(tokens, merges=[], split_words=False)


class CharTokenizer(Tokenizer):
    """One id a character (code point): those seen in training, sorted; any other becomes <unk>."""

    kind = "char"

    def __init__(self, characters: Sequence[str]):
        self.characters = list(characters)
        super().__init__([utf8(character) for character in self.characters])
        points = [ord(character) for character in self.characters]
        # A table over code points, and one more entry for all that lie beyond it.
        self._ids = np.full(max(points) + 2, self.unk, np.int32)
        self._ids[points] = np.arange(len(points)) + len(SPECIALS)

    @classmethod
    def train(cls, texts: Iterable[str]) -> "CharTokenizer":
        """Collect the characters of some texts; ChronosError if there are none."""
        seen: set[str] = set()
        for text in texts:
            seen.update(text)
        if not seen:
            raise ChronosError("no characters to learn from", mend="give some text")
        return cls(sorted(seen))

    def encode(self, text: str) -> np.ndarray:
        try:
            points = np.frombuffer(text.encode("utf-32-le"), np.uint32)
        except UnicodeEncodeError:
            utf8(text)  # raises, naming the place
            raise
        return self._ids[np.minimum(points, len(self._ids) - 1)]

    def to_json(self) -> dict[str, Any]:
        return hf_json.characters_document(self.characters)


class StreamDecoder:
    """Decodes ids as they come, giving out whole characters only: `feed(id)` … `finish()`."""

    def __init__(self, tokenizer: Tokenizer):
        self._tokenizer = tokenizer
        self._utf8 = codecs.getincrementaldecoder("utf-8")("replace")

    def feed(self, id: int) -> str:
        """The characters that this id completes, perhaps none."""
        return self._utf8.decode(self._tokenizer.decode_bytes([id]))

    def finish(self) -> str:
        """What is left of an incomplete character, as U+FFFD."""
        return self._utf8.decode(b"", final=True)
