"""Lives of a folder as batches: what a question may see, what is hidden in them, what is refused."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from chronos.console import ChronosError
from chronos.data.lives import Event, Question, write_lives
from chronos.data.tasks.registry import write_task
from chronos.tokenization.times import ALWAYS
from chronos.tokenization.words import WordTokenizer
from chronos.training.recall.config import RecallTraining
from chronos.training.recall.tasks import TaskLives, level

PLAIN = RecallTraining(questions=12, nonces=(0.0,), template_nonces=(0.0,))
NOW = ALWAYS.index("now")


def story(folder: Path) -> Path:
    """Two lives of two and four events, asked about three times; lines of questions leave gaps in time."""
    told = [
        Event(1, "Omar went to the park.", life=1),
        Event(2, "Salma went to the souk.", life=1),
        Event(1, "Omar took the lamp.", life=2),
        Event(2, "Omar went to the souk.", life=2),
        Event(4, "Omar went to the park.", life=2),
        Event(6, "Salma took the lamp.", life=2),
    ]
    asked = [
        Question("Where is Omar?", "park", "one", 3, 2, evidence=(1,), life=1),
        Question("Where is the lamp?", "souk", "two", 3, 1, evidence=(1, 2), life=2),
        Question("Where is the lamp?", "park", "two", 5, 1, evidence=(1, 4), accept=("garden",), life=2),
    ]
    write_lives(folder, told, asked, {})
    return folder


@pytest.fixture(scope="module")
def mqar(tmp_path_factory) -> Path:
    """Twenty rows of associative recall as lives."""
    folder = tmp_path_factory.mktemp("tasks") / "mqar"
    write_task("mqar", folder, n=20)
    return folder


def packed(source: TaskLives, key=None, step: int = 0):
    """The lives of a step, and their batch."""
    tokenizer = WordTokenizer.train(source.texts())
    lives = source.lives(step)
    return tokenizer, lives, source.packer(tokenizer).pack(lives, key)


def test_a_question_sees_what_was_told_before_it_and_nothing_else(tmp_path):
    source = TaskLives(story(tmp_path / "f"), PLAIN)
    _, lives, batch = packed(source)
    assert {len(told) for told, _ in lives} == {batch.events.idx.shape[1]}
    now = batch.asked.times.cuts[batch.asked.times.reading == NOW]
    sizes = {("one", 3): 2, ("two", 3): 2, ("two", 5): 3}
    for (told, (question,)), cut in zip(lives, now):
        assert cut == sizes[question.kind, question.t]
        assert all(event.t > question.t for event in told[cut:])
        assert all(event.t <= question.t for event in told[:cut])


def test_events_keep_their_places_whatever_is_added_behind(tmp_path):
    """A batch of every pair of questions: gaps in time and added events never move the evidence."""
    source = TaskLives(story(tmp_path / "f"), PLAIN)
    packer = source.packer(WordTokenizer.train(source.texts()))
    right = {
        ("one", 3): ["Omar went to the park."],
        ("two", 3): ["Omar took the lamp.", "Omar went to the souk."],
    }
    right["two", 5] = ["Omar took the lamp.", "Omar went to the park."]
    every = [(source.told[i][0], q) for i, q in source.asked]
    for first in every:
        for second in every:
            lives = level([first, second])
            batch = packer.pack(lives)
            for row, (told, (question,)) in enumerate(lives):
                marked = [told[at].text for at in np.argwhere(batch.evidence[:, row, 0, :-1])[:, 1]]
                assert sorted(marked) == right[question.kind, question.t]


def test_a_batch_is_its_seed_step_and_lane(mqar):
    two = [TaskLives(mqar, PLAIN, seed=3, lanes=2) for _ in range(2)]
    assert two[0].lives(7, 1) == two[1].lives(7, 1)
    assert len(two[0].lives(7, 1)) == PLAIN.questions // 2
    others = [two[0].lives(7, 0), two[0].lives(8, 1), TaskLives(mqar, PLAIN, seed=4, lanes=2).lives(7, 1)]
    assert all(two[0].lives(7, 1) != other for other in others)


def test_all_questions_are_drawn(mqar):
    source = TaskLives(mqar, replace(PLAIN, questions=40))
    drawn = {(q.life, q.question) for step in range(20) for _, (q,) in source.lives(step)}
    assert len(drawn) == len(source.asked) == 80


@pytest.mark.parametrize("hidden", ["names", "others"])
def test_words_of_answers_are_hidden_apart_from_all_others(mqar, hidden):
    """The same unknown id in events, questions and answers; what is no word stays."""
    shares = {"nonces": (1.0,), "double": 0.0} if hidden == "names" else {"template_nonces": (1.0,)}
    source = TaskLives(mqar, replace(PLAIN, **shares))
    tokenizer, _, plain = packed(source)
    batch = source.packer(tokenizer).pack(source.lives(0), (0, 0, 0))
    answers = {int(i) for _, q in source.asked for i in tokenizer.encode(q.answer)}
    table = {}
    pairs = [(batch.events.sentences, plain.events.sentences), (batch.asked.words, plain.asked.words)]
    for now, before in [*pairs, (batch.asked.answers, plain.asked.answers)]:
        for new, old in zip(now.values.tolist(), before.values.tolist(), strict=True):
            letters = tokenizer.surfaces[old].isalpha()
            assert (new >= tokenizer.vocab_size) == (letters and (old in answers) == (hidden == "names"))
            assert table.setdefault(old, new) == new
    assert len(set(table.values())) == len(table)


def test_the_vocabulary_is_everything_told_asked_and_answered(tmp_path):
    tokenizer = WordTokenizer.train(TaskLives(story(tmp_path / "f"), PLAIN).texts())
    said = "Salma took the lamp. Where is Omar? park garden"
    assert (tokenizer.encode(said) < tokenizer.vocab_size).all()


def test_what_cannot_be_learned_from_is_refused(tmp_path):
    write_lives(tmp_path / "quiet", [Event(1, "Nobody asks.")], [], {})
    with pytest.raises(ChronosError, match=r"no question to learn from"):
        TaskLives(tmp_path / "quiet", PLAIN)
    with pytest.raises(ChronosError, match="before the first event"):
        level([([Event(5, "Too late.")], Question("What?", "this", "k", 4))])


def test_stories_of_babi_become_lives(shared, tmp_path):
    write_task("babi", tmp_path / "babi", path=str(shared / "data" / "babi"), tasks=(1, 2), n=5)
    source = TaskLives(tmp_path / "babi", PLAIN)
    assert len(source.told) == 10 and len(source.asked) == 50
    _, lives, batch = packed(source)
    assert batch.kinds == tuple(q.kind for _, (q,) in lives)
    found = np.argwhere(batch.evidence.any(0)[:, 0, :-1]).tolist()
    for row, at in found:
        told, (question,) = lives[row]
        assert told[at].t in question.evidence
