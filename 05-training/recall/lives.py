"""Batches of lives: drawn from a counter, packed for the recall model, with some words made unknown.

A batch depends on (seed, step, lane) alone, so that resuming needs no state. It trains nothing.
"""

import math
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from chronos.data.cairo import book
from chronos.data.cairo.asking import NAMING
from chronos.data.cairo.life import Life
from chronos.data.cairo.values import language_of
from chronos.data.dice import Dice
from chronos.data.liferows import Event, Question
from chronos.data.notes.dates import step_time
from chronos.memory.recall.asking import times_of
from chronos.memory.recall.packing import Asked, Events, Ragged, Times, ragged
from chronos.tokenization.clock import Clock, life_origin, marks
from chronos.tokenization.units import fold, split
from chronos.tokenization.words import HASH_BITS, WordTokenizer
from chronos.training.recall.config import RecallTraining

KINDS = ("now", "at", "before", "when", "oneoff", "who", "unknown", "join")
_TRANSLATED = 25  # percent of batches in two languages that ask in one for names told in the other
_LATE = 6  # lives begin at step 1 … 10^6: late times have more digits
_KEYS = (0x11FE, 0xB00C)  # streams of lives to train on, and of texts for the vocabulary


@dataclass(frozen=True)
class Batch:
    """B lives with Q questions each, and the right answers.

    evidence (H, B, Q, N + 1): what each hop is to find, null last: the last hop what holds the answer, those
    before it what it needs for that, or nothing. every (B, Q): each hop must find its own. kinds (B·Q).
    """

    events: Events
    asked: Asked
    evidence: np.ndarray
    every: np.ndarray
    kinds: tuple[str, ...]

    @property
    def tokens(self) -> int:
        """How many tokens the model reads."""
        asked = self.asked
        return len(self.events.sentences.values) + len(asked.words.values) + len(asked.answers.values)


Told = tuple[list[Event], list[Question]]


def draw(
    config: RecallTraining, events: int, lives: int, questions: int, key: Sequence[int],
    practice: Mapping[str, float] | None = None,
) -> list[Told]:  # fmt: skip
    """Lives of so many events, with so many questions each, of the training split.

    practice: how often each kind is asked, against the others (default: equally).

    Some are thinned out of longer ones (`stretch`), so that days and weeks lie between their events: what
    questions rest on is kept, and of the rest as much as there is room for.
    """
    dice, found = Dice(_KEYS[0], *key), []
    translated = dice.chance(_TRANSLATED)
    while len(found) < lives:
        first = 1 if dice.chance(30) else int(10 ** (dice.below(1000) / 1000 * _LATE))
        shown = config.shown and dice.chance(50)
        long = events * dice.pick(config.stretch)
        life = Life(
            long, dice.below(1 << 62), split="train", language=config.language, first=first,
            changes="shown" if shown else "announced", facts=round(dice.pick(config.facts) * long),
            kinds=dice.pick(config.kinds),
        )  # fmt: skip
        told = list(life.events())
        asked = life.questions(questions * (2 if practice else 1))
        if config.language == "mixed" and not translated:
            asked = [q for q in asked if not translates(told, q)]
        if practice:
            asked = _practised(asked, questions, practice, dice)
        if len(asked) < questions // 2:  # a life that lacks too much is left out; others ask some twice
            continue
        asked = (asked * 2)[:questions]
        needed = sorted({t - first for q in asked for t in q.evidence})
        if len(needed) <= events:
            others = sorted(set(range(long)) - set(needed)) if long > events else []
            kept = sorted([*needed, *dice.sample(others, events - len(needed))]) if others else range(long)
            found.append(([told[i] for i in kept], asked))
    return found


def translates(told: Sequence[Event], question: Question) -> bool:
    """Whether a question may name in one script what was told in the other: nobody can translate a word
    that was never seen, so such lives keep their words."""
    if question.kind not in NAMING or not question.evidence:
        return False
    event = told[bisect_left(told, question.evidence[0], key=lambda event: event.t)]
    return language_of(event.text) != language_of(question.question)


def _practised(
    asked: Sequence[Question], n: int, practice: Mapping[str, float], dice: Dice
) -> list[Question]:
    """n of the questions by the weights of their kinds, none twice (Efraimidis and Spirakis 2006)."""
    keys = [(dice.below(1 << 30) + 0.5) / (1 << 30) for _ in asked]
    order = sorted(range(len(asked)), key=lambda i: -math.log(keys[i]) / practice.get(asked[i].kind, 1.0))
    return [asked[i] for i in sorted(order[:n])]


def vocabulary_texts(config: RecallTraining, seed: int) -> Iterator[str]:
    """Texts that hold every word of the training split often enough to be counted."""
    yield from book.vocabulary(config.language)
    for told, asked in draw(config, 64, config.vocabulary_lives, 16, (_KEYS[1], seed)):
        yield from (event.text for event in told)
        yield from (text for q in asked for text in (q.question, q.answer))


class Packer:
    """`pack(lives, key)`: told lives as a Batch. It knows which words may become unknown."""

    def __init__(self, tokenizer: WordTokenizer, config: RecallTraining, hops: int = 2):
        self.tokenizer, self.config, self.hops = tokenizer, config, hops
        self.names, self.others, self.droppable = _replaceable(tokenizer, config.language)
        self._ids: dict[str, np.ndarray] = {}

    def ids(self, text: str) -> np.ndarray:
        """The ids of a text, remembered."""
        found = self._ids.get(text)
        if found is None:
            if len(self._ids) > 1 << 18:
                self._ids.clear()
            found = self._ids[text] = self.tokenizer.encode(text)
        return found

    def pack(self, lives: Sequence[Told], key: Sequence[int] | None = None) -> Batch:
        """Lives of one length with equally many questions; `key` draws which words become unknown."""
        table = None
        if key is not None:
            keep = any(translates(told, q) for told, asked in lives for q in asked)
            table = self._disguise(Dice(*_KEYS, *key), np.random.default_rng(tuple(key)), keep)
        clocks = [self._clock(told, asked) for told, asked in lives]
        place: dict[str, int] = {}
        idx = [[place.setdefault(event.text, len(place)) for event in told] for told, _ in lives]
        times = np.array([[clock.time(event.t) for event in told] for clock, (told, _) in zip(clocks, lives)])
        slots = np.stack([marks(row, clock, self.tokenizer) for row, clock in zip(times, clocks)])
        questions = [(b, q) for b, (_, asked) in enumerate(lives) for q in asked]
        sources = [self._sources(lives[b][0], q) for b, q in questions]
        answers = [self._answer(lives[b][0], q, found) for (b, q), found in zip(questions, sources)]
        before = [partial(np.searchsorted, row, side="right") for row in times]
        candidates = times_of([(q.question, clocks[b], before[b]) for b, q in questions])
        words = ragged([self.ids(q.question) for _, q in questions])
        asked = Asked(words, candidates, ragged([[*ids, self.tokenizer.end] for ids in answers]))
        events = Events(ragged([self.ids(text) for text in place]), np.array(idx), slots)
        if table is not None:
            rng = np.random.default_rng((*key, 1))
            kept = self._kept(rng, events.sentences.values), self._kept(rng, words.values)
            events = Events(_through(table, events.sentences, kept[0]), events.idx, events.marks)
            asked = Asked(
                *_question_through(table, words, candidates, kept[1]), _through(table, asked.answers)
            )
        shape = (len(lives), len(questions) // len(lives))
        evidence, every = self._evidence(events, asked, sources, [q for _, q in questions], shape)
        return Batch(events, asked, evidence, every, tuple(q.kind for _, q in questions))

    def _clock(self, told: Sequence[Event], asked: Sequence[Question]) -> Clock:
        origin = life_origin(told[0].date, told[0].t)
        return Clock(step_time(max(q.t for q in asked), origin), origin)

    def _sources(self, told: Sequence[Event], question: Question) -> list[int]:
        """Which events a question rests on, in the order of the hops."""
        return [bisect_left(told, t, key=lambda event: event.t) for t in question.evidence]

    def _answer(self, told: Sequence[Event], question: Question, sources: Sequence[int]) -> np.ndarray:
        """The answer as its event says it, where that is one of the right ones: it can be copied."""
        answer = self.ids(question.answer)
        if sources and question.accept:
            said = self.ids(told[sources[-1]].text)
            for text in (question.answer, *question.accept):
                if holds(said, self.ids(text)):
                    return self.ids(text)
        return answer

    def _disguise(self, dice: Dice, rng: np.random.Generator, keep: bool) -> np.ndarray:
        """(2, V): what stands for each word, a share of them unknown; −1 for no second word.

        Some names become two words, as some names are. keep: all names stay.
        """
        V, c = self.tokenizer.vocab_size, self.config
        table = np.stack([np.arange(V), np.full(V, -1)])
        for ids, shares, double in ((self.names, c.nonces, c.double), (self.others, c.template_nonces, 0)):
            share = dice.pick(shares)
            chosen = ids[rng.random(len(ids)) < (0 if keep and ids is self.names else share)]
            table[0, chosen] = V + rng.integers(0, 1 << HASH_BITS, len(chosen))
            twice = chosen[rng.random(len(chosen)) < double]
            table[1, twice] = V + rng.integers(0, 1 << HASH_BITS, len(twice))
            known = twice[rng.random(len(twice)) < 0.6]  # of "fed up" and "Haram Street" one word is known
            table[rng.integers(0, 2, len(known)), known] = rng.choice(self.others, len(known))
        return table

    def _kept(self, rng: np.random.Generator, ids: np.ndarray) -> np.ndarray:
        """(n,): which words stay when people leave some out; only what templates write is ever left out."""
        share = self.config.dropped[rng.integers(len(self.config.dropped))]
        return ~(np.isin(ids, self.droppable) & (rng.random(len(ids)) < share))

    def _evidence(
        self, events: Events, asked: Asked, sources: Sequence[Sequence[int]], questions: Sequence[Question],
        shape: tuple[int, int],
    ) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
        n, N = len(questions), events.idx.shape[1]
        evidence, every = np.zeros((self.hops, n, N + 1), bool), np.zeros(n, bool)
        unknown = np.array([not found for found in sources])
        evidence[-1, unknown, N] = True
        if self.config.labels == "events":
            for i, found in enumerate(sources):
                for hop, at in enumerate(reversed(found[-self.hops :]), 1):
                    evidence[-hop, i, at] = True
                every[i] = len(found) > 1
        else:
            slots = events.slots(int(events.sentences.lengths.max()))
            texts = slots.shape[-1] - events.marks.shape[-1]
            for i in np.flatnonzero(~unknown):
                answer = asked.answers.values[asked.answers.starts[i] : asked.answers.ends[i] - 1]
                time = questions[i].kind == "when"
                evidence[-1, i, :N] = _holding(slots[i // shape[1]], texts, answer, time)
        return evidence.reshape(self.hops, *shape, N + 1), every.reshape(shape)


def holds(ids: np.ndarray, run: np.ndarray) -> bool:
    """Whether `run` stands in `ids`, one after the other."""
    n = len(run)
    return any(np.array_equal(ids[i : i + n], run) for i in range(len(ids) - n + 1))


def _holding(slots: np.ndarray, texts: int, answer: np.ndarray, time: bool) -> np.ndarray:
    """(N,): which events hold the answer as a run of their words, or told as their time."""
    n, words = len(answer), slots[:, :texts]
    found = np.zeros(len(slots), bool)
    for i in range(texts - n + 1):
        found |= (words[:, i : i + n] == answer).all(1)
    if time:  # "at time 4060" stands in no event: its digits do, and a date in the slots behind them
        step, day = slots[:, texts : texts + 7], slots[:, texts + 7 :]
        for places in (step, day):
            told = [row[row >= 0] for row in places]
            found |= [
                len(row) > 0 and len(row) <= n and np.array_equal(row, answer[n - len(row) :]) for row in told
            ]
    return found


def _through(table: np.ndarray, rows: Ragged, kept: np.ndarray | None = None) -> Ragged:
    """Each word of the vocabulary as the table (2, V) has it: one or two; those not `kept` (n,) are gone."""
    first, second = _looked_up(table, rows.values)
    kept = np.ones(len(first), bool) if kept is None else kept
    ends = _ends(second, kept)
    out = np.empty(int(ends[-1]), np.int64)
    twice = kept & (second >= 0)
    out[ends[:-1][kept]], out[ends[:-1][twice] + 1] = first[kept], second[twice]
    return Ragged(out, ends[rows.ends])


def _question_through(
    table: np.ndarray, words: Ragged, times: Times, kept: np.ndarray
) -> tuple[Ragged, Times]:
    """Questions as the table has them, and where their numbers stand then."""
    ends = _ends(_looked_up(table, words.values)[1], kept)
    starts = words.starts[:, None]
    moved = np.maximum(ends[starts + np.maximum(times.at, 0) + 1] - ends[starts] - 1, 0)
    return _through(table, words, kept), replace(times, at=np.where(times.at >= 0, moved, -1))


def _ends(second: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """(n + 1,): where each word ends when some are two and some are gone; 0 first."""
    counts = np.where(second >= 0, 2, 1) * kept
    return np.concatenate([[0], np.cumsum(counts)])


def _looked_up(table: np.ndarray, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    known = ids < table.shape[1]
    first, second = table[:, np.where(known, ids, 0)]
    return np.where(known, first, ids), np.where(known, second, -1)


def _replaceable(tokenizer: WordTokenizer, language: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ids of words that only values hold, of those that templates hold, and that only they do; no numbers."""
    literal, values, kept = book.words_of(language)
    pool = {fold(unit) for text in values for unit in split(text)}
    frame = {fold(unit) for text in literal for unit in split(text)}
    apart = {fold(unit) for text in kept for unit in split(text)}

    def ids(units: Iterable[str]) -> np.ndarray:
        found = (tokenizer.encode(unit) for unit in sorted(units))
        return np.array([i[0] for i in found if len(i) == 1 and i[0] < tokenizer.vocab_size], np.int64)

    spoken = {unit for unit in frame - apart if unit[0].isalpha()}
    return ids(pool - frame - apart), ids(spoken), ids(spoken - pool)
