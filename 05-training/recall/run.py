"""A run on lives: its tokenizer of words, its network and its lives, for a new run and for one that goes on.

What every kind of run has in common is `05-training/run.py`'s, which calls `begin` and `proceed`.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from chronos import native
from chronos.console import ChronosError
from chronos.memory.recall.modelfiles import load_recaller
from chronos.memory.recall.net import RecallNet
from chronos.settings import threads
from chronos.tokenization.factory import load_tokenizer
from chronos.tokenization.words import WordTokenizer
from chronos.training.checkpoint import Checkpoint
from chronos.training.config import RunConfig
from chronos.training.lanes import Lanes
from chronos.training.loop import Hook
from chronos.training.recall.sources import CairoLives, FolderLives, LifeSource, folder_hashes
from chronos.training.recall.trainer import RecallTrainer
from chronos.training.source import Source

TOKENIZER = "tokenizer.json"


def lanes(config: RunConfig) -> int:
    """How many lanes have a life and a question each, also where lives are longest."""
    c = config.recall
    return min(threads(), c.questions, *(c.lives(events) for events in c.stages))


def begin(
    config: RunConfig, source: Source, run: Path, hooks: Sequence[Hook]
) -> tuple[RecallTrainer, dict[str, Any]]:
    """The trainer of a new run, its configuration completed, and what to note in environment.json."""
    if source.shards:
        mend = "give --train FOLDER, or nothing"
        raise ChronosError("preset chronos learns from lives", got="--shards", mend=mend)
    if not config.train.steps:
        raise ChronosError("lives have no end to count epochs by", mend="give --steps")
    folder = Path(source.train).resolve() if source.train else None
    if folder and not folder.is_dir():
        expected = "a folder of lives, such as `chronos data recall` makes"
        raise ChronosError("no lives here", where=folder, expected=expected)
    count = lanes(config)
    found = _lives(config, folder, count)
    net, tokenizer = _initial(config, source.model_path, found)
    config = dataclasses.replace(config, model=net.config)
    trainer = RecallTrainer(config, net, tokenizer, found, run, Lanes(count), hooks)
    run.mkdir(parents=True, exist_ok=True)
    tokenizer.save(run / TOKENIZER)
    return trainer, {"lives": {"folder": str(folder), **folder_hashes(folder)} if folder else None}


def proceed(
    config: RunConfig, made: dict[str, Any], run: Path, hooks: Sequence[Hook], lanes: Lanes,
    saved: Checkpoint | None,
) -> RecallTrainer:  # fmt: skip
    """The trainer of a run that `made` (environment.json) describes; `saved` is what will be restored."""
    told = made["lives"]
    folder = Path(told["folder"]) if told else None
    if folder and {"folder": str(folder), **folder_hashes(folder)} != told:
        what = "the lives are not those that the run began with"
        raise ChronosError(what, where=folder, mend="put them back, or start anew with another --out-dir")
    tokenizer = load_tokenizer(run / TOKENIZER)
    if saved is None and made["start_from"]:
        net = _given(config, Path(made["start_from"]))[0]
    else:
        net = RecallNet(config.model, config.train.seed)
    return RecallTrainer(config, net, tokenizer, _lives(config, folder, lanes.count), run, lanes, hooks)


def _lives(config: RunConfig, folder: Path | None, lanes: int) -> LifeSource:
    if folder is None:
        return CairoLives(config.recall, config.train.seed, lanes)
    return FolderLives(folder, config.recall, config.train.seed, lanes, config.data.val_fraction)


def _initial(config: RunConfig, path: Path | None, source: LifeSource) -> tuple[RecallNet, WordTokenizer]:
    """A fresh network with a tokenizer of the source's words, or a given one, or those of a model directory.

    ChronosError for a tokenizer that is not one of words.
    """
    if path is not None:
        return _given(config, path)
    if config.tokenizer.kind == "file":
        tokenizer = load_tokenizer(config.tokenizer.path)
        if not isinstance(tokenizer, WordTokenizer):
            mend = "make one: `chronos tokenizer train --kind words`"
            raise ChronosError("memory needs a tokenizer of words", got=tokenizer.kind, mend=mend)
    else:
        tokenizer = WordTokenizer.train(source.texts())
    shape = dataclasses.replace(config.model, vocabulary=tokenizer.vocab_size)
    return RecallNet(shape, config.train.seed), tokenizer


def _given(config: RunConfig, path: Path) -> tuple[RecallNet, WordTokenizer]:
    """Weights to start from, with their tokenizer. ChronosError for quantized ones and for another shape."""
    found = load_recaller(path)
    if any(isinstance(p, native.QuantTensor) for _, p in found.net.named()):
        mend = "give the float32 model directory"
        raise ChronosError("cannot train quantized weights", where=path, mend=mend)
    if found.net.config != dataclasses.replace(config.model, vocabulary=found.tokenizer.vocab_size):
        what = "the model's shape is not the configuration's"
        raise ChronosError(what, where=path, mend="set model.* alike")
    return found.net, found.tokenizer
