"""The recall model at work, untrained: what it reads, says and cites follows from the store alone."""

from functools import partial

import numpy as np
import pytest

from chronos.architecture.tape import Tensor, no_grad
from chronos.console import ChronosError
from chronos.memory.episodes.scan import recall
from chronos.memory.modeldir import quantize_model
from chronos.memory.recall import Moment, Recaller, Without, load_recaller, save_recaller, saying
from chronos.memory.recall.answers import clock_of
from chronos.memory.recall.asking import times_of
from chronos.memory.recall.config import RecallConfig
from chronos.memory.recall.net import RecallNet
from chronos.memory.recall.packing import Asked, Events, ragged
from chronos.tokenization.clock import DAY, HOUR, marks
from chronos.tokenization.words import WordTokenizer
from chronos.training.recall.objective import LivesMemory

TOLD = [
    "I moved to Giza today.",
    "Omar bought a red lamp.",
    "Jana walked with me along the Nile.",
    "I hid the key under the blue pot.",
    "Now I live in Maadi instead of Giza.",
]
ASKED = [
    "Where am I now?",
    "Where was I at time 2?",
    "Where did I hide the key?",
    "Who was with me 3 hours ago?",
]


@pytest.fixture(scope="module")
def recaller() -> Recaller:
    tokenizer = WordTokenizer.train([*TOLD, *ASKED, "I don't know at time"])
    config = RecallConfig(vocabulary=tokenizer.vocab_size, width=32, heads=2, key=16)
    net = RecallNet(config, seed=3)
    for hop in net.hop:
        hop.strict.bias.data[1] = -2.0  # an untrained model recalls little otherwise
    return Recaller(net, tokenizer, {"model": "m", "tokenizer": tokenizer.hash})


@pytest.fixture
def store(recaller, tmp_path):
    with recaller.create_store(tmp_path / "state") as store:
        recaller.ingest(store, moments(), "life")
        yield store


def moments(texts=TOLD, source="user"):
    return [Moment(5 * DAY + i * HOUR, text, source) for i, text in enumerate(texts)]


def plain(answer):
    return (
        answer.text,
        answer.known,
        answer.as_of,
        [(c.id, c.hop, round(c.weight, 5)) for c in answer.memories],
    )


def test_a_question_alone_gets_the_answer_that_it_gets_among_others(recaller, store):
    together = [plain(answer) for answer in recaller.ask(store, ASKED)]
    assert together == [plain(recaller.ask(store, [text])[0]) for text in ASKED]
    assert len({text for text, *_ in together}) > 1


def test_drafts_change_nothing_but_the_number_of_passes(recaller, store, monkeypatch):
    passes = []
    say = RecallNet.say
    monkeypatch.setattr(RecallNet, "say", lambda self, reading: passes.append(1) or say(self, reading))
    found, counts = [], []
    drafts = (
        saying._draft,
        lambda *_: [],
        lambda last, slots, shares, most: [last] * min(3, most),
        lambda last, slots, shares, most: [last, 7, last][:most],
    )
    for draft in drafts:
        monkeypatch.setattr(saying, "_draft", draft)
        passes.clear()
        found.append([plain(answer) for answer in recaller.ask(store, ASKED)])
        counts.append(len(passes))
    assert found.count(found[0]) == len(drafts)
    assert counts[2] < counts[1]  # an untrained model says one word again and again


def test_nothing_is_recalled_from_an_empty_memory_or_with_memory_off(recaller, store, tmp_path):
    off = recaller.ask(store, ASKED, now=5 * DAY + 4 * HOUR, without=Without(memory=True))
    with recaller.create_store(tmp_path / "empty") as empty:
        bare = recaller.ask(empty, ASKED, now=5 * DAY + 4 * HOUR)
    gone = recaller.ask(None, ASKED, now=5 * DAY + 4 * HOUR)
    for answers in (off, bare, gone):
        assert all(read.ids == () and read.null == 1 for answer in answers for read in answer.reads)
        assert not any(answer.memories for answer in answers)
    assert [answer.text for answer in bare] == [answer.text for answer in gone]


def test_filters_hold_in_every_hop(recaller, store):
    late = 5 * DAY + 3 * HOUR
    for answer in recaller.ask(store, ASKED, since=late):
        assert all(store.times[i] >= late for read in answer.reads for i in read.ids)
    assert all(
        not read.ids for answer in recaller.ask(store, ASKED, sources=["training"]) for read in answer.reads
    )
    assert any(read.ids for answer in recaller.ask(store, ASKED) for read in answer.reads)


def test_shuffled_words_change_what_is_recalled_but_not_which_events_are_found(recaller, store):
    turned = np.roll(np.arange(len(TOLD)), 1)
    whole = recaller.ask(store, ASKED)
    mixed = recaller.ask(store, ASKED, without=Without(shuffled=turned))
    assert [a.reads[0].ids for a in whole] == [a.reads[0].ids for a in mixed]
    assert [a.reads[1].weights for a in whole] != [a.reads[1].weights for a in mixed]


def test_reading_again_adds_nothing_and_reading_on_goes_on(recaller, tmp_path):
    with recaller.create_store(tmp_path / "state") as store:
        first = recaller.ingest(store, moments(TOLD[:3]), "diary")
        again = recaller.ingest(store, moments(TOLD[:3]), "diary")
        more = recaller.ingest(store, moments(), "diary")
        assert (first.written, again.written, more.written) == (3, 0, 2)
        assert [store.event(i).text for i in range(len(store))] == TOLD
        with pytest.raises(ChronosError, match="changed since"):
            recaller.ingest(store, moments(TOLD[1:]), "diary")


@pytest.mark.parametrize("qtype", ["Q8_0", "Q2_K", "INT4", "F16", "BF16"])
def test_a_quantized_model_reads_and_answers(recaller, tmp_path, qtype):
    net, other = quantize_model(recaller.net, qtype)
    assert qtype == "Q2_K" or not other
    save_recaller(tmp_path / "model", net, recaller.tokenizer)
    small = load_recaller(tmp_path / "model")
    with small.create_store(tmp_path / "state") as store:
        small.ingest(store, moments(), "life")
        answers = small.ask(store, ASKED)
        assert small.ask(store, ASKED[:1])[0].text == answers[0].text  # a question without a number
    assert any(answer.memories for answer in answers) and {answer.text for answer in answers} != {""}


def test_neither_reading_nor_asking_changes_the_weights(recaller, store):
    before = {name: p.data.copy() for name, p in recaller.net.parameters().items()}
    recaller.ask(store, ASKED)
    recaller.ingest(store, moments(["Something else happened."]), "more")
    assert all(np.array_equal(p.data, before[name]) for name, p in recaller.net.parameters().items())


def test_a_model_directory_gives_the_same_answers_and_others_are_refused(recaller, store, tmp_path):
    save_recaller(tmp_path / "model", recaller.net, recaller.tokenizer)
    again = load_recaller(tmp_path / "model")
    again.identity = recaller.identity
    assert [plain(a) for a in again.ask(store, ASKED)] == [plain(a) for a in recaller.ask(store, ASKED)]
    store.flush()
    with pytest.raises(ChronosError, match="model"):
        load_recaller(tmp_path / "model").open_store(store.path)


def test_what_has_no_word_is_refused(recaller, store):
    with pytest.raises(ChronosError, match="a question needs a word"):
        recaller.ask(store, ["  "])
    with pytest.raises(ChronosError, match="an event without words"):
        recaller.ingest(store, moments([" "]), "blank")
    with pytest.raises(ChronosError, match="no such source"):
        recaller.ingest(store, moments(["Hello there."], source="nobody"), "x")


def test_training_and_use_take_the_same_shares(recaller, store, monkeypatch):
    """A batch of lives and a store on disk are the same memory, but for keys of 8 bits and small matches."""
    monkeypatch.setattr("chronos.memory.recall.storememory.recall", partial(recall, zmin=-1e9, spent=0.0))
    texts = [event.text for event in map(store.event, range(len(store)))]
    clock = clock_of(store, None)
    words = ragged([recaller.tokenizer.encode(text) for text in ASKED])
    times = times_of([(text, clock, store.cuts) for text in ASKED])
    begin = ragged([np.array([recaller.tokenizer.end])] * len(ASKED))
    slots = marks(np.asarray(store.times), clock, recaller.tokenizer)[None]
    sentences = ragged([recaller.tokenizer.encode(text) for text in texts])
    with no_grad():
        h, _ = recaller.net.encode(sentences)
        keys = Tensor(store.keys(np.arange(len(store))))
        lives = LivesMemory(Events(sentences, np.arange(len(store))[None], slots), h, keys, hard=True)
        reading = recaller.net.read(Asked(words, times, begin), lives, 1)
    for i, answer in enumerate(recaller.ask(store, ASKED)):
        for found, read in zip(reading.found, answer.reads):
            shares = np.zeros(len(store))
            shares[list(read.ids)] = read.weights
            assert np.allclose(found.shares.data[0, i, :-1], shares, atol=1e-5)
            assert abs(found.shares.data[0, i, -1] - read.null) < 1e-5
