"""The recall tasks by name, and how one becomes a folder of lives, documents and token arrays.

A task is a function of a seed; the folder is written whole or not at all. Nothing is trained or scored.
Try `chronos data recall --task copying --n 3 --out-dir DIR`.
"""

import dataclasses
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chronos.console import ChronosError, Progress
from chronos.data.lives import LivesWriter
from chronos.data.tasks import babi, copying, mqar, needle, short_lives
from chronos.data.tasks.arrays import ArrayFiles
from chronos.data.tasks.example import Example, require
from chronos.files import atomic_directory, sha256_file, write_json
from chronos.settings import build, did_you_mean

DOCUMENTS = "documents.jsonl"


@dataclass(frozen=True)
class Task:
    """`examples(n, seed, split, options)` is the task; `options` the dataclass of its settings."""

    examples: Callable[[int | None, int, str, Any], Iterator[Example]]
    options: type
    about: str


TASKS = {
    "mqar": Task(mqar.examples, mqar.Options, "associative recall: which value goes with this key?"),
    "needle": Task(needle.examples, needle.Options, "a needle in a haystack, by length and depth"),
    "copying": Task(copying.examples, copying.Options, "selective copying: what was to be remembered?"),
    "babi": Task(babi.examples, babi.Options, "the stories of bAbI, from their files"),
    "cairo": Task(
        short_lives.examples, short_lives.Options, "short lives in Cairo, each sentence with its time"
    ),
}


def examples(
    name: str, *, seed: int = 0, n: int | None = None, split: str = "train", **options: Any
) -> Iterator[Example]:
    """The examples of a task, streamed; `options` are the fields of its Options, strings are converted.

    Raises ChronosError for an unknown task, option or split, and for values that make no sense.
    """
    return _start(name, seed, n, split, options)[0]


def _start(
    name: str, seed: int, n: int | None, split: str, options: dict[str, Any]
) -> tuple[Iterator[Example], Any]:
    """The examples, and the settings as they were understood."""
    if name not in TASKS:
        raise ChronosError(f"unknown task {name!r}", mend=did_you_mean(name, TASKS))
    require(n is None or n >= 1, "the number of examples must be at least 1", got=n)
    settings = build(TASKS[name].options, options)
    return TASKS[name].examples(n, seed, split, settings), settings


def write_task(
    name: str,
    out_dir: Path | str,
    *,
    seed: int = 0,
    n: int | None = None,
    split: str = "train",
    **options: Any,
) -> dict[str, Any]:
    """Write a task into `out_dir` and return its statistics, which stats.json holds too.

    life.jsonl and questions.jsonl (see chronos.data.lives), documents.jsonl (a row {"text", "untrained"} per
    example, of which only the answers are trained), and where the task has token arrays inputs.npy and
    labels.npy, (n, T) int32 with −100 where nothing is asked. One example at a time is in memory. The same
    arguments give the same bytes everywhere; another split never the same dice.
    """
    told, settings = _start(name, seed, n, split, options)
    with atomic_directory(out_dir) as folder:
        with ExitStack() as stack:
            lives = stack.enter_context(LivesWriter(folder))
            documents = stack.enter_context(open(folder / DOCUMENTS, "wb"))
            arrays = stack.enter_context(ArrayFiles(folder))
            bar = stack.enter_context(Progress(n, f"writing {name}", unit="lives"))
            count = 0
            for count, example in enumerate(told, 1):
                for event in example.events:
                    lives.tell(event)
                for question in example.questions:
                    lives.ask(question)
                documents.write(_row(example, f"{name} {count}"))
                arrays.add(example)
                bar.update(count)
        stats = {"version": 1, "task": name, "seed": seed, "split": split, "n": count}
        stats |= {"options": dataclasses.asdict(settings), **lives.stats()}
        stats["documents"] = {"file": DOCUMENTS, "rows": count, "sha256": sha256_file(folder / DOCUMENTS)}
        stats |= arrays.stats()
        write_json(folder / "stats.json", stats)
    return stats


def _row(example: Example, source: str) -> bytes:
    document = example.document(source)
    row = {"text": document.text, "untrained": document.untrained}
    return json.dumps(row, ensure_ascii=False).encode("utf-8") + b"\n"
