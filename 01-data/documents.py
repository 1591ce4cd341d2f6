"""A person's own text, document by document: .txt, .md, .json, .jsonl, packed or not, or a folder of them.

Everything is streamed, memory is flat. Nothing is dropped in silence: damage stops the reading or is counted.
Try `chronos data prepare --text FILE_OR_FOLDER --out-dir DIR`.
"""

import io
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chronos.console import ChronosError, warn
from chronos.data.blocks import SUFFIXES, Piece, is_readable, pieces_of
from chronos.data.cleaning import DEFAULT, Cleaning
from chronos.data.decoding import DamageError, decode, require_file, stream_lines
from chronos.data.rows import json_rows, marked, parse_json

ON_DAMAGE = ("fail", "skip")
NOTES = ("manifest.json", "stats.json")  # what fetched and prepared folders say of themselves: no text
LISTED = 100  # damaged places that are told one by one


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
class Tally:
    """What was kept, what was left out, and whether damage may be left out at all."""

    skip: bool
    kept: int = 0
    empty: int = 0
    damaged: int = 0
    reasons: list[str] = field(default_factory=list)  # the first LISTED

    def damage(self, error: DamageError) -> None:
        """Count damage, or raise it."""
        if not self.skip:
            raise error
        self.count(1, [str(error)])

    def count(self, damaged: int, reasons: list[str]) -> None:
        """Add damage that is already forgiven."""
        self.damaged += damaged
        self.reasons += reasons[: LISTED - len(self.reasons)]

    def report(self, path: object, of: str = "text", needed: bool = True) -> None:
        """Warn of what was left out; ChronosError if nothing is left of what is `needed`."""
        if self.damaged:
            warn(f"{path}: skipped {self.damaged} damaged (the first: {self.reasons[0]})")
        if self.empty:
            warn(f"{path}: left out {self.empty} without text")
        if needed and not self.kept:
            raise ChronosError(f"there is no {of} in it", where=path, mend=f"give a file or folder with {of}")


def check_on_damage(on_damage: str) -> None:
    """ChronosError for anything but "fail" and "skip"."""
    if on_damage not in ON_DAMAGE:
        raise ChronosError("on_damage must be fail or skip", got=repr(on_damage))


def read_documents(
    path: Path | str, on_damage: str = "fail", cleaning: Cleaning = DEFAULT
) -> Iterator[Document]:
    """The cleaned documents of a file or, sorted by name and recursively, of a folder.

    `on_damage` is "fail" (DamageError, naming file:line) or "skip" (left out, counted in one warning).
    A plain text of more than 16 MB comes in several documents, cut at line ends. Raises ChronosError for
    what cannot be read and for a path without any text.
    """
    check_on_damage(on_damage)
    tally = Tally(skip=on_damage == "skip")
    for file in text_files(path):
        for piece in pieces_of(file):
            yield from documents_of(piece, cleaning, tally)
    tally.report(path)


def documents_of(piece: Piece, cleaning: Cleaning, tally: Tally) -> Iterator[Document]:
    """The documents of a piece that hold any text, counted in `tally`, which may raise DamageError."""
    read = {"plain": _plain, "json": _json, "jsonl": _lines, "damage": _damage}[piece.kind]
    for document in read(piece, cleaning, tally):
        if document.text.strip():
            tally.kept += 1
            yield document
        else:
            tally.empty += 1


def text_files(path: Path | str) -> list[Path]:
    """The files that a path stands for: itself, or those of a folder with a suffix that can be read.

    In a folder names that start with a dot and the NOTES are passed over; links are followed, and a loop of
    them is an error.
    """
    path = Path(path)
    if path.is_dir():
        files = list(_walk(path, ()))
        if not files:
            raise ChronosError("no file in this folder can be read", where=path, expected=" ".join(SUFFIXES))
        return files
    require_file(path)
    if not is_readable(path):
        raise ChronosError(
            "unknown kind of file",
            where=path,
            expected=f"{' '.join(SUFFIXES)}, packed as .gz .bz2 .xz .zst .zip .tar or not",
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
        if name.startswith(".") or name in NOTES:
            continue
        if path.is_dir():
            yield from _walk(path, (*above, real))
        elif is_readable(path):
            require_file(path)
            yield path


def _plain(piece: Piece, cleaning: Cleaning, tally: Tally) -> Iterator[Document]:
    encoding = "utf-8" if piece.encoded else None
    try:
        text = decode(piece.data, piece.name, piece.line, encoding)
    except DamageError as error:
        tally.damage(error)
    else:
        yield Document(cleaning(text), piece.name, plain=True)


def _lines(piece: Piece, cleaning: Cleaning, tally: Tally) -> Iterator[Document]:
    for number, line in stream_lines(io.BytesIO(piece.data), piece.name, piece.line):
        try:
            if isinstance(line, DamageError):
                raise line
            if line := line.strip(" \t\r\n"):
                row = parse_json(line, piece.name, number)
                yield _document(row, f"{piece.name}:{number}", cleaning)
        except DamageError as error:
            tally.damage(error)


def _json(piece: Piece, cleaning: Cleaning, tally: Tally) -> Iterator[Document]:
    try:
        for number, row in json_rows(decode(piece.data, piece.name), piece.name):
            try:
                yield _document(row, f"{piece.name}:{number}", cleaning)
            except DamageError as error:
                tally.damage(error)
    except DamageError as error:
        tally.damage(error)


def _document(row: Any, where: str, clean: Callable[[str], str]) -> Document:
    text, untrained = marked(row, where, clean)
    return Document(text, where, untrained=untrained)


def _damage(piece: Piece, cleaning: Cleaning, tally: Tally) -> Iterator[Document]:
    tally.damage(DamageError(piece.data.decode("utf-8")))
    return iter(())
