"""Checkpoints: whole or passed over by name; nothing is lost by a failing write."""

import json

import numpy as np
import pytest
import safetensors

from chronos.console import ChronosError
from chronos.memory import modeldir
from chronos.training import checkpoint
from chronos.training.checkpoint import Checkpoint


def make(step: int) -> Checkpoint:
    weights = {"a": np.full((3, 4), step, np.float32), "b": np.arange(5, dtype=np.float32)}
    moments = {"m.a": np.full((3, 4), -step, np.float32)}
    return Checkpoint(weights, moments, {"step": step, "tokens": 10 * step, "metrics_bytes": 0})


@pytest.fixture
def run(tmp_path):
    for step in (10, 20, 30):
        checkpoint.save(tmp_path, make(step), keep=2)
    return tmp_path


def test_the_newest_is_found_and_old_ones_go(run):
    assert [p.name for p in checkpoint.listed(run)] == ["step-00000030", "step-00000020"]
    found = checkpoint.newest(run)
    assert found.counters == {"step": 30, "tokens": 300, "metrics_bytes": 0}
    assert np.array_equal(found.weights["a"], make(30).weights["a"])
    assert np.array_equal(found.moments["m.a"], make(30).moments["m.a"])


def flip(path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("name", ["model.safetensors", "optim.safetensors", "state.json", "manifest.json"])
@pytest.mark.parametrize("damage", ["flip", "truncate", "empty", "remove"])
def test_a_damaged_newest_falls_back_by_name(run, capsys, name, damage):
    path = run / "checkpoints" / "step-00000030" / name
    if damage == "flip":
        flip(path, path.stat().st_size // 2)
    elif damage == "truncate":
        path.write_bytes(path.read_bytes()[:-3])
    elif damage == "empty":
        path.write_bytes(b"")
    else:
        path.unlink()
    assert checkpoint.newest(run).counters["step"] == 20
    told = capsys.readouterr().err
    assert told.startswith("warning: checkpoint step-00000030 is passed over:")
    assert told.count("\n") == 1


def test_all_damaged_is_one_line(run):
    for path in checkpoint.listed(run):
        flip(path / "model.safetensors", 60)
    with pytest.raises(ChronosError, match="no whole checkpoint is left; start anew"):
        checkpoint.newest(run)


def test_none_yet(tmp_path):
    assert checkpoint.newest(tmp_path) is None


def test_leftovers_of_a_killed_write_are_removed_and_never_read(run):
    leftover = run / "checkpoints" / ".step-00000040.123-abcdef01.tmp"
    leftover.mkdir()
    (leftover / "model.safetensors").write_bytes(b"half")
    assert checkpoint.newest(run).counters["step"] == 30
    assert leftover.exists()  # another process may be writing it: a reader removes nothing
    checkpoint.sweep(run)
    assert not leftover.exists()


def test_a_failing_write_leaves_the_earlier_checkpoints(run, monkeypatch):
    def full(*_args, **_kwargs):
        raise safetensors.SafetensorError("I/O error: No space left on device (os error 28)")  # its own words

    monkeypatch.setattr(modeldir, "save_file", full)
    with pytest.raises(ChronosError, match="No space left on device; free some space"):
        checkpoint.save(run, make(40), keep=2)
    assert [p.name for p in (run / "checkpoints").iterdir() if p.name.startswith(".")] == []
    assert checkpoint.newest(run).counters["step"] == 30


def test_another_version_is_not_read(run):
    folder = run / "checkpoints" / "step-00000030"
    state = json.loads((folder / "state.json").read_text()) | {"version": 99}
    (folder / "state.json").write_text(json.dumps(state))
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["state.json"] = checkpoint.sha256_file(folder / "state.json")
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ChronosError, match="unknown checkpoint version"):
        checkpoint.load(folder)


def test_metrics_are_cut_back(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1}\n{"step": 2}\n')
    checkpoint.truncate_metrics(path, 12)
    assert checkpoint.rows(path) == [{"step": 1}]
    with pytest.raises(ChronosError, match="shorter than the checkpoint says"):
        checkpoint.truncate_metrics(path, 100)
