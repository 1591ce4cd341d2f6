"""Reading a person's text: encodings, row kinds, and every kind of damage told as one line."""

import json
import os
import sys

import pytest

from chronos.console import ChronosError
from chronos.data import decoding
from chronos.data.decoding import DamageError
from chronos.data.documents import read_documents
from chronos.data.rows import parse_json, render


def texts(path, **options):
    return [document.text for document in read_documents(path, **options)]


def jsonl(path, *rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def refusal(path, **options):
    with pytest.raises(ChronosError) as caught:
        texts(path, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"]
)
def test_marks_decide_the_encoding(tmp_path, encoding):
    mark = "" if encoding in ("utf-8", "utf-8-sig", "utf-16") else "\ufeff"
    (tmp_path / "a.txt").write_bytes((mark + "naïve\n猫 🐈\n").encode(encoding))
    (tmp_path / "b.jsonl").write_bytes((mark + '{"text": "ÿ猫"}\n\n{"text": "b"}').encode(encoding))
    (tmp_path / "c.json").write_bytes((mark + '[{"text": "c\\u732b"}]').encode(encoding))
    assert texts(tmp_path) == ["naïve\n猫 🐈\n", "ÿ猫", "b", "c猫"]


def test_line_ends_and_control_characters(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"one\r\ntwo\rthree\x00\x07\x0b\x1b[0m\tend\x7f\xc2\x85\n")
    assert texts(tmp_path / "a.txt") == ["one\ntwo\nthree[0m\tend\n"]
    jsonl(tmp_path / "b.jsonl", {"text": "x\r\ny\u0000z"})
    assert texts(tmp_path / "b.jsonl") == ["x\nyz"]


def test_damaged_byte_is_named_by_file_and_line(tmp_path):
    file = tmp_path / "latin.txt"
    file.write_bytes(b"one\ntwo\ncaf\xe9 three\n")
    assert f"{file}:3: byte 0xe9 is not UTF-8" in refusal(file)
    file.write_bytes(b"\xff\xfe" + "one\ntwo\n".encode("utf-16-le") + b"\x00\xd8a\x00")
    assert f"{file}:3: byte 0x00 is not UTF-16-LE" in refusal(file)
    rows = tmp_path / "latin.jsonl"
    rows.write_bytes(b'{"text": "a"}\n{"text": "caf\xe9"}\n')
    assert f"{rows}:2: byte 0xe9" in refusal(rows)


def test_sources_name_file_and_line(tmp_path):
    jsonl(tmp_path / "b.jsonl", {"text": "one"}, {"text": "two"})
    (tmp_path / "c.json").write_text('[\n {"text": "x, ]"},\n\n {"text":\n "y"}, {"text": "z"}]')
    (tmp_path / "d.json").write_text('{"data":\n [{"text": "p"},\n {"text": "q"}]}')
    (tmp_path / "e.json").write_text('\n{"text": "single"}')
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "A.MD").write_text("# plain")
    found = [(document.text, document.source, document.plain) for document in read_documents(tmp_path)]
    assert found == [
        ("one", f"{tmp_path / 'b.jsonl'}:1", False),
        ("two", f"{tmp_path / 'b.jsonl'}:2", False),
        ("x, ]", f"{tmp_path / 'c.json'}:2", False),
        ("y", f"{tmp_path / 'c.json'}:4", False),
        ("z", f"{tmp_path / 'c.json'}:5", False),
        ("p", f"{tmp_path / 'd.json'}:2", False),
        ("q", f"{tmp_path / 'd.json'}:3", False),
        ("single", f"{tmp_path / 'e.json'}:1", False),
        ("# plain", str(tmp_path / "sub" / "A.MD"), True),
    ]


KAYLA = {"Instruction": "Hi", "feelings": "{Calm:0.9}", "thought-process": "Greet.", "output": "Hello"}
CHAT = [
    {"role": "system", "content": "Be kind."},
    {"role": "user", "content": "Hi"},
    {"role": "assistant", "content": "Hello"},
    {"role": "user", "content": "Bye"},
    {"role": "assistant", "content": "See you"},
]


@pytest.mark.parametrize(
    ("row", "text"),
    [
        ({"text": " as it is ", "meta": 3}, " as it is "),
        (
            {"instruction": "Add", "input": "1 2", "output": "3"},
            "### Instruction:\nAdd\n\n### Input:\n1 2\n\n### Response:\n3",
        ),
        ({"instruction": "Add", "input": "", "response": "3"}, "### Instruction:\nAdd\n\n### Response:\n3"),
        (
            KAYLA,
            "### Instruction:\nHi\n\n### Feelings:\n{Calm:0.9}\n\n### Thought Process:\nGreet.\n\n"
            "### Response:\nHello",
        ),
        (
            {**KAYLA, "feelings": None},
            "### Instruction:\nHi\n\n### Thought Process:\nGreet.\n\n### Response:\nHello",
        ),
        (
            {"messages": CHAT},
            "### Instruction:\nBe kind.\n\nHi\n\n### Response:\nHello\n\n"
            "### Instruction:\nBye\n\n### Response:\nSee you",
        ),
    ],
)
def test_row_layouts(row, text):
    assert render(row, "x:1") == text


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
    ],
)
def test_rows_that_are_refused(row, says):
    with pytest.raises(DamageError) as caught:
        render(row, "rows.jsonl:7")
    assert str(caught.value).startswith("rows.jsonl:7: ") and says in str(caught.value)


@pytest.mark.parametrize(
    "line",
    [
        '{"text": NaN}',
        '{"text": -Infinity}',
        '{"text": "a"',
        "[" * 100_000,
        '{"n": ' + "9" * 5000 + "}",
        '{"text": "a\nb"}',
    ],
)
def test_damaged_json_is_one_line_with_its_place(line):
    with pytest.raises(DamageError) as caught:
        parse_json(line, "rows.jsonl", 41)
    assert str(caught.value).startswith(("rows.jsonl:41: damaged JSON", "rows.jsonl:42: damaged JSON"))
    assert len(str(caught.value)) < 150


def test_damage_fails_or_is_counted(tmp_path, capsys):
    file = tmp_path / "rows.jsonl"
    file.write_bytes(
        b'{"text": "a"}\n{"text": oops}\n\n{"text": "caf\xe9"}\n[1]\n{"text": " "}\n{"text": "b"}\n'
    )
    assert f"{file}:2: damaged JSON" in refusal(file)
    assert capsys.readouterr().err == ""
    assert texts(file, on_damage="skip") == ["a", "b"]
    warnings = capsys.readouterr().err.splitlines()
    assert len(warnings) == 2
    assert "skipped 3 damaged" in warnings[0] and f"{file}:2: damaged JSON" in warnings[0]
    assert "left out 1 without text" in warnings[1]
    with pytest.raises(ChronosError):
        texts(file, on_damage="ignore")


def test_damaged_files_of_a_folder_can_be_skipped(tmp_path, capsys):
    (tmp_path / "a.txt").write_bytes(b"\xff broken")
    (tmp_path / "b.json").write_text("[1, 2")
    (tmp_path / "c.md").write_text("whole")
    assert texts(tmp_path, on_damage="skip") == ["whole"]
    assert "skipped 2 damaged" in capsys.readouterr().err


def test_an_endless_line_is_damage_and_is_never_held(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(decoding, "LINE_LIMIT", 1000)
    file = tmp_path / "rows.jsonl"
    long = '{"text": "' + "x" * 4_000_000 + '"}\n'
    file.write_text('{"text": "a"}\n' + long + '{"text": "b"}\n')
    assert f"{file}:2: line longer than 1000 bytes" in refusal(file)
    found = [(document.text, document.source) for document in read_documents(file, on_damage="skip")]
    assert found == [("a", f"{file}:1"), ("b", f"{file}:3")]
    assert "skipped 1 damaged" in capsys.readouterr().err


def test_jsonl_is_streamed(tmp_path):
    file = jsonl(tmp_path / "rows.jsonl", {"text": "first"})
    with open(file, "a") as out:
        out.write("broken\n")
    documents = read_documents(file)
    assert next(documents).text == "first"
    with pytest.raises(DamageError):
        next(documents)


def test_nothing_to_read(tmp_path):
    (tmp_path / "empty.txt").write_bytes(b"")
    (tmp_path / "blank.jsonl").write_bytes(b"\n\n")
    (tmp_path / "list.json").write_bytes(b"[]")
    (tmp_path / "folder").mkdir()
    for name in ("empty.txt", "blank.jsonl", "list.json"):
        assert "no text in it" in refusal(tmp_path / name)
    assert "no text in it" in refusal(tmp_path)
    assert "no file in this folder can be read" in refusal(tmp_path / "folder")
    assert "no such file" in refusal(tmp_path / "missing.txt")
    (tmp_path / "x.pdf").write_bytes(b"%PDF")
    assert "unknown kind of file" in refusal(tmp_path / "x.pdf")
    assert "cannot be opened" in refusal("nul\0byte.txt")


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX files")
def test_what_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "pipe.txt")
    assert "named pipe" in refusal(tmp_path / "pipe.txt")
    assert "named pipe" in refusal(tmp_path)
    (tmp_path / "pipe.txt").unlink()
    assert "device" in refusal("/dev/null")
    (tmp_path / "a.txt").symlink_to(tmp_path / "b.txt")
    assert "points nowhere" in refusal(tmp_path)
    (tmp_path / "b.txt").symlink_to(tmp_path / "a.txt")
    assert "cannot be opened" in refusal(tmp_path / "a.txt")


@pytest.mark.skipif(sys.platform == "win32", reason="needs symbolic links")
def test_a_loop_of_folders_is_told_and_a_link_is_followed(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a.txt").write_text("text")
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden" / "b.txt").write_text("not read")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert texts(tmp_path) == ["text", "text"]
    (tmp_path / "real" / "back").symlink_to(tmp_path)
    assert "leads back to a folder around it" in refusal(tmp_path)


def test_json_test_suite_line_by_line(shared, tmp_path):
    """283 texts: the valid ones parse, each invalid one is refused with file:line."""
    accepted = rejected = 0
    for file in sorted((shared / "data" / "badinput").iterdir()):
        place = rf"{file.name}:1"
        try:
            parse_json(decoding.decode(file.read_bytes(), file.name), file.name)
        except DamageError as error:
            assert file.name.startswith("n_") and str(error).startswith(place[:-1]), error
            rejected += 1
        else:
            assert file.name.startswith("y_"), file.name
            accepted += 1
    assert (accepted, rejected) == (95, 188)
