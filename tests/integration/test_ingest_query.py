"""`chronos ingest`, `query` and `memory` as processes: killed, gone on with, copied, forgotten.

Each test runs with a stand-in for the model, and with a small recall model that was never trained: what it
answers is worthless, but writing, reading again and forgetting have to be right all the same.
"""

import hashlib
import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from chronos.data.cairo.life import Life
from chronos.data.cairo.writing import write_cairo
from chronos.data.lives import read_events
from chronos.memory.episodes.store import EventStore
from chronos.memory.recall.config import RecallConfig
from chronos.memory.recall.modelfiles import save_recaller
from chronos.memory.recall.net import RecallNet
from chronos.tokenization.words import WordTokenizer

EVENTS = 500
STAND_IN = """
import importlib.util, sys, time, pytest
spec = importlib.util.spec_from_file_location("stand_in", {tool!r})
module = importlib.util.module_from_spec(spec)
sys.modules["stand_in"] = module
spec.loader.exec_module(module)
module.put_in_place(pytest.MonkeyPatch())
module.StandIn.batch, module.StandIn.pause = 10, 0.01
from chronos.cli import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture(params=["stand-in", "recall"])
def start(request, root, tmp_path):
    """How a command begins that runs with one of the models, and that model's folder."""
    if request.param == "stand-in":
        (tmp_path / "model").mkdir()
        (tmp_path / "model" / "weights").write_bytes(b"stand-in")
        code = STAND_IN.format(tool=str(root / "tests" / "tools" / "stand_in.py"))
        return [sys.executable, "-c", code], tmp_path / "model"
    tokenizer = WordTokenizer.train(event.text for event in Life(200, 9).events())
    config = RecallConfig(vocabulary=tokenizer.vocab_size, width=32, key=16)
    save_recaller(tmp_path / "model", RecallNet(config, 1), tokenizer)
    return [sys.executable, "-m", "chronos"], tmp_path / "model"


@pytest.fixture
def run(start, tmp_path):
    """`run("query", "--question", …)` → the JSON object; with `code=` the line of the error."""
    words, model = start

    def running(*arguments: object, code: int = 0):
        models = [] if arguments[0] == "memory" else ["--model-path", str(model)]
        command = [*words, *map(str, arguments), *models, "--state", "state", "--json"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
        assert done.returncode == code, done.stderr
        return json.loads(done.stdout.splitlines()[-1]) if code == 0 else done.stderr

    return running


@pytest.fixture
def life(tmp_path) -> list[str]:
    """The texts of a life in tmp_path/life."""
    write_cairo(tmp_path / "life", EVENTS, 4, questions=40)
    return [event.text for event in read_events(tmp_path / "life")]


def hashes(folder: Path) -> dict[str, str]:
    files = (file for file in sorted(folder.rglob("*")) if file.is_file())
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def stored(folder: Path) -> list[str]:
    with EventStore.open(folder) as store:
        return [store.event(i).text for i in range(len(store))]


def test_killed_at_any_instant_it_goes_on(start, run, life, tmp_path):
    words, model = start
    command = [*words, "ingest", "--input", "life/life.jsonl", "--model-path", str(model), "--state", "state"]
    begun = time.monotonic()
    subprocess.run([*command[:-1], "whole"], cwd=tmp_path, check=True, capture_output=True, timeout=120)
    whole = time.monotonic() - begun
    reported = 0
    for share in (0.5, 0.7, 0.9):
        child = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(share * whole)
        child.send_signal(signal.SIGKILL)
        child.wait()
        if (tmp_path / "state" / "journal.log").exists():
            now = len(stored(tmp_path / "state"))
            assert now >= reported
            reported = now
    run("ingest", "--input", "life/life.jsonl")
    assert stored(tmp_path / "state") == stored(tmp_path / "whole")
    assert run("ingest", "--input", "life/life.jsonl")["events"] == 0
    assert stored(tmp_path / "state") == stored(tmp_path / "whole")


def test_the_state_carries_the_memory_and_the_weights_do_not_change(start, run, life, tmp_path):
    before = hashes(start[1])
    found = run("ingest", "--input", "life/life.jsonl")
    assert found["events"] == EVENTS and 0 < found["written"] <= EVENTS
    answers = run("query", "--questions", "life/questions.jsonl")
    assert answers["n"] == 40
    (tmp_path / "state").rename(tmp_path / "away")
    assert "there is no memory here" in run("query", "--questions", "life/questions.jsonl", code=1)
    shutil.copytree(tmp_path / "away", tmp_path / "state")
    assert run("query", "--questions", "life/questions.jsonl") == answers
    assert hashes(start[1]) == before


def test_what_is_forgotten_is_gone(run, life, tmp_path):
    run("ingest", "--input", "life/life.jsonl")
    event = run("memory", "list", "--limit", 1)["events"][0]
    rest = event["text"].encode()
    assert any(rest in file.read_bytes() for file in (tmp_path / "state").iterdir())
    same = [one["id"] for one in run("memory", "search", *event["text"].split(), "--limit", 9999)["events"]]
    assert run("memory", "forget", *same)["forgotten"] == len(same)
    assert run("memory", "compact")["removed"] == len(same)
    assert not any(rest in file.read_bytes() for file in (tmp_path / "state").rglob("*") if file.is_file())
    cited = run("query", "--question", event["text"])["memories"]
    assert event["text"] not in [one["text"] for one in cited]


def test_a_second_writer_is_refused(run, life, tmp_path):
    run("ingest", "--input", "life/life.jsonl")
    (tmp_path / "more.txt").write_text("2060-01-01: I moved to Aswan.\n")
    with EventStore.open(tmp_path / "state", write=True):
        assert "another process is writing to this memory" in run("ingest", "--input", "more.txt", code=1)
        assert run("query", "--question", "Where am I?")["answer"]
    assert run("ingest", "--input", "more.txt")["events"] == 1
