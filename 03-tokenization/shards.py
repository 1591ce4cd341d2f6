"""Token shards: a corpus as ids in memory-mapped files, written as a stream, opened at once.

Bound to the tokenizer that made them: another one's hash is refused. No shuffling, no batches.
Python: `write_shards(texts, tokenizer, folder, separator=True)`, then `TokenShards(folder).read(0, 10)`.
"""

import hashlib
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from chronos.console import ChronosError, Progress
from chronos.files import atomic_directory, read_json, sha256_file, write_json
from chronos.tokenization.tokenizer import Tokenizer

VERSION = 1
INDEX = "shards.json"
FILE_TOKENS = 64 << 20  # tokens of one file
BUFFER_TOKENS = 1 << 20  # tokens held before they are written
REMEDY = "make the shards again"


class _Writer:
    """Appends ids to numbered files of at most FILE_TOKENS, through a small buffer."""

    def __init__(self, folder: Path, dtype: np.dtype):
        self.folder, self.dtype = folder, dtype
        self.files: list[dict[str, Any]] = []
        self.buffer: list[np.ndarray] = []
        self.waiting = 0
        self.out: BinaryIO | None = None
        self.sha256 = hashlib.sha256()

    def add(self, ids: np.ndarray) -> None:
        self.buffer.append(ids)
        self.waiting += len(ids)
        if self.waiting >= BUFFER_TOKENS:
            self.flush()

    def flush(self) -> None:
        ids = np.concatenate(self.buffer) if self.buffer else np.empty(0, np.int32)
        self.buffer, self.waiting = [], 0
        while len(ids):
            if self.out is None:
                self._next_file()
            room = FILE_TOKENS - self.files[-1]["tokens"]
            self._write(ids[:room].astype(self.dtype).tobytes(), min(room, len(ids)))
            ids = ids[room:]

    def _next_file(self) -> None:
        name = f"tokens-{len(self.files):05d}.bin"
        self.files.append({"name": name, "tokens": 0})
        self.out = open(self.folder / name, "wb")  # noqa: SIM115 (closed by close_file)
        self.sha256 = hashlib.sha256()

    def _write(self, data: bytes, tokens: int) -> None:
        assert self.out is not None
        self.out.write(data)
        self.sha256.update(data)
        self.files[-1]["tokens"] += tokens
        if self.files[-1]["tokens"] == FILE_TOKENS:
            self.close_file()

    def close_file(self) -> None:
        if self.out is not None:
            self.out.close()
            self.out = None
            self.files[-1]["sha256"] = self.sha256.hexdigest()


def write_shards(
    documents: Iterable[str], tokenizer: Tokenizer, out_dir: Path | str, *, separator: bool
) -> dict[str, Any]:
    """Encode documents one after the other into `out_dir` (replaced as a whole); return its index.

    With `separator` each document ends with <end>. Ids are little-endian uint16, or uint32 for more than
    65,536 of them. Memory holds one document and BUFFER_TOKENS ids. ChronosError if there is no token.
    """
    dtype = np.dtype("<u2" if tokenizer.vocab_size <= 1 << 16 else "<u4")
    end = np.array([tokenizer.end], np.int32)
    count = size = 0
    with atomic_directory(out_dir) as folder:
        writer = _Writer(folder, dtype)
        try:
            with Progress(None, "encoding", unit="B") as bar:
                for text in documents:
                    count += 1
                    size += len(text.encode("utf-8", "surrogatepass"))
                    writer.add(tokenizer.encode(text))
                    if separator:
                        writer.add(end)
                    bar.update(size)
            writer.flush()
        finally:
            writer.close_file()
        if not size:
            raise ChronosError("no text to make token shards of", where=out_dir, mend="give some text")
        index = {
            "version": VERSION,
            "tokens": sum(file["tokens"] for file in writer.files),
            "bytes": size,
            "documents": count,
            "tokenizer": tokenizer.hash,
            "vocab_size": tokenizer.vocab_size,
            "dtype": dtype.name,
            "files": writer.files,
        }
        write_json(folder / INDEX, index)
    return index


class TokenShards:
    """A folder of token shards: `len()` tokens, `.bytes` of text, `.read(start, length)`.

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
        self.tokenizer_hash, self.files = index["tokenizer"], index["files"]
        self.dtype = np.dtype({"uint16": "<u2", "uint32": "<u4"}[index["dtype"]])
        self._starts = np.cumsum([0, *(file["tokens"] for file in self.files)])
        for file in self.files:
            _check_size(self.folder / file["name"], file["tokens"] * self.dtype.itemsize)
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

    def verify(self) -> None:
        """Read every file and compare its hash with the index; ChronosError names the first that differs."""
        for file in self.files:
            if sha256_file(self.folder / file["name"]) != file["sha256"]:
                raise ChronosError(
                    "content differs from its hash", where=self.folder / file["name"], mend=REMEDY
                )


def _check_index(index: Any, where: Path) -> None:
    """Refuse an index of another version, or one with a field missing, of the wrong type, or untrue."""
    version = index.get("version") if isinstance(index, dict) else None
    if version != VERSION:
        raise ChronosError(
            "unknown version of token shards", where=where, expected=VERSION, got=version, mend=REMEDY
        )
    fields = {"tokens": int, "bytes": int, "documents": int, "tokenizer": str, "dtype": str, "files": list}
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
