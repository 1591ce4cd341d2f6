"""`chronos eval --recall FOLDER`: a model reads each life of a folder into a store of its own, and is asked.

Any folder of lives does (bAbI, MQAR, needles, one's own): every question is asked of what was read up to its
time, and answers are judged word by word. It trains nothing and leaves no store.
"""

import tempfile
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

from chronos.console import ChronosError, Progress
from chronos.data.lives import Event, Question, counted, is_right, read_lives
from chronos.data.notes.dates import step_time
from chronos.memory.recall import Moment, Recaller
from chronos.tokenization.clock import life_origin


def ask_folder(recaller: Recaller, folder: Path) -> dict[str, Any]:
    """{"n", "accuracy", "by_kind"} over all questions of a folder; see `chronos.data.lives.counted`.

    ChronosError where nothing is asked, and for a question before the first event of its life.
    """
    lives = sum(1 for _ in read_lives(folder))
    judged: list[tuple[str, bool]] = []
    with tempfile.TemporaryDirectory(prefix="chronos-recall-") as place, Progress(
        lives, "asking", unit="lives"
    ) as bar:  # fmt: skip
        for i, (told, asked) in enumerate(read_lives(folder), 1):
            if asked:
                judged += _judged(recaller, Path(place) / str(i), told, asked)
            bar.update(i)
    if not judged:
        raise ChronosError("there is no question to answer", where=folder)
    return counted(judged)


def _judged(
    recaller: Recaller, path: Path, told: list[Event], asked: list[Question]
) -> Iterator[tuple[str, bool]]:
    """(kind, right) of the questions of one life."""
    origin = life_origin(told[0].date, told[0].t)

    with recaller.create_store(path) as store:
        recaller.ingest(store, (Moment(step_time(event.t, origin), event.text) for event in told), "life")
        for t, group in groupby(sorted(asked, key=lambda q: q.t), key=lambda q: q.t):
            together = list(group)
            if t < told[0].t:
                got = ascii(together[0].question[:40])
                raise ChronosError("a question before the first event", where=f"life {told[0].life}", got=got)
            texts, now = [q.question for q in together], step_time(t + 1, origin) - 1
            answers = recaller.ask(store, texts, now, until=now + 1)
            yield from ((q.kind, is_right(q, a.text)) for q, a in zip(together, answers))
