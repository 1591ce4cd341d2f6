"""Saying an answer: the likeliest of what greedy words and the recalled events' own runs of words offer, less
what it tears apart."""

from dataclasses import replace

import numpy as np
import pytest

from chronos.architecture import ops
from chronos.architecture.ops.pointer import likeliest
from chronos.architecture.tape import Tensor, apply, no_grad
from chronos.memory.recall import saying
from chronos.memory.recall.config import RecallConfig
from chronos.memory.recall.net import Reading, RecallNet
from chronos.memory.recall.packing import Asked, Events, Times, ragged
from chronos.training.recall.objective import LivesMemory

END, WORDS, EVENTS, ASKED = 1, 24, 4, 3


def free(a: int, b: int) -> int:
    """No two words are known to belong together."""
    return 0


@pytest.fixture(scope="module", params=(2, 3, 4))
def heard(request) -> tuple[RecallNet, Reading]:
    """An untrained model, unsure of all it says, that has read one life of events without common words."""
    rng = np.random.default_rng(request.param)
    config = RecallConfig(vocabulary=WORDS, width=32, heads=2, key=16, words=6, answer=5, time_slots=3)
    net = RecallNet(config, seed=request.param)
    net.point_key.weight.data *= 0.1
    net.gate.bias.data[...] = -3  # it copies
    sentences = ragged([rng.permutation(np.arange(8, 40))[:n] for n in (5, 6, 4, 6)])  # 24 and above: unknown
    marks = np.full((ASKED, EVENTS, 3), -1)
    events = Events(sentences, np.tile(np.arange(EVENTS), (ASKED, 1)), marks)
    none = np.zeros((ASKED, 1), np.int64)
    times = Times(none - 1, none, none + EVENTS, none, none == 0)
    asked = Asked(ragged([rng.integers(8, 40, 4) for _ in range(ASKED)]), times, ragged([[END]] * ASKED))
    with no_grad():
        h, keys = net.encode(sentences)
        return net, net.read(asked, LivesMemory(events, h, keys), ASKED)


def likelihood(net: RecallNet, reading: Reading, i: int, ids: list[int]) -> float:
    """log p of an answer and its end, by the definition that training uses."""
    answers = [[END]] * ASKED
    answers[i] = [*ids, END]
    with no_grad():
        new = net.extend(reading, ragged(answers))
        states, gate, scores, of = net.say(new)
        told = np.zeros(len(of), np.float32)
        slots = new.found[0].events.slots(net.config.words)
        apply(
            ops.Pointer, states, net.emb, gate, scores, *(found.shares for found in new.found), words=slots,
            of=of, targets=new.asked.answers.values, told=told,
        )  # fmt: skip
    return float(np.log(told[of == i][: net.config.answer]).sum())  # the longest need no end


def offered(net: RecallNet, reading: Reading, i: int) -> list[list[int]]:
    """Every run of words of an event that some hop gave at least RECALLED to."""
    events, found = reading.found[0].events, []
    for hop in reading.found:
        for k in np.flatnonzero(hop.shares.data[i, 0, :-1] >= saying.RECALLED):
            at = events.idx[i, k]
            row = events.sentences.values[events.sentences.starts[at] : events.sentences.ends[at]].tolist()
            found += [row[a:b] for a in range(len(row)) for b in range(a + 1, len(row) + 1)]
    return [run for run in found if len(run) < net.config.answer]


def test_what_is_said_is_the_likeliest_of_greedy_words_and_recalled_runs(heard, monkeypatch):
    net, reading = heard
    with no_grad():
        weighed = saying.say(net, END, reading, free)
        monkeypatch.setattr(saying, "DOUBT", -np.inf)
        greedy = saying.say(net, END, reading, free)
        monkeypatch.setattr(saying, "DOUBT", 0.0)
        always = saying.say(net, END, reading, free)
    for i in range(ASKED):
        logs = {
            tuple(run): likelihood(net, reading, i, run) for run in [greedy[i], *offered(net, reading, i)]
        }
        best = max(logs.values())
        assert logs[tuple(weighed[i])] == best or logs[tuple(greedy[i])] >= np.log(0.5)
        assert logs[tuple(always[i])] == best
    assert always != greedy  # else the weighing would not be seen at work


def test_questions_without_a_recalled_event_are_answered(heard):
    net, reading = heard
    shares = np.zeros_like(reading.found[0].shares.data)
    shares[..., -1] = 1
    bare = replace(reading, found=[replace(found, shares=Tensor(shares)) for found in reading.found])
    with no_grad():
        assert all(len(ids) <= net.config.answer for ids in saying.say(net, END, bare, free))


def test_what_tears_a_name_apart_or_joins_what_is_none_counts_against_it():
    row = [7, 30, 31, 9]

    def bond(a: int, b: int) -> int:
        return {(30, 31): 1, (31, 9): -1}.get((a, b), 0)

    strains = {
        (at, n): saying._strain(row, at, n, bond) / saying.STRAIN for at in range(4) for n in (1, 2, 3)
    }
    assert strains[1, 2] == strains[0, 3] == 0  # the name, whole
    assert strains[1, 1] == strains[0, 2] == 1  # only its first word
    assert strains[2, 1] == 1 and strains[2, 2] == 2  # its last, and one that does not belong to it
    assert strains[1, 3] == 1
    assert saying._strain_anywhere([30], [row, [8, 30]], bond) == 0  # in another event it stands alone
    assert saying._strain_anywhere([30, 9], [row], bond) == saying.STRAIN  # in no event


def test_a_greedy_answer_that_breaks_a_bond_is_in_doubt(heard, monkeypatch):
    net, reading = heard
    doubted = []
    monkeypatch.setattr(saying, "STRAIN", 1000.0)
    monkeypatch.setattr(saying, "DOUBT", -500.0)
    monkeypatch.setattr(saying, "_weigh", lambda *given: doubted.extend(given[5]))
    with no_grad():
        greedy = saying.say(net, END, reading, free)
        copied = [i for i, ids in enumerate(greedy) if max(ids) >= WORDS]
        offers = {i: [run for run in offered(net, reading, i) if run == greedy[i]] for i in copied}
        assert doubted == [i for i in copied if not offers[i]]  # unknown words that stand so in no event
        doubted.clear()
        saying.say(net, END, reading, lambda a, b: 1)
    assert doubted == copied and copied  # a tight bond at every end


def test_what_would_tear_a_name_apart_is_not_said(heard, monkeypatch):
    net, reading = heard
    monkeypatch.setattr(saying, "STRAIN", 1000.0)
    with no_grad():
        first = saying.say(net, END, reading, free)
        for i, words in enumerate(map(set, first)):
            bound = saying.say(net, END, reading, lambda a, b, words=words: int(a in words or b in words))
            assert bound[i] != first[i]


def test_nobody_answers_without_a_word(heard, monkeypatch):
    """Where <end> comes first, what was recalled is said instead."""
    net, reading = heard

    def at_once(*heard):
        ids, p = likeliest(*heard)
        return np.full_like(ids, END), np.maximum(p, 0.9)

    monkeypatch.setattr(saying, "likeliest", at_once)
    with no_grad():
        said = saying.say(net, END, reading, free)
    assert all(bool(ids) == bool(offered(net, reading, i)) for i, ids in enumerate(said))
