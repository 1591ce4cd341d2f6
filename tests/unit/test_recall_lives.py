"""Batches of lives: what is asked can be answered from what is packed, however words are disguised."""

import numpy as np
import pytest

from chronos.data.cairo.reader import Reader
from chronos.data.liferows import Event, Question
from chronos.memory.recall.asking import READING
from chronos.tokenization.times import READINGS
from chronos.tokenization.words import WordTokenizer
from chronos.training.recall.config import RecallTraining
from chronos.training.recall.lives import KINDS, Packer, draw, holds, translates, vocabulary_texts

CONFIG = RecallTraining(vocabulary_lives=30)


@pytest.fixture(scope="module")
def tokenizer() -> WordTokenizer:
    return WordTokenizer.train(vocabulary_texts(CONFIG, 0))


def rows(ragged):
    return [ragged.values[a:b] for a, b in zip(ragged.starts, ragged.ends)]


def test_thinned_lives_still_answer_their_questions():
    lives = draw(RecallTraining(stretch=(10,)), 24, 6, 8, (3, 1, 0))
    for told, asked in lives:
        assert len(told) == 24 and told[-1].t - told[0].t > 24
        reader = Reader()
        for event in told:
            reader.read(event)
        assert all(
            reader.answer(q.question) in (q.answer, *q.accept) for q in asked if q.kind in ("oneoff", "who")
        )
        times = {event.t for event in told}
        assert all(t in times for q in asked for t in q.evidence)


def test_weak_kinds_are_practised():
    practice = dict.fromkeys(KINDS, 0.05) | {"before": 5.0}
    told = [q.kind for _, asked in draw(CONFIG, 64, 8, 8, (3, 2, 0), practice) for q in asked]
    even = [q.kind for _, asked in draw(CONFIG, 64, 8, 8, (3, 2, 0)) for q in asked]
    assert told.count("before") > 1.5 * even.count("before") and len(told) == len(even) == 64


def test_answers_stand_in_the_events_that_are_evidence(tokenizer):
    packer = Packer(tokenizer, CONFIG)
    for key in (None, (1, 2, 3), (1, 2, 4)):
        batch = packer.pack(draw(CONFIG, 32, 4, 8, (4, 0, 0)), key)
        sentences, answers = rows(batch.events.sentences), rows(batch.asked.answers)
        found = 0
        for n, kind in enumerate(batch.kinds):
            b, q = divmod(n, batch.every.shape[1])
            if kind in ("unknown", "when"):
                continue
            at = np.flatnonzero(batch.evidence[-1, b, q, :-1])
            assert len(at) == 1
            found += holds(sentences[batch.events.idx[b, at[0]]], answers[n][:-1])
        assert found == sum(kind not in ("unknown", "when") for kind in batch.kinds)
        assert (batch.evidence[-1, :, :, -1].reshape(-1) == [kind == "unknown" for kind in batch.kinds]).all()


def test_without_labels_all_events_that_hold_the_answer_count(tokenizer):
    from dataclasses import replace

    lives = draw(CONFIG, 32, 4, 8, (4, 1, 0))
    told = Packer(tokenizer, CONFIG).pack(lives)
    sought = Packer(tokenizer, replace(CONFIG, labels="answers")).pack(lives)
    assert (sought.evidence[-1] | ~told.evidence[-1]).all()  # each labelled event is among them
    assert sought.evidence.sum() > told.evidence[-1].sum() and not sought.evidence[:-1].any()
    assert not sought.every.any()


def test_disguised_words_stay_apart_and_numbers_stay_where_they_are(tokenizer):
    question = Question("At time 4060, who took my fishing rod?", "Omar Sharif", "oneoff", 5000)
    event = Event(4000, "I gave Omar Sharif my fishing rod.", "2036-06-15")
    packer = Packer(tokenizer, RecallTraining(nonces=(1.0,), template_nonces=(1.0,), double=1.0))
    plain = packer.pack([([event], [question])])
    other = packer.pack([([event], [question])], (5, 6, 7))
    words, before = rows(other.asked.words)[0], rows(plain.asked.words)[0]
    assert len(words) > len(before)
    number = tokenizer.encode("4060")
    for batch, ids in ((plain, before), (other, words)):
        times = batch.asked.times
        step = np.flatnonzero(times.valid[0] & (times.reading[0] == READING["step"]))
        ends = times.at[0, step]
        assert (ids[ends[0] - 3 : ends[0] + 1] == number).all()
    assert READING[READINGS[0]] == 0
    V = tokenizer.vocab_size
    unknown = words[words >= V]
    assert len(unknown) and not set(unknown) & set(before)


def test_a_batch_depends_on_its_key_alone(tokenizer):
    packer = Packer(tokenizer, CONFIG)
    one, two, other = (
        packer.pack(draw(CONFIG, 16, 4, 8, key), key) for key in ((1, 5, 0), (1, 5, 0), (1, 6, 0))
    )
    assert np.array_equal(one.events.sentences.values, two.events.sentences.values)
    assert np.array_equal(one.evidence, two.evidence) and one.kinds == two.kinds
    assert not np.array_equal(one.events.sentences.values, other.events.sentences.values)


def test_words_that_are_left_out_are_neither_names_nor_numbers(tokenizer):
    lives = draw(CONFIG, 32, 4, 8, (4, 2, 0))
    plain = Packer(tokenizer, RecallTraining(dropped=(0.0,), nonces=(0.0,), template_nonces=(0.0,)))
    short = Packer(tokenizer, RecallTraining(dropped=(1.0,), nonces=(0.0,), template_nonces=(0.0,)))
    whole, thin = plain.pack(lives, (1, 2, 3)), short.pack(lives, (1, 2, 3))
    for before, after in zip(rows(whole.events.sentences), rows(thin.events.sentences)):
        kept = before[~np.isin(before, short.droppable)]
        assert np.array_equal(after, kept) and len(kept) > 0
    assert len(thin.asked.words.values) < len(whole.asked.words.values)
    assert np.array_equal(thin.asked.answers.values, whole.asked.answers.values)
    for n in range(thin.asked.n):
        ids, old = rows(thin.asked.words)[n], rows(whole.asked.words)[n]
        times = thin.asked.times
        for at, was in zip(times.at[n][times.valid[n]], whole.asked.times.at[n][times.valid[n]]):
            assert (at < 0) == (was < 0)
            assert at < 0 or ids[at] == old[was] or old[was] in short.droppable


def test_what_is_named_in_the_other_language_keeps_its_name():
    config = RecallTraining(language="mixed", vocabulary_lives=20, nonces=(1.0,), template_nonces=(0.0,))
    words = WordTokenizer.train(vocabulary_texts(config, 0))
    packer, seen = Packer(words, config), set()
    for step in range(12):
        lives = draw(config, 32, 4, 8, (6, step, 0))
        translated = any(translates(told, q) for told, asked in lives for q in asked)
        batch = packer.pack(lives, (6, step, 0))
        unknown = (batch.asked.answers.values >= words.vocab_size).any()
        assert unknown != translated
        seen.add(translated)
    assert seen == {False, True}
