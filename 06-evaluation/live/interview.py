"""One trained model is told lives and asked about them under every condition; its answers become rows.

Each life is read once into a store of its own. What the rows mean is said in `rows.py`, what they are counted
for in `content.py`; it writes no records itself.
"""

import hashlib
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from chronos.architecture.layers import Module
from chronos.console import ChronosError
from chronos.data.cairo.values import language_of
from chronos.data.lives import Question, is_right
from chronos.evaluation.live.conditions import AS_OF, ON, OTHER, RESET, WITHOUT, switched
from chronos.evaluation.live.readers import READERS, without_model
from chronos.evaluation.live.taken import taken
from chronos.evaluation.live.told import Lives, Told
from chronos.files import atomic_directory
from chronos.memory.episodes.reader import StoreReader
from chronos.memory.episodes.view import stats
from chronos.memory.modeldir import parameter_count
from chronos.memory.recall import Answer, IngestStats, Recaller, Without, load_recaller
from chronos.memory.recall.modelfiles import PRESET

TOGETHER, ALONE = 32, 40  # questions that are asked at once; how many are asked once more, one by one
Row = dict[str, Any]


@dataclass(frozen=True)
class Memory:
    """A life, the model that read it, and the store that it was read into."""

    told: Told
    recaller: Recaller
    path: Path
    read: IngestStats

    def open(self) -> StoreReader:
        """The store, to be read."""
        return self.recaller.open_store(self.path)

    def figures(self) -> dict[str, float]:
        """Of this reading: events/s, share of them written, bytes an event beside its text, and all bytes."""
        with self.open() as store:
            beside = stats(store)["beside_text"]
        written = self.read.written / self.read.events
        told = {"events_per_s": self.read.events_per_s, "written": written, "bytes_beside_text": beside}
        return told | {"state_bytes": self.read.bytes}


class Interview:
    """The model of one seed of training, asked about `lives`; its stores lie under `place`.

    `answers(i, condition)`, `taken(i)`, then `figures` and `close`; i counts the lives from 0. Attributes:
    `shape` (what kind of model it is), `sha256` of its file, `weights` (`weights_of`) before it is asked.
    """

    def __init__(self, seed: int, model: Path, lives: Lives, place: Path):
        self.seed, self.model, self.lives, self.place = seed, model, lives, place
        recaller = load_recaller(model)
        config, parameters = recaller.net.config, parameter_count(recaller.net)
        self.shape = {"preset": PRESET, "parameters": parameters, "hops": config.hops, "gate": config.gate}
        self.sha256, self.weights = recaller.identity["model"], weights_of(recaller.net)
        self.unchanged = True
        self._memories: dict[int, Memory] = {}

    def memory(self, i: int) -> Memory:
        """The memory of life i, read now if it has not been."""
        if i not in self._memories:
            told = Told(self.lives.life(i), self.lives.questions)
            recaller = load_recaller(self.model)  # afresh, so that nothing of another life makes it faster
            path = self.place / f"{self.seed}-{told.number}"
            with atomic_directory(path) as folder, recaller.create_store(folder) as store:
                read = recaller.ingest(store, told.moments(), f"life {told.number}", total=len(told))
            self._memories[i] = Memory(told, recaller, path, read)
        return self._memories[i]

    def answers(self, i: int, condition: str, progress: Callable[[int], None]) -> list[Row]:
        """All questions of life i under a condition, as rows; `progress` hears how many are done."""
        memory = self.memory(i)
        if condition in READERS:
            return _without_model(condition, memory.told)
        if condition == RESET:
            return self._reset(memory, progress)
        other = self.memory(i - 1 if i else max(self.lives.lives - 1, 1)) if condition == OTHER else memory
        with other.open() as store:
            return _asked(memory, other.told, store, condition, progress)

    def _reset(self, memory: Memory, progress: Callable[[int], None]) -> list[Row]:
        """The model that has read the life, with a store in which nothing is."""
        with (
            tempfile.TemporaryDirectory(prefix="chronos-reset-") as place,
            memory.recaller.create_store(Path(place) / "store") as store,
        ):
            return _asked(memory, memory.told, store, RESET, progress)

    def taken(self, i: int) -> list[Row]:
        """What the store did with each event of life i."""
        memory = self.memory(i)
        with memory.open() as store:
            return list(taken(memory.recaller, store, memory.told))

    def figures(self) -> dict[str, float]:
        """Means over the lives that were read now (`Memory.figures`); the median ms of one question alone."""
        memory = self.memory(0)  # an interview that had been finished before is measured, too
        found = [memory.figures() for memory in self._memories.values()]
        means = {name: sum(one[name] for one in found) / len(found) for name in found[0]}
        with memory.open() as store:
            asked = memory.told.questions[:ALONE]
            each = [_ask(memory.recaller, store, [one], memory.told.now, WITHOUT[ON])[1] for one in asked]
        return means | {"ms_a_question": median(each)}

    def close(self) -> None:
        """Let go of the memories. ChronosError if a weight is not what it was, in memory or on disk."""
        after = {weights_of(memory.recaller.net) for memory in self._memories.values()}
        after.add(weights_of(load_recaller(self.model).net))
        self.unchanged = after == {self.weights}
        if not self.unchanged:
            raise ChronosError("the weights changed while the model read and answered", where=self.model)
        self._memories.clear()


def _without_model(reader: str, told: Told) -> list[Row]:
    begun = time.perf_counter()
    given = without_model(reader, list(told.events()), told.questions)
    ms = 1000 * (time.perf_counter() - begun) / len(given)
    return [row_of(told, question, said, ms) for question, said in zip(told.questions, given)]


def _asked(
    memory: Memory, clock: Told, store: StoreReader, condition: str, progress: Callable[[int], None]
) -> list[Row]:
    """The questions of a life to a store whose events happened by this clock."""
    without = switched(condition, len(store), memory.told.number)
    questions, rows = memory.told.questions, []
    for start in range(0, len(questions), TOGETHER):
        part = questions[start : start + TOGETHER]
        answers, ms = _ask(memory.recaller, store, part, clock.now, without)
        for question, answer in zip(part, answers):
            row = row_of(memory.told, question, answer.text, ms)
            rows.append(row | _recalled(answer, question, clock, store, condition))
        progress(len(rows))
    return rows


def weights_of(model: Module) -> str:
    """SHA-256 over names and values of all weights, quantized or not, as they are in memory."""
    found = hashlib.sha256()
    for name, weight in sorted(model.named()):
        found.update(f"{name} {weight.data.shape} ".encode() + weight.data.tobytes())
    return found.hexdigest()


def _ask(
    recaller: Recaller, store: StoreReader, asked: Sequence[Question], now: int, without: Without
) -> tuple[list[Answer], float]:
    """Answers, and the milliseconds that each took."""
    begun = time.perf_counter()
    answers = recaller.ask(store, [question.question for question in asked], now, without=without)
    return answers, 1000 * (time.perf_counter() - begun) / len(asked)


def row_of(told: Told, question: Question, given: str, ms: float) -> Row:
    """A row of an answer that stands on no event of a store, and took so many milliseconds."""
    names = ("question", "kind", "t", "age", "overwrites", "answer", "accept")
    row = {name: getattr(question, name) for name in names}
    row |= {"events": len(told), "language": language_of(question.question), "given": given}
    return row | {"right": is_right(question, given), "as_of": None, "reads": [], "ms": round(ms, 4)}


def _recalled(answer: Answer, question: Question, clock: Told, store: StoreReader, condition: str) -> Row:
    """What an answer stands on. Of another life's events only how much was found: numbers are this life's."""
    reads = []
    for hop, read in enumerate(answer.reads, 1):
        pairs = zip(read.ids, read.weights) if condition != OTHER else ()
        events = [[clock.place(int(store.times[at])), round(min(weight, 1.0), 5)] for at, weight in pairs]
        reads.append({"hop": hop, "null": round(min(max(read.null, 0.0), 1.0), 5), "events": events})
    if not len(store):
        return {"as_of": None, "reads": reads}  # it has no first day to count from
    now = answer.as_of is None or condition == AS_OF
    return {"as_of": question.t if now else clock.step(answer.as_of), "reads": reads}
