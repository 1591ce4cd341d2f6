"""`chronos eval --suite quotes` on a novel of two chapters: what is counted, and what is refused."""

import dataclasses
import json

import pytest

from chronos import cli
from chronos.console import ChronosError
from chronos.evaluation.live import quotes
from chronos.memory.recall import Answer, Cited, Recaller, save_recaller
from chronos.memory.recall.config import RecallConfig
from chronos.memory.recall.net import RecallNet
from chronos.tokenization.words import WordTokenizer

NOVEL = """A Novel

Chapter 1

The squire kept a green parrot in a cage. The doctor came on Monday. Nobody was ill.

Chapter II.

A sailor hid the map under the lamp. The captain bought stockings from a hawker.

Chapter 3

The parrot flew away with the map.
"""
ASKED = [
    {"question": "Who kept a parrot?", "sentence": "The squire kept"},
    {"question": "Where is the map hidden?", "sentence": "A sailor"},
    {"question": "Whose vest?", "sentence": "The captain"},
    {"question": "When did the doctor come?", "sentence": "The doctor"},
]


def cite(answer: Answer, store, at: int) -> Answer:
    one = store.event(at)
    cited = Cited(at, one.time, one.source, one.text, 0.9, 1)
    return dataclasses.replace(answer, known=True, memories=(cited,), nearest=())


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A model that was never trained; of its answers only the last one stands, and on the right event."""
    tokenizer = WordTokenizer.train([NOVEL])
    net = RecallNet(RecallConfig(vocabulary=tokenizer.vocab_size, width=16, heads=2, key=8), seed=1)
    save_recaller(tmp_path / "model", net, tokenizer)
    (tmp_path / "novel.txt").write_text(NOVEL)
    asked = {"novel": "novel.txt", "chapters": 2, "questions": ASKED}
    (tmp_path / "asked.json").write_text(json.dumps(asked))
    ask = Recaller.ask

    def mostly_unknown(self, store, questions, **more):
        assert not any("flew" in store.event(i).text for i in range(len(store)))  # the third chapter
        nothing = {"known": False, "memories": ()}
        *found, last = [dataclasses.replace(one, **nothing) for one in ask(self, store, questions, **more)]
        beside = [dataclasses.replace(one, nearest=near(store, q)) for one, q in zip(found, questions)]
        right = next(i for i in range(len(store)) if "doctor" in store.event(i).text)
        return [*beside, cite(last, store, right)]

    from chronos.memory.recall.nearest import nearest as near

    monkeypatch.setattr(Recaller, "ask", mostly_unknown)
    return tmp_path


def test_what_is_counted(place, capsys):
    words = ["--texts", str(place), "--asked", str(place / "asked.json"), "--out-dir", str(place / "out")]
    assert (
        cli.main(["eval", "--suite", "quotes", "--model-path", str(place / "model"), *words, "--json"]) == 0
    )
    told = json.loads(capsys.readouterr().out)
    written = json.loads((place / "out" / "quotes.json").read_text())
    assert {name: told[name] for name in written} == written
    assert (told["n"], told["accuracy"], told["answered"]) == (4, 0.75, 1)
    assert told["baselines"] == {"cited alone": 0.25, "bm25": 0.75}
    assert told["by_kind"]["novel.txt"]["accuracy"] == 0.75
    assert [(row["shown"], row["cited"], row["bm25"]) for row in told["questions"]] == [
        (1, 0, 1), (1, 0, 1), (0, 0, 0), (1, 1, 1),
    ]  # fmt: skip


def test_novels_with_too_few_chapters_and_questions_that_are_none(place):
    path = place / "asked.json"
    asked = json.loads(path.read_text())
    for change, told in (
        ({"chapters": 4}, "fewer chapters"),
        ({"questions": []}, "no questions about a novel"),
        ({"questions": [{"question": "Who?"}]}, "no questions about a novel"),
        ({"questions": [{"question": "Who?", "sentence": 3}]}, "must be texts"),
        ({"questions": [{"question": "Who?", "sentence": "Zaphod"}]}, "one text must begin so"),
    ):
        path.write_text(json.dumps(asked | change))
        with pytest.raises(ChronosError, match=told):
            quotes.evaluate(place / "model", place, [path], place / "out")
    assert not (place / "out").exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--suite", "quotes"], "needs --texts and --asked"),
        (
            ["--suite", "quotes", "--texts", ".", "--asked", "a", "--model-path", "b", "--model-path", "c"],
            "one model",
        ),
    ],
)
def test_usage(capsys, words, told):
    assert cli.main(["eval", *words]) == 2
    assert told in capsys.readouterr().err
