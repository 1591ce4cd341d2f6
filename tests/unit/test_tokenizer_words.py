"""How a text is cut: classes of characters, patterns, composition, and added tokens found before all that."""

import unicodedata
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronos.tokenization.added_tokens import SPACES, AddedToken, AddedTokens
from chronos.tokenization.categories import LETTER, NUMBER, SPACE, spans, table
from chronos.tokenization.normalizers import nfc
from chronos.tokenization.pretokenize import PATTERNS, split

ANY_TEXT = st.text(st.characters(exclude_categories=("Cs",)))
ODD_TEXT = st.text("a1 \t\r\n'sſLl½é\u0301一!-", max_size=30)


def test_classes_are_those_of_one_unicode_version():
    classes = table()
    assert classes.shape == (0x110000,) and classes.dtype == np.uint8 and not classes.flags.writeable
    assert [int((classes == number).sum()) for number in (1, 2, 3)] == [141028, 1911, 25]  # Unicode 16.0.0
    assert [int(classes[ord(c)]) for c in "aé一\U00010d4a½Ⅷ٣ \u3000\x85\x1c!\u0301😀"] == [1] * 4 + [
        2
    ] * 3 + [3] * 3 + [0] * 4
    assert classes[0xD800:0xE000].max() == 0


def test_classes_agree_with_pythons_where_it_knows_the_character():
    """Whatever Unicode version Python has: what both have assigned is never of another class."""
    newer = tuple(map(int, unicodedata.unidata_version.split("."))) > (16, 0, 0)
    for point in range(0, 0x110000, 3):
        category, ours = unicodedata.category(chr(point)), table()[point]
        if category != "Cn" and (ours in (1, 2) or (category[0] in "LN" and not newer)):
            assert ours == {"L": 1, "N": 2}.get(category[0], 0), hex(point)


@pytest.mark.parametrize("ranges", [LETTER, NUMBER, SPACE])
def test_ranges_rise_and_are_apart(ranges):
    found = list(spans(ranges))
    assert all(first <= last for first, last in found)
    assert all(last + 1 < first for (_, last), (first, _) in pairwise(found))


@pytest.mark.parametrize(
    ("pattern", "text", "words"),
    [
        ("gpt2", "It'S 12345", ["It", "'", "S", " 12345"]),
        ("gpt4", "It'S 12345", ["It", "'S", " ", "123", "45"]),
        ("qwen2", "It'S 12345", ["It", "'S", " ", "1", "2", "3", "4", "5"]),
        ("gpt4", "a'ſb 'Sx", ["a", "'ſ", "b", " '", "Sx"]),
        ("gpt4", "x = -y;\n\n  z", ["x", " =", " -", "y", ";\n\n", " ", " z"]),
        ("gpt4", "a \n \n  b \t", ["a", " \n \n", " ", " b", " \t"]),
        ("gpt4", "\u3000一½²٣4\r", ["\u3000一", "½²٣", "4", "\r"]),
        ("gpt4", "(a)\u0301b", ["(a", ")\u0301", "b"]),
        ("none", "a b\n", ["a b\n"]),
        ("none", "", []),
    ],
)
def test_words(pattern, text, words):
    assert split(text, pattern) == words


@pytest.mark.parametrize("pattern", PATTERNS)
@given(ANY_TEXT, ODD_TEXT)
def test_words_join_to_the_text(pattern, any_text, odd_text):
    assert "".join(split(any_text, pattern)) == any_text
    assert "".join(split(odd_text, pattern)) == odd_text


def test_composition():
    assert nfc("e\u0301 \u212b \u1112\u1161\u11ab q\u0307\u0323") == "é Å 한 q\u0323\u0307"
    assert nfc("ascii") == "ascii"
    # U+0899 moves in Unicode 14, U+16D63 U+16D67 join in Unicode 16: `tokenizers` knows neither.
    for text in ("q\u0301\u0899", "\U00016d63\U00016d67\U00016d67", "e\u0899\u0301"):
        assert nfc(text) == text


def found(tokens, text, allow_special=True):
    return list(AddedTokens(tokens).split(text, allow_special))


def test_added_tokens_are_found_leftmost_longest():
    names = ["<a>", "<a><b>", "b>c", "  ", "    ", "x", "xyz"]
    tokens = [AddedToken(i, name, special=False) for i, name in enumerate(names)]
    assert found(tokens, "<a><b>c<a>") == [1, "c", 0]
    assert found(tokens, "<b>c") == ["<", 2]
    assert found(tokens, "       .") == [4, 3, " ."]
    assert found(tokens, "xyxyz") == [5, "y", 6]
    assert found(tokens, "") == [] and found([], "text") == ["text"]


def test_special_strings_are_text_unless_allowed():
    tokens = [AddedToken(0, "<end>"), AddedToken(1, "end", special=False)]
    assert found(tokens, "a<end>b") == ["a", 0, "b"]
    assert found(tokens, "a<end>b end", allow_special=False) == ["a<end>b ", 1]  # not searched inside
    idle = AddedTokens(tokens[:1])
    assert idle.idle(False) and not idle.idle(True) and not AddedTokens(tokens).idle(False)
    assert not AddedTokens([], nfc).idle(False) and AddedTokens([]).idle(True)


def test_flags_of_added_tokens():
    strip = AddedToken(0, "<m>", lstrip=True, rstrip=True)
    assert found([strip], "a \t<m> \u3000b<m>") == ["a", 0, "b", 0]
    assert found([strip], " <m> <m>") == [0, 0] and len(SPACES) == 25
    later = AddedToken(1, "e\u0301", special=False, normalized=True)
    first = AddedToken(2, "\u0301<", special=False)
    cut = AddedTokens([later, first], nfc)
    assert list(cut.split("é e\u0301 e\u0301<", True)) == [1, " ", 1, " e", 2]


@given(st.text("<ab> ", max_size=20))
def test_finding_is_its_definition(text):
    """Against trying every token at every place, the longest first."""
    tokens = [AddedToken(i, name) for i, name in enumerate(["<a>", "<", "a>b", " ", "  ", "ab", "b"])]
    expected, at = [], 0
    while at < len(text):
        here = [token for token in tokens if text.startswith(token.content, at)]
        token = max(here, key=lambda token: len(token.content), default=None)
        if token is not None:
            expected.append(token.id)
            at += len(token.content)
        else:
            if expected and isinstance(expected[-1], str):
                expected[-1] += text[at]
            else:
                expected.append(text[at])
            at += 1
    assert found(tokens, text) == expected
