"""BM25: which texts share their rarest words with a question, the bar for any memory that cites its sources.

Robertson and Zaragoza (2009), counted in plain Python over an inverted index. It has no model, no word forms
and no idea of time. Try `BM25(["the cat sat", "a dog ran"]).best("Where is the cat?", 1)`.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from chronos.console import ChronosError
from chronos.tokenization.units import fold, split

K1, B = 1.2, 0.75  # how soon a repeated word counts no more, and how much long texts are marked down


def words(text: str) -> list[str]:
    """The words and digits of a text, folded; marks are none."""
    return [fold(unit) for unit in split(text) if unit[0].isalnum()]


class BM25:
    """An index of N texts: `scores(question)`, `best(question, top)`.

        score(d) = Σ_w idf(w) · f(k₁ + 1) / (f + k₁(1 − b + b·|d|/mean|d|)), f = how often w stands in d
        idf(w) = log(1 + (N − n + ½)/(n + ½)), n = how many texts hold w: never negative

    over the different words w of the question. ChronosError without texts, and for k₁ < 0 or b outside 0 … 1.
    """

    def __init__(self, texts: Iterable[str], k1: float = K1, b: float = B):
        if k1 < 0 or not 0 <= b <= 1:
            raise ChronosError("BM25 needs k1 ≥ 0 and b of 0 to 1", got=f"k1 {k1}, b {b}")
        self.k1, self.b = k1, b
        self.lengths: list[int] = []
        self.holding: dict[str, list[tuple[int, int]]] = defaultdict(list)  # word → (text, how often)
        for i, text in enumerate(texts):
            counts = Counter(words(text))
            self.lengths.append(counts.total())
            for word, count in counts.items():
                self.holding[word].append((i, count))
        if not self.lengths:
            raise ChronosError("BM25 needs texts to search in")
        self.mean = sum(self.lengths) / len(self.lengths)

    def idf(self, word: str) -> float:
        """How much a folded word tells, in nats; never 0"""
        n = len(self.holding.get(word, ()))
        return math.log1p((len(self.lengths) - n + 0.5) / (n + 0.5))

    def scores(self, question: str) -> dict[int, float]:
        """text → score, of the texts that share a word with the question."""
        found: dict[int, float] = defaultdict(float)
        for word in sorted(set(words(question))):  # in one order, so that sums are the same everywhere
            idf = self.idf(word)
            for i, count in self.holding.get(word, ()):
                long = self.k1 * (1 - self.b + self.b * self.lengths[i] / self.mean)
                found[i] += idf * count * (self.k1 + 1) / (count + long)
        return dict(found)

    def best(self, question: str, top: int = 3) -> list[int]:
        """The texts with the highest scores, at most `top`; of equals the earlier one."""
        scores = self.scores(question)
        return sorted(scores, key=lambda i: (-scores[i], i))[:top]


def place_of(texts: Sequence[str], begins: str) -> int:
    """Which of the texts begins so; ChronosError where none does, or several do."""
    found = [i for i, text in enumerate(texts) if text.startswith(begins)]
    if len(found) != 1:
        raise ChronosError("one text must begin so", expected=ascii(begins), got=f"{len(found)} texts")
    return found[0]
