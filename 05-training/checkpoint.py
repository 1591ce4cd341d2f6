"""Checkpoints: directories that are whole or not there, with a manifest of hashes; the newest whole one wins.

Model, optimizer moments and counters; data position and random numbers need no more than the counters.
"""

import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from chronos.console import ChronosError, warn
from chronos.files import atomic_directory, read_json, sha256_file, write_json
from chronos.memory.modeldir import read_safetensors, write_arrays

VERSION = 1
FOLDER = "checkpoints"
_NAME = re.compile(r"step-(\d{8})")
_LEFTOVER = re.compile(r"\.step-\d{8}\..*\.tmp")


@dataclass
class Checkpoint:
    """What was saved: name → weights, name → moments, and the counters (step, cursor, metrics_bytes …)."""

    weights: dict[str, np.ndarray]
    moments: dict[str, np.ndarray]
    counters: dict[str, Any]
    path: Path | None = None


def save(run: Path, checkpoint: Checkpoint, keep: int) -> Path:
    """Write `run/checkpoints/step-…` and drop all but the newest `keep`."""
    path = run / FOLDER / f"step-{checkpoint.counters['step']:08d}"
    with atomic_directory(path) as folder:
        write_arrays(folder / "model.safetensors", checkpoint.weights)
        write_arrays(folder / "optim.safetensors", checkpoint.moments)
        write_json(folder / "state.json", {"version": VERSION, **checkpoint.counters})
        names = sorted(p.name for p in folder.iterdir())
        write_json(folder / "manifest.json", {name: sha256_file(folder / name) for name in names})
    for old in listed(run)[keep:]:
        shutil.rmtree(old)
    return path


def listed(run: Path) -> list[Path]:
    """All checkpoints of a run, newest first."""
    folder = run / FOLDER
    if not folder.is_dir():
        return []
    found = [p for p in folder.iterdir() if p.is_dir() and _NAME.fullmatch(p.name)]
    return sorted(found, key=lambda p: p.name, reverse=True)


def sweep(run: Path) -> None:
    """Remove what an interrupted write left; only for the process that owns the run."""
    for path in (run / FOLDER).glob(".step-*.tmp"):
        if _LEFTOVER.fullmatch(path.name):
            shutil.rmtree(path, ignore_errors=True)


def load(path: Path) -> Checkpoint:
    """Read one checkpoint after checking every file against the manifest."""
    manifest = read_json(path / "manifest.json")
    expected = {"model.safetensors", "optim.safetensors", "state.json"}
    if not isinstance(manifest, dict) or set(manifest) != expected:
        raise ChronosError("damaged manifest", where=path)
    for name, digest in manifest.items():
        if sha256_file(path / name) != digest:
            raise ChronosError(f"{name} is damaged (its hash differs)", where=path)
    counters = read_json(path / "state.json")
    if counters.pop("version", None) != VERSION:
        raise ChronosError("unknown checkpoint version", where=path, expected=VERSION)
    weights = read_safetensors(path / "model.safetensors")
    return Checkpoint(weights, read_safetensors(path / "optim.safetensors"), counters, path)


def newest(run: Path) -> Checkpoint | None:
    """The newest whole checkpoint; damaged ones are passed over, by name. None where there is none at all."""
    paths = listed(run)
    for path in paths:
        try:
            return load(path)
        except ChronosError as error:
            warn(f"checkpoint {path.name} is passed over: {error}")
    if paths:
        raise ChronosError("no whole checkpoint is left", where=run, mend="start anew with another --out-dir")
    return None


def truncate_metrics(path: Path, size: int) -> None:
    """Cut `metrics.jsonl` back to what it held at the checkpoint: later rows will be written again."""
    have = path.stat().st_size if path.exists() else 0
    if have < size:
        raise ChronosError(
            "metrics are shorter than the checkpoint says", where=path, expected=size, got=have
        )
    if have > size:
        with open(path, "ab") as file:
            file.truncate(size)


def rows(path: Path) -> list[dict[str, Any]]:
    """All rows of a metrics file; a last line that was cut off by a crash is left out."""
    found = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            found.append(json.loads(line))
        except ValueError:
            warn(f"{path}:{number}: damaged line left out")
    return found
