"""A recall model at work: it reads events into a store and answers questions from it, its weights frozen.

`Recaller.ingest`, `Recaller.ask`. What a person's files look like, and how answers are shown, is stage 07's.
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from chronos.architecture.tape import no_grad
from chronos.console import ChronosError, Progress
from chronos.memory.bookmark import Bookmark
from chronos.memory.episodes.layout import SOURCES
from chronos.memory.episodes.reader import StoreReader
from chronos.memory.episodes.store import EventStore
from chronos.memory.recall.answers import AsStored, Cited, answer_all, cited, clock_of
from chronos.memory.recall.gate import WINDOW, Costs, Writing, costs, stacked
from chronos.memory.recall.nearest import Near, nearest
from chronos.memory.recall.net import RecallNet
from chronos.memory.recall.packing import ragged
from chronos.memory.recall.storememory import WHOLE, StoreMemory, Without
from chronos.tokenization.words import WordTokenizer

T = TypeVar("T")

TOGETHER = 512  # events that are encoded at once
FLUSH = 4096  # events between two flushes: what a kill can cost
REMEMBERED = 1 << 16  # sentences whose keys are kept while reading


@dataclass(frozen=True)
class Moment:
    """Something that happened: microseconds since 1970, its text, and who told it (`layout.SOURCES`)."""

    time_us: int
    text: str
    source: str = "user"


@dataclass(frozen=True)
class IngestStats:
    """What reading brought: events read and written now, bytes of the store, and the speed."""

    events: int
    written: int
    bytes: int
    events_per_s: float


@dataclass(frozen=True)
class Answer:
    """An answer, whether it is one ("I don't know" is none), what it stands on, and the time it is about.

    nearest: events that share words with the question. They were not recalled, and no answer stands on them.
    """

    text: str
    known: bool
    memories: tuple[Cited, ...]
    as_of: int | None
    reads: tuple[AsStored, ...] = ()
    nearest: tuple[Near, ...] = ()


class Recaller:
    """A recall model with its tokenizer; `identity` names both, and a store that others made is refused."""

    def __init__(self, net: RecallNet, tokenizer: WordTokenizer, identity: dict[str, str]):
        self.net, self.tokenizer, self.identity = net, tokenizer, identity
        self._seen: dict[str, tuple[np.ndarray, ...]] = {}

    # ---- stores --------------------------------------------------------------------------------------------

    def create_store(self, path: Path | str) -> EventStore:
        """An empty store for this model, opened for writing."""
        return EventStore.create(path, width=self.net.config.key, identity=self.identity)

    def open_store(self, path: Path | str, write: bool = False, repair: bool = False) -> EventStore:
        """A store that this model made. ChronosError for another's, DamageError where it is not whole."""
        return EventStore.open(path, identity=self.identity, write=write, repair=repair)

    # ---- reading -------------------------------------------------------------------------------------------

    def ingest(
        self, store: EventStore, events: Iterable[Moment], name: str, *, total: int | None = None
    ) -> IngestStats:
        """Read events into the store, in order, and leave a cursor under `name`.

        Reading the same again adds nothing, an interrupted reading goes on. With a gate, what says nothing
        new is not written. ChronosError for an event without words and for a source that changed.
        """
        begun, mark = time.perf_counter(), Bookmark(name, store.cursor(name))
        writing = self._gate(store) if self.net.config.gate else None
        read = written = kept = 0
        with Progress(total, f"reading {name}", unit="events") as bar:
            for part in groups(mark.unread(events)):
                written += self._write(store, part, writing)
                read += len(part)
                if read - kept >= FLUSH:
                    store.flush({name: mark.cursor(written)})
                    kept = read
                bar.update(read)
            store.flush({name: mark.cursor(written, done=True)})
        seconds = time.perf_counter() - begun
        return IngestStats(read, written, store.disk_bytes(), read / seconds if seconds > 0 else 0.0)

    def _gate(self, store: EventStore) -> Writing:
        """The gate as it was when the last event of the store was written."""
        writing, n = Writing(), len(store)
        alive = [i for i in range(max(0, n - WINDOW), n) if store.alive[i]]
        for start in range(0, len(alive), TOGETHER):
            _, said = self.said([store.event(i).text for i in alive[start : start + TOGETHER]])
            writing.remember(said)
        return writing

    def _write(self, store: EventStore, part: Sequence[Moment], writing: Writing | None) -> int:
        keys, said = self.said([moment.text for moment in part])
        keep, nats = np.ones(len(part), bool), said.nats.sum(1)
        if writing is not None:
            keep, nats = writing.judge(said)
        if keep.any():
            moments = [moment for moment, kept in zip(part, keep) if kept]
            store.append(
                keys[keep], [moment.text for moment in moments], [moment.time_us for moment in moments],
                sources=np.array([source_number(moment.source) for moment in moments]),
                surprises=nats[keep],
            )  # fmt: skip
        return int(keep.sum())

    def said(self, texts: Sequence[str]) -> tuple[np.ndarray, Costs]:
        """Keys (n, K) of sentences, and what each of them says; equal sentences are encoded once.

        ChronosError for one without words.
        """
        if len(self._seen) > REMEMBERED:
            self._seen.clear()
        for new in groups(text for text in dict.fromkeys(texts) if text not in self._seen):
            ids = [self.tokenizer.encode(text) for text in new]
            if bare := [text for text, row in zip(new, ids) if not len(row)]:
                raise ChronosError("an event without words", got=ascii(bare[0][:40]))
            sentences = ragged(ids)
            with no_grad():
                h, keys = self.net.encode(sentences)
            said = costs(self.net, sentences, h)
            self._seen |= dict(zip(new, zip(keys.data, said.topics, said.words, said.nats)))
        found = [self._seen[text] for text in texts]
        return np.stack([row[0] for row in found]), stacked([row[1:] for row in found])

    # ---- answering -----------------------------------------------------------------------------------------

    def ask(
        self, store: StoreReader | None, questions: Sequence[str], now: int | None = None, *,
        since: int | None = None, until: int | None = None, sources: Sequence[str] | None = None,
        without: Without = WHOLE, near: int = 0,
    ) -> list[Answer]:  # fmt: skip
        """Answer questions, asked at `now` (microseconds; default: the time of the newest event).

        since ≤ time < until and `sources` filter what may be remembered; `without` switches parts off. Of a
        question that was not answered, or whose answer overlooks a word, up to `near` events nearest in words
        are told. A store of None is an empty memory. ChronosError for a question without words.
        """
        if not questions:
            return []
        if bare := [text for text in questions if not len(self.tokenizer.encode(text))]:
            raise ChronosError("a question needs a word", got=ascii(bare[0][:40]))
        clock = clock_of(store, now)
        filters: dict[str, Any] = {"since": since, "until": until, "sources": sources}
        memory = StoreMemory(self.net, self.tokenizer, store, clock, without=without, **filters)
        with no_grad():
            found = list(answer_all(self.net, self.tokenizer, memory, questions, clock))
        answers = []
        for question, (text, known, as_of, reads) in zip(questions, found, strict=True):
            memories = cited(store, reads) if known and store is not None else ()
            beside: tuple[Near, ...] = ()
            if near and store is not None:
                end = int(store.cuts([clock.now if as_of is None else as_of])[0])
                beside = self._near(store, question, memories, near, end=end, **filters)
            answers.append(Answer(text, known, memories, as_of, tuple(reads), beside))
        if store is not None:
            store.used(sorted({one.id for answer in answers for one in answer.memories}))
        return answers

    def _near(
        self, store: StoreReader, question: str, memories: Sequence[Cited], top: int, **seen: Any
    ) -> tuple[Near, ...]:  # fmt: skip
        """The nearest events; where something is cited, only if one says a word that it overlooks.

        A word that the model never learned has no meaning to it but its spelling. If nothing cited says it,
        but another event does, then the answer passes over what the question is about.
        """
        if not memories:
            return nearest(store, question, top, **seen)
        overlooked = self._unlearned([question]) - self._unlearned(one.text for one in memories)
        found = nearest(store, question, top, **seen) if overlooked else ()
        return found if overlooked & self._unlearned(one.text for one in found) else ()

    def _unlearned(self, texts: Iterable[str]) -> set[int]:
        """The words of some texts that are not in the vocabulary, without marks."""
        words = self.tokenizer.unknown(texts)
        return {i for i, word in words.items() if word[0].isalnum()}


def source_number(name: str) -> int:
    """The number of a source by its name; ChronosError for one that there is not."""
    if name not in SOURCES:
        raise ChronosError("no such source", expected=", ".join(SOURCES), got=repr(name))
    return SOURCES.index(name)


def groups(items: Iterable[T]) -> Iterator[list[T]]:
    """So many at a time as are encoded together."""
    items = iter(items)
    while group := list(islice(items, TOGETHER)):
        yield group
