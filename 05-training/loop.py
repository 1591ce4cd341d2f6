"""The training loop: step, measure, save, and stop at a whole step when asked to.

It knows optimizers and checkpoints; what a step is, its heirs say, and what a run is made from, `run.py`. A
resumed run computes exactly what an unbroken one would: everything random depends on counters alone.
"""

import json
import os
import signal
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from chronos.architecture.layers import Module
from chronos.console import ChronosError, Progress
from chronos.files import explain_os_errors
from chronos.memory.modeldir import fill
from chronos.tokenization.tokenizer import Tokenizer
from chronos.training import checkpoint
from chronos.training.checkpoint import Checkpoint
from chronos.training.config import RunConfig
from chronos.training.lanes import Lanes
from chronos.training.updater import Updater

Hook = Callable[["Trainer", dict[str, Any]], None]  # called with every row that goes into metrics.jsonl


class Interrupted(ChronosError):
    """Ctrl-C or SIGTERM: the state is saved."""

    exit_code = 130


class Trainer(ABC):
    """One run: `train()` goes from wherever its checkpoint is to `steps`.

    `material` says in a few words what it learns from.
    """

    material = ""

    def __init__(
        self, config: RunConfig, model: Module, tokenizer: Tokenizer, stepper: Updater, run: Path,
        lanes: Lanes, hooks: Sequence[Hook] = (),
    ):  # fmt: skip
        self.config, self.model, self.tokenizer, self.stepper = config, model, tokenizer, stepper
        self.run, self.lanes, self.hooks = run, lanes, hooks
        self.tokens = 0
        self.stop_wanted = False
        self.metrics_path = run / "metrics.jsonl"
        self.last_eval: dict[str, Any] = {}

    # ---- what an heir says ---------------------------------------------------------------------------------

    @abstractmethod
    def learn(self) -> dict[str, Any]:
        """One update, its tokens counted: loss, learning rate, norm, and what else the metrics should say."""

    @abstractmethod
    def evaluate(self) -> None:
        """Measure the model, as metrics rows, as a line for the person watching, and as `last_eval`."""

    @abstractmethod
    def counters(self) -> dict[str, Any]:
        """What a resumed run must know besides weights, moments and the number of steps and tokens."""

    @abstractmethod
    def recount(self, counters: dict[str, Any]) -> None:
        """Take back what `counters` gave."""

    @abstractmethod
    def publish(self, path: Path) -> None:
        """Write the model directory."""

    def shown(self, row: dict[str, Any]) -> dict[str, Any]:
        """What the progress line shows of a row."""
        return {"loss": row["loss"]}

    # ---- the loop ------------------------------------------------------------------------------------------

    @property
    def step(self) -> int:
        """Steps done."""
        return self.stepper.step

    def restore(self, saved: Checkpoint) -> None:
        """Continue from a checkpoint: weights, moments, counters; later metrics are cut off."""
        where = saved.path or self.run
        fill(self.model, saved.weights, where)
        moments = self.stepper.optimizer.state
        if set(saved.moments) != set(moments):
            raise ChronosError("checkpoint belongs to another model or optimizer", where=where)
        for name, array in saved.moments.items():
            moments[name][...] = array
        self.stepper.step, self.tokens = int(saved.counters["step"]), int(saved.counters["tokens"])
        self.recount(saved.counters)
        self.last_eval = saved.counters.get("last_eval", {})
        checkpoint.truncate_metrics(self.metrics_path, int(saved.counters["metrics_bytes"]))

    def train(self) -> dict[str, Any]:
        """Run to the last step and return the last evaluation."""
        c = self.config.train
        with self._signals(), self._metrics(), Progress(c.steps, "training", start=self.step) as bar:
            if self.step == 0:
                self.record({"kind": "start", "steps": c.steps, **self.about()})
            begun, tokens_before = time.perf_counter(), self.tokens
            while self.step < c.steps:
                row = self.one_step()
                row["tokens_per_s"] = (self.tokens - tokens_before) / (time.perf_counter() - begun)
                row["seconds"] = time.perf_counter() - begun
                self.record(row)
                bar.update(self.step, **self.shown(row), **{"tokens/s": round(row["tokens_per_s"])})
                self._between_steps(bar)
        return self.last_eval

    def about(self) -> dict[str, Any]:
        """What the first row of the metrics says of the material."""
        return {}

    def one_step(self) -> dict[str, Any]:
        """One update; returns the metrics row. ChronosError for a loss that is not finite."""
        found = self.learn()
        if not np.isfinite(found["loss"] + found["grad_norm"]):
            mend = "resume from the last checkpoint with a lower train.lr and --override-scheduling"
            raise ChronosError(f"the loss is {found['loss']} at step {self.step}", where=self.run, mend=mend)
        return {"kind": "train", "step": self.step, **found, "tokens": self.tokens}

    def _between_steps(self, bar: Progress) -> None:
        c, last = self.config.train, self.step == self.config.train.steps
        if last or (c.eval_every and self.step % c.eval_every == 0):
            bar.clear()
            self.evaluate()
        if self.stop_wanted or last or (c.checkpoint_every and self.step % c.checkpoint_every == 0):
            self.save()
        if self.stop_wanted and not last:
            mend = f"continue with: chronos train --out-dir {self.run} --resume"
            raise Interrupted(f"stopped at step {self.step} of {c.steps}, state saved", mend=mend)

    def save(self) -> Path:
        """Write a checkpoint of this step."""
        os.fsync(self._file.fileno())
        counters = {
            "step": self.step,
            "tokens": self.tokens,
            "metrics_bytes": self._file.tell(),
            "last_eval": self.last_eval,
            **self.counters(),
        }
        weights = {name: p.data for name, p in self.model.parameters().items()}
        saved = Checkpoint(weights, self.stepper.optimizer.state, counters)
        return checkpoint.save(self.run, saved, self.config.train.keep_checkpoints)

    def record(self, row: dict[str, Any]) -> None:
        """Append a row to metrics.jsonl and show it to the hooks."""
        with explain_os_errors(self.metrics_path):
            self._file.write((json.dumps(row, ensure_ascii=False) + "\n").encode())
            self._file.flush()
        for hook in self.hooks:
            hook(self, row)

    @contextmanager
    def _metrics(self) -> Iterator[None]:
        with explain_os_errors(self.metrics_path), open(self.metrics_path, "ab") as self._file:
            yield

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """The first Ctrl-C or SIGTERM finishes the step and saves; a second one is the system's again."""
        before = {}

        def ask(number: int, _frame: Any) -> None:
            self.stop_wanted = True
            signal.signal(number, before[number])

        for number in (signal.SIGINT, signal.SIGTERM):
            try:
                before[number] = signal.signal(number, ask)
            except ValueError:  # not the main thread: the caller handles signals
                break
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
