"""From prepared text to tokens: train (or take) a tokenizer, then write memory-mapped shards of both parts.

Streams with flat memory; a run that was killed is gone on with by the same command.
`chronos tokenizer prepare --data artifacts/01-data --out-dir artifacts/03-tokenization`
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from chronos.console import ChronosError, Progress, say
from chronos.data.decoding import decode
from chronos.data.documents import Document
from chronos.data.rows import parse_json
from chronos.files import read_json, resumable_directory, sha256_file, write_json
from chronos.tokenization.factory import load_tokenizer, train_tokenizer
from chronos.tokenization.shard_writer import BATCH_BYTES, ShardWriter, batches
from chronos.tokenization.shards import INDEX
from chronos.tokenization.tokenizer import Tokenizer

PARTS = ("train", "val")
SAMPLE_BYTES = 256 << 20  # of text that a tokenizer learns from: more changes few merges
SAVE_BYTES = 64 << 20  # of rows between two points to go on from


def prepare_tokens(
    data: Path,
    out_dir: Path,
    *,
    kind: str,
    vocab: int,
    tokenizer_path: Path | None = None,
    pattern: str = "gpt2",
) -> dict[str, Any]:
    """Turn data/train.jsonl and data/val.jsonl into out_dir/{tokenizer.json, train/, val/, stats.json}.

    The tokenizer learns from the training part alone, from every n-th row where that holds more than
    SAMPLE_BYTES. Documents are separated by <end> where there are several. Interrupted, it leaves what it has
    beside out_dir, and the same call with the same data goes on there.
    """
    given = None if tokenizer_path is None and kind != "file" else load_tokenizer(tokenizer_path)
    learn = {"kind": kind, "vocab": vocab, "pattern": pattern} if given is None else given.hash
    made_of = {"learn": learn, "data": {part: _identity(data, part) for part in PARTS}}
    with resumable_directory(out_dir, made_of) as folder:
        if given is None:
            given = _learned(data / "train.jsonl", folder / "tokenizer.json", kind, vocab, pattern)
        elif not (folder / "tokenizer.json").is_file():
            given.save(folder / "tokenizer.json")
        counts = {part: _shards(data / f"{part}.jsonl", given, folder / part) for part in PARTS}
        keys = ("tokens", "bytes", "documents", "trained_tokens")
        stats = {
            "tokenizer": {"kind": given.kind, "vocab_size": given.vocab_size, "hash": given.hash},
            **{part: {key: c[key] for key in keys} for part, c in counts.items()},
            "bytes_per_token": counts["train"]["bytes"] / counts["train"]["tokens"],
        }
        write_json(folder / "stats.json", stats)
    return stats


def _identity(data: Path, part: str) -> str:
    """What a part of the corpus is known by: the hash that its maker noted, else one of its content."""
    path = data / f"{part}.jsonl"
    if not path.is_file():
        raise ChronosError(f"no {part}.jsonl", where=data, mend="run `chronos data prepare` first")
    with contextlib.suppress(ChronosError, KeyError, TypeError):
        noted = read_json(data / "stats.json")[part]
        if noted["file_bytes"] == path.stat().st_size:
            return str(noted["sha256"])
    return sha256_file(path)


def _learned(path: Path, place: Path, kind: str, vocab: int, pattern: str) -> Tokenizer:
    if place.is_file():
        return load_tokenizer(place)
    every = -(-path.stat().st_size // SAMPLE_BYTES)
    if every > 1 and kind == "bpe":
        say(f"learning the tokenizer from one row of {every}")
    texts = (document.text for document, _ in read_rows(path, every=every if kind == "bpe" else 1))
    tokenizer = train_tokenizer(kind, texts, vocab, pattern)
    tokenizer.save(place)
    return tokenizer


def read_rows(path: Path, offset: int = 0, line: int = 0, every: int = 1) -> Iterator[tuple[Document, int]]:
    """The documents of a prepared .jsonl from a line's first byte on, each with the offset after it.

    `line` rows stand before `offset`; only every so many-th row is looked at. Raises ChronosError, naming
    file:line, for what `chronos data prepare` has not written.
    """
    with open(path, "rb") as file:
        file.seek(offset)
        for number, data in enumerate(file, line + 1):
            offset += len(data)
            if (number - 1) % every:
                continue
            row = parse_json(decode(data, path, number, encoding="utf-8"), path, number)
            yield _document(row, f"{path}:{number}"), offset


def _document(row: Any, where: str) -> Document:
    text = row.get("text") if isinstance(row, dict) else None
    marks = row.get("untrained", []) if isinstance(row, dict) else None
    edges = [0]
    try:
        edges += [edge for start, stop in marks for edge in (start, stop)]
        fits = isinstance(text, str) and edges == sorted(edges) and edges[-1] <= len(text)
    except (TypeError, ValueError):
        fits = False
    if not fits:
        mend = "make it with `chronos data prepare`"
        raise ChronosError("this is no prepared row", where=where, mend=mend)
    return Document(text, where, untrained=tuple((start, stop) for start, stop in marks))


def _shards(path: Path, tokenizer: Tokenizer, out: Path) -> dict[str, Any]:
    if (out / INDEX).is_file():
        return read_json(out / INDEX)
    with open(path, "rb") as lines:
        several = sum(1 for _ in zip(lines, range(2))) > 1
    writer = ShardWriter(out, tokenizer, separator=several)
    offset = saved = writer.at or 0
    size = path.stat().st_size
    with contextlib.closing(writer), Progress(size, f"encoding {path.name}", unit="B", start=offset) as bar:
        ends: list[int] = []

        def documents() -> Iterator[Document]:
            for document, end in read_rows(path, offset, writer.counts["documents"]):
                ends.append(end)
                yield document

        for batch in batches(documents(), BATCH_BYTES):
            writer.add(batch)
            bar.update(ends[-1])
            if ends[-1] - saved >= SAVE_BYTES:
                saved = ends[-1]
                writer.save(saved)
            ends.clear()
        return writer.finish()
