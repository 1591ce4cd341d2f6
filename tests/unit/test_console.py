"""What Chronos says: one-line errors, the `--json` object, tables, progress, flags without effect."""

import io
import json
import math
import sys

import numpy as np
import pytest

from chronos import console


class Terminal(io.StringIO):
    """Standard error that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_an_error_is_one_line_with_everything_in_it():
    error = console.ChronosError(
        "too few\ntokens", where="a/b.txt:3", expected=64, got=0, mend="give a longer text"
    )
    assert str(error) == "a/b.txt:3: too few tokens, expected 64, got 0; give a longer text"
    assert str(console.ChronosError("lost")) == "lost"
    assert (error.exit_code, console.UsageError("no").exit_code) == (1, 2)


def test_json_mode_keeps_standard_output_for_the_object(capsys):
    console.json_mode(True)
    console.say("talk")
    console.table("numbers", ("a",), [(1,)])
    console.warn("careful")
    console.emit({"a": 1})
    out, err = capsys.readouterr()
    assert out == '{"a": 1}\n'
    for part in ("talk", "numbers", "warning: careful"):
        assert part in err
    console.json_mode(False)
    console.say("talk")
    assert capsys.readouterr().out == "talk\n"


def test_emitted_objects_are_strict_json(capsys):
    console.emit(
        {
            "f": np.float32(0.5),
            "i": np.int64(3),
            "a": np.arange(3),
            "nan": math.nan,
            "inf": [np.float64("inf"), (1, None)],
            "path": console.ChronosError("x"),
            "word": "…",
            2: True,
        }
    )
    line = capsys.readouterr().out
    assert line.count("\n") == 1

    def refuse(word):
        raise ValueError(word)

    assert json.loads(line, parse_constant=refuse) == {
        "f": 0.5,
        "i": 3,
        "a": [0, 1, 2],
        "nan": None,
        "inf": [None, [1, None]],
        "path": "x",
        "word": "…",
        "2": True,
    }


def test_a_table_shows_brackets_and_numbers(capsys):
    console.table("shapes [B, T]", ("name", "size [x]"), [("[bold]w[/bold]", 1234567), ("b", 2)])
    out = capsys.readouterr().out
    for part in ("shapes [B, T]", "size [x]", "[bold]w[/bold]", "1,234,567"):
        assert part in out
    rows = [line for line in out.splitlines() if "1,234,567" in line or "│ b" in line]
    assert len({line.rindex(digit) for line, digit in zip(rows, "72")}) == 1, "numbers stand right-aligned"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(4.2, "4.2 s"), (185, "3 min 05 s"), (7800, "2 h 10 min"), (math.inf, "?"), (59.96, "60.0 s")],
)
def test_duration(seconds, text):
    assert console.duration(seconds) == text


@pytest.fixture
def clock(monkeypatch):
    """A clock that a test moves by hand: `clock[0] += seconds`."""
    now = [1000.0]
    monkeypatch.setattr(console.time, "monotonic", lambda: now[0])
    return now


def test_short_work_says_nothing(clock, capsys):
    with console.Progress(10, "reading") as bar:
        clock[0] += 1.9
        bar.update(9)
    assert capsys.readouterr().err == ""


def test_plain_progress_has_rate_and_eta_every_few_seconds(clock, capsys):
    with console.Progress(100, "training", unit="tok", start=20) as bar:
        for second in range(1, 9):
            clock[0] += 1
            bar.update(20 + 10 * second, loss=1.5)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "training   40%  loss 1.5  10.0 tok/s  ETA 6.0 s"
    assert len(lines) == 2, "at two seconds, then five later"


def test_plain_progress_of_long_work_is_short(clock, capsys):
    with console.Progress(3600, "training") as bar:
        for second in range(1, 3601):
            clock[0] += 1
            bar.update(second)
    assert 30 < len(capsys.readouterr().err.splitlines()) < 60


def test_live_progress_is_one_line(clock, monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with console.Progress(None, "reading", unit="B") as bar:
        for second in range(1, 6):
            clock[0] += 1
            bar.update(1e6 * second)
    text = terminal.getvalue()
    assert text.count("\n") == 1
    assert text.endswith("reading  1.0 MB/s\n")
    assert "\r\x1b[2K" in text


def test_flags_without_effect_are_named(capsys):
    console.warn_without_effect({"--kayla", "--steps"}, ["--kayla", "--amp"], "the data is chunked already")
    assert capsys.readouterr().err == "warning: --kayla has no effect: the data is chunked already\n"
