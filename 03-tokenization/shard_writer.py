"""Writing token shards: documents in, flat files of ids out, in batches that a later run can go on from.

Holds one batch in memory whatever the size of the corpus. Which text is not trained on is kept as ranges of
tokens beside the ids. Used by `chronos tokenizer prepare`; Python: `write_shards(texts, tokenizer, folder)`.
"""

import itertools
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from chronos.console import ChronosError, Progress
from chronos.data.documents import Document
from chronos.files import atomic_directory, read_json, sha256_file, write_json
from chronos.settings import threads
from chronos.tokenization.shards import INDEX, MARKS, VERSION
from chronos.tokenization.tokenizer import Tokenizer, utf8

FILE_TOKENS = 64 << 20  # tokens of one file
BATCH_BYTES = 4 << 20  # of text, encoded at a time
PROGRESS = "progress.json"


def segments(document: Document) -> Iterator[tuple[str, bool]]:
    """The document cut at its marks, in order: (text, trained). Each is encoded on its own, so that no token
    lies on both sides and a prompt has the ids in training that it has when a model is asked."""
    at = 0
    for start, stop in document.untrained:
        if at < start:
            yield document.text[at:start], True
        yield document.text[start:stop], False
        at = stop
    if at < len(document.text):
        yield document.text[at:], True


class ShardWriter:
    """Appends documents to the shards in `folder`, going on from the last `save` of an earlier writer.

    Ids are little-endian uint16, or uint32 for more than 65,536 of them, in files of at most FILE_TOKENS.
    With `separator` each document ends with <end>.
    """

    def __init__(self, folder: Path, tokenizer: Tokenizer, *, separator: bool):
        if tokenizer.kind == "words":  # its ids go beyond the vocabulary
            what = "token shards cannot be made by a tokenizer of kind words"
            raise ChronosError(what, mend="take one of kind bpe, char or bytes")
        self.folder, self.tokenizer, self.separator = folder, tokenizer, separator
        self.dtype = np.dtype("<u2" if tokenizer.vocab_size <= 1 << 16 else "<u4")
        self.end = np.array([tokenizer.end], np.int32)
        self.counts = dict.fromkeys(
            ("tokens", "bytes", "documents", "trained_tokens", "trained_bytes", "marks"), 0
        )
        self.at: Any = None  # where the caller's input stood at the last `save`
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / PROGRESS).is_file():
            saved = read_json(folder / PROGRESS)
            self.counts, self.at = saved["counts"], saved["at"]
        self.out: BinaryIO | None = None
        self.marks = open(folder / MARKS, "ab")  # noqa: SIM115 (closed by close)
        self._cut_back()

    def _cut_back(self) -> None:
        """Drop what was written after the last `save`."""
        self.marks.truncate(self.counts["marks"] * 16)
        whole, rest = divmod(self.counts["tokens"], FILE_TOKENS)
        for path in self.folder.glob("tokens-*.bin"):
            number = int(path.stem.split("-")[1])
            if number > whole or (number == whole and not rest):
                path.unlink()
            elif number == whole:
                os.truncate(path, rest * self.dtype.itemsize)

    def add(self, documents: Sequence[Document]) -> None:
        """Encode a batch of documents and append them."""
        parts = [(text, trained, i) for i, d in enumerate(documents) for text, trained in segments(d)]
        encoded = self.tokenizer.encode_many([text for text, _, _ in parts], threads())
        ids: list[np.ndarray] = []
        marks: list[tuple[int, int]] = []
        position, of_document = self.counts["tokens"], 0
        for (text, trained, i), piece in zip(parts, encoded):
            position += self._end_documents(ids, i - of_document)
            of_document = i
            ids.append(piece)
            size = len(text) if text.isascii() else len(utf8(text))
            self.counts["bytes"] += size
            if trained:
                self.counts["trained_tokens"] += len(piece)
                self.counts["trained_bytes"] += size
            elif len(piece):
                marks.append((position, position + len(piece)))
            position += len(piece)
        self._end_documents(ids, len(documents) - of_document)
        self.counts["documents"] += len(documents)
        self._append(ids, marks)

    def _end_documents(self, ids: list[np.ndarray], n: int) -> int:
        """Put <end> after each of n documents; how many ids that is."""
        if not self.separator:
            return 0
        ids.extend([self.end] * n)
        self.counts["trained_tokens"] += n
        return n

    def _append(self, pieces: list[np.ndarray], marks: list[tuple[int, int]]) -> None:
        ids = np.concatenate(pieces).astype(self.dtype) if pieces else np.empty(0, self.dtype)
        while len(ids):
            number, used = divmod(self.counts["tokens"], FILE_TOKENS)
            if used == 0 or self.out is None:
                self._close_file()
                self.out = open(self.folder / _name(number), "ab")  # noqa: SIM115 (closed by close)
            part = ids[: FILE_TOKENS - used]
            self.out.write(part.tobytes())
            self.counts["tokens"] += len(part)
            ids = ids[len(part) :]
        self.marks.write(np.array(marks, "<i8").tobytes())
        self.counts["marks"] += len(marks)

    def _close_file(self) -> None:
        if self.out is not None:
            self.out.flush()
            os.fsync(self.out.fileno())
            self.out.close()
            self.out = None

    def save(self, at: Any) -> None:
        """Make all that was added last: a later writer in this folder goes on here and finds `at`."""
        self._close_file()
        self.marks.flush()
        os.fsync(self.marks.fileno())
        write_json(self.folder / PROGRESS, {"counts": self.counts, "at": at})

    def close(self) -> None:
        """Let go of the files."""
        self._close_file()
        self.marks.close()

    def finish(self) -> dict[str, Any]:
        """Write the index, which makes the folder token shards; return it. ChronosError without text."""
        self.close()
        if not self.counts["bytes"]:
            raise ChronosError("no text to make token shards of", where=self.folder, mend="give some text")
        n = self.counts["tokens"]
        sizes = [min(FILE_TOKENS, n - start) for start in range(0, n, FILE_TOKENS)]
        names = [_name(i) for i in range(len(sizes))]
        marks = self.folder / MARKS
        if not self.counts["marks"]:
            marks.unlink()
        index = {
            "version": VERSION,
            **self.counts,
            "tokenizer": self.tokenizer.hash,
            "vocab_size": self.tokenizer.vocab_size,
            "dtype": self.dtype.name,
            "files": [
                {"name": name, "tokens": size, "sha256": sha256_file(self.folder / name)}
                for name, size in zip(names, sizes)
            ],
            "marks_sha256": sha256_file(marks) if self.counts["marks"] else "",
        }
        write_json(self.folder / INDEX, index)
        (self.folder / PROGRESS).unlink(missing_ok=True)
        return index


def _name(number: int) -> str:
    return f"tokens-{number:05d}.bin"


def batches(documents: Iterable[Document], size: int) -> Iterator[list[Document]]:
    """Lists of documents of about `size` characters each; the last may be smaller."""
    batch: list[Document] = []
    held = 0
    for document in documents:
        batch.append(document)
        held += len(document.text)
        if held >= size:
            yield batch
            batch, held = [], 0
    if batch:
        yield batch


def write_shards(
    documents: Iterable[str | Document],
    tokenizer: Tokenizer,
    out_dir: Path | str,
    *,
    separator: bool | None = None,
) -> dict[str, Any]:
    """Encode documents one after the other into `out_dir` (replaced as a whole); return its index.

    With `separator` each document ends with <end>; None: if there are several. Memory holds one batch of
    BATCH_BYTES. ChronosError if there is no text.
    """
    whole = (d if isinstance(d, Document) else Document(d, "") for d in documents)
    first = list(itertools.islice(whole, 2))
    separator = len(first) > 1 if separator is None else separator
    with atomic_directory(out_dir) as folder, Progress(None, "encoding", unit="B") as bar:
        writer = ShardWriter(folder, tokenizer, separator=separator)
        try:
            for batch in batches(itertools.chain(first, whole), BATCH_BYTES):
                writer.add(batch)
                bar.update(writer.counts["bytes"])
            return writer.finish()
        finally:
            writer.close()
