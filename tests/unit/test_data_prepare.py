"""Preparing a corpus: the split, its numbers, and that failure leaves everything as it was."""

import argparse
import hashlib
import json
import sys

import pytest

from chronos.console import ChronosError
from chronos.data import blocks, commands
from chronos.data.cleaning import Cleaning
from chronos.data.corpus import prepare as making
from chronos.data.corpus.config import Options
from chronos.data.corpus.prepare import prepare
from chronos.data.corpus.records import cut
from chronos.settings import build, dump


def rows(path):
    return [json.loads(line)["text"] for line in path.read_text(encoding="utf-8").split("\n")[:-1]]


def split(folder):
    return rows(folder / "train.jsonl"), rows(folder / "val.jsonl")


def write_rows(path, texts):
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    return path


def test_plain_text_is_split_by_position(tmp_path):
    text = "".join(f"Ligne nº {i} — ünï\u2028🐈\n" for i in range(500))
    (tmp_path / "book.txt").write_text(text, encoding="utf-8")
    stats = prepare(tmp_path / "book.txt", tmp_path / "out")
    (train,), (val,) = split(tmp_path / "out")
    assert train + val == text
    assert len(train) == int(0.9 * len(text))
    assert stats["characters"] == len(text) and stats["bytes"] == len(text.encode())
    assert stats["documents"] == 2 and stats["train"]["documents"] == 1


def test_each_plain_file_of_a_folder_is_split(tmp_path):
    source = tmp_path / "in"
    source.mkdir()
    for name in "abc":
        (source / f"{name}.md").write_text(name * 100)
    (source / "d.txt").write_text("short")
    train, val = split_of(source, tmp_path / "out")
    assert train == ["a" * 90, "b" * 90, "c" * 90, "shor"]
    assert val == ["a" * 10, "b" * 10, "c" * 10, "t"]
    (source / "d.txt").write_text("x")
    train, val = split_of(source, tmp_path / "out")
    assert train[3:] == ["x"] and len(val) == 3


def split_of(source, out, **options):
    prepare(source, out, **options)
    return split(out)


def test_rows_are_split_by_hash_so_equal_rows_stay_together(tmp_path):
    texts = [f"row {i % 700}" for i in range(2100)]
    train, val = split_of(write_rows(tmp_path / "rows.jsonl", texts), tmp_path / "out")
    assert not set(train) & set(val)
    assert sorted(train + val) == sorted(texts)
    assert 0.06 < len(val) / len(texts) < 0.14
    assert [text for text in texts if text in set(val)] == val  # the order is kept
    shuffled = write_rows(tmp_path / "again.jsonl", texts[::-1])
    assert set(split_of(shuffled, tmp_path / "out2")[1]) == set(val)
    assert set(split_of(shuffled, tmp_path / "out3", seed=1)[1]) != set(val)


@pytest.mark.parametrize("fraction", [0.0001, 0.5, 0.9999])
@pytest.mark.parametrize("n", [2, 3, 5])
def test_few_rows_still_fall_on_both_sides(tmp_path, n, fraction):
    texts = [f"row {i}" for i in range(n)] + ["row 0"]
    train, val = split_of(write_rows(tmp_path / "r.jsonl", texts), tmp_path / "out", val_fraction=fraction)
    assert train and val and not set(train) & set(val)
    assert sorted(train + val) == sorted(texts)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "stats.json",
        "train.jsonl",
        "val.jsonl",
    ]


def test_statistics_are_true_and_bytes_repeat(tmp_path):
    stats = prepare("stories", tmp_path / "a", seed=3, stories_count=300)
    again = prepare("stories", tmp_path / "b", seed=3, stories_count=300)
    assert stats == again == json.loads((tmp_path / "a" / "stats.json").read_text())
    assert stats["source"] == {"kind": "stories", "count": 300} and stats["seed"] == 3
    for side in ("train", "val"):
        data = (tmp_path / "a" / f"{side}.jsonl").read_bytes()
        assert hashlib.sha256(data).hexdigest() == stats[side]["sha256"]
        texts = rows(tmp_path / "a" / f"{side}.jsonl")
        assert stats[side]["documents"] == len(texts)
        assert stats[side]["characters"] == sum(map(len, texts))
    assert stats["documents"] == 300 == stats["train"]["documents"] + stats["val"]["documents"]
    assert prepare("stories", tmp_path / "b", seed=4, stories_count=300)["train"] != stats["train"]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("one.txt", "x", "too short to be split"),
        ("blank-end.txt", "x" + " " * 50, "too short to be split"),
        ("one.jsonl", '{"text": "only"}\n{"text": "only"}\n', "too short to be split"),
        ("empty.txt", "", "no text in it"),
        ("bad.jsonl", '{"text": "a"}\n{"text": \n', "bad.jsonl:2: damaged JSON"),
    ],
)
def test_failure_leaves_everything_as_it_was(tmp_path, name, content, says):
    out = tmp_path / "out"
    prepare("stories", out, stories_count=20)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    (tmp_path / name).write_text(content)
    with pytest.raises(ChronosError, match=says):
        prepare(tmp_path / name, out)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["out", name])


@pytest.mark.parametrize("options", [{"val_fraction": 0}, {"val_fraction": 1.5}, {"stories_count": 0}])
def test_absurd_settings_are_refused(tmp_path, options):
    with pytest.raises(ChronosError):
        prepare("stories", tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_long_texts_are_cut_at_line_ends():
    text = "a\nbb\nccc\ndddd" * 7
    for size in (1, 3, 10, 1000):
        parts = list(cut(text, size))
        assert "".join(parts) == text and max(map(len, parts)) <= size
    assert list(cut("ab\ncd\nef", 4)) == ["ab\n", "cd\n", "ef"]


# SHA-256 (first 16 digits) of train.jsonl and val.jsonl: these bytes are for ever.
GOLDEN = {
    "stories": ("730fb305727edfc8", "a4e518a77394bb8d"),
    "mixed": ("f0fbd45e795890b0", "c9fc9acb3fe3495d"),
}


def digests(out):
    return tuple(hashlib.sha256((out / f"{s}.jsonl").read_bytes()).hexdigest()[:16] for s in ("train", "val"))


def mixed_folder(path):
    path.mkdir()
    plain = "".join(f"Ligne nº {i} — ünï\u2028🐈\r\n" for i in range(500))
    (path / "a.txt").write_text(plain, encoding="utf-8", newline="")
    lines = "".join(json.dumps({"text": f"row {i % 70} \r\n x\x07y"}) + "\n" for i in range(300))
    (path / "b.jsonl").write_text(lines)
    (path / "c.json").write_text(json.dumps([{"text": f"item {i} é"} for i in range(40)]))
    return path


def test_the_bytes_of_the_defaults_never_change(tmp_path):
    prepare("stories", tmp_path / "a")
    assert digests(tmp_path / "a") == GOLDEN["stories"]
    stats = prepare(mixed_folder(tmp_path / "in"), tmp_path / "b")
    assert digests(tmp_path / "b") == GOLDEN["mixed"]
    assert stats["train"]["file_bytes"] == (tmp_path / "b" / "train.jsonl").stat().st_size
    assert stats["duplicates"] == {"dedupe": "none", "exact": 230} and "options" not in stats


KAYLA = {"Instruction": "Where is {}?", "thought-process": "It is there.", "output": "There."}


def all_options():
    return Options(cleaning=Cleaning(unicode="NFKC"), dedupe="near", filters=("c4-braces",), report=True)


@pytest.mark.parametrize("options", [Options(), all_options()], ids=["default", "all"])
def test_blocks_and_workers_change_nothing(tmp_path, monkeypatch, options):
    monkeypatch.setitem(sys.modules, "matplotlib", None)  # the picture has a test of its own
    folder = mixed_folder(tmp_path / "in")
    rows = "".join(
        json.dumps({**KAYLA, "Instruction": f"Where is {i % 50}? " * 9}) + "\n" for i in range(200)
    )
    (folder / "d.jsonl").write_text(rows)
    whole = prepare(folder, tmp_path / "whole", options=options)
    monkeypatch.setattr(blocks, "BLOCK", 9000)
    parts = prepare(folder, tmp_path / "parts", options=options)
    workers = prepare(folder, tmp_path / "workers", options=options, num_workers=2)
    assert whole == parts == workers
    assert digests(tmp_path / "whole") == digests(tmp_path / "parts") == digests(tmp_path / "workers")
    names = [sorted(path.name for path in (tmp_path / out).iterdir()) for out in ("whole", "workers")]
    assert names[0] == names[1]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "parts", "whole", "workers"]


def test_marks_reach_the_rows_and_are_read_back(tmp_path):
    rows = [{**KAYLA, "Instruction": f"Where is {i}?"} for i in range(50)]
    (tmp_path / "k.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    prepare(tmp_path / "k.jsonl", tmp_path / "out")
    written = [json.loads(line) for line in (tmp_path / "out" / "train.jsonl").read_text().splitlines()]
    for row in written:
        ((start, stop),) = row["untrained"]
        assert row["text"][start:stop].endswith("?\n\n### Thought Process:\n") and start == 0
    prepare(tmp_path / "out" / "train.jsonl", tmp_path / "again", val_fraction=0.5)
    again = "".join((tmp_path / "again" / f"{side}.jsonl").read_text() for side in ("train", "val"))
    assert sorted(again.splitlines()) == sorted(json.dumps(row) for row in written)


def test_a_large_plain_text_is_split_by_position(tmp_path, monkeypatch):
    monkeypatch.setattr(blocks, "WHOLE", 1000)
    monkeypatch.setattr(blocks, "BLOCK", 500)
    text = "".join(f"Ligne nº {i} — ünï 🐈\n" for i in range(900))
    (tmp_path / "book.txt").write_text(text, encoding="utf-8")
    train, val = split_of(tmp_path / "book.txt", tmp_path / "out", val_fraction=0.25)
    assert "".join(train + val) == text and len(train) > 10
    assert val[0].startswith("Ligne") and 0.24 < len("".join(val).encode()) / len(text.encode()) < 0.25


def test_skipped_damage_is_listed_with_its_reasons(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(blocks, "BLOCK", 300)
    lines = [json.dumps({"text": f"row {i}"}) if i % 3 else "{oops" for i in range(1, 601)]
    (tmp_path / "r.jsonl").write_text("\n".join(lines))
    for workers in (1, 2):
        stats = prepare(tmp_path / "r.jsonl", tmp_path / "out", on_damage="skip", num_workers=workers)
        left = stats["left_out"]
        assert (left["damaged"], left["empty"], len(left["reasons"])) == (200, 0, 100)
        assert [reason.split(": ")[0] for reason in left["reasons"]] == [
            f"{tmp_path / 'r.jsonl'}:{i}" for i in range(3, 301, 3)
        ]
        assert "skipped 200 damaged" in capsys.readouterr().err
        with pytest.raises(ChronosError, match=r"r\.jsonl:3: damaged JSON"):
            prepare(tmp_path / "r.jsonl", tmp_path / "out2", num_workers=workers)


def test_python_docs_are_a_source(tmp_path, monkeypatch):
    from chronos.data.documents import Document
    from chronos.data.sources import python_docs

    told = [Document(f"docs of module {i}", f"m{i}", untrained=((0, 4),)) for i in range(30)]
    monkeypatch.setattr(python_docs, "documents", lambda installed: iter(told))
    stats = prepare("python-docs", tmp_path / "out")
    assert stats["source"]["kind"] == "python-docs" and stats["documents"] == 30
    assert '"untrained": [[0, 4]]}' in (tmp_path / "out" / "train.jsonl").read_text()


def test_options_are_a_configuration():
    options = build(Options, {"cleaning": {"unwrap": "on"}, "filters": "gopher,c4", "epochs": "2"})
    assert options.cleaning.unwrap and options.filters == ("gopher", "c4") and options.epochs == 2
    assert build(Options, dump(options)) == options
    with pytest.raises(ChronosError, match="unknown filter"):
        build(Options, {"filters": "nonsense"})


@pytest.mark.parametrize("name", ["somebody.txt", "train"])
def test_a_folder_with_other_things_is_refused_before_the_work(tmp_path, monkeypatch, name):
    monkeypatch.setattr(making, "resumable_directory", lambda *_: pytest.fail("work began"))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / name).write_text("precious")
    with pytest.raises(ChronosError, match="refusing to replace it"):
        prepare("stories", tmp_path / "out", stories_count=20)
    assert (tmp_path / "out" / name).read_text() == "precious"


def test_commands(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("CHRONOS_ARTIFACTS", str(tmp_path / "artifacts"))
    parser = argparse.ArgumentParser()
    commands.register(parser.add_subparsers())
    args = parser.parse_args(["data", "prepare", "--stories", "50"], argparse.Namespace(given={"--stories"}))
    result = args.run(args)
    assert result["documents"] == 50
    assert (tmp_path / "artifacts" / "01-data" / "stats.json").exists()
    assert "Corpus from stories" in capsys.readouterr().out
    args = parser.parse_args(
        ["data", "stories", "--n", "2", "--seed", "7", "--level", "1"],
        argparse.Namespace(json=False),
    )
    result = args.run(args)
    assert len(result["stories"]) == 2
    assert capsys.readouterr().out == "\n".join(result["stories"])
