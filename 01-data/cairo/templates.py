"""Templates: sentences with slots, agreement in gender, and the regular expression that reads them back.

`{v}` is a slot, `{v:n}` one that agrees with whoever stands in slot n, `<n:went|gone>` chooses by n's gender.
The slot `i` is who tells the life. A template only writes and reads; what is true it does not know.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from chronos.data.cairo.values import Value

_PIECE = re.compile(r"\{(\w)(?::(\w))?\}|<(\w):([^|>]*)\|([^>]*)>")
_WORD = re.compile(r"\d|'s\b|[^\W\d_]+(?:[-'](?!s\b)[^\W\d_]+)*|[^\w\s]")
_CLOSING = set(".,?!:;،؟؛")

Piece = str | tuple[str, str] | tuple[str, str, str]


@dataclass(frozen=True, slots=True, eq=False)
class Template:
    """One template: its text as written, its language and its pieces in order."""

    text: str
    language: str
    pieces: tuple[Piece, ...]

    def render(self, slots: Mapping[str, Value]) -> str:
        """The sentence with each slot filled; KeyError for a slot that has no value."""
        out = []
        for piece in self.pieces:
            if type(piece) is str:
                out.append(piece)
            elif len(piece) == 2:
                out.append(slots[piece[0]].form(self.language, slots[piece[1]].female))
            else:
                out.append(piece[2] if slots[piece[0]].female else piece[1])
        return "".join(out)

    def slots(self) -> set[str]:
        """The names of its slots, those that it only agrees with included."""
        return {name for piece in self.pieces if not isinstance(piece, str) for name in _names(piece)}

    def literals(self) -> Iterable[str]:
        """Every text that it may write by itself."""
        for piece in self.pieces:
            if isinstance(piece, str):
                yield piece
            elif len(piece) == 3:
                yield from piece[1:]

    def pattern(self) -> str:
        """A regular expression with a named group for each slot (the shortest text that fits)."""
        out = []
        for piece in self.pieces:
            if isinstance(piece, str):
                out.append(re.escape(piece))
            elif len(piece) == 2:
                out.append(f"(?P<{piece[0]}>.+?)")
            else:
                out.append(f"(?:{re.escape(piece[1])}|{re.escape(piece[2])})")
        return "".join(out)


def _names(piece: tuple[str, ...]) -> tuple[str, ...]:
    return piece if len(piece) == 2 else piece[:1]


def template(text: str, language: str) -> Template:
    """Parse one template."""
    pieces: list[Piece] = []
    at = 0
    for found in _PIECE.finditer(text):
        if found.start() > at:
            pieces.append(text[at : found.start()])
        slot, agree, who, man, woman = found.groups()
        pieces.append((slot, agree or "i") if slot else (who, man, woman))
        at = found.end()
    if at < len(text):
        pieces.append(text[at:])
    return Template(text, language, tuple(pieces))


def lines(text: str) -> tuple[str, ...]:
    """The lines of a block, without the empty ones."""
    return tuple(line.strip() for line in text.splitlines() if line.strip())


def words(text: str) -> list[str]:
    """A text as units: words (hyphens and apostrophes inside), 's, single digits, single punctuation marks.

    `unsplit(words(x)) == x` for every text of this package.
    """
    return _WORD.findall(text)


def unsplit(units: Iterable[str]) -> str:
    """The text of `words`: digits stand together, 's and punctuation close up to the left."""
    out = ""
    for unit in units:
        close = unit in _CLOSING or unit == "'s" or (unit.isdigit() and out[-1:].isdigit())
        out += unit if close or not out else " " + unit
    return out
