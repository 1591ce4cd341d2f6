"""Dates at the starts of lines, against hand-written times and the calendar; sentences; Markdown's marks."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronos.data.notes import dates
from chronos.data.notes.dates import DAY, Dates, of_number, survey, whole, written
from chronos.data.notes.marks import inline
from chronos.data.notes.sentences import MOST_CHARACTERS, MOST_WORDS, limited, sentences


def micro(text: str) -> int:
    return (datetime.fromisoformat(text).replace(tzinfo=UTC) - dates.EPOCH) // timedelta(microseconds=1)


@pytest.mark.parametrize(
    "line, time, rest",
    [
        ("2024-05-03", "2024-05-03", ""),
        ("2024/05/03", "2024-05-03", ""),
        ("3 May 2024", "2024-05-03", ""),
        ("May 3, 2024", "2024-05-03", ""),
        ("May 3rd, 2024: I went to Giza", "2024-05-03", "I went to Giza"),
        ("3rd of May 2024", "2024-05-03", ""),
        ("Friday, 3 May 2024", "2024-05-03", ""),
        ("Fri, 03 May 2024 14:22:10 +0000", "2024-05-03T14:22:10", ""),
        ("3 May 2024 was a good day", "2024-05-03", "3 May 2024 was a good day"),
        ("2024-05-03 bought milk", "2024-05-03", "bought milk"),
        ("2024-05-03T14:22:10.25+02:00 woke", "2024-05-03T12:22:10.250", "woke"),
        ("2024-05-03T00:30-0100", "2024-05-03T01:30", ""),
        ("[03/05/2024, 14:22:10] Omar: Hi", "2024-05-03T14:22:10", "Omar: Hi"),
        ("\u200e[3/5/24, 2:22:10\u202fPM] Omar: Hi", "2024-05-03T14:22:10", "Omar: Hi"),
        ("03/05/2024, 14:22 - Omar: Hi", "2024-05-03T14:22", "Omar: Hi"),
        ("5/17/24, 12:05 AM - Omar: Hi", "2024-05-17T00:05", "Omar: Hi"),
        ("03.05.2024 – rain", "2024-05-03", "rain"),
        ("٣ مايو ٢٠٢٤", "2024-05-03", ""),
        ("الجمعة، 3 أيار 2024: مطر", "2024-05-03", "مطر"),
        ("3 كانون الثاني 2024", "2024-01-03", ""),
        ("3 تشرين الثاني 2024", "2024-11-03", ""),
        ("[٣\u200f/٥\u200f/٢٠٢٤, ٢:٢٢:١٠ م] عمر: أهلا", "2024-05-03T14:22:10", "عمر: أهلا"),
    ],
)
def test_a_line_that_opens_with_a_date(line, time, rest):
    found = Dates().stamp(line)
    assert (written(found.time), found.time, found.rest) == (written(micro(time)), micro(time), rest)


@pytest.mark.parametrize(
    "line",
    ["", "On 3 May 2024", "May I come?", "May 3 was fine", "2024 was good", "2024-13-01", "30/02/2024",
     "1/2 cup", "10.0.12 is out", "2024-05-031", "192.168.10.1", "14:22 lunch", "3 Mayors 2024",
     "2024-05-03T25:00", "5.5.5"],
)  # fmt: skip
def test_a_line_that_does_not(line):
    assert Dates().stamp(line) is None


def test_what_an_earlier_date_completes():
    reader = Dates()
    reader.stamp("30 December 2024")
    assert written(reader.stamp("14:22 had lunch").time) == "2024-12-30 14:22"
    assert written(reader.stamp("31 December").time) == "2024-12-31"
    assert written(reader.stamp("1 January: a new year").time) == "2025-01-01"
    assert reader.stamp("May 3 was fine") is None


@pytest.mark.parametrize(
    "lines, day_first, ambiguous, first",
    [
        (["03/05/2024", "13/05/2024"], True, False, "2024-05-03"),
        (["03/05/2024", "05/13/2024"], False, False, "2024-03-05"),
        (["03/05/2024", "hello", "04/05/2024"], True, True, "2024-05-03"),
        (["05/05/2024"], True, False, "2024-05-05"),
        (["2024-05-03", "[5/13/24, 9:00 AM] A: b"], False, False, "2024-05-03"),
        (["05/13/2024", "13/05/2024"], False, False, "2024-05-13"),
    ],
)
def test_the_first_date_that_settles_it(lines, day_first, ambiguous, first):
    found = survey(lines)
    assert (found.day_first, found.ambiguous, found.first) == (day_first, ambiguous, micro(first))


def test_no_dates():
    assert survey(["nothing", "1.5 litres"]).first is None


@given(st.dates(date(1000, 1, 1)), st.sampled_from(["%Y-%m-%d", "%d %B %Y", "%B %d, %Y", "%d/%m/%Y"]))
def test_every_day_of_the_calendar(day, form):
    text = day.strftime(form.replace("%Y", f"{day.year:04d}"))
    found = whole(text)
    assert found.time == (day - date(1970, 1, 1)).days * DAY
    assert written(found.time) == f"{day.year:04d}-{day:%m-%d}"


def test_numbers_since_1970():
    second = 1_714_746_130
    for value in (second, second * 10**3, second * 10**6, second * 10**9, float(second)):
        assert of_number(value) == second * 10**6
    assert of_number(second + 0.5) == second * 10**6 + 500_000
    assert [of_number(bad) for bad in (0, 17, 2024, -second, float("nan"), float("inf"), 10**30)] == [
        None
    ] * 7


# ---- sentences ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text, expected",
    [
        ("Dr. Salem came. He left!", ["Dr. Salem came.", "He left!"]),
        ("It costs 3.50 pounds. Cheap.", ["It costs 3.50 pounds.", "Cheap."]),
        (
            "See https://a.org/b.html?c=1. Then e.g. this.",
            ["See https://a.org/b.html?c=1.", "Then e.g. this."],
        ),
        ("J. K. Rowling wrote it. So did I. Yes.", ["J. K. Rowling wrote it.", "So did I.", "Yes."]),
        ("“Where?” she asked. (At home.) Good.", ["“Where?” she asked.", "(At home.)", "Good."]),
        ("He waited... and left.", ["He waited... and left."]),
        ("No. 5 is here. No. I won't.", ["No. 5 is here.", "No. I won't."]),
        ("أنا هنا. أين أنت؟ في البيت!", ["أنا هنا.", "أين أنت؟", "في البيت!"]),
        ("我来了。你呢？好", ["我来了。", "你呢？", "好"]),
        ("  spaces \n and\tlines ", ["spaces and lines"]),
        ("", []),
        (" \n ", []),
    ],
)
def test_sentences(text, expected):
    assert sentences(text) == expected


@given(st.text(alphabet="ab .!?,Dr\n“”。", max_size=300))
def test_sentences_lose_nothing(text):
    assert "".join("".join(sentences(text)).split()) == "".join(text.split())


def test_a_megabyte_without_a_mark():
    pieces = limited("word " * 200_000)
    assert len(pieces) == 200_000 / MOST_WORDS and max(len(one.split()) for one in pieces) == MOST_WORDS
    chopped = limited("x" * 1_000_000)
    assert "".join(chopped) == "x" * 1_000_000 and max(map(len, chopped)) == MOST_CHARACTERS


def test_a_long_sentence_is_cut_after_a_comma():
    text = " ".join(["one"] * 50) + ", " + " ".join(["two"] * 50)
    assert [one.split()[0] for one in limited(text)] == ["one", "two"]
    assert limited(text)[0].endswith("one,")


@pytest.mark.parametrize(
    "text, expected",
    [
        ("**bold** and _it_ and `code`", "bold and it and code"),
        (
            "[Giza](https://a.org) ![a cat](x.png) [[Mary|her]] <https://b.org>",
            "Giza a cat her https://b.org",
        ),
        ("2 * 3 * 4 snake_case_name a_b", "2 * 3 * 4 snake_case_name a_b"),
        ("~~gone~~ *here*", "gone here"),
    ],
)
def test_marks(text, expected):
    assert inline(text) == expected
