"""News feeds: what the RSS and Atom feeds that a person names hold now; run again, it adds what is new.

It reads feeds, never the pages behind them, and knows no feed of its own: whose text may be used, and for
what, is for the person who names it to know. `chronos data fetch news --feeds https://… --out-dir DIR`.
"""

import hashlib
from collections.abc import Iterator, Sequence
from xml.etree.ElementTree import Element, tostring

from chronos.console import ChronosError
from chronos.data.sources.network import checked, shown
from chronos.data.sources.safe_xml import child_text, elements, html_text, local
from chronos.data.sources.store import Resource, Row, Source, Store

FEED_LIMIT = 32 << 20  # bytes
LICENCE = "unknown: ask the publisher"
_BODIES = ("encoded", "content", "description", "summary")


def collect(store: Store, *, feeds: Sequence[str] = (), limit: int | None = None) -> Iterator[Resource]:
    """The feeds as they are now; one that did not change is not sent again."""
    if not feeds:
        raise ChronosError("which feeds?", mend="give --feeds URL …")
    for url in dict.fromkeys(map(checked, feeds)):
        key = shown(url)
        if key != url:  # two addresses may differ in a secret only
            key += "#" + hashlib.sha256(url.encode()).hexdigest()[:8]
        yield store.get_if_changed(key, url, limit=FEED_LIMIT, url=shown(url))


def rows(feed: Resource) -> Iterator[Row]:
    """A row an item of RSS 0.9x, 1.0 or 2.0, or an entry of Atom: its title, then its longest text."""
    licence = LICENCE
    with open(feed.path, "rb") as stream:
        for element in elements(stream, {"item", "entry", "copyright", "rights"}, feed.path):
            if local(element) in ("copyright", "rights"):  # of the feed: an item's own is within the item
                licence = _line("".join(element.itertext())) or licence
                continue
            title = _line(html_text(child_text(element, "title")))
            body = max((_body(child) for child in element if local(child) in _BODIES), key=len, default="")
            if title or body:
                text = f"{title}\n\n{body}".strip() + "\n"
                own = _line(child_text(element, "rights"))
                yield {
                    "text": text,
                    "title": title,
                    "url": _address(element) or feed.url,
                    "licence": own or licence,
                }


def _body(element: Element) -> str:
    """The text of a description or content: HTML in a string, or (Atom's xhtml) elements."""
    if len(element):
        return html_text(tostring(element, encoding="unicode", method="html"))
    return html_text(element.text or "")


def _address(element: Element) -> str:
    for child in element:
        if local(child) == "link" and child.get("rel", "alternate") == "alternate":
            address = child.get("href") or child.text or ""
            told = shown(address.strip())
            return told if told.startswith(("http://", "https://")) else ""
    return ""


def _line(text: str) -> str:
    return " ".join(text.split())


SOURCE = Source(
    about="what the RSS and Atom feeds that you name hold now",
    licence="the publishers'; you have to know",
    size="20 kB a feed",
    collect=collect,
    rows=rows,
    options={"feeds": "addresses of feeds", "limit": "at most so many entries"},
    changes=True,
)
