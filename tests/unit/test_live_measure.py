"""The lesson's table: a row for each crutch, from the models that it is about, once and for all."""

import json

import pytest

from chronos.evaluation.live import measure
from chronos.evaluation.live.measure import Case, cases, main
from chronos.evaluation.live.told import Lives

SMALL = {"events": 60, "lives": 1, "questions": 16, "seed": 7}


@pytest.fixture
def few(monkeypatch):
    """Two small cases, one for each group of models."""
    two = [
        Case("easy", "plain", Lives(**SMALL)),
        Case("hard", "together", Lives(**SMALL, values="held-out", templates="held-out")),
    ]
    monkeypatch.setattr(measure, "cases", lambda large: iter(two))


def test_a_row_is_what_was_asked_and_is_asked_once(few, root, tmp_path, monkeypatch, capsys):
    demo = str(root / "07-inference" / "demo")
    words = ["--plain", demo, "--together", demo, "--out-dir", str(tmp_path / "asked")]
    save = tmp_path / "table.json"
    assert main([*words, "--save", str(save)]) == 0
    found = json.loads(save.read_text())
    assert [row[0] for row in found["rows"]] == ["easy", "hard"]
    assert len(found["columns"]) == len(found["rows"][0]) == 8
    easy, hard = found["rows"]
    assert easy[1:4] == ["plain, 1 seed(s)", "1 of 60", 16]
    assert float(easy[4]) > 80 >= 0
    assert hard[1] == "together, 1 seed(s)"

    def never(*_):
        raise AssertionError("asked again")

    monkeypatch.setattr("chronos.evaluation.live.interview.Interview.answers", never)
    assert main([*words, "--save", str(save)]) == 0
    assert json.loads(save.read_text()) == found


def test_without_models_of_a_group_its_rows_are_left_out(few, root, tmp_path, capsys):
    save = tmp_path / "table.json"
    demo = str(root / "07-inference" / "demo")
    assert main(["--together", demo, "--out-dir", str(tmp_path / "asked"), "--save", str(save)]) == 0
    assert [row[0] for row in json.loads(save.read_text())["rows"]] == ["hard"]


def test_every_crutch_has_its_row():
    every = list(cases(large=True))
    assert len({case.name for case in every}) == len(every)
    assert {case.lives.language for case in every if case.models == "together"} == {"mixed", "en"}
    hardest = [case for case in every if (case.lives.values, case.lives.templates) == ("held-out",) * 2]
    assert {case.models for case in hardest} == {"plain", "together"}
    assert [case for case in every if case.lives.events == 100_000] != []
    assert all(case.lives.events == 10_000 for case in cases(large=False))
