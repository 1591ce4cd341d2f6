"""From questions to answers: read the memory, say the answer word by word, tell which events it stands on.

Greedy: the likeliest word each time, by the head or copied. Words are drafted from the recalled event and
checked together, so that most answers take two passes. It writes nothing.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from chronos.architecture.ops.pointer import likeliest
from chronos.architecture.ops.stick import token_shares
from chronos.memory.episodes.reader import StoreReader
from chronos.memory.episodes.scan import Recall
from chronos.memory.recall.asking import times_of
from chronos.memory.recall.net import Reading, RecallNet
from chronos.memory.recall.packing import Asked, ragged
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
    said = _say(net, tokenizer, reading)
    chosen = token_shares(reading.when.scores.data, times.valid, hard=True).argmax(1)
    spelled = tokenizer.unknown([*questions, *memory.texts])
    unknown = {tuple(tokenizer.encode(text).tolist()) for text in net.config.unknown}
    for i, ids in enumerate(said):
        known = bool(ids) and tuple(ids) not in unknown
        text = tokenizer.decode(ids, spelled) if ids else net.config.unknown[0]
        as_of = None if times.reading[i, chosen[i]] == 0 else int(times.until[i, chosen[i]])
        clock = [*(float(g.data.reshape(-1)[i]) for g in reading.clocks), 1.0]
        yield text, known, as_of, [_stored(f.source, i, g) for f, g in zip(reading.found, clock)]


def _say(net: RecallNet, tokenizer: WordTokenizer, reading: Reading) -> list[list[int]]:
    """The words of all answers, without <end>.

    Each pass looks at what is said so far and a draft of what may follow, and keeps the draft as far as it is
    what would have been said anyway: the same words as one at a time, in fewer passes.
    """
    n, most = reading.asked.n, net.config.answer
    slots = [found.events.slots(net.config.words) for found in reading.found]  # (n, k, L) a hop
    width = max(part.shape[1] for part in slots)
    slots = np.stack([_filled(part, width, -1) for part in slots], 1)  # (n, H, k, L)
    shares = np.stack([_filled(found.shares.data[:, 0, :-1], width, 0) for found in reading.found], 1)
    said: list[list[int]] = [[] for _ in range(n)]
    draft: list[list[int]] = [[] for _ in range(n)]
    open_ = list(range(n))
    while open_:
        answers = [np.array([*said[i], *draft[i], tokenizer.end], np.int64) for i in range(n)]
        answers = [answers[i] if i in set(open_) else answers[i][:1] for i in range(n)]
        reading = net.extend(reading, ragged(answers))
        states, gate, scores, of = net.say(reading)
        logits = states.data @ net.emb.data.T
        logits -= logits.max(1, keepdims=True)
        p_lm = np.exp(logits)
        p_lm /= p_lm.sum(1, keepdims=True)
        best, _ = likeliest(p_lm, gate.data, scores.data, shares[of], slots[of])
        starts, still = reading.asked.answers.starts, []
        for i in open_:
            told = best[starts[i] + len(said[i]) :]
            kept = 0
            while kept < len(draft[i]) and draft[i][kept] == told[kept]:
                kept += 1
            more = [*draft[i][:kept], int(told[kept])]
            said[i] += more
            if tokenizer.end in said[i]:
                said[i] = said[i][: said[i].index(tokenizer.end)]
            elif len(said[i]) < most:
                draft[i] = _draft(said[i][-1], slots[i], shares[i], most - len(said[i]) - 1)
                still.append(i)
        open_ = still
    return said


def _draft(last: int, slots: np.ndarray, shares: np.ndarray, most: int) -> list[int]:
    """What follows `last` in the heaviest recalled event that holds it: slots (H, k, L), shares (H, k)."""
    for h, k in sorted(np.ndindex(shares.shape), key=lambda at: -shares[at]):
        row = slots[h, k].tolist()
        if shares[h, k] > 0 and last in row:
            rest = row[row.index(last) + 1 :]
            rest = rest[: rest.index(-1)] if -1 in rest else rest
            return rest[: max(0, min(most, 3))]
    return []


def _filled(part: np.ndarray, width: int, fill: int) -> np.ndarray:
    """(n, k, …) → (n, width, …)."""
    more = np.full((len(part), width - part.shape[1], *part.shape[2:]), fill, part.dtype)
    return np.concatenate([part, more], axis=1)


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
