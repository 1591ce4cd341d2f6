"""What every tokenizer is, and the two simplest: one id a character, one id a byte.

Special tokens are ids, not text: "<end>" in a text is five ordinary characters unless the caller says
otherwise. Nothing is normalized but by other people's tokenizers that ask for it.
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
from chronos.tokenization.added_tokens import AddedTokens
from chronos.tokenization.layout import MEMORY, SPECIALS, Layout

__all__ = ["MEMORY", "SPECIALS", "BytesTokenizer", "CharTokenizer", "StreamDecoder", "Tokenizer", "utf8"]

UNKNOWN = "\ufffd"  # what <unk> decodes to, as damaged UTF-8 does; the other specials decode to nothing

# How special tokens are called, ours first; of the names that a tokenizer has, the first one counts.
ROLES = {
    "end": ("<end>", "<|endoftext|>", "<|end_of_text|>", "<eos>", "</s>", "<｜end▁of▁sentence｜>"),
    "start": ("<start>", "<|begin_of_text|>", "<bos>", "<s>", "<｜begin▁of▁sentence｜>"),
    "pad": ("<pad>", "<|pad|>", "[PAD]", "<|finetune_right_pad_id|>", "<｜▁pad▁｜>"),
    "unk": ("<unk>", "<|unk|>", "[UNK]"),
    "mask": ("<mask>", "<|mask|>", "[MASK]"),
}


class Tokenizer(ABC):
    """Text to ids and back; subclasses say how to encode text that holds no added tokens.

    Every id stands for some bytes (`pieces[id]`), so decoding is the same for all kinds: join the bytes,
    read them as UTF-8. `specials`: name → id. `start`, `pad`, `unk`, `mask`: ids, None for what other
    people's tokenizers lack; their `start` and `pad` are then the `end`, as GPT-2 has it.
    """

    kind: str
    pad: int | None
    start: int | None
    unk: int | None
    mask: int | None

    def __init__(self, layout: Layout, pieces: Sequence[bytes | None], added: AddedTokens):
        """`pieces`: the bytes of each id, None for a number that is no id."""
        self.layout, self.pieces, self.added = layout, list(pieces), added
        self.specials = {token.content: token.id for token in layout.added if token.special}
        found = {
            role: next((self.specials[name] for name in names if name in self.specials), None)
            for role, names in ROLES.items()
        }
        self._end, self.unk, self.mask = found["end"], found["unk"], found["mask"]
        self.start = self._end if found["start"] is None else found["start"]
        self.pad = self._end if found["pad"] is None else found["pad"]
        if self.unk is not None and not self.pieces[self.unk]:
            self.pieces[self.unk] = UNKNOWN.encode()

    @property
    def end(self) -> int:
        """The id that ends a text; ChronosError for other people's tokenizers that name none."""
        if self._end is None:
            names = ", ".join(ROLES["end"])
            raise ChronosError("this tokenizer has no token that ends a text", expected=f"one of {names}")
        return self._end

    @property
    def vocab_size(self) -> int:
        """E, the number of ids: specials and all."""
        return len(self.pieces)

    def encode(self, text: str, allow_special: bool = False) -> np.ndarray:
        """The ids of a text, int32 (T,). ChronosError for a lone surrogate.

        A special token's name in the text is plain text; with `allow_special` it becomes that token's id.
        """
        if self.added.idle(allow_special):
            return self.encode_plain(text)
        utf8(text)
        return self._join(text, allow_special)

    def _join(self, text: str, allow_special: bool) -> np.ndarray:
        parts = [
            np.array([part], np.int32) if isinstance(part, int) else self.encode_plain(part)
            for part in self.added.split(text, allow_special)
        ]
        return np.concatenate(parts) if parts else np.empty(0, np.int32)

    @abstractmethod
    def encode_plain(self, text: str) -> np.ndarray:
        """The ids of a text in which no added token is looked for, int32 (T,)."""

    def encode_many(self, texts: Sequence[str], threads: int = 1) -> list[np.ndarray]:
        """The ids of each text, as `encode` gives them; `threads` are a permission, not a duty."""
        return [self.encode(text) for text in texts]

    def encode_bytes(self, data: bytes) -> np.ndarray:
        """The ids of some bytes, int32 (T,), as of the text that they are; ChronosError if they are none."""
        try:
            return self.encode(data.decode("utf-8"))
        except UnicodeDecodeError as error:
            mend = "take a tokenizer of kind bpe or bytes"
            raise ChronosError(f"byte {error.start} is not UTF-8", where="encode_bytes", mend=mend) from None

    def to_json(self) -> dict[str, Any]:
        """The Hugging Face document that `save` writes."""
        return hf_json.document(self.layout)

    def decode_bytes(self, ids: Iterable[int] | np.ndarray) -> bytes:
        """The bytes of some ids, whole characters or not. ChronosError for what is no id of ours."""
        pieces = self.pieces
        checked = _checked_ids(ids, len(pieces))
        try:
            return b"".join([pieces[i] for i in checked])
        except TypeError:
            wrong = next(i for i in checked if pieces[i] is None)
            raise ChronosError("no such id", got=wrong, mend="use this text's tokenizer") from None

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
    """One id a byte: id = 5 + byte. Needs no training, knows every text, and has the five specials only."""

    kind = "bytes"

    def __init__(self) -> None:
        layout = hf_json.raw_bytes()
        pieces = [b""] * len(SPECIALS) + [bytes([b]) for b in range(256)]
        super().__init__(layout, pieces, AddedTokens(layout.added))

    def encode_plain(self, text: str) -> np.ndarray:
        return np.frombuffer(utf8(text), np.uint8).astype(np.int32) + len(SPECIALS)

    def encode_bytes(self, data: bytes) -> np.ndarray:
        """The ids of any bytes, int32 (T,)."""
        return np.frombuffer(data, np.uint8).astype(np.int32) + len(SPECIALS)


class CharTokenizer(Tokenizer):
    """One id a character (code point): those seen in training, sorted; any other becomes <unk>.

    For small studies: it has the five specials only.
    """

    kind = "char"

    def __init__(self, characters: Sequence[str]):
        self.characters = list(characters)
        layout = hf_json.characters(self.characters)
        pieces = [b""] * len(SPECIALS) + [utf8(character) for character in self.characters]
        super().__init__(layout, pieces, AddedTokens(layout.added))
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

    def encode_plain(self, text: str) -> np.ndarray:
        try:
            points = np.frombuffer(text.encode("utf-32-le"), np.uint32)
        except UnicodeEncodeError:
            utf8(text)  # raises, naming the place
            raise
        return self._ids[np.minimum(points, len(self._ids) - 1)]


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
