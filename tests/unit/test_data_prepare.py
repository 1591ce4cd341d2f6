"""Preparing a corpus: the split, its numbers, and that failure leaves everything as it was."""

import argparse
import hashlib
import json

import pytest

from chronos.console import ChronosError
from chronos.data import commands
from chronos.data.prepare import pieces, prepare


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
        parts = list(pieces(text, size))
        assert "".join(parts) == text and max(map(len, parts)) <= size
    assert list(pieces("ab\ncd\nef", 4)) == ["ab\n", "cd\n", "ef"]


def test_commands(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("CHRONOS_ARTIFACTS", str(tmp_path / "artifacts"))
    parser = argparse.ArgumentParser()
    commands.register(parser.add_subparsers())
    args = parser.parse_args(["data", "prepare", "--stories", "50"])
    result = args.run(args)
    assert result["documents"] == 50
    assert (tmp_path / "artifacts" / "01-data" / "stats.json").exists()
    assert "Corpus from stories" in capsys.readouterr().out
    args = parser.parse_args(
        ["data", "stories", "--n", "2", "--seed", "7", "--level", "1"], argparse.Namespace(json=False)
    )
    result = args.run(args)
    assert len(result["stories"]) == 2
    assert capsys.readouterr().out == "\n".join(result["stories"])
