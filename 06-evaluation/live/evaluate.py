"""`chronos eval --suite cairo`: test lives are read once, questioned under every condition, and recorded.

Who is asked what, and the records; asking is `interview.py`'s, and what comes out is told by `summary.py`. A
killed evaluation goes on with the part that it was at. Try `chronos eval --suite cairo --events 300`.
"""

import contextlib
import shlex
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from chronos import settings
from chronos.console import ChronosError, Progress
from chronos.evaluation.content import git_state
from chronos.evaluation.live.conditions import ALL
from chronos.evaluation.live.interview import Interview
from chronos.evaluation.live.readers import READERS
from chronos.evaluation.live.records import Writer
from chronos.evaluation.live.texts import TextInterview, text_interviews
from chronos.evaluation.live.told import Lives

SHOWN = 20_000  # events of the longest life that is recorded event by event: what a microscope can show
RECORDS, STORES = "records", "stores"


@dataclass(frozen=True)
class Suite:
    """What is asked of whom: models, one a seed of training (they are counted from 1), lives, conditions.

    `baselines`: directories of language models without a store, each a condition named by its preset.
    """

    models: tuple[Path, ...]
    lives: Lives
    conditions: tuple[str, ...] = ALL
    baselines: tuple[Path, ...] = ()

    def parts(self, seed: int, baselines: Iterable[str] = ()) -> list[tuple[int, str]]:
        """(life from 0, condition) of a seed; what has no store answers once, beside the first seed."""
        asked = [name for name in self.conditions if seed == 1 or name not in READERS]
        asked += baselines if seed == 1 else ()
        return [(i, name) for i in range(self.lives.lives) for name in asked]


def evaluate(suite: Suite, folder: Path, *, keep: bool = False) -> Path:
    """Ask everything and write the records; returns where they are, `folder`/records.

    With `keep`, the stores stay in `folder`/stores, named SEED-LIFE. ChronosError where a model is none that
    remembers or is given twice, where a baseline writes no texts, and where weights changed; what was asked
    until then is not asked again.
    """
    texts = text_interviews(suite.baselines, suite.lives)
    with _stores(folder, keep) as place:
        interviews = [Interview(seed, path, suite.lives, place) for seed, path in enumerate(suite.models, 1)]
        _refuse_twins(interviews)
        hashes = [one.sha256 for one in interviews]
        made_of = {"suite": "cairo", "models": hashes, "conditions": suite.conditions, **asdict(suite.lives)}
        made_of["baselines"] = {name: one.weights for name, one in texts.items()}
        total = sum(len(suite.parts(one.seed, texts)) for one in interviews) * suite.lives.questions
        with Writer(folder / RECORDS, made_of) as writer, Progress(total, "asking", unit="questions") as bar:
            done, figures = 0, []
            for interview in interviews:
                done = _ask(suite, interview, texts, writer, bar, done)
                figures.append(interview.figures())
                interview.close()
            writer.about(_about(suite, interviews, figures) | {"baselines": _measured(texts)})
    return folder / RECORDS


@contextlib.contextmanager
def _stores(folder: Path, keep: bool) -> Iterator[Path]:
    """Where the stores lie: in the folder, or nowhere for long."""
    if keep:
        yield folder / STORES
    else:
        with tempfile.TemporaryDirectory(prefix="chronos-cairo-") as place:
            yield Path(place)


def _refuse_twins(interviews: Sequence[Interview]) -> None:
    """Two answers of one model are no second seed: they would make an interval too narrow."""
    for one in interviews:
        if any(other.weights == one.weights for other in interviews[: one.seed - 1]):
            mend = "give models of different seeds of training"
            raise ChronosError("the same model is given twice", where=one.model, mend=mend)


def _ask(
    suite: Suite, interview: Interview, texts: dict[str, TextInterview], writer: Writer, bar: Progress,
    done: int,
) -> int:  # fmt: skip
    """All parts of one seed that are not there yet; how many questions are done in all."""
    seed = interview.seed
    for i, condition in suite.parts(seed, texts):
        number = suite.lives.seed + i
        bar.update(done, life=number, condition=condition)
        if seed == 1 and suite.lives.events <= SHOWN and not writer.has_life(number):
            writer.life(number, interview.taken(i))
        if not writer.has(seed, number, condition):
            if condition in texts:
                rows = texts[condition].answers(i)
            else:
                rows = interview.answers(i, condition, lambda n: bar.update(done + n))  # noqa: B023 (at once)
            writer.answers(seed, number, condition, rows)
        done += suite.lives.questions
    return done


def _measured(texts: dict[str, TextInterview]) -> dict[str, dict[str, Any]]:
    """What each baseline is and what reading cost it, once its weights are known not to have changed."""
    for one in texts.values():
        one.close()
    return {name: one.figures() for name, one in texts.items()}


def _about(
    suite: Suite, interviews: Sequence[Interview], figures: Sequence[dict[str, float]]
) -> dict[str, Any]:
    """What made the records, and what reading and asking cost: means over the seeds of training."""
    state, first = git_state(), interviews[0]
    means = {name: sum(one[name] for one in figures) / len(figures) for name in figures[0]}
    return {
        "model": {**first.shape, "sha256": first.sha256},
        **means,
        "bytes_per_event": means["bytes_beside_text"],
        "weights": {str(one.seed): {"file": one.sha256, "values": one.weights} for one in interviews},
        "weights_unchanged": all(one.unchanged for one in interviews),
        "asked": asdict(suite.lives),
        "command": shlex.join(["chronos", *sys.argv[1:]]),
        "commit": str(state["commit"] or "unknown") + (", changed" if state["changed"] else ""),
        "machine": settings.machine(),
    }
