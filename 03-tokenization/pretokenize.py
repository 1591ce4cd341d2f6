"""GPT-2's way of cutting text into words, exactly, with nothing but `re` and `unicodedata`.

Its pattern needs the classes \\p{L} and \\p{N}, which `re` lacks; they are built here from the categories.
Cuts only; joined, the words are the text again.
"""

import re
import sys
import unicodedata
from functools import cache
from itertools import groupby

# Unicode's White_Space. Python's own \s also holds U+001C to U+001F, which Unicode does not.
SPACE = r"\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"


@cache
def pattern() -> re.Pattern[str]:
    r"""'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+ (GPT-2, encoder.py).

    Compiled on first use (a quarter of a second: 1.1 million categories). Letters and numbers are those of
    the running Python's Unicode version.
    """
    letter, number = _classes("LN")
    return re.compile(
        f"'s|'t|'re|'ve|'m|'ll|'d| ?[{letter}]+| ?[{number}]+| ?[^{SPACE}{letter}{number}]+"
        f"|[{SPACE}]+(?![^{SPACE}])|[{SPACE}]+"
    )


def _classes(majors: str) -> list[str]:
    """For each major category ("L", "N") the inside of a character class that holds just its characters."""
    ranges: dict[str, list[str]] = {major: [] for major in majors}
    points = range(sys.maxunicode + 1)
    for major, run in groupby(points, key=lambda point: unicodedata.category(chr(point))[0]):
        if major in ranges:
            whole = list(run)
            ranges[major].append(f"\\U{whole[0]:08x}-\\U{whole[-1]:08x}")
    return ["".join(ranges[major]) for major in majors]


def split(text: str) -> list[str]:
    """The words of a text, most with their leading space; `"".join(split(text)) == text`."""
    return pattern().findall(text)
