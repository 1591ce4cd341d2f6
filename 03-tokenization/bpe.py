"""Byte-level BPE: learn which pairs of tokens to join, then join them in the order they were learned.

Any text can be encoded, since every byte is a token. This is the plain, readable version.
Run it as `chronos tokenizer train --text FILE --kind bpe --vocab 512 --tokenizer-path DIR`.
"""

import heapq
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from chronos.console import ChronosError, Progress, warn
from chronos.tokenization import hf_json
from chronos.tokenization.pretokenize import split
from chronos.tokenization.tokenizer import SPECIALS, Tokenizer, utf8

Pair = tuple[int, int]

BASE = len(SPECIALS) + 256  # ids of the specials and of the bytes come before all merges
MIN_COUNT = 2  # a pair seen once is no habit of the language
CACHED_WORDS = 1 << 17

# Bytes have their ids in the order of GPT-2's alphabet, as `tokenizers` gives them: ties depend on it.
BYTE_TOKENS = sorted(hf_json.BYTE_TO_CHAR)


class BpeTokenizer(Tokenizer):
    """`tokens`: in id order after the specials; `merges`: pairs of tokens in the order of learning."""

    kind = "bpe"

    def __init__(self, tokens: Sequence[str], merges: Sequence[tuple[str, str]]):
        super().__init__([hf_json.token_bytes(token) for token in tokens])
        self.tokens, self.merges = list(tokens), list(merges)
        ids = {token: i for i, token in enumerate(self.tokens, len(SPECIALS))}
        self._byte_ids = [ids[character] for character in hf_json.BYTE_TO_CHAR]
        self._ranks: dict[Pair, int] = {}  # (left, right) -> how early it was learned
        self._made: list[int] = []  # rank -> the id that the pair becomes
        for rank, (left, right) in enumerate(self.merges):
            self._ranks[ids[left], ids[right]] = rank
            self._made.append(ids[left + right])
        self._words = _WordCache(self)

    @classmethod
    def train(cls, texts: Iterable[str], vocab: int) -> "BpeTokenizer":
        """Learn a vocabulary of `vocab` ids; smaller, with a warning, if the text has too few pairs."""
        if vocab < BASE:
            raise ChronosError("vocab is too small for BPE", expected=f"at least {BASE}", got=vocab)
        words: Counter[str] = Counter()
        read = 0
        with Progress(None, "counting words", unit="characters") as bar:
            for text in texts:
                words.update(split(text))
                read += len(text)
                bar.update(read)
        if not words:
            raise ChronosError("no text to learn from", mend="give some text")
        tokens, merges = learn(words, vocab)
        found = len(SPECIALS) + len(tokens)
        if found < vocab:
            warn(f"the text gives a vocabulary of {found}, not the {vocab} asked for: no pair is left twice")
        return cls(tokens, merges)

    def encode(self, text: str) -> np.ndarray:
        try:
            return np.frombuffer(b"".join(map(self._words.__getitem__, split(text))), np.int32).copy()
        except UnicodeEncodeError:
            utf8(text)  # raises, naming the place
            raise

    def encode_word(self, word: bytes) -> list[int]:
        """The ids of one word: of all pairs in it, the one learned first is joined, leftmost first."""
        ids = [self._byte_ids[byte] for byte in word]
        end = len(ids)
        after, before = list(range(1, end + 1)), list(range(-1, end - 1))
        heap: list[tuple[int, int]] = []  # (rank, place of the left part)

        def offer(left: int, right: int) -> None:
            if left >= 0 and right < end and (rank := self._ranks.get((ids[left], ids[right]))) is not None:
                heapq.heappush(heap, (rank, left))

        for place in range(end - 1):
            offer(place, place + 1)
        while heap:
            rank, left = heapq.heappop(heap)
            right = after[left]
            if right >= end or self._ranks.get((ids[left], ids[right])) != rank:
                continue  # one of the two was joined with another meanwhile
            ids[left], ids[right] = self._made[rank], -1
            after[left] = after[right]
            if after[left] < end:
                before[after[left]] = left
            offer(before[left], left)
            offer(left, after[left])
        return [i for i in ids if i >= 0]

    def to_json(self) -> dict[str, Any]:
        return hf_json.byte_level_document(self.tokens, self.merges, split_words=True)


class _WordCache(dict[str, bytes]):
    """word -> its ids as int32 bytes; a word is encoded when it is met first."""

    def __init__(self, tokenizer: BpeTokenizer):
        super().__init__()
        self.tokenizer = tokenizer

    def __missing__(self, word: str) -> bytes:
        if len(self) >= CACHED_WORDS:
            self.clear()
        ids = np.array(self.tokenizer.encode_word(word.encode("utf-8")), np.int32).tobytes()
        self[word] = ids
        return ids


def learn(words: Counter[str], vocab: int) -> tuple[list[str], list[tuple[str, str]]]:
    """The tokens (bytes first) and merges learned from counted words, until there are `vocab` ids.

    Again and again the most frequent pair becomes a token; of equally frequent pairs the one with the
    smaller ids (left, then right), as in `tokenizers`. Two pairs that spell the same share one id.
    """
    tokens = [*SPECIALS, *BYTE_TOKENS]
    ids = {token: i for i, token in enumerate(tokens)}
    merges: dict[tuple[str, str], None] = {}  # in order; a shared id can bring an old pair back
    pairs = _Pairs(words, [ids[character] for character in hf_json.BYTE_TO_CHAR])
    with Progress(vocab - BASE, "learning merges", unit="merges") as bar:
        while len(tokens) < vocab and (pair := pairs.best()) is not None:
            left, right = tokens[pair[0]], tokens[pair[1]]
            new = ids.setdefault(left + right, len(tokens))
            if new == len(tokens):
                tokens.append(left + right)
            merges[left, right] = None
            pairs.join(pair, new)
            bar.update(len(tokens) - BASE)
    return tokens[len(SPECIALS) :], list(merges)


class _Pairs:
    """How often each pair of neighbours occurs, kept true while pairs are joined."""

    def __init__(self, words: Counter[str], byte_ids: list[int]):
        self.words = [[byte_ids[byte] for byte in utf8(word)] for word in words]
        self.times = list(words.values())
        self.counts: defaultdict[Pair, int] = defaultdict(int)
        self.places: defaultdict[Pair, set[int]] = defaultdict(set)  # pair -> words that may hold it
        for place, (ids, times) in enumerate(zip(self.words, self.times)):
            for pair in pairwise(ids):
                self.counts[pair] += times
                self.places[pair].add(place)
        self.heap = [(-count, pair) for pair, count in self.counts.items()]
        heapq.heapify(self.heap)

    def best(self) -> Pair | None:
        """The most frequent pair, None when no pair occurs MIN_COUNT times. Counts in the heap may be old."""
        while self.heap:
            negative, pair = heapq.heappop(self.heap)
            count = self.counts.get(pair, 0)
            if count == -negative:
                return pair if count >= MIN_COUNT else None
            if count > 0:
                heapq.heappush(self.heap, (-count, pair))
        return None

    def join(self, pair: Pair, new: int) -> None:
        """Replace a pair by one id in every word; only the counts of its neighbours change."""
        risen: set[Pair] = set()
        for place in self.places.pop(pair):
            self.words[place], changes = join_pair(self.words[place], pair, new)
            for changed, change in changes.items():
                self.counts[changed] += change * self.times[place]
                if change > 0:
                    self.places[changed].add(place)
                    risen.add(changed)
        del self.counts[pair]
        for changed in risen:
            heapq.heappush(self.heap, (-self.counts[changed], changed))


def join_pair(ids: list[int], pair: Pair, new: int) -> tuple[list[int], dict[Pair, int]]:
    """The word with each occurrence of the pair, from the left, made one id; and how pair counts change.

    join_pair([1, 2, 3], (1, 2), 9) == ([9, 3], {(2, 3): -1, (9, 3): +1})
    """
    joined: list[int] = []
    changes: defaultdict[Pair, int] = defaultdict(int)
    i = 0
    while i < len(ids):
        if i + 1 == len(ids) or (ids[i], ids[i + 1]) != pair:
            joined.append(ids[i])
            i += 1
            continue
        if joined:
            changes[joined[-1], ids[i]] -= 1
            changes[joined[-1], new] += 1
        if i + 2 < len(ids):
            changes[ids[i + 1], ids[i + 2]] -= 1
            changes[new, ids[i + 2]] += 1
        joined.append(new)
        i += 2
    return joined, changes
