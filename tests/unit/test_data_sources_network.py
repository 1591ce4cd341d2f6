"""Fetching a file from servers that behave badly: nothing is lost, nothing is wrong, nobody is pestered."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from email.utils import formatdate

import pytest

from chronos.console import ChronosError
from chronos.data.sources.download import Record, download, record_of
from chronos.data.sources.network import AGENT, Absent, Network, checked, shown

BODY = bytes(range(256)) * 2000  # 512 kB


@pytest.fixture
def net():
    """A visitor that notes its waits instead of waiting."""
    waits = []
    visitor = Network(delay=0.0, timeout=0.4, sleep=waits.append)
    visitor.waits = waits
    return visitor


def get(net, server, path, name="/x.bin", limit=1 << 20, **options):
    return download(net, server.url + name, path, limit=limit, **options)


def refusal(act, kind=ChronosError):
    with pytest.raises(kind) as caught:
        act()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def leftovers(path):
    return sorted(file.name for file in path.parent.iterdir())


def test_a_file_is_fetched_once_hashed_and_recorded(tmp_path, server, net, web):
    path = tmp_path / "x.bin"
    server.routes["/x.bin"] = web.file(BODY, Last_Modified="Mon, 01 Jan 2024 00:00:00 GMT")
    record = get(net, server, path)
    assert path.read_bytes() == BODY and record.sha256 == hashlib.sha256(BODY).hexdigest()
    assert (record.bytes, record.etag, record.url) == (len(BODY), '"v1"', server.url + "/x.bin")
    assert record.modified.startswith("Mon") and record.date.endswith("Z")
    assert get(net, server, path) == record and record_of(path) == record
    assert server.paths() == ["/x.bin"] and leftovers(path) == ["x.bin", "x.bin.record.json"]
    assert [asked["User-Agent"] for _, asked in server.requests] == [AGENT, AGENT] and "chronos" in AGENT
    path.write_bytes(BODY[:-1] + b"?")  # damaged on the disk: fetched anew
    assert get(net, server, path).sha256 == record.sha256 and path.read_bytes() == BODY


def test_only_a_change_is_sent_again(tmp_path, server, net, web):
    path = tmp_path / "feed"
    server.routes["/x.bin"] = web.file(b"old")
    record = get(net, server, path)
    assert get(net, server, path, changed_since=record) is None
    server.routes["/x.bin"] = web.file(b"new text", '"v2"')
    assert get(net, server, path, changed_since=record).etag == '"v2"' and path.read_bytes() == b"new text"


def test_what_breaks_off_is_resumed_where_it_stopped(tmp_path, server, net, web):
    path = tmp_path / "x.bin"
    server.routes["/x.bin"] = web.file(BODY, stop_after=100_000)
    assert get(net, server, path).sha256 == hashlib.sha256(BODY).hexdigest()
    starts = [asked.get("Range") for name, asked in server.requests if name == "/x.bin"]
    assert starts == [None] + [f"bytes={n}00000-" for n in range(1, 6)]
    assert all(asked["If-Range"] == '"v1"' for _, asked in server.requests[2:])


def test_a_file_that_changes_between_two_parts_is_fetched_anew(tmp_path, server, net, web):
    path = tmp_path / "x.bin"
    other = BODY[::-1]
    server.routes["/x.bin"] = [web.file(BODY, stop_after=300_000), web.file(other, '"v2"')]
    assert get(net, server, path).etag == '"v2"' and path.read_bytes() == other
    # … also where the server ignores If-Range, or sends another part than was asked for
    bad = [web.answer(206, other[300_000:], ETag='"v2"', Content_Range=f"bytes 300000-511999/{len(BODY)}")]
    bad.append(web.answer(206, BODY[5:], ETag='"v1"', Content_Range=f"bytes 5-511999/{len(BODY)}"))
    bad += [web.answer(206, BODY[300_000:], ETag='"v1"'), web.answer(416, b"")]
    for second in bad:
        path = path.with_suffix(".next")
        for file in path.parent.glob("*.next*"):
            file.unlink()
        server.routes["/x.bin"] = [
            web.file(BODY, stop_after=300_000),
            second,
            web.file(other, '"v2"'),
        ]
        get(net, server, path)
        assert path.read_bytes() == other
    # without a mark to know it by, nothing is resumed
    server.routes["/x.bin"] = [web.file(BODY, "", stop_after=300_000), web.file(BODY, "")]
    get(net, server, tmp_path / "y")
    assert (tmp_path / "y").read_bytes() == BODY and "Range" not in server.requests[-1][1]


def test_a_part_of_another_address_is_not_continued(tmp_path, server, net, web):
    server.routes["/a"] = web.file(BODY, stop_after=9)
    server.routes["/b"] = web.file(BODY[::-1])
    with pytest.raises(ChronosError):
        get(net, server, tmp_path / "x", "/a", limit=1 << 30)
    assert (tmp_path / "x.part").exists()
    get(net, server, tmp_path / "x", "/b")
    assert (tmp_path / "x").read_bytes() == BODY[::-1]


CHILD = """
import sys, pathlib
from chronos.data.sources.download import download
from chronos.data.sources.network import Network
net = Network(delay=0.0, timeout=20.0, robots=False)
download(net, sys.argv[1], pathlib.Path(sys.argv[2]), limit=1 << 30)
"""


def test_kill_9_loses_nothing_that_had_arrived(tmp_path, server, net, web):
    path = tmp_path / "x.bin"
    head = b'HTTP/1.0 200 OK\r\nETag: "v1"\r\nContent-Length: 512000\r\n\r\n'
    half = web.raw(head + BODY[:200_000], pause=20)
    server.routes["/x.bin"] = [half, web.file(BODY)]
    child = subprocess.Popen([sys.executable, "-c", CHILD, server.url + "/x.bin", str(path)])
    part = tmp_path / "x.bin.part"
    try:
        deadline = time.monotonic() + 20
        while not (part.exists() and part.stat().st_size == 200_000) and time.monotonic() < deadline:
            time.sleep(0.02)
    finally:
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
    assert part.stat().st_size == 200_000 and not path.exists()
    get(net, server, path)
    assert path.read_bytes() == BODY and server.requests[-1][1]["Range"] == "bytes=200000-"
    # between the record and the name
    os.replace(path, part)
    asked = len(server.requests)
    assert get(net, server, path).bytes == len(BODY) and path.read_bytes() == BODY
    # and between the last byte and the record: the whole part is there, and the server has no more
    os.replace(path, part)
    (tmp_path / "x.bin.record.json").unlink()
    mark = hashlib.sha256((server.url + "/x.bin").encode()).hexdigest()
    note = {"url": mark, "etag": '"v1"', "modified": ""}
    (tmp_path / "x.bin.part.json").write_text(json.dumps(note))
    assert get(net, server, path).bytes == len(BODY) and len(server.requests) == asked + 1


def test_busy_servers_are_given_the_time_that_they_ask_for(tmp_path, server, net, web, capsys):
    later = formatdate(time.time() + 100, usegmt=True)
    server.routes["/x.bin"] = [
        web.answer(429, b"", Retry_After="7"),
        web.answer(503, b"", Retry_After=later),
        web.answer(503, b"", Retry_After="soon"),
        web.answer(500, b""),
        web.file(b"at last"),
    ]
    assert get(net, server, tmp_path / "x").bytes == 7
    assert net.waits[0] == 7 and 90 < net.waits[1] <= 100 and net.waits[2:] == [8, 16]
    assert "the server is busy (429); trying again in 7.0 s" in capsys.readouterr().err
    server.routes["/x.bin"] = web.answer(503, b"")
    assert "busy (503) (6 times)" in refusal(lambda: get(net, server, tmp_path / "y"))
    server.routes["/x.bin"] = web.answer(429, b"", Retry_After="7200")
    assert "run the same command again in 2 h 00 min" in refusal(lambda: get(net, server, tmp_path / "y"))


def test_refusals_are_not_repeated(tmp_path, server, net, web):
    server.routes["/no"] = web.answer(403, b"")
    assert "the server refuses (403 Forbidden)" in refusal(lambda: get(net, server, tmp_path / "x", "/no"))
    assert "nothing (404)" in refusal(lambda: get(net, server, tmp_path / "x", "/gone"), Absent)
    server.routes["/x.bin"] = web.answer(200, b"x" * 50, Content_Type="text/html; charset=utf-8")
    assert "HTML page" in refusal(lambda: get(net, server, tmp_path / "x"))
    server.routes["/x.bin"] = web.answer(200, b"\n <!DOCTYPE HTML><p>")
    assert "HTML page" in refusal(lambda: get(net, server, tmp_path / "x"))
    server.routes["/x.bin"] = web.answer(200, b"xxx", Content_Encoding="gzip")
    assert "packed, unasked, got gzip" in refusal(lambda: get(net, server, tmp_path / "x"))
    server.routes["/x.bin"] = web.answer(200, b"<!-- a -->\n<!-- b --><html>")
    assert "HTML page" in refusal(lambda: get(net, server, tmp_path / "x"))
    assert net.waits == [] and leftovers(tmp_path / "x") == []
    server.routes["/x.bin"] = web.file(b"<!---->" * 290 + b"<feed>")
    assert get(net, server, tmp_path / "x").bytes == 2036  # and soon


def test_sizes_are_limited(tmp_path, server, net, web):
    server.routes["/x.bin"] = web.file(BODY)
    said = refusal(lambda: get(net, server, tmp_path / "x", limit=500_000))
    assert "too large, expected at most 500000 bytes, got 512000" in said
    server.routes["/x.bin"] = web.answer(200, b"x", Content_Length="10000000000")  # not read at all
    assert "got 10000000000" in refusal(lambda: get(net, server, tmp_path / "x", limit=500_000))
    server.routes["/x.bin"] = web.endless
    assert "too large" in refusal(lambda: get(net, server, tmp_path / "x", limit=500_000))
    assert leftovers(tmp_path / "x") == []


def test_a_length_that_is_not_true(tmp_path, server, net, web):
    server.routes["/x.bin"] = web.answer(200, b"short", Content_Length="500")
    assert "cut off after 5 of 500 bytes (6 times)" in refusal(lambda: get(net, server, tmp_path / "x"))
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n"
    server.routes["/x.bin"] = [web.raw(chunked), web.raw(chunked + b"0\r\n\r\n")]
    assert get(net, server, tmp_path / "y").bytes == 5
    server.routes["/x.bin"] = [
        web.raw(b"nonsense\r\n\r\n"),
        web.raw(b""),
        web.file(b"good"),
    ]
    assert get(net, server, tmp_path / "z").bytes == 4


def test_silence_and_a_slow_drip_end(tmp_path, server, net, web):
    head = b"HTTP/1.0 200 OK\r\nContent-Length: 1000\r\n\r\n"
    server.routes["/x.bin"] = [web.raw(head, pause=2), web.file(b"good")]
    assert get(net, server, tmp_path / "x").bytes == 4
    server.routes["/x.bin"] = [web.raw(head, *[b"x"] * 40, pause=0.05), web.file(b"good")]
    started = time.monotonic()
    assert get(net, server, tmp_path / "y").bytes == 4
    assert time.monotonic() - started < 1.5
    server.routes["/x.bin"] = [web.raw(pause=0), web.file(b"good")]
    nobody = Network(delay=0.0, timeout=0.4, sleep=net.waits.append)
    net.waits.clear()
    said = refusal(lambda: download(nobody, "http://127.0.0.1:9/x", tmp_path / "z", limit=9))
    assert "no connection" in said and "(3 times)" in said and net.waits == [2, 4]


def test_redirects_are_checked_one_by_one(tmp_path, server, net, web):
    server.routes["/x.bin"] = web.file(b"good")
    server.routes["/a"] = web.answer(302, b"", Location="/b?x=1")
    server.routes["/b?x=1"] = web.answer(308, b"", Location=server.url + "/x.bin")
    assert get(net, server, tmp_path / "x", "/a").bytes == 4
    assert server.paths() == ["/a", "/b?x=1", "/x.bin"]
    server.routes["/loop"] = web.answer(301, b"", Location="/loop")
    assert "redirected in a circle" in refusal(lambda: get(net, server, tmp_path / "y", "/loop"))
    for place in ("file:///etc/passwd", "ftp://127.0.0.1/x", "gopher://x", "data:text/plain,x"):
        server.routes["/out"] = web.answer(302, b"", Location=place)
        assert "a redirect leads elsewhere" in refusal(lambda: get(net, server, tmp_path / "y", "/out"))
    server.routes["/out"] = web.answer(302, b"", Location="http://me:secret@127.0.0.1/")
    assert "secret" not in refusal(lambda: get(net, server, tmp_path / "y", "/out"))
    assert "leads elsewhere" in refusal(lambda: checked("http://a.example/x", base="https://a.example/"))


def test_robots_are_heard(tmp_path, server, net, web):
    server.routes["/x.bin"] = server.routes["/private/x.bin"] = web.file(b"good")
    rules = b"User-agent: chronos-memory\nCrawl-delay: 3\nDisallow: /private\n\nUser-agent: *\nDisallow: /\n"
    server.routes["/robots.txt"] = web.answer(200, rules, Content_Type="text/plain")
    assert get(net, server, tmp_path / "x").bytes == 4
    said = refusal(lambda: get(net, server, tmp_path / "y", "/private/x.bin"))
    assert "robots.txt asks programs not to fetch this" in said and server.paths() == ["/x.bin"]
    assert [name for name, _ in server.requests].count("/robots.txt") == 1
    assert len(net.waits) == 1 and 2.5 < net.waits[0] <= 3  # after robots.txt itself
    server.routes["/to"] = web.answer(302, b"", Location="/private/x.bin")
    assert "robots.txt" in refusal(lambda: get(net, server, tmp_path / "y", "/to"))
    assert get(net, server, tmp_path / "y", "/private/x.bin", robots=False).bytes == 4
    free = Network(delay=0.0, timeout=0.4, robots=False)
    assert get(free, server, tmp_path / "z", "/private/x.bin").bytes == 4


def test_robots_that_cannot_be_read(tmp_path, server, net, web):
    server.routes["/x.bin"] = web.file(b"good")
    server.routes["/robots.txt"] = [web.answer(503, b""), web.answer(403, b"")]
    assert get(net, server, tmp_path / "x").bytes == 4 and net.waits == [2]
    other = Network(delay=0.0, timeout=0.4, sleep=net.waits.append)
    server.routes["/robots.txt"] = web.answer(500, b"")
    assert "busy (500)" in refusal(lambda: get(other, server, tmp_path / "y"))


def test_one_request_at_a_time_and_a_pause_between_two(tmp_path, server, web):
    server.routes["/x.bin"] = server.routes["/y.bin"] = web.file(b"good")
    spaced = Network(delay=0.2, timeout=2, robots=False)
    started = time.monotonic()
    for name in ("x", "y"):
        get(spaced, server, tmp_path / name, f"/{name}.bin")
    assert time.monotonic() - started >= 0.2 and server.most_open == 1


def test_proxies_of_the_environment_are_used(tmp_path, server, web, monkeypatch):
    monkeypatch.setenv("http_proxy", server.url)
    server.routes["http://text.invalid/x.txt"] = web.file(b"by proxy")
    found = download(Network(delay=0.0, robots=False), "http://text.invalid/x.txt", tmp_path / "x", limit=99)
    assert found.bytes == 8 and found.url == "http://text.invalid/x.txt"


def test_urls_are_checked_and_shown_without_secrets():
    assert checked("HTTP://Example.ORG/a b?q=é#f") == "http://example.org/a%20b?q=%C3%A9"
    assert checked("https://bücher.example:8/ä/%20") == "https://xn--bcher-kva.example:8/%C3%A4/%20"
    for bad in (
        "file:///etc/passwd",
        "ftp://x/y",
        "/etc/passwd",
        "http://",
        "http://a b/",
        "http://x:y/",
        "",
        "http://[/",
    ):
        refusal(lambda bad=bad: checked(bad))
    said = refusal(lambda: checked("https://me:hunter2@example.org/"))
    assert "credentials" in said and "hunter2" not in said and "me" not in said.split("credentials")[0]
    url = "https://u:p@example.org/a?id=7&access_token=abc&X-Amz-Signature=def&apikey=g#frag"
    assert shown(url) == "https://example.org/a?id=7&access_token=…&X-Amz-Signature=…&apikey=…"
    assert "\x1b" not in shown("http://x/\x1b[31m")


def test_records_do_not_hold_secrets(tmp_path, server, net, web):
    server.routes["/x.bin"] = web.file(b"good")
    record = get(net, server, tmp_path / "x", "/x.bin?token=hunter2")
    assert isinstance(record, Record) and all("hunter2" not in f.read_text() for f in tmp_path.glob("*.json"))


def test_a_weak_mark_tells_a_change_but_resumes_nothing(tmp_path, server, net, web):
    server.routes["/x.bin"] = [
        web.file(BODY, 'W/"v1"', stop_after=300_000),
        web.file(BODY, 'W/"v1"'),
    ]
    record = get(net, server, tmp_path / "x")
    assert record.etag == 'W/"v1"' and "Range" not in server.requests[-1][1]
    assert get(net, server, tmp_path / "x", changed_since=record) is None
