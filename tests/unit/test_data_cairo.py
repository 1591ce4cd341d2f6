"""A life in Cairo: the same bytes everywhere, the rates that it promises, flat memory, splits apart."""

import hashlib
import json
import math
import os
import subprocess
import sys
import time
import tracemalloc
from collections import Counter
from datetime import date

import pytest

from chronos.console import ChronosError
from chronos.data.cairo.book import ATTRIBUTES
from chronos.data.cairo.grammar import understand
from chronos.data.cairo.life import COUNTS, RATES, SPLITS, Life, Options
from chronos.data.cairo.reader import solve
from chronos.data.cairo.record import Record
from chronos.data.cairo.writing import show_cairo, write_cairo
from chronos.data.dice import Dice

GOLDEN = {
    "en": "d0c3079168b9db510ae2122004fd59ec2d62b894e89813ff7766bbaa50195dc0",
    "ar": "d93a5c8843343749a479f7696b0bd9ed65fdb04a1b8cba8fcc055678a0e56b57",
    "mixed": "8d9f2361377666a7289234d721c3ae63695691a00ffbf518737eb304fe9b0995",
}
SCRIPT = """
import hashlib, sys
from chronos.data.cairo.life import Life
life = Life(400, 11, language=sys.argv[1])
rows = [(e.t, e.text, e.date) for e in life.events()]
rows += [(q.question, q.answer, q.kind, q.t, q.age, q.overwrites, q.evidence, q.accept)
         for q in life.questions()]
print(hashlib.sha256(repr(rows).encode()).hexdigest())
"""


@pytest.mark.parametrize("language", GOLDEN)
@pytest.mark.parametrize("hash_seed", ["0", "1"])
def test_a_life_is_the_same_for_ever(language, hash_seed):
    env = os.environ | {"PYTHONHASHSEED": hash_seed}
    run = [sys.executable, "-c", SCRIPT, language]
    done = subprocess.run(run, env=env, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == GOLDEN[language]


def test_a_life_is_told_again_alike_and_asked_alike_before_during_and_after():
    life = Life(300, 2, language="mixed")
    early = life.questions(40, at=150)
    first = []
    for event in life.events():
        first.append(event)
        if event.t == 150:
            assert life.questions(40, at=150) == early
    assert list(life.events()) == first
    assert life.questions(40, at=150) == early
    assert life.questions(20) == life.questions(40)[:20]
    other = Life(300, 2, language="mixed")
    next(other.events())  # listened to for a moment only
    assert other.questions(40) == life.questions(40)
    assert all(max(q.evidence, default=0) <= 150 == q.t for q in early)


def test_a_life_can_be_looked_at():
    shown = list(show_cairo(12, 3, questions=4, split="train"))
    life = Life(12, 3, split="train")
    assert shown[:12] == [f"{event.t:2}  {event.text}" for event in life.events()]
    assert shown[12:] == ["", *(f"{q.question} {q.answer}" for q in life.questions(4))]


def test_steps_are_hours_and_days_have_twenty_four():
    events = list(Life(100, 3).events())
    assert [event.t for event in events] == list(range(1, 101))
    days = Counter(event.date for event in events)
    assert list(days.values()) == [24, 24, 24, 24, 4]
    first, *_, last = days
    assert (date.fromisoformat(last) - date.fromisoformat(first)).days == 4
    late = list(Life(3, 3, first=4060).events())
    assert [event.t for event in late] == [4060, 4061, 4062]
    assert (date.fromisoformat(late[0].date) - date.fromisoformat(first)).days == 4059 // 24


def test_the_same_life_in_two_languages():
    """What happens does not depend on the words: statement by statement the same meaning."""
    english, arabic = ([understand(e.text) for e in Life(500, 4, language=x).events()] for x in ("en", "ar"))
    said = [(a and (a.name, a.key, a.value.en)) for a in english]
    assert said == [(b and (b.name, b.key, b.value.en)) for b in arabic]
    assert sum(x is not None for x in said) > 250


@pytest.mark.parametrize("changes", ["announced", "shown"])
def test_attributes_change_at_their_rates(changes):
    n = 20_000
    life = Life(n, 5, changes=changes)
    record = Record()
    kinds = Counter(group for _, group, _ in life.steps(record))
    assert {group[0] for group in kinds} >= {"mention", "distract", "filler", "state"}
    if changes == "shown":
        assert not any(group[0] == "change" for group in kinds)
        return
    for name, rate in RATES.items():
        sigma = math.sqrt(n * rate / 100 * (1 - rate / 100))
        assert abs(kinds["change", name] - n * rate / 100) < 4 * sigma, name
    for name, log in record.logs.items():
        assert len(set(log.values)) == COUNTS[name] == len(life.values[name])
        assert len(log.turns) == kinds["change", name]


def test_a_value_holds_until_its_change_is_told():
    said = {}
    for _, (what, *name), slots in Life(5000, 6).steps(Record()):
        if what == "mention":
            assert said.setdefault(name[0], slots["v"]) is slots["v"]
        elif what == "change":
            assert said[name[0]] is slots["o"] is not slots["v"]
            said[name[0]] = slots["v"]


def test_no_two_splits_share_a_stream():
    states = {
        Dice(*Life(1, seed, split=split).key, part).state
        for split in SPLITS
        for seed in range(300)
        for part in range(4)
    }
    assert len(states) == 3 * 300 * 4
    lives = {split: [e.text for e in Life(50, 1, split=split).events()] for split in SPLITS}
    assert lives["train"] != lives["val"] != lives["test"] != lives["train"]


def test_ten_thousand_events_in_a_second_on_disk(tmp_path):
    start = time.process_time()
    stats = write_cairo(tmp_path / "life", 10_000, 1)
    assert time.process_time() - start < 3  # 0.3 s where nothing else runs
    assert stats["events"]["rows"] == 10_000 and stats["questions"]["rows"] >= 200
    assert stats["majority"]["all"]["share"] < 0.3
    assert (stats["source"], stats["split"], stats["language"]) == ("cairo", "test", "en")
    row = json.loads((tmp_path / "life" / "life.jsonl").read_text(encoding="utf-8").splitlines()[-1])
    assert set(row) == {"t", "text", "date"} and row["t"] == 10_000
    assert solve(tmp_path / "life")["accuracy"] == 1
    again = write_cairo(tmp_path / "again", 10_000, 1)
    assert [again[part]["sha256"] for part in ("events", "questions")] == [
        stats[part]["sha256"] for part in ("events", "questions")
    ]


def test_memory_is_flat_in_the_length():
    """A few bytes a statement are kept, no text: far below what this life's sentences take."""
    life = Life(10_000, 1)
    next(life.events())
    tracemalloc.start()
    characters = sum(len(event.text) for event in life.events())
    asked = life.questions()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert characters > 300_000 and len(asked) == 240
    assert peak < 300_000


def test_short_lives_may_lack_an_attribute_and_long_ones_never_do():
    assert {len(Life(64, seed).present) for seed in range(40)} == {4, 5}
    assert {len(Life(1000, seed).present) for seed in range(10)} == {len(ATTRIBUTES)}


@pytest.mark.parametrize(
    "options, words",
    [
        ({"events": 0}, "events of a life must be a whole number"),
        ({"events": True}, "events of a life must be a whole number"),
        ({"seed": -1}, "seed of a life"),
        ({"split": "dev"}, "unknown split"),
        ({"language": "fr"}, "unknown language"),
        ({"changes": "hidden"}, "unknown changes"),
        ({"values": "new"}, "unknown values"),
        ({"templates": "held-out", "split": "train"}, "held-out templates are for tests"),
        ({"values": "held-out", "split": "val"}, "held-out values are for tests"),
        ({"facts": 11}, "facts must be between"),
        ({"rates": {"weather": 1}}, "rates are changes"),
        ({"rates": {"mood": 61}}, "rates are changes"),
        ({"first": 50_000_000}, "cannot go on so long"),
    ],
)
def test_options_that_cannot_be_are_one_clear_line(options, words):
    with pytest.raises(ChronosError, match=words):
        Options(**({"events": 10, "seed": 1} | options))


def test_a_refused_life_leaves_the_folder_as_it_was(tmp_path):
    write_cairo(tmp_path / "life", 20, 1)
    before = hashlib.sha256((tmp_path / "life" / "life.jsonl").read_bytes()).digest()
    with pytest.raises(ChronosError):
        write_cairo(tmp_path / "life", 20, 1, language="fr")
    with pytest.raises(ChronosError):
        write_cairo(tmp_path / "life", 20, 1, questions=-1)
    assert hashlib.sha256((tmp_path / "life" / "life.jsonl").read_bytes()).digest() == before
