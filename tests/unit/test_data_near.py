"""Duplicates: the banding formula, estimates against exact Jaccard, recall and precision on planted pairs."""

import itertools
import json
import random

import numpy as np
import pytest

from chronos.console import ChronosError
from chronos.data.corpus import duplicates, near
from chronos.data.corpus.config import Options
from chronos.data.corpus.prepare import prepare
from chronos.data.corpus.records import same_key

WORDS = [f"w{i}" for i in range(5000)]


def text_of(rng, n=300):
    return [rng.choice(WORDS) for _ in range(n)]


def edited(rng, words, count):
    """A copy in which `count` words, at random places, are others."""
    copy = list(words)
    for place in rng.sample(range(len(copy)), count):
        copy[place] = f"new{rng.randrange(10**9)}"
    return copy


def encoded(words):
    return [word.encode() for word in words]


@pytest.mark.parametrize(("similarity", "expected"), [(0.5, (42, 3)), (0.8, (21, 6)), (0.9, (12, 10))])
def test_banding_is_chosen_by_the_formula(similarity, expected):
    bands, rows = near.banding(similarity)
    assert (bands, rows) == expected and bands * rows <= near.PERMUTATIONS
    assert near.found(similarity, bands, rows) >= 0.99
    assert near.found(similarity, near.PERMUTATIONS // (rows + 1), rows + 1) < 0.99
    assert near.found(0.8, 2, 3) == pytest.approx(1 - (1 - 0.8**3) ** 2)


def test_words_are_the_same_by_both_ways():
    text = "It's 3 o'clock: snake_case, e-mail\tÀ\x7f"
    assert near.words(text) == [b"it", b"s", b"3", b"o", b"clock", b"snake_case", b"e", b"mail", "à".encode()]
    for c in map(chr, range(128)):
        with_letter = [word for word in near.words(f"a{c}b \u00e9") if word != "é".encode()]
        assert near.words(f"a{c}b") == with_letter


def test_estimates_are_those_of_the_definition():
    """Unbiased within five standard errors, and spread as the binomial law says."""
    rng = random.Random(1)
    signer = near.Signer()
    errors = []
    for edits in (1, 3, 8, 20) * 50:
        one = text_of(rng)
        other = edited(rng, one, edits)
        exact = near.jaccard(encoded(one), encoded(other))
        got = float(near.estimate(signer.sign(" ".join(one)), signer.sign(" ".join(other))))
        errors.append((got - exact) / max((exact * (1 - exact) / near.PERMUTATIONS) ** 0.5, 1e-3))
    assert abs(np.mean(errors)) < 5 / len(errors) ** 0.5
    assert 0.8 < np.std(errors) < 1.2


def test_long_texts_count_from_their_beginning():
    rng = random.Random(4)
    one, tail = text_of(rng, 4000), text_of(rng, 900)
    signer = near.Signer()
    got = near.estimate(signer.sign(" ".join(one + tail)), signer.sign(" ".join(tail)))
    assert abs(got - near.jaccard(encoded(one + tail), encoded(tail))) < 0.15


def test_short_texts_are_one_shingle_and_texts_without_words_none():
    signer = near.Signer()
    assert len(signer.shingles("one two three")) == 1 == len(signer.shingles("one two three four five"))
    assert (signer.sign("One, two.") == signer.sign("one two")).all()
    assert (signer.sign("one two") != signer.sign("two one")).mean() > 0.9
    nothing = np.stack([signer.sign(" … !"), signer.sign("word")])
    keys = near.bands(nothing, 0.8)
    assert not keys[:, 0].any() and keys[:, 1].all()
    assert near.jaccard([b"a", b"b"], [b"a", b"b"]) == 1


def test_bands_find_pairs_as_often_as_the_formula_says():
    rng = random.Random(2)
    signer = near.Signer()
    bands, rows = near.banding(0.8)
    for edits, count in ((8, 200), (16, 200), (28, 200)):
        expected = found = 0.0
        for _ in range(count):
            one = text_of(rng, 200)
            other = edited(rng, one, edits)
            signatures = np.stack([signer.sign(" ".join(one)), signer.sign(" ".join(other))])
            keys = near.bands(signatures, 0.8)
            found += bool((keys[:, 0] == keys[:, 1]).any())
            expected += near.found(near.jaccard(encoded(one), encoded(other)), bands, rows)
        assert abs(found - expected) < 4 * (count * 0.25) ** 0.5, (edits, found, expected)


def planted(folder, edits_of, count=150, seed=3):
    """Originals, then a changed copy of each, in a file; and the exact similarity of each pair."""
    rng = random.Random(seed)
    texts = [text_of(rng, 400) for _ in range(count)]
    copies = [edited(rng, words, edits_of(i)) for i, words in enumerate(texts)]
    rows = [" ".join(words) for words in texts + copies]
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps({"text": row}) + "\n" for row in rows))
    return path, rows, [near.jaccard(encoded(a), encoded(b)) for a, b in zip(texts, copies)]


def kept_texts(folder):
    return [
        [json.loads(line)["text"] for line in (folder / f"{side}.jsonl").read_text().splitlines()]
        for side in ("train", "val")
    ]


def all_kept(folder):
    train, val = kept_texts(folder)
    return train + val


def test_recall_and_precision_on_planted_pairs(tmp_path):
    path, rows, similarities = planted(tmp_path, lambda i: 1 + i % 40)
    prepare(path, tmp_path / "out", options=Options(dedupe="near"))
    kept = set(all_kept(tmp_path / "out"))
    dropped = [row not in kept for row in rows[150:]]
    assert all(row in kept for row in rows[:150])  # the first of a pair always stays
    sure = [drop for drop, s in zip(dropped, similarities) if s >= 0.88]
    never = [drop for drop, s in zip(dropped, similarities) if s <= 0.70]
    assert len(sure) > 15 and sum(sure) >= 0.97 * len(sure)
    assert len(never) > 30 and sum(never) <= 0.03 * len(never)


def test_no_near_duplicate_of_validation_is_trained_on(tmp_path):
    path, _, _ = planted(tmp_path, lambda i: 1, count=300)
    stats = prepare(path, tmp_path / "all", val_fraction=0.3)
    train, val = ({frozenset(text.split()[:40]) for text in side} for side in kept_texts(tmp_path / "all"))
    straddling = sum(any(len(a & b) > 35 for a in train) for b in val)
    assert straddling > 50 and stats["duplicates"] == {"dedupe": "none", "exact": 0}
    stats = prepare(path, tmp_path / "near", val_fraction=0.3, options=Options(dedupe="near"))
    train, val = ({frozenset(text.split()[:40]) for text in side} for side in kept_texts(tmp_path / "near"))
    assert not any(len(a & b) > 35 for a in train for b in val)
    assert stats["duplicates"]["near"] == 300 == stats["documents"]


def test_chains_are_one_group(tmp_path):
    """a ~ b ~ c, though a and c are not similar enough: only a stays."""
    rng = random.Random(5)
    a = text_of(rng, 400)
    b = edited(rng, a[:200], 6) + a[200:]
    c = b[:200] + edited(rng, b[200:], 6)
    d = text_of(rng, 400)
    rows = [" ".join(words) for words in (a, c, b, d)]
    (tmp_path / "r.jsonl").write_text("".join(json.dumps({"text": row}) + "\n" for row in rows))
    prepare(tmp_path / "r.jsonl", tmp_path / "out", options=Options(dedupe="near", similarity=0.78))
    assert near.jaccard(encoded(a), encoded(c)) < 0.78 < near.jaccard(encoded(a), encoded(b))
    assert set(all_kept(tmp_path / "out")) == {rows[0], rows[3]}


def test_exact_duplicates_differ_in_case_and_white_space_only(tmp_path):
    rows = ["One two", "one\n TWO ", "one three", "One two", "onetwo!", "STRASSE", "straße"]
    (tmp_path / "r.jsonl").write_text("".join(json.dumps({"text": row}) + "\n" for row in rows))
    stats = prepare(tmp_path / "r.jsonl", tmp_path / "out", options=Options(dedupe="exact"))
    assert sorted(all_kept(tmp_path / "out")) == ["One two", "STRASSE", "one three", "onetwo!"]
    assert stats["duplicates"] == {"dedupe": "exact", "exact": 3}
    counted = prepare(tmp_path / "r.jsonl", tmp_path / "out")
    assert counted["duplicates"] == {"dedupe": "none", "exact": 3} and counted["documents"] == 7
    assert same_key("a b") == same_key("A\tB") != same_key("a c")


class Fake:
    """Blocks that are only arrays."""

    def __init__(self, *blocks):
        self.blocks = [np.array(block, np.uint64) for block in blocks]
        self.counts = tuple(map(len, blocks))

    def load(self, block, name):
        return self.blocks[block]

    def starts(self):
        return np.concatenate([[0], np.cumsum(self.counts)])


@pytest.mark.parametrize("part", [1, 2, 3, 100])
def test_keys_are_sorted_part_by_part(monkeypatch, part):
    monkeypatch.setattr(duplicates, "PART", part)
    rng = random.Random(part)
    blocks = [
        [rng.randrange(12) << 60 | rng.randrange(3) << 32 for _ in range(rng.randrange(9))] for _ in range(9)
    ]
    flat = list(itertools.chain.from_iterable(blocks))
    expected = [key in flat[:i] for i, key in enumerate(flat)]
    assert duplicates.exact(Fake(*blocks)).tolist() == expected and any(expected)


def test_absurd_choices_are_refused():
    for options in ({"dedupe": "fuzzy"}, {"similarity": 0}, {"similarity": 1.5}):
        with pytest.raises(ChronosError):
            Options(**options)
