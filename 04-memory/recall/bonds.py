"""Where a name ends that the network never saw: by what stands beside its words in everything that was read.

"Abdel" is always followed by "Rahman": together they are a name. "Somaya" is followed by many words: it is
one by itself. Two words of the vocabulary are not asked about, the network knows them. It changes nothing.
"""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from chronos.memory.episodes.layout import begins, read_words, whole_words
from chronos.memory.episodes.view import allowed
from chronos.memory.recall.storememory import StoreMemory

NEWEST = 48  # events that say a word are looked at, the newest
REACH = 1 << 21  # bytes of words, the newest, that are searched for them
TIGHT, LOOSE = 0.75, 0.5  # share of the times that a word is beside another
SEEN = 3  # so often it must have been read to be judged


@dataclass
class _Company:
    """How often a word was read, and which ids stood right before and after it."""

    n: int = 0
    before: Counter[int] = field(default_factory=Counter)
    after: Counter[int] = field(default_factory=Counter)


class Bonds:
    """`bonds(a, b)` of neighbouring ids: 1 where they belong together, −1 where they do not, 0 if unknown."""

    def __init__(self, memory: StoreMemory):
        self.memory, self._found = memory, {}
        self._spelled: dict[int, str] = {}
        self._tail: tuple[bytes, np.ndarray, np.ndarray, int] | None = None

    def __call__(self, a: int, b: int) -> int:
        if max(a, b) < self.memory.tokenizer.vocab_size or not (self._word(a) and self._word(b)):
            return 0
        first, second = self._company(a), self._company(b)
        after = first.after[b] / (first.n + 1) if first.n >= SEEN else None
        before = second.before[a] / (second.n + 1) if second.n >= SEEN else None
        if after is not None and after >= TIGHT:
            return 1
        shares = [share for share in (after, before) if share is not None]
        return -1 if shares and max(shares) <= LOOSE else 0

    def _company(self, i: int) -> _Company:
        if i not in self._found:
            self._found[i] = self._look(i)
        return self._found[i]

    def _look(self, i: int) -> _Company:
        found = _Company()
        if self.memory.store is None:
            return found
        for text in self._holding(self._word(i).encode("utf-8")):
            ids = self.memory.tokenizer.encode(text).tolist()
            for at in (at for at, other in enumerate(ids) if other == i):
                found.n += 1
                found.before[ids[at - 1] if at else -1] += 1
                found.after[ids[at + 1] if at + 1 < len(ids) else -1] += 1
        return found

    def _word(self, i: int) -> str:
        """How an id is spelled; "" for a mark, which is no part of a name, and for what no text says."""
        tokenizer = self.memory.tokenizer
        if i >= tokenizer.vocab_size and i not in self._spelled:
            self._spelled = tokenizer.unknown(self.memory.texts)
        word = tokenizer.surfaces[i] if i < tokenizer.vocab_size else self._spelled.get(i, "")
        return word if word[:1].isalnum() else ""

    def _holding(self, word: bytes) -> list[str]:
        """Texts of the newest events that hold these bytes, of those that may be remembered."""
        store = self.memory.store
        if self._tail is None:
            mask = allowed(store, **self.memory.filters)
            starts, words = begins(store.records["packed"]), store.words
            first = max(0, len(words) - REACH)
            self._tail = bytes(words[first:]), starts, mask, first
        tail, starts, mask, first = self._tail
        chosen, end = [], len(tail)
        while len(chosen) < NEWEST and (end := tail.rfind(word, 0, end)) >= 0:
            event = int(np.searchsorted(starts, first + end, side="right")) - 1
            if event < 0:
                break
            if mask[event]:
                chosen.append(event)
            end = max(0, min(end, int(starts[event]) - first))  # older ones, also where starts are damaged
        found = whole_words(store.records[chosen], store.words)
        return [read_words(whole).text for whole in found if whole is not None]
