"""`chronos query` with a stand-in for the model: what reaches it, what is shown, what is refused."""

import io
import json
import re
import sys
from pathlib import Path

import pytest

from chronos import cli
from chronos.data.cairo.writing import write_cairo
from chronos.data.notes.dates import DAY, HOUR
from chronos.memory.episodes.store import EventStore

pytestmark = pytest.mark.usefixtures("stand_in")

START = 19_846 * DAY  # 2024-05-03
DIARY = "## 2024-05-03\nI moved to Giza. My cat is called Mishmish.\n\n## 2024-05-10\nI moved to Cairo.\n"


@pytest.fixture
def diary(tmp_path, chronos) -> Path:
    (tmp_path / "a.md").write_text(DIARY)
    chronos("ingest", "--input", "a.md")
    return tmp_path


def test_one_question(diary, chronos, stand_in):
    found = chronos("query", "--question", "Where have I moved?")
    assert (found["answer"], found["known"], found["warnings"]) == ("Cairo", True, [])
    assert found["memories"][0] == {
        "id": 2, "t": 169, "source": "user", "text": "I moved to Cairo.", "weight": 0.5, "hop": 1,
        "time": START + 7 * DAY, "date": "2024-05-10",
    }  # fmt: skip
    assert stand_in[-1].calls == [(["Where have I moved?"], None, None, None, None)]
    assert len(chronos("query", "--question", "moved", "--top", "1")["memories"]) == 1


def test_nothing_fits(diary, chronos):
    found = chronos("query", "--question", "Who won?")
    assert (found["answer"], found["known"], found["memories"]) == ("I don't know", False, [])
    assert found["nearest"] == []


def test_what_is_nearest_in_words_stands_under_an_answer_that_is_none(diary, chronos, capsys):
    """ "cat" is too short a word for the stand-in to recall."""
    found = chronos("query", "--question", "Whose cat?")
    (one,) = found["nearest"]
    assert (found["answer"], found["known"], found["memories"]) == ("I don't know", False, [])
    assert (one["id"], one["text"], one["date"]) == (1, "My cat is called Mishmish.", "2024-05-03")
    assert 0 < one["score"] < 1 and "weight" not in one
    assert cli.main(["query", "--state", "state", "--model-path", "model", "--question", "Whose cat?"]) == 0
    first, title, *_ = capsys.readouterr().out.splitlines()
    assert (first, title.strip()) == ("I don't know", "Nearest in words, not recalled")
    assert chronos("query", "--question", "Whose cat?", "--top", "0")["nearest"] == []


def test_filters_and_the_time_reach_the_model(diary, chronos, stand_in):
    words = ["--since", "2024-05-03", "--until", "2024-05-04", "--source", "user", "--now", "2024-06-01"]
    chronos("query", "--question", "moved?", *words)
    now = START + 30 * DAY - 1
    assert stand_in[-1].calls == [(["moved?"], now, START, START + 2 * DAY, ["user"])]
    chronos("query", "--question", "moved?", "--now", "25")
    assert stand_in[-1].calls[0][1] == START + 25 * HOUR - 1


def test_a_file_of_questions_is_scored_at_their_times(tmp_path, chronos, stand_in):
    write_cairo(tmp_path / "life", 60, 3, questions=12)
    chronos("ingest", "--input", "life/life.jsonl")
    found = chronos("query", "--questions", "life/questions.jsonl")
    rows = [json.loads(line) for line in Path("life/questions.jsonl").read_text().splitlines()]
    assert (
        found["n"] == 12
        and 0 <= found["accuracy"] <= 1
        and set(found["by_kind"]) == {r["kind"] for r in rows}
    )
    assert set(found) == {"n", "accuracy", "by_kind", "warnings"}
    with EventStore.open("state") as store:
        origin = int(store.times[0])
    asked = [(text, now) for texts, now, *_ in stand_in[-1].calls for text in texts]
    assert asked == [(row["question"], origin + row["t"] * HOUR - 1) for row in rows]


def test_right_answers_count(diary, chronos):
    row = {"question": "Where have I moved?", "kind": "now", "t": 200, "age": 0, "overwrites": 0}
    lines = [row | {"answer": "cairo"}, row | {"answer": "Giza", "kind": "other"}]
    Path("q.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    found = chronos("query", "--questions", "q.jsonl")
    assert (found["accuracy"], found["by_kind"]["now"]["accuracy"]) == (0.5, 1)


def test_a_plain_file_of_questions(diary, chronos):
    Path("q.txt").write_text("Where have I moved?\n\nWho won?\n")
    found = chronos("query", "--questions", "q.txt")
    assert [one["answer"] for one in found["answers"]] == ["Cairo", "I don't know"]


def test_questions_through_a_pipe(diary, capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("Where have I moved?\n\nWho won?\n"))
    assert cli.main(["query", "--state", "state", "--model-path", "model"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("Cairo\n") and shown.rstrip().endswith("I don't know")
    assert re.search(r"2024-05-10 .* I moved to Cairo\. .* 50%", shown)


@pytest.mark.parametrize("question", ["Где я живу?", "我在哪里？"])
def test_a_question_in_another_script_is_one_line(diary, chronos, question):
    found = chronos("query", "--question", question)
    assert found["answer"] == "I don't know"
    (told,) = found["warnings"]
    assert "do not expect an answer" in told


def test_arabic_may_ask_an_english_memory(diary, chronos):
    assert chronos("query", "--question", "أين أسكن؟")["warnings"] == []


@pytest.mark.parametrize(
    "words, code, told",
    [
        (["--question", " ?! "], 1, "a question needs a word"),
        (["--question", "a", "--questions", "b"], 2, "not allowed with"),
        (["--question", "a", "--now", "soon"], 2, "this is no date"),
        (["--question", "a", "--top", "-1"], 2, "--top must not be negative"),
        (["--questions", "none.txt"], 1, "none.txt: no such file"),
        (["--questions", "empty.txt"], 1, "there is no question in it"),
        (["--questions", "empty.jsonl"], 1, "there is no question in it"),
        (["--questions", "bad.jsonl"], 1, "bad.jsonl:1: field 't'"),
        (["--question", "a", "--state", "none"], 1, "there is no memory here"),
    ],
)
def test_refusals(diary, chronos, words, code, told):
    for name, content in (("empty.txt", ""), ("empty.jsonl", ""), ("bad.jsonl", '{"question": "a"}\n')):
        Path(name).write_text(content)
    assert told in chronos("query", *words, code=code)


def test_an_empty_memory(tmp_path, chronos):
    EventStore.create(tmp_path / "state", width=64, identity={"model": "model"}).close()
    assert "this memory is empty" in chronos("query", "--question", "Where?", code=1)


def test_what_is_forgotten_is_not_answered_and_not_read_again(diary, chronos, capsys):
    assert cli.main(["memory", "forget", "2", "--compact", "--state", "state"]) == 0
    capsys.readouterr()
    assert chronos("query", "--question", "Where have I moved?")["answer"] == "Giza"
    assert chronos("ingest", "--input", "a.md")["events"] == 0
    assert b"moved to Cairo" not in b"".join(file.read_bytes() for file in Path("state").iterdir())


def test_deleting_the_state_deletes_the_answers_and_a_copy_brings_them(diary, chronos):
    Path("state").rename("elsewhere")
    assert "there is no memory here" in chronos("query", "--question", "moved", code=1)
    assert chronos("query", "--question", "moved", "--state", "elsewhere")["answer"] == "Cairo"
