"""A person's own texts as events: diaries, notes, chats, lives as they lie on disk; damage by file:line."""

import json
from pathlib import Path

import pytest

from chronos.console import ChronosError
from chronos.data.cairo.writing import write_cairo
from chronos.data.lives import read_events
from chronos.data.notes.dates import HOUR, written
from chronos.data.notes.reading import Reading, day_of, merged, read_notes, sources_of
from chronos.memory.segmentation import SurpriseCutter


@pytest.fixture
def read(tmp_path):
    """`read(name, text, …)` → [(when, text), …] of a file with that content."""

    def reading(name: str, content: str | bytes, **options) -> list[tuple[str, str]]:
        return [(written(one.time_us), one.text) for one in notes(tmp_path, name, content, **options)]

    return reading


def notes(folder: Path, name: str, content: str | bytes, **options):
    file = folder / name
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return list(read_notes(file, Reading(**options)))


def rows(*these: object) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in these)


# ---- diaries and notes -------------------------------------------------------------------------------------

DIARY = """\
---
title: My **diary**
date: 2024-05-01
---
# Diary

Before the first day.

## 2024-05-03

I moved to *Giza*. It is warm, as the [weather
report](https://a.org) said that it would be this morning.
- [ ] buy milk
- call Dr. Salem
> A quote.

### Friday, May 10, 2024 Market
14:22 Lunch with Omar.
| who | what |
|-----|------|
| Mona | tea |
"""


def test_a_diary_in_markdown(read, capsys):
    assert read("diary.md", DIARY) == [
        ("2024-05-01", "Diary"),
        ("2024-05-01", "Before the first day."),
        ("2024-05-03", "I moved to Giza."),
        ("2024-05-03", "It is warm, as the weather report said that it would be this morning."),
        ("2024-05-03", "buy milk"),
        ("2024-05-03", "call Dr. Salem"),
        ("2024-05-03", "A quote."),
        ("2024-05-10", "Friday, May 10, 2024 Market"),
        ("2024-05-10 14:22", "Lunch with Omar."),
        ("2024-05-10 14:22", "who, what"),
        ("2024-05-10 14:22", "Mona, tea"),
    ]
    assert capsys.readouterr().err == ""


def test_where_each_event_stands(tmp_path):
    found = notes(tmp_path, "diary.md", DIARY)
    assert [one.where.removeprefix(f"{tmp_path}/") for one in found[:4]] == [
        "diary.md:5", "diary.md:7", "diary.md:11", "diary.md:11"
    ]  # fmt: skip
    assert {one.source for one in found} == {"user"}


def test_a_text_before_the_first_date_has_that_date(read):
    assert read("a.txt", "Hello.\n\n3 May 2024\nI am here.\n") == [
        ("2024-05-03", "Hello."), ("2024-05-03", "I am here.")
    ]  # fmt: skip


def test_the_name_of_a_file_can_be_its_date(read):
    assert read("2024-05-03 Friday.md", "I am here.\n\n14:00 Tea.") == [
        ("2024-05-03", "I am here."), ("2024-05-03 14:00", "Tea.")
    ]  # fmt: skip


def test_a_text_without_dates_counts_hours_and_says_so(read, capsys):
    text = "One. Two.\nThree"
    assert read("a.txt", text) == [
        ("1970-01-01", "One."), ("1970-01-01 01:00", "Two."), ("1970-01-01 02:00", "Three")
    ]  # fmt: skip
    assert capsys.readouterr().err.count("no dates in it") == 1
    assert read("a.txt", text, date=day_of("3 May 2024"))[1] == ("2024-05-03 01:00", "Two.")
    assert capsys.readouterr().err == ""
    read("a.txt", "2024-05-03: here", date=0)
    assert "--date has no effect" in capsys.readouterr().err


def test_wrapped_lines_are_joined_and_short_ones_are_not(read):
    text = "It was the best of times, it was the worst of well-\nknown times.\nmilk\neggs\n"
    assert [said for _, said in read("a.txt", text)] == [
        "It was the best of times, it was the worst of well-known times.", "milk", "eggs"
    ]  # fmt: skip


def test_a_megabyte_on_one_line_is_cut_and_told(read, capsys):
    found = read("a.txt", "2024-05-03\n" + "word " * 200_000)
    assert len(found) == 3125 and {when for when, _ in found} == {"2024-05-03"}
    assert "a.txt:2: a line of 999,999 characters is cut into 3,125 events" in capsys.readouterr().err
    assert "".join(text for _, text in read("b.txt", "2024-05-03\n" + "x" * 1_000_000)) == "x" * 1_000_000


def test_text_without_marks_is_cut_by_surprise(read):
    text = "so we went to the market and then we went to the river and then we went home " * 20
    found = read("a.txt", text, cutter=SurpriseCutter)
    assert " ".join(said for _, said in found) == text.strip()
    assert len(found) > 10 and max(len(said.split()) for _, said in found) <= 24


# ---- chats -------------------------------------------------------------------------------------------------

CHAT = """\
[13/05/2024, 14:22:10] Omar: I moved to Giza. Come and see me!
[13/05/2024, 14:23:00] Mona Adel: When?
Tomorrow?
\u200e[14/05/2024, 09:00:00] Omar: image omitted
[14/05/2024, 09:01:00] The code changed.
"""


def test_a_chat_export(read):
    assert read("chat.txt", CHAT) == [
        ("2024-05-13 14:22:10", "Omar: I moved to Giza."),
        ("2024-05-13 14:22:10", "Omar: Come and see me!"),
        ("2024-05-13 14:23", "Mona Adel: When?"),
        ("2024-05-13 14:23", "Mona Adel: Tomorrow?"),
        ("2024-05-14 09:00", "Omar: image omitted"),
        ("2024-05-14 09:01", "The code changed."),
    ]


def test_the_order_of_day_and_month_is_decided_for_the_file_and_said_once(read, capsys):
    line = "{}, 14:22 - Omar: Hi\n"
    assert read("a.txt", line.format("5/3/24") + line.format("5/13/24"))[0][0] == "2024-05-03 14:22"
    assert capsys.readouterr().err == ""
    assert read("b.txt", line.format("5/3/24") + line.format("6/3/24"))[1][0] == "2024-03-06 14:22"
    assert capsys.readouterr().err.count("not certain which number is the day") == 1


@pytest.mark.parametrize(
    "row, expected",
    [
        ({"role": "user", "content": "Hi there. I am Ali.", "timestamp": 1714746130},
         [("user", "Hi there."), ("user", "I am Ali.")]),
        ({"role": "assistant", "content": "Hello!", "timestamp": "2024-05-03T14:22:10Z"},
         [("unknown", "assistant: Hello!")]),
        ({"sender": "Omar", "message": "Hi. Bye.", "date": "3 May 2024 14:22:10"},
         [("user", "Omar: Hi."), ("user", "Omar: Bye.")]),
        ({"From": "Omar", "Text": ["Hi ", {"type": "bold", "text": "you"}], "Date": "2024-05-03T14:22:10"},
         [("user", "Omar: Hi you")]),
        ({"sender_name": "Omar", "content": "Hi", "timestamp_ms": 1714746130000}, [("user", "Omar: Hi")]),
        ({"author": {"role": "user"}, "content": "Hi", "create_time": 1714746130.0}, [("user", "Hi")]),
        ({"messages": [{"role": "user", "content": "Hi"}], "date": "2024-05-03 14:22:10"}, [("user", "Hi")]),
        ({"text": "One.\nTwo", "time": "1714746130"}, [("user", "One."), ("user", "Two")]),
    ],
)  # fmt: skip
def test_rows_of_chats(tmp_path, row, expected):
    found = notes(tmp_path, "a.jsonl", rows(row))
    assert [(one.source, one.text) for one in found] == expected
    assert {written(one.time_us) for one in found} == {"2024-05-03 14:22:10"}


def test_rows_without_dates_count_hours(read, capsys):
    assert read("a.jsonl", rows({"text": "One. Two."}, {"text": "Three."}))[2] == (
        "1970-01-01 02:00",
        "Three.",
    )
    assert "no dates in it" in capsys.readouterr().err


# ---- lives -------------------------------------------------------------------------------------------------


def test_a_life_of_cairo(tmp_path):
    write_cairo(tmp_path / "life", 120, 3, first=50)
    events = list(read_events(tmp_path / "life"))
    found = list(read_notes(tmp_path / "life" / "life.jsonl"))
    assert [one.text for one in found] == [event.text for event in events]
    assert all(written(one.time_us)[:10] == event.date for one, event in zip(found, events))
    origin = {one.time_us - (event.t - 1) * HOUR for one, event in zip(found, events)}
    assert len(origin) == 1


def test_a_life_without_dates(read):
    life = rows(
        {"t": 1, "text": "I am here. It is warm."}, {"t": 26, "text": "Tea."}, {"t": 26, "text": "Rain."}
    )
    assert read("life.jsonl", life) == [
        ("1970-01-01", "I am here. It is warm."), ("1970-01-02 01:00", "Tea."), ("1970-01-02 01:00", "Rain.")
    ]  # fmt: skip
    assert read("life.jsonl", life, date=day_of("2024-05-03"))[1][0] == "2024-05-04 01:00"


# ---- order -------------------------------------------------------------------------------------------------

BACKWARDS = "## 2024-05-03\nOne.\n\nTwo.\n## 2024-05-01\nThree.\n"


def test_time_that_runs_backwards_is_one_line_or_sorted(tmp_path, read):
    with pytest.raises(
        ChronosError, match=r"a\.md:6: time runs backwards, expected 2024-05-03 or later, got"
    ):
        read("a.md", BACKWARDS)
    assert [said for _, said in read("a.md", BACKWARDS, sort=True)] == ["Three.", "One.", "Two."]
    with pytest.raises(ChronosError, match="time runs backwards"):
        read("life.jsonl", rows({"t": 2, "text": "a"}, {"t": 1, "text": "b"}))


def test_several_texts_as_one_life(tmp_path):
    (tmp_path / "a.txt").write_text("2024-05-01: One.\n2024-05-03: Three.\n")
    (tmp_path / "b.txt").write_text("2024-05-02: Two.\n2024-05-03: Four.\n")
    found = merged(sources_of(tmp_path), Reading(sort=True))
    assert [one.text for one in found] == ["One.", "Two.", "Three.", "Four."]


# ---- what cannot be read -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name, content, told",
    [
        ("a.md", "", r"a\.md: there is no event in it"),
        ("a.txt", "\n \n", r"a\.txt: there is no event in it"),
        ("a.jsonl", "", r"a\.jsonl: there is no event in it"),
        ("a.txt", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", r"a\.txt: binary data, no text"),
        ("a.txt", b"text\n" * 5000 + b"a\0b\n", r"a\.txt:5001: binary data"),
        ("a.md", b"one\ncaf\xe9\n", r"a\.md:2: byte 0xe9 is not UTF-8"),
        ("a.jsonl", '{"text": "a"}\n{"text": \n', r"a\.jsonl:2: damaged JSON"),
        ("a.jsonl", "[1]\n", r"a\.jsonl:1: a row must be an object"),
        ("a.jsonl", '{"id": 3}\n', r"a\.jsonl:1: unknown kind of row, expected text; .*, got id"),
        ("a.jsonl", '{"text": "a", "date": "soon"}\n', r"a\.jsonl:1: this is no date, .*, got 'soon'"),
        ("a.jsonl", '{"text": "a", "date": 17}\n', r"a\.jsonl:1: this is no date"),
        ("a.jsonl", '{"text": "\\ud800"}\n', r"a\.jsonl:1: lone surrogate"),
        ("a.jsonl", '{"messages": [3]}\n', r"a\.jsonl:1: a message must be an object"),
        ("life.jsonl", '{"t": 1}\n', r"life\.jsonl:1: field 'text' must be"),
        ("life.jsonl",
         '{"t": 1, "text": "a", "date": "2024-05-03"}\n{"t": 30, "text": "b", "date": "2024-05-03"}\n',
         r"life\.jsonl: t = 30: date and t do not agree, expected 2024-05-04, got 2024-05-03"),
        ("life.jsonl", '{"t": 1, "text": "a"}\n{"t": 1, "text": "b", "life": 1}\n', "more than one life"),
        ("life.jsonl", '{"t": 9007199254740992, "text": "a"}\n', "a time beyond the calendar"),
    ],
)  # fmt: skip
def test_what_cannot_be_read(tmp_path, name, content, told):
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ChronosError, match=told) as caught:
        list(read_notes(sources_of(tmp_path / name)[0]))
    assert "\n" not in str(caught.value)


def test_damage_can_be_left_out(tmp_path, capsys):
    content = rows({"text": "One."}, {"id": 3}) + "{\n" + rows({"text": "Two."})
    assert [one.text for one in notes(tmp_path, "a.jsonl", content, on_damage="skip")] == ["One.", "Two."]
    assert "skipped 2 damaged (the first: " in capsys.readouterr().err
    assert [one.text for one in notes(tmp_path, "a.txt", b"One.\n\xff\nTwo.", on_damage="skip")] == [
        "One.",
        "Two.",
    ]


def test_rows_without_text_are_counted(tmp_path, capsys):
    assert len(notes(tmp_path, "a.jsonl", rows({"text": " ", "date": "2024-05-03"}, {"text": "One."}))) == 1
    assert "left out 1 without text" in capsys.readouterr().err


def test_a_second_reading_is_quiet(tmp_path, capsys):
    notes(tmp_path, "a.txt", "One.", quiet=True)
    assert capsys.readouterr().err == ""


# ---- which files -------------------------------------------------------------------------------------------


def test_the_files_of_a_folder(tmp_path, capsys):
    for name in ("b.md", "a/2.txt", "a/1.jsonl", ".hidden.md", ".git/x.md", "picture.png"):
        (tmp_path / "n" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "n" / name).write_text("One.")
    found = sources_of(tmp_path / "n")
    names = [f"n/{name}" for name in ("b.md", "a/1.jsonl", "a/2.txt")]
    assert [one.name for one in found] == names
    assert "1 other files are passed over (the first: picture.png)" in capsys.readouterr().err
    assert sources_of(tmp_path / "n" / "a" / "2.txt")[0].name == "a/2.txt"


@pytest.mark.parametrize("name, told", [("none.md", "no such file"), ("a.docx", "unknown kind of file")])
def test_paths_that_are_refused(tmp_path, name, told):
    (tmp_path / "a.docx").write_text("x")
    with pytest.raises(ChronosError, match=told):
        sources_of(tmp_path / name)


def test_a_folder_without_texts(tmp_path):
    with pytest.raises(ChronosError, match="no text in this folder"):
        sources_of(tmp_path)


def test_a_day():
    assert written(day_of("3 May 2024")) == "2024-05-03"
    for bad in ("soon", "2024-05-03 14:00", ""):
        with pytest.raises(ChronosError, match="this is no day"):
            day_of(bad)
