"""One optimizer step of a recall model: each lane draws lives of its own, then one update from all of them.

What decides the numbers of a step is here, in `objective.py` and in `curriculum.py`. It writes nothing.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from chronos.architecture.tape import backward
from chronos.memory.recall.net import RecallNet
from chronos.tokenization.words import WordTokenizer
from chronos.training.config import RunConfig
from chronos.training.lanes import Lanes
from chronos.training.optimizer import Rules
from chronos.training.recall import objective
from chronos.training.recall.curriculum import Curriculum
from chronos.training.recall.sources import LifeSource
from chronos.training.updater import Updater


def is_hidden(name: str) -> bool:
    """Matrices within the layers, and those that make keys and queries: Muon's; no others decay."""
    inner = name.startswith(("lower.", "upper.", "mix.", "key.", "name.")) or ".query." in name
    return inner and name.endswith(".weight")


RECALL = Rules(is_hidden, is_hidden)


@dataclass(frozen=True)
class Learned:
    """What one lane found: its loss and its parts, which answers were right, and the tokens it read."""

    loss: float
    parts: dict[str, float]
    right: np.ndarray
    kinds: tuple[str, ...]
    tokens: int


class LivesStepper(Updater):
    """`stepper()` does one step and returns its loss, learning rate and norm, and how the curriculum stands.

    The gradient is the mean over lanes; the result depends on the seed and on the number of lanes alone.
    """

    def __init__(
        self, net: RecallNet, config: RunConfig, source: LifeSource, tokenizer: WordTokenizer, lanes: Lanes
    ):
        super().__init__(net, config.train, lanes, RECALL)
        self.recall, self.source = config.recall, source
        self.packer = source.packer(tokenizer, net.config.hops)
        self.curriculum = Curriculum(config.recall)

    def __call__(self) -> dict[str, Any]:
        events, repeat = self.curriculum.events, self.curriculum.repeat(self.config.seed, self.step)
        practice = self.curriculum.practice
        found = self.each(self._lane, [(repeat, practice)] * self.lanes.count)
        row = {"loss": float(np.mean([one.loss for one in found])), **self.update()}
        row |= {name: float(np.mean([one.parts[name] for one in found])) for name in found[0].parts}
        right = np.concatenate([one.right for one in found])
        kinds = np.array([kind for one in found for kind in one.kinds])
        row["right"] = float(right.mean())
        row["stage"], row["read"] = events, sum(one.tokens for one in found)
        self.curriculum.learned(
            row["right"],
            {str(kind): float(right[kinds == kind].mean()) for kind in np.unique(kinds)},
            self.step / self.config.steps,
        )
        return row

    def _lane(self, lane: int, how: tuple[float, dict[str, float]]) -> Learned:
        """Lives, their loss, and its gradient, which stays in the lane's replica."""
        key = (self.config.seed, self.step, lane)
        events, (repeat, practice) = self.curriculum.events, how
        batch = self.packer.pack(self.source.lives(self.step, lane, events, practice), key)
        rng = np.random.default_rng(key)
        net = self.replicas[lane]
        gate = net.config.gate and events >= self.recall.gate_events
        value, parts = objective.loss(net, batch, self.recall, repeat=repeat, gate=gate, rng=rng)
        loss = float(value.data)
        backward(value, np.full_like(value.data, 1 / self.lanes.count))
        return Learned(loss, parts, parts.pop("right"), batch.kinds, batch.tokens)
