"""One life on disk: life.jsonl, questions.jsonl and stats.json in a folder, streamed, all or nothing.

The rows are those of chronos.data.lives. Try `chronos data cairo --events 10000 --seed 0 --out-dir DIR`.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from chronos.data.cairo.asking import default_count
from chronos.data.cairo.life import Life
from chronos.data.lives import Question, write_lives


def write_cairo(
    out_dir: Path | str, events: int, seed: int, *, questions: int | None = None, **options: Any
) -> dict[str, Any]:
    """Write a life and its questions; return the statistics, the majority class of each kind among them.

    `options` are those of `life.Options`. A short life may have fewer questions than `questions`. Raises
    ChronosError for options that cannot be; `out_dir` then stays as it was.
    """
    life = Life(events, seed, **options)
    asked = default_count(events) if questions is None else questions
    told = life.options
    stats = {
        "source": "cairo",
        **{name: getattr(told, name) for name in told.__slots__ if name != "rates"},
        "rates": dict(told.rates),
    }
    return write_lives(out_dir, life.events(), _late(life, asked), stats, total=events + asked)


def show_cairo(events: int, seed: int, *, questions: int | None = None, **options: Any) -> Iterator[str]:
    """A life to look at, line by line: "t  sentence", an empty line, then each question with its answer."""
    life = Life(events, seed, **options)
    width = len(str(life.end))
    yield from (f"{event.t:{width}}  {event.text}" for event in life.events())
    yield ""
    yield from (f"{asked.question} {asked.answer}" for asked in life.questions(questions))


def _late(life: Life, n: int) -> Iterator[Question]:
    """The questions, drawn only once the events have been written: the life is gone through once."""
    yield from life.questions(n)
