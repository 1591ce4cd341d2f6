"""A folder of lives read and asked: each question of what came before it, judged by kind; what is refused."""

import contextlib
import json

import pytest

from chronos.cli import main
from chronos.console import ChronosError
from chronos.data.cairo.life import Life
from chronos.data.liferows import Event, Question
from chronos.data.lives import write_lives
from chronos.evaluation.live.folder import ask_folder
from chronos.tokenization.clock import HOUR


class LastWord:
    """Answers with the last word of the newest event that it may know."""

    def __init__(self):
        self.told, self.asked = [], []

    def create_store(self, path):
        self.told = []
        return contextlib.nullcontext(path)

    def ingest(self, store, moments, name):
        self.told = list(moments)

    def ask(self, store, texts, now, until):
        known = [moment for moment in self.told if moment.time_us < until]
        self.asked.append((tuple(texts), now, until))
        text = known[-1].text.split()[-1]
        return [type("Answer", (), {"text": text}) for _ in texts]


def event(t, text, life=1):
    return Event(t, text, "", life)


def question(t, text, answer, kind="where", life=1):
    return Question(text, answer, kind, t, 0, 0, (), (), life)


def test_each_question_knows_what_came_before_it(tmp_path):
    events = [event(1, "in bed"), event(3, "in town"), event(5, "at sea"), event(2, "on foot", life=2)]
    asked = [
        question(3, "Where?", "town"), question(4, "And now?", "sea", "odd"), question(5, "Here?", "sea"),
        question(5, "There?", "sea"), question(2, "How?", "foot", "how", life=2),
    ]  # fmt: skip
    write_lives(tmp_path / "lives", events, asked, {})
    model = LastWord()
    found = ask_folder(model, tmp_path / "lives")
    kinds = {kind: (of["n"], of["accuracy"]) for kind, of in found["by_kind"].items()}
    assert kinds == {"where": (3, 1.0), "odd": (1, 0.0), "how": (1, 1.0)}
    assert found["n"] == 5
    assert [asked[0] for asked in model.asked] == [("Where?",), ("And now?",), ("Here?", "There?"), ("How?",)]
    assert [until - now for _, now, until in model.asked] == [1] * 4
    first = model.asked[0][2]
    assert [until - first for _, _, until in model.asked[:3]] == [0, HOUR, 2 * HOUR]


def test_what_cannot_be_asked_is_refused(tmp_path):
    write_lives(tmp_path / "silent", [event(1, "in bed")], [], {})
    with pytest.raises(ChronosError, match="there is no question to answer"):
        ask_folder(LastWord(), tmp_path / "silent")
    write_lives(tmp_path / "early", [event(4, "in bed")], [question(3, "Where?", "bed")], {})
    with pytest.raises(ChronosError, match="before the first event"):
        ask_folder(LastWord(), tmp_path / "early")


def test_the_command_asks_the_shipped_model(root, tmp_path, capsys):
    life = Life(300, 71)
    write_lives(tmp_path / "life", life.events(), life.questions(40), {})
    words = ["--model-path", str(root / "07-inference" / "demo"), "--json"]
    assert main(["eval", "--recall", str(tmp_path / "life"), *words]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["n"] == 40
    assert found["accuracy"] > 0.9
    assert sum(kind["n"] for kind in found["by_kind"].values()) == 40
