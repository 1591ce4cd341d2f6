"""A stand-in for the recall model, so that `ingest` and `query` can be tested without one.

It keys an event by its words, and answers with the last word of the newest event that shares one.
"""

import dataclasses
import itertools
import json
import re
import time
import zlib
from pathlib import Path

import numpy as np

from chronos import cli
from chronos.memory import recall
from chronos.memory.bookmark import Bookmark
from chronos.memory.episodes.store import EventStore
from chronos.memory.recall import Answer, Cited, IngestStats, Moment
from chronos.memory.recall.nearest import nearest

WIDTH = 64


def words(text: str) -> set[str]:
    return {word for word in re.findall(r"\w+", text.lower()) if len(word) > 3}


class StandIn:
    """Keeps what it was asked in `calls`; flushes each `batch`, then pauses; stops after `dies` events."""

    batch, dies, pause = 3, None, 0.0

    def __init__(self, path: Path):
        self.identity = {"model": Path(path).name}
        self.calls: list[tuple] = []

    def create_store(self, path):
        return EventStore.create(path, width=WIDTH, identity=self.identity)

    def open_store(self, path, write=False):
        return EventStore.open(path, identity=self.identity, write=write)

    def ingest(self, store, events, cursor_name, *, total=None):
        mark, count, began = Bookmark(cursor_name, store.cursor(cursor_name)), 0, time.perf_counter()
        unread = mark.unread(events)
        while batch := list(itertools.islice(unread, self.batch)):
            assert all(isinstance(one, Moment) for one in batch)
            keys = np.zeros((len(batch), WIDTH))
            for row, one in zip(keys, batch):
                row[[zlib.crc32(word.encode()) % WIDTH for word in words(one.text)]] = 1
            store.append(
                keys, [m.text for m in batch], [m.time_us for m in batch],
                sources=[("unknown", "user").index(m.source) for m in batch],
            )  # fmt: skip
            count += len(batch)
            store.flush({cursor_name: mark.cursor(count)})
            time.sleep(self.pause)
            if self.dies is not None and count >= self.dies:
                raise KeyboardInterrupt
        store.flush({cursor_name: mark.cursor(count, done=True)})
        return IngestStats(count, count, store.disk_bytes(), count / (time.perf_counter() - began))

    def ask(self, store, questions, now=None, *, since=None, until=None, sources=None, near=0):
        self.calls.append((list(questions), now, since, until, sources))
        held = [store.event(i) for i in range(len(store)) if store.alive[i]][::-1]
        answers = [self.answer(held, question) for question in questions]
        return [
            one if one.known else dataclasses.replace(one, nearest=nearest(store, question, near))
            for one, question in zip(answers, questions)
        ]

    def answer(self, held, question):
        found = [one for one in held if words(one.text) & words(question)]
        cited = tuple(Cited(e.id, e.time, e.source, e.text, 0.5**i, 1) for i, e in enumerate(found, 1))
        return Answer(found[0].text.split()[-1].strip(".") if found else "", bool(found), cited, None)


def put_in_place(monkeypatch) -> list[StandIn]:
    """Let `chronos.memory.recall` be the stand-in; the list fills with those that commands load."""
    made: list[StandIn] = []

    def load_recaller(path):
        made.append(StandIn(path))
        return made[-1]

    monkeypatch.setattr(recall, "load_recaller", load_recaller)
    return made


def command(capsys, *arguments: object, code: int = 0):
    """Run a command on the model `model` and the memory `state`, unless it names others.

    Its JSON object and its warnings; with another exit `code` the one line of the error.
    """
    given = [str(one) for one in arguments]
    given += [] if "--model-path" in given else ["--model-path", "model"]
    given += ["--state", "state"] if "--state" not in given else []
    found = cli.main([*given, "--json"])
    captured = capsys.readouterr()
    assert found == code, captured.err
    if code:
        assert captured.err.count("\n") == 1, captured.err
        return captured.err
    warnings = [line for line in captured.err.splitlines() if line.startswith("warning: ")]
    return json.loads(captured.out) | {"warnings": warnings}
