"""Batches from a folder of lives (bAbI, MQAR, any task of stage 01): a question with the events before it.

What `lives.py` draws is Cairo's, what this draws is given: a folder's life.jsonl and questions.jsonl, held in
memory. A batch depends on (seed, step, lane) alone. It writes nothing.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from chronos.console import ChronosError
from chronos.data.liferows import Event, Question
from chronos.data.lives import read_lives
from chronos.tokenization.units import fold, split
from chronos.tokenization.words import WordTokenizer
from chronos.training.recall.config import RecallTraining
from chronos.training.recall.lives import Packer, Told

_KEY = 0x7A5C  # stream of the draws


class TaskLives:
    """The questions of a folder, drawn with replacement; each is a life of its own, up to where it is asked.

    `lives(step, lane)` gives `questions / lanes` lives of one length for a `Packer`: shorter ones go on after
    their question, which nobody sees. ChronosError where the folder has no question or damage.
    """

    def __init__(self, folder: Path | str, config: RecallTraining, seed: int = 0, lanes: int = 1):
        self.config, self.seed, self.lanes = config, seed, lanes
        self.told = [(told, asked) for told, asked in read_lives(folder) if asked]
        self.asked = [(i, q) for i, (_, asked) in enumerate(self.told) for q in asked]
        if not self.asked:
            raise ChronosError("there is no question to learn from", where=folder)

    def texts(self) -> Iterator[str]:
        """Everything that is said, asked and answered: what a tokenizer of words is made of."""
        for told, asked in self.told:
            yield from (event.text for event in told)
            yield from (text for q in asked for text in (q.question, q.answer, *q.accept))

    def lives(self, step: int, lane: int = 0) -> list[Told]:
        """The lives of a batch, one question each."""
        rng = np.random.default_rng((_KEY, self.seed, step, lane))
        chosen = rng.integers(0, len(self.asked), max(1, self.config.questions // self.lanes))
        return level([(self.told[i][0], q) for i, q in (self.asked[j] for j in chosen)])

    def packer(self, tokenizer: WordTokenizer, hops: int = 2) -> Packer:
        """A packer that knows which words of this folder may become unknown."""
        return TaskPacker(tokenizer, self.config, self, hops)


class TaskPacker(Packer):
    """A `Packer` whose names are the words of answers, and whose other words are all others of letters."""

    def __init__(self, tokenizer: WordTokenizer, config: RecallTraining, source: TaskLives, hops: int):
        super().__init__(tokenizer, config, hops)
        said = {fold(unit) for _, q in source.asked for unit in split(q.answer) if unit[0].isalpha()}
        every = {fold(unit) for text in set(source.texts()) for unit in split(text) if unit[0].isalpha()}
        self.names, self.others = (self._known(words) for words in (said, every - said))
        self.droppable = self.others[:0]  # these tasks say nothing that could be left out

    def _known(self, words: set[str]) -> np.ndarray:
        found = (self.tokenizer.encode(word) for word in sorted(words))
        return np.array([i[0] for i in found if len(i) == 1 and i[0] < self.tokenizer.vocab_size], np.int64)


def level(asked: list[tuple[list[Event], Question]]) -> list[Told]:
    """Questions with the events before them, all of one length: what is lacking comes after the question.

    ChronosError for a question that is asked before anything happened.
    """
    before = [[event for event in told if event.t <= q.t] for told, q in asked]
    if early := [q for told, (_, q) in zip(before, asked) if not told]:
        raise ChronosError("a question before the first event", got=ascii(early[0].question[:40]))
    N = max(map(len, before))
    return [(_longer(told, q.t, N), [q]) for told, (_, q) in zip(before, asked)]


def _longer(told: list[Event], t: int, N: int) -> list[Event]:
    """N events, those that are lacking an hour apart after time t."""
    return told + [replace(told[-1], t=t + i) for i in range(1, N - len(told) + 1)]
