"""Reading a person's text: encodings, files of every kind, and every kind of damage told as one line."""

import gzip
import json
import lzma
import os
import sys
import zipfile

import pytest

from chronos.console import ChronosError
from chronos.data import blocks, decoding
from chronos.data.decoding import DamageError
from chronos.data.documents import read_documents
from chronos.data.rows import parse_json


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


@pytest.mark.parametrize("block", [300, 8 << 20])
def test_an_endless_line_is_damage_and_is_never_held(tmp_path, monkeypatch, capsys, block):
    monkeypatch.setattr(decoding, "LINE_LIMIT", 1000)
    monkeypatch.setattr(blocks, "BLOCK", block)
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


def test_json_test_suite_text_by_text(shared):
    """283 texts: the valid ones parse, each invalid one is refused with file:line."""
    accepted = rejected = 0
    for file in sorted((shared / "data" / "badinput").iterdir()):
        try:
            parse_json(decoding.decode(file.read_bytes(), file.name), file.name)
        except DamageError as error:
            assert file.name.startswith("n_") and str(error).startswith(f"{file.name}:"), error
            rejected += 1
        else:
            assert file.name.startswith("y_"), file.name
            accepted += 1
    assert (accepted, rejected) == (95, 188)


def test_json_test_suite_as_lines_of_a_file(shared, tmp_path):
    """Each text that is one line, in a .jsonl: damage and what is no row are told by file:line."""
    suite = sorted((shared / "data" / "badinput").iterdir())
    suite = [file for file in suite if b"\n" not in file.read_bytes().strip(b" \t\r\n")]
    rows = tmp_path / "rows.jsonl"
    seen = {"y_": 0, "n_": 0}
    for file in suite:
        text = file.read_bytes().strip(b" \t\r\n")
        rows.write_bytes(b'{"text": "before"}\n' + text + b'\n{"text": "after"}\n')
        if not text:  # a blank line is no text, neither good nor bad
            assert texts(rows) == ["before", "after"]
            continue
        said = refusal(rows)
        assert said.startswith(f"{rows}:2: "), (file.name, said)
        as_a_row = any(f"{rows}:2: {what}" in said for what in ("a row must be", "unknown kind of row"))
        assert as_a_row == file.name.startswith("y_"), (file.name, said)
        assert texts(rows, on_damage="skip") == ["before", "after"]
        seen[file.name[:2]] += 1
    assert seen["y_"] > 85 and seen["n_"] > 170


def test_a_large_plain_text_comes_in_pieces(tmp_path, monkeypatch):
    monkeypatch.setattr(blocks, "WHOLE", 1000)
    monkeypatch.setattr(blocks, "BLOCK", 300)
    text = "".join(f"Zeile {i} — ünï 🐈\r\n" for i in range(200))
    for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-32"):
        (tmp_path / "a.txt").write_bytes(text.encode(encoding))
        found = texts(tmp_path / "a.txt")
        assert len(found) > 10 and "".join(found) == text.replace("\r\n", "\n")
    (tmp_path / "a.txt").write_bytes("🐈".encode() * 2000)  # one line, of which no character is torn
    assert "".join(texts(tmp_path / "a.txt")) == "🐈" * 2000


def test_damage_in_a_large_plain_text_is_named_by_line(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(blocks, "WHOLE", 1000)
    monkeypatch.setattr(blocks, "BLOCK", 300)
    lines = [f"line {i:04}\n".encode() for i in range(1, 401)]
    lines[299] = b"caf\xe9\n"
    file = tmp_path / "a.txt"
    file.write_bytes(b"".join(lines))
    assert refusal(file).startswith(f"{file}:300: byte 0xe9 is not UTF-8")
    kept = "".join(texts(file, on_damage="skip"))
    assert 3000 < len(kept) < 4000 and "line 0250" in kept and "line 0400" in kept
    assert f"{file}:300" in capsys.readouterr().err


def test_damage_in_utf_16_rows_ends_the_file(tmp_path, capsys):
    file = tmp_path / "a.jsonl"
    row = json.dumps({"text": "one" * 100_000}).encode("utf-16-le") + b"\n\0"
    file.write_bytes(b"\xff\xfe" + row * 3 + b"\x00\xd8a\x00" + row)
    assert refusal(file).startswith(f"{file}:4: byte 0x00 is not UTF-16-LE")
    (tmp_path / "b.jsonl").write_text('{"text": "two"}')
    assert texts(tmp_path, on_damage="skip")[-1] == "two"


def test_packed_files_are_read(tmp_path):
    rows = b'{"text": "one"}\n{"text": "two"}\n'
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(rows))
    (tmp_path / "b.txt.xz").write_bytes(lzma.compress(b"plain"))
    (tmp_path / "c.csv.gz").write_bytes(gzip.compress(b"not read"))
    with zipfile.ZipFile(tmp_path / "d.zip", "w") as bundle:
        bundle.writestr("x.json", '[{"text": "three"}]')
        bundle.writestr("y.md", "four")
    found = [(d.text, d.source.removeprefix(str(tmp_path)), d.plain) for d in read_documents(tmp_path)]
    assert found == [
        ("one", "/a.jsonl.gz:1", False),
        ("two", "/a.jsonl.gz:2", False),
        ("plain", "/b.txt.xz", True),
        ("three", "/d.zip:x.json:1", False),
        ("four", "/d.zip:y.md", True),
    ]
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(rows)[:-9])
    assert "a.jsonl.gz" in refusal(tmp_path / "a.jsonl.gz")
    assert texts(tmp_path, on_damage="skip")[-1] == "four"


def test_a_large_packed_text_is_split_by_position(tmp_path, monkeypatch):
    monkeypatch.setattr(blocks, "WHOLE", 1000)
    monkeypatch.setattr(blocks, "BLOCK", 300)
    text = "".join(f"line {i}\n" for i in range(1000)).encode()
    with zipfile.ZipFile(tmp_path / "d.zip", "w") as bundle:
        bundle.writestr("x.txt", "small")
        bundle.writestr("y.txt", text)
    (tmp_path / "y.txt.gz").write_bytes(gzip.compress(text))
    (tmp_path / "y.txt").write_bytes(text)
    sides = []
    for name in ("d.zip", "y.txt.gz", "y.txt"):
        pieces = [piece for piece in blocks.pieces_of(tmp_path / name, 0.2) if piece.encoded]
        assert b"".join(piece.data for piece in pieces) == text
        val = b"".join(piece.data for piece in pieces if piece.side == "val")
        assert 0.19 * len(text) < len(val) < 0.2 * len(text) and val.startswith(b"line")
        sides.append([(piece.data, piece.line, piece.side) for piece in pieces])
    assert sides[0] == sides[1] == sides[2]


def test_what_a_folder_says_of_itself_is_no_text(tmp_path):
    """A folder that was fetched or prepared is a source like any other."""
    row = {"text": "one", "title": "t", "url": "u", "licence": "l"}
    (tmp_path / "books-00000.jsonl").write_text(json.dumps(row) + "\n")
    for name in ("manifest.json", "stats.json"):
        (tmp_path / name).write_text('{"version": 1}')
    assert [document.text for document in read_documents(tmp_path)] == ["one"]
