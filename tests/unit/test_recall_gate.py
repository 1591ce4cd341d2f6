"""The surprise gate: the kernel's twins agree; what is said again is let go, what is new is written."""

import numpy as np
import pytest

from chronos.architecture.kernels import novelty_fast, novelty_plain
from chronos.memory.recall.config import RecallConfig
from chronos.memory.recall.gate import LEAST, WORDS, Costs, Recent, Writing, costs, novelty
from chronos.memory.recall.net import TOPIC, RecallNet
from chronos.memory.recall.packing import ragged

HOME, MOOD = np.eye(TOPIC, dtype=np.float32)[:2]


def life(*told: tuple[np.ndarray, tuple[int, ...]]) -> Costs:
    """Events, each about one thing, with some salient words that cost two nats each."""
    words = np.full((len(told), WORDS), -1, np.int64)
    for row, (_, said) in zip(words, told):
        row[: len(said)] = said
    topics = np.stack([topic for topic, _ in told])
    return Costs(topics, words, np.where(words >= 0, 2.0, 0).astype(np.float32))


def test_the_twins_agree():
    rng = np.random.default_rng(0)
    keys = rng.standard_normal((400, 8)).astype(np.float32)
    keys[100:] = keys[rng.integers(0, 100, 300)] + 0.2 * rng.standard_normal((300, 8)).astype(np.float32)
    keys /= np.linalg.norm(keys, axis=1, keepdims=True)
    words = rng.integers(-1, 6, (400, 3))
    nats = (rng.random((400, 3)) * (words >= 0)).astype(np.float32)
    found = []
    for module in (novelty_plain, novelty_fast):
        ring = (np.zeros((32, 8), np.float32), np.full((32, 3), -1), np.full(32, -1), np.zeros(1, np.int64))
        parts = [
            module.novelty(keys[s], words[s], nats[s], 0.9, 0.5, *ring)
            for s in (slice(0, 150), slice(150, 400))
        ]
        found.append([np.concatenate(part) for part in zip(*parts)] + [*ring])
    for plain, fast in zip(*found):
        assert np.allclose(plain, fast, atol=1e-6)
    new, like = found[0][:2]
    assert 0.1 < (new > 0.5).mean() < 0.9 and (like >= 0).any()


def test_what_the_newest_event_of_its_kind_said_is_not_written():
    said = life((HOME, (7,)), (MOOD, (3,)), (HOME, (7,)), (HOME, (8,)), (HOME, (7,)), (MOOD, (3,)))
    nats, like = novelty(said)
    assert (nats > LEAST).tolist() == [True, True, False, True, True, False]
    assert like.tolist() == [-1, -1, 0, 0, 3, 1]


def test_the_same_words_in_another_order_say_something_else():
    said = life((HOME, (7, 8)), (HOME, (8,)), (HOME, (8, 7)), (HOME, (7,)), (HOME, (8, 7)), (HOME, (7, 8)))
    nats, like = novelty(said)  # from 7 to 8, in 8, from 8 to 7, in 7, the same again, and back
    assert nats.tolist() == [4, 0, 2, 0, 0, 2]
    assert like.tolist() == [-1, 0, 0, 2, 2, 2]


def test_what_says_nothing_is_not_written_and_nothing_stands_for_it():
    said = life((HOME, ()), (HOME, (7,)), (HOME, ()))
    nats, like = novelty(said)
    assert nats.tolist() == [0, 2, 0] and like.tolist() == [-1, -1, 1]


def test_the_gate_remembers_between_readings():
    said = life((HOME, (7,)), (HOME, (7,)))
    gate = Writing()
    assert gate.judge(said[:1])[0].all()
    assert not gate.judge(said[1:])[0].any()
    again = Writing()
    again.remember(said[:1])
    assert not again.judge(said[1:])[0].any()


def test_only_salient_words_cost_and_unknown_ones_cost_most():
    net = RecallNet(RecallConfig(vocabulary=30, width=8, heads=2, key=4), 0)
    sentences = ragged([np.array([6, 7, 8]), np.array([9, 2**61])])
    h, _ = net.encode(sentences)
    net.salience.bias.data[...] = 20
    told = costs(net, sentences, h)
    assert told.words[0, :3].tolist() == [6, 7, 8] and told.words[1, 2] == -1
    assert told.nats[1, 1] == pytest.approx(10) and (told.nats[0, 1:3] > 1).all()
    net.salience.bias.data[...] = -20
    told = costs(net, sentences, h)  # a word that was never learned is never thought to say nothing
    assert told.nats[1, 1] == pytest.approx(1) and told.words[1, 1] == 2**61
    assert np.count_nonzero(told.nats) == np.count_nonzero(told.words != -1) == 1


def test_the_ring_forgets_what_is_long_ago():
    recent = Recent(window=2)
    said = life((HOME, (1,)), (MOOD, (1,)), (MOOD, (2,)), (HOME, (1,)))
    nats, _ = novelty(said, recent)
    assert nats[3] > LEAST  # the first event has left the window
