"""A person's own text, document by document: .txt, .md, .json, .jsonl, or a folder of them.

JSONL is streamed with flat memory. Nothing is dropped in silence: damage stops the reading or is counted.
Try `chronos data prepare --text FILE_OR_FOLDER --out-dir DIR`.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from chronos.console import ChronosError, warn
from chronos.data.decoding import DamageError, clean, numbered_lines, read_whole, require_file
from chronos.data.rows import json_rows, parse_json, render

PLAIN = (".txt", ".md")
ROWS = (".json", ".jsonl")
SUFFIXES = PLAIN + ROWS


@dataclass(frozen=True)
class Document:
    """A piece of text and where it stands: "file:line" for a row, "file" for a whole plain file.

    `untrained`: character ranges [start, end) of the text that a loss leaves out, sorted and disjoint.
    """

    text: str
    source: str
    plain: bool = False
    untrained: tuple[tuple[int, int], ...] = ()


@dataclass
class _Tally:
    """What was kept, what was left out, and whether damage may be left out at all."""

    skip: bool
    kept: int = 0
    empty: int = 0
    damaged: int = 0
    first: str = ""

    def damage(self, error: DamageError) -> None:
        if not self.skip:
            raise error
        self.damaged += 1
        self.first = self.first or str(error)

    def report(self, path: Path) -> None:
        if self.damaged:
            warn(f"{path}: skipped {self.damaged} damaged (the first: {self.first})")
        if self.empty:
            warn(f"{path}: left out {self.empty} without text")
        if not self.kept:
            raise ChronosError("there is no text in it", where=path, mend="give a file or folder with text")


def read_documents(path: Path | str, on_damage: str = "fail") -> Iterator[Document]:
    """The cleaned documents of a file or, sorted by name and recursively, of a folder.

    `on_damage` is "fail" (DamageError, naming file:line) or "skip" (left out, counted in one warning).
    Raises ChronosError for what cannot be read and for a path without any text.
    """
    if on_damage not in ("fail", "skip"):
        raise ChronosError("on_damage must be fail or skip", got=repr(on_damage))
    path = Path(path)
    tally = _Tally(skip=on_damage == "skip")
    for file in text_files(path):
        read = _read_plain if file.suffix.lower() in PLAIN else _read_rows
        for document in read(file, tally):
            if document.text.strip():
                tally.kept += 1
                yield document
            else:
                tally.empty += 1
    tally.report(path)


def text_files(path: Path | str) -> list[Path]:
    """The files that a path stands for: itself, or those of a folder with a suffix that can be read.

    Names that start with a dot are passed over; links are followed, and a loop of them is an error.
    """
    path = Path(path)
    if path.is_dir():
        files = list(_walk(path, ()))
        if not files:
            raise ChronosError("no file in this folder can be read", where=path, expected=" ".join(SUFFIXES))
        return files
    require_file(path)
    if path.suffix.lower() not in SUFFIXES:
        raise ChronosError(
            "unknown kind of file",
            where=path,
            expected=" ".join(SUFFIXES),
            got=path.suffix or "no suffix",
            mend="rename it to .txt if it is plain text",
        )
    return [path]


def _walk(folder: Path, above: tuple[str, ...]) -> Iterator[Path]:
    real = os.path.realpath(folder)
    if real in above:
        raise ChronosError("this link leads back to a folder around it", where=folder, mend="remove it")
    try:
        names = sorted(os.listdir(folder))
    except OSError as error:
        raise ChronosError(f"cannot be listed ({error.strerror})", where=folder) from None
    for name in names:
        path = folder / name
        if name.startswith("."):
            continue
        if path.is_dir():
            yield from _walk(path, (*above, real))
        elif path.suffix.lower() in SUFFIXES:
            require_file(path)
            yield path


def _read_plain(path: Path, tally: _Tally) -> Iterator[Document]:
    try:
        text = read_whole(path)
    except DamageError as error:
        tally.damage(error)
    else:
        yield Document(clean(text), str(path), plain=True)


def _read_rows(path: Path, tally: _Tally) -> Iterator[Document]:
    numbered = _lines_as_rows(path, tally) if path.suffix.lower() == ".jsonl" else _file_as_rows(path, tally)
    for line, row in numbered:
        source = f"{path}:{line}"
        try:
            yield Document(clean(render(row, source)), source)
        except DamageError as error:
            tally.damage(error)


def _lines_as_rows(path: Path, tally: _Tally) -> Iterator[tuple[int, object]]:
    for number, line in numbered_lines(path):
        try:
            if isinstance(line, DamageError):
                raise line
            if line := line.strip(" \t\r\n"):
                yield number, parse_json(line, path, number)
        except DamageError as error:
            tally.damage(error)


def _file_as_rows(path: Path, tally: _Tally) -> Iterator[tuple[int, object]]:
    try:
        yield from json_rows(read_whole(path), path)
    except DamageError as error:
        tally.damage(error)
