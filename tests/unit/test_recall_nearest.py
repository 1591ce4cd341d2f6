"""The nearest events by words: the formula, what a word is, filters, and when an answer shows them."""

import math
import re
from collections import Counter

import numpy as np
import pytest

from chronos.architecture.kernels import words_fast, words_plain
from chronos.memory.episodes.layout import begins
from chronos.memory.episodes.store import EventStore
from chronos.memory.recall import Moment, Recaller, nearest, recaller
from chronos.memory.recall.answers import AsStored
from chronos.memory.recall.config import RecallConfig
from chronos.memory.recall.nearest import B, K, letters
from chronos.memory.recall.net import RecallNet
from chronos.tokenization.words import WordTokenizer

TOLD = [
    "The squire kept a parrot in a cage, and the parrot was old.",
    "A lamp stood on the table.",
    "The captain bought stockings from a hawker.",
    "The captain was ill, and the doctor came with the squire.",
    "Nobody saw the map of the island but the captain.",
]
MANY = [
    *TOLD, "", "…", "قابَلْتُ عُـمَر في الجيزة", "Café Žižkov — naïve", "Cafe\u0301 2024", "我住在北京", "😀 x 😀",
    "a" * 300, "\u00ad", "e\u0301", "x\u00ady",
]  # fmt: skip


def stored(path, texts, ids=None, sources=0):
    store = EventStore.create(path, width=4, identity={"model": "m"})
    store.append(np.ones((len(texts), 4)), texts, np.arange(len(texts)) * 10, ids=ids, sources=sources)
    store.flush()
    return store


@pytest.fixture
def store(tmp_path):
    with stored(tmp_path / "state", TOLD) as store:
        yield store


def texts(found):
    return [one.text for one in found]


def numbers(text: str) -> list[int]:
    return list(words_plain.word_numbers(text, letters()))


def test_scores_are_the_formula(store):
    question = "Who saw the old parrot, the PARROT of the captain?"
    told = [re.findall(r"\w+", text.lower()) for text in TOLD]
    asked, mean = set(re.findall(r"\w+", question.lower())), sum(map(len, told)) / len(told)
    rarity = {}
    for word in asked:
        n = sum(word in one for one in told)
        rarity[word] = math.log(1 + (len(told) - n + 0.5) / (n + 0.5)) ** 2
    expected = []
    for one in told:
        f, long = Counter(one), K * (1 - B + B * len(one) / mean)
        expected.append(sum(rarity[w] * f[w] / (f[w] + long) for w in asked) / sum(rarity.values()))
    found = {one.id: one.score for one in nearest.nearest(store, question, len(TOLD))}
    assert found == pytest.approx({i: score for i, score in enumerate(expected) if score}, rel=1e-5)


@pytest.mark.parametrize("ids", [None, [[1, 300, 2**31]] * len(MANY)])
def test_the_fast_twins_count_as_the_plain_ones(tmp_path, ids):
    """Over all kinds of letters, with and without token ids before the text, with some not allowed."""
    question = "قابلت عمر cafe naive 北 😀 the captain a 2024 xy é " + "a" * 300
    wanted = np.array(sorted(set(numbers(question))), np.uint64)
    with stored(tmp_path / "state", MANY, ids) as store:
        words, at = np.frombuffer(store.words, np.uint8), begins(store.records["packed"])
        allowed = np.ones(len(MANY), np.uint8)
        allowed[3] = 0
        some = (words, at, allowed, letters(), wanted)
        found = []
        for module, kind in ((words_plain, np.float64), (words_fast, np.float32)):
            lengths, holding = np.zeros(len(MANY), kind), np.zeros(len(wanted), np.int64)
            marks, scores = np.zeros(len(MANY), np.uint32), np.zeros(len(MANY), kind)
            module.word_lengths(lengths, *some, holding, marks)
            module.word_scores(scores, *some, np.arange(1.0, len(wanted) + 1), 1.2, 0.4, 5.0)
            found.append((lengths, holding, marks, scores))
        for slow, fast in zip(*found):
            assert slow == pytest.approx(fast, rel=1e-6)
        assert found[0][1].all() and not found[0][0][3]  # every wanted word stands somewhere
        assert found[0][0][[0, 5, 6, 10, 11]].tolist() == [13, 0, 0, 5, 3]


@pytest.mark.parametrize(
    "one, other",
    [
        ("Café", "CAFE\u0301"),
        ("naïve", "naive"),
        ("عُمَـر", "عمر"),
        ("well-known", "well known"),
        ("co\u00adop", "coop"),
        ("北京", "北 京"),
    ],
)
def test_one_word_however_it_is_written(one, other):
    assert numbers(one) == numbers(other) != []


def test_a_number_is_one_word_and_marks_are_none():
    assert len(numbers("1742")) == 1 and numbers("1742") != numbers("1724")
    assert numbers("… — !?") == []
    assert len(numbers("Omar’s lamp")) == 3


def test_rare_words_decide_and_common_ones_do_not(store):
    first, *others = nearest.nearest(store, "Where is the captain's parrot?")
    assert first.text == TOLD[0] and first.score > 2 * max(one.score for one in others)
    assert nearest.nearest(store, "Zaphod?") == () == nearest.nearest(store, "…?")
    assert nearest.nearest(store, "the parrot", 0) == ()


def test_filters_the_end_and_what_is_forgotten(tmp_path):
    with stored(tmp_path / "state", TOLD, sources=np.array([1, 1, 3, 1, 1])) as store:
        asked = "Which captain?"
        assert texts(nearest.nearest(store, asked, sources=["correction"])) == [TOLD[2]]
        assert texts(nearest.nearest(store, asked, since=25, until=40)) == [TOLD[3]]
        assert texts(nearest.nearest(store, asked, end=3)) == [TOLD[2]]
        assert nearest.nearest(store, asked, end=0) == () == nearest.nearest(store, asked, until=0)
        store.forget([2, 3])
        assert texts(nearest.nearest(store, asked)) == [TOLD[4]]


def test_of_equals_the_newest_and_each_text_once(tmp_path):
    told = ["The cat sat.", "The dog sat.", "A bird.", "The cat sat.", "The rat sat."] * 3
    with stored(tmp_path / "state", told) as store:
        found = nearest.nearest(store, "Who sat?")
        assert [one.id for one in found] == [14, 13, 11]
        assert len({one.score for one in found}) == 1


def test_blocks_change_nothing(store, monkeypatch):
    whole = nearest.nearest(store, "the squire and the captain", 5)
    monkeypatch.setattr(nearest, "BLOCK", 2)
    assert nearest.nearest(store, "the squire and the captain", 5) == whole != ()


def test_what_is_passed_over_could_not_be_among_the_best(tmp_path):
    """Two hundred events of rare and common words, some often: the three best of all, by the formula."""
    rng = np.random.default_rng(4)
    told = [" ".join(f"w{n}" for n in rng.zipf(1.3, rng.integers(1, 30)) % 40) + f" e{i}" for i in range(200)]
    with stored(tmp_path / "state", told) as store:
        for n in range(2, 38):
            question = f"w0 w1 w{n} w{n + 1}"
            every = nearest.nearest(store, question, 200)
            assert nearest.nearest(store, question) == every[:3]


# ---- beside an answer --------------------------------------------------------------------------------------


@pytest.fixture
def model(tmp_path, monkeypatch):
    """A memory of TOLD, and what the next answer is to be: (known, as_of, the event that it stands on)."""
    tokenizer = WordTokenizer.train(["the captain bought a lamp", "Who saw what?"])
    net = RecallNet(RecallConfig(vocabulary=tokenizer.vocab_size, width=16, heads=2, key=8), seed=1)
    model, said = Recaller(net, tokenizer, {"model": "m"}), []

    def answers(net, tokenizer, memory, questions, clock):
        known, as_of, at = said
        return [("lamp", known, as_of, [AsStored((at,), (0.9,), 0.1)])] * len(questions)

    monkeypatch.setattr(recaller, "answer_all", answers)
    with model.create_store(tmp_path / "state") as store:
        model.ingest(store, [Moment(10 * i, text) for i, text in enumerate(TOLD)], "told")

        def ask(question, known, as_of=None, at=1, **more):
            said[:] = known, as_of, at
            return model.ask(store, [question], **({"near": 3} | more))[0]

        yield ask


def test_an_answer_that_is_none_shows_the_nearest_and_stays_none(model):
    answer = model("Who kept the parrot?", False)
    assert not answer.known and answer.memories == ()
    assert answer.nearest[0].text == TOLD[0]
    assert model("Who kept the parrot?", False, near=0).nearest == ()


def test_as_of_the_time_that_is_asked_about(model):
    captain = "Which captain?"
    assert TOLD[4] in texts(model(captain, False).nearest)
    assert texts(model(captain, False, as_of=20).nearest) == [TOLD[2]]
    assert texts(model(captain, False, now=20).nearest) == [TOLD[2]]
    assert texts(model(captain, False, until=30).nearest) == [TOLD[2]]


def test_an_answer_that_overlooks_a_word_shows_who_says_it(model):
    answer = model("Who saw the parrot?", True)
    assert answer.known and [one.text for one in answer.memories] == [TOLD[1]]
    assert answer.nearest[0].text == TOLD[0]
    assert model("Who saw the parrot?", True, at=0).nearest == ()  # cited already
    assert model("Who saw the captain?", True).nearest == ()  # all words were learned
    assert model("Who saw Zaphod?", True).nearest == ()  # nobody says it


def test_what_is_nearest_was_not_used(model, tmp_path):
    model("Who kept the parrot?", False)
    with EventStore.open(tmp_path / "state") as store:
        assert store.uses(range(len(TOLD))).tolist() == [0] * len(TOLD)
