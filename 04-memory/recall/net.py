"""The network of the recall model: sentences to keys, a question to reads of a memory, recalls to an answer.

It holds parameters and calls ops; what it reads from is a `Memory` (lives in a batch, or a store on disk).
The equations are in 04-memory/README.md; every array is ragged (packing.py). It writes nothing.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from chronos.architecture import ops
from chronos.architecture.layers import Linear, Module, Norm, normal, parameter
from chronos.architecture.tape import Tensor, apply
from chronos.memory.recall.blocks import Lower, Upper, orthogonal
from chronos.memory.recall.config import RecallConfig
from chronos.memory.recall.packing import Asked, Events, Ragged, Times, interleave
from chronos.tokenization.layout import WORD_SPECIALS
from chronos.tokenization.times import ALWAYS, OF_NUMBERS

FREE, NUMBERS = ALWAYS, (*OF_NUMBERS, "date")  # readings without a number, and of one
ANSWER = WORD_SPECIALS.index("<answer>")  # its id in every tokenizer of words
SCALE, BIAS = 12.0, -4.0  # of a match, before training: z = s·cos + b
TOPIC = 32  # numbers that say what a sentence is about, whatever it says of it
LOUD = 4.0  # how much of a key the words themselves are at first, against what they mean together
AHEAD = 3  # a number's time is judged by its own state and those of the next two words


@dataclass
class Found:
    """What one hop brought: shares (B, Q, N + 1) of these events, whose tokens have the states h (T, D)."""

    shares: Tensor
    events: Events
    h: Tensor
    logs: Tensor | None = None  # log shares, where a loss wants them
    source: Any = None  # what a later hop's clock needs of it


class Memory(Protocol):
    """Something to read from."""

    def look(
        self, hop: int, q: Tensor, s: Tensor, b: Tensor, when: "When", g: Tensor | None, first: Found | None
    ) -> Found:
        """q (B, Q, K), s, b, g (B, Q): the shares of the events that match."""
        ...


@dataclass
class When:
    """The time asked about: scores (n, C) for the candidates of `Times`."""

    scores: Tensor
    times: Times


@dataclass
class Reading:
    """A batch of questions, read and recalled: everything that an answer is made from."""

    asked: Asked
    question: Tensor  # (tokens of all questions, D)
    answer: Tensor  # (tokens of all answers, D), each seeing its question and the answer before it
    found: list[Found]
    recalls: list[Tensor]  # one a hop, (n, L + M, D)
    when: When
    clocks: list[Tensor]  # one a later hop, g (B, Q): how far it reads only before what the last one found


class Hop(Module):
    """One read: its query, how strict it is, and the vector that marks what it brought."""

    def __init__(self, config: RecallConfig):
        self.query = Linear(config.width, config.key, bias=False)
        self.pool, self.name_pool = Linear(config.width, 1, bias=False), Linear(config.width, 1, bias=False)
        self.strict = Linear(config.width, 2, bias=True)  # scale and bias of a match, by question
        self.mark = parameter((1, config.width))


class RecallNet(Module):
    """`encode(sentences)`, `read(asked, memory)`, `say(reading)`: the three steps from text to an answer."""

    def __init__(self, config: RecallConfig, seed: int | None = 0):
        """Initialised from `seed`, or left to be filled from a file with None."""
        c, D = config, config.width
        self.config, self.times = c, math.sqrt(D)
        self.emb = parameter((c.vocabulary, D))
        self.nonce_scale, self.nonce = parameter((1,)), parameter((D,))
        self.pos, self.kind = parameter((c.asked + c.answer + 1, D)), parameter((2, D))
        self.lower = [Lower(c) for _ in range(c.lower)]
        self.norm = Norm("rmsnorm", D, False, 1e-6)
        self.key, self.key_pool = Linear(D, c.key, bias=False), Linear(D, 1, bias=False)
        self.name, self.name_pool = Linear(D, c.key, bias=False), Linear(D, 1, bias=False)
        self.hop = [Hop(c) for _ in range(c.hops)]
        self.mix = [Upper(c) for _ in range(c.hops - 1)]
        self.clock = Linear(D, 1, bias=True)
        self.numbers = Linear(AHEAD * D, len(NUMBERS), bias=False)
        self.free = Linear(D, len(FREE), bias=True)
        self.slot, self.null = parameter((c.time_slots, D)), parameter((c.words + c.time_slots, D))
        self.upper = [Upper(c) for _ in range(c.upper)]
        self.point_query, self.point_key = Linear(D, D, bias=False), Linear(D, D, bias=False)
        self.gate = Linear(D, 1, bias=True)
        self.salience = Linear(D, 1, bias=True)  # of a word: whether it may be what is asked for
        self.topic, self.topic_pool = Linear(D, TOPIC, bias=False), Linear(D, 1, bias=False)
        if seed is not None:
            initialize(self, seed)

    # ---- sentences -----------------------------------------------------------------------------------------

    def encode(self, sentences: Ragged) -> tuple[Tensor, Tensor]:
        """States h (T, D) of all tokens, and keys (U, K) of unit length."""
        at = np.minimum(sentences.offsets(), self.config.asked - 1)
        words = self._words(sentences.values)
        h = self._lower(words, at, 0, sentences.ends)
        last = apply(ops.TakeRows, h, index=np.maximum(sentences.ends - 1, 0))
        pooled = _pooled(self.key_pool(h), h, sentences.ends)
        names = self._named(self.name_pool(h), words, sentences)
        return h, apply(ops.UnitRows, apply(ops.Add, self.key(apply(ops.Add, last, pooled)), names))

    def _named(self, scores: Tensor, words: Tensor, told: Ragged) -> Tensor:
        """What a sentence or question names (n, K), by its words alone: strangers count for more."""
        strange = (told.values >= self.config.vocabulary)[:, None] * np.float32(self.config.stranger)
        return self.name(_pooled(apply(ops.Add, scores, Tensor(strange)), words, told.ends))

    def topics(self, sentences: Ragged, h: Tensor) -> Tensor:
        """What sentences are about (U, TOPIC), of unit length, from their states h (T, D) as they are."""
        h = Tensor(h.data)
        last = apply(ops.TakeRows, h, index=np.maximum(sentences.ends - 1, 0))
        pooled = _pooled(self.topic_pool(h), h, sentences.ends)
        return apply(ops.UnitRows, self.topic(apply(ops.Add, last, pooled)))

    def _words(self, ids: np.ndarray) -> Tensor:
        return apply(ops.WordVectors, self.emb, self.nonce_scale, self.nonce, ids=ids, times=self.times)

    def _lower(self, x: Tensor, at: np.ndarray, kind: int, ends: np.ndarray) -> Tensor:
        kinds = np.full(len(at), kind, np.int64)
        place = apply(ops.TakeRows, self.pos, index=at)
        place = apply(ops.Add, place, apply(ops.TakeRows, self.kind, index=kinds))
        x = apply(ops.Add, x, apply(ops.ScaleBy, place, c=self.times))
        for layer in self.lower:
            x = layer(x, ends)
        return self.norm(x)

    # ---- a question ----------------------------------------------------------------------------------------

    def read(self, asked: Asked, memory: Memory, lives: int | None = None) -> Reading:
        """Read the memory for n questions, n / lives for each of `lives` lives (default: one a life)."""
        shape = (asked.n, 1) if lives is None else (lives, asked.n // lives)
        question, answer, named = self._question(asked)
        words, n, each = asked.words, asked.n, np.arange(asked.n)
        y = apply(ops.TakeRows, answer, index=asked.answers.starts)
        when = When(self._when(question, y, asked), asked.times)
        reading, g = Reading(asked, question, answer, [], [], when, []), None
        for i, hop in enumerate(self.hop):
            if i:
                slots = self._slots
                parts = [(words.starts, words.lengths)]
                begin = len(words.values)
                for _ in range(i):
                    parts.append((begin + each * slots, np.full(n, slots)))
                    begin += n * slots
                index, ends = interleave(*parts, (begin + each, np.ones(n, np.int64)))
                y = self.norm(self.mix[i - 1](y, [question, *reading.recalls], index, each + 1, ends))
                g = apply(ops.Reshape, apply(ops.Sigmoid, self.clock(y)), shape=shape)
                reading.clocks.append(g)
            names = self._named(hop.name_pool(question), named, words)
            q = hop.query(apply(ops.Add, y, _pooled(hop.pool(question), question, words.ends)))
            q = apply(ops.Add, q, names)
            s, b = self._strictness(hop, y, shape)
            q = apply(ops.Reshape, q, shape=(*shape, self.config.key))
            found = memory.look(i, q, s, b, when, g, reading.found[-1] if i else None)
            reading.found.append(found)
            reading.recalls.append(self._recall(hop, found))
        return reading

    def extend(self, reading: Reading, answers: Ragged, rows: np.ndarray | None = None) -> Reading:
        """The same reading with other words of its answers: nothing is read or recalled anew.

        rows (R,): which question each of the R answers is for (default: each its own); `say` then tells of
        these. The reads stay those of all questions.
        """
        asked, recalls = reading.asked, reading.recalls
        if rows is not None:
            asked = replace(asked, words=asked.words.take(rows))
            recalls = [Tensor(recall.data[rows]) for recall in recalls]
        asked = replace(asked, answers=answers)
        question, answer, _ = self._question(asked)
        return replace(reading, asked=asked, question=question, answer=answer, recalls=recalls)

    def _question(self, asked: Asked) -> tuple[Tensor, Tensor, Tensor]:
        """States of the questions' tokens and of the answers', <answer> in front; the questions' words."""
        words, answers = asked.words, asked.answers
        given = np.empty_like(answers.values)  # what stands before each token of an answer
        given[1:] = answers.values[:-1]
        given[answers.starts] = ANSWER
        index, ends = interleave(
            (words.starts, words.lengths), (len(words.values) + answers.starts, answers.lengths)
        )
        whole = Ragged(np.concatenate([words.values, given])[index], ends)
        at, length = whole.offsets(), np.repeat(words.lengths, whole.lengths)
        c = self.config
        place = np.where(
            at < length, np.minimum(at, c.asked - 1), c.asked + np.minimum(at - length, c.answer)
        )
        x = self._words(whole.values)
        h = self._lower(x, place, 1, ends)
        of_question = index < len(words.values)
        rows, others = np.flatnonzero(of_question), np.flatnonzero(~of_question)
        pairs = ((h, rows), (h, others), (x, rows))
        return tuple(apply(ops.TakeRows, a, index=index) for a, index in pairs)

    def _when(self, question: Tensor, y: Tensor, asked: Asked) -> Tensor:
        """Scores (n, C) of the candidates: a number by the words from it on, the others by the whole."""
        times, words = asked.times, asked.words
        n, C = times.at.shape
        row, column = np.nonzero(times.valid & (times.at >= 0))
        first, last = words.starts[row] + times.at[row, column], words.ends[row] - 1
        near = [apply(ops.TakeRows, question, index=np.minimum(first + k, last)) for k in range(AHEAD)]
        numbers, free = self.numbers(apply(ops.Side, *near)), self.free(y)
        index = np.zeros((n, C), np.int64)
        index[row, column] = np.arange(len(row)) * len(NUMBERS) + times.reading[row, column] - len(FREE)
        row, column = np.nonzero(times.valid & (times.at < 0))
        index[row, column] = numbers.data.size + row * len(FREE) + times.reading[row, column]
        flat = [apply(ops.Reshape, x, shape=(x.data.size, 1)) for x in (numbers, free)]
        return apply(ops.Reshape, apply(ops.Weave, *flat, index=index.reshape(-1)), shape=(n, C))

    def _strictness(self, hop: Hop, y: Tensor, shape: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """Scale s and bias b (B, Q) of a match, each question's own: some want any place, some one word."""
        found = hop.strict(y)
        s = apply(ops.Exp, apply(ops.ScaleBy, apply(ops.Column, found, at=0), c=0.3))
        return tuple(apply(ops.Reshape, x, shape=shape) for x in (s, apply(ops.Column, found, at=1)))

    @property
    def _slots(self) -> int:
        return self.config.words + self.config.time_slots

    def _recall(self, hop: Hop, found: Found) -> Tensor:
        events = found.events
        return apply(
            ops.Recalled, found.shares, found.h, self.emb, self.slot, self.null, hop.mark, idx=events.idx,
            ends=events.sentences.ends, length=self.config.words, marks=events.marks, times=self.times,
        )  # fmt: skip

    # ---- an answer -----------------------------------------------------------------------------------------

    def say(self, reading: Reading) -> tuple[Tensor, Tensor, Tensor, np.ndarray]:
        """For all R answer tokens: h (R, D) for the head (`emb`), gate (R,), scores (R, H, S), of (R,)."""
        asked, n = reading.asked, reading.asked.n
        words, answers, each = asked.words, asked.answers, np.arange(asked.n)
        slots, hops = self._slots, len(reading.recalls)
        begin, parts = len(words.values), [(words.starts, words.lengths)]
        for _ in range(hops):
            parts.append((begin + each * slots, np.full(n, slots)))
            begin += n * slots
        index, ends = interleave(*parts, (begin + answers.starts, answers.lengths))
        x = reading.answer
        for layer in self.upper:
            x = layer(x, [reading.question, *reading.recalls], index, answers.ends, ends)
        x, of = self.norm(x), answers.rows()
        order, _ = interleave(*((h * n * slots + each * slots, np.full(n, slots)) for h in range(hops)))
        keys = self.point_key(self.norm(apply(ops.Weave, *reading.recalls, index=order)))
        keys = apply(ops.Reshape, keys, shape=(n, hops * slots, self.config.width))
        scores = apply(ops.SlotScores, self.point_query(x), keys, of=of)
        gate = apply(ops.Reshape, self.gate(x), shape=(len(of),))
        scores = apply(ops.Reshape, scores, shape=(len(of), hops, slots))
        return apply(ops.ScaleBy, x, c=self.times / 2), gate, scores, of

    def sentence_head(self, h: Tensor, rows: np.ndarray) -> Tensor:
        """States of some tokens (R, D), scaled for the tied head: what the next word is."""
        return apply(ops.ScaleBy, apply(ops.TakeRows, h, index=rows), c=self.times / 2)


def _pooled(scores: Tensor, x: Tensor, ends: np.ndarray) -> Tensor:
    """One weighted mean of x (n, D) a segment, (S, D)."""
    return apply(ops.Reshape, apply(ops.RaggedPool, scores, x, ends=ends), shape=(len(ends), x.shape[1]))


def initialize(net: RecallNet, seed: int) -> None:
    """Small vectors, wide matrices; queries and keys begin equal; residual paths begin closed."""
    c = net.config
    named = dict(net.named())
    for name in ("emb", "pos", "kind", "slot", "null"):
        named[name].data[...] = normal(named[name].shape, 0.02, seed, name)
    net.nonce_scale.data[...] = 0.08
    for i, layer in enumerate(net.lower):
        layer.initialize(seed, f"lower.{i}")
    for i, layer in enumerate([*net.mix, *net.upper]):
        layer.initialize(seed, f"upper.{i}")
    net.key.weight.data[...] = normal((c.key, c.width), c.width**-0.5, seed, "key")
    net.name.weight.data[...] = normal((c.key, c.width), LOUD * c.width**-0.5, seed, "name")
    for i, hop in enumerate(net.hop):
        hop.query.weight.data[...] = net.key.weight.data
        hop.mark.data[...] = normal((1, c.width), 0.02, seed, f"hop.{i}.mark")
        hop.strict.bias.data[...] = math.log(SCALE) / 0.3, BIAS
    net.topic.weight.data[...] = normal(net.topic.weight.shape, c.width**-0.5, seed, "topic")
    net.free.bias.data[0] = 1.0  # as of now, unless the words say otherwise
    net.point_query.weight.data[...] = orthogonal(c.width, seed, "pointer")
    net.point_key.weight.data[...] = net.point_query.weight.data


def total(losses: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    """Σ weight · loss."""
    return apply(ops.WeightedSum, *losses, weights=tuple(weights))
