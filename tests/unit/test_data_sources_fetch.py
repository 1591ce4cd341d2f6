"""A folder of fetched rows: whole or as it was, the same after a kill, and checked by its hashes."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from chronos.console import ChronosError
from chronos.data.sources import GENERATED, fetching
from chronos.data.sources.fetching import FETCHERS, fetch, table_of_sources
from chronos.data.sources.network import Network

BOOK = "*** START OF THE PROJECT GUTENBERG EBOOK ***\nBook {n}.\n*** END OF THE PROJECT GUTENBERG EBOOK ***\n"


@pytest.fixture
def server(server, web):
    """The server of all tests, with eight books."""
    for n in range(1, 9):
        server.routes[f"/cache/epub/{n}/pg{n}.txt"] = web.file(BOOK.format(n=n).encode())
    return server


def run(out, server, *ids, name="gutenberg", **options):
    def quick(**told):
        return Network(timeout=5.0, sleep=lambda _: None, **told)

    return fetch(name, out, make_network=quick, ids=ids, base_url=server.url, **options)


def texts(out):
    return [json.loads(line)["text"] for file in sorted(out.glob("*.jsonl")) for line in file.open()]


def content(out):
    return {file.name: file.read_bytes() for file in out.iterdir() if file.is_file()}


def refusal(act, kind=ChronosError):
    with pytest.raises(kind) as caught:
        act()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def books(*numbers):
    return [f"Book {n}.\n" for n in numbers]


def test_rows_are_dealt_into_shards_whose_hashes_are_kept(tmp_path, server, monkeypatch):
    monkeypatch.setattr(fetching, "SHARD", 200)
    found = run(tmp_path, server, 1, 2, 3, 4, 5)
    assert found["files"] == [f"gutenberg-0000{n}.jsonl" for n in range(3)]
    assert texts(tmp_path) == books(1, 2, 3, 4, 5) and found["rows"] == 5
    assert found["bytes"] == sum(file.stat().st_size for file in tmp_path.glob("*.jsonl"))
    run(tmp_path, server, 6, 1)
    assert texts(tmp_path) == books(1, 2, 3, 4, 5, 6)
    assert not [name for name in os.listdir(tmp_path) if name.endswith(".new")]


def test_what_changed_on_the_disk_is_noticed(tmp_path, server):
    run(tmp_path, server, 1, 2)
    shard, whole = tmp_path / "gutenberg-00000.jsonl", content(tmp_path)
    shard.write_bytes(whole[shard.name].replace(b"Book 2", b"Book 3"))
    assert f"{shard}: changed since it was fetched" in refusal(lambda: run(tmp_path, server, 1))
    shard.unlink()
    assert f"{shard}: missing" in refusal(lambda: run(tmp_path, server, 1))
    (tmp_path / "manifest.json").unlink()
    shard.write_bytes(b"{}")
    assert "rows without a manifest" in refusal(lambda: run(tmp_path, server, 1))
    assert content(tmp_path) == {shard.name: b"{}"}


def test_manifests_of_others_and_damaged_ones_are_refused(tmp_path, server):
    run(tmp_path, server, 1)
    path = tmp_path / "manifest.json"
    whole = json.loads(path.read_text())
    said = refusal(lambda: fetch("news", tmp_path, feeds=[server.url + "/x"]))
    assert "this folder holds gutenberg, expected news" in said
    shard = whole["shards"][0]
    bad = [[], 5, {}, whole | {"version": 2}, whole | {"shards": [5]}, whole | {"resources": {"x": 5}}]
    bad += [
        whole | {"shards": [shard | {"file": name}]}
        for name in ("../x", "/etc/passwd", "news-00000.jsonl", 7)
    ]
    for manifest in bad:
        path.write_text(json.dumps(manifest))
        assert "damaged manifest" in refusal(lambda: run(tmp_path, server, 1)), manifest
    path.write_text("{")
    assert "damaged JSON" in refusal(lambda: run(tmp_path, server, 1))


def test_a_failure_leaves_the_folder_as_it_was(tmp_path, server, web, monkeypatch):
    run(tmp_path, server, 1)
    before = content(tmp_path)
    server.routes["/cache/epub/2/pg2.txt"] = web.file(b"\xff\xfe\x00")  # half a UTF-16 letter
    assert "not UTF-16" in refusal(lambda: run(tmp_path, server, 3, 2))
    assert content(tmp_path) == before
    monkeypatch.setattr(fetching, "write_json", lambda *_: (_ for _ in ()).throw(OSError(28, "disk full")))
    with pytest.raises(OSError, match="disk full"):
        run(tmp_path, server, 3)
    monkeypatch.undo()
    assert content(tmp_path).keys() - before.keys() == {".gutenberg-00001.jsonl.new"}
    assert run(tmp_path, server, 4)["added"] == 1 and texts(tmp_path) == books(1, 4)


def test_a_kill_between_the_manifest_and_the_names_is_mended(tmp_path, server):
    run(tmp_path, server, 1)
    run(tmp_path, server, 2)
    whole = content(tmp_path)
    os.replace(tmp_path / "gutenberg-00001.jsonl", tmp_path / ".gutenberg-00001.jsonl.new")
    (tmp_path / ".gutenberg-00002.jsonl.new").write_bytes(b"half a r")  # and one that was never finished
    assert run(tmp_path, server, 1, 2)["added"] == 0
    assert content(tmp_path) == whole


CHILD = """
import sys
from chronos.data.sources.fetching import fetch
from chronos.data.sources.network import Network
quick = lambda **told: Network(timeout=30.0, sleep=lambda _: None, **told)
fetch("gutenberg", sys.argv[1], make_network=quick, ids=[1, 2, 3], base_url=sys.argv[2])
"""


def test_kill_9_in_the_middle_and_a_second_process_at_the_same_time(tmp_path, server, web):
    fast = server.routes["/cache/epub/2/pg2.txt"]
    server.routes["/cache/epub/2/pg2.txt"] = [web.raw(b"", pause=30), fast]
    child = subprocess.Popen([sys.executable, "-c", CHILD, str(tmp_path), server.url])
    try:
        deadline = time.monotonic() + 30
        while "/cache/epub/2/pg2.txt" not in server.paths() and time.monotonic() < deadline:
            time.sleep(0.02)
        assert "another process" in refusal(lambda: run(tmp_path, server, 1))
    finally:
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
    assert sorted(os.listdir(tmp_path)) == [".raw"]
    server.requests.clear()
    assert run(tmp_path, server, 1, 2, 3)["added"] == 3 and texts(tmp_path) == books(1, 2, 3)
    assert server.paths() == ["/cache/epub/2/pg2.txt", "/cache/epub/3/pg3.txt"]  # the first was there


def test_wrong_names_and_options_are_told(tmp_path, server):
    assert "no such source, got 'gutenburg'; did you mean 'gutenberg'?" in refusal(
        lambda: fetch("gutenburg", tmp_path)
    )
    assert "no option 'isd'; did you mean 'ids'?" in refusal(lambda: fetch("gutenberg", tmp_path, isd=[1]))
    assert "at least 1" in refusal(lambda: run(tmp_path, server, 1, limit=0))
    (tmp_path / "file").write_text("x")
    assert "cannot write" in refusal(lambda: run(tmp_path / "file", server, 1))
    assert server.requests == []


def test_there_is_a_table_of_all_sources():
    columns, rows = table_of_sources()
    assert [row[0] for row in rows] == [*GENERATED, *FETCHERS] and {len(row) for row in rows} == {
        len(columns)
    }
    assert list(GENERATED) == ["stories", "python-docs"]
    told = [document.text for document in GENERATED["stories"].documents(count=2, seed=1)]
    assert len(told) == 2 and told == [d.text for d in GENERATED["stories"].documents(count=2, seed=1)]


def test_nothing_reaches_for_the_network_unasked():
    code = "import sys, chronos.data.corpus.prepare; print('urllib.request' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert told.strip() == "False"
