"""A store on disk as the memory that a recall model reads: scanned newest first, its best events read again.

To `answers.py` it is what a batch of lives is to training. It writes nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from chronos.architecture.ops.stick import token_shares
from chronos.architecture.tape import Tensor
from chronos.memory.episodes.reader import StoreReader
from chronos.memory.episodes.scan import Recall, recall
from chronos.memory.recall.net import Found, RecallNet, When
from chronos.memory.recall.packing import Events, ragged
from chronos.tokenization.clock import Clock, marks
from chronos.tokenization.words import WordTokenizer

TOP = 8  # events of a hop that are read again, the heaviest


@dataclass(frozen=True)
class Without:
    """Parts that are switched off, so that their use can be seen.

    memory: nothing is recalled. later_hops: what later hops find is not looked at. as_of: every question is
    about now. shuffled: (N,) which event's words stand for each event, None for its own.
    """

    memory: bool = False
    later_hops: bool = False
    as_of: bool = False
    shuffled: np.ndarray | None = None


WHOLE = Without()


class StoreMemory:
    """What n questions read of a store; `texts` are the words of all events that were recalled."""

    def __init__(
        self, net: RecallNet, tokenizer: WordTokenizer, store: StoreReader | None, clock: Clock, *,
        since: int | None, until: int | None, sources: Sequence[str] | None, without: Without,
    ):  # fmt: skip
        self.net, self.tokenizer, self.store, self.clock, self.without = net, tokenizer, store, clock, without
        self.filters = {"since": since, "until": until, "sources": sources}
        self.texts: dict[str, np.ndarray] = {}  # text → ids

    def cuts(self, times: Sequence[int] | np.ndarray) -> np.ndarray:
        """How many events lie at or before each time."""
        if self.store is None or not len(self.store):
            return np.zeros(len(times), np.int64)
        return self.store.cuts(times)

    def look(
        self, hop: int, q: Tensor, s: Tensor, b: Tensor, when: When, g: Tensor, first: Found | None
    ) -> Found:
        """One scan for all questions, each a life of its own; q (n, 1, K)."""
        n = len(q.data)
        empty = self.store is None or not len(self.store) or self.without.memory
        if empty or (hop and self.without.later_hops):
            nothing = np.full((n, 0), -1), np.zeros((n, 0), np.float32)
            return self._found(Recall(*nothing, np.ones(n), 0))
        times = when.times
        shares = token_shares(when.scores.data, times.valid, hard=True)
        if self.without.as_of:
            shares = (times.reading == 0).astype(np.float32)  # "now" is the first of the readings
        clock = {"g": g.data.reshape(-1), "first": first.source} if first else {}
        found = recall(
            self.store, q.data[:, 0], s.data.reshape(-1), b.data.reshape(-1), top=TOP, cuts=times.cuts,
            shares=shares, **clock, **self.filters,
        )  # fmt: skip
        return self._found(found)

    def _found(self, found: Recall) -> Found:
        """The events, their words encoded again, and their shares with what was left (n, 1, k + 1)."""
        n, k = found.ids.shape
        used = np.unique(found.ids[found.weights > 0])
        place = {int(i): at for at, i in enumerate(used)}
        said = used if self.without.shuffled is None else self.without.shuffled[used]
        texts = [self.store.event(int(i)).text for i in said] if len(used) else []
        times = self.store.times[said] if len(used) else np.zeros(0, np.int64)
        rows = [self._ids(text) for text in texts] or [np.array([self.tokenizer.end], np.int64)]
        sentences = ragged(rows)
        idx = np.array([[place.get(int(i), 0) for i in row] for row in found.ids], np.int64).reshape(n, k)
        slots = np.full((max(1, len(used)), self.net.config.time_slots), -1)
        slots[: len(used)] = marks(times, self.clock, self.tokenizer)
        h, _ = self.net.encode(sentences)
        left = np.maximum(found.null, 0)[:, None]
        shares = np.concatenate([found.weights, left], axis=1).astype(np.float32)[:, None]
        return Found(Tensor(shares), Events(sentences, idx, slots[idx]), h, source=found)

    def _ids(self, text: str) -> np.ndarray:
        if text not in self.texts:
            self.texts[text] = self.tokenizer.encode(text)
        return self.texts[text]
