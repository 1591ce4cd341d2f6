"""What a worker makes of a block: finished rows and, for each, what later decides whether and where it goes.

A block depends on nothing but its pieces and the recipe, so it can be made by any process, again and again.
Used by `chronos.data.corpus.prepare` through workers.py; `Made` reads what `make` wrote.
"""

import hashlib
import io
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from json.encoder import encode_basestring  # json.dumps(text, ensure_ascii=False), four times as fast
from pathlib import Path
from typing import Any

import numpy as np

from chronos.data.blocks import Piece
from chronos.data.corpus import near, quality
from chronos.data.corpus.config import Options
from chronos.data.corpus.rules import STATISTICS, chosen
from chronos.data.documents import Document, Tally, documents_of
from chronos.data.rows import without_headers

PIECE = 8 << 20  # characters of one row; longer plain texts are cut into several, at line ends
BY_HASH, TRAIN, VAL = 0, 1, 2  # to which side a row goes: decided by its hash, or by where it stood
SHOWN = 120  # characters of an example

TYPES = {
    "size": np.uint32,  # bytes of the row in the file, its line end included
    "characters": np.uint32,
    "bytes": np.uint32,  # of the text alone, as UTF-8
    "side": np.uint8,
    "place": np.uint64,  # 64 bits of a hash of seed and text: validation if low
    "exact": np.uint64,  # 64 bits of a hash of the text without case and white space
}


@dataclass(frozen=True)
class Recipe:
    """All that decides what becomes of a piece."""

    seed: int
    val_fraction: float
    on_damage: str
    options: Options


@dataclass
class _Rows:
    """Rows in the making, column by column."""

    recipe: Recipe
    rows: list[bytes] = field(default_factory=list)
    columns: dict[str, list[int]] = field(default_factory=lambda: {name: [] for name in TYPES})
    signatures: list[np.ndarray] = field(default_factory=list)
    signer: near.Signer | None = None

    def add(self, text: str, side: int, untrained: Iterable[tuple[int, int]] = ()) -> None:
        data = text.encode("utf-8")
        marks = f', "untrained": {json.dumps(untrained)}' if untrained else ""
        line = f'{{"text": {encode_basestring(text)}{marks}}}\n'.encode()
        place = 0 if side else _first_64(f"{self.recipe.seed}\n".encode() + data)
        values = (len(line), len(text), len(data), side, place, same_key(text))
        for column, value in zip(self.columns.values(), values):
            column.append(value)
        self.rows.append(line)
        if self.signer:
            self.signatures.append(self.signer.sign(text))


def make(pieces: Iterable[Piece], recipe: Recipe) -> tuple[bytes, dict[str, Any]]:
    """The content of a block's file and a summary of it. Raises DamageError unless damage is to be skipped.

    The summary: kept and empty documents, damage (count and the first reasons), and what the filters
    dropped: {rule: count}, with an example of each.
    """
    near_too = recipe.options.dedupe == "near"
    made = _Rows(recipe, signer=near.Signer() if near_too else None)
    tally = Tally(skip=recipe.on_damage == "skip")
    judged = _Judged(recipe)
    for piece in pieces:
        for document in documents_of(piece, recipe.options.cleaning, tally):
            if judged.keeps(document):
                for text, side in _sides(document, piece.side, recipe.val_fraction):
                    made.add(text, side, document.untrained)
    arrays = {name: np.array(made.columns[name], kind) for name, kind in TYPES.items()}
    arrays["rows"] = np.frombuffer(b"".join(made.rows), np.uint8)
    if near_too:
        arrays["signatures"] = np.array(made.signatures, np.uint16).reshape(-1, near.PERMUTATIONS)
        keys = near.bands(arrays["signatures"], recipe.options.similarity)
        arrays |= {f"band{number}": row for number, row in enumerate(keys)}
    arrays |= judged.arrays()
    summary = {"kept": tally.kept, "empty": tally.empty, "damaged": tally.damaged, "reasons": tally.reasons}
    summary |= {"rows": len(made.rows), "dropped": judged.dropped, "examples": judged.examples}
    arrays["summary"] = np.frombuffer(json.dumps(summary).encode("utf-8"), np.uint8)
    out = io.BytesIO()
    np.savez(out, **arrays)
    return out.getvalue(), summary


def _sides(document: Document, side: str, val_fraction: float) -> Iterator[tuple[str, int]]:
    """The rows of a document: itself, or the pieces of a plain text and the side that each belongs to."""
    text = document.text
    if not document.plain:
        yield text, BY_HASH
        return
    if side:
        parts = [(text, {"train": TRAIN, "val": VAL}[side])]
    else:
        at = int(len(text) * (1 - val_fraction))
        split = text[:at].strip() and text[at:].strip()
        parts = [(text[:at], TRAIN), (text[at:], VAL)] if split else [(text, TRAIN)]
    for part, to in parts:
        for piece in cut(part):
            yield piece, to


def cut(text: str, size: int = PIECE) -> Iterator[str]:
    """Cut a long text at the last line end before each `size` characters; joined they are the text."""
    start = 0
    while start < len(text):
        stop = start + size
        if stop < len(text):
            stop = text.rfind("\n", start, stop) + 1 or stop
        yield text[start:stop]
        start = stop


def same_key(text: str) -> int:
    """64 bits that texts share which are the same but for case and (ASCII) white space."""
    return _first_64(text.casefold().encode("utf-8").translate(None, b" \t\n\r\x0b\x0c"))


def _first_64(data: bytes) -> int:
    return int.from_bytes(hashlib.sha256(data).digest()[:8], "big")


class _Judged:
    """The quality of each document, if it is asked for: statistics, and the rule that dropped it."""

    def __init__(self, recipe: Recipe):
        self.rules = chosen(recipe.options.filters)
        self.wanted = bool(self.rules) or recipe.options.report
        self.statistics: list[list[float]] = []
        self.verdicts: list[int] = []
        self.dropped: dict[str, int] = {}
        self.examples: dict[str, str] = {}

    def keeps(self, document: Document) -> bool:
        """Whether a document passes; what it is like is noted."""
        if not self.wanted:
            return True
        text = without_headers(document.text)  # they are ours, not the document's
        found = quality.statistics(text)
        rule = quality.broken(text, found, self.rules)
        self.statistics.append([found[name] for name in STATISTICS])
        self.verdicts.append(0 if rule is None else 1 + self.rules.index(rule))
        if rule is not None:
            self.dropped[rule] = self.dropped.get(rule, 0) + 1
            start = " ".join(document.text[:SHOWN].split())
            self.examples.setdefault(rule, f"{document.source}: {start}")
        return rule is None

    def arrays(self) -> dict[str, np.ndarray]:
        """(n, K) statistics and (n,) verdicts: 0 kept, else 1 + the number of the rule."""
        if not self.wanted:
            return {}
        statistics = np.array(self.statistics, np.float64).reshape(-1, len(STATISTICS))
        return {"statistics": statistics, "verdicts": np.array(self.verdicts, np.uint8)}


@dataclass(frozen=True)
class Made:
    """The blocks that are done, as files 000000.npz … of a folder; `counts` are their rows."""

    folder: Path
    counts: tuple[int, ...]

    def load(self, block: int, name: str) -> np.ndarray:
        """One array of one block."""
        with np.load(block_path(self.folder, block), allow_pickle=False) as arrays:
            return arrays[name]

    def starts(self) -> np.ndarray:
        """The number of each block's first row, and of all rows at the end."""
        return np.concatenate([[0], np.cumsum(self.counts, dtype=np.int64)])


def block_path(folder: Path, block: int) -> Path:
    """Where a block's file stands."""
    return folder / f"{block:06}.npz"


def read_summary(path: Path) -> dict[str, Any]:
    """The summary that `make` put into a block's file."""
    with np.load(path, allow_pickle=False) as arrays:
        return json.loads(arrays["summary"].tobytes())
