"""Which unknown words belong together, by what stands beside them in a store."""

import pytest

from chronos.memory.recall import Moment, Recaller, bonds
from chronos.memory.recall.bonds import Bonds
from chronos.memory.recall.config import RecallConfig
from chronos.memory.recall.net import RecallNet
from chronos.memory.recall.storememory import WHOLE, StoreMemory
from chronos.tokenization.clock import Clock
from chronos.tokenization.words import WordTokenizer

KNOWN = "I met and in the park with me sat for water juice waited alone"
TOLD = [
    "I met Abdel Rahman in the park.", "Abdel Rahman waited for me.", "Abdel Rahman and I sat in the park.",
    "I met Somaya in the park.", "Somaya waited for me.", "Somaya sat with me.", "Somaya and I waited.",
    "Somaya lingered.", "I met Nuri.", "Nuri lingered.", "Figment water and fig juice.",
    "I sat for fig juice.", "I sat with fig juice.", "I sat in Zamalek.", "I waited in Zamalek.",
    "I met and waited in Zamalek.", "Alone Saad sat.", "I met alone Saad.", "With alone Saad I waited.",
    "alone Saad", "In the park alone Saad waited.",
]  # fmt: skip


@pytest.fixture
def recaller() -> Recaller:
    tokenizer = WordTokenizer.train([KNOWN])
    config = RecallConfig(vocabulary=tokenizer.vocab_size, width=32, heads=2, key=16)
    return Recaller(RecallNet(config, seed=0), tokenizer, {"kind": "test"})


def bond_of(recaller, store, **filters):
    """`bond("Abdel", "Rahman")` over a store whose events were all recalled."""
    seen = {"since": None, "until": None, "sources": None} | filters
    memory = StoreMemory(recaller.net, recaller.tokenizer, store, Clock(0, 0), without=WHOLE, **seen)
    memory.texts.update({text: recaller.tokenizer.encode(text) for text in TOLD})
    found = Bonds(memory)
    return lambda a, b: found(*(int(recaller.tokenizer.encode(word)[0]) for word in (a, b)))


@pytest.fixture
def store(recaller, tmp_path):
    with recaller.create_store(tmp_path / "store") as store:
        recaller.ingest(store, (Moment(i, text) for i, text in enumerate(TOLD)), "told")
        yield store


def test_names_hold_together_and_others_do_not(recaller, store):
    bond = bond_of(recaller, store)
    assert bond("Abdel", "Rahman") == 1
    assert bond("Somaya", "waited") == bond("Somaya", "lingered") == bond("met", "Somaya") == -1
    assert bond("fig", "juice") == 1  # "Figment" is another word
    assert bond("juice", "for") == 0  # the network knows both
    assert bond("Nuri", "lingered") == 0  # read too seldom
    assert bond("alone", "Saad") == 1  # a name may begin with a word that the network knows as another
    assert bond("Zamalek", ".") == 0  # always so, yet a mark is no part of a name
    assert bond("in", "Zamalek") == 0  # always so, yet a name begins with a word that was not learned


def test_only_what_may_be_remembered_is_counted(recaller, store):
    assert bond_of(recaller, store, until=2)("Abdel", "Rahman") == 0
    store.forget([0])
    assert bond_of(recaller, store)("Abdel", "Rahman") == 0
    assert bond_of(recaller, None)("Abdel", "Rahman") == 0


def test_only_the_newest_are_looked_at(recaller, store, monkeypatch):
    more = [f"Abdel {word} Rahman" for word in ("met", "and", "with", "for")]
    recaller.ingest(store, (Moment(99, text) for text in more), "more")
    assert bond_of(recaller, store)("Abdel", "Rahman") == -1
    monkeypatch.setattr(bonds, "NEWEST", 3)
    assert bond_of(recaller, store)("Abdel", "met") == -1
    monkeypatch.setattr(bonds, "NEWEST", 48)
    monkeypatch.setattr(
        bonds, "REACH", sum(len(text) + 2 for text in more) + 5
    )  # the last byte of an event before
    assert bond_of(recaller, store)("Abdel", "Rahman") == -1
    monkeypatch.setattr(bonds, "REACH", 20)
    assert bond_of(recaller, store)("Abdel", "Rahman") == 0


@pytest.mark.parametrize("damage", [lambda starts: starts + 10**6, lambda starts: starts[::-1].copy()])
def test_starts_that_cannot_be_end_the_search(recaller, store, monkeypatch, damage):
    """A search goes from newer to older words or stops; it never stands still."""
    monkeypatch.setattr(bonds, "begins", lambda packed, begins=bonds.begins: damage(begins(packed)))
    assert bond_of(recaller, store)("Abdel", "Rahman") in (-1, 0, 1)
