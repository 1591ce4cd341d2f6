"""arXiv: titles and abstracts of papers, harvested through OAI-PMH, page after page, three seconds apart.

Metadata only, which arXiv gives to everybody (CC0); the papers have licences of their own and stay there.
`chronos data fetch arxiv --set cs --since 2025-01-01 --until 2025-01-31 --out-dir DIR`.
"""

import re
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from xml.etree.ElementTree import Element

from chronos.console import ChronosError
from chronos.data.decoding import DamageError
from chronos.data.sources.safe_xml import child_text, elements, local
from chronos.data.sources.store import Resource, Row, Source, Store

ENDPOINT = "https://oaipmh.arxiv.org/oai"
LICENCE = "CC0 1.0 (metadata of arXiv)"
PAGE_LIMIT = 64 << 20  # bytes


def collect(
    store: Store,
    *,
    set: str = "cs",
    since: str = "",
    until: str = "",
    limit: int | None = None,
    base_url: str = ENDPOINT,
) -> Iterator[Resource]:
    """The pages of a harvest; each names the next by a token, and a known one is not asked for again."""
    if not re.fullmatch(r"[A-Za-z0-9:_.-]+", set):
        raise ChronosError("no such set of arXiv", got=repr(set), mend="as in cs, math or physics:hep-th")
    query = {"verb": "ListRecords", "metadataPrefix": "arXiv", "set": set}
    query |= {key: _date(day) for key, day in (("from", since), ("until", until)) if day}
    name = "-".join(["arxiv", set, since or "first", until or "now"])
    records = number = 0
    while limit is None or records < limit:
        key = f"{name}-{number:05d}.xml"
        if key in store.known:
            more = store.known[key]["more"]
        else:
            url = f"{base_url}?{urllib.parse.urlencode(query)}"
            page = store.get(key, url, limit=PAGE_LIMIT)
            more = _told(page.path)
            yield Resource(key, page.path, page.record, licence=LICENCE, more=more)
        records += more["records"]
        number += 1
        if not more["token"]:
            return
        query = {"verb": "ListRecords", "resumptionToken": more["token"]}


def _date(text: str) -> str:
    if not re.fullmatch(r"\d{4}-\d\d-\d\d", text):
        raise ChronosError("this is no date", got=repr(text), expected="YYYY-MM-DD")
    return text


def _told(path: Path) -> dict[str, int | str]:
    """How many records a page holds, and the token of the next page ("" on the last)."""
    count, token = 0, ""
    for element in _elements(path):
        if local(element) == "record":
            count += 1
        elif local(element) == "resumptionToken":
            token = (element.text or "").strip()
        elif element.get("code") != "noRecordsMatch":
            path.unlink()  # an answer to keep out of the harvest
            what = " ".join((element.text or element.get("code") or "an error").split())[:200]
            mend = (
                "harvest anew, with --since and --until"
                if "oken" in what
                else "check --set, --since, --until"
            )
            raise ChronosError(f"arXiv answers: {what}", mend=mend)
    return {"records": count, "token": token}


def _elements(path: Path) -> Iterator[Element]:
    with open(path, "rb") as stream:
        yield from elements(stream, {"record", "resumptionToken", "error"}, path)


def rows(page: Resource) -> Iterator[Row]:
    """A row a paper: its title, and its abstract with its lines joined. Deleted records give none."""
    for element in _elements(page.path):
        paper = next((part for part in element.iter() if local(part) == "arXiv"), None)
        if paper is None:
            continue
        title, abstract, number = (_line(child_text(paper, name)) for name in ("title", "abstract", "id"))
        if not number:
            raise DamageError("a record without id", where=page.path)
        if abstract:
            url = f"https://arxiv.org/abs/{number}"
            yield {"text": f"{title}\n\n{abstract}\n", "title": title, "url": url, "licence": page.licence}


def _line(text: str) -> str:
    return " ".join(text.split())


SOURCE = Source(
    about="titles and abstracts of papers",
    licence="CC0 1.0 (metadata)",
    size="1.3 kB a paper, 2.8 million papers",
    collect=collect,
    rows=rows,
    options={
        "set": "cs (default), math, physics:hep-th …",
        "since": "YYYY-MM-DD, the first day of change",
        "until": "YYYY-MM-DD, the last",
        "limit": "at most so many papers",
        "base_url": "another OAI-PMH endpoint",
    },
    robots=False,  # an interface for programs
    delay=3.0,
)
