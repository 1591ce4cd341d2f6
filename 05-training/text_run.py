"""A run on a text: its tokens and its model, for a new run and for one that goes on.

What every kind of run has in common is `run.py`'s, which calls `begin` and `proceed`.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from chronos.console import ChronosError
from chronos.data.corpus.prepare import prepare
from chronos.memory.model import Model
from chronos.memory.modeldir import load_model
from chronos.settings import threads
from chronos.tokenization.factory import load_tokenizer
from chronos.tokenization.prepare import prepare_tokens
from chronos.tokenization.shards import TokenShards
from chronos.training.checkpoint import Checkpoint
from chronos.training.config import RunConfig
from chronos.training.lanes import Lanes
from chronos.training.loop import Hook
from chronos.training.source import Source
from chronos.training.text_trainer import TextTrainer


def lanes(config: RunConfig) -> int:
    """How many lanes can share the rows of a batch."""
    return min(threads(), config.train.batch_size)


def begin(
    config: RunConfig, source: Source, run: Path, hooks: Sequence[Hook]
) -> tuple[TextTrainer, dict[str, Any]]:
    """The trainer of a new run, its configuration completed, and what to note in environment.json."""
    tokens = source.shards or _make_tokens(config, source, run / "tokens")
    if source.shards and not (tokens / "tokenizer.json").is_file():
        mend = "run `chronos tokenizer prepare`"
        raise ChronosError("no tokenizer.json among the shards", where=tokens, mend=mend)
    tokenizer = load_tokenizer(tokens / "tokenizer.json")
    config = _resolved(config, tokenizer.vocab_size, len(TokenShards(tokens / "train")))
    model = _initial_model(config, source.model_path, tokenizer.hash)
    inside = run.resolve() in tokens.resolve().parents  # then the run can be moved as a whole
    place = tokens.resolve().relative_to(run.resolve()) if inside else tokens.resolve()
    return _trainer(config, model, tokens, run, hooks, Lanes(lanes(config))), {"tokens": str(place)}


def proceed(
    config: RunConfig, made: dict[str, Any], run: Path, hooks: Sequence[Hook], lanes: Lanes,
    saved: Checkpoint | None,
) -> TextTrainer:  # fmt: skip
    """The trainer of a run that `made` (environment.json) describes; `saved` is what will be restored."""
    tokens = run / made["tokens"]
    return _trainer(config, _model_to_resume(config, made, tokens, saved), tokens, run, hooks, lanes)


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
) -> TextTrainer:
    tokenizer = load_tokenizer(tokens / "tokenizer.json")
    train, val = (TokenShards(tokens / part, tokenizer_hash=tokenizer.hash) for part in ("train", "val"))
    return TextTrainer(config, model, tokenizer, train, val, run, lanes, hooks)
