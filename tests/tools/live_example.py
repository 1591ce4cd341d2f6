"""Records of questions made by hand: what a remembering reader could have answered, without any model.

Used by the tests of the live-memory report. By hand: `python tests/tools/live_example.py DIR [EVENTS]` writes
records, the report and the microscope of a life of Cairo into DIR, to look at.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from chronos.data.cairo.life import Life
from chronos.data.cairo.reader import Reader
from chronos.data.dice import Dice
from chronos.data.lives import Event, Question, is_right
from chronos.evaluation.live.readers import READERS, without_model
from chronos.evaluation.live.records import Writer

ABOUT = {
    "model": {"preset": "by hand", "parameters": 1_234_567, "sha256": "0" * 64},
    "command": "python tests/tools/live_example.py",
    "commit": "none",
    "machine": "any machine",
    "bytes_per_event": 86.5,
    "events_per_s": 5600.0,
}
MODEL = ("on", "off", "reset", "shuffled", "another life", "hop 2 off", "as-of off")


def answer(**given: Any) -> dict[str, Any]:
    """A row of answers.jsonl, right unless told otherwise; `right` follows from the texts."""
    row = {
        "events": 20, "language": "en", "question": "Where am I?", "kind": "now", "t": 20, "age": 3,
        "overwrites": 1, "answer": "Giza", "accept": [], "given": "Giza", "as_of": 20,
        "reads": [{"hop": 1, "null": 0.1, "events": [[17, 0.8]]}], "ms": 2.5,
    } | given  # fmt: skip
    texts = [text.casefold() for text in (row["answer"], *row["accept"])]
    return {"right": row["given"].casefold() in texts, **row}


def taken(n: int, text: str = "I moved to Giza.", **given: Any) -> dict[str, Any]:
    """A row of a life's events."""
    known = {"t": n, "date": "", "surprise": 1.5, "written": True, "why": "surprise 1.5 ≥ 1"}
    return {"n": n, "text": text, **known, **given}


def write(folder: Path, parts: dict[tuple[int, int, str], list[dict[str, Any]]], lives: Any = ()) -> Path:
    """Records of (seed, life, condition) → rows, and life → events."""
    with Writer(folder, "by hand") as writer:
        writer.about(ABOUT)
        for life, events in dict(lives).items():
            writer.life(life, events)
        for (seed, life, condition), rows in parts.items():
            writer.answers(seed, life, condition, rows)
    return folder


def cairo(folder: Path, lengths: tuple[int, ...] = (300, 300), seeds: int = 2, questions: int = 60) -> Path:
    """Records of lives of Cairo that a forgetful perfect reader was asked about."""
    with Writer(folder, "by hand") as writer:
        writer.about(ABOUT)
        for number, events in enumerate(lengths, 1):
            life = Life(events, number, language="mixed")
            told, asked = list(life.events()), life.questions(questions)
            writer.life(number, _taken(told, {t for question in asked for t in question.evidence}))
            known = _known(told, asked)
            for seed in range(1, seeds + 1):
                for condition in MODEL:
                    given = list(_model(asked, known, condition, seed))
                    writer.answers(seed, number, condition, _answers(told, asked, given, condition, seed))
            for name in READERS:
                given = without_model(name, told, asked)
                writer.answers(0, number, name, _answers(told, asked, given, name, 0))
    return folder


def _taken(events: list[Event], needed: set[int]) -> Iterator[dict[str, Any]]:
    dice = Dice(1, len(events))
    for n, event in enumerate(events, 1):
        surprise = dice.below(600) / 100 + 2 * (event.t in needed)
        written = surprise >= 2
        why = f"surprise {surprise:.2f} {'≥' if written else '<'} 2.00"
        given = {"t": event.t, "date": event.date, "surprise": surprise, "written": written, "why": why}
        yield taken(n, event.text, **given)


def _known(events: list[Event], asked: list[Question]) -> list[str]:
    """What a perfect reader of all events answers."""
    reader = Reader()
    for event in events:
        reader.read(event)
    return [reader.answer(question.question, question.t) for question in asked]


def _model(asked: list[Question], known: list[str], condition: str, seed: int) -> Iterator[str]:
    """What a reader says that forgets one thing in twenty, or what a condition takes from it."""
    for number, question in enumerate(asked):
        arabic = question.question.endswith("؟")
        lost = condition in MODEL[1:5] or (condition == "hop 2 off" and question.kind in ("join", "before"))
        if lost or Dice(seed, number, len(condition)).below(20) == 0:
            yield "لا أعرف" if arabic else "I don't know"
        elif condition == "as-of off" and question.kind == "at":
            yield "Giza"
        else:
            yield known[number]


def _answers(
    events: list[Event], asked: list[Question], given: list[str], condition: str, seed: int
) -> Iterator[dict[str, Any]]:
    place = {event.t: n for n, event in enumerate(events, 1)}
    hops = {"off": 0, "reset": 0, "hop 2 off": 1}.get(condition, 2 if condition in MODEL else 0)
    for number, (question, said) in enumerate(zip(asked, given, strict=True)):
        dice, found = Dice(seed, number, 9), [place[t] for t in question.evidence]
        told = {name: getattr(question, name) for name in ("question", "kind", "t", "age", "overwrites")}
        yield answer(
            **told,
            events=len(events),
            language="ar" if question.question.endswith("؟") else "en",
            as_of=question.t - question.age if hops and found else None,
            reads=[_read(dice, hop, found, len(events)) for hop in range(1, hops + 1)],
            answer=question.answer,
            accept=list(question.accept),
            given=said,
            right=is_right(question, said),
            ms=1 + dice.below(400) / 100,
        )


def _read(dice: Dice, hop: int, found: list[int], events: int) -> dict[str, Any]:
    if not found:
        return {"hop": hop, "null": 0.97, "events": []}
    best = found[min(hop - 1, len(found) - 1)]
    others = {1 + dice.below(events) for _ in range(4)} - {best}
    weights = [[n, (1 + dice.below(30)) / 1000] for n in sorted(others)]
    return {"hop": hop, "null": 0.02, "events": [[best, 0.8], *weights]}


def main() -> None:
    """Write everything into the folder that is named."""
    from chronos.evaluation.live.report import write_live_report

    place, events = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 10_000
    cairo(place / "records", (events, events, 256, 1_000), seeds=3, questions=200)
    report = write_live_report(place / "records", place / "report")
    print(report["headline"])


if __name__ == "__main__":
    main()
