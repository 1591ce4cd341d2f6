"""From sources to a corpus: train.jsonl, val.jsonl and stats.json in one folder, all or nothing.

The same sources and options give the same bytes on every machine, with any number of workers, and however
often the work was interrupted: the same command goes on where it stopped.
Run it as `chronos data prepare --text PATH|stories --out-dir DIR`.
"""

import dataclasses
import itertools
import sys
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from chronos.console import ChronosError, Progress
from chronos.data import blocks
from chronos.data.corpus import quality_report
from chronos.data.corpus.assembling import Corpus, assemble
from chronos.data.corpus.config import DEFAULT, Options
from chronos.data.corpus.inputs import Input
from chronos.data.corpus.mixing import Source
from chronos.data.corpus.records import Made, Recipe, block_path, read_summary
from chronos.data.corpus.workers import Task, run
from chronos.data.documents import Tally, check_on_damage
from chronos.files import refuse_strangers, resumable_directory, sha256_bytes, write_json
from chronos.settings import threads

FILES = ("train.jsonl", "val.jsonl", "stats.json")
VERSION = 1  # of the block files; unfinished work of another one is not gone on with
STORIES_COUNT = 8000  # about 3 MB


class Interrupted(ChronosError):
    """Ctrl-C: what is done is kept."""

    exit_code = 130
    keeps_work = True


def prepare(
    source: str | Path | Sequence[Source],
    out_dir: Path | str,
    *,
    seed: int = 0,
    val_fraction: float = 0.1,
    stories_count: int = STORIES_COUNT,
    on_damage: str = "fail",
    options: Options = DEFAULT,
    num_workers: int = 1,
) -> dict[str, Any]:
    """Write `out_dir`/train.jsonl, val.jsonl ({"text"} rows) and stats.json; return the statistics.

    `source` is "stories", "python-docs" or a path; several Sources are mixed by weight. A row has
    "untrained" where not all of it is trained on (rows.py). Plain texts are split by position (validation is
    the end), rows by a hash of seed and text, so that equal rows fall on one side. `num_workers` processes
    make the rows, 0 meaning one a core. Where quality is judged, quality.svg is drawn.

    Work goes on in a hidden folder beside `out_dir` and is kept there if the process is killed. Raises
    ChronosError, leaving `out_dir` as it was, for unreadable or empty sources, for those too short to be
    split, for a second process with the same `out_dir`, and Interrupted after Ctrl-C.
    """
    if not 0 < val_fraction < 1:
        raise ChronosError("val_fraction must lie between 0 and 1", got=val_fraction)
    if num_workers < 0:
        raise ChronosError("num_workers must be 0 (all cores) or more", got=num_workers)
    check_on_damage(on_damage)
    sources = _sources(source)
    inputs = [Input(each, seed, stories_count) for each in sources]
    recipe = Recipe(seed, val_fraction, on_damage, options)
    refuse_strangers(out_dir, FILES)
    plan = _plan(inputs, sources, recipe)
    try:
        with resumable_directory(out_dir, plan) as folder:
            # By plan: a worker of a killed process may still write blocks of another one.
            blocks_here = folder.parent / f"blocks-{sha256_bytes(repr(plan).encode())[:16]}"
            blocks_here.mkdir(exist_ok=True)
            making = _Making(inputs, sources, recipe, blocks_here)
            making.run(num_workers or threads())
            return _finish(making, folder)
    except KeyboardInterrupt:
        line = "interrupted: what is done is kept; run the same command again to go on"
        raise Interrupted(line) from None


def _plan(inputs: Sequence[Input], sources: Sequence[Source], recipe: Recipe) -> dict[str, Any]:
    """All that the corpus follows from: work in progress is gone on with only if this is the same."""
    return {
        "version": VERSION,
        "inputs": [each.identity() for each in inputs],
        "sources": [dataclasses.asdict(each) | {"path": str(each.path)} for each in sources],
        "recipe": dataclasses.asdict(recipe),
        "python": sys.version_info[:2],  # its Unicode tables
        "block": blocks.BLOCK,
    }


def _sources(source: str | Path | Sequence[Source]) -> tuple[Source, ...]:
    if isinstance(source, str | Path):
        return (Source(str(source)),)
    if not source:
        raise ChronosError("nothing to prepare", expected="at least one source")
    return tuple(source)


class _Making:
    """All blocks of all sources: which are done, what they hold, and the making of those that are not."""

    def __init__(self, inputs: Sequence[Input], sources: tuple[Source, ...], recipe: Recipe, folder: Path):
        self.inputs, self.sources, self.recipe, self.folder = inputs, sources, recipe, folder
        self.owners: list[int] = []
        self.sizes: list[int] = []
        self.summaries: dict[int, dict[str, Any]] = {}
        self.done = {int(file.stem) for file in folder.glob("*.npz") if file.stem.isdigit()}

    def run(self, workers: int) -> None:
        """Make what is not made yet. Warns of what is left out; ChronosError for a source without text."""
        sizes = [each.size for each in self.inputs]
        total = None if None in sizes else sum(size or 0 for size in sizes)
        tasks = self._tasks()
        first = list(itertools.islice(tasks, 2))  # a single block is not worth a process
        with Progress(total or None, "preparing text", unit="B") as bar:
            for number, summary in run(
                itertools.chain(first, tasks), self.recipe, self.folder, min(workers, len(first))
            ):
                self.summaries[number] = summary
                bar.update(sum(self.sizes[made] for made in self.summaries), blocks=len(self.summaries))
        for number, source in enumerate(self.sources):
            self._report(number, source)

    def _tasks(self) -> Iterator[Task]:
        for owner, source in enumerate(self.inputs):
            for pieces in blocks.gathered(source.pieces(self.recipe.val_fraction)):
                number = len(self.owners)
                self.owners.append(owner)
                self.sizes.append(sum(len(piece.data) for piece in pieces))
                if number not in self.done or not self._recall(number):
                    yield number, pieces

    def _recall(self, number: int) -> bool:
        """Take over a block that an earlier process has made, if its file is whole."""
        try:
            self.summaries[number] = read_summary(block_path(self.folder, number))
        except (OSError, ValueError, KeyError, zipfile.BadZipFile):
            return False
        return True

    def _report(self, number: int, source: Source) -> None:
        tally = self.tally(number)
        tally.report(source.path)
        if not any(self.summaries[block]["rows"] for block in self._blocks(number)):
            raise ChronosError("the filters have left nothing", where=source.path, mend="choose fewer")

    def tally(self, number: int | None = None) -> Tally:
        """What was kept and left out of a source, or of all."""
        tally = Tally(skip=True)
        for block in self._blocks(number):
            summary = self.summaries[block]
            tally.kept += summary["kept"]
            tally.empty += summary["empty"]
            tally.count(summary["damaged"], summary["reasons"])
        return tally

    def _blocks(self, number: int | None) -> list[int]:
        return [block for block, owner in enumerate(self.owners) if number in (None, owner)]

    def corpus(self) -> Corpus:
        """The blocks, all of them made."""
        counts = tuple(self.summaries[block]["rows"] for block in range(len(self.owners)))
        made = Made(self.folder, counts)
        recipe = self.recipe
        return Corpus(made, tuple(self.owners), self.sources, recipe.val_fraction, recipe.options)


def _finish(making: _Making, place: Path) -> dict[str, Any]:
    """Write the corpus, all blocks of which are made."""
    recipe, corpus = making.recipe, making.corpus()
    sides = assemble(corpus, place)
    origins = [each.origin() for each in making.inputs]
    stats: dict[str, Any] = {"version": 1, "source": origins[0] if len(origins) == 1 else origins}
    stats |= {"seed": recipe.seed, "val_fraction": recipe.val_fraction}
    if recipe.options != DEFAULT:
        stats["options"] = dataclasses.asdict(recipe.options)
    for key in ("documents", "characters", "bytes"):
        stats[key] = sum(sides[side][key] for side in ("train", "val"))
    tally = making.tally()
    stats |= sides
    stats["left_out"] = {"damaged": tally.damaged, "empty": tally.empty, "reasons": tally.reasons}
    summaries = [making.summaries[block] for block in range(len(corpus.made.counts))]
    if quality := quality_report.report(corpus.made, recipe.options, summaries, place):
        stats["quality"] = quality
    write_json(place / "stats.json", stats)
    return stats
