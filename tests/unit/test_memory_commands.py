"""`chronos memory …` on stores made by hand: what is shown, what is forgotten for good, what is refused."""

import json
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from chronos import cli
from chronos.console import UsageError
from chronos.data.notes.dates import DAY, HOUR, written
from chronos.inference import moments
from chronos.inference.moments import bounds, default_state, span, when
from chronos.memory.episodes.store import Cursor, EventStore

START = 19_846 * DAY  # 2024-05-03
TEXTS = ["I moved to Giza.", "My cat is called Mishmish.", "The tram was late.", "قابلت عمر في القاهرة."]


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch) -> Path:
    """No test touches anybody's own memory."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setattr(sys, "platform", "linux")
    return tmp_path


def made(path: Path, start: int = START) -> Path:
    keys = np.random.default_rng(0).standard_normal((len(TEXTS), 8))
    with EventStore.create(path, width=8, identity={"model": "m"}) as store:
        times = [start + i * DAY + i * HOUR for i in range(len(TEXTS))]
        store.append(keys, TEXTS, times, sources=[1, 1, 0, 1])
        store.flush({"x/diary.md": Cursor("h", 4, 4, True)})
    return path


def run(capsys, *words: str) -> dict:
    code = cli.main(["memory", *map(str, words), "--json"])
    captured = capsys.readouterr()
    assert code == 0, captured.err
    return json.loads(captured.out)


def failing(capsys, *words: str, code: int = 1) -> str:
    assert cli.main([*map(str, words)]) == code
    told = capsys.readouterr().err
    assert told.count("\n") == 1, told
    return told


def all_bytes(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file())


# ---- looking -----------------------------------------------------------------------------------------------


def test_list(tmp_path, capsys):
    state = made(tmp_path / "m")
    events = run(capsys, "list", "--state", state)["events"]
    assert [one["text"] for one in events] == TEXTS[::-1]
    assert events[0] | {"surprise": 0} == {
        "id": 3, "t": 3 * 24 + 3 + 1, "date": "2024-05-06 03:00", "time": START + 3 * DAY + 3 * HOUR,
        "source": "user", "surprise": 0, "uses": 0, "text": TEXTS[3],
    }  # fmt: skip
    oldest = run(capsys, "list", "--state", state, "--oldest-first", "--limit", "2")["events"]
    assert [one["id"] for one in oldest] == [0, 1]


@pytest.mark.parametrize(
    "words, ids",
    [
        (["--since", "2024-05-04"], [3, 2, 1]),
        (["--until", "2024-05-04"], [1, 0]),
        (["--since", "4 May 2024", "--until", "2024-05-05"], [2, 1]),
        (["--since", "2024-05-04 01:00", "--until", "2024-05-04 01:00"], [1]),
        (["--until", "1"], [0]),
        (["--source", "unknown"], [2]),
    ],
)
def test_filters(tmp_path, capsys, words, ids):
    state = made(tmp_path / "m")
    assert [one["id"] for one in run(capsys, "list", "--state", state, *words)["events"]] == ids
    searched = run(capsys, "search", "a", "--state", state, *words)["events"]
    assert [one["id"] for one in searched] == [i for i in ids if "a" in TEXTS[i].lower()]


def test_search_needs_all_words(tmp_path, capsys):
    state = made(tmp_path / "m")
    assert [e["id"] for e in run(capsys, "search", "CAT", "called", "--state", state)["events"]] == [1]
    assert run(capsys, "search", "cat", "tram", "--state", state)["events"] == []
    assert [e["id"] for e in run(capsys, "search", "القاهرة", "--state", state)["events"]] == [3]


def test_a_person_reads_a_table(tmp_path, capsys):
    assert cli.main(["memory", "list", "--state", str(made(tmp_path / "m"))]) == 0
    shown = capsys.readouterr().out
    assert "2024-05-04 01:00" in shown and "Mishmish" in shown
    assert cli.main(["memory", "search", "nowhere", "--state", str(tmp_path / "m")]) == 0
    assert "no such event" in capsys.readouterr().out


def test_a_life_without_dates_counts_hours(tmp_path, capsys):
    assert cli.main(["memory", "list", "--state", str(made(tmp_path / "m", start=0))]) == 0
    assert "hour 26" in capsys.readouterr().out


def test_stats(tmp_path, capsys):
    state = made(tmp_path / "m")
    found = run(capsys, "stats", "--state", state)
    assert (found["events"], found["forgotten"], found["cursors"]) == (4, 0, {"x/diary.md": 4})
    assert found["bytes"] == sum(file.stat().st_size for file in state.iterdir())


def test_export(tmp_path, capsys):
    state, out = made(tmp_path / "m"), tmp_path / "new" / "all.jsonl"
    assert run(capsys, "export", "--state", state, "--out", out)["events"] == 4
    assert [json.loads(line)["text"] for line in out.read_text("utf-8").splitlines()] == TEXTS
    assert "this is a folder" in failing(capsys, "memory", "export", "--state", state, "--out", tmp_path)


# ---- forgetting --------------------------------------------------------------------------------------------


def test_forget_then_compact(tmp_path, capsys):
    state = made(tmp_path / "m")
    found = run(capsys, "forget", "1", "--state", state)
    assert found == {"forgotten": 1, "copies": [], "files": ["x/diary.md"], "saved": None}
    assert run(capsys, "search", "Mishmish", "--state", state)["events"] == []
    assert b"Mishmish" in all_bytes(state)
    compacted = run(capsys, "compact", "--state", state)
    assert (compacted["events"], compacted["removed"]) == (3, 1)
    assert compacted["bytes"] == sum(file.stat().st_size for file in state.iterdir())
    assert b"Mishmish" not in all_bytes(state)
    assert [one["text"] for one in run(capsys, "list", "--state", state)["events"]] == [
        TEXTS[3], TEXTS[2], TEXTS[0]
    ]  # fmt: skip


def test_forget_and_compact_at_once(tmp_path, capsys):
    state = made(tmp_path / "m")
    assert run(capsys, "forget", "0", "1", "0", "--compact", "--state", state)["forgotten"] == 2
    left = all_bytes(state)
    assert b"Giza" not in left and b"Mishmish" not in left and "القاهرة".encode() in left


def test_forget_is_all_or_nothing(tmp_path, capsys):
    state = made(tmp_path / "m")
    assert "no such event" in failing(capsys, "memory", "forget", "1", "9", "--state", state)
    assert run(capsys, "stats", "--state", state)["forgotten"] == 0
    run(capsys, "forget", "1", "--state", state)
    assert "was forgotten" in failing(capsys, "memory", "forget", "1", "--state", state)


def test_forget_names_the_copies_that_still_hold_it(tmp_path, capsys):
    state = made(tmp_path / "m")
    artifact = tmp_path / "artifacts" / "run" / "checkpoints" / "step-1" / "memory"
    for copy in (tmp_path / "backup" / "m", default_state("old"), artifact):
        shutil.copytree(state, copy)
    made(tmp_path / "another life")
    with EventStore.open(artifact, write=True) as store:  # forgotten there, but its bytes remain
        store.forget([1])
    with EventStore.open(tmp_path / "backup" / "m", write=True) as store:
        store.forget([1])
        store.compact()
    found = run(capsys, "forget", "1", "--state", state)["copies"]
    assert sorted(map(os.path.realpath, found)) == sorted(
        map(os.path.realpath, (default_state("old"), artifact))
    )


def test_forgetting_tells_a_person_what_to_do(tmp_path, capsys):
    state = made(tmp_path / "m")
    assert cli.main(["memory", "forget", "1", "--state", str(state)]) == 0
    told = capsys.readouterr().out
    assert "forgotten: My cat is called Mishmish." in told
    assert f"chronos memory compact --state {state}" in told and "x/diary.md" in told


# ---- damage and refusals -----------------------------------------------------------------------------------


def test_check_and_repair(tmp_path, capsys):
    state = made(tmp_path / "m")
    assert run(capsys, "check", "--state", state) == {"ok": True, "problems": [], "repaired": []}
    words = next(state.glob("words-*.bin"))
    data = bytearray(words.read_bytes())
    data[data.index(b"Mishmish")] ^= 1
    words.write_bytes(data)
    assert cli.main(["memory", "check", "--state", str(state), "--json"]) == 1
    assert "event 1 is damaged" in json.loads(capsys.readouterr().out)["problems"]
    assert run(capsys, "check", "--repair", "--state", state)["repaired"] == [
        "1 damaged events are forgotten: 1"
    ]
    assert [one["id"] for one in run(capsys, "list", "--state", state)["events"]] == [3, 2, 0]


@pytest.mark.parametrize(
    "words",
    [["list"], ["search", "x"], ["forget", "0"], ["stats"], ["compact"], ["check"], ["export", "--out", "x"]],
)
def test_no_memory(tmp_path, capsys, words):
    told = failing(capsys, "memory", *words, "--state", tmp_path / "none")
    assert "there is no memory here" in told and "chronos ingest" in told
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    "words, code, told",
    [
        (["list", "--since", "sometime"], 2, "this is no date"),
        (["list", "--since", "2024-05-04", "--until", "2024-05-03"], 1, "--since lies after --until"),
        (["list", "--limit", "0"], 1, "--limit must be at least 1"),
        (["list", "--profile", "../me"], 2, "a profile's name"),
        (["forget", "-1"], 1, "no such event"),
    ],
)
def test_refusals(tmp_path, capsys, words, code, told):
    state = ["--state", made(tmp_path / "m")] if "--profile" not in words else []
    assert told in failing(capsys, "memory", *words, *state, code=code)


def test_the_default_state_is_the_profiles_own(home, capsys):
    made(default_state())
    assert default_state() == home / "data" / "chronos" / "profiles" / "default" / "memory"
    assert len(run(capsys, "list")["events"]) == 4
    assert "there is no memory here" in failing(capsys, "memory", "list", "--profile", "work")


def test_where_data_live(monkeypatch):
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setattr(sys, "platform", "darwin")
    assert moments.data_folder() == Path.home() / "Library" / "Application Support" / "chronos"
    monkeypatch.setattr(sys, "platform", "linux")
    assert moments.data_folder() == Path.home() / ".local" / "share" / "chronos"


# ---- times -------------------------------------------------------------------------------------------------


def test_spans():
    assert span("2024-05-03") == (START, START + DAY - 1)
    assert span("2024-05-03 14:22") == (
        START + 14 * HOUR + 22 * 60_000_000,
        START + 14 * HOUR + 1_379_999_999,
    )
    assert span("2024-05-03T00:00:07Z") == (START + 7_000_000, START + 7_999_999)
    assert span("30", origin=START) == (START + 29 * HOUR, START + 30 * HOUR - 1)
    for bad in ("30", "", "yesterday", "2024-02-30", "3 May 2024 and more"):
        with pytest.raises(UsageError):
            span(bad)


def test_bounds_hold_the_whole_of_what_is_written():
    assert bounds("2024-05-03", "2024-05-03", None) == {"since": START, "until": START + DAY}
    assert bounds(None, "2", START) == {"until": START + 2 * HOUR} and bounds(None, None, 0) == {}


def test_when():
    assert when(START + 90_000_000, START) == "2024-05-03 00:01:30" == written(START + 90_000_000)
    assert when(25 * HOUR, 0) == "hour 26"
