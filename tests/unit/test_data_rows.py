"""Rows become text, and what is trained on is what a model has to say at inference."""

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronos.data.cleaning import Cleaning
from chronos.data.decoding import DamageError
from chronos.data.rows import marked, render

KAYLA = {"Instruction": "Hi", "feelings": "{Calm:0.9}", "thought-process": "Greet.", "output": "Hello"}
CHAT = [
    {"role": "system", "content": "Be kind."},
    {"role": "user", "content": "Hi"},
    {"role": "assistant", "content": "Hello"},
    {"role": "user", "content": "Bye"},
    {"role": "assistant", "content": "See you"},
]
# ⟦…⟧ is what a loss leaves out.
LAYOUTS = [
    ({"text": " as it is ", "meta": 3}, " as it is "),
    ({"text": "given asked", "untrained": [[0, 6]]}, "⟦given ⟧asked"),
    (
        {"instruction": "Add", "input": "1 2", "output": "3"},
        "⟦### Instruction:\nAdd\n\n### Input:\n1 2\n\n### Response:\n⟧3",
    ),
    ({"instruction": "Add", "input": "", "response": "3"}, "⟦### Instruction:\nAdd\n\n### Response:\n⟧3"),
    (
        KAYLA,
        "⟦### Instruction:\nHi\n\n### Feelings:\n{Calm:0.9}\n\n### Thought Process:\n⟧Greet.\n\n"
        "### Response:\nHello",
    ),
    (
        {**KAYLA, "feelings": None},
        "⟦### Instruction:\nHi\n\n### Thought Process:\n⟧Greet.\n\n### Response:\nHello",
    ),
    (
        {"INSTRUCTION": "Hi", "Feelings": "calm", "Thought-Process": "", "Output": "Hello"},
        "⟦### Instruction:\nHi\n\n### Feelings:\ncalm\n\n### Response:\n⟧Hello",
    ),
    (
        {"messages": CHAT},
        "⟦### Instruction:\nBe kind.\n\nHi\n\n### Response:\n⟧Hello\n\n"
        "### Instruction:⟦\nBye\n\n### Response:\n⟧See you",
    ),
    (
        {"messages": [CHAT[0], CHAT[2]]},
        "⟦### Instruction:\nBe kind.\n\n### Response:\n⟧Hello",
    ),
    (
        {"messages": [CHAT[2], CHAT[4], CHAT[0]]},
        "⟦### Response:\n⟧Hello⟦\n\n### Response:\n⟧See you\n\n### Instruction:⟦\nBe kind.⟧",
    ),
]


def shown(text, untrained):
    for start, stop in reversed(untrained):
        text = f"{text[:start]}⟦{text[start:stop]}⟧{text[stop:]}"
    return text


@pytest.mark.parametrize(("row", "layout"), LAYOUTS)
def test_layouts_and_marks(row, layout):
    text, untrained = marked(row, "x:1")
    assert shown(text, untrained) == layout
    assert render(row, "x:1") == text


def test_the_prompt_of_chat_is_what_is_untrained():
    """What chat gives is not learned; what it draws after it was."""
    text, ((start, stop),) = marked({"messages": CHAT[1:3]}, "x:1")
    assert text[start:stop] == "### Instruction:\n{prompt}\n\n### Response:\n".format(prompt="Hi")


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ([1], "a row must be an object, got a list"),
        ("text", "got a string"),
        (3, "got a number"),
        (None, "got nothing"),
        ({}, "got no fields"),
        ({"title": "x"}, "unknown kind of row"),
        ({"text": 3}, "field 'text' must be a string, got a number"),
        ({"instruction": "x"}, "field 'output' must be a string, got nothing"),
        ({"instruction": None, "output": "x"}, "field 'instruction' must be a string"),
        ({"instruction": "x", "output": "y", "thought-process": ["z"]}, "'thought-process' must be a string"),
        ({"messages": []}, "messages must be a list with something in it"),
        ({"messages": ["hi"]}, "a message must be an object"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "unknown role"),
        ({"messages": [{"role": "user", "content": [{"type": "image"}]}]}, "'content' must be a string"),
        ({"text": "half \ud83d"}, "lone surrogate U+D83D"),
        ({"instruction": "half", "output": "\ude00"}, "lone surrogate U+DE00"),
    ],
)
def test_rows_that_are_refused(row, says):
    with pytest.raises(DamageError) as caught:
        marked(row, "rows.jsonl:7")
    assert str(caught.value).startswith("rows.jsonl:7: ") and says in str(caught.value)


@pytest.mark.parametrize(
    "ranges",
    [5, "0-5", {"0": 5}, [5], [[1]], [[1, 2, 3]], [[2, 1]], [[1, 1]], [[0, 12]], [[-1, 2]], [[0.0, 2.0]],
     [[3, 5], [1, 2]], [[0, 3], [2, 5]], [[True, 2]], [[0, "2"]]],
)  # fmt: skip
def test_damaged_marks_are_refused(ranges):
    with pytest.raises(DamageError, match=r"^rows\.jsonl:7: field 'untrained' is damaged"):
        marked({"text": "hello there", "untrained": ranges}, "rows.jsonl:7")


@st.composite
def texts_with_marks(draw):
    text = draw(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"])))
    bounds = sorted(draw(st.sets(st.integers(0, len(text)))))
    pairs = [pair for pair in itertools.pairwise(bounds) if draw(st.booleans())]
    return text, tuple(pairs)


@given(texts_with_marks())
def test_a_marked_text_is_read_back_as_it_was_written(row):
    text, pairs = row
    written = json.loads(json.dumps({"text": text, "untrained": pairs}))
    assert marked(written, "x:1", Cleaning()) == (text, pairs)


@given(texts_with_marks())
def test_cleaning_keeps_marks_on_their_words(row):
    """The untrained stretches of the clean text are the clean untrained stretches."""
    text, pairs = row
    dirty = text.replace("a", "\x07\r\n").replace("b", "ﬁ\u00ad")
    clean = Cleaning(invisible=True, unicode="NFKC")
    written, ranges = marked(
        {"text": dirty, "untrained": [list(p) for p in pairs if p[1] <= len(dirty)]}, "", clean
    )
    expected = [clean(dirty[a:b]) for a, b in pairs if b <= len(dirty)]
    assert [written[a:b] for a, b in ranges] == [part for part in expected if part]


def test_fields_are_cleaned_one_by_one():
    row = {"instruction": "fi\u00adne\r\n", "output": "x\x00y"}
    text, untrained = marked(row, "x:1", Cleaning(invisible=True))
    assert shown(text, untrained) == "⟦### Instruction:\nfine\n\n\n### Response:\n⟧xy"
