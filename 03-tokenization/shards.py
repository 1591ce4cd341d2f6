"""Token shards: a corpus as ids in memory-mapped files, opened at once, read from any position.

Bound to the tokenizer that made them: another one's hash is refused. No shuffling, no batches; they are
written by shard_writer.py. Python: `TokenShards(folder).read(0, 10)`.
"""

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from chronos.console import ChronosError
from chronos.files import read_json, sha256_file

VERSION = 2
INDEX = "shards.json"
MARKS = "untrained.bin"  # ranges [start, end) of tokens that a loss leaves out: little-endian int64 pairs
REMEDY = "make the shards again"


class TokenShards:
    """A folder of token shards: `len()` tokens, `.bytes` of text, `.read(start, length)`, `.pairs(…)`.

    `trained_tokens` and `trained_bytes` count what is not marked as untrained.
    Opening reads the index and the files' sizes only. ChronosError for damage, an unknown version, and,
    given `tokenizer_hash`, for shards of another tokenizer.
    """

    def __init__(self, folder: Path | str, tokenizer_hash: str | None = None):
        self.folder = Path(folder)
        where = self.folder / INDEX
        if not where.is_file():
            raise ChronosError("no token shards here", where=folder, mend=REMEDY)
        index = read_json(where)
        _check_index(index, where)
        if tokenizer_hash is not None and tokenizer_hash != index["tokenizer"]:
            raise ChronosError(
                "these shards were made by another tokenizer",
                where=where,
                expected=tokenizer_hash[:12],
                got=index["tokenizer"][:12],
                mend=REMEDY,
            )
        self.tokens, self.bytes, self.documents = index["tokens"], index["bytes"], index["documents"]
        self.trained_tokens, self.trained_bytes = index["trained_tokens"], index["trained_bytes"]
        self.tokenizer_hash, self.files = index["tokenizer"], index["files"]
        self.dtype = np.dtype({"uint16": "<u2", "uint32": "<u4"}[index["dtype"]])
        self._starts = np.cumsum([0, *(file["tokens"] for file in self.files)])
        for file in self.files:
            _check_size(self.folder / file["name"], file["tokens"] * self.dtype.itemsize)
        self._marks_sha256 = index["marks_sha256"]
        self._marks = np.empty((0, 2), "<i8")
        if index["marks"]:
            _check_size(self.folder / MARKS, index["marks"] * 16)
            self._marks = np.memmap(self.folder / MARKS, "<i8", mode="r").reshape(-1, 2)
        self._file = lru_cache(maxsize=None)(self._open)

    def __len__(self) -> int:
        return self.tokens

    def _open(self, number: int) -> np.ndarray:
        return np.memmap(self.folder / self.files[number]["name"], self.dtype, mode="r")

    def read(self, start: int, length: int) -> np.ndarray:
        """Tokens start … start+length−1 as int32 (length,); ChronosError beyond the end."""
        if start < 0 or length < 0 or start + length > self.tokens:
            raise ChronosError(
                "no such tokens", where=self.folder, expected=f"0 to {self.tokens}", got=f"{start} + {length}"
            )
        ids = np.empty(length, np.int32)
        done = 0
        number = int(np.searchsorted(self._starts, start, side="right")) - 1
        while done < length:
            offset = start + done - int(self._starts[number])
            piece = self._file(number)[offset : offset + length - done]
            ids[done : done + len(piece)] = piece
            done += len(piece)
            number += 1
        return ids

    def pairs(self, start: int, length: int) -> tuple[np.ndarray, np.ndarray]:
        """Tokens start … start+length−1 and the token after each, both int64 (length,).

        A next token that is marked as untrained is −1, which every loss here leaves out.
        """
        ids = self.read(start, length + 1).astype(np.int64)
        tokens, targets = ids[:-1], ids[1:].copy()
        first, last = np.searchsorted(self._marks[:, 1], start + 1, "right"), len(self._marks)
        while first < last and self._marks[first, 0] <= start + length:
            a, b = self._marks[first] - (start + 1)
            targets[max(0, a) : b] = -1
            first += 1
        return tokens, targets

    def verify(self) -> None:
        """Read every file and compare its hash with the index; ChronosError names the first that differs."""
        for file in self.files:
            if sha256_file(self.folder / file["name"]) != file["sha256"]:
                raise ChronosError(
                    "content differs from its hash", where=self.folder / file["name"], mend=REMEDY
                )
        if len(self._marks) and sha256_file(self.folder / MARKS) != self._marks_sha256:
            raise ChronosError("content differs from its hash", where=self.folder / MARKS, mend=REMEDY)


def _check_index(index: Any, where: Path) -> None:
    """Refuse an index of another version, or one with a field missing, of the wrong type, or untrue."""
    version = index.get("version") if isinstance(index, dict) else None
    if version != VERSION:
        raise ChronosError(
            "unknown version of token shards", where=where, expected=VERSION, got=version, mend=REMEDY
        )
    numbers = ("tokens", "bytes", "documents", "trained_tokens", "trained_bytes", "marks")
    texts = ("tokenizer", "dtype", "marks_sha256")
    fields = {**dict.fromkeys(numbers, int), **dict.fromkeys(texts, str), "files": list}
    wrong = [name for name, kind in fields.items() if not isinstance(index.get(name), kind)]
    per_file = {"name": str, "tokens": int, "sha256": str}
    if not wrong and not all(
        isinstance(file, dict) and all(isinstance(file.get(name), kind) for name, kind in per_file.items())
        for file in index["files"]
    ):
        wrong = ["files"]
    if not wrong and index["dtype"] not in ("uint16", "uint32"):
        wrong = ["dtype"]
    if not wrong and any(
        file["tokens"] < 1 or Path(file["name"]).name != file["name"] for file in index["files"]
    ):
        wrong = ["files"]
    if not wrong and sum(file["tokens"] for file in index["files"]) != index["tokens"]:
        wrong = ["tokens"]
    if wrong:
        raise ChronosError(f"damaged index (field {wrong[0]!r})", where=where, mend=REMEDY)


def _check_size(path: Path, expected: int) -> None:
    size = path.stat().st_size if path.is_file() else 0
    if size != expected:
        raise ChronosError(
            "truncated or missing shard", where=path, expected=f"{expected} bytes", got=size, mend=REMEDY
        )
