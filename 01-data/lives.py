"""Lives: events in time and questions about them, as two files of rows that every recall task shares.

life.jsonl and questions.jsonl, read strictly (file:line) and written whole or not at all. It invents
nothing and judges no model. Try `chronos data recall --task mqar --out-dir DIR`, then look at the files.
"""

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

from chronos.console import ChronosError, Progress
from chronos.data.decoding import DamageError, numbered_lines
from chronos.data.documents import Document, Tally, check_on_damage
from chronos.data.liferows import Event, EventOrder, LifeOrder, Question, parse_event, parse_question
from chronos.data.rows import parse_json
from chronos.files import atomic_directory, write_json

LIFE, QUESTIONS = "life.jsonl", "questions.jsonl"

Row = TypeVar("Row", Event, Question)


def read_events(path: Path | str, on_damage: str = "fail") -> Iterator[Event]:
    """The events of a life.jsonl, or of the folder that holds one, streamed; text cleaned as documents are.

    Lives stand one after the other, numbers rising, and in each the times never run backwards. Fields
    beyond those of the format are passed over. `on_damage` is "fail" (DamageError, file:line) or "skip"
    (left out, counted in one warning). Raises ChronosError where there is no event.
    """
    return _read(_file(path, LIFE), parse_event, EventOrder(), on_damage, needed=True)


def read_questions(path: Path | str, on_damage: str = "fail") -> Iterator[Question]:
    """The questions of a questions.jsonl, or of its folder; as `read_events`, but none is no error."""
    return _read(_file(path, QUESTIONS), parse_question, LifeOrder(), on_damage, needed=False)


def read_lives(folder: Path | str, on_damage: str = "fail") -> Iterator[tuple[list[Event], list[Question]]]:
    """Life after life of a folder, one at a time in memory; DamageError for a question about none of them."""
    questions = read_questions(folder, on_damage)
    waiting = next(questions, None)
    for events in _by_life(read_events(folder, on_damage)):
        asked = []
        while waiting and waiting.life <= events[0].life:
            if waiting.life < events[0].life:
                raise _orphan(folder, waiting)
            asked.append(waiting)
            waiting = next(questions, None)
        yield events, asked
    if waiting:
        raise _orphan(folder, waiting)


def _by_life(events: Iterable[Event]) -> Iterator[list[Event]]:
    life: list[Event] = []
    for event in events:
        if life and event.life != life[0].life:
            yield life
            life = []
        life.append(event)
    if life:
        yield life


def _orphan(folder: Path | str, question: Question) -> DamageError:
    where = Path(folder) / QUESTIONS
    return DamageError("a question about a life without events", where=where, got=f"life {question.life}")


def _file(path: Path | str, name: str) -> Path:
    return Path(path) / name if Path(path).is_dir() else Path(path)


def _read(
    path: Path, parse: Callable[[Any, object], Row], order: "LifeOrder", on_damage: str, needed: bool
) -> Iterator[Row]:
    check_on_damage(on_damage)
    tally = Tally(skip=on_damage == "skip")
    for number, line in numbered_lines(path):
        where = f"{path}:{number}"
        try:
            if isinstance(line, DamageError):
                raise line
            if not (line := line.strip(" \t\r\n")):
                continue
            row = parse(parse_json(line, path, number), where)
            order.check(row, where)
        except DamageError as error:
            tally.damage(error)
        else:
            tally.kept += 1
            yield row
    tally.report(path, "event", needed)


class _Part:
    """One of the two files, written row by row: counts and a running hash."""

    def __init__(self, path: Path, parse: Callable[[Any, object], Any], order: LifeOrder):
        self.path, self.parse, self.order = path, parse, order
        self.file = open(path, "wb")  # noqa: SIM115 (closed by LivesWriter)
        self.sha256 = hashlib.sha256()
        self.rows = self.bytes = self.lives = 0

    def add(self, row: Event | Question) -> None:
        """The row goes through the reader's checks, and is written as the reader would give it back."""
        where, life = f"{self.path.name}:{self.rows + 1}", self.order.life
        row = self.parse(_fields(row), where)
        self.order.check(row, where)
        data = json.dumps(_fields(row), ensure_ascii=False).encode("utf-8") + b"\n"
        self.file.write(data)
        self.sha256.update(data)
        self.rows += 1
        self.lives += row.life != life
        self.bytes += len(data)

    def stats(self) -> dict[str, Any]:
        counts = {"rows": self.rows, "lives": self.lives, "bytes": self.bytes}
        return {"file": self.path.name, **counts, "sha256": self.sha256.hexdigest()}


class LivesWriter:
    """Writes events and questions, in any order of calls, into a folder that its caller makes whole.

    `with atomic_directory(out) as folder, LivesWriter(folder) as writer: writer.tell(event)`, and so on.
    A row that could not be read again is refused (DamageError).
    """

    def __init__(self, folder: Path):
        self.life = _Part(folder / LIFE, parse_event, EventOrder())
        self.asked = _Part(folder / QUESTIONS, parse_question, LifeOrder())
        self.answers: dict[str, Counter[str]] = defaultdict(Counter)

    def tell(self, event: Event) -> None:
        """Add an event."""
        self.life.add(event)

    def ask(self, question: Question) -> None:
        """Add a question."""
        self.asked.add(question)
        self.answers[question.kind][folded(question.answer)] += 1

    def stats(self) -> dict[str, Any]:
        """For each file rows, lives, bytes and SHA-256, and the majority class by kind and overall."""
        if not self.life.rows:
            raise ChronosError("there is no event to write", mend="ask for more")
        files = {"events": self.life.stats(), "questions": self.asked.stats()}
        return {**files, "majority": _shares(self.answers)}

    def __enter__(self) -> "LivesWriter":
        return self

    def __exit__(self, *_: object) -> None:
        self.life.file.close()
        self.asked.file.close()


def _fields(row: Event | Question) -> dict[str, Any]:
    """The row as JSON has it; optional fields are left out where they say nothing."""
    pairs = ((name, getattr(row, name)) for name in row.__slots__)
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in pairs
        if value or name not in ("date", "evidence", "accept", "life")
    }


def write_lives(
    out_dir: Path | str,
    events: Iterable[Event],
    questions: Iterable[Question],
    stats: dict[str, Any],
    *,
    total: int | None = None,
) -> dict[str, Any]:
    """Write `out_dir`/life.jsonl, questions.jsonl and stats.json; return the statistics.

    All events are drawn before the first question; both are streamed. stats.json holds `stats`, then for
    each file rows, lives, bytes and SHA-256, and the majority class. `total` (events and questions) gives
    the progress an ETA. What could not be read again is refused, and `out_dir` stays as it was.
    """
    with (
        atomic_directory(out_dir) as folder,
        LivesWriter(folder) as writer,
        Progress(total, "writing lives", unit="rows") as bar,
    ):
        for event in events:
            writer.tell(event)
            bar.update(writer.life.rows)
        for question in questions:
            writer.ask(question)
            bar.update(writer.life.rows + writer.asked.rows)
        stats = {"version": 1, **stats, **writer.stats()}
        write_json(folder / "stats.json", stats)
    return stats


def majority(questions: Iterable[Question]) -> dict[str, dict[str, Any]]:
    """What always giving the most common answer scores: {kind: {"n", "classes", "share"}, …, "all": …}."""
    answers: dict[str, Counter[str]] = defaultdict(Counter)
    for question in questions:
        answers[question.kind][folded(question.answer)] += 1
    return _shares(answers)


def _shares(answers: dict[str, Counter[str]]) -> dict[str, dict[str, Any]]:
    everything: Counter[str] = Counter()
    for count in answers.values():
        everything.update(count)
    return {
        kind: {
            "n": count.total(),
            "classes": len(count),
            "share": max(count.values(), default=0) / max(count.total(), 1),
        }
        for kind, count in chain(sorted(answers.items()), [("all", everything)])
    }


def folded(answer: str) -> str:
    """The form in which answers are compared: case and white space do not count."""
    return " ".join(answer.split()).casefold()


def is_right(question: Question, answer: str) -> bool:
    """Whether the answer is the question's, or one that it accepts."""
    return folded(answer) in {folded(right) for right in (question.answer, *question.accept)}


def score(questions: Iterable[Question], answers: Iterable[str]) -> dict[str, Any]:
    """{"n", "accuracy", "by_kind": {kind: {"n", "accuracy"}}}: exact match after folding."""
    return counted(_judged(questions, answers))


def _judged(questions: Iterable[Question], answers: Iterable[str]) -> Iterator[tuple[str, bool]]:
    missing = object()
    given = iter(answers)
    for question in questions:
        answer = next(given, missing)
        if answer is missing:
            raise ChronosError("there are fewer answers than questions")
        yield question.kind, is_right(question, answer)
    if next(given, missing) is not missing:
        raise ChronosError("there are more answers than questions")


def counted(judged: Iterable[tuple[str, bool]]) -> dict[str, Any]:
    """The same of questions that are judged already: the kind of each, and whether the answer was right."""
    tally: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for kind, right in judged:
        tally[kind][0] += 1
        tally[kind][1] += right
    if not tally:
        raise ChronosError("there is no question to score", mend="give questions")
    n, right = (sum(column) for column in zip(*tally.values()))
    by_kind = {kind: {"n": n, "accuracy": right / n} for kind, (n, right) in sorted(tally.items())}
    return {"n": n, "accuracy": right / n, "by_kind": by_kind}


def as_document(events: Iterable[Event], questions: Iterable[Question], source: str = "life") -> Document:
    """One life as text to train on: a line an event, and each "question answer" line where it is asked.

    A question stands after the events with times up to its own. Trained are the answers alone, each with
    the space before it (tokens begin with their space) and the line end after it (which ends it).
    Raises ChronosError for rows of several lives.
    """
    timed = [(event.t, 0, event) for event in events] + [(asked.t, 1, asked) for asked in questions]
    if len({row.life for _, _, row in timed}) > 1:
        raise ChronosError("a document tells one life", where=source, got="events or questions of several")
    parts, untrained = [], []
    start = at = 0  # where the untrained stretch began, and the length of the text so far
    for _, _, row in sorted(timed, key=lambda item: item[:2]):
        if isinstance(row, Event):
            parts.append(row.text + "\n")
        else:
            ask = at + len(row.question)
            if ask > start:
                untrained.append((start, ask))
            parts.append(f"{row.question} {row.answer}\n")
            start = at + len(parts[-1])
        at += len(parts[-1])
    if at > start:
        untrained.append((start, at))
    return Document("".join(parts), source, untrained=tuple(untrained))
