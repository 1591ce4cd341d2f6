"""Project Gutenberg: plain-text books by number, or by language and bookshelf from its catalogue.

Its rules for programs are kept: texts come from the mirror that it names for them, over one connection, two
seconds apart; of the site itself only the catalogue file is asked for, which it offers for this purpose.
`chronos data fetch gutenberg --ids 1342 84 --out-dir DIR`.
"""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from typing import Any

from chronos.console import ChronosError, warn
from chronos.data.archives import open_stream
from chronos.data.decoding import DamageError, clean, decode
from chronos.data.sources.network import Absent
from chronos.data.sources.store import Resource, Row, Source, Store

MIRROR = "https://gutenberg.pglaf.org"
CATALOGUE = "https://www.gutenberg.org/cache/epub/feeds/pg_catalog.csv.gz"
LICENCE = "public domain in the USA (Project Gutenberg)"
BOOK_LIMIT = 64 << 20  # bytes

_START = re.compile(
    r"^[ \t]*\*{3} ?START OF (?:THE|THIS) PROJECT GUTENBERG.{0,500}?\*{3}[ \t]*$"
    r"|^\*+ ?END ?\*? ?(?:OF )?THE SMALL PRINT[^\n]*$",
    re.M | re.I | re.S,
)
_END = re.compile(r"^[ \t]*\*{3} ?END OF (?:THE|THIS) PROJECT GUTENBERG", re.M | re.I)
_END_IN_WORDS = re.compile(r"^[ \t]*End of (?:the |this )?Project Gutenberg\b", re.M | re.I)
_CREDIT = re.compile(
    r"\A\s*(?:(?:Produced|Transcribed|Prepared|E-?text prepared) by|This e-?text was)[^\n]*\n(?:[^\n]+\n)*",
    re.I,
)
_COPYRIGHTED = re.compile(r"COPYRIGHTED Project Gutenberg|This eBook is (?:in )?copyright", re.I)


def strip_licence(text: str) -> str:
    """The book without the licence before and after it: what lies between the START and the END mark.

    Both generations of marks are known; a text without them is left whole, but for blank lines at its ends.
    """
    begin = max((mark.end() for mark in _START.finditer(text, 0, 64 << 10)), default=0)
    end = next((mark.start() for mark in _END.finditer(text, begin)), None)
    # The older mark is words that a book may use as well: it counts just before the other, or late.
    low = begin + (len(text) - begin) // 2 if end is None else max(begin, end - 400)
    words = _END_IN_WORDS.search(text, low, len(text) if end is None else end)
    text = text[begin : words.start() if words else end]
    return _CREDIT.sub("", text).strip("\n \t") + "\n"


def collect(
    store: Store,
    *,
    ids: Sequence[int] = (),
    language: str = "",
    bookshelf: str = "",
    limit: int | None = None,
    base_url: str = MIRROR,
    catalogue_url: str = CATALOGUE,
) -> Iterator[Resource]:
    """The books of `ids`, or the first `limit` of the catalogue that match; missing ones are named."""
    chosen = [(_number(i), "") for i in ids]
    if not chosen:
        if not (language or bookshelf):
            mend = "give --ids, --language or --bookshelf"
            raise ChronosError("which books? Gutenberg has more than 70,000", mend=mend)
        chosen = _matching(store, catalogue_url, language, bookshelf)[:limit]
    missing = []
    for number, title in chosen[:limit]:
        key = f"pg{number}.txt"
        if key in store.known:
            continue
        try:
            yield _book(store, base_url, number, title)
        except Absent:
            missing.append(number)
    if missing:
        shown = ", ".join(map(str, missing[:10])) + (" …" if len(missing) > 10 else "")
        warn(f"{len(missing)} of {len(chosen)} books have no plain text there: {shown}")


def _number(value: Any) -> int:
    text = str(value)
    if not (text.isascii() and text.isdigit() and 0 < int(text[:9]) < 10_000_000):
        raise ChronosError("a book is given by its number", got=repr(value), mend="as in --ids 1342 84")
    return int(text)


def _book(store: Store, base_url: str, number: int, title: str) -> Resource:
    """The generated UTF-8 text, or where there is none, the one that was submitted."""
    digits = "/".join(str(number)[:-1]) or "0"
    paths = [f"cache/epub/{number}/pg{number}.txt"]
    paths += [f"{digits}/{number}/{number}{kind}.txt" for kind in ("-0", "")]
    for path in paths:
        try:
            return store.get(
                f"pg{number}.txt",
                f"{base_url}/{path}",
                limit=BOOK_LIMIT,
                url=f"https://www.gutenberg.org/ebooks/{number}",
                title=title,
                licence=LICENCE,
            )
        except Absent as error:
            absent = error
    raise absent


def _matching(store: Store, url: str, language: str, bookshelf: str) -> list[tuple[int, str]]:
    """(number, title) of the catalogue's texts in a language and on a bookshelf, by number."""
    # Asked for without robots.txt: the catalogue feed is the file that the site's rules send programs to.
    catalogue = store.get("pg_catalog.csv.gz", url, limit=64 << 20, robots=False)
    found = []
    with open_stream(catalogue.path) as stream:
        rows = csv.DictReader(io.TextIOWrapper(stream, encoding="utf-8", newline=""))
        try:
            for row in rows:
                book = {str(key).lower(): value for key, value in row.items() if isinstance(value, str)}
                number = book.get("text#") or book.get("id") or ""
                right = book.get("type", "").lower() == "text" and number.isdigit()
                tongues = re.split(r"[;,\s]+", book.get("language", "").lower())
                shelves = book.get("bookshelves", "").lower()
                if right and (not language or language.lower() in tongues) and bookshelf.lower() in shelves:
                    found.append((int(number), " ".join(book.get("title", "").split())))
        except (csv.Error, UnicodeDecodeError) as error:
            raise DamageError(f"damaged catalogue ({error})", where=catalogue.path) from None
    if not found:
        asked = " and ".join(part for part in (language, bookshelf) if part)
        raise ChronosError("no text in the catalogue matches", where=catalogue.path, got=asked)
    return sorted(found)


def rows(book: Resource) -> Iterator[Row]:
    """One row: the book without the licence. A copyrighted one gives none, with a warning."""
    text = clean(decode(book.path.read_bytes(), book.path))
    if _COPYRIGHTED.search(text[:4096]):
        warn(f"{book.key}: left out, it is under copyright")
        return
    title = re.search(r"^Title:[ \t]*(\S.*)$", text[:20_000], re.M)
    named = book.title or (title[1].strip() if title else book.key.removesuffix(".txt"))
    yield {"text": strip_licence(text), "title": named, "url": book.url, "licence": book.licence}


SOURCE = Source(
    about="books in plain text, by number or by language and bookshelf",
    licence="public domain in the USA",
    size="0.4 MB a book, 70,000 books",
    collect=collect,
    rows=rows,
    options={
        "ids": "numbers of books, such as 1342 84",
        "language": "two letters, such as en, when no ids are given",
        "bookshelf": "words in the name of a bookshelf, such as philosophy",
        "limit": "at most so many books",
        "base_url": "another mirror",
        "catalogue_url": "another catalogue",
    },
    delay=2.0,
)
