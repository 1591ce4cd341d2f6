"""Asking a memory: the work of `chronos query`, one question, a file of them, or one after another.

The model answers (`chronos.memory.recall`); here questions are checked, put at their times, and scored.
"""

import unicodedata
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from chronos.console import ChronosError, Progress, warn
from chronos.data.decoding import DamageError, numbered_lines
from chronos.data.lives import Question, read_questions, score
from chronos.data.notes.dates import step_of, step_time, written
from chronos.memory.episodes.view import listing

SAMPLE = 500  # of the newest events, whose letters tell in which scripts a memory is written
SPOKEN = frozenset(
    {"LATIN", "ARABIC"}
)  # of the lives that models are trained on: either can ask for the other
DONT_KNOW = "I don't know"
TOGETHER = 64  # questions of one time that are asked at once


class Asker:
    """A model and a memory: `ask(question)`, `ask_all(questions)`.

    `now` (µs; None for the model's own choice, the end of the memory) and `filters` (since, until, sources)
    hold for all questions; `top` memories are told of each answer, and so many of the nearest of others.
    """

    def __init__(self, recaller: Any, store: Any, now: int | None, filters: dict[str, Any], top: int = 3):
        self.recaller, self.store, self.now, self.filters, self.top = recaller, store, now, filters, top
        self.origin = store.origin
        self.known: frozenset[str] | None = None  # the scripts of the memory, once somebody asks

    def ask(self, question: str) -> dict[str, Any]:
        """{"question", "answer", "known", "as_of", "memories": [{"id", "text", "weight", …}], "nearest"}.

        nearest: where nothing was recalled, or not enough, events that share words with the question: {"id",
        "t", "text", "score", …}.
        """
        return self.ask_at([question], self.now)[0]

    def ask_at(self, questions: Sequence[str], now: int | None) -> list[dict[str, Any]]:
        """Several questions of one time. ChronosError for one without a word."""
        for question in questions:
            self._check(question)
        answers = self.recaller.ask(self.store, questions, now, near=self.top, **self.filters)
        return [self._plain(*pair) for pair in zip(questions, answers, strict=True)]

    def ask_all(self, path: Path) -> dict[str, Any]:
        """The questions of a file: {"n", "accuracy", "by_kind", "answers"}; a .txt has no accuracy.

        Questions of a life are asked at their own times, unless `now` is set. DamageError by file:line.
        """
        if path.suffix.lower() != ".jsonl":
            asked: list[Any] = list(_lines(path))
            timed = [(self.now, text) for text in asked]
        else:
            asked = list(read_questions(path))
            if several := [one.life for one in asked if one.life]:
                got = f"a question about life {several[0]}"
                raise ChronosError("a memory holds one life", where=path, got=got)
            timed = [(self._time_of(one), one.question) for one in asked]
        if not asked:
            raise ChronosError("there is no question in it", where=path, mend="give a file with questions")
        answers = self._all(timed)
        if isinstance(asked[0], Question):
            return {**score(asked, (one["answer"] for one in answers)), "answers": answers}
        return {"n": len(answers), "answers": answers}

    def _all(self, timed: Sequence[tuple[int | None, str]]) -> list[dict[str, Any]]:
        answers: list[dict[str, Any]] = []
        with Progress(len(timed), "asking", unit="questions") as bar:
            for now, group in groupby(timed, key=lambda pair: pair[0]):
                texts = [text for _, text in group]
                for at in range(0, len(texts), TOGETHER):
                    answers += self.ask_at(texts[at : at + TOGETHER], now)
                    bar.update(len(answers))
        return answers

    def _time_of(self, question: Question) -> int:
        """The end of the hour in which a life's question is asked."""
        return step_time(question.t + 1, self.origin) - 1 if self.now is None else self.now

    def _check(self, question: str) -> None:
        if not any(c.isalnum() for c in question):
            raise ChronosError("a question needs a word", got=ascii(question), mend='such as "Where am I?"')
        if self.known is None:
            texts = " ".join(event.text for event in listing(self.store, limit=SAMPLE))
            self.known = scripts(texts) | (SPOKEN if scripts(texts) & SPOKEN else frozenset())
        used = scripts(question)
        if self.known and used and not used & self.known:
            warn(
                f"the question is written in {_names(used)}, the memory in {_names(self.known)}: "
                "do not expect an answer"
            )

    def _plain(self, question: str, answer: Any) -> dict[str, Any]:
        cited = [self._memory(one) for one in answer.memories[: self.top]]
        text = answer.text if answer.text.strip() else DONT_KNOW
        told = {"question": question, "answer": text, "known": answer.known, "as_of": answer.as_of}
        nearest = [self._event(one) | {"score": one.score} for one in answer.nearest]
        return {**told, "memories": cited, "nearest": nearest}

    def _memory(self, cited: Any) -> dict[str, Any]:
        """A cited event."""
        return self._event(cited) | {"weight": cited.weight, "hop": cited.hop}

    def _event(self, one: Any) -> dict[str, Any]:
        """An event. `t` is the hour of the life, `time` microseconds, `date` both for people."""
        return {
            "id": one.id, "t": step_of(one.time, self.origin), "source": one.source, "text": one.text,
            "time": one.time, "date": written(one.time),
        }  # fmt: skip


def scripts(text: str) -> frozenset[str]:
    """The scripts of a text's letters, by the first word of their Unicode names: LATIN, ARABIC, CJK …"""
    letters = {c for c in text if c.isalpha()}
    return frozenset(unicodedata.name(c, "UNKNOWN").split()[0].split("-")[0] for c in letters)


def _names(found: frozenset[str]) -> str:
    return " and ".join(sorted(name.capitalize() for name in found))


def _lines(path: Path) -> Iterator[str]:
    """The lines of a plain file that hold something."""
    for _, line in numbered_lines(path):
        if isinstance(line, DamageError):
            raise line
        if line.strip():
            yield line.strip()
