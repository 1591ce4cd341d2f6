"""From a source to a corpus: train.jsonl, val.jsonl and stats.json in one folder, all or nothing.

The same source and seed give the same bytes on every machine. It neither filters nor deduplicates.
Run it as `chronos data prepare --text PATH|stories --out-dir DIR`.
"""

import contextlib
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from chronos.console import ChronosError, Progress
from chronos.data.documents import Document, read_documents, text_files
from chronos.data.stories import stories
from chronos.files import atomic_directory, write_json

STORIES_COUNT = 8000  # about 3 MB
PIECE = 8 << 20  # characters of one row; longer plain texts are cut into several, at line ends


class _Part:
    """One side of the split, written row by row: counts and a running hash."""

    def __init__(self, path: Path):
        self.path = path
        self.file = open(path, "wb")  # noqa: SIM115 (closed by _Split)
        self.sha256 = hashlib.sha256()
        self.documents = self.characters = self.bytes = 0

    def add(self, text: str) -> None:
        row = json.dumps({"text": text}, ensure_ascii=False).encode("utf-8") + b"\n"
        self.file.write(row)
        self.sha256.update(row)
        self.documents += 1
        self.characters += len(text)
        self.bytes += len(text.encode("utf-8"))

    def stats(self) -> dict[str, Any]:
        return {
            "file": self.path.name,
            "documents": self.documents,
            "characters": self.characters,
            "bytes": self.bytes,
            "sha256": self.sha256.hexdigest(),
        }


class _Split:
    """The two sides, and the rule by which a document falls to one of them."""

    def __init__(self, folder: Path, seed: int, val_fraction: float):
        self.folder, self.seed, self.val_fraction = folder, seed, val_fraction
        self.start(cut=int(val_fraction * 2**64))

    def start(self, cut: int) -> None:
        """Rows with a hash below `cut` are validation."""
        self.cut, self.lowest, self.highest = cut, 2**64, -1
        self.train, self.val = _Part(self.folder / "train.jsonl"), _Part(self.folder / "val.jsonl")

    def close(self) -> None:
        self.train.file.close()
        self.val.file.close()

    def add(self, document: Document) -> None:
        if document.plain:
            self._add_plain(document.text)
        else:
            self._add_row(document.text)

    def _add_plain(self, text: str) -> None:
        at = int(len(text) * (1 - self.val_fraction))
        train, val = text[:at], text[at:]
        if not (train.strip() and val.strip()):
            train, val = text, ""
        for part, side in ((self.train, train), (self.val, val)):
            for piece in pieces(side):
                part.add(piece)

    def _add_row(self, text: str) -> None:
        digest = hashlib.sha256(f"{self.seed}\n{text}".encode()).digest()
        place = int.from_bytes(digest[:8], "big")
        self.lowest, self.highest = min(self.lowest, place), max(self.highest, place)
        (self.val if place < self.cut else self.train).add(text)

    def balance(self, source: object) -> None:
        """Few rows may all fall to one side: then the lowest (or the highest) one goes to the other."""
        full, empty = (self.train, self.val) if self.train.documents else (self.val, self.train)
        if empty.documents:
            return
        if self.lowest >= self.highest:
            raise ChronosError(
                "too short to be split into training and validation",
                where=source,
                got=f"{full.characters} characters in {full.documents} document(s)",
                mend="give more text",
            )
        cut = self.lowest + 1 if full is self.train else self.highest
        self.close()
        everything = full.path.rename(self.folder / "all.jsonl")
        self.start(cut)
        with open(everything, "rb") as rows:
            for row in rows:
                self._add_row(json.loads(row)["text"])
        everything.unlink()


def pieces(text: str, size: int = PIECE) -> Iterator[str]:
    """Cut a long text at the last line end before each `size` characters; joined they are the text."""
    start = 0
    while start < len(text):
        stop = start + size
        if stop < len(text):
            stop = text.rfind("\n", start, stop) + 1 or stop
        yield text[start:stop]
        start = stop


def prepare(
    source: str | Path,
    out_dir: Path | str,
    *,
    seed: int = 0,
    val_fraction: float = 0.1,
    stories_count: int = STORIES_COUNT,
    on_damage: str = "fail",
) -> dict[str, Any]:
    """Write `out_dir`/train.jsonl, val.jsonl ({"text"} rows) and stats.json; return the statistics.

    `source` is "stories" or a path. Plain texts are split by position (validation is the end), rows by a
    hash of seed and text, so that equal rows fall on one side. Raises ChronosError, leaving `out_dir` as
    it was, for unreadable or empty sources and for those too short to be split.
    """
    if not 0 < val_fraction < 1:
        raise ChronosError("val_fraction must lie between 0 and 1", got=val_fraction)
    documents, origin, total = _open_source(source, seed, stories_count, on_damage)
    with atomic_directory(out_dir) as folder:
        with contextlib.closing(_Split(folder, seed, val_fraction)) as split:
            with Progress(total, "preparing text", unit="B") as bar:
                for document in documents:
                    split.add(document)
                    bar.update(split.train.bytes + split.val.bytes)
            split.balance(source)
        stats = {"version": 1, "source": origin, "seed": seed, "val_fraction": val_fraction}
        sides = {"train": split.train.stats(), "val": split.val.stats()}
        for key in ("documents", "characters", "bytes"):
            stats[key] = sum(side[key] for side in sides.values())
        stats |= sides
        write_json(folder / "stats.json", stats)
    return stats


def _open_source(
    source: str | Path, seed: int, count: int, on_damage: str
) -> tuple[Iterator[Document], dict[str, Any], int | None]:
    """The documents, what stats.json says of their origin, and their size in bytes if it is known."""
    if source == "stories":
        told = (Document(text, "stories") for text in stories(count, seed))
        return told, {"kind": "stories", "count": count}, None
    files = text_files(source)
    kind = "folder" if Path(source).is_dir() else "file"
    size = sum(file.stat().st_size for file in files)
    return read_documents(source, on_damage), {"kind": kind, "path": str(source), "files": len(files)}, size
