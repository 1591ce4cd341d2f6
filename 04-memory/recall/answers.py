"""From questions to answers: read the memory, say the answer, tell which events it stands on.

How an answer is found word by word is said in saying.py. It writes nothing.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from chronos.architecture.ops.stick import token_shares
from chronos.memory.episodes.reader import StoreReader
from chronos.memory.episodes.scan import Recall
from chronos.memory.recall.asking import times_of
from chronos.memory.recall.bonds import Bonds
from chronos.memory.recall.net import RecallNet
from chronos.memory.recall.packing import Asked, ragged
from chronos.memory.recall.saying import say
from chronos.memory.recall.storememory import StoreMemory
from chronos.tokenization.clock import Clock
from chronos.tokenization.words import WordTokenizer

LEAST = 0.01  # of the stick: what weighs less is not cited


@dataclass(frozen=True)
class Cited:
    """An event that an answer stands on: its weight over all hops, and the hop in which it weighs most."""

    id: int
    time: int
    source: str
    text: str
    weight: float
    hop: int


@dataclass(frozen=True)
class AsStored:
    """What a hop recalled for one question: ids and weights, heaviest first, and what was left."""

    ids: tuple[int, ...]
    weights: tuple[float, ...]
    null: float
    used: float = 1.0  # how far the answer depends on it: the clock of the next hop, 1 for the last


Said = tuple[str, bool, int | None, list[AsStored]]


def clock_of(store: StoreReader | None, now: int | None) -> Clock:
    """The clock of a memory: step 1 is the first hour of its first event's day; now is its newest event."""
    if store is None or not len(store):
        return Clock(0 if now is None else now, 0)
    newest = int(store.times[-1]) if now is None else now
    return Clock(newest, store.origin)


def answer_all(
    net: RecallNet, tokenizer: WordTokenizer, memory: StoreMemory, questions: Sequence[str], clock: Clock
) -> Iterator[Said]:
    """Each question's answer, whether it is one, the time it was taken to be about, and what was recalled."""
    words = ragged([tokenizer.encode(text) for text in questions])
    times = times_of([(text, clock, memory.cuts) for text in questions])
    begin = ragged([np.array([tokenizer.end])] * len(questions))
    reading = net.read(Asked(words, times, begin), memory)
    said = say(net, tokenizer.end, reading, Bonds(memory))
    chosen = token_shares(reading.when.scores.data, times.valid, hard=True).argmax(1)
    spelled = tokenizer.unknown([*questions, *memory.texts])
    unknown = {tuple(tokenizer.encode(text).tolist()) for text in net.config.unknown}
    for i, ids in enumerate(said):
        known = bool(ids) and tuple(ids) not in unknown
        text = tokenizer.decode(ids, spelled) if ids else net.config.unknown[0]
        as_of = None if times.reading[i, chosen[i]] == 0 else int(times.until[i, chosen[i]])
        clock = [*(float(g.data.reshape(-1)[i]) for g in reading.clocks), 1.0]
        yield text, known, as_of, [_stored(f.source, i, g) for f, g in zip(reading.found, clock)]


def _stored(found: Recall, row: int, used: float) -> AsStored:
    there = found.weights[row] > 0
    return AsStored(
        tuple(found.ids[row][there].tolist()),
        tuple(found.weights[row][there].tolist()),
        float(found.null[row]),
        used,
    )


def cited(store: StoreReader, reads: Sequence[AsStored]) -> tuple[Cited, ...]:
    """The events that count: those of the last hop, and of earlier ones as far as their clock was used."""
    weights: dict[int, list[float]] = {}
    for hop, read in enumerate(reads):
        for i, weight in zip(read.ids, read.weights):
            weights.setdefault(i, [0.0] * len(reads))[hop] += weight * read.used
    chosen = sorted((i for i in weights if max(weights[i]) >= LEAST), key=lambda i: (-sum(weights[i]), -i))
    found = []
    for i in chosen:
        event = store.event(i)
        hop = int(np.argmax(weights[i])) + 1
        found.append(Cited(i, event.time, event.source, event.text, sum(weights[i]), hop))
    return tuple(found)
