"""Cleaning by choice: each field does what it says; wrapped prose is joined, verse and lists are not."""

import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronos.console import ChronosError
from chronos.data.cleaning import Cleaning
from chronos.data.unwrapping import unwrap
from chronos.settings import build, dump

DIRTY = "ﬁ\u00adre\u200b e\u0301\x07\r\nnext\rend\u200d\ufeff"


@pytest.mark.parametrize(
    ("fields", "clean"),
    [
        ({}, "ﬁ\u00adre\u200b e\u0301\nnext\nend\u200d\ufeff"),
        ({"controls": False}, "ﬁ\u00adre\u200b e\u0301\x07\nnext\nend\u200d\ufeff"),
        ({"invisible": True}, "ﬁre e\u0301\nnext\nend\u200d"),
        ({"unicode": "NFC"}, "ﬁ\u00adre\u200b é\nnext\nend\u200d\ufeff"),
        ({"unicode": "NFKC", "invisible": True}, "fire é\nnext\nend\u200d"),
    ],
)
def test_each_choice(fields, clean):
    assert Cleaning(**fields)(DIRTY) == clean


def test_it_is_a_configuration():
    cleaning = build(Cleaning, {"unicode": "NFC", "unwrap": "yes"})
    assert cleaning == Cleaning(unicode="NFC", unwrap=True) == build(Cleaning, dump(cleaning))
    with pytest.raises(ChronosError, match="unknown normal form, expected none, NFC, NFKC, got 'NFD'"):
        build(Cleaning, {"unicode": "NFD"})


PROSE = """\
It was the best of times, it was the worst of times, it was the age
of wisdom, it was the age of foolishness, it was the epoch of belief--
it was the epoch of incredulity, and of Hope, and it was the well-
known season of Light.

Another paragraph stands after a blank line and it is wrapped as well,
as all are.
"""


def test_prose_is_joined():
    first, second = unwrap(PROSE).split("\n\n")
    assert first == (
        "It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of "
        "foolishness, it was the epoch of belief--it was the epoch of incredulity, and of Hope, and it was "
        "the well-known season of Light."
    )
    assert second == "Another paragraph stands after a blank line and it is wrapped as well, as all are.\n"


LEFT_ALONE = {
    "verse": "Shall I compare thee to a summer's day, my love?\n"
    "Thou art more lovely and more temperate than that:\n"
    "Rough winds do shake the darling buds of May, oh,\n"
    "And summer's lease hath all too short a date, alas.\n",
    "list": "- the first thing that there is to be said about all of this here\n"
    "- the second thing that there is to be said about all of this, too\n",
    "numbers": "1. the first thing that there is to be said about all of this here\n"
    "2. the second thing that there is to be said about all of this, too\n",
    "indented": "    for every line that is indented there is a reason to leave it\n"
    "    alone, whatever its length may be and whatever follows after it\n",
    "table": "| a column of some width | another column of the table of width |\n"
    "| b column of some width | another column of the table of width |\n",
    "columns": "Name of the town          Number of people who were living there\n"
    "Name of another town      Number of people who are living in there\n",
    "code": "if (the_condition_is_true_and_nothing_else_is_to_be_said(about)) {\n"
    "call_the_function_that_does_it(with, some, arguments, and_more, z);\n",
    "fence": "```\nall of this is code although it looks like prose that goes on\n"
    "and on and on to the end of the line and to the next one, too, yes\n```\n",
    "heading": "# A heading that is long enough to fill the line to the very end\n"
    "followed by a line of prose that is long enough to fill the line\n",
    "short lines": "A letter\nwith an address\nin short lines\n"
    + "\nand a long line that makes the width of the whole what it is, yes\n" * 30,
    "setext": "A title that is long enough to fill the line to its very end, yes\n"
    "=================================================================\n",
}


@pytest.mark.parametrize("kind", LEFT_ALONE)
def test_what_is_no_wrapped_prose_is_left_alone(kind):
    assert unwrap(LEFT_ALONE[kind]) == LEFT_ALONE[kind]


def test_unwrapped_text_is_left_alone():
    text = "A line that was never wrapped goes on and on. " * 10 + "\n" + "And another one does so. " * 10
    assert unwrap(text) == text


def test_a_novel_becomes_paragraphs(shared):
    """Nothing but line ends changes, most paragraphs are joined, and all that were filled so are."""
    text = (shared / "data" / "text" / "Doyle_Hound_1902.txt").read_text(encoding="utf-8-sig")
    paragraphs = [" ".join(part.split()) for part in text.split("\n") if len(part) > 200]
    wrapped = "\n\n".join(textwrap.fill(part, 72) for part in paragraphs)
    joined = unwrap(wrapped)
    assert joined.replace("\n", "").replace(" ", "") == wrapped.replace("\n", "").replace(" ", "")
    same = sum(part in set(paragraphs) for part in joined.split("\n\n"))
    assert same > 0.95 * len(paragraphs) > 200


WORDS = st.text(st.sampled_from("abcdefgh"), min_size=1, max_size=9)


@given(st.lists(st.lists(WORDS, min_size=30, max_size=80), min_size=1, max_size=4))
def test_filling_and_unwrapping_gives_the_paragraphs_back(paragraphs):
    whole = [" ".join(words) for words in paragraphs]
    assert unwrap("\n\n".join(textwrap.fill(text, 72) for text in whole)) == "\n\n".join(whole)


@given(st.text(st.sampled_from("ab -*\n`|"), max_size=400))
def test_unwrapping_changes_nothing_but_line_ends(text):
    joined = unwrap(text)
    assert "".join(joined.split()) == "".join(text.split())
    assert joined.count("\n") <= text.count("\n")
