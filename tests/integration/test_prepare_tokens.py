"""Tokens of a corpus: killed at any instant, the same command ends with the same bytes."""

import json
import signal
import subprocess
import sys

import pytest

from chronos.console import ChronosError
from chronos.tokenization.prepare import prepare_tokens
from chronos.tokenization.shards import TokenShards

# Runs prepare_tokens with small batches and saves, and dies by kill -9 at the n-th call of a function.
DRIVER = """
import os, signal, sys
from pathlib import Path
from chronos.tokenization import prepare, shard_writer
prepare.BATCH_BYTES, prepare.SAVE_BYTES, shard_writer.FILE_TOKENS = 400, 900, 300
data, out, where, fatal = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
calls = 0
def deadly(f):
    def g(*a, **k):
        global calls
        calls += 1
        if calls == fatal:
            os.kill(os.getpid(), signal.SIGKILL)
        return f(*a, **k)
    return g
if fatal:
    owner, name = {"add": (shard_writer.ShardWriter, "add"), "write": (shard_writer, "write_json"),
                   "rename": (os, "replace"), "sync": (os, "fsync")}[where]
    setattr(owner, name, deadly(getattr(owner, name)))
prepare.prepare_tokens(data, out, kind="bpe", vocab=400)
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    for part, n in (("train", 60), ("val", 9)):
        rows = [{"text": f"Row {i} tells of lamp {i * 7 % 13}. naïve 🐈\n" * (i % 4 + 1)} for i in range(n)]
        rows[3]["untrained"] = [[0, 4]]
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (folder / f"{part}.jsonl").write_bytes(text.encode())
    return folder


def run(data, out, where="add", fatal=0):
    command = [sys.executable, "-c", DRIVER, str(data), str(out), where, str(fatal)]
    return subprocess.run(command, capture_output=True, text=True).returncode


def content(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory):
    out = tmp_path_factory.mktemp("whole") / "tokens"
    assert run(data, out) == 0
    assert len(TokenShards(out / "train").files) > 3
    return content(out)


@pytest.mark.parametrize(
    "where, fatal", [("add", 4), ("add", 11), ("write", 1), ("write", 3), ("sync", 5), ("rename", 6)]
)
def test_killed_and_run_again_it_is_as_if_never_killed(tmp_path, data, whole, where, fatal):
    out = tmp_path / "tokens"
    assert run(data, out, where, fatal) == -signal.SIGKILL
    assert not out.exists()
    assert run(data, out) == 0
    assert content(out) == whole
    assert sorted(p.name for p in tmp_path.iterdir()) == ["tokens"]


def test_what_was_done_is_not_done_again(tmp_path, data, whole):
    """The second run begins at the last save: killed late, it has few batches left to add."""
    out = tmp_path / "tokens"
    assert run(data, out, "add", 12) == -signal.SIGKILL
    saved = json.loads((tmp_path / ".tokens.partial" / "result" / "train" / "progress.json").read_text())
    assert saved["at"] > 3000 and saved["counts"]["documents"] > 20
    assert run(data, out, "add", 8) == 0  # fewer than 8 calls of add


def test_other_data_starts_afresh(tmp_path, data, whole):
    out = tmp_path / "tokens"
    assert run(data, out, "add", 12) == -signal.SIGKILL
    other = tmp_path / "other"
    other.mkdir()
    for part in ("train", "val"):
        (other / f"{part}.jsonl").write_text('{"text": "something else"}\n')
    prepare_tokens(other, out, kind="bytes", vocab=0)
    assert TokenShards(out / "train").bytes == len("something else")


@pytest.mark.parametrize(
    "row", ['{"txt": "a"}', "[]", '{"text": "ab", "untrained": [[1, 9]]}', '{"text": "ab", "untrained": [3]}']
)
def test_rows_that_were_not_prepared_are_refused_by_line(tmp_path, row):
    (tmp_path / "train.jsonl").write_text('{"text": "fine"}\n' + row + "\n")
    (tmp_path / "val.jsonl").write_text('{"text": "fine"}\n')
    with pytest.raises(ChronosError, match=r"train\.jsonl:2: this is no prepared row"):
        prepare_tokens(tmp_path, tmp_path / "tokens", kind="bytes", vocab=0)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["train.jsonl", "val.jsonl"]
