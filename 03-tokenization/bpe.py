"""Byte-level BPE: learn which pairs of tokens to join, then join them in the order they were learned.

Any text can be encoded, since every byte is a token. This is the plain, readable version: the definition of
the compiled core, which stands in for it where it was built.
Run it as `chronos tokenizer train --text FILE --kind bpe --vocab 512 --tokenizer-path DIR`.
"""

import heapq
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence, Sized
from functools import cached_property
from itertools import pairwise

import numpy as np

from chronos import native, settings
from chronos.console import ChronosError, Progress, warn
from chronos.tokenization import compiled_core, hf_json
from chronos.tokenization.added_tokens import AddedTokens
from chronos.tokenization.layout import (
    BYTE_TO_CHAR,
    MEMORY,
    SPECIALS,
    Layout,
    numbered,
    pieces,
    token_bytes,
)
from chronos.tokenization.normalizers import NORMALIZERS
from chronos.tokenization.pretokenize import check_pattern, split
from chronos.tokenization.tokenizer import Tokenizer, utf8

Pair = tuple[int, int]

NAMES = (*SPECIALS, *MEMORY)  # ids 0 to 99 of a BPE that we train
BASE = len(NAMES) + 256  # ids of the specials and of the bytes come before all merges
MIN_COUNT = 2  # a pair seen once is no habit of the language
CACHED_WORDS = 1 << 17

# Bytes have their ids in the order of GPT-2's alphabet, as `tokenizers` gives them: ties depend on it.
BYTE_TOKENS = sorted(BYTE_TO_CHAR)
ALPHABET = frozenset(BYTE_TO_CHAR)


class BpeTokenizer(Tokenizer):
    """`merges`: pairs of tokens, in GPT-2's alphabet, in the order of learning; ours or other people's."""

    kind = "bpe"

    def __init__(self, layout: Layout):
        super().__init__(layout, pieces(layout), AddedTokens(layout.added, NORMALIZERS[layout.normalizer]))
        self.merges = list(layout.merges)
        self._byte_ids = [layout.vocab[character] for character in BYTE_TO_CHAR]
        self._words = _WordCache(self)

    @classmethod
    def train(
        cls, texts: Iterable[str], vocab: int, pattern: str = "gpt2", threads: int | None = None
    ) -> "BpeTokenizer":
        """Learn a vocabulary of `vocab` ids; smaller, with a warning, if the text has too few pairs.

        `texts` are read once, one after another; `threads` (default: all) count words side by side.
        """
        check_pattern(pattern)
        if vocab < BASE:
            raise ChronosError("vocab is too small for BPE", expected=f"at least {BASE}", got=vocab)
        if compiled_core.usable(pattern):
            tokens, merges = _learn_compiled(texts, vocab, pattern, threads or settings.threads())
        else:
            tokens, merges = learn(count_words(texts, pattern), vocab)
        found = len(NAMES) + len(tokens)
        if found < vocab:
            warn(f"the text gives a vocabulary of {found}, not the {vocab} asked for: no pair is left twice")
        ids = numbered([*NAMES, *tokens])
        return cls(Layout("bpe", ids, tuple(merges), hf_json.specials(NAMES), pattern))

    @cached_property
    def rows(self) -> np.ndarray:
        """The merges as ids, int32 (M, 3): left, right and what they become."""
        ids = self.layout.vocab
        lefts, rights = zip(*self.merges) if self.merges else ((), ())
        columns = (lefts, rights, map("".join, self.merges))
        return np.array([list(map(ids.__getitem__, column)) for column in columns], np.int32).T.copy()

    @cached_property
    def ranks(self) -> dict[Pair, tuple[int, int]]:
        """(left, right) → how early it was learned, and the id that the pair becomes."""
        return {(left, right): (rank, new) for rank, (left, right, new) in enumerate(self.rows.tolist())}

    @cached_property
    def whole_words(self) -> dict[bytes, int]:
        """Words that need no merges, where the tokenizer says so (Llama 3: every token); else none."""
        if not self.layout.ignore_merges:
            return {}
        known = {token: i for token, i in self.layout.vocab.items() if set(token) <= ALPHABET}
        return {token_bytes(token): i for token, i in known.items()}

    @cached_property
    def core(self) -> native.BpeEncoder | None:
        """The compiled encoder; None where it is not built, or merges do not make all of `whole_words`."""
        if not compiled_core.usable(self.layout.pattern):
            return None
        if self.whole_words:
            bare = compiled_core.encoder(self._byte_ids, self.rows, "none")
            found = bare.encode_many(list(self.whole_words))
            if any(ids.tolist() != [i] for ids, i in zip(found, self.whole_words.values())):
                return None
        return compiled_core.encoder(self._byte_ids, self.rows, self.layout.pattern)

    def encode_plain(self, text: str) -> np.ndarray:
        data = utf8(text)  # raises for half a surrogate pair, naming the place
        return self.encode_words(text) if self.core is None else self.core.encode(data)

    def encode_many(self, texts: Sequence[str], threads: int = 1) -> list[np.ndarray]:
        """The ids of each text, as `encode` gives them; in several threads where C encodes."""
        if self.core is None or not self.added.idle(allow_special=False):
            return super().encode_many(texts, threads)
        return self.core.encode_many([utf8(text) for text in texts], threads)

    def encode_bytes(self, data: bytes) -> np.ndarray:
        """The ids of any bytes, int32 (T,): `decode_bytes` gives them back. Of UTF-8, those of its text.

        A byte that is no UTF-8 is cut like a character that is no letter, number or space. (What comes back
        from a tokenizer that normalizes is normalized.)
        """
        text = data.decode("utf-8", "surrogateescape")
        if text.isascii() or not any("\udc80" <= character <= "\udcff" for character in set(text)):
            return self.encode(text)
        parts = self.added.split(text, allow_special=False)
        return np.concatenate(
            [[p] if isinstance(p, int) else self.encode_words(p) for p in parts], dtype=np.int32
        )

    def encode_words(self, text: str) -> np.ndarray:
        """The plain way, which defines the ids: cut the text into words, look them up or join their bytes."""
        words = split(text, self.layout.pattern)
        return np.frombuffer(b"".join(map(self._words.__getitem__, words)), np.int32).copy()

    def encode_word(self, word: bytes) -> list[int]:
        """The ids of one word: of all pairs in it, the one learned first is joined, leftmost first."""
        ranks = self.ranks
        ids = [self._byte_ids[byte] for byte in word]
        end = len(ids)
        after, before = list(range(1, end + 1)), list(range(-1, end - 1))
        heap: list[tuple[int, int]] = []  # (rank, place of the left part)

        def offer(left: int, right: int) -> None:
            if left >= 0 and right < end and (found := ranks.get((ids[left], ids[right]))) is not None:
                heapq.heappush(heap, (found[0], left))

        for place in range(end - 1):
            offer(place, place + 1)
        while heap:
            rank, left = heapq.heappop(heap)
            right = after[left]
            found = ranks.get((ids[left], ids[right])) if right < end else None
            if found is None or found[0] != rank:
                continue  # one of the two was joined with another meanwhile
            ids[left], ids[right] = found[1], -1
            after[left] = after[right]
            if after[left] < end:
                before[after[left]] = left
            offer(before[left], left)
            offer(left, after[left])
        return [i for i in ids if i >= 0]


class _WordCache(dict[str, bytes]):
    """word -> its ids as int32 bytes; a word is encoded when it is met first."""

    def __init__(self, tokenizer: BpeTokenizer):
        super().__init__()
        self.tokenizer = tokenizer

    def __missing__(self, word: str) -> bytes:
        if len(self) >= CACHED_WORDS:
            self.clear()
        data = word.encode("utf-8", "surrogateescape")
        whole = self.tokenizer.whole_words.get(data)
        found = self.tokenizer.encode_word(data) if whole is None else [whole]
        self[word] = ids = np.array(found, np.int32).tobytes()
        return ids


def count_words(texts: Iterable[str], pattern: str) -> Counter[str]:
    """How often each word occurs in some texts."""
    words: Counter[str] = Counter()
    read = 0
    with Progress(None, "counting words", unit="characters") as bar:
        for text in texts:
            words.update(split(text, pattern))
            read += len(text)
            bar.update(read)
    _refuse_nothing(words)
    return words


def _refuse_nothing(words: Sized) -> None:
    if not len(words):
        raise ChronosError("no text to learn from", mend="give some text")


def _learn_compiled(
    texts: Iterable[str], vocab: int, pattern: str, threads: int
) -> tuple[list[str], list[tuple[str, str]]]:
    """What `count_words` and `learn` give, by the compiled core."""
    with Progress(None, "counting words", unit="characters") as bar:
        words = compiled_core.count_words(texts, pattern, threads, utf8, bar.update)
    _refuse_nothing(words)
    tokens = [*NAMES, *BYTE_TOKENS]
    byte_ids = [tokens.index(character, len(NAMES)) for character in BYTE_TO_CHAR]
    merges: dict[tuple[str, str], None] = {}
    with Progress(vocab - BASE, "learning merges", unit="merges") as bar:
        for left, right, new in compiled_core.learn(words, NAMES, byte_ids, vocab, bar.update):
            merges[tokens[left], tokens[right]] = None
            if new == len(tokens):
                tokens.append(tokens[left] + tokens[right])
    return tokens[len(NAMES) :], list(merges)


def learn(words: Counter[str], vocab: int) -> tuple[list[str], list[tuple[str, str]]]:
    """The tokens (bytes first) and merges learned from counted words, until there are `vocab` ids.

    Again and again the most frequent pair becomes a token; of equally frequent pairs the one with the
    smaller ids (left, then right), as in `tokenizers`. Two pairs that spell the same share one id.
    """
    tokens = [*NAMES, *BYTE_TOKENS]
    ids = {token: i for i, token in enumerate(tokens)}
    merges: dict[tuple[str, str], None] = {}  # in order; a shared id can bring an old pair back
    pairs = _Pairs(words, [ids[character] for character in BYTE_TO_CHAR])
    with Progress(vocab - BASE, "learning merges", unit="merges") as bar:
        while len(tokens) < vocab and (pair := pairs.best()) is not None:
            left, right = tokens[pair[0]], tokens[pair[1]]
            new = ids.setdefault(left + right, len(tokens))
            if new == len(tokens):
                tokens.append(left + right)
            merges[left, right] = None
            pairs.join(pair, new)
            bar.update(len(tokens) - BASE)
    return tokens[len(NAMES) :], list(merges)


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
