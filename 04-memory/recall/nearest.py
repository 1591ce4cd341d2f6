"""The events nearest to a question by their words: what can be shown when nothing was recalled.

No model and no word forms: rare words that both say. Never evidence for an answer. By hand:
`nearest(store, "Where is the lamp?")`.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice

import numpy as np

from chronos.architecture import kernels
from chronos.architecture.kernels.words_plain import ALONE, NOTHING, word_numbers
from chronos.memory.episodes.layout import begins
from chronos.memory.episodes.reader import StoreReader
from chronos.memory.episodes.view import allowed
from chronos.tokenization.categories import LETTER, NUMBER, spans
from chronos.tokenization.units import MARK

K, B = 1.2, 0.4  # how soon a repeated word counts no more, and how much a long event is marked down
BLOCK = 8192  # events read at once
MOST = 32  # different words of a question that are looked for, the first
_IDEOGRAPHS = ((0x2E80, 0xA4CF), (0xF900, 0xFAFF))  # written without spaces: each is a word by itself


@dataclass(frozen=True)
class Near:
    """An event that says words of a question; score: how much of the question it says, 0 … 1."""

    id: int
    time: int
    source: str
    text: str
    score: float


def nearest(
    store: StoreReader, question: str, top: int = 3, *, end: int | None = None, since: int | None = None,
    until: int | None = None, sources: Sequence[str] | None = None,
) -> tuple[Near, ...]:  # fmt: skip
    """At most `top` events, nearest first, of equals the newest; of those that say the same, only the newest.

    Of N events that may be seen (the first `end`, filtered as `recall` does), n of which hold word w:

        score(e) = Σ_w r_w² f/(f + k(1 − b + b·|e|/mean)) / Σ_w r_w²,  r_w = log(1 + (N − n + ½)/(n + ½))

    over the question's words, f: how often w stands in e. It is BM25 (Robertson and Zaragoza 2009), but that
    rarity counts twice, for the question and for the event. DamageError for a damaged event.
    """
    mask = allowed(store, since=since, until=until, sources=None if sources is None else list(sources))[:end]
    different = dict.fromkeys(word_numbers(question, letters()))
    wanted = np.array(sorted(islice(different, MOST)), np.uint64)
    if top < 1 or not len(wanted) or not mask.any():
        return ()
    ids, scores = _best(store, mask, wanted, 8 * top)
    found: dict[str, Near] = {}
    for at in np.lexsort((-ids, -scores)).tolist():
        event = store.event(int(ids[at]))
        found.setdefault(event.text, Near(event.id, event.time, event.source, event.text, float(scores[at])))
        if len(found) == top:
            break
    return tuple(found.values())


def _best(
    store: StoreReader, mask: np.ndarray, wanted: np.ndarray, most: int
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Ids and scores (n,) float32 of events, in no order, the `most` best among them; none of score 0.

    One pass over all words as they lie on disk tells which event holds which. Then only those are looked at
    again whose words, however often they stood there, could score enough: no f / (f + …) reaches 1.
    """
    words, packed = np.frombuffer(store.words, np.uint8), store.records["packed"]
    lengths, marks = np.zeros(len(mask), np.float32), np.zeros(len(mask), np.uint32)
    holding = np.zeros(len(wanted), np.int64)
    for start in range(0, len(mask), BLOCK):
        part = slice(start, min(start + BLOCK, len(mask)))
        at = begins(packed[part])
        kernels.word_lengths(lengths[part], words, at, mask[part], letters(), wanted, holding, marks[part])
    N = int(np.count_nonzero(mask))
    worth = np.log1p((N - holding + 0.5) / (holding + 0.5)) ** 2
    worth, mean = worth / worth.sum(), max(float(lengths.sum(dtype=np.float64)) / N, 1.0)

    def scored(ids: np.ndarray) -> np.ndarray:
        scores = np.zeros(len(ids), np.float32)
        seen = np.ones(len(ids), np.uint8)
        kernels.word_scores(scores, words, begins(packed[ids]), seen, letters(), wanted, worth, K, B, mean)
        return scores

    bounds = np.zeros(len(mask), np.float32)
    for w in range(len(wanted)):
        bounds += np.float32(worth[w]) * ((marks >> np.uint32(w)) & np.uint32(1)).astype(np.float32)
    most = min(most, len(bounds))
    least = scored(np.argpartition(-bounds, most - 1)[:most]).min()
    ids = np.flatnonzero((bounds > 0) & (bounds >= least))
    return ids, scored(ids)


@cache
def letters() -> np.ndarray:
    """What each character is in a word, (65536,) uint32, as `kernels.word_lengths` takes it.

    Letters and digits are letters, small and without accents and vowel signs, so that composed, decomposed
    and bare spellings are one; joiners and hyphens separate.
    """
    table = np.zeros(1 << 16, np.uint32)
    for first, last in (*spans(LETTER), *spans(NUMBER)):
        table[first : last + 1] = np.arange(first, min(last, 0xFFFF) + 1) if first <= 0xFFFF else 0
    for first, last in spans(MARK):
        for code in range(first, min(last, 0xFFFF) + 1):
            table[code] = NOTHING if unicodedata.combining(chr(code)) else code
    for code in np.flatnonzero(table[:0x2E80] > NOTHING).tolist():
        table[code] = ord(unicodedata.normalize("NFD", chr(code).casefold())[0])
    table[[0x640, 0xAD, 0x200C, 0x200D]] = NOTHING  # tatweel, and joiners that nobody sees
    for first, last in _IDEOGRAPHS:
        part = table[first : last + 1]
        part[part > NOTHING] |= ALONE
    table.flags.writeable = False
    return table
