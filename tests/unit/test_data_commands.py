"""The commands of stage 01: flags reach the functions, results are shown, refusals are one line."""

import json

import pytest

from chronos.cli import main
from chronos.data.source_commands import OPTIONS
from chronos.data.sources.fetching import FETCHERS


def last_json(capsys) -> dict:
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def refusal(capsys, *argv) -> str:
    assert main(list(argv)) in (1, 2)
    told = capsys.readouterr().err
    assert told.startswith("error: ") and told.count("\n") == 1
    return told


def test_every_option_of_every_source_has_a_flag():
    known = {name for source in FETCHERS.values() for name in source.options} - {"limit"}
    assert known == set(OPTIONS)


def test_cairo_writes_a_life_or_prints_one(tmp_path, capsys):
    argv = ["data", "cairo", "--seed", "3", "--events", "40", "--questions", "5", "--json"]
    assert main([*argv, "--out-dir", str(tmp_path / "life")]) == 0
    told = last_json(capsys)
    assert told["events"]["rows"] == 40 and told["questions"]["rows"] == 5
    rows = [json.loads(line) for line in (tmp_path / "life" / "life.jsonl").read_text().splitlines()]
    assert main(argv) == 0
    lines = last_json(capsys)["lines"]
    assert [line.split("  ", 1)[1] for line in lines[:40]] == [row["text"] for row in rows]


@pytest.mark.parametrize(
    "flags, field, value",
    [
        (["--language", "ar"], "language", "ar"),
        (["--templates", "held-out"], "templates", "held-out"),
        (["--values", "held-out"], "values", "held-out"),
        (["--changes", "shown"], "changes", "shown"),
        (["--split", "train"], "split", "train"),
        (["--no-joins"], "joins", False),
        (["--facts", "2"], "facts", 2),
        (["--first", "500"], "first", 500),
    ],
)
def test_flags_of_cairo_reach_the_life(tmp_path, capsys, flags, field, value):
    argv = [
        "data",
        "cairo",
        "--events",
        "30",
        "--questions",
        "3",
        "--json",
        "--out-dir",
        str(tmp_path / "life"),
    ]
    assert main([*argv, *flags]) == 0
    assert last_json(capsys)[field] == value


def test_held_out_words_are_for_tests_only(tmp_path, capsys):
    argv = ("data", "cairo", "--split", "train", "--values", "held-out", "--out-dir", str(tmp_path / "life"))
    assert "held-out values are for tests" in refusal(capsys, *argv)
    assert not list(tmp_path.iterdir())


def test_recall_takes_the_settings_of_its_task(tmp_path, capsys):
    argv = ["data", "recall", "--task", "mqar", "--n", "3", "pairs=2", "length=16", "--json"]
    assert main([*argv, "--out-dir", str(tmp_path / "mqar")]) == 0
    told = last_json(capsys)
    assert told["options"]["pairs"] == 2 and told["questions"]["rows"] == 6
    bad = ("data", "recall", "--task", "mqar", "--out-dir", str(tmp_path / "x"))
    assert "did you mean 'pairs'" in refusal(capsys, *bad, "pair=2")
    assert "each key once" in refusal(capsys, *bad, "pairs=2", "pairs=3")
    assert "did you mean 'mqar'" in refusal(capsys, *(bad[:3]), "mquar", *(bad[4:]))


def test_sources_are_listed_and_unknown_ones_refused(tmp_path, capsys):
    assert main(["data", "sources", "--json"]) == 0
    assert {row["name"] for row in last_json(capsys)["sources"]} == {"stories", "python-docs", *FETCHERS}
    argv = ("data", "fetch", "gutenburg", "--out-dir", str(tmp_path / "books"))
    assert "did you mean 'gutenberg'" in refusal(capsys, *argv)
    argv = ("data", "fetch", "arxiv", "--ids", "3", "--out-dir", str(tmp_path / "books"))
    assert "arxiv has no option 'ids'" in refusal(capsys, *argv)
    assert not list(tmp_path.iterdir())
