"""Hugging Face: named files of a public data set, .jsonl, .jsonl.gz (.zst …) or .parquet, a column of text.

Public files only: it signs in nowhere and runs no script of a data set. Parquet needs the extra [data].
`chronos data fetch huggingface --repo OWNER/NAME --files data/train.parquet --out-dir DIR`.
"""

import re
import urllib.parse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from chronos.console import ChronosError
from chronos.data.archives import open_stream, suffixes
from chronos.data.decoding import DamageError, as_utf8, refuse_surrogates, stream_lines
from chronos.data.rows import parse_json
from chronos.data.sources.store import Resource, Row, Source, Store

HUB = "https://huggingface.co"
FILE_LIMIT = 64 << 30  # bytes
BATCH = 512  # rows of parquet in memory


def collect(
    store: Store,
    *,
    repo: str = "",
    files: Sequence[str] = (),
    revision: str = "main",
    column: str = "text",
    title_column: str = "",
    licence: str = "",
    limit: int | None = None,
    base_url: str = HUB,
) -> Iterator[Resource]:
    """The files of a data set. `column` (or a dotted path, a.b) holds the text."""
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", repo) or not files:
        raise ChronosError("which files?", mend="as in --repo OWNER/NAME --files data/train.parquet")
    if not re.fullmatch(r"[\w.-]+(/[\w.-]+)*", revision) or ".." in revision:
        raise ChronosError("no such revision", got=repr(revision))
    for name in dict.fromkeys(files):
        if name.startswith("/") or ".." in name.split("/") or not _kind(name):
            expected = ".jsonl, .jsonl packed, or .parquet, as it is called in the data set"
            raise ChronosError("no such file of a data set", got=repr(name), expected=expected)
        key = f"{repo}@{revision}/{name}"
        if key not in store.known:
            address = (
                f"datasets/{repo}/resolve/{urllib.parse.quote(revision, safe='')}/{urllib.parse.quote(name)}"
            )
            yield store.get(
                key,
                f"{base_url}/{address}",
                limit=FILE_LIMIT,
                url=f"https://huggingface.co/datasets/{repo}",
                licence=licence or f"see https://huggingface.co/datasets/{repo}",
                more={"name": name, "column": column, "title_column": title_column},
            )


def _kind(name: str) -> str:
    inner, outer = suffixes(name)
    return inner if inner == ".jsonl" or (inner == ".parquet" and not outer) else ""


def rows(file: Resource) -> Iterator[Row]:
    """A row a row whose column holds text; DamageError, by file and line, for what is no such row."""
    name, column, titles = (file.more[key] for key in ("name", "column", "title_column"))
    read = _parquet if _kind(name) == ".parquet" else _jsonl
    for where, row in read(file.path, name, [column, *([titles] if titles else [])]):
        text = _field(row, column, where)
        if text is not None:
            title = (_field(row, titles, where) or "") if titles else ""
            yield {"text": text, "title": title, "url": file.url, "licence": file.licence}


def _field(row: Any, column: str, where: str) -> str | None:
    value = row
    for part in [column] if isinstance(row, dict) and column in row else column.split("."):
        if not isinstance(value, dict) or part not in value:
            names = ", ".join(list(map(str, row))[:12]) if isinstance(row, dict) else "no object"
            raise DamageError(f"no column {column!r}", where=where, got=names, mend="give --column")
        value = value[part]
    if value is not None and not isinstance(value, str):
        raise DamageError(f"column {column!r} is not text", where=where, got=type(value).__name__)
    refuse_surrogates(value or "", where)
    return value


def _jsonl(path: Path, name: str, _: list[str]) -> Iterator[tuple[str, Any]]:
    with open_stream(path) if suffixes(name)[1] else open(path, "rb") as stream:
        for number, line in stream_lines(as_utf8(stream, path), path):
            if isinstance(line, DamageError):
                raise line
            if line := line.strip(" \t\r\n"):
                yield f"{path}:{number}", parse_json(line, path, number)


def _parquet(path: Path, name: str, columns: list[str]) -> Iterator[tuple[str, Any]]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        mend = 'pip install "chronos-memory[data]"'
        raise ChronosError("reading .parquet needs the package pyarrow", mend=mend) from None
    broken = (pyarrow.ArrowException, OSError, ValueError, MemoryError, OverflowError)
    number = 0
    try:
        with parquet.ParquetFile(path) as file:
            names = file.schema_arrow.names
            for column in columns:
                if column not in names and column.split(".")[0] not in names:
                    shown = ", ".join(names[:12])
                    raise DamageError(f"no column {column!r}", where=path, got=shown, mend="give --column")
            for batch in file.iter_batches(batch_size=BATCH, columns=columns, use_threads=False):
                for row in batch.to_pylist():
                    number += 1
                    yield f"{path}:{number}", row
    except broken as error:
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise DamageError(f"damaged parquet ({reason})", where=f"{path}: after row {number}") from None


SOURCE = Source(
    about="files of a public data set: .jsonl, packed .jsonl, .parquet",
    licence="the data set's; see its page",
    size="as large as the files",
    collect=collect,
    rows=rows,
    options={
        "repo": "OWNER/NAME of the data set",
        "files": "paths within it",
        "revision": "branch or commit (default: main; a commit never changes)",
        "column": "the column with the text (default: text)",
        "title_column": "the column with a title",
        "licence": "what the data set's page says, to be written into every row",
        "limit": "at most so many rows",
        "base_url": "another hub",
    },
)
