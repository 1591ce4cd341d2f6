"""From bytes to text: byte-order marks, strict decoding, streams that are UTF-8 whatever they were.

It never guesses an encoding and never repairs: a damaged byte is reported as file:line.
Used through `chronos.data.documents`; try it with `chronos data prepare --text FILE --out-dir DIR`.
"""

import codecs
import io
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from chronos.console import ChronosError

LINE_LIMIT = 64 << 20  # bytes of one JSONL line; a longer one is damage, not a document

# A UTF-32 mark starts with UTF-16's, so the longer ones are tried first.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")  # C0 and C1 but for \n and \t


class DamageError(ChronosError):
    """Input that cannot be read as it claims to be; the only error that `on_damage="skip"` forgives."""


def encoding_of(head: bytes) -> tuple[str, int]:
    """The encoding that the first bytes announce and the length of the mark (UTF-8, 0 without one)."""
    for mark, name in _MARKS:
        if head.startswith(mark):
            return name, len(mark)
    return "utf-8", 0


def decode(data: bytes, where: object, first_line: int = 1, encoding: str | None = None) -> str:
    """Decode strictly; DamageError names `where`:line of the bad byte.

    Without `encoding` the data is the start of a file and its mark decides; with it a mark is not sought.
    """
    name, mark = (encoding, 0) if encoding else encoding_of(data[:4])
    try:
        return data[mark:].decode(name)
    except UnicodeDecodeError as error:
        raise _bad_byte(error, where, first_line, name) from None


def _bad_byte(error: UnicodeDecodeError, where: object, first_line: int, encoding: str) -> DamageError:
    before = error.object[: error.start].decode(encoding, "replace")
    bad = error.object[error.start : error.start + 1].hex()
    return DamageError(
        f"byte 0x{bad} is not {encoding.upper()} ({error.reason})",
        where=f"{where}:{first_line + before.count(chr(10))}",
        mend="convert the file to UTF-8, e.g. with iconv, or skip what is damaged",
    )


def one_line_end(text: str) -> str:
    """CRLF and CR become LF."""
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def clean(text: str) -> str:
    """One kind of line end (LF), and no control characters but line feed and tab."""
    return _CONTROL.sub("", one_line_end(text))


def refuse_surrogates(text: str, where: object) -> None:
    """Half of a UTF-16 pair (JSON's `"\\ud800"`) is no character and could not be written again."""
    try:
        text.encode("utf-8")  # six times as fast as to look for one
    except UnicodeEncodeError as error:
        bad = ord(text[error.start])
        raise DamageError(f"lone surrogate U+{bad:04X} in the text", where=where) from None


def require_file(path: Path) -> int:
    """The size in bytes of a regular file; ChronosError for anything else (missing, pipe, device)."""
    try:
        status = path.stat()
    except FileNotFoundError:
        broken = path.is_symlink()
        what = "this link points nowhere" if broken else "no such file or folder"
        raise ChronosError(what, where=path, mend="check the path") from None
    except (OSError, ValueError) as error:  # a loop of links, no permission, a NUL in the name
        reason = getattr(error, "strerror", None) or str(error)
        raise ChronosError(f"cannot be opened ({reason})", where=repr(str(path))) from None
    if not stat.S_ISREG(status.st_mode):
        kind = _kind(status.st_mode)
        raise ChronosError(f"this is {kind}", where=path, expected="a regular file", mend="copy it to a file")
    return status.st_size


def _kind(mode: int) -> str:
    for test, name in (
        (stat.S_ISDIR, "a folder"),
        (stat.S_ISFIFO, "a named pipe"),
        (stat.S_ISSOCK, "a socket"),
    ):
        if test(mode):
            return name
    return "a device"


def open_file(path: Path) -> BinaryIO:
    """A regular file opened for reading; ChronosError in one line for anything else."""
    require_file(path)
    try:
        return open(path, "rb")
    except OSError as error:
        raise ChronosError(f"cannot be opened ({error.strerror})", where=path) from None


def as_utf8(stream: BinaryIO, where: object) -> io.BufferedReader:
    """The stream as UTF-8 without its mark, whichever encoding that announced; memory stays flat.

    UTF-8 itself is passed on as it is (what is wrong with it is found by `decode`). Reading what cannot be
    decoded from UTF-16 or UTF-32 raises DamageError with `where`:line.
    """
    return io.BufferedReader(_Utf8(stream, where), 1 << 20)


def numbered_lines(path: Path) -> Iterator[tuple[int, str | DamageError]]:
    """Each line of a file with its number from 1, as text, or as the DamageError that it earned.

    At most LINE_LIMIT bytes are in memory, in any encoding.
    """
    with open_file(path) as file:
        yield from stream_lines(as_utf8(file, path), path)


def stream_lines(stream: BinaryIO, where: object, number: int = 1) -> Iterator[tuple[int, str | DamageError]]:
    """As `numbered_lines`, of a UTF-8 stream whose first line has the given number."""
    while True:
        try:
            data = stream.readline(LINE_LIMIT + 1)
        except DamageError as error:  # the end: what follows could not be decoded
            yield number, error
            return
        if not data:
            return
        if len(data) > LINE_LIMIT:
            yield number, too_long(where, number)
            skip_line(stream, data)
        else:
            try:
                line: str | DamageError = decode(data, where, number, encoding="utf-8")
            except DamageError as error:
                line = error
            yield number, line
        number += 1


def too_long(where: object, line: int) -> DamageError:
    """What is said of a line that is longer than LINE_LIMIT."""
    return DamageError(f"line longer than {LINE_LIMIT} bytes", where=f"{where}:{line}")


def skip_line(stream: BinaryIO, data: bytes) -> bool:
    """Read past the end of the line that `data` began; False where the stream ends first."""
    while data and not data.endswith(b"\n"):
        data = stream.readline(1 << 20)
    return bool(data)


class _Utf8(io.RawIOBase):
    def __init__(self, stream: BinaryIO, where: object):
        self.stream, self.where, self.line = stream, where, 1
        head = stream.read(4)
        self.encoding, mark = encoding_of(head)
        other = self.encoding != "utf-8"
        self.decoder = codecs.getincrementaldecoder(self.encoding)() if other else None
        self.ended = len(head) < 4
        self.rest = self._recoded(head[mark:])

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self.rest and not self.ended:
            data = self.stream.read(1 << 20)
            self.ended = len(data) < 1 << 20
            self.rest = self._recoded(data)
        count = min(len(buffer), len(self.rest))
        buffer[:count], self.rest = self.rest[:count], self.rest[count:]
        return count

    def _recoded(self, data: bytes) -> bytes:
        if self.decoder is None:
            return data
        try:
            text = self.decoder.decode(data, final=self.ended)
        except UnicodeDecodeError as error:
            raise _bad_byte(error, self.where, self.line, self.encoding) from None
        self.line += text.count("\n")
        return text.encode("utf-8")
