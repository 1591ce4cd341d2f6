"""From finished blocks to the corpus: duplicates out, rows to their side, sources mixed, numbers counted.

It reads the blocks in order and holds one of each source; nothing here depends on who made them.
Used by `chronos.data.corpus.prepare`.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from chronos.console import ChronosError, Progress
from chronos.data.corpus import duplicates
from chronos.data.corpus.config import Options
from chronos.data.corpus.mixing import Source, mixed
from chronos.data.corpus.records import BY_HASH, TRAIN, VAL, Made

SIDES = {"train": TRAIN, "val": VAL}


@dataclass(frozen=True)
class Corpus:
    """What the blocks hold: of which source each block is, and how its rows are dealt out."""

    made: Made
    owners: tuple[int, ...]  # (blocks,) the number of each block's source
    sources: tuple[Source, ...]
    val_fraction: float
    options: Options


class _Part:
    """One side of the split, written row by row: counts and a running hash."""

    def __init__(self, path: Path):
        self.path = path
        self.file = open(path, "wb")  # noqa: SIM115 (closed by _write)
        self.sha256 = hashlib.sha256()
        self.documents = self.characters = self.bytes = self.file_bytes = 0

    def add(self, row: bytes, characters: int, size: int) -> None:
        self.file.write(row)
        self.sha256.update(row)
        self.documents += 1
        self.characters += characters
        self.bytes += size
        self.file_bytes += len(row)

    def stats(self) -> dict[str, Any]:
        return {
            "file": self.path.name,
            "documents": self.documents,
            "characters": self.characters,
            "bytes": self.bytes,
            "file_bytes": self.file_bytes,
            "sha256": self.sha256.hexdigest(),
        }


def assemble(corpus: Corpus, folder: Path) -> dict[str, Any]:
    """Write train.jsonl and val.jsonl into `folder`; return what stats.json says of them.

    Raises ChronosError for a source that is too short to have something on both sides.
    """
    kept, found = _without_duplicates(corpus, folder)
    sides = _dealt(corpus, kept)
    stats: dict[str, Any] = {name: _write(corpus, sides, name, folder) for name in SIDES}
    if len(corpus.sources) > 1:
        stats["mix"] = _mix_table(corpus, sides, [stats[name].pop("taken") for name in SIDES])
    for name in SIDES:
        stats[name].pop("taken", None)
    return stats | {"duplicates": found}


def _without_duplicates(corpus: Corpus, folder: Path) -> tuple[np.ndarray, dict[str, Any]]:
    """(n,) bool rows that stay, and how many were the same as earlier ones."""
    made, dedupe = corpus.made, corpus.options.dedupe
    same = duplicates.exact(made)
    found: dict[str, Any] = {"dedupe": dedupe, "exact": int(same.sum())}
    if dedupe == "none":
        return np.ones(len(same), bool), found
    kept = ~same
    if dedupe == "near":
        close = duplicates.nearly(made, corpus.options.similarity, folder.parent / "signatures", kept)
        found |= {"near": int((close & kept).sum()), "similarity": corpus.options.similarity}
        kept &= ~close
    return kept, found


def _dealt(corpus: Corpus, kept: np.ndarray) -> np.ndarray:
    """(n,) uint8: TRAIN or VAL, 0 for rows that are left out. Each source has rows on both sides."""
    sides = np.zeros(len(kept), np.uint8)
    starts = corpus.made.starts()
    for number, source in enumerate(corpus.sources):
        mine = [block for block, owner in enumerate(corpus.owners) if owner == number]
        cut = _cut(corpus, kept, mine, source)
        for block in mine:
            rows = slice(starts[block], starts[block + 1])
            fixed = corpus.made.load(block, "side")
            dealt = np.where(corpus.made.load(block, "place") < np.uint64(cut), VAL, TRAIN)
            sides[rows] = np.where(fixed == BY_HASH, dealt, fixed) * kept[rows]
    return sides


def _cut(corpus: Corpus, kept: np.ndarray, mine: Sequence[int], source: Source) -> int:
    """Rows of a source whose place is below this are validation.

    Few rows may all fall to one side: then the lowest (or the highest) one goes to the other.
    """
    cut = min(int(corpus.val_fraction * 2**64), 2**64 - 1)
    starts = corpus.made.starts()
    train = val = characters = 0
    lowest, highest = 2**64, -1
    for block in mine:
        stay = kept[starts[block] : starts[block + 1]]
        fixed, place = corpus.made.load(block, "side")[stay], corpus.made.load(block, "place")[stay]
        free = place[fixed == BY_HASH]
        below = int((free < np.uint64(cut)).sum())
        val += below + int((fixed == VAL).sum())
        train += len(free) - below + int((fixed == TRAIN).sum())
        characters += int(corpus.made.load(block, "characters")[stay].sum(dtype=np.int64))
        if len(free):
            lowest, highest = min(lowest, int(free.min())), max(highest, int(free.max()))
    if train and val:
        return cut
    if lowest >= highest:
        raise ChronosError(
            "too short to be split into training and validation",
            where=source.path,
            got=f"{characters} characters in {train + val} document(s)",
            mend="give more text",
        )
    return lowest + 1 if not val else highest


def _write(corpus: Corpus, sides: np.ndarray, name: str, folder: Path) -> dict[str, Any]:
    """Write one side; "taken" are the (documents, bytes) of each source."""
    readers = [partial(_rows, corpus, sides, SIDES[name], number) for number in range(len(corpus.sources))]
    epochs = corpus.options.epochs if name == "train" and len(readers) > 1 else 1
    part = _Part(folder / f"{name}.jsonl")
    taken = [[0, 0] for _ in readers]
    with part.file, Progress(None, f"writing {name}.jsonl", unit="B") as bar:
        for turn, size, (row, characters) in mixed(readers, [s.weight for s in corpus.sources], epochs):
            part.add(row, characters, size)
            taken[turn][0] += 1
            taken[turn][1] += size
            if part.documents % 256 == 0:
                bar.update(part.file_bytes)
    return part.stats() | {"taken": taken}


def _rows(
    corpus: Corpus, sides: np.ndarray, side: int, number: int
) -> Iterator[tuple[int, tuple[bytes, int]]]:
    """The rows of one source on one side, in order: (bytes of text, (row, characters))."""
    starts = corpus.made.starts()
    for block, owner in enumerate(corpus.owners):
        chosen = np.flatnonzero(sides[starts[block] : starts[block + 1]] == side)
        if owner != number or not len(chosen):
            continue
        data = corpus.made.load(block, "rows").tobytes()
        ends = np.cumsum(corpus.made.load(block, "size"), dtype=np.int64)
        begins = np.concatenate([[0], ends[:-1]])
        columns = (begins, ends, corpus.made.load(block, "bytes"), corpus.made.load(block, "characters"))
        for begin, end, size, characters in zip(*(column[chosen].tolist() for column in columns)):
            yield size, (data[begin:end], characters)


def _mix_table(corpus: Corpus, sides: np.ndarray, taken: Sequence[Any]) -> list[dict[str, Any]]:
    """For each source: the share asked for and got, what was used of how much, and how often."""
    available = [[0, 0] for _ in corpus.sources]
    starts = corpus.made.starts()
    for block, owner in enumerate(corpus.owners):
        stay = sides[starts[block] : starts[block + 1]] > 0
        available[owner][0] += int(stay.sum())
        available[owner][1] += int(corpus.made.load(block, "bytes")[stay].sum(dtype=np.int64))
    weights = sum(source.weight for source in corpus.sources)
    used = [[sum(side[i][k] for side in taken) for k in (0, 1)] for i in range(len(available))]
    total = sum(size for _, size in used)
    return [
        {
            "name": source.label,
            "weight": source.weight,
            "asked": source.weight / weights,
            "got": size / total,
            "documents": documents,
            "bytes": size,
            "available_documents": stock[0],
            "available_bytes": stock[1],
            "passes": size / stock[1],
        }
        for source, (documents, size), stock in zip(corpus.sources, used, available)
    ]
