"""bAbI: the published files become lives as they are counted there, and damage is told by file:line."""

import re
from collections import Counter

import pytest

from chronos.console import ChronosError
from chronos.data.decoding import DamageError
from chronos.data.lives import read_lives, read_questions
from chronos.data.tasks import babi
from chronos.data.tasks.registry import examples, write_task

STORY = """1 Mary moved to the bathroom.
2 John went to the hallway.
3 Where is Mary? \tbathroom\t1
4 Mary got the milk.
5 Mary moved to the office.
6 Where was the milk before the office? \tbathroom\t5 4 1
1 Winona is a wolf.
2 Wolves are afraid of mice.
3 What is winona afraid of?\tmouse\t1 2
"""
# The most common answer of each file, its share of the 1,000 questions and the number of different answers.
COMMON = {
    1: ("garden", 177, 6), 2: ("garden", 210, 6), 3: ("bathroom", 198, 6), 4: ("kitchen", 180, 6),
    5: ("Mary", 171, 7), 15: ("cat", 290, 4), 19: ("e,e", 92, 12),
}  # fmt: skip
STORIES = {1: 200, 2: 200, 3: 200, 4: 1000, 5: 200, 15: 250, 19: 1000}
LINES = {1: 1, 2: 2, 3: 3, 4: 1, 5: 1, 15: 2, 19: 2}


def test_a_story(tmp_path):
    path = tmp_path / "qa3_three-supporting-facts_train.txt"
    path.write_text(STORY + "\n")
    first, second = examples("babi", path=str(path))
    assert [(event.t, event.text) for event in first.events] == [
        (1, "Mary moved to the bathroom."),
        (2, "John went to the hallway."),
        (4, "Mary got the milk."),
        (5, "Mary moved to the office."),
    ]
    now, before = first.questions
    assert (now.question, now.answer, now.kind, now.t) == ("Where is Mary?", "bathroom", "qa3", 3)
    assert (now.age, now.overwrites, now.evidence) == (2, 0, (1,))
    assert (before.age, before.overwrites, before.evidence) == (5, 1, (5, 4, 1))
    (asked,) = second.questions  # no line contains "mouse", so the latest counts
    assert (asked.answer, asked.age, asked.evidence, asked.life) == ("mouse", 1, (1, 2), 2)
    path.write_text("1 I left the hall.\n2 I left the park.\n3 I saw the hall.\n4 Where?\thall\t3 1\n")
    (again,) = examples("babi", path=str(path))
    assert again.questions[0].age == 1  # of two lines with the answer the later
    assert first.document("x").text.splitlines()[2] == "Where is Mary? bathroom"


@pytest.mark.parametrize("side", ["train", "test"])
@pytest.mark.parametrize("number", COMMON)
def test_the_published_files(shared, number, side):
    told = list(examples("babi", split=side, path=str(shared / "data/babi"), tasks=(number,)))
    asked = [question for example in told for question in example.questions]
    assert (len(told), len(asked)) == (STORIES[number], 1000)
    for example in told:
        times = {event.t for event in example.events}
        for question in example.questions:
            assert len(question.evidence) == LINES[number] and set(question.evidence) <= times
            assert max(question.evidence) < question.t and question.kind == f"qa{number}"
            assert question.t - question.age in question.evidence
    answers = Counter(question.answer for question in asked)
    if side == "train":
        common, n = answers.most_common(1)[0]
        assert (common, n, len(answers)) == COMMON[number]


def test_one_who_follows_the_world_answers_task_1(shared):
    """The texts, their times and the questions' times are enough."""
    for example in examples("babi", split="test", path=str(shared / "data/babi"), tasks="1"):
        for question in example.questions:
            where = {}
            for event in example.events:
                if event.t < question.t:
                    person, place = re.fullmatch(r"(\w+) .* the (\w+)\.", event.text).groups()
                    where[person] = (place, event.t)
            asked = re.fullmatch(r"Where is (\w+)\?", question.question)[1]
            assert where[asked] == (question.answer, question.evidence[0])


def test_what_answers_is_where_the_answer_stands(shared):
    """All but deduction and paths name the answer in a line; in task 3 something overwrote it."""
    path = str(shared / "data/babi")
    for example in examples("babi", path=path, tasks=(1, 2, 3, 4, 5)):
        said = {event.t: event.text for event in example.events}
        for question in example.questions:
            assert question.answer in said[question.t - question.age]
            assert question.overwrites == (question.kind == "qa3")


def test_a_folder_of_lives(shared, tmp_path):
    stats = write_task("babi", tmp_path / "out", path=str(shared / "data/babi"), tasks="2,1", n=3)
    assert [len(questions) for _, questions in read_lives(tmp_path / "out")] == [5] * 6
    assert [question.kind for question in read_questions(tmp_path / "out")] == ["qa2"] * 15 + ["qa1"] * 15
    assert (stats["n"], stats["events"]["lives"], stats["documents"]["rows"]) == (6, 6, 6)


def test_validation_is_the_end_of_training(tmp_path):
    path = tmp_path / "qa1_x_train.txt"
    path.write_text("".join(f"1 Mary went to place{i}.\n" for i in range(10)))
    sides = {
        split: [e.events[0].text for e in examples("babi", split=split, path=str(tmp_path), val=30)]
        for split in ("train", "val")
    }
    assert [len(side) for side in sides.values()] == [7, 3]
    assert sides["train"] + sides["val"] == [e.events[0].text for e in examples("babi", path=str(tmp_path))]
    with pytest.raises(ChronosError, match="val=10"):
        next(examples("babi", split="val", path=str(tmp_path)))
    with pytest.raises(ChronosError, match="qaN_NAME_test"):
        next(examples("babi", split="test", path=str(tmp_path)))
    with pytest.raises(ChronosError, match="no task 7"):
        next(examples("babi", path=str(tmp_path), tasks=(1, 7)))
    with pytest.raises(ChronosError, match="no such split"):
        next(examples("babi", path=str(tmp_path), split="dev"))


DAMAGED = [
    ("Mary moved.", "2 and a text"),
    ("3 Mary moved.", "2 and a text"),
    ("1  ", "1 and a text"),
    ("1 Mary moved.\n3 John left.", "2 and a text"),
    ("1 Mary moved.\n2", "2 and a text"),
    ("1 Mary moved.\n٢ John left.", "2 and a text"),
    ("1 Mary moved.\n2 Where?\tpark", "2 field"),
    ("1 Mary moved.\n2 Where?\tpark\t", "2 field"),
    ("1 Mary moved.\n2 Where?\tpark\t1\t1", "4 field"),
    ("1 Mary moved.\n2 Where?\t\t1", "1 empty"),
    ("1 Mary moved.\n2 \tpark\t1", "1 empty"),
    ("1 Mary moved.\n2 Where?\tpark\t2", "supporting"),
    ("1 Mary moved.\n2 Where?\tpark\t0", "supporting"),
    ("1 Mary moved.\n2 Where?\tpark\tx", "supporting"),
    ("1 Mary moved.\n2 Where?\tpark\t²", "supporting"),
    ("1 Mary moved.\n2 Where?\tpark\t-1", "supporting"),
    ("1 Mary moved.\n2 Where?\tpark\t1 1", "supporting"),
    ("1 Mary moved.\n2 Where?\tpark\t1\n3 Where?\tpark\t2", "supporting"),
    ("1 Mary moved.\n2 caf\udce9 closed.", "UTF-8"),
]


@pytest.mark.parametrize("text, told", DAMAGED)
def test_damage_is_told_by_file_and_line(tmp_path, capsys, text, told):
    path = tmp_path / "qa1_x_train.txt"
    path.write_bytes(f"1 John left.\n{text}\n1 Ruth came.\n".encode("utf-8", "surrogateescape"))
    line = 1 + len(text.split("\n"))
    with pytest.raises(DamageError, match=rf"qa1_x_train\.txt:{line}: ") as caught:
        list(babi.stories(path, "qa1"))
    assert told in str(caught.value)
    kept = [story.events[0].text for story in babi.stories(path, "qa1", on_damage="skip")]
    assert kept[-1] == "Ruth came." and 1 <= len(kept) <= 2
    warned = capsys.readouterr().err
    assert warned.count("\n") == 1 and f":{line}" in warned and "1 damaged" in warned


def test_nothing_to_read(tmp_path):
    (tmp_path / "empty.txt").write_text("\n \n")
    with pytest.raises(ChronosError, match="no story"):
        next(examples("babi", path=str(tmp_path / "empty.txt")))
    (tmp_path / "late.txt").write_text("2 Mary moved.\n")
    with pytest.raises(DamageError, match=r"late\.txt:1: .*1 and a text"):
        next(examples("babi", path=str(tmp_path / "late.txt")))
    with pytest.raises(ChronosError, match="no such file"):
        next(examples("babi", path=str(tmp_path / "none.txt")))
    with pytest.raises(ChronosError, match="path=FOLDER"):
        examples("babi")
    with pytest.raises(ChronosError, match="fail or skip"):
        examples("babi", path="x", on_damage="hide")
    with pytest.raises(ChronosError, match="val must"):
        examples("babi", path="x", val=100)
