"""Where lives to learn from come from: made on the fly, or a folder of them; some are kept to judge by.

A source gives the lives of a (step, lane) and nothing else decides them. Another source is one class more.
"""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol

from chronos.console import ChronosError
from chronos.data.cairo.life import Life
from chronos.data.liferows import Event, Question
from chronos.data.lives import LIFE, QUESTIONS
from chronos.files import sha256_file
from chronos.tokenization.words import WordTokenizer
from chronos.training.recall.config import RecallTraining
from chronos.training.recall.lives import Packer, Told, draw, vocabulary_texts
from chronos.training.recall.tasks import TaskLives, level

TOGETHER = 64  # questions of a folder that are judged at once


class LifeSource(Protocol):
    """What a run asks for its lives."""

    material: str  # what this is, in a few words

    def texts(self) -> Iterator[str]:
        """What the words of the vocabulary are counted in."""

    def packer(self, tokenizer: WordTokenizer, hops: int) -> Packer:
        """What makes batches of these lives, for a network of so many hops."""

    def lives(self, step: int, lane: int, events: int, practice: Mapping[str, float]) -> list[Told]:
        """The lives of one lane in one step, all of one length: `events`, where that can be chosen.

        practice: how often each kind is asked, where that can be.
        """

    def unseen(self) -> Iterator[list[Told]]:
        """Lives that are never learned from, in groups of one length and equally many questions."""


class CairoLives:
    """Lives in Cairo: never the same twice, and judged by the split `val`, which shares no seed with them."""

    material = "lives in Cairo"

    def __init__(self, config: RecallTraining, seed: int, lanes: int):
        self.config, self.seed, self.lanes = config, seed, lanes

    def texts(self) -> Iterator[str]:
        return vocabulary_texts(self.config, self.seed)

    def packer(self, tokenizer: WordTokenizer, hops: int) -> Packer:
        return Packer(tokenizer, self.config, hops)

    def lives(self, step: int, lane: int, events: int, practice: Mapping[str, float]) -> list[Told]:
        c = self.config
        count = max(1, c.lives(events) // self.lanes)
        questions = max(1, c.questions // self.lanes // count)
        return draw(c, events, count, questions, (self.seed, step, lane), practice)

    def unseen(self) -> Iterator[list[Told]]:
        """A life a group, as `chronos data cairo` tells it: from step 1 on, with facts of all kinds."""
        c = self.config
        for number in range(c.eval_lives):
            changes = "shown" if c.shown and number % 2 else "announced"
            life = Life(c.eval_events, number, split="val", language=c.language, changes=changes)
            told = list(life.events())
            if asked := life.questions(c.eval_questions):
                yield [(told, asked)]


class FolderLives:
    """The lives of a folder (life.jsonl, questions.jsonl), as long as they are; one in so many is kept apart.

    ChronosError where too few lives are asked about, or damage.
    """

    def __init__(self, folder: Path, config: RecallTraining, seed: int, lanes: int, kept_apart: float):
        self.config = config
        self.tasks = TaskLives(folder, config, seed, lanes)
        told, every = self.tasks.told, round(1 / kept_apart) if kept_apart else math.inf
        self.apart = [told[i] for i in range(len(told)) if i % every == every - 1]
        if not self.apart or len(self.apart) == len(told):
            what = "too few lives to learn from some and judge by others"
            mend = "make more, or set data.val_fraction"
            raise ChronosError(what, where=folder, got=f"{len(told)} with questions", mend=mend)
        self.tasks.told = [told[i] for i in range(len(told)) if i % every != every - 1]
        self.tasks.asked = [(i, q) for i, (_, asked) in enumerate(self.tasks.told) for q in asked]
        self.material = f"{len(self.tasks.asked):,} questions about {len(self.tasks.told):,} lives"

    def texts(self) -> Iterator[str]:
        return self.tasks.texts()

    def packer(self, tokenizer: WordTokenizer, hops: int) -> Packer:
        return self.tasks.packer(tokenizer, hops)

    def lives(self, step: int, lane: int, events: int, practice: Mapping[str, float]) -> list[Told]:
        return self.tasks.lives(step, lane)

    def unseen(self) -> Iterator[list[Told]]:
        """Questions spread over all lives that are kept apart, those about equally long ones together."""
        asked = [(told, q) for told, asked in self.apart for q in asked]
        most = self.config.eval_lives * self.config.eval_questions
        asked = asked[:: math.ceil(len(asked) / most)]
        asked.sort(key=_before)
        for start in range(0, len(asked), TOGETHER):
            yield level(asked[start : start + TOGETHER])


def _before(pair: tuple[list[Event], Question]) -> int:
    told, question = pair
    return sum(event.t <= question.t for event in told)


def folder_hashes(folder: Path) -> dict[str, str]:
    """What a folder of lives holds, to be known again: file → SHA-256."""
    return {name: sha256_file(folder / name) for name in (LIFE, QUESTIONS)}
