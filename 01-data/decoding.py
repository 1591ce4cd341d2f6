"""From bytes to clean text: byte-order marks, strict decoding, lines of bounded length.

It never guesses an encoding and never repairs: a damaged byte is reported as file:line.
Used through `chronos.data.documents`; try it with `chronos data prepare --text FILE --out-dir DIR`.
"""

import codecs
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from chronos.console import ChronosError

LINE_LIMIT = 64 << 20  # bytes of one JSONL line; a longer one is damage, not a document
FILE_LIMIT = 1 << 30  # bytes of a file that has to be held whole (plain text, .json, UTF-16)

# A UTF-32 mark starts with UTF-16's, so the longer ones are tried first.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")  # C0 and C1 but for \n and \t
_SURROGATE = re.compile("[\ud800-\udfff]")


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
        before = data[mark : mark + error.start]
        line = first_line + before.decode(name, "replace").count("\n")
        bad = data[mark + error.start : mark + error.start + 1].hex()
        raise DamageError(
            f"byte 0x{bad} is not {name.upper()} ({error.reason})",
            where=f"{where}:{line}",
            mend="convert the file to UTF-8, e.g. with iconv, or skip what is damaged",
        ) from None


def clean(text: str) -> str:
    """One kind of line end (LF), and no control characters but line feed and tab."""
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _CONTROL.sub("", text)


def refuse_surrogates(text: str, where: object) -> None:
    """Half of a UTF-16 pair (JSON's `"\\ud800"`) is no character and could not be written again."""
    found = _SURROGATE.search(text)
    if found:
        raise DamageError(f"lone surrogate U+{ord(found[0]):04X} in the text", where=where)


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


def read_whole(path: Path) -> str:
    """The decoded, not yet cleaned text of a file of at most FILE_LIMIT bytes."""
    size = require_file(path)
    if size > FILE_LIMIT:
        raise ChronosError(
            "the file is too large to be held at once",
            where=path,
            expected=f"at most {FILE_LIMIT} bytes",
            got=size,
            mend="cut it into several files, or turn it into .jsonl, which is read line by line",
        )
    with _opened(path) as file:
        return decode(file.read(), path)


def _opened(path: Path) -> BinaryIO:
    try:
        return open(path, "rb")
    except OSError as error:
        raise ChronosError(f"cannot be opened ({error.strerror})", where=path) from None


def numbered_lines(path: Path) -> Iterator[tuple[int, str | DamageError]]:
    """Each line with its number from 1, as text, or as the DamageError that it earned.

    UTF-8 is streamed with at most LINE_LIMIT bytes in memory; UTF-16 and UTF-32 are held whole.
    """
    require_file(path)
    with _opened(path) as file:
        name, mark = encoding_of(file.read(4))
        if name != "utf-8":
            yield from enumerate(read_whole(path).split("\n"), 1)
            return
        file.seek(mark)
        number = 0
        while data := file.readline(LINE_LIMIT + 1):
            number += 1
            if len(data) > LINE_LIMIT:
                _skip_line(file, data)
                yield number, DamageError(f"line longer than {LINE_LIMIT} bytes", where=f"{path}:{number}")
                continue
            try:
                line: str | DamageError = decode(data, path, number, encoding="utf-8")
            except DamageError as error:
                line = error
            yield number, line


def _skip_line(file: BinaryIO, data: bytes) -> None:
    while data and not data.endswith(b"\n"):
        data = file.readline(1 << 20)
