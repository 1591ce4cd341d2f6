"""Copying, needles and the folders of all tasks: solvable from the texts alone, the same bytes everywhere."""

import dataclasses
import hashlib
import json
import re
from itertools import islice

import numpy as np
import pytest

from chronos.console import ChronosError
from chronos.data.cairo.reader import Reader
from chronos.data.decoding import DamageError
from chronos.data.documents import read_documents
from chronos.data.lives import is_right, read_events, read_lives, score
from chronos.data.tasks import needle
from chronos.data.tasks.example import IGNORED, word
from chronos.data.tasks.registry import TASKS, examples, write_task

GENERATED = ("mqar", "needle", "copying")  # by what stands in this folder alone
ALL = (*GENERATED, "cairo")


def texts(told) -> list[tuple[str, ...]]:
    return [tuple(event.text for event in example.events) for example in told]


def solve_copying(events, question) -> str:
    kept = [match[1] for event in events if (match := re.fullmatch(r"Remember (\w+)\.", event.text))]
    number = re.search(r"\d+", question.question)
    return kept[int(number[0]) - 1] if number else " ".join(kept)


def solve_needle(events, question) -> str:
    thing = re.fullmatch(r"What is the number of the (.+)\?", question.question)[1]
    found = [
        match[1] for e in events if (match := re.fullmatch(rf"The number of the {thing} is (\d+)\.", e.text))
    ]
    assert len(found) <= 1
    return found[0] if found else "I don't know"


SOLVED = [
    ("copying", solve_copying, {}),
    ("copying", solve_copying, {"selective": False, "tokens": 3, "noise": 0, "vocabulary": 4}),
    ("copying", solve_copying, {"tokens": 16, "noise": 200, "vocabulary": 100}),
    ("needle", solve_needle, {}),
    (
        "needle",
        solve_needle,
        {"needles": 4, "distractors": 20, "unknown": 3, "lengths": "1,9", "depths": "0,33"},
    ),
    ("needle", solve_needle, {"needles": 1, "distractors": 399, "lengths": "5"}),
]


@pytest.mark.parametrize("name, solve, options", SOLVED)
def test_a_reader_of_the_texts_answers_everything(tmp_path, name, solve, options):
    write_task(name, tmp_path / "out", seed=4, n=40, **options)
    asked, answers = [], []
    for events, questions in read_lives(tmp_path / "out"):
        times = [event.t for event in events]
        assert times == list(range(times[0], times[0] + len(times)))
        for question in questions:
            alone = [event for event in events if event.t in question.evidence]
            assert solve(alone, question) == question.answer and max(times) < question.t
            assert question.t - question.age in (question.evidence or (question.t,))
        asked += questions
        answers += [solve(events, question) for question in questions]
    assert score(asked, answers)["accuracy"] == 1.0 and len(asked) >= 40


@pytest.mark.parametrize("selective", [True, False])
def test_copying_arrays(selective):
    told = list(examples("copying", n=400, tokens=5, noise=20, vocabulary=8, selective=selective))
    inputs, labels = (np.stack([getattr(e, name) for e in told]) for name in ("inputs", "labels"))
    assert inputs.shape == labels.shape == (400, 30) and inputs.dtype == labels.dtype == np.int32
    body, markers = inputs[:, :25], inputs[:, 25:]
    assert (markers == 7).all() and (labels[:, :25] == IGNORED).all()
    assert set(np.unique(body)) == {0, 1, 2, 3, 4, 5, 6}
    assert (body[body != 0].reshape(400, 5) == labels[:, 25:]).all()
    assert (body[:, :5] != 0).all() != selective
    shares = (body != 0).mean(0)
    if selective:  # every place as likely as every other: 5 of 25
        assert shares.min() > 0.12 and shares.max() < 0.28
    for example in told[:20]:
        *each, order = example.questions
        assert [q.answer for q in each] == [word(token) for token in example.labels[25:]]
        assert [(q.t, q.kind) for q in each] == [(25 + i, "nth") for i in range(5)]
        assert (order.t, order.kind, order.evidence) == (
            29,
            "order",
            tuple(np.flatnonzero(example.inputs[:25])),
        )


def test_needles_stand_at_their_depths():
    options = {"lengths": (40, 20), "depths": (0, 50, 100), "needles": 2, "distractors": 0}
    told = list(examples("needle", n=12, **options))
    cells = [(length, depth) for length in (40, 20) for depth in (0, 50, 100)] * 2
    for (length, depth), example in zip(cells, told):
        assert len(example.events) == length + 2
        assert {q.kind for q in example.questions} == {f"length {length} depth {depth}"}
        hay_before = [q.evidence[0] - 1 - i for i, q in enumerate(example.questions)]
        assert hay_before == [length * depth // 100, length * (100 + depth) // 200]


def test_distractors_resemble_what_is_asked():
    shared = 0
    for example in examples("needle", n=50, distractors=5):
        asked = example.questions[0].question
        others = re.findall(r"number of the (\w+) (\w+) is", " ".join(e.text for e in example.events))
        assert len(set(others)) == 6
        shared += sum((first in asked) != (second in asked) for first, second in others) > 0
    assert shared > 40


def test_hay_of_ones_own(tmp_path):
    (tmp_path / "own.txt").write_text('He said: "No! Not now." Mr. X left.\nAnd   then?\n\nA line\n\n' * 20)
    told = list(examples("needle", text=str(tmp_path), lengths="10", depths="50", distractors=0, n=5))
    hay = [tuple(text for text in lines if not text.startswith("The number")) for lines in texts(told)]
    assert set().union(*hay) == {'He said: "No!', 'Not now."', "Mr.", "X left.", "And then?", "A line"}
    assert len(set(hay)) > 1  # it starts anywhere
    with pytest.raises(ChronosError, match="text is too short, expected 1000, got 120 sentences"):
        next(examples("needle", text=str(tmp_path), lengths="1000"))


def test_sentences():
    told = needle.sentences('"Go!" said she. “Why?” I asked…  Yes\nno. \n \n٣ كتب؟ نعم.')
    assert list(told) == ['"Go!" said she.', "“Why?”", "I asked…", "Yes no.", "٣ كتب؟", "نعم."]


PINNED = {
    "mqar": "f41680357863c98d2abfeb1bb1770b56df34f10a9a2214d8be660a767cd72ec3",
    "needle": "57f8b6c09a5471275f2918f03e2a3bbfdd342eeab055bc30bd6477389602977a",
    "copying": "3908c63e87899564d29ec86e29bcd2dc6a2b88218b0442b94ccc190e04e1f309",
}


@pytest.mark.parametrize("name", GENERATED)
def test_the_same_bytes_everywhere(tmp_path, name):
    write_task(name, tmp_path / "a", seed=7, n=20)
    files = [path for path in sorted((tmp_path / "a").iterdir()) if path.name != "stats.json"]
    total = hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()
    assert total == PINNED[name]


@pytest.mark.parametrize("name", ALL)
def test_a_longer_run_begins_like_a_shorter(name):
    assert texts(examples(name, seed=3, n=4)) == texts(islice(examples(name, seed=3, n=50), 4))


@pytest.mark.parametrize("name", ALL)
def test_splits_and_seeds_share_nothing(name):
    small = {"lengths": "16"} if name == "needle" else {}
    told = [
        set(texts(examples(name, seed=seed, split=split, n=40, **small)))
        for seed in (0, 1)
        for split in ("train", "val", "test")
    ]
    assert all(len(some) == 40 for some in told) and len(set().union(*told)) == 240


def test_the_folder(tmp_path):
    stats = write_task("copying", tmp_path / "out", seed=2, n=7, split="val", tokens="3")
    assert stats == json.loads((tmp_path / "out" / "stats.json").read_text())
    assert (stats["task"], stats["seed"], stats["split"], stats["n"]) == ("copying", 2, "val", 7)
    assert stats["options"] == dataclasses.asdict(TASKS["copying"].options(tokens=3))
    assert stats["inputs"]["shape"] == [7, 54]
    for part in ("events", "questions", "documents", "inputs", "labels"):
        data = (tmp_path / "out" / stats[part]["file"]).read_bytes()
        assert stats[part]["sha256"] == hashlib.sha256(data).hexdigest()
    told = list(examples("copying", seed=2, n=7, split="val", tokens=3))
    assert [event for example in told for event in example.events] == list(read_events(tmp_path / "out"))
    rows = (tmp_path / "out" / "documents.jsonl").read_text().splitlines()
    for row, example in zip(map(json.loads, rows), told, strict=True):
        document = example.document("x")
        assert row == {"text": document.text, "untrained": [list(pair) for pair in document.untrained]}
    assert len(list(read_documents(tmp_path / "out" / "documents.jsonl"))) == 7


@pytest.mark.parametrize("language", ["en", "mixed"])
def test_short_lives_as_texts_are_whole_in_the_folder(tmp_path, language):
    """Without the times in front a reader of lives answers everything; with them it is what is trained on."""
    stats = write_task("cairo", tmp_path / "out", seed=6, n=30, least="8", most="24", language=language)
    assert stats["options"]["most"] == 24 and stats["questions"]["rows"] == 30 * 8
    documents = list(read_documents(tmp_path / "out" / "documents.jsonl"))
    for (events, questions), document in zip(read_lives(tmp_path / "out"), documents, strict=True):
        reader = Reader()
        for event in events:
            time, text = re.fullmatch(r"(\d+)(?:, [^:]+)?: (.+)", event.text).groups()
            assert int(time) == event.t and document.text.count(event.text + "\n") == 1
            reader.read(dataclasses.replace(event, text=text))
        for q in questions:
            assert is_right(q, reader.answer(q.question, q.t)), q
            assert f"\n{q.question} {q.answer}\n" in document.text
    assert len(documents) == 30


def test_a_folder_without_arrays(tmp_path):
    write_task("needle", tmp_path / "out", n=1)
    names = ["documents.jsonl", "life.jsonl", "questions.jsonl", "stats.json"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == names


WRONG = [
    ("mqra", {}, "did you mean 'mqar'"),
    ("mqar", {"pair": 3}, "did you mean 'pairs'"),
    ("mqar", {"pairs": "x"}, "needs int"),
    ("mqar", {"n": 0}, "at least 1"),
    ("needle", {"n": -1}, "at least 1"),
    ("copying", {"split": "dev"}, "no such split, expected train, val, test"),
    ("copying", {"tokens": 0}, "tokens"),
    ("copying", {"noise": -1}, "noise"),
    ("copying", {"vocabulary": 3}, "vocabulary"),
    ("needle", {"lengths": "0"}, "lengths"),
    ("needle", {"depths": "101"}, "depths"),
    ("needle", {"depths": ()}, "depths"),
    ("needle", {"needles": 0}, "needles"),
    ("needle", {"unknown": -1}, "unknown"),
    ("needle", {"distractors": 400}, "too many things"),
]


@pytest.mark.parametrize("name, options, told", WRONG)
def test_what_makes_no_sense_is_refused(tmp_path, name, options, told):
    write_task("mqar", tmp_path / "out", n=1)
    before = (tmp_path / "out" / "stats.json").read_bytes()
    with pytest.raises(ChronosError, match=told):
        write_task(name, tmp_path / "out", **options)
    assert (tmp_path / "out" / "stats.json").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_damage_halfway_leaves_the_folder_as_it_was(tmp_path):
    (tmp_path / "qa1_x_train.txt").write_text("1 Mary moved.\n1 John left.\n7 oh\n")
    write_task("mqar", tmp_path / "out", n=1)
    with pytest.raises(DamageError, match=r"qa1_x_train\.txt:3"):
        write_task("babi", tmp_path / "out", path=str(tmp_path / "qa1_x_train.txt"))
    assert "mqar" in (tmp_path / "out" / "stats.json").read_text()


def test_words():
    some = [word(i) for i in range(55**2 + 1000)]
    assert len(set(some)) == len(some) and word(10**12) != word(10**12 + 1)
    assert {len(w) for w in some[: 55**2]} == {4} and {len(w) for w in some[55**2 :]} == {6}
    assert all(re.fullmatch("([bdgklmnrstv][aeiou])+", w) for w in some)
