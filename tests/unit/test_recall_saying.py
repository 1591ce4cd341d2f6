"""Saying an answer: the likeliest of what greedy words and the recalled events' own runs of words offer."""

import numpy as np
import pytest

from chronos.architecture import ops
from chronos.architecture.tape import Tensor, apply, no_grad
from chronos.memory.recall import saying
from chronos.memory.recall.config import RecallConfig
from chronos.memory.recall.net import Reading, RecallNet
from chronos.memory.recall.packing import Asked, Events, Times, ragged
from chronos.training.recall.objective import LivesMemory

END, WORDS, EVENTS, ASKED = 1, 24, 4, 3


@pytest.fixture(scope="module", params=(0, 2, 3, 4))
def heard(request) -> tuple[RecallNet, Reading]:
    """An untrained model, unsure of all it says, that has read one life of events without common words."""
    rng = np.random.default_rng(request.param)
    config = RecallConfig(vocabulary=WORDS, width=32, heads=2, key=16, words=6, answer=5, time_slots=3)
    net = RecallNet(config, seed=request.param)
    net.point_key.weight.data *= 0.1
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
        weighed = saying.say(net, END, reading)
        monkeypatch.setattr(saying, "DOUBT", -np.inf)
        greedy = saying.say(net, END, reading)
        monkeypatch.setattr(saying, "DOUBT", 0.0)
        always = saying.say(net, END, reading)
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
    with no_grad():
        for found in reading.found:
            shares = np.zeros_like(found.shares.data)
            shares[..., -1] = 1
            found.shares = Tensor(shares)
        assert all(len(ids) <= net.config.answer for ids in saying.say(net, END, reading))
