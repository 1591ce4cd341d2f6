"""A run from its configuration: the directory, the data, the model, the trainer, and what comes out.

    result = start(config, Source(train=Path("book.txt")), Path("run"))     # a new run
    result = resume(Path("run"), {})                                         # on with it

A run holds config.yaml, environment.json, text/, tokens/, metrics.jsonl, checkpoints/, model/, result.json.
"""

import dataclasses
import os
import platform
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from chronos import __version__, native
from chronos.console import ChronosError, say, warn
from chronos.data.corpus.prepare import prepare
from chronos.files import read_json, write_atomic, write_json
from chronos.memory.model import Model
from chronos.memory.modeldir import load_model, save_model
from chronos.settings import artifacts, build, dump, threads
from chronos.tokenization.factory import load_tokenizer
from chronos.tokenization.prepare import prepare_tokens
from chronos.tokenization.shards import TokenShards
from chronos.training import checkpoint
from chronos.training.config import RunConfig, config_text, load_run_config, set_dotted
from chronos.training.lanes import Lanes
from chronos.training.loop import Hook, Trainer

FREE = {
    "train.steps",
    "train.eval_every",
    "train.eval_tokens",
    "train.checkpoint_every",
    "train.keep_checkpoints",
}
FREE |= {"train.sample_tokens"}
SCHEDULE = {
    "train.lr",
    "train.min_lr",
    "train.muon_lr",
    "train.schedule",
    "train.warmup",
    "train.decay_share",
}


@dataclass(frozen=True)
class Source:
    """Where a new run takes its tokens: a text to prepare, or prepared shards; and weights to start from."""

    train: str | None = None
    shards: Path | None = None
    model_path: Path | None = None


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
        tokens = source.shards or _make_tokens(config, source, run / "tokens")
        if source.shards and not (tokens / "tokenizer.json").is_file():
            mend = "run `chronos tokenizer prepare`"
            raise ChronosError("no tokenizer.json among the shards", where=tokens, mend=mend)
        tokenizer = load_tokenizer(tokens / "tokenizer.json")
        config = _resolved(config, tokenizer.vocab_size, len(TokenShards(tokens / "train")))
        model = _initial_model(config, source.model_path, tokenizer.hash)
        trainer = _trainer(config, model, tokens, run, hooks, Lanes(_lanes(config)))
    except Exception as error:
        if not existed and not getattr(error, "keeps_work", False):  # the next start goes on with that
            shutil.rmtree(run, ignore_errors=True)
        raise
    run.mkdir(parents=True, exist_ok=True)
    trainer.metrics_path.unlink(missing_ok=True)  # of a start that did not get as far as config.yaml
    about = environment(trainer.lanes.count)
    inside = run.resolve() in tokens.resolve().parents  # then the run can be moved as a whole
    about["tokens"] = str(tokens.resolve().relative_to(run.resolve()) if inside else tokens.resolve())
    about["start_from"] = str(source.model_path.resolve()) if source.model_path else None
    write_json(run / "environment.json", about)
    write_atomic(run / "config.yaml", config_text(config))
    return _go(trainer)


def resume(
    run: Path, changes: Mapping[str, Any], hooks: Sequence[Hook] = (), *, reschedule: bool = False
) -> dict[str, Any]:
    """Go on from the newest whole checkpoint (from the start if there is none yet)."""
    before = load_run_config(run / "config.yaml")
    config = _changed(before, changes, reschedule)
    made = read_json(run / "environment.json")
    tokens = run / made["tokens"]
    lanes = Lanes(_lanes(config))
    if made["lanes"] != lanes.count:
        warn(
            f"the run began with {made['lanes']} lanes and goes on with {lanes.count}: last bits will differ"
        )
    checkpoint.sweep(run)
    saved = checkpoint.newest(run)
    trainer = _trainer(config, _model_to_resume(config, made, tokens, saved), tokens, run, hooks, lanes)
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


def _lanes(config: RunConfig) -> int:
    return min(threads(), config.train.batch_size)


def _make_tokens(config: RunConfig, source: Source, out: Path) -> Path:
    text, t = out.with_name("text"), config.tokenizer
    c = config.data
    seed = config.train.seed
    told = {"seed": seed, "val_fraction": c.val_fraction, "on_damage": c.on_damage, "options": c.options}
    prepare(source.train or c.source, text, num_workers=0, **told)
    given = Path(t.path) if t.path else None
    prepare_tokens(text, out, kind=t.kind, vocab=t.vocab, pattern=t.pattern, tokenizer_path=given)
    return out


def _resolved(config: RunConfig, vocabulary: int, tokens: int) -> RunConfig:
    """Fill in what only the data knows: the vocabulary, and the steps of so many epochs."""
    if not config.model.causal:
        raise ChronosError(
            "next-token training needs model.causal=true: a model that sees ahead learns to copy"
        )
    model = dataclasses.replace(config.model, vocabulary=vocabulary)
    train = config.train
    if not train.steps:
        per_epoch = max(1, tokens // model.context)
        steps = max(1, round(train.epochs * per_epoch / (train.batch_size * train.accumulation_steps)))
        train = dataclasses.replace(train, steps=steps)
    return dataclasses.replace(config, model=model, train=train)


def _initial_model(config: RunConfig, path: Path | None, tokenizer_hash: str) -> Model:
    """A fresh model, or the weights of a directory (with fresh moments)."""
    if path is None:
        return Model(config.model, config.train.seed)
    loaded = load_model(path)
    if loaded.qtype:
        raise ChronosError(
            "cannot train quantized weights", where=path, mend="give the float32 model directory"
        )
    if loaded.tokenizer.hash != tokenizer_hash:
        mend = f"prepare the text with --tokenizer-path {path / 'tokenizer.json'}"
        raise ChronosError("the model was trained with another tokenizer", where=path, mend=mend)
    model = loaded.model.at_stage(config.model.dsa.stage)  # an indexer is trained in stages
    if model.config != config.model:
        raise ChronosError(
            "the model's shape is not the configuration's", where=path, mend="set model.* alike"
        )
    return model


def _model_to_resume(config: RunConfig, made: dict[str, Any], tokens: Path, saved: Any) -> Model:
    """What the checkpoint will fill; without one, the model that the run began with."""
    if saved is None and made["start_from"]:
        return _initial_model(
            config, Path(made["start_from"]), load_tokenizer(tokens / "tokenizer.json").hash
        )
    return Model(config.model, config.train.seed)


def _trainer(
    config: RunConfig, model: Model, tokens: Path, run: Path, hooks: Sequence[Hook], lanes: Lanes
) -> Trainer:
    tokenizer = load_tokenizer(tokens / "tokenizer.json")
    train, val = (TokenShards(tokens / part, tokenizer_hash=tokenizer.hash) for part in ("train", "val"))
    return Trainer(config, model, tokenizer, train, val, run, lanes, hooks)


def _changed(config: RunConfig, changes: Mapping[str, Any], reschedule: bool) -> RunConfig:
    """The configuration with what may change in the middle of a run."""
    data = dump(config)
    for name, value in changes.items():
        old, new = _value(data, name), None
        trial: dict[str, Any] = dump(config)
        set_dotted(trial, name, value)
        new = _value(dump(build(RunConfig, trial)), name)
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
    return build(RunConfig, data)


def _value(data: Mapping[str, Any], dotted: str) -> Any:
    for key in dotted.split("."):
        data = data.get(key) if isinstance(data, Mapping) else None
    return data


def _go(trainer: Trainer) -> dict[str, Any]:
    """Train, save the model, write and return the result."""
    begun, step, tokens = time.perf_counter(), trainer.step, trainer.tokens
    say(
        f"training {sum(p.data.size for p in trainer.model.parameters().values()):,} parameters on "
        f"{len(trainer.train_set):,} tokens, steps {step} to {trainer.config.train.steps}, "
        f"{trainer.lanes.count} lane(s)"
    )
    with trainer.lanes:
        last = trainer.train()
    seconds = time.perf_counter() - begun
    path = model_path_of(trainer.run)
    save_model(path, trainer.model, trainer.tokenizer)
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
