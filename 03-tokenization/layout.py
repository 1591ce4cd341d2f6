"""What a tokenizer's files say, whatever their format: vocabulary, merges, added tokens, pattern.

`check` refuses what could not give the ids of `tokenizers`, or not give every text back. It reads no file and
encodes nothing; hf_json.py and gpt2_files.py make a Layout, bpe.py uses it.
"""

from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import Any

from chronos.tokenization.added_tokens import AddedToken
from chronos.tokenization.pretokenize import split

SPECIALS = ("<pad>", "<start>", "<end>", "<unk>", "<mask>")  # ids 0 to 4 of every tokenizer that we train
WORD_SPECIALS = (*SPECIALS, "<answer>")  # of a tokenizer of words; an answer begins behind the last
MEMORY = tuple(f"MEM_{i}" for i in range(95))  # ids 5 to 99 of a BPE, kept for memory

LARGEST_ID = (1 << 22) - 1  # four million: an id beyond it is damage, and would ask for a table of its size
MOST_ADDED = 100_000


def _byte_alphabet() -> list[str]:
    """GPT-2's printable stand-in for each byte: itself if it can be seen, else the next of U+0100 …"""
    seen = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = [b for b in range(256) if b not in seen]
    return [chr(b) if b in seen else chr(256 + hidden.index(b)) for b in range(256)]


BYTE_TO_CHAR = _byte_alphabet()

# Characters of Latin-1 that the alphabet lacks must not pass for the bytes of their number.
_TO_LATIN = dict.fromkeys(range(256), "\u2026") | {
    ord(character): chr(byte) for byte, character in enumerate(BYTE_TO_CHAR)
}


def token_bytes(token: str) -> bytes:
    """The bytes that a token in GPT-2's alphabet stands for; UnicodeEncodeError for another alphabet."""
    return token.translate(_TO_LATIN).encode("latin-1")


@dataclass(frozen=True)
class Layout:
    """One tokenizer. `vocab`: the model's tokens (in GPT-2's alphabet for "bpe" and "bytes") and their ids.

    `merges`: pairs of tokens, first learned first; `pattern`: how words are cut (pretokenize.PATTERNS);
    `ignore_merges`: a word that is a token needs no merges; `normalizer`: "" or "NFC"; `post_processor`: kept
    as it was read (it adds special tokens around a text, which we never do unasked); `surfaces`: how a folded
    word of kind "words" is written, where that is not as it is folded.
    """

    kind: str
    vocab: dict[str, int]
    merges: tuple[tuple[str, str], ...] = ()
    added: tuple[AddedToken, ...] = ()
    pattern: str = "gpt2"
    ignore_merges: bool = False
    normalizer: str = ""
    post_processor: Any = None
    surfaces: dict[str, str] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """The number of ids: one more than the largest."""
        return 1 + max([*self.vocab.values(), *(token.id for token in self.added)])


class Refused(Exception):
    """Why a tokenizer cannot be used; `merge`: the index of the merge at fault, if one is."""

    def __init__(self, why: str, merge: int | None = None):
        super().__init__(why)
        self.merge = merge


def numbered(tokens: list[str]) -> dict[str, int]:
    """A vocabulary whose ids are 0, 1, 2, … in the order of its tokens."""
    return {token: i for i, token in enumerate(tokens)}


def pieces(layout: Layout) -> list[bytes | None]:
    """The bytes of each id of a byte-level BPE: b"" for a special token, None for a number without token.

    A special token that a plain text can give too (made by merges, say) is also text, and keeps its bytes.
    """
    table: list[bytes | None] = [None] * layout.size
    added = {token.content for token in layout.added}
    tokens = [token for token in layout.vocab if token not in added]
    whole = token_bytes("".join(tokens))  # at once: a character is a byte
    ends = accumulate(map(len, tokens), initial=0)
    for token, (start, end) in zip(tokens, pairwise(ends)):
        table[layout.vocab[token]] = whole[start:end]
    made = {*BYTE_TO_CHAR, *map("".join, layout.merges)} if added else set()
    for token in layout.added:
        if token.content in made or (layout.ignore_merges and _is_a_word(token.content, layout)):
            table[token.id] = token_bytes(token.content)
        else:
            table[token.id] = b"" if token.special else token.content.encode("utf-8")
    return table


def _is_a_word(token: str, layout: Layout) -> bool:
    """Whether some text has this token of the vocabulary as a whole word."""
    if token not in layout.vocab or not set(token) <= set(BYTE_TO_CHAR):
        return False
    text = token_bytes(token).decode("utf-8", "surrogateescape")
    return split(text, layout.pattern) == [text]


def check(layout: Layout) -> None:
    """Raise Refused unless every byte has an id, every merge makes a token, and ids are those it says."""
    check_ids(layout.vocab)
    _check_added(layout)
    lacking = [byte for byte, character in enumerate(BYTE_TO_CHAR) if character not in layout.vocab]
    if lacking:
        raise Refused(f"byte 0x{lacking[0]:02x} has no token")
    added = {token.content for token in layout.added}
    strange = set("".join(layout.vocab)) - set(BYTE_TO_CHAR)
    for token in layout.vocab if strange else ():
        if token not in added and not strange.isdisjoint(token):
            raise Refused(f"the token {shown(token)} is not in GPT-2's alphabet of bytes")
    _check_merges(layout)


def check_ids(vocab: dict[str, Any]) -> None:
    """Raise Refused unless the ids are integers, each once, and not gigantic."""
    if not vocab:
        raise Refused("the vocabulary is empty")
    if set(map(type, vocab.values())) != {int}:
        token = next(token for token, i in vocab.items() if type(i) is not int)
        raise Refused(f"the id of {shown(token)} is no integer")
    low, high = min(vocab.values()), max(vocab.values())
    if low < 0 or high > LARGEST_ID:
        wrong = low if low < 0 else high
        raise Refused(f"the id {shown(wrong)} is not in 0 to {LARGEST_ID}")
    if len(set(vocab.values())) != len(vocab):
        seen: dict[int, str] = {}
        first, second = next((seen[i], t) for t, i in vocab.items() if seen.setdefault(i, t) != t)
        raise Refused(f"{shown(first)} and {shown(second)} have the same id")


def check_added_number(number: int) -> None:
    """Raise Refused for more added tokens than anyone needs; asked before they are read."""
    if number > MOST_ADDED:
        raise Refused(f"{number} added tokens, at most {MOST_ADDED}")


def _check_merges(layout: Layout) -> None:
    merges, vocab = layout.merges, layout.vocab
    if not merges:
        return
    lefts, rights = map(set, zip(*merges))
    named = lefts | rights | set(map("".join, merges))
    if len(set(merges)) == len(merges) and named <= vocab.keys() and "" not in lefts | rights:
        return
    seen: set[tuple[str, str]] = set()
    for number, (left, right) in enumerate(merges):
        strange = [token for token in (left, right, left + right) if not token or token not in vocab]
        if strange:
            why = f"the merge {shown(left)} {shown(right)} needs the token {shown(strange[0])}"
            raise Refused(why, number)
        if (left, right) in seen:
            raise Refused(f"the merge {shown(left)} {shown(right)} is there twice", number)
        seen.add((left, right))


def _check_added(layout: Layout) -> None:
    """Each has the id that `tokenizers` would give it: the vocabulary's, else the next free one."""
    contents: set[str] = set()
    last = -1
    for token in layout.added:
        name = shown(token.content)
        if not token.content or any("\ud800" <= character <= "\udfff" for character in token.content):
            raise Refused(f"the added token {name} is empty or no text")
        if token.content in contents:
            raise Refused(f"the added token {name} is there twice")
        contents.add(token.content)
        expected = layout.vocab.get(token.content, max(len(layout.vocab), last + 1))
        if type(token.id) is not int or token.id != expected:
            raise Refused(f"the added token {name} has the id {shown(token.id)}, not {expected}")
        if not token.special and (token.lstrip or token.rstrip):
            raise Refused(f"the added token {name} strips spaces, which would be lost")
        if not token.special and token.content in layout.vocab and not token.content.isascii():
            raise Refused(f"the added token {name} stands for two different texts")
        last = max(last, token.id)


def shown(value: object) -> str:
    """A value in an error: quoted, and cut where it is long."""
    text = repr(value) if not isinstance(value, int) or abs(value) < 10**20 else "of more than 20 digits"
    return text if len(text) <= 40 else text[:39] + "…"
