"""Hard-wrapped prose joined into paragraphs: the 72-column lines of Gutenberg, mail and plain-text manuals.

It joins only what a program that fills lines would have broken so; verse, lists, code, tables and headings
stay. Used by `Cleaning(unwrap=True)`.
"""

import itertools
import re

NARROWEST, WIDEST = 50, 110  # widths between which a text counts as wrapped by hand or program
SLACK = 8  # columns that a line may have left free although the next word would have fitted
MARK = re.compile(r"(?:[-*+•·–—>#|]|\(?\d{1,3}[.)]|\(?[A-Za-z][.)])(?:\s|$)|[#|>]|```|~~~|={3}|-{3}|\*{3}")
COLUMNS = re.compile(r"\S(?:\t| {3,})\S|\|.*\|")  # a table, or text set in columns
CODE_END = ("{", "}", ";", "\\", "*/", "):")
FENCE = ("```", "~~~")


def unwrap(text: str) -> str:
    """Replace line ends inside wrapped paragraphs by spaces; everything else stays, blank lines too.

    The width W of a text is the 95th percentile of its lines' lengths; outside 50 … 110 nothing is done. A
    paragraph (lines between blank ones) is joined if for each of its lines but the last the next line's
    first word would not have fitted:  len(line) + 1 + len(word) > W − 8.  Left alone is a paragraph with a
    line that is indented, starts with the mark of a list, heading, quotation or table, or holds columns;
    one with a line that ends as code does; whatever stands between code fences; and verse, in which most
    lines start with a capital. After a hyphen or a dash at a line's end no space is put. Runs in O(len).
    """
    lines = text.split("\n")
    width = _width(lines)
    if not NARROWEST <= width <= WIDEST:
        return text
    out: list[str] = []
    paragraph: list[str] = []
    fenced = False
    for line in lines:
        fence = line.lstrip().startswith(FENCE)
        if line.strip() and not fence and not fenced:
            paragraph.append(line)
            continue
        fenced ^= fence
        out += _joined(paragraph, width)
        paragraph = []
        out.append(line)
    return "\n".join(out + _joined(paragraph, width))


def _width(lines: list[str]) -> int:
    lengths = sorted(length for line in lines if (length := len(line.rstrip())))
    return lengths[(len(lengths) - 1) * 95 // 100] if lengths else 0


def _joined(lines: list[str], width: int) -> list[str]:
    if len(lines) < 2 or not _is_wrapped(lines, width):
        return lines
    text = lines[0].rstrip()
    parts = [text]
    for line in lines[1:]:
        parts.append("" if parts[-1].endswith(("-", "—", "–")) else " ")
        parts.append(line.rstrip())
    return ["".join(parts)]


def _is_wrapped(lines: list[str], width: int) -> bool:
    for line in lines:
        if line[0] in " \t\u00a0" or MARK.match(line) or COLUMNS.search(line):
            return False
        if line.rstrip().endswith(CODE_END):
            return False
    for line, following in itertools.pairwise(lines):
        if len(line.rstrip()) + 1 + len(following.split(None, 1)[0]) <= width - SLACK:
            return False
    rest = lines[1:]
    capitals = sum(_opens_with_capital(line) for line in rest)
    return len(rest) < 2 or 2 * capitals <= len(rest)


def _opens_with_capital(line: str) -> bool:
    letter = next((c for c in line if c.isalpha()), "")
    return letter.isupper()
