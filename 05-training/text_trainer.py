"""Training a language model on token shards: what a step, an evaluation and a sample are.

The loop around them is `loop.py`'s; where the shards come from, `text_run.py` knows.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from chronos.console import say
from chronos.memory.generate import generate
from chronos.memory.model import Model
from chronos.memory.modeldir import save_model
from chronos.tokenization.shards import TokenShards
from chronos.tokenization.tokenizer import Tokenizer
from chronos.training.batches import Windows
from chronos.training.config import RunConfig
from chronos.training.lanes import Lanes
from chronos.training.loop import Hook, Trainer
from chronos.training.stepper import Stepper
from chronos.training.validate import validate


class TextTrainer(Trainer):
    """Next tokens of windows in a shuffled order; `cursor` is the position in it."""

    model: Model
    stepper: Stepper

    def __init__(
        self, config: RunConfig, model: Model, tokenizer: Tokenizer, train: TokenShards, val: TokenShards,
        run: Path, lanes: Lanes, hooks: Sequence[Hook] = (),
    ):  # fmt: skip
        super().__init__(config, model, tokenizer, Stepper(model, config.train, lanes), run, lanes, hooks)
        self.train_set, self.val_set = train, val
        self.windows = Windows(train, config.model.context, config.train.seed)
        self.cursor = 0
        self.material = f"{len(train):,} tokens"

    def about(self) -> dict[str, Any]:
        return {"tokens_in_set": len(self.train_set)}

    def learn(self) -> dict[str, Any]:
        c = self.config.train
        size = c.batch_size * c.accumulation_steps
        tokens, targets = self.windows.batch(self.cursor, size)
        found = self.stepper(tokens, targets)
        self.cursor, self.tokens = self.cursor + size, self.tokens + targets.size
        return found

    def counters(self) -> dict[str, Any]:
        return {"cursor": self.cursor}

    def recount(self, counters: dict[str, Any]) -> None:
        self.cursor = int(counters["cursor"])

    def publish(self, path: Path) -> None:
        save_model(path, self.model, self.tokenizer)

    def evaluate(self) -> None:
        """Loss on the validation set and a sample."""
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
