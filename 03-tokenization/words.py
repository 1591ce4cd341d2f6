"""A tokenizer of whole words for memory: the frequent ones have small ids, every other one a lasting number.

An unknown word is V + a hash of its folded spelling, so that two texts agree on it though nobody learned it.
What needs a closed vocabulary (token shards, a language model's head) takes another kind. Try
`train_tokenizer("words", ["Where am I?"]).encode("Where is Zamalek?")`.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise

import numpy as np

from chronos.console import ChronosError, Progress
from chronos.tokenization import hf_json
from chronos.tokenization.added_tokens import AddedTokens
from chronos.tokenization.layout import LARGEST_ID, SPECIALS, WORD_SPECIALS, Layout
from chronos.tokenization.tokenizer import UNKNOWN, Tokenizer, utf8
from chronos.tokenization.units import fold, join, places, split

HASH_BITS = 62  # V + a hash stays below 2**63
DIGITS = tuple("0123456789")
MONTHS = tuple(
    "January February March April May June July August September October November December".split()
)
_TOLD = (*DIGITS, *MONTHS)  # what a time is told in has an id even where no text has it

_CACHED, _CACHED_LENGTH = 1 << 18, 64  # spellings kept, and how long they may be


def word_hash(folded: str) -> int:
    """The 62-bit number of a folded spelling, the same for ever; ChronosError for a lone surrogate."""
    digest = hashlib.blake2b(utf8(folded), digest_size=8, person=b"chronos words").digest()
    return int.from_bytes(digest, "little") >> (64 - HASH_BITS)


class WordTokenizer(Tokenizer):
    """One id a unit (units.py): `encode` gives int64, below `vocab_size` for words of the vocabulary only.

    Case, tatweel and short vowels make no difference; `decode` writes each word as it was seen most often.
    `answer`: the id of <answer>, which stands where an answer begins.
    """

    kind = "words"

    def __init__(self, layout: Layout):
        surfaces = [
            layout.surfaces.get(token, token) for token in sorted(layout.vocab, key=layout.vocab.__getitem__)
        ]
        n = len(layout.added)
        super().__init__(layout, [b""] * n + list(map(utf8, surfaces[n:])), AddedTokens(layout.added))
        self.surfaces = ["" if i < n else surface for i, surface in enumerate(surfaces)]
        self.surfaces[SPECIALS.index("<unk>")] = UNKNOWN
        self.answer = self.specials["<answer>"]
        self._words = {token: i for token, i in layout.vocab.items() if i >= n}
        self._ids = _Spellings(self._words)

    @classmethod
    def train(cls, texts: Iterable[str], vocab: int = 0, least: int = 1) -> "WordTokenizer":
        """Count the units of some texts; the most frequent of them get ids (ties: by code point).

        `vocab`: how many ids there may be, specials and all (0: no limit); `least`: how often a unit must be
        seen. Digits and the English months are always among them. ChronosError for a vocabulary that cannot
        hold these, and where there is no text.
        """
        smallest = len(WORD_SPECIALS) + len(_TOLD)
        if vocab and not smallest <= vocab <= LARGEST_ID + 1:
            what = "a tokenizer of words needs room for digits and months"
            raise ChronosError(what, expected=f"--vocab {smallest} to {LARGEST_ID + 1}, or 0", got=vocab)
        spellings: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for spelling, n in _counted(texts).items():
            spellings[fold(spelling)][spelling] += n
        if not spellings:
            raise ChronosError("no words to learn from", mend="give some text")
        counts = {folded: found.total() for folded, found in spellings.items()}
        chosen = _most_frequent(counts, (vocab or LARGEST_ID + 1) - len(WORD_SPECIALS), least)
        surfaces = {fold(word): word for word in _TOLD}
        surfaces |= {folded: _first(spellings[folded]) for folded in chosen if folded in spellings}
        return cls(hf_json.words(chosen, {folded: surfaces[folded] for folded in chosen}))

    def encode(self, text: str, allow_special: bool = False) -> np.ndarray:
        """The ids of a text, int64 (T,); an unknown word is `vocab_size` + its hash."""
        return super().encode(text, allow_special).astype(np.int64, copy=False)

    def encode_plain(self, text: str) -> np.ndarray:
        return np.array([self._ids[unit] for unit in split(text)], np.int64)

    def encode_many(self, texts: Sequence[str], threads: int = 1) -> list[np.ndarray]:
        ids, ends = self.encode_ragged(texts)
        bounds = [0, *ends.tolist()]
        return [ids[start:end] for start, end in pairwise(bounds)]

    def encode_ragged(self, texts: Iterable[str]) -> tuple[np.ndarray, np.ndarray]:
        """The ids of all texts one after the other, int64 (n,), and where each text ends, int64 (S,)."""
        ids: list[int] = []
        ends: list[int] = []
        number = self._ids.__getitem__
        for text in texts:
            ids.extend(map(number, split(text)))
            ends.append(len(ids))
        return np.array(ids, np.int64), np.array(ends, np.int64)

    def units(self, text: str) -> list[tuple[int, int]]:
        """Where the word of each id of `encode` stands in the text: first character, one beyond its last."""
        return places(text)

    def unknown(self, texts: Iterable[str]) -> dict[int, str]:
        """The words of some texts that the vocabulary lacks, as first spelled there: what `decode` needs."""
        found: dict[int, str] = {}
        for text in texts:
            for unit in split(text):
                if (i := self._ids[unit]) >= self.vocab_size:
                    found.setdefault(i, unit)
        return found

    def decode(self, ids: Iterable[int] | np.ndarray, known: Mapping[int, str] | None = None) -> str:
        """The words of some ids as a text. Unknown ones come from `known`, else are U+FFFD; specials are "".

        ChronosError for what is no id.
        """
        known, surfaces = known or {}, self.surfaces
        words = (
            surfaces[i] if i < len(surfaces) else known.get(i, UNKNOWN)
            for i in _checked(ids, self.vocab_size + (1 << HASH_BITS))
        )
        return join(word for word in words if word)

    def decode_bytes(self, ids: Iterable[int] | np.ndarray) -> bytes:
        """Refused: how words join depends on their neighbours, so an id alone has no bytes."""
        what = "a tokenizer of kind words cannot decode token by token"
        raise ChronosError(what, mend="take a tokenizer of kind bpe, char or bytes")


class _Spellings(dict[str, int]):
    """Spelling → id: the words as folded, and what was asked lately; emptied when full."""

    def __init__(self, words: Mapping[str, int]):
        super().__init__()
        self.words, self.vocab = words, len(words) + len(WORD_SPECIALS)

    def __missing__(self, unit: str) -> int:
        folded = fold(unit)
        i = self.words.get(folded)
        if i is None:
            i = self.vocab + word_hash(folded)
        if len(unit) <= _CACHED_LENGTH:
            if len(self) >= _CACHED:
                self.clear()
            self[unit] = i
        return i


def _counted(texts: Iterable[str]) -> Counter[str]:
    """How often each spelling occurs."""
    counts: Counter[str] = Counter()
    with Progress(None, "counting words", unit="B") as bar:
        read = 0
        for text in texts:
            counts.update(split(text))
            read += len(text)
            bar.update(read)
    return counts


def _most_frequent(counts: Mapping[str, int], room: int, least: int) -> list[str]:
    """The folded words that get ids, in their order; those that times are told in are among them."""
    ranked = sorted((word for word, n in counts.items() if n >= least), key=lambda w: (-counts[w], w))
    lacking = sorted({fold(word) for word in _TOLD} - set(ranked))
    return _without_last(ranked, len(ranked) + len(lacking) - room) + lacking


def _without_last(ranked: list[str], n: int) -> list[str]:
    """The list less its last n words that are not needed to tell times."""
    told = {fold(word) for word in _TOLD}
    dropped = set([word for word in ranked if word not in told][-n:]) if n > 0 else set()
    return [word for word in ranked if word not in dropped]


def _first(spellings: Counter[str]) -> str:
    """The most frequent spelling; of equally frequent ones the first in code point order."""
    return min(spellings, key=lambda spelling: (-spellings[spelling], spelling))


def _checked(ids: Iterable[int] | np.ndarray, beyond: int) -> Iterator[int]:
    array = np.asarray(ids if isinstance(ids, np.ndarray) else list(ids))
    if array.size and (array.dtype.kind not in "iu" or array.ndim != 1):
        raise ChronosError("ids must be a flat list of integers", got=f"{array.dtype} of shape {array.shape}")
    for i in array.tolist():
        if not 0 <= i < beyond:
            raise ChronosError(
                "no such id", expected=f"0 to {beyond - 1}", got=i, mend="use this text's tokenizer"
            )
        yield i
