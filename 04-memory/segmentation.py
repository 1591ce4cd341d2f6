"""Running text cut into events where it surprises: for transcripts, which have no marks that end a sentence.

After EM-LLM (arXiv 2407.09450): a boundary where −log p exceeds μ + γσ of the tokens before it. It knows no
model: any surprise will do, and `Counted` gives one from the text itself. Try `chronos ingest --segment
surprise`.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from chronos.console import ChronosError

MARGIN = 1e-9  # above the threshold, so that the rounding of a sum makes no boundary in a monotonous text
_ROWS = 4096  # windows looked at together: 2 MB at 64 tokens


def boundaries(
    surprise: np.ndarray, *, window: int = 64, gamma: float = 1.0, least: int = 4, most: int = 24,
    allowed: np.ndarray | None = None,
) -> np.ndarray:  # fmt: skip
    """Where events end, (S,) int64: ends[s] is the first token beyond event s, the last one is T.

    surprise (T,), −log p of each token in nats. An event ends before token t if its surprise exceeds mean +
    γ · standard deviation of the `window` tokens before t and the event has `least` tokens. One that would
    exceed `most` ends before the most surprising token among those that leave it `least` … `most`. A tail
    shorter than `least` joins the event before it, which gives up tokens where both would not fit.
    `allowed` (T,) bool: tokens before which an event may end; `most` is kept even where none is.

    Whether an event ends before t depends on no token beyond t + `most`, but for the tail of the text.
    ChronosError for settings that cannot be kept together.
    """
    surprise = np.asarray(surprise, np.float64)
    length = len(surprise)
    if surprise.ndim != 1 or not least >= 1 or most < 2 * least or window < 2:
        got = f"shape {surprise.shape}, least {least}, most {most}, window {window}"
        raise ChronosError("text cannot be cut so", expected="(T,), most ≥ 2 · least, window ≥ 2", got=got)
    if allowed is not None and np.shape(allowed) != (length,):
        raise ChronosError("allowed must fit the surprise", expected=(length,), got=np.shape(allowed))
    may = np.ones(length, bool) if allowed is None else np.asarray(allowed, bool)
    peaks = np.flatnonzero((surprise > threshold(surprise, window, gamma) + MARGIN) & may)
    ends: list[int] = []
    start = 0
    while start < length:
        at = int(np.searchsorted(peaks, start + least))
        end = int(peaks[at]) if at < len(peaks) else length
        if end - start > most:
            end = _forced(surprise, may, start + least, start + most + 1)
        ends.append(end)
        start = end
    return np.array(_with_tail(ends, length, least, most), np.int64)


def threshold(surprise: np.ndarray, window: int, gamma: float) -> np.ndarray:
    """mean + γ · standard deviation of the `window` values before each (T,); fewer at the start.

    Infinite for the first two, which have nothing to be compared with.
    """
    out = np.full(len(surprise), np.inf)
    for t in range(2, min(window, len(surprise))):
        out[t] = surprise[:t].mean() + gamma * surprise[:t].std()
    for at in range(window, len(surprise), _ROWS):
        end = min(at + _ROWS, len(surprise))
        before = sliding_window_view(surprise[at - window : end - 1], window)
        out[at:end] = before.mean(1) + gamma * before.std(1)
    return out


def _forced(surprise: np.ndarray, may: np.ndarray, first: int, end: int) -> int:
    """The most surprising place in [first, end) where an event may end, the last of equals; else end − 1."""
    places = first + np.flatnonzero(may[first:end])[::-1]
    return int(places[np.argmax(surprise[places])]) if len(places) else end - 1


def _with_tail(ends: list[int], length: int, least: int, most: int) -> list[int]:
    """The ends with no tail that is too short, where there is an event before it."""
    if len(ends) < 2 or length - ends[-2] >= least:
        return ends
    before = ends[-3] if len(ends) > 2 else 0
    if length - before <= most:
        return [*ends[:-2], length]
    return [*ends[:-2], length - least, length]


class Counted:
    """How surprising each word of a text is to a reader who only counts: −log p from the words before.

    p(w | v) = (n(v, w) + a p(w)) / (n(v) + a) with p(w) = (n(w) + 1) / (n + E + 1), E the words met so far: a
    pair backs off to its word, and the word to one never met. It learns as it goes and sees nothing ahead.
    """

    def __init__(self, weight: float = 4.0):
        self.weight = weight
        self.words: Counter[str] = Counter()
        self.pairs: dict[str, Counter[str]] = defaultdict(Counter)
        self.after: Counter[str] = Counter()  # words that stood after each
        self.total = 0

    def surprise(self, words: Iterable[str]) -> np.ndarray:
        """−log p (T,) in nats of each word, which are then counted; case does not matter."""
        out, before = [], ""
        for word in map(str.casefold, words):
            after, met = self.pairs[before], len(self.words) + 1
            alone = (self.words[word] + 1) / (self.total + met)
            share = (after[word] + self.weight * alone) / (self.after[before] + self.weight)
            out.append(-math.log(share))
            after[word] += 1
            self.after[before] += 1
            self.words[word] += 1
            self.total += 1
            before = word
        return np.array(out)


class SurpriseCutter:
    """Cuts paragraphs into events of 4 … 24 words by surprise: a `cut` for `chronos.data.notes`."""

    def __init__(self) -> None:
        self.reader = Counted()

    def __call__(self, text: str) -> list[str]:
        words = text.split()
        if not words:
            return []
        ends = boundaries(self.reader.surprise(words)).tolist()
        return [" ".join(words[a:b]) for a, b in zip([0, *ends], ends)]
