"""Letters, numbers, spaces and words of our tables against those of `tokenizers`, over all of Unicode."""

import random

import numpy as np
import pytest

from chronos.tokenization.categories import spans, table
from chronos.tokenization.hf_json import REGEX_NAMES
from chronos.tokenization.normalizers import COMPOSING, nfc
from chronos.tokenization.pretokenize import REGEXES, split

pytestmark = pytest.mark.oracle
tokenizers = pytest.importorskip("tokenizers")

POINTS = [point for point in range(0x110000) if not 0xD800 <= point < 0xE000]


def matched(regex: str) -> list[int]:
    """The code points that `tokenizers` finds in a class."""
    keep = tokenizers.pre_tokenizers.Split(tokenizers.Regex(f"[^{regex}]"), "removed")
    found: list[int] = []
    for some in chunks(POINTS, 4096):
        found += [ord(c) for word, _ in keep.pre_tokenize_str("".join(map(chr, some))) for c in word]
    return found


def chunks(values: list[int], size: int) -> list[list[int]]:
    return [values[i : i + size] for i in range(0, len(values), size)]


@pytest.mark.parametrize(("number", "regex"), [(1, r"\p{L}"), (2, r"\p{N}"), (3, r"\s")])
def test_every_code_point_has_its_class(number, regex):
    assert np.flatnonzero(table() == number).tolist() == matched(regex)


def cutter(pattern: str):
    pre = tokenizers.pre_tokenizers
    if pattern == "gpt2":  # its own copy of the pattern, with an engine of its own
        return pre.ByteLevel(add_prefix_space=False)
    return pre.Sequence(
        [pre.Split(tokenizers.Regex(REGEXES[pattern]), "isolated"), pre.ByteLevel(False, use_regex=False)]
    )


@pytest.mark.parametrize("pattern", REGEXES)
def test_words_are_cut_alike(pattern):
    """Every sixteenth code point and those at the edges of the classes, each in several surroundings."""
    theirs, classes = cutter(pattern), table()
    edges = set((np.flatnonzero(np.diff(classes)) + np.array([[0], [1]])).ravel().tolist())
    for point in POINTS:
        if point % 16 == 0 or point in edges or point < 0x300:
            text = "{0}a{0}a {0}1'{0}s 1{0}2\n{0}\n  {0}  !{0}!\r{0}".format(chr(point))
            found = [text[start:end] for _, (start, end) in theirs.pre_tokenize_str(text)]
            assert (text, split(text, pattern)) == (text, found)


def test_composition_is_theirs():
    """NFC of every code point alone and among marks, then of random runs of what composes."""
    theirs = tokenizers.normalizers.NFC().normalize_str
    points = [point for first, last in spans(COMPOSING) for point in range(first, last + 1)]
    dice = random.Random(1)
    for point in POINTS:
        text = "e{0}\u0327{0}\u0301\u1161\u11a8\u05b0{0}\u064b\u093c".format(chr(point))
        if nfc(text) != theirs(text):
            assert (text, nfc(text)) == (text, theirs(text))
    for _ in range(30_000):
        some = [*dice.choices(points[-1500:] + points[:1500], k=6), *dice.choices(POINTS, k=2)]
        text = "".join(map(chr, dice.sample(some, len(some))))
        assert (text, nfc(text)) == (text, theirs(text))


def test_tiktokens_spelling_of_the_pattern_cuts_alike():
    """The other spelling of GPT-4's pattern that hf_json.py takes for the same."""
    pre = tokenizers.pre_tokenizers
    other = next(regex for regex, name in REGEX_NAMES.items() if regex not in REGEXES.values())
    theirs = pre.Split(tokenizers.Regex(other), "isolated")
    dice = random.Random(2)
    for _ in range(30_000):
        text = "".join(dice.choices(" \t\r\n\u3000aZé一'sſtrevmld19½!-_.\u0301", k=dice.randrange(14)))
        found = [text[start:end] for _, (start, end) in theirs.pre_tokenize_str(text)]
        assert (text, split(text, REGEX_NAMES[other])) == (text, found)
