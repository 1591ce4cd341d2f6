"""BM25 by its formula, worked out by hand; and what it finds in a novel."""

import json
import math
import re

import pytest

from chronos.console import ChronosError
from chronos.data.notes.reading import Reading, read_notes
from chronos.evaluation.live.retrieval import BM25, place_of, words

TEXTS = ["The cat sat on the mat.", "A dog ran.", "The dog saw the cat, the other cat and a dog.", "Nothing."]


def score(question: set[str], text: str, k1: float, b: float) -> float:
    """The formula, word by word."""
    every = [words(one) for one in TEXTS]
    mean, total = sum(map(len, every)) / len(every), 0.0
    for word in question:
        n, f = sum(word in one for one in every), words(text).count(word)
        idf = math.log(1 + (len(every) - n + 0.5) / (n + 0.5))
        total += f and idf * f * (k1 + 1) / (f + k1 * (1 - b + b * len(words(text)) / mean))
    return total


@pytest.mark.parametrize(("k1", "b"), [(1.2, 0.75), (0.0, 0.75), (2.0, 0.0), (0.9, 1.0)])
def test_scores_are_the_formula(k1, b):
    index = BM25(TEXTS, k1, b)
    found = index.scores("Which CAT saw the other dog? Dog!")
    assert set(found) == {0, 1, 2}
    for i, got in found.items():
        wanted = score({"which", "cat", "saw", "the", "other", "dog"}, TEXTS[i], k1, b)
        assert got == pytest.approx(wanted, rel=1e-12)


def test_one_number_by_hand():
    """Of two texts of one word each one holds it: idf = log(1 + 1.5/1.5), and f(k+1)/(f+k) = 1."""
    assert BM25(["yes", "no"]).scores("yes") == {0: pytest.approx(math.log(2))}


def test_the_best_come_first_and_equals_in_order():
    index = BM25(["a b", "b a", "c", "a b c"])
    assert index.best("a") == [0, 1, 3]
    assert index.best("c a", 2) == [3, 2]
    assert index.best("d") == []


def test_words_are_folded_and_marks_are_none():
    assert words("Omar’s 3 CATS — and “dogs”?") == ["omar", "3", "cats", "and", "dogs"]


def test_what_makes_no_index_is_refused():
    for wrong in ({"texts": []}, {"texts": ["a"], "k1": -1.0}, {"texts": ["a"], "b": 1.5}):
        with pytest.raises(ChronosError, match="BM25 needs"):
            BM25(**wrong)
    assert BM25(["…"]).best("…") == []


def test_a_text_is_known_by_how_it_begins():
    assert place_of(TEXTS, "The dog") == 2
    for begins in ("The", "None"):
        with pytest.raises(ChronosError, match="one text must begin so"):
            place_of(TEXTS, begins)


def test_questions_about_a_novel(root, shared, tmp_path):
    """Ten chapters, a sentence a text: the twenty questions are about sentences that are there, once."""
    asked = json.loads((root / "tests" / "fixtures" / "novel_questions.json").read_text("utf-8"))
    text = (shared / "data" / "text" / asked["novel"]).read_text("utf-8-sig")
    starts = [found.start() for found in re.finditer(r"(?m)^\s*Chapter \d+\s*$", text)]
    (tmp_path / "novel.txt").write_text(text[: starts[asked["chapters"]]], "utf-8")
    told = [note.text for note in read_notes(tmp_path / "novel.txt", Reading(quiet=True))]
    right = [place_of(told, one["sentence"]) for one in asked["questions"]]
    index = BM25(told)
    found = [index.best(one["question"], 3) for one in asked["questions"]]
    assert len(set(right)) == 20
    assert sum(one in among for one, among in zip(right, found)) == 19
    assert sum(one == among[0] for one, among in zip(right, found)) == 16
