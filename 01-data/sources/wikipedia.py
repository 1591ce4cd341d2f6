"""Wikipedia: the articles of one language, streamed out of its dump as plain text.

The dump (pages-articles.xml.bz2) is fetched whole and resumably; articles are read from it one at a time.
How wikitext becomes text is told in wikitext.py. `chronos data fetch wikipedia --out-dir DIR`.
"""

import re
import urllib.parse
from collections.abc import Iterator
from xml.etree.ElementTree import Element

from chronos.console import ChronosError
from chronos.data.archives import open_stream
from chronos.data.sources.safe_xml import child_text, elements, local
from chronos.data.sources.store import Resource, Row, Source, Store
from chronos.data.sources.wikitext import plain_text

DUMPS = "https://dumps.wikimedia.org"
LICENCE = "CC BY-SA 4.0 (Wikipedia)"
DUMP_LIMIT = 64 << 30  # bytes
_FILES, _CATEGORIES = "6", "14"  # numbers of namespaces


def collect(
    store: Store,
    *,
    language: str = "simple",
    date: str = "latest",
    base_url: str = DUMPS,
    limit: int | None = None,
) -> Iterator[Resource]:
    """The dump of a language, of a date (YYYYMMDD) or the latest."""
    if not re.fullmatch(r"[a-z]{2,}(-[a-z]+)*", language):
        raise ChronosError("no such language", got=repr(language), mend="as in en, de, ar or simple")
    if not re.fullmatch(r"latest|20\d{6}", date):
        raise ChronosError("no such date of a dump", got=repr(date), expected="latest or YYYYMMDD")
    wiki = language.replace("-", "_") + "wiki"
    name = f"{wiki}-{date}-pages-articles.xml.bz2"
    if name not in store.known:
        url = f"{base_url}/{wiki}/{date}/{name}"
        page = f"https://{language}.wikipedia.org/wiki/"
        yield store.get(name, url, limit=DUMP_LIMIT, url=page, licence=LICENCE)


def rows(dump: Resource) -> Iterator[Row]:
    """A row an article: the main namespace, without redirects and what is empty once it is plain text."""
    dropped: frozenset[str] = frozenset()
    with open_stream(dump.path) as stream:
        for element in elements(stream, {"siteinfo", "page"}, dump.path):
            if local(element) == "siteinfo":
                dropped = _namespaces(element)
                continue
            is_redirect = any(local(child) == "redirect" for child in element)
            if child_text(element, "ns") != "0" or is_redirect:
                continue
            title = child_text(element, "title")
            revision = next((child for child in element if local(child) == "revision"), element)
            text = plain_text(child_text(revision, "text"), dropped)
            if text:
                url = dump.url + urllib.parse.quote(title.replace(" ", "_"))
                yield {"text": f"{title}\n\n{text}\n", "title": title, "url": url, "licence": dump.licence}


def _namespaces(siteinfo: Element) -> frozenset[str]:
    """The names, in this wiki's language, of the namespaces whose links show nothing."""
    return frozenset(
        (element.text or "").strip().lower()
        for element in siteinfo.iter()
        if local(element) == "namespace" and element.get("key") in (_FILES, _CATEGORIES)
    )


SOURCE = Source(
    about="the articles of one language",
    licence="CC BY-SA 4.0",
    size="simple 0.3 GB packed, en 23 GB",
    collect=collect,
    rows=rows,
    options={
        "language": "en, de, ar …; simple is a small one in simple English (default)",
        "date": "YYYYMMDD of a dump (default: latest)",
        "limit": "at most so many articles",
        "base_url": "another mirror of the dumps",
    },
    robots=False,  # dumps are there for programs
)
