"""A run from its configuration: the directory, what it is made of, the trainer, and what comes out.

    result = start(config, Source(train="book.txt"), Path("run"))            # a new run
    result = resume(Path("run"), {})                                         # on with it

A run holds config.yaml, environment.json, metrics.jsonl, checkpoints/, model/, result.json, and what it is
made from: text/ and tokens/, or tokenizer.json where it learns from lives.
"""

import os
import platform
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from chronos import __version__, native
from chronos.console import ChronosError, say, warn
from chronos.files import read_json, write_atomic, write_json
from chronos.settings import artifacts, threads
from chronos.training import checkpoint, text_run
from chronos.training.config import (
    RunConfig,
    as_mapping,
    config_text,
    from_mapping,
    load_run_config,
    set_dotted,
)  # fmt: skip
from chronos.training.lanes import Lanes
from chronos.training.loop import Hook, Trainer
from chronos.training.recall import run as recall_run
from chronos.training.source import Source

FREE = {
    "train.steps",
    "train.eval_every",
    "train.eval_tokens",
    "train.checkpoint_every",
    "train.keep_checkpoints",
}
FREE |= {"train.sample_tokens"}
FREE |= {"recall.eval_events", "recall.eval_lives", "recall.eval_questions"}
SCHEDULE = {
    "train.lr",
    "train.min_lr",
    "train.muon_lr",
    "train.schedule",
    "train.warmup",
    "train.decay_share",
}


def default_run() -> Path:
    """The run that `make` and a bare `chronos train` work on."""
    return artifacts() / "05-training"


def model_path_of(run: Path) -> Path:
    """Where a run leaves its model: beside it, or, for the default run, where every command looks first."""
    return artifacts() / "model" if run.resolve() == default_run().resolve() else run / "model"


def start(config: RunConfig, source: Source, run: Path, hooks: Sequence[Hook] = ()) -> dict[str, Any]:
    """Begin a new run in an empty or missing directory. Nothing is left behind if its input is refused."""
    if (run / "config.yaml").exists():
        mend = "add --resume to go on with it, or choose another --out-dir"
        raise ChronosError("a run is already here", where=run, mend=mend)
    existed = run.exists()
    try:
        trainer, noted = _kind(config).begin(config, source, run, hooks)
    except Exception as error:
        if not existed and not getattr(error, "keeps_work", False):  # the next start goes on with that
            shutil.rmtree(run, ignore_errors=True)
        raise
    run.mkdir(parents=True, exist_ok=True)
    trainer.metrics_path.unlink(missing_ok=True)  # of a start that did not get as far as config.yaml
    start_from = str(source.model_path.resolve()) if source.model_path else None
    about = {**environment(trainer.lanes.count), **noted, "start_from": start_from}
    write_json(run / "environment.json", about)
    write_atomic(run / "config.yaml", config_text(trainer.config))
    return _go(trainer)


def resume(
    run: Path, changes: Mapping[str, Any], hooks: Sequence[Hook] = (), *, reschedule: bool = False
) -> dict[str, Any]:
    """Go on from the newest whole checkpoint (from the start if there is none yet)."""
    before = load_run_config(run / "config.yaml")
    config = _changed(before, changes, reschedule)
    made = read_json(run / "environment.json")
    lanes = Lanes(_kind(config).lanes(config))
    if made["lanes"] != lanes.count:
        warn(
            f"the run began with {made['lanes']} lanes and goes on with {lanes.count}: last bits will differ"
        )
    checkpoint.sweep(run)
    saved = checkpoint.newest(run)
    trainer = _kind(config).proceed(config, made, run, hooks, lanes, saved)
    if saved is None:
        say("no checkpoint yet: starting from step 0")
        trainer.metrics_path.unlink(missing_ok=True)
    else:
        trainer.restore(saved)
        done = trainer.step >= config.train.steps
        if done and (run / "result.json").exists() and model_path_of(run).exists():
            say(f"already at step {trainer.step} of {config.train.steps}: nothing to do")
            return read_json(run / "result.json")
        say(f"resuming from {saved.path.name} ({trainer.step} of {config.train.steps} steps)")
    write_atomic(run / "config.yaml", config_text(config))
    return _go(trainer)


def _kind(config: RunConfig) -> ModuleType:
    """Who knows how such a run is made: `lanes`, `begin` and `proceed`."""
    return recall_run if config.recall else text_run


def environment(lanes: int) -> dict[str, Any]:
    """What the run depends on besides its configuration."""
    return {
        "chronos": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "platform": platform.platform(),
        "native": native.info(),
        "threads": threads(),
        "lanes": lanes,
        "blas_core": os.environ.get("OPENBLAS_CORETYPE", ""),
        "command": sys.argv,
    }


def _changed(config: RunConfig, changes: Mapping[str, Any], reschedule: bool) -> RunConfig:
    """The configuration with what may change in the middle of a run."""
    data = as_mapping(config)
    for name, value in changes.items():
        old = _value(data, name)
        trial = as_mapping(config)
        set_dotted(trial, name, value)
        new = _value(as_mapping(from_mapping(trial)), name)
        if new == old:
            continue
        if name in SCHEDULE and not reschedule:
            warn(f"{name} is ignored on resume; add --override-scheduling to change it")
            continue
        if name not in FREE | SCHEDULE:
            mend = "start a new run with another --out-dir"
            raise ChronosError(
                f"{name} cannot change in the middle of a run", expected=old, got=new, mend=mend
            )
        set_dotted(data, name, new)
    return from_mapping(data)


def _value(data: Mapping[str, Any], dotted: str) -> Any:
    for key in dotted.split("."):
        data = data.get(key) if isinstance(data, Mapping) else None
    return data


def _go(trainer: Trainer) -> dict[str, Any]:
    """Train, save the model, write and return the result."""
    begun, step, tokens = time.perf_counter(), trainer.step, trainer.tokens
    if trainer.config.train.amp and not native.has_bf16():
        warn("this CPU has no bf16 products, so they are float32: --amp changes nothing")
    say(
        f"training {sum(p.data.size for p in trainer.model.parameters().values()):,} parameters on "
        f"{trainer.material}, steps {step} to {trainer.config.train.steps}, "
        f"{trainer.lanes.count} lane(s)"
    )
    with trainer.lanes:
        last = trainer.train()
    seconds = time.perf_counter() - begun
    path = model_path_of(trainer.run)
    trainer.publish(path)
    result = {
        "steps": trainer.step,
        **last,
        "tokens_per_s": (trainer.tokens - tokens) / seconds,
        "seconds": seconds,
        "peak_rss_bytes": peak_rss(),
        "model_path": str(path),
        "checkpoint": str(checkpoint.listed(trainer.run)[0]),
    }
    write_json(trainer.run / "result.json", result)
    return result


def peak_rss() -> int:
    """Largest resident memory of this process so far, in bytes (0 where the system does not say)."""
    try:
        import resource
    except ImportError:  # Windows
        return 0
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used if sys.platform == "darwin" else used * 1024
