"""From a source on a (local) network to rows in a folder: each loader, run twice, cut off, and lied to."""

import bz2
import gzip
import io
import json
import os
from urllib.parse import parse_qs, urlsplit

import pytest

from chronos.console import ChronosError
from chronos.data.sources.fetching import fetch
from chronos.data.sources.network import Network


class Quick(Network):
    """A visitor that notes its waits instead of waiting."""

    waits: list = []  # noqa: RUF012

    def __init__(self, **options):
        super().__init__(timeout=5.0, sleep=self.waits.append, **options)
        self.waits.clear()


def run(name, out, **options):
    return fetch(name, out, make_network=Quick, **options)


def rows(out):
    return [json.loads(line) for file in sorted(out.glob("*.jsonl")) for line in file.open(encoding="utf-8")]


def content(out):
    return {file.name: file.read_bytes() for file in out.iterdir() if file.is_file()}


def refusal(act, kind=ChronosError):
    with pytest.raises(kind) as caught:
        act()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def twice(name, out, server, **options):
    """Run, and run again: the second adds nothing and changes nothing."""
    first = run(name, out, **options)
    before, asked = content(out), len(server.requests)
    second = run(name, out, **options)
    assert second == {**first, "added": 0} and content(out) == before
    return first, server.requests[asked:]


# ---- Gutenberg ---------------------------------------------------------------------------------------------

BOOK = "Title: A Tale of {n}\r\n\r\n*** START OF THE PROJECT GUTENBERG EBOOK A TALE ***\r\n\r\n"
BOOK += "It began, naïvely, {n}.\r\n"
BOOK += "\r\n*** END OF THE PROJECT GUTENBERG EBOOK A TALE ***\r\nLicence"
CATALOGUE = "Text#,Type,Issued,Title,Language,Authors,Subjects,LoCC,Bookshelves\r\n"
CATALOGUE += (
    '12,Text,2000,"A Tale\r\nof 12",en,Some Body,,PR,Browsing: Fiction\r\n13,Sound,2000,No,en,,,,Fiction\r\n'
)
CATALOGUE += "11,Text,2000,Un conte,fr; en,,,,Browsing: Fiction\r\n14,Text,2000,Other,en,,,,Science\r\n"


@pytest.fixture
def mirror(server, web):
    for n in (11, 12, 14):
        server.routes[f"/cache/epub/{n}/pg{n}.txt"] = web.file(BOOK.format(n=n).encode())
    server.routes["/7/7-0.txt"] = web.answer(404)
    server.routes["/0/7/7-0.txt"] = web.file(BOOK.format(n=7).encode())
    server.routes["/catalogue.csv.gz"] = web.file(gzip.compress(CATALOGUE.encode()))
    return {"base_url": server.url, "catalogue_url": server.url + "/catalogue.csv.gz"}


def test_gutenberg_by_number(tmp_path, server, mirror, capsys):
    found, again = twice("gutenberg", tmp_path, server, ids=[12, 7, 9], **mirror)
    assert (found["rows"], found["added"], found["resources"]) == (2, 2, 2)
    assert rows(tmp_path)[0] == {
        "text": "It began, naïvely, 12.\n",
        "title": "A Tale of 12",
        "url": "https://www.gutenberg.org/ebooks/12",
        "licence": "public domain in the USA (Project Gutenberg)",
    }
    assert "1 of 3 books have no plain text there: 9" in capsys.readouterr().err
    assert {name for name, _ in again if "robots" not in name} == {
        "/cache/epub/9/pg9.txt",
        "/0/9/9-0.txt",
        "/0/9/9.txt",
    }
    assert server.most_open == 1 and max(Quick.waits) > 1.9
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    entry = manifest["resources"]["pg12.txt"]
    assert entry["url"] == server.url + "/cache/epub/12/pg12.txt" and len(entry["sha256"]) == 64
    assert entry["etag"] == '"v1"' and entry["rows"] == 1 and entry["date"] and entry["bytes"]
    assert run("gutenberg", tmp_path, ids=[14, 12], **mirror)["files"] == [
        "gutenberg-00000.jsonl",
        "gutenberg-00001.jsonl",
    ]
    assert [row["title"] for row in rows(tmp_path)] == ["A Tale of 12", "A Tale of 7", "A Tale of 14"]


def test_gutenberg_by_catalogue(tmp_path, server, mirror, web):
    twice("gutenberg", tmp_path / "a", server, language="en", bookshelf="fiction", **mirror)
    assert [row["title"] for row in rows(tmp_path / "a")] == ["Un conte", "A Tale of 12"]
    run("gutenberg", tmp_path / "b", language="en", limit=1, **mirror)
    run("gutenberg", tmp_path / "b", language="en", limit=2, **mirror)
    assert [row["title"] for row in rows(tmp_path / "b")] == ["Un conte", "A Tale of 12"]
    assert "matches" in refusal(lambda: run("gutenberg", tmp_path / "c", language="xx", **mirror))
    assert "which books" in refusal(lambda: run("gutenberg", tmp_path / "c", **mirror))
    for bad in ("x", "-1", "../1", 0, 10**9):
        assert "by its number" in refusal(
            lambda bad=bad: run("gutenberg", tmp_path / "c", ids=[bad], **mirror)
        )
    server.routes["/catalogue.csv.gz"] = web.file(gzip.compress(b"Text#,Type\n\xff,x"))
    assert "damaged catalogue" in refusal(lambda: run("gutenberg", tmp_path / "d", language="en", **mirror))


def test_gutenberg_keeps_to_the_rules_of_the_mirror(tmp_path, server, mirror, web, capsys):
    server.routes["/cache/epub/5/pg5.txt"] = web.file(b"This is a COPYRIGHTED Project Gutenberg eBook\n text")
    assert run("gutenberg", tmp_path / "a", ids=[5], **mirror)["rows"] == 0
    assert "under copyright" in capsys.readouterr().err
    server.routes["/robots.txt"] = web.answer(200, b"User-agent: *\nDisallow: /cache")
    assert "robots.txt" in refusal(lambda: run("gutenberg", tmp_path / "b", ids=[12], **mirror))


# ---- Wikipedia ---------------------------------------------------------------------------------------------

PAGE = "<page><title>{title}</title><ns>{ns}</ns>{more}<revision><text>{text}</text></revision></page>"
DUMP = '<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/"><siteinfo><namespaces>'
DUMP += '<namespace key="6">Datei</namespace></namespaces></siteinfo>'
DUMP += PAGE.format(
    title="Kairo &amp; Nil", ns=0, more="", text="'''Kairo''' [[Datei:x.png|t]] liegt am [[Nil]]."
)
DUMP += PAGE.format(title="Nil (Fluss)", ns=0, more='<redirect title="Nil"/>', text="#REDIRECT [[Nil]]")
DUMP += PAGE.format(title="Diskussion:Nil", ns=1, more="", text="talk")
DUMP += PAGE.format(title="Leer", ns=0, more="", text="{{x}}") + PAGE.format(
    title="Nil", ns=0, more="", text="Fluss."
)
DUMP += "</mediawiki>"


def test_wikipedia(tmp_path, server, web):
    name = "/dewiki/20240101/dewiki-20240101-pages-articles.xml.bz2"
    packed = bz2.compress(DUMP[:500].encode()) + bz2.compress(DUMP[500:].encode())
    server.routes[name] = web.file(packed, stop_after=200)
    options = {"language": "de", "date": "20240101", "base_url": server.url}
    _, again = twice("wikipedia", tmp_path / "a", server, **options)
    assert again == [] and "/robots.txt" not in [path for path, _ in server.requests]
    assert rows(tmp_path / "a") == [
        {
            "text": "Kairo & Nil\n\nKairo liegt am Nil.\n",
            "title": "Kairo & Nil",
            "licence": "CC BY-SA 4.0 (Wikipedia)",
        }
        | {"url": "https://de.wikipedia.org/wiki/Kairo_%26_Nil"},
        {"text": "Nil\n\nFluss.\n", "title": "Nil", "licence": "CC BY-SA 4.0 (Wikipedia)"}
        | {"url": "https://de.wikipedia.org/wiki/Nil"},
    ]
    assert run("wikipedia", tmp_path / "b", limit=1, **options)["rows"] == 1
    assert run("wikipedia", tmp_path / "b", limit=1, **options)["added"] == 0
    assert "fetched with --limit 1" in refusal(lambda: run("wikipedia", tmp_path / "b", **options))
    server.routes[name] = web.file(packed[:-9])
    assert "it ends too soon" in refusal(lambda: run("wikipedia", tmp_path / "c", **options))
    assert os.listdir(tmp_path / "c") == [".raw"]
    for bad in ({"language": "../x"}, {"date": "now"}):
        assert "no such" in refusal(lambda bad=bad: run("wikipedia", tmp_path / "d", **options | bad))


# ---- arXiv -------------------------------------------------------------------------------------------------

RECORD = "<record><header><identifier>oai:x</identifier></header><metadata><arXiv><id>{n}</id>"
RECORD += "<title>On\n  {n}</title>"
RECORD += "<abstract>  We show\n{n} &lt; 2. </abstract></arXiv></metadata></record>"
DELETED = '<record><header status="deleted"><identifier>y</identifier></header></record>'


def page(*numbers, token=None):
    listed = "".join(RECORD.format(n=n) for n in numbers) + DELETED
    listed += "" if token is None else f"<resumptionToken cursor='0'>{token}</resumptionToken>"
    listed = f"<ListRecords>{listed}</ListRecords>"
    return f'<OAI-PMH xmlns="http://www.openarchives.org/OAI/2.0/">{listed}</OAI-PMH>'.encode()


def test_arxiv_follows_tokens_and_goes_on_where_it_stopped(tmp_path, server, web):
    pages = {None: page("1", "2", token="a|1"), "a|1": page("3", token="b"), "b": page("4", token="")}
    broken = [True]

    def route(h):
        query = {key: value[0] for key, value in parse_qs(urlsplit(h.path).query).items()}
        token = query.get("resumptionToken")
        assert query["verb"] == "ListRecords" and (
            token or (query["set"] == "cs" and query["from"] == "2025-01-01")
        )
        if token == "b" and broken[0]:
            return web.answer(403)(h)
        return web.answer(200, pages[token], Content_Type="text/xml")(h)

    server.routes["/oai"] = [web.answer(503, b"", Retry_After="20"), route]
    options = {"since": "2025-01-01", "base_url": server.url + "/oai"}
    assert "403" in refusal(lambda: run("arxiv", tmp_path, **options))
    assert Quick.waits[0] == 20 and max(Quick.waits[1:]) > 2.9
    assert "manifest.json" not in os.listdir(tmp_path)
    broken[0] = False
    before = len(server.requests)
    _, again = twice("arxiv", tmp_path, server, **options)
    assert len(server.requests) == before + 1 and again == []  # only the page that was missing
    assert [row["url"].rpartition("/")[2] for row in rows(tmp_path)] == ["1", "2", "3", "4"]
    assert rows(tmp_path)[0]["text"] == "On 1\n\nWe show 1 < 2.\n"


def test_arxiv_answers_with_an_error(tmp_path, server, web):
    options = {"base_url": server.url + "/oai"}
    error = b'<OAI-PMH><error code="badResumptionToken">token expired</error></OAI-PMH>'
    server.routes["/oai"] = [
        web.answer(200, page("1", token="t")),
        web.answer(200, error),
        web.answer(200, page("2")),
    ]
    assert "arXiv answers: token expired; harvest anew" in refusal(lambda: run("arxiv", tmp_path, **options))
    assert run("arxiv", tmp_path, **options)["rows"] == 2  # the error was not kept
    server.routes["/oai"] = web.answer(200, b'<OAI-PMH><error code="noRecordsMatch"/></OAI-PMH>')
    assert run("arxiv", tmp_path / "b", **options)["rows"] == 0
    server.routes["/oai"] = web.answer(200, page("1", "2", "3", token="t"))
    assert run("arxiv", tmp_path / "c", limit=2, **options)["rows"] == 2
    assert "no date" in refusal(lambda: run("arxiv", tmp_path / "d", since="May", **options))
    assert "no such set" in refusal(lambda: run("arxiv", tmp_path / "d", set="a b", **options))


# ---- feeds -------------------------------------------------------------------------------------------------

ITEM = "<item><title>{n} &amp; more</title><link>https://news.example/{n}?token=s3cret</link>"
ITEM += "<description>short</description>"
ITEM += "<c:encoded><![CDATA[<p>Long <b>{n}</b></p><p>story</p>]]></c:encoded></item>"
ATOM = '<feed xmlns="http://www.w3.org/2005/Atom"><rights>CC BY</rights><entry><title>T</title>'
ATOM += '<link rel="self" href="x"/>'
ATOM += '<link href="https://a.example/1"/><summary>s</summary><content type="xhtml">'
ATOM += '<div xmlns="http://www.w3.org/1999/xhtml">'
ATOM += "<p>One</p><p>two</p></div></content></entry></feed>"


def rss(*numbers):
    items = "".join(ITEM.format(n=n) for n in numbers)
    channel = f"<channel><title>N</title>{items}</channel>"
    return f'<rss xmlns:c="http://purl.org/rss/1.0/modules/content/">{channel}</rss>'.encode()


def test_feeds_add_what_is_new(tmp_path, server, web):
    server.routes["/rss"] = web.file(rss(1, 2), Content_Type="application/rss+xml")
    server.routes["/atom"] = web.file(ATOM.encode())
    feeds = [server.url + "/rss", server.url + "/atom"]
    first, again = twice("news", tmp_path, server, feeds=feeds)
    assert (
        first["rows"] == 3
        and [asked.get("If-None-Match") for name, asked in again if "robots" not in name] == ['"v1"'] * 2
    )
    assert rows(tmp_path)[0] == {
        "text": "1 & more\n\nLong 1\n\nstory\n",
        "title": "1 & more",
        "url": "https://news.example/1?token=…",
        "licence": "unknown: ask the publisher",
    }
    assert rows(tmp_path)[2] == {
        "text": "T\n\nOne\n\ntwo\n",
        "title": "T",
        "url": "https://a.example/1",
        "licence": "CC BY",
    }
    server.routes["/rss"] = web.file(rss(2, 3), '"v2"')
    third = run("news", tmp_path, feeds=feeds)
    assert (third["added"], third["rows"]) == (1, 4) and rows(tmp_path)[3]["title"] == "3 & more"
    server.routes["/rss"] = web.answer(200, rss(2, 3))  # a server that knows no conditions
    before = content(tmp_path)
    assert run("news", tmp_path, feeds=feeds)["added"] == 0 and content(tmp_path) == before


def test_feeds_that_differ_in_a_secret_and_a_link_that_is_none(tmp_path, server, web):
    one = b"<rss><item><title>One</title><link>http://[</link></item><item/></rss>"
    server.routes["/rss?key=a"] = web.answer(200, one)
    server.routes["/rss?key=b"] = web.answer(200, one.replace(b"One", b"Two"))
    run("news", tmp_path, feeds=[server.url + "/rss?key=a", server.url + "/rss?key=b"])
    url = server.url + "/rss?key=…"
    assert [(row["title"], row["url"]) for row in rows(tmp_path)] == [("One", url), ("Two", url)]
    assert "key=a" not in (tmp_path / "manifest.json").read_text()


def test_hostile_feeds(tmp_path, server, web):
    laughs = b'<!DOCTYPE l [<!ENTITY a "ha">]><rss><channel><item><title>&a;</title></item></channel></rss>'
    server.routes["/rss"] = web.answer(200, laughs)
    assert "document type (DTD) is refused" in refusal(
        lambda: run("news", tmp_path, feeds=[server.url + "/rss"])
    )
    server.routes["/rss"] = web.answer(200, b"<html><body>not here</body></html>")
    assert "HTML page" in refusal(lambda: run("news", tmp_path / "b", feeds=[server.url + "/rss"]))
    assert "which feeds" in refusal(lambda: run("news", tmp_path / "c"))
    said = refusal(lambda: run("news", tmp_path / "c", feeds=["https://me:hunter2@news.example/rss"]))
    assert "credentials" in said and "hunter2" not in said
    assert "not fetched" in refusal(lambda: run("news", tmp_path / "c", feeds=["file:///etc/passwd"]))


# ---- Hugging Face ------------------------------------------------------------------------------------------


def hub(server, web, **files):
    for name, data in files.items():
        cdn = f"/cdn/{name}"
        server.routes[f"/datasets/me/set/resolve/main/{name}"] = web.answer(
            302, b"", Location=server.url + cdn
        )
        server.routes[cdn] = web.file(data)
    return {"repo": "me/set", "base_url": server.url}


def test_hugging_face_rows(tmp_path, server, web):
    parquet = pytest.importorskip("pyarrow.parquet")
    import pyarrow

    table = pyarrow.table({"body": [f"p{i}" for i in range(1500)] + [None], "n": list(range(1501))})
    buffer = io.BytesIO()
    parquet.write_table(table, buffer, row_group_size=400)
    lines = '{"body": "one", "meta": {"t": "T"}}\n\n{"body": "naïve"}\r\n'.encode()
    options = hub(
        server,
        web,
        **{"a.jsonl": lines, "b.jsonl.gz": gzip.compress(lines), "c.parquet": buffer.getvalue()},
    )
    options |= {"files": ["a.jsonl", "b.jsonl.gz", "c.parquet"], "column": "body", "licence": "MIT"}
    found, again = twice("huggingface", tmp_path, server, **options)
    assert found["rows"] == 4 + 1500 and again == []
    texts = [row["text"] for row in rows(tmp_path)]
    assert texts[:4] == ["one", "naïve"] * 2 and texts[4:] == [f"p{i}" for i in range(1500)]
    assert rows(tmp_path)[0] == {
        "text": "one",
        "title": "",
        "url": "https://huggingface.co/datasets/me/set",
        "licence": "MIT",
    }
    nested = hub(server, web, **{"d.jsonl": b'{"body": "x", "meta": {"t": "T"}}'}) | {"files": ["d.jsonl"]}
    run("huggingface", tmp_path / "n", column="body", title_column="meta.t", **nested)
    assert rows(tmp_path / "n")[0]["title"] == "T"
    assert run("huggingface", tmp_path / "l", limit=3, **options)["rows"] == 3


def test_hugging_face_damage_is_told(tmp_path, server, web):
    pytest.importorskip("pyarrow")
    bad = {
        "a.jsonl": b'{"text": "x"}\n{"text": 5}',
        "b.jsonl": b'{"text": "x"}\n{"text": "\xff"}',
        "c.jsonl": b"[1",
    }
    bad |= {
        "d.jsonl": b'{"body": "x"}',
        "e.parquet": b"PAR1 and nothing",
        "f.jsonl.gz": gzip.compress(b"{}")[:-3],
    }
    bad |= {"g.jsonl": b'{"text": "\\ud800"}', "h.jsonl": b"<html>"}
    options = hub(server, web, **bad)
    told = [
        ":2: column 'text' is not text",
        ":2: byte 0xff",
        ":1: damaged JSON",
        "no column 'text', got body",
    ]
    told += ["damaged parquet", "ends too soon", ":1: lone surrogate", "HTML page"]
    for name, why in zip(bad, told, strict=True):
        out = tmp_path / name
        said = refusal(lambda name=name, out=out: run("huggingface", out, files=[name], **options))
        assert why in said and os.listdir(out) == [".raw"]
    asked = len(server.requests)
    wrong = [
        {"files": ["../a.jsonl"]},
        {"files": ["a.txt"]},
        {"files": []},
        {"repo": "x"},
        {"revision": "../y"},
    ]
    for change in wrong:
        ask = {"files": ["a.jsonl"]} | options | change
        refusal(lambda ask=ask: run("huggingface", tmp_path / "z", **ask))
    assert len(server.requests) == asked
    good = hub(server, web, **{"i.jsonl": b'{"text": "x"}'}) | {
        "files": ["i.jsonl"],
        "licence": "\udcff",
    }
    assert "lone surrogate" in refusal(lambda: run("huggingface", tmp_path / "y", **good))
