"""Files cut into pieces of a few megabytes, so that reading needs no more memory for a large file.

It cuts bytes at line ends and understands nothing of them; `chronos.data.documents` makes text of a piece.
Used by it and by `chronos.data.corpus.prepare`, whose workers take the pieces block by block.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from chronos.data import decoding
from chronos.data.archives import is_container, members, open_stream, suffixes
from chronos.data.decoding import DamageError, as_utf8, open_file, require_file, skip_line, too_long

PLAIN = (".txt", ".md")
ROWS = (".json", ".jsonl")
SUFFIXES = PLAIN + ROWS

BLOCK = 8 << 20  # bytes of a piece, and of the pieces that one worker takes at a time
WHOLE = 16 << 20  # bytes of a plain file that is held whole and split exactly; a larger one is streamed
JSON_LIMIT = 256 << 20  # bytes of a .json file, which has to be held whole
MANY = 4096  # small files in one block, at most


@dataclass(frozen=True, slots=True)
class Piece:
    """Some bytes of one input. `kind`: plain, json, jsonl, or damage (then `data` is what is to be said).

    `name` is what messages call it, `line` the number of its first line. The bytes are UTF-8 without a mark
    where `encoded` is True, else those of a whole file whose mark decides. `side`, of a plain text that is
    larger than WHOLE, says whether the piece is for training ("train") or validation ("val").
    """

    name: str
    kind: str
    data: bytes
    line: int = 1
    encoded: bool = True
    side: str = ""


@dataclass(frozen=True)
class _Input:
    """A stream of bytes, and the way to have it once more from its beginning."""

    name: str
    suffix: str
    stream: BinaryIO
    again: Callable[[], AbstractContextManager[BinaryIO]]


def is_readable(path: Path) -> bool:
    """Whether a name's ending is one of those that can be read, packed or not."""
    inner, packing = suffixes(path)
    return is_container(path) or (inner in SUFFIXES and packing in ("", ".gz", ".bz2", ".xz", ".zst"))


def gathered(pieces: Iterable[Piece]) -> Iterator[list[Piece]]:
    """Pieces gathered until they hold BLOCK bytes or are MANY."""
    block: list[Piece] = []
    size = 0
    for piece in pieces:
        if block and (size + len(piece.data) > BLOCK or len(block) == MANY):
            yield block
            block, size = [], 0
        block.append(piece)
        size += len(piece.data)
    if block:
        yield block


def pieces_of(path: Path, val_fraction: float = 0.0) -> Iterator[Piece]:
    """The pieces of a file or of an archive's files, in order; one of kind damage where reading has to end.

    `val_fraction` decides from which byte on the pieces of a large plain text are validation.
    """
    for source in _inputs(path):
        try:
            if source.suffix == ".jsonl":
                yield from _rows(as_utf8(source.stream, source.name), source.name)
            elif source.suffix == ".json":
                yield _json(source)
            else:
                yield from _plain(source, val_fraction)
        except DamageError as error:
            yield Piece(source.name, "damage", str(error).encode("utf-8"))


def _inputs(path: Path) -> Iterator[_Input]:
    require_file(path)
    if is_container(path):
        for number, (name, stream) in enumerate(members(path)):
            again = partial(_member, path, number)
            yield _Input(f"{path}:{name}", Path(name).suffix.lower(), stream, again)
        return
    inner, packing = suffixes(path)
    again = partial(open_stream if packing else open_file, path)
    with again() as stream:
        yield _Input(str(path), inner, stream, again)


@contextmanager
def _member(path: Path, number: int) -> Iterator[BinaryIO]:
    with closing(members(path)) as found:
        _, stream = next(islice(found, number, None))
        yield stream


def _json(source: _Input) -> Piece:
    data = source.stream.read(JSON_LIMIT + 1)
    if len(data) > JSON_LIMIT:
        mend = "turn it into .jsonl, which is read line by line"
        expected = f"at most {JSON_LIMIT} bytes"
        raise DamageError("too large to be held at once", where=source.name, expected=expected, mend=mend)
    return Piece(source.name, "json", data, encoded=False)


def _rows(stream: BinaryIO, name: str) -> Iterator[Piece]:
    line, rest = 1, b""
    while data := stream.read(BLOCK):
        data = rest + data
        end = data.rfind(b"\n") + 1
        if end:
            yield Piece(name, "jsonl", data[:end], line)
            line += data.count(b"\n", 0, end)
        rest = data[end:]
        if len(rest) > decoding.LINE_LIMIT:
            yield Piece(name, "damage", str(too_long(name, line)).encode("utf-8"))
            line += skip_line(stream, rest)
            rest = b""
    if rest:
        yield Piece(name, "jsonl", rest, line)


def _plain(source: _Input, val_fraction: float) -> Iterator[Piece]:
    data = source.stream.read(WHOLE + 1)
    if len(data) <= WHOLE:
        yield Piece(source.name, "plain", data, encoded=False)
        return
    with source.again() as stream:
        length = _length(as_utf8(stream, source.name))
    with source.again() as stream:
        yield from _stretches(as_utf8(stream, source.name), source.name, int(length * (1 - val_fraction)))


def _length(stream: BinaryIO) -> int:
    return sum(map(len, iter(lambda: stream.read(1 << 20), b"")))


def _stretches(stream: BinaryIO, name: str, train: int) -> Iterator[Piece]:
    """Pieces of BLOCK bytes: `train` bytes and what is left of the line, then the rest as validation."""
    line, at, rest = 1, 0, b""
    for side in ("train", "val"):
        while data := stream.read(min(BLOCK, train - at) if side == "train" else BLOCK):
            at += len(data)
            if at == train and side == "train":
                data += stream.readline(BLOCK)
                at = train
            data = rest + data
            last = side == "train" and at == train
            end = data.rfind(b"\n") + 1 if last else _end(data)
            end = end or _whole_characters(data)
            yield Piece(name, "plain", data[:end], line, side=side)
            line += data.count(b"\n", 0, end)
            rest = data[end:]
            if last:
                break
    if rest:
        yield Piece(name, "plain", rest, line, side="val")


def _end(data: bytes) -> int:
    """Where to cut: after the last blank line if there is one in the second half, else the last line."""
    for mark in (b"\n\n", b"\n\r\n"):
        if (found := data.rfind(mark, len(data) // 2)) >= 0:
            return found + len(mark)
    return data.rfind(b"\n") + 1


def _whole_characters(data: bytes) -> int:
    """The length without the last character, of which bytes may still be missing."""
    end = len(data) - 1
    while end > 0 and (data[end] & 0xC0 == 0x80 or data[end - 1 : end + 1] == b"\r\n"):
        end -= 1
    return end or len(data)
