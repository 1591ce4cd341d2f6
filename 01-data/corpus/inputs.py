"""What a source is made of: the files of a path, or the documents of a generator, as pieces for the workers.

It also says what a source is known by, so that unfinished work is only continued on the same input.
Used by `chronos.data.corpus.prepare`.
"""

import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from chronos.data.archives import is_archive
from chronos.data.blocks import BLOCK, Piece, pieces_of
from chronos.data.corpus.mixing import Source
from chronos.data.documents import Document, text_files
from chronos.data.sources import GENERATED


class Input:
    """One source, opened: its origin for stats.json, its size in bytes if known, and its pieces.

    Raises ChronosError for a path that does not exist or holds nothing that can be read.
    """

    def __init__(self, source: Source, seed: int, stories_count: int):
        self.path, self.seed, self.count = str(source.path), seed, stories_count
        self.files: list[Path] = []
        self.size: int | None = None
        if self.path not in GENERATED:
            self.files = text_files(source.path)
            if not any(is_archive(file) for file in self.files):
                self.size = sum(file.stat().st_size for file in self.files)

    def origin(self) -> dict[str, Any]:
        """What stats.json says of it."""
        if self.path == "stories":
            return {"kind": "stories", "count": self.count}
        if self.path == "python-docs":
            return {"kind": "python-docs", "python": ".".join(map(str, sys.version_info[:3]))}
        kind = "folder" if Path(self.path).is_dir() else "file"
        return {"kind": kind, "path": self.path, "files": len(self.files)}

    def identity(self) -> list[Any]:
        """Its origin, and each file's name, size and time of change."""
        status = [(str(file.absolute()), file.stat()) for file in self.files]
        return [self.origin(), [[name, found.st_size, found.st_mtime_ns] for name, found in status]]

    def pieces(self, val_fraction: float) -> Iterator[Piece]:
        """Its text, in order."""
        if self.path in GENERATED:
            options = {"count": self.count, "seed": self.seed} if self.path == "stories" else {}
            yield from _as_rows(GENERATED[self.path].documents(**options), self.path)
        for file in self.files:
            yield from pieces_of(file, val_fraction)


def _as_rows(documents: Iterable[Document], name: str) -> Iterator[Piece]:
    """Documents as lines of JSON, a block at a time; a message calls the n-th one name:n."""
    lines: list[bytes] = []
    first, size = 1, 0
    for document in documents:
        row = {"text": document.text, "untrained": list(document.untrained)}
        lines.append(json.dumps(row).encode("ascii") + b"\n")
        size += len(lines[-1])
        if size >= BLOCK:
            yield Piece(name, "jsonl", b"".join(lines), first)
            first, size = first + len(lines), 0
            lines = []
    yield Piece(name, "jsonl", b"".join(lines), first)
