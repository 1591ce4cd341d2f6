"""Training a recall model on lives: what a step and an evaluation are, and what a checkpoint must know.

The loop around them is `loop.py`'s; where the lives come from, `sources.py` knows.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from chronos.console import say
from chronos.memory.recall.modelfiles import save_recaller
from chronos.memory.recall.net import RecallNet
from chronos.tokenization.words import WordTokenizer
from chronos.training.config import RunConfig
from chronos.training.lanes import Lanes
from chronos.training.loop import Hook, Trainer
from chronos.training.recall.judge import judge
from chronos.training.recall.lives import Batch
from chronos.training.recall.sources import LifeSource
from chronos.training.recall.stepper import LivesStepper


class RecallTrainer(Trainer):
    """Lives of a curriculum; judged by others, which are packed once."""

    model: RecallNet
    tokenizer: WordTokenizer
    stepper: LivesStepper

    def __init__(
        self, config: RunConfig, net: RecallNet, tokenizer: WordTokenizer, source: LifeSource, run: Path,
        lanes: Lanes, hooks: Sequence[Hook] = (),
    ):  # fmt: skip
        stepper = LivesStepper(net, config, source, tokenizer, lanes)
        super().__init__(config, net, tokenizer, stepper, run, lanes, hooks)
        self.source, self.material = source, source.material
        self.unseen: list[Batch] = []

    def about(self) -> dict[str, Any]:
        return {"vocabulary": self.tokenizer.vocab_size}

    def learn(self) -> dict[str, Any]:
        found = self.stepper()
        self.tokens += found.pop("read")
        return found

    def shown(self, row: dict[str, Any]) -> dict[str, Any]:
        share = {"right %": round(100 * row["right"])}
        return {"loss": row["loss"], **share, "stage": f"{row['stage']} events"}

    def counters(self) -> dict[str, Any]:
        return {"curriculum": self.stepper.curriculum.state()}

    def recount(self, counters: dict[str, Any]) -> None:
        self.stepper.curriculum.restore(counters["curriculum"])

    def publish(self, path: Path) -> None:
        save_recaller(path, self.model, self.tokenizer)

    def evaluate(self) -> None:
        """Right answers about unseen lives, by kind."""
        if not self.unseen:
            self.unseen = [self.stepper.packer.pack(lives) for lives in self.source.unseen()]
        found = judge(self.model, self.unseen, self.config.recall.top, self.lanes)
        self.last_eval = {"accuracy": found["accuracy"], "by_kind": found["by_kind"]}
        self.record({"kind": "eval", "step": self.step, **found})
        kinds = ", ".join(f"{kind} {100 * of['accuracy']:.0f}" for kind, of in found["by_kind"].items())
        say(
            f"step {self.step}: {100 * found['accuracy']:.1f}% of {found['n']} questions about unseen lives "
            f"are answered right ({kinds})"
        )
