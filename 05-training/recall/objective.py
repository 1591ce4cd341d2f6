"""What the recall model is trained to do: say the answer, find the events that hold it, know how people talk.

One function from a batch to a loss, and the memory that a batch is. It knows no optimizer and no files.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from chronos.architecture import ops
from chronos.architecture.tape import Tensor, apply
from chronos.memory.recall.gate import LEAST, NEAR, SHARP, WORDS, costs, novelty
from chronos.memory.recall.net import Found, Reading, RecallNet, When, total
from chronos.memory.recall.packing import Events
from chronos.training.recall.config import RecallTraining
from chronos.training.recall.lives import Batch

READ = 0.3  # of the stick: an event with so much was what an answer stands on


@dataclass
class LivesMemory:
    """The memory of a batch: keys (U, K) of its sentences, read by every question of the same life.

    repeat: each later event counts so many times (length augmentation). written (B, N): 0 for events that the
    gate let go.
    """

    events: Events
    h: Tensor
    keys: Tensor
    repeat: float = 1.0
    hard: bool = False
    written: np.ndarray | None = None

    def look(
        self, hop: int, q: Tensor, s: Tensor, b: Tensor, when: When, g: Tensor, first: Found | None
    ) -> Found:
        """The stick-breaking read over events up to the time asked about; later hops by the clock, too."""
        B, N = self.events.idx.shape
        k = apply(ops.TakeRows, self.keys, index=self.events.idx.reshape(-1))
        k = apply(ops.Reshape, k, shape=(B, N, -1))
        times = when.times
        ok = apply(ops.AsOf, when.scores, cuts=times.cuts, valid=times.valid, events=N, hard=self.hard)
        ok = apply(ops.Reshape, ok, shape=(*q.shape[:2], N))
        if self.written is not None:
            ok = apply(ops.Masked, ok, mask=np.broadcast_to(self.written[:, None], ok.shape))
        clock = (g, first.shares) if first else (None, None)
        logs = apply(ops.StickRead, q, k, s, b, ok, *clock, repeat=self.repeat, log=True)
        return Found(apply(ops.Exp, logs), self.events, self.h, logs, (q, k, s, b))


@dataclass
class Answered:
    """A batch that was read and answered: the answers' loss, and all that other losses look at."""

    h: Tensor
    reading: Reading
    evidence: np.ndarray
    loss: Tensor  # nats a token
    right: np.ndarray  # (n,): each token of the answer had more than half of the probability
    written: float  # share of the events that the gate lets through


def answer(
    net: RecallNet, batch: Batch, top: int, *, repeat: float = 1.0, gate: bool = False, hard: bool = False
) -> Answered:
    """Read a batch of lives and say the answers. `hard`: only the likeliest time counts."""
    events, asked = batch.events, batch.asked
    h, keys = net.encode(events.sentences)
    written, evidence = gated(net, batch, h) if gate else (None, batch.evidence)
    memory = LivesMemory(events, h, keys, repeat, hard, written)
    reading = net.read(asked, memory, len(batch.every))
    states, own, scores, of = net.say(reading)
    told = np.zeros(len(of), np.float32)
    loss = apply(
        ops.Pointer, states, net.emb, own, scores, *(found.shares for found in reading.found),
        words=events.slots(net.config.words), of=of, targets=asked.answers.values, top=top,
        scale=1 / len(of), told=told,
    )  # fmt: skip
    right = np.logical_and.reduceat(told > 0.5, asked.answers.starts)
    return Answered(h, reading, evidence, loss, right, 1.0 if written is None else float(written.mean()))


def loss(
    net: RecallNet, batch: Batch, config: RecallTraining, *, repeat: float = 1.0, gate: bool = False,
    rng: np.random.Generator,
) -> tuple[Tensor, dict[str, Any]]:  # fmt: skip
    """The loss to be minimised, in nats a token, and what to report: parts, and what was right."""
    done = answer(net, batch, config.top, repeat=repeat, gate=gate)
    found, h = done.reading.found, done.h
    parts = {"answer": (done.loss, 1.0)}
    if config.evidence:
        marks = {"evidence": done.evidence, "every": batch.every, "scale": 1 / batch.asked.n}
        parts["evidence"] = (apply(ops.Evidence, *(one.logs for one in found), **marks), config.evidence)
    if config.lm:
        parts["sentences"] = (_sentences(net, h, batch.events, config, rng), config.lm)
    if config.salience:
        parts["salience"] = (_salience(net, h, batch, found[-1].shares.data), config.salience)
        parts["topics"] = (_topics(net, h, batch, _matches(*found[-1].source)), config.salience)
    value = total([part for part, _ in parts.values()], [weight for _, weight in parts.values()])
    told = {name: float(part.data) for name, (part, _) in parts.items()}
    return value, {"right": done.right, "written": done.written, **told}


def _matches(q: Tensor, k: Tensor, s: Tensor, b: Tensor) -> np.ndarray:
    """How far each event matches each question by itself (B, Q, N), whatever its time."""
    unit = q.data / np.maximum(np.linalg.norm(q.data, axis=-1, keepdims=True), 1e-6)
    z = s.data[..., None] * (unit @ k.data.swapaxes(-1, -2)) + b.data[..., None]
    return 1 / (1 + np.exp(-z))


def _sentences(
    net: RecallNet, h: Tensor, events: Events, c: RecallTraining, rng: np.random.Generator
) -> Tensor:
    """Cross-entropy of the next word, in some of the sentences; unknown words are left out."""
    sentences = events.sentences
    chosen = np.zeros(len(sentences.ends), bool)
    chosen[rng.permutation(len(chosen))[: c.lm_sentences]] = True
    inner = np.ones(len(sentences.values), bool)
    inner[sentences.ends - 1] = False
    rows = np.flatnonzero(inner & np.repeat(chosen, sentences.lengths))
    targets = sentences.values[rows + 1]
    targets = np.where(targets < net.config.vocabulary, targets, -1)
    count = max(1, int((targets >= 0).sum()))
    return apply(
        ops.LinearCrossEntropy, net.sentence_head(h, rows), net.emb, targets=targets, scale=1 / count
    )


def gated(net: RecallNet, batch: Batch, h: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Which events of each life are written (B, N) float32, and the evidence (H, B, Q, N + 1) among these.

    For an event that was let go stands the one that had said the same.
    """
    events = batch.events
    said = costs(net, events.sentences, h)
    written = np.ones(events.idx.shape, np.float32)
    evidence = batch.evidence.copy()
    for life, idx in enumerate(events.idx):
        nats, like = novelty(said[idx])
        gone = nats <= LEAST
        written[life, gone] = 0
        for i in np.flatnonzero(gone & evidence[:, life].any((0, 1))[:-1]):
            if like[i] >= 0:
                evidence[:, life, :, like[i]] |= evidence[:, life, :, i]
        evidence[:, life, :, :-1] &= ~gone
    return written, evidence


def _salience(net: RecallNet, h: Tensor, batch: Batch, shares: np.ndarray) -> Tensor:
    """How well the words that answer a question are told from the others of the events that it was read from.

    shares (B, Q, N + 1) of the last hop. The states are taken as they are: only the judgement is learned.
    """
    events, asked = batch.events, batch.asked
    sentences, answers = events.sentences, asked.answers
    life, question, event = np.nonzero((shares[..., :-1] > READ) & batch.evidence[-1, ..., :-1])
    sentence, asked_by = events.idx[life, event], life * batch.every.shape[1] + question
    pairs = np.unique(np.stack([sentence, asked_by]), axis=1)
    looked_at, hit = np.zeros(len(sentences.values), bool), np.zeros(len(sentences.values), bool)
    words, said = sentences.padded(WORDS), answers.padded(net.config.answer)
    said = np.where(np.arange(said.shape[1]) < answers.lengths[:, None] - 1, said, -2)  # without <end>
    same = (words[pairs[0]][:, :, None] == said[pairs[1]][:, None]).any(2)
    for (at, _), row in zip(pairs.T, same):
        n = min(int(sentences.lengths[at]), WORDS)
        place = slice(sentences.starts[at], sentences.starts[at] + n)
        looked_at[place] = True
        hit[place] |= row[:n]
    rows = np.flatnonzero(looked_at)
    scores = net.salience(apply(ops.TakeRows, Tensor(h.data), index=rows))
    scores = apply(ops.Reshape, scores, shape=(len(rows),))
    return apply(ops.Logistic, scores, labels=hit[rows], scale=1 / max(1, len(rows)))


def _topics(net: RecallNet, h: Tensor, batch: Batch, matches: np.ndarray) -> Tensor:
    """How well two events about the same thing are told from others: those are, which one question matches.

    matches (B, Q, N). Pairs count of which at least one event was matched by some question; the states are
    taken as they are.
    """
    idx, count = batch.events.idx, 0
    topics, losses = net.topics(batch.events.sentences, h), []
    for life, match in zip(idx, matches):
        both = (match[:, :, None] * match[:, None]).max(0)
        asked = match.max(0) > 0.5
        pair = (asked[:, None] | asked) & ~np.eye(len(life), dtype=bool)
        rows = np.flatnonzero(pair.reshape(-1))
        if len(rows):
            t = apply(ops.TakeRows, topics, index=life)
            cosines = apply(ops.Reshape, apply(ops.Linear, t, t, None), shape=(len(life) ** 2, 1))
            scores = apply(ops.ScaleBy, apply(ops.TakeRows, cosines, index=rows), c=SHARP)
            labels = (both > 0.5).reshape(-1)[rows][:, None]
            losses.append(apply(ops.Logistic, scores, labels=labels, shift=-SHARP * NEAR))
            count += len(rows)
    return total(losses, [1 / max(1, count)] * len(losses)) if losses else Tensor(np.float32(0))
