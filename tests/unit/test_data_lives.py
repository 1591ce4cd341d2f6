"""Lives are read as they were written, damage is told by file:line, and answers are scored fairly."""

import hashlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chronos.console import ChronosError
from chronos.data import lives
from chronos.data.decoding import DamageError, clean
from chronos.data.lives import Event, Question, as_document, majority, score, write_lives

EVENTS = [
    Event(1, "I moved to Zamalek.", "2026-05-03", 1),
    Event(1, "أشرب الشاي", "", 1),
    Event(7, "I drink tea.", "2026-05-04", 2),
]
QUESTIONS = [
    Question("Where am I?", "Zamalek", "now", 9, 8, 2, (1,), ("in Zamalek",), 1),
    Question("What is my name?", "I don't know", "unknown", 9, life=2),
]
EVENT = {"t": 3, "text": "I moved."}
ASKED = {"question": "Where?", "answer": "Giza", "kind": "now", "t": 3, "age": 1, "overwrites": 0}


def rows(path, *written) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in written))
    return str(path)


def test_what_is_written_is_read(tmp_path):
    stats = write_lives(tmp_path / "out", EVENTS, QUESTIONS, {"task": "x", "seed": 3})
    assert list(lives.read_events(tmp_path / "out")) == EVENTS
    assert list(lives.read_questions(tmp_path / "out")) == QUESTIONS
    assert list(lives.read_lives(tmp_path / "out")) == [
        (EVENTS[:2], QUESTIONS[:1]),
        (EVENTS[2:], QUESTIONS[1:]),
    ]
    assert json.loads((tmp_path / "out" / "stats.json").read_text()) == stats
    assert (stats["task"], stats["seed"], stats["events"]["rows"], stats["events"]["lives"]) == ("x", 3, 3, 2)
    for part in ("events", "questions"):
        data = (tmp_path / "out" / stats[part]["file"]).read_bytes()
        assert stats[part]["sha256"] == hashlib.sha256(data).hexdigest()
        assert stats[part]["bytes"] == len(data)


def test_the_rows_are_those_of_the_format(tmp_path):
    write_lives(tmp_path / "out", EVENTS[1:2], [Question("Where?", "Giza", "now", 9, 8)], {})
    life = (tmp_path / "out" / "life.jsonl").read_text("utf-8")
    assert life == '{"t": 1, "text": "أشرب الشاي", "life": 1}\n'
    asked = '{"question": "Where?", "answer": "Giza", "kind": "now", "t": 9, "age": 8, "overwrites": 0}\n'
    assert (tmp_path / "out" / "questions.jsonl").read_text("utf-8") == asked


TEXT = st.text(min_size=1).filter(lambda text: clean(text).strip())
TIME = st.integers(0, 2**53)


@settings(max_examples=20)
@given(st.lists(st.tuples(TIME, TEXT), min_size=1), st.lists(st.tuples(TEXT, TEXT, TIME)))
def test_any_text_survives(tmp_path_factory, events, asked):
    out = tmp_path_factory.mktemp("life") / "out"
    told = [Event(t, text) for t, text in sorted(events)]
    questions = [Question(ask, answer, "k", t, t, 0, (t,), (answer,)) for ask, answer, t in asked]
    write_lives(out, told, questions, {})
    assert [event.text for event in lives.read_events(out)] == [clean(event.text) for event in told]
    assert [q.answer for q in lives.read_questions(out)] == [clean(q.answer) for q in questions]
    again = out.parent / "again"
    write_lives(again, lives.read_events(out), lives.read_questions(out), {})
    assert (again / "life.jsonl").read_bytes() == (out / "life.jsonl").read_bytes()


WRONG_EVENTS = [
    ([1], "object"),
    ("text", "object"),
    ({"text": "x"}, "'t'"),
    *(({"t": t, "text": "x"}, "'t'") for t in (-1, 1.0, True, "1", None, 2**53 + 1)),
    *(({"t": 1, "text": text}, "'text'") for text in ("", " \n", 7, None, "\x00")),
    ({"t": 1, "text": "a\ud800"}, "U+D800"),
    *(
        (EVENT | {"date": date}, "'date'")
        for date in ("2026-02-30", "20260301", "2026-W10-1", "2026-1-1", 3, None)
    ),
    *((EVENT | {"date": date}, "'date'") for date in ("٢٠٢٦-٠١-٠١", "2026-01-01\n")),
    *((EVENT | {"life": life}, "'life'") for life in (-1, "a", None)),
]


@pytest.mark.parametrize("row, told", WRONG_EVENTS)
def test_a_wrong_event_is_told_by_file_and_line(tmp_path, capsys, row, told):
    path = rows(tmp_path / "life.jsonl", EVENT, row, EVENT)
    with pytest.raises(DamageError, match=r"life\.jsonl:2: ") as caught:
        list(lives.read_events(path))
    assert told in str(caught.value)
    assert len(list(lives.read_events(path, on_damage="skip"))) == 2
    warned = capsys.readouterr().err
    assert warned.startswith("warning: ") and "skipped 1 damaged" in warned and "life.jsonl:2" in warned


WRONG_QUESTIONS = [
    *(({k: v for k, v in ASKED.items() if k != name}, f"'{name}'") for name in ASKED),
    *((ASKED | {name: ""}, f"'{name}'") for name in ASKED),
    *((ASKED | {name: -1}, f"'{name}'") for name in ASKED),
    (ASKED | {"age": 4}, "older than time"),
    (ASKED | {"evidence": [4]}, "future"),
    *((ASKED | {"evidence": value}, "'evidence'") for value in (3, None, ["3"], [True], {"3": 3})),
    *((ASKED | {"accept": value}, "'accept'") for value in ("Giza", None, [3], [""])),
    (ASKED | {"kind": "all"}, "cannot be all"),
    (ASKED | {"answer": "\udfff"}, "U+DFFF"),
    (ASKED | {"life": 1.5}, "'life'"),
]


@pytest.mark.parametrize("row, told", WRONG_QUESTIONS)
def test_a_wrong_question_is_told_by_file_and_line(tmp_path, row, told):
    path = rows(tmp_path / "questions.jsonl", ASKED, row, ASKED)
    with pytest.raises(DamageError, match=r"questions\.jsonl:2: ") as caught:
        list(lives.read_questions(path))
    assert told in str(caught.value)
    assert len(list(lives.read_questions(path, on_damage="skip"))) == 2


def test_time_runs_forward_within_each_life(tmp_path):
    forward = [EVENT | {"t": t, "life": life} for t, life in ((5, 1), (5, 1), (2, 3))]
    assert len(list(lives.read_events(rows(tmp_path / "a", *forward)))) == 3
    for row, told in (({"t": 1, "life": 3}, "backwards"), ({"t": 9, "life": 2}, "earlier life")):
        with pytest.raises(DamageError, match=f"b:4: .*{told}"):
            list(lives.read_events(rows(tmp_path / "b", *forward, EVENT | row)))
    # what is left out does not count: the row after it is compared with the last good one
    skipped = rows(tmp_path / "c", *forward, EVENT | {"t": 1, "life": 3}, EVENT | {"t": 2, "life": 3})
    assert [e.t for e in lives.read_events(skipped, on_damage="skip")] == [5, 5, 2, 2]


def test_damaged_json_bytes_and_blank_lines(tmp_path):
    path = tmp_path / "life.jsonl"
    path.write_bytes(b'\n{"t": 1, "text": "a"}\r\n  \n{"t": NaN, "text": "a"}\n{"t": 2, "text": "caf\xe9"}\n')
    with pytest.raises(DamageError, match=r"life\.jsonl:4: damaged JSON"):
        list(lives.read_events(path))
    assert list(lives.read_events(path, on_damage="skip")) == [Event(1, "a")]


def test_an_empty_life_and_a_missing_file_are_errors(tmp_path):
    for empty in (rows(tmp_path / "life.jsonl"), tmp_path):
        with pytest.raises(ChronosError, match=r"life\.jsonl: there is no event"):
            list(lives.read_events(empty))
    with pytest.raises(ChronosError, match="no such file"):
        list(lives.read_questions(tmp_path))
    with pytest.raises(ChronosError, match="fail or skip"):
        list(lives.read_questions(tmp_path, on_damage="ignore"))
    rows(tmp_path / "questions.jsonl")
    assert list(lives.read_questions(tmp_path)) == []


@pytest.mark.parametrize("life", [0, 2, 9])
def test_a_question_about_no_life_is_damage(tmp_path, life):
    rows(tmp_path / "life.jsonl", EVENT | {"life": 1}, EVENT | {"life": 3})
    rows(tmp_path / "questions.jsonl", ASKED | {"life": life})
    with pytest.raises(DamageError, match=f"without events.*life {life}"):
        list(lives.read_lives(tmp_path))


BAD_WRITES = [
    ([], []),
    ([Event(2, "a"), Event(1, "b")], []),
    ([Event(1, "\ud800")], []),
    ([Event(1.0, "a")], []),
    ([Event(1, "a")], [Question("?", "", "k", 1)]),
    ([Event(1, "a")], [Question("?", "b", "k", 1, age=2)]),
]


@pytest.mark.parametrize("events, questions", BAD_WRITES)
def test_what_could_not_be_read_again_is_not_written(tmp_path, events, questions):
    out = tmp_path / "out"
    write_lives(out, EVENTS, QUESTIONS, {})
    before = {file.name: file.read_bytes() for file in out.iterdir()}
    with pytest.raises(ChronosError):
        write_lives(out, events, questions, {})
    assert {file.name: file.read_bytes() for file in out.iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_writing_streams(tmp_path):
    """Events are drawn one at a time and kept nowhere; the questions only after the last of them."""
    alive = []

    class Counted(str):
        def __del__(self):
            alive.remove(1)

    def events():
        for t in range(1000):
            alive.append(1)
            yield Event(t, Counted("moved"))
            assert len(alive) < 5
        alive.append("done")

    def questions():
        assert alive[-1] == "done"
        yield Question("Where?", "Giza", "now", 9)

    assert write_lives(tmp_path / "out", events(), questions(), {})["events"]["rows"] == 1000


def test_majority_is_counted_by_kind_and_overall():
    answers = [("a", "Tea"), ("a", "tea "), ("a", "milk"), ("b", "tea"), ("b", "Giza")]
    asked = [Question("?", answer, kind, 1) for kind, answer in answers]
    assert majority(asked) == {
        "a": {"n": 3, "classes": 2, "share": 2 / 3},
        "b": {"n": 2, "classes": 2, "share": 0.5},
        "all": {"n": 5, "classes": 3, "share": 0.6},
    }
    assert majority([]) == {"all": {"n": 0, "classes": 0, "share": 0.0}}


def test_score_folds_case_and_white_space_and_nothing_else():
    asked = [Question("?", "Nasr City", kind, 1, accept=("in Nasr",)) for kind in "aab"]
    told = score(asked, ["nasr  CITY\n", "In Nasr", "Nasr City."])
    by_kind = {"a": {"n": 2, "accuracy": 1.0}, "b": {"n": 1, "accuracy": 0.0}}
    assert told == {"n": 3, "accuracy": 2 / 3, "by_kind": by_kind}
    for answers, word in ((["x"] * 2, "fewer"), (["x"] * 4, "more")):
        with pytest.raises(ChronosError, match=word):
            score(asked, iter(answers))
    with pytest.raises(ChronosError, match="no question"):
        score([], [])


def test_a_document_asks_each_question_at_its_time():
    events = [Event(1, "Mary went to the park."), Event(4, "John left.")]
    asked = [Question("Who left?", "John", "k", 4), Question("Where is Mary?", "in the park", "k", 2)]
    document = as_document(events, asked, "x:1")
    assert document.text == (
        "Mary went to the park.\nWhere is Mary? in the park\nJohn left.\nWho left? John\n"
    )
    assert [document.text[start:stop] for start, stop in document.untrained] == [
        "Mary went to the park.\nWhere is Mary?",
        "John left.\nWho left?",
    ]
    assert document.source == "x:1"


def test_a_document_of_several_lives_is_refused():
    with pytest.raises(ChronosError, match="one life"):
        as_document(EVENTS, [])


@given(st.lists(st.tuples(st.integers(0, 5), TEXT)), st.lists(st.tuples(st.integers(0, 5), TEXT, TEXT)))
def test_all_but_the_answers_is_untrained(events, asked):
    told = [Event(t, text) for t, text in events]
    questions = sorted((Question(ask, answer, "k", t) for t, ask, answer in asked), key=lambda q: q.t)
    document = as_document(told, questions)
    ends = [0]
    trained = []
    for start, stop in document.untrained:
        assert ends[-1] <= start < stop <= len(document.text)
        trained.append(document.text[ends[-1] : start])
        ends.append(stop)
    trained.append(document.text[ends[-1] :])
    assert "".join(trained) == "".join(f" {question.answer}\n" for question in questions)
