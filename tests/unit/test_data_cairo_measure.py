"""The lesson's numbers on the Cairo timeline are its command's; the careless readers are careless."""

import json
import xml.etree.ElementTree as ET

import pytest

from chronos.data.cairo import measure
from chronos.data.cairo.life import Life
from chronos.data.lives import Event, Question


@pytest.fixture(scope="module")
def result() -> dict:
    return json.loads((measure.RESULTS / "cairo.json").read_text(encoding="utf-8"))


def test_the_results_file_is_what_the_command_measures(result):
    lives = (Life(measure.EVENTS, seed) for seed in measure.SEEDS)
    assert measure.compare(lives) == result["kinds"]  # the other variants take longer than a test may
    assert result["variants"]["default"] == result["kinds"]["all"]
    assert (result["events"], tuple(result["seeds"])) == (measure.EVENTS, measure.SEEDS)


def test_what_the_lesson_says_of_them(result):
    for row in (*result["kinds"].values(), *result["variants"].values()):
        assert row["everything"] == 1
    assert all(row["share"] < 0.3 for row in result["variants"].values())
    assert result["kinds"]["join"]["last_words"] < 0.1 < 0.9 < result["kinds"]["now"]["last_words"]


def test_the_picture_is_the_same_on_every_machine():
    drawn = measure.picture()
    assert (measure.RESULTS / "timeline.svg").read_text(encoding="utf-8") == drawn
    tree = ET.fromstring(drawn)
    texts = [node.text for node in tree.iter("{http://www.w3.org/2000/svg}text")]
    assert {"location", "drink", "mood", "food", "companion", "told once", "join"} <= set(texts)
    threads = sum(node.get("d") is not None for node in tree.iter())
    assert threads == sum(len(q.evidence) for q in Life(**measure.PICTURE).questions(8)) > 7


def test_the_reader_of_the_last_value_named_is_fooled_by_others():
    events = [
        Event(1, "I am in Maadi right now.", "2031-05-01"),
        Event(2, "Omar moved to Giza last year.", "2031-05-01"),
        Event(3, "The code for the gate is 4719.", "2031-05-01"),
        Event(4, "Bus 1234 passed by.", "2031-05-01"),
        Event(5, "I promised Ali to walk the dog.", "2031-05-01"),
    ]
    guess = measure.LastNamed(Life(5, 1), events).answer
    assert guess("Where am I now?") == "Giza"
    assert guess("What is the code for the gate?") == "1234"
    assert guess("What did I promise Ali?") == "walk the dog"
    assert guess("When did I last move?") == "at time 2"
    assert guess("What is my favourite drink?") == guess("Is it so?") == "I don't know"


def test_a_window_counts_words():
    events = [Event(t, "one two three four", "") for t in range(1, 11)]
    assert [measure.window_of(events, words) for words in (3, 4, 11, 12, 400)] == [0, 1, 2, 3, 10]


def test_answers_are_compared_kind_by_kind(monkeypatch):
    """With every answer wrong, each reader scores nothing, and the majority class does not change."""
    life = Life(200, 1)
    right = measure.compare([life])
    wrong = [Question(q.question, "nonsense", q.kind, q.t) for q in life.questions()]
    monkeypatch.setattr(life, "questions", lambda: wrong)
    asked = measure.compare([life])
    assert right["all"]["everything"] == 1 and right["all"]["n"] == asked["all"]["n"]
    assert asked["all"]["everything"] == asked["all"]["last_words"] == 0
