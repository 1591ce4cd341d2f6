"""The content of a report as plain data: everything that report.json holds, and nothing is computed after it.

Each number comes from a file of the run or from a computation made here, on the run's own tokens.
"""

import math
import subprocess
from pathlib import Path
from typing import Any

from chronos import __version__
from chronos.architecture.cost import flops_per_token
from chronos.architecture.cost import table as cost_table
from chronos.console import ChronosError, Progress
from chronos.evaluation.baselines import baselines
from chronos.evaluation.by_position import by_position
from chronos.evaluation.held_out import Watched, measure
from chronos.evaluation.run_files import Run, curve, newest_model, shards_of, step_seconds
from chronos.memory.modeldir import load_model
from chronos.settings import dump, threads
from chronos.tokenization.shards import TokenShards
from chronos.training.lanes import Lanes

VERSION = 1
POINTS = 400  # of a curve: as many as a screen can show


def build_report(run: Run, quantized: list[Path]) -> dict[str, Any]:
    """Everything about a run as plain data; `quantized` model directories are measured beside its own."""
    shards = shards_of(run)
    found = newest_model(run)
    if found is None:
        run.problem("no whole checkpoint yet: what the model itself would have to tell is left out")
    report = {
        "version": VERSION,
        "run": _state(run),
        "validation": _validation(run),
        "baselines": _baselines(run, shards),
        "training": _training(run),
        "position": _position(run, found, shards),
        "quantized": _quantized(run, found, shards, quantized),
        "samples": [{"step": row["step"], "text": row["text"]} for row in run.rows.get("sample", [])],
        "cost": _cost(run),
        "data": {part: _data(shards[part]) for part in shards},
        "config": dump(run.config),
        "environment": run.environment,
        "code": {"chronos": __version__, **git_state()},
    }
    return {**report, "problems": run.problems}


def _state(run: Run) -> dict[str, Any]:
    train = run.config.train
    state = {"path": str(run.path), "finished": run.finished, "step": run.step, "steps": train.steps}
    return {**state, "seed": train.seed, "model_path": (run.result or {}).get("model_path")}


def _validation(run: Run) -> dict[str, Any]:
    """Every evaluation, the last and the best; perplexity e^nats counts equally likely tokens."""
    tokens = {row["step"]: row["tokens"] for row in run.rows.get("train", [])}
    points = [
        {
            "step": row["step"],
            "tokens": tokens.get(row["step"]),
            "nats_per_token": row["val_nats"],
            "bits_per_byte": row["bits_per_byte"],
            "perplexity": math.exp(row["val_nats"]) if row["val_nats"] < 700 else None,
        }
        for row in run.rows.get("eval", [])
    ]
    best = min(points, key=lambda point: point["nats_per_token"], default=None)
    limit = run.config.train.eval_tokens
    return {"final": points[-1] if points else None, "best": best, "points": points, "tokens_limit": limit}


def _baselines(run: Run, shards: dict[str, TokenShards]) -> dict[str, dict[str, float]]:
    if not shards:
        return {}
    limit = run.config.train.eval_tokens
    with Progress(None, "counting tokens"):
        return baselines(shards["train"], shards["val"], run.config.model.vocabulary, limit=limit)


def _training(run: Run) -> dict[str, Any]:
    rows = run.rows.get("train", [])
    seconds = float(step_seconds(rows).sum()) if rows else 0.0
    tokens = rows[-1]["tokens"] if rows else 0
    speed = tokens / seconds if seconds else None
    flops = flops_per_token(run.config.model, run.config.model.vocabulary)
    return {
        "tokens": tokens,
        "seconds": seconds,
        "tokens_per_s": speed,
        "gflop_per_s": speed * flops / 1e9 if speed else None,
        "peak_rss_bytes": (run.result or {}).get("peak_rss_bytes"),
        "final_loss": rows[-1]["loss"] if rows else None,
        "points": curve(rows, POINTS),
    }


def _position(run: Run, found: Any, shards: dict[str, TokenShards]) -> dict[str, Any] | None:
    """The loss by position, and the mean of the first and of the last quarter of the context."""
    if found is None or not shards:
        return None
    model, step = found
    val = shards["val"]
    with Lanes(threads()) as lanes, Progress(None, "loss by position", unit="tokens") as bar:
        measured = by_position(model, Watched(val, bar), lanes)
    nats = measured["nats"]
    quarter = max(1, len(nats) // 4)
    ends = {"first_quarter": sum(nats[:quarter]) / quarter, "last_quarter": sum(nats[-quarter:]) / quarter}
    return {"step": step, **ends, **measured}


def _quantized(
    run: Run, found: Any, shards: dict[str, TokenShards], paths: list[Path]
) -> list[dict[str, Any]]:
    """Each quantized directory's loss beside the newest checkpoint's, on the same tokens."""
    if not paths:
        return []
    if found is None or not shards:
        run.problem("quantized models cannot be compared without a checkpoint and the validation tokens")
        return []
    limit = run.config.train.eval_tokens
    whole = measure(found[0], shards["val"], limit=limit)["nats_per_token"]
    rows = []
    for path in paths:
        loaded = load_model(path)
        if loaded.tokenizer.hash != shards["val"].tokenizer_hash:
            mend = "give a quantized copy of this run's model"
            raise ChronosError(
                "the quantized model has another tokenizer than the run", where=path, mend=mend
            )
        nats = measure(loaded.model, shards["val"], limit=limit)["nats_per_token"]
        size = sum(file.stat().st_size for file in path.glob("model.*"))
        row = {"path": str(path), "qtype": loaded.qtype or "F32", "bytes": size, "nats_per_token": nats}
        rows.append({**row, "float32_nats_per_token": whole, "rise": nats - whole})
    return rows


def _cost(run: Run) -> dict[str, Any]:
    model = run.config.model
    rows = cost_table(model, model.vocabulary)
    flops = flops_per_token(model, model.vocabulary)
    return {"parts": rows, "parameters": rows[-1]["parameters"], "training_flops_per_token": flops}


def _data(shards: TokenShards) -> dict[str, Any]:
    """Sizes of one part, and the SHA-256 of its token files as shards.json tells them."""
    sizes = {"tokens": len(shards), "bytes": shards.bytes, "documents": shards.documents}
    return {**sizes, "tokenizer": shards.tokenizer_hash, "sha256": [file["sha256"] for file in shards.files]}


def git_state() -> dict[str, Any]:
    """{"commit", "changed"} of the checkout that this code runs from; both None outside of one."""
    root = Path(__file__).resolve().parents[1]
    top = _git(root, "rev-parse", "--show-toplevel")
    if top is None or Path(top).resolve() != root:  # installed inside somebody else's repository
        return {"commit": None, "changed": None}
    changed = _git(root, "status", "--porcelain")
    return {"commit": _git(root, "rev-parse", "HEAD"), "changed": None if changed is None else bool(changed)}


def _git(folder: Path, *words: str) -> str | None:
    try:
        done = subprocess.run(["git", "-C", str(folder), *words], capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
