"""The training loop: step, measure, save, and stop at a whole step when asked to.

It knows models, optimizers and checkpoints; what a run is made from is `run.py`'s business. A resumed run
computes exactly what an unbroken one would: everything random depends on counters alone.
"""

import json
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from chronos.console import ChronosError, Progress, say
from chronos.files import explain_os_errors
from chronos.memory.generate import generate
from chronos.memory.model import Model
from chronos.memory.modeldir import fill
from chronos.tokenization.shards import TokenShards
from chronos.tokenization.tokenizer import Tokenizer
from chronos.training import checkpoint
from chronos.training.batches import Windows
from chronos.training.checkpoint import Checkpoint
from chronos.training.config import RunConfig
from chronos.training.lanes import Lanes
from chronos.training.stepper import Stepper
from chronos.training.validate import validate

Hook = Callable[["Trainer", dict[str, Any]], None]  # called with every row that goes into metrics.jsonl


class Interrupted(ChronosError):
    """Ctrl-C or SIGTERM: the state is saved."""

    exit_code = 130


class Trainer:
    """One run: `Trainer(...).train()` goes from wherever its checkpoint is to `steps`."""

    def __init__(
        self, config: RunConfig, model: Model, tokenizer: Tokenizer, train: TokenShards, val: TokenShards,
        run: Path, lanes: Lanes, hooks: Sequence[Hook] = (),
    ):  # fmt: skip
        self.config, self.model, self.tokenizer, self.run = config, model, tokenizer, run
        self.train_set, self.val_set = train, val
        self.lanes, self.hooks = lanes, hooks
        self.windows = Windows(train, config.model.context, config.train.seed)
        self.stepper = Stepper(model, config.train, lanes)
        self.cursor = self.tokens = 0
        self.stop_wanted = False
        self.metrics_path = run / "metrics.jsonl"
        self.last_eval: dict[str, float | int] = {}

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
        self.stepper.step, self.cursor, self.tokens = (
            int(saved.counters[n]) for n in ("step", "cursor", "tokens")
        )
        self.last_eval = saved.counters.get("last_eval", {})
        checkpoint.truncate_metrics(self.metrics_path, int(saved.counters["metrics_bytes"]))

    def train(self) -> dict[str, float | int]:
        """Run to the last step and return the last evaluation."""
        c = self.config.train
        with self._signals(), self._metrics(), Progress(c.steps, "training", start=self.step) as bar:
            if self.step == 0:
                self.record({"kind": "start", "steps": c.steps, "tokens_in_set": len(self.train_set)})
            begun, tokens_before = time.perf_counter(), self.tokens
            while self.step < c.steps:
                row = self.one_step()
                row["tokens_per_s"] = (self.tokens - tokens_before) / (time.perf_counter() - begun)
                row["seconds"] = time.perf_counter() - begun
                self.record(row)
                bar.update(self.step, loss=row["loss"], **{"tokens/s": round(row["tokens_per_s"])})
                self._between_steps(bar)
        return self.last_eval

    def one_step(self) -> dict[str, Any]:
        """One update on the next samples; returns the metrics row."""
        c = self.config.train
        size = c.batch_size * c.accumulation_steps
        tokens, targets = self.windows.batch(self.cursor, size)
        found = self.stepper(tokens, targets)
        self.cursor, self.tokens = self.cursor + size, self.tokens + targets.size
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

    def evaluate(self) -> None:
        """Loss on the validation set and a sample, as metrics rows and as lines for the person watching."""
        c = self.config.train
        found = validate(self.model, self.val_set, self.lanes, batch_size=c.batch_size, limit=c.eval_tokens)
        self.last_eval = {"val_nats": found["nats_per_token"], "bits_per_byte": found["bits_per_byte"]}
        self.record({"kind": "eval", "step": self.step, **self.last_eval})
        say(
            f"step {self.step}: validation {found['nats_per_token']:.4f} nats/token, "
            f"{found['bits_per_byte']:.4f} bits/byte"
        )
        if c.sample_tokens:
            text = self.sample()
            self.record({"kind": "sample", "step": self.step, "text": text})
            say(f"  sample: {' '.join(text.split())[:160]}")

    def sample(self) -> str:
        """A text from the first tokens of the validation set on."""
        prompt = self.val_set.read(0, min(8, len(self.val_set)))
        stop = (self.tokenizer.end,)
        n = self.config.train.sample_tokens
        made = list(generate(self.model, prompt, max_new_tokens=n, sampling=self.config.sample, stop=stop))
        return self.tokenizer.decode([*prompt, *made])

    def save(self) -> Path:
        """Write a checkpoint of this step."""
        os.fsync(self._file.fileno())
        counters = {
            "step": self.step,
            "cursor": self.cursor,
            "tokens": self.tokens,
            "metrics_bytes": self._file.tell(),
            "last_eval": self.last_eval,
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
