"""What a run's directory says, read without changing anything: the run may still be going on.

Damaged lines and missing files become warnings that the report shows; only what is no run at all is refused.
"""

import json
import math
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from chronos.console import ChronosError, warn
from chronos.files import explain_os_errors, read_json
from chronos.memory.model import Model
from chronos.memory.modeldir import fill
from chronos.tokenization.shards import INDEX, TokenShards
from chronos.training import checkpoint
from chronos.training.config import RunConfig, load_run_config

NUMBERS = {  # kind of row → the fields that it needs, as finite numbers
    "train": ("step", "loss", "lr", "grad_norm", "tokens", "seconds"),
    "eval": ("step", "val_nats", "bits_per_byte"),
    "sample": ("step",),
}
SHOWN = 5  # damaged lines that are named one by one


@dataclass
class Run:
    """A run as its files tell it; `rows` holds the metrics by kind, `problems` what could not be read."""

    path: Path
    config: RunConfig
    environment: dict[str, Any] = field(default_factory=dict)
    result: dict[str, Any] | None = None
    rows: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    @property
    def step(self) -> int:
        """Steps that are in the metrics."""
        return self.rows["train"][-1]["step"] if self.rows.get("train") else 0

    @property
    def finished(self) -> bool:
        """Whether it came to its last step and left a model."""
        return self.result is not None and self.step >= self.config.train.steps

    def problem(self, text: str) -> None:
        """Note, and say, what could not be read."""
        self.problems.append(text)
        warn(text)


def read_run(path: Path) -> Run:
    """Read a run's directory. Raises ChronosError if it is none, trained no language model, or is damaged."""
    path = Path(path)
    if not (path / "config.yaml").is_file():
        mend = "give the --out-dir of a `chronos train`"
        raise ChronosError("this is not a run", where=path, expected="config.yaml in it", mend=mend)
    run = Run(path, load_run_config(path / "config.yaml"))
    if run.config.recall:
        mend = "`chronos eval --suite cairo` asks its model; the run's own evaluations are in metrics.jsonl"
        what = "this run trained a recall model, which has no loss on a text"
        raise ChronosError(what, where=path, mend=mend)
    run.environment = _optional(run, "environment.json") or {}
    run.result = _optional(run, "result.json", expected=False)
    _read_metrics(run)
    return run


def _optional(run: Run, name: str, expected: bool = True) -> dict[str, Any] | None:
    if not (run.path / name).is_file():
        if expected:
            run.problem(f"{run.path / name}: missing")
        return None
    try:
        found = read_json(run.path / name)
    except ChronosError as error:
        run.problem(str(error))
        return None
    if isinstance(found, dict):
        return found
    run.problem(f"{run.path / name}: not a mapping")
    return None


def _read_metrics(run: Run) -> None:
    path = run.path / "metrics.jsonl"
    run.rows = {kind: [] for kind in NUMBERS}
    if not path.is_file():
        run.problem(f"{path}: missing, so there is no curve to draw")
        return
    damaged = 0
    with explain_os_errors(path), open(path, "rb") as lines:
        for number, line in enumerate(lines, 1):
            if not line.endswith(b"\n"):  # being written just now, or cut off by a crash
                break
            if reason := _add_row(run, line):
                damaged += 1
                if damaged <= SHOWN:
                    run.problem(f"{path}:{number}: left out, {reason}")
    if damaged > SHOWN:
        run.problem(f"{path}: {damaged - SHOWN} more damaged lines left out")


def _add_row(run: Run, line: bytes) -> str | None:
    """Put a metrics line where it belongs, or say why it cannot be used."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return "it is not JSON"
    if not isinstance(row, dict) or not isinstance(row.get("kind"), str):
        return "it is not a metrics row"
    kind = row["kind"]
    if kind not in NUMBERS:
        return None
    for name in NUMBERS[kind]:
        value = row.get(name)
        if type(value) not in (int, float) or not math.isfinite(value):
            return f"{name} is {value!r}"
    if kind == "sample" and not isinstance(row.get("text"), str):
        return "it has no text"
    if run.rows[kind] and row["step"] <= run.rows[kind][-1]["step"]:
        return f"step {row['step']} comes after step {run.rows[kind][-1]['step']}"
    run.rows[kind].append(row)
    return None


def shards_of(run: Run) -> dict[str, TokenShards]:
    """The run's token shards by part ("train", "val"); empty, with a note, where they are gone."""
    told = run.environment.get("tokens")
    place = run.path / (told if isinstance(told, str) else "tokens")  # an absolute path stays what it is
    if not (place / "val" / INDEX).is_file():
        run.problem(f"{place}: no token shards are there any more")
        return {}
    try:
        return {part: TokenShards(place / part) for part in ("train", "val")}
    except ChronosError as error:
        run.problem(str(error))
        return {}


def newest_model(run: Run) -> tuple[Model, int] | None:
    """The model of the newest whole checkpoint, and its step; damaged ones are passed over, by name.

    Unlike `checkpoint.newest` it removes no leftovers, which may be a checkpoint that is being written.
    """
    for path in sorted((run.path / checkpoint.FOLDER).glob("step-*"), reverse=True):
        try:
            saved = checkpoint.load(path)
            model = Model(run.config.model)
            fill(model, saved.weights, path)
            return model, int(saved.counters["step"])
        except ChronosError as error:
            run.problem(f"checkpoint {path.name} is passed over: {error}")
    return None


def curve(rows: list[dict[str, Any]], points: int) -> list[dict[str, float]]:
    """At most `points` means over neighbouring steps, each at the last of its steps.

    tokens_per_s is tokens over seconds between the first and the last of them, pauses for evaluation and
    checkpoints included; a resumed run starts its clock anew.
    """
    if not rows:
        return []
    tokens = np.diff([0, *(row["tokens"] for row in rows)])
    seconds = step_seconds(rows)
    edges = np.unique(np.linspace(0, len(rows), min(points, len(rows)) + 1).astype(int))
    found = []
    for start, stop in pairwise(edges):
        part = rows[start:stop]
        means = {name: float(np.mean([row[name] for row in part])) for name in ("loss", "lr", "grad_norm")}
        took = float(seconds[start:stop].sum())
        speed = float(tokens[start:stop].sum()) / took if took > 0 else 0.0
        found.append({"step": part[-1]["step"], "tokens": part[-1]["tokens"], **means, "tokens_per_s": speed})
    return found


def step_seconds(rows: list[dict[str, Any]]) -> np.ndarray:
    """Seconds that each step took; where the clock fell back, a resumed run began."""
    clock = np.array([row["seconds"] for row in rows], np.float64)
    before = np.concatenate([[0.0], clock[:-1]])
    return np.where(clock >= before, clock - before, clock)
