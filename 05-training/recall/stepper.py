"""One optimizer step of a recall model: each lane draws lives of its own, then one update from all of them.

What decides the numbers of a step is here, in `objective.py` and in `curriculum.py`. It writes nothing.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from chronos.architecture.products import amp
from chronos.architecture.tape import backward
from chronos.memory.recall.net import RecallNet
from chronos.tokenization.words import WordTokenizer
from chronos.training import forked
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
    right: list[bool]
    kinds: list[str]
    tokens: int


class LivesStepper(Updater):
    """`stepper()` does one step and returns its loss, learning rate and norm, and how the curriculum stands.

    The gradient is the mean over lanes; the result depends on the seed and the number of lanes alone. Where
    processes can be forked each lane is one, from the first step until the lanes end.
    """

    def __init__(
        self, net: RecallNet, config: RunConfig, source: LifeSource, tokenizer: WordTokenizer, lanes: Lanes
    ):
        if lanes.count > 1 and forked.possible():
            forked.share(net.parameters().values())
        super().__init__(net, config.train, lanes, RECALL)
        self.recall, self.source = config.recall, source
        self.packer = source.packer(tokenizer, net.config.hops)
        self.curriculum = Curriculum(config.recall)
        self._forked: forked.Forked | None = None

    def __call__(self) -> dict[str, Any]:
        curriculum = self.curriculum
        events, repeat = curriculum.events, curriculum.repeat(self.config.seed, self.step)
        asked = {"step": self.step, "events": events, "repeat": repeat, "practice": curriculum.practice}
        found = [Learned(**told) for told in self._each_lane(asked)]
        row = {"loss": float(np.mean([one.loss for one in found])), **self.update()}
        row |= {name: float(np.mean([one.parts[name] for one in found])) for name in found[0].parts}
        right = np.array([right for one in found for right in one.right])
        kinds = np.array([kind for one in found for kind in one.kinds])
        row["right"] = float(right.mean())
        row["stage"], row["read"] = events, sum(one.tokens for one in found)
        self.curriculum.learned(
            row["right"],
            {str(kind): float(right[kinds == kind].mean()) for kind in np.unique(kinds)},
            self.step / self.config.steps,
        )
        return row

    def _each_lane(self, asked: dict[str, Any]) -> list[dict[str, Any]]:
        every = [asked] * self.lanes.count
        if self.lanes.count == 1 or not forked.possible():
            return self.each(self._lane, every)
        if self._forked is None:
            self._forked = forked.Forked(self.parameters, self._lane)
            self.lanes.at_end(self._forked.close)
        return self._forked.run(every)

    def _lane(self, lane: int, asked: dict[str, Any]) -> dict[str, Any]:
        """What was `Learned` from lives, and the gradient, which stays in the lane's replica."""
        events, practice = asked["events"], asked["practice"]
        key = (self.config.seed, asked["step"], lane)
        batch = self.packer.pack(self.source.lives(asked["step"], lane, events, practice), key)
        rng = np.random.default_rng(key)
        net = self.replicas[lane]
        gate = net.config.gate and events >= self.recall.gate_events
        repeat = asked["repeat"]
        with amp(self.config.amp):
            value, parts = objective.loss(net, batch, self.recall, repeat=repeat, gate=gate, rng=rng)
            loss = float(value.data)
            backward(value, np.full_like(value.data, 1 / self.lanes.count))
        right = parts.pop("right").tolist()
        return asdict(Learned(loss, parts, right, list(batch.kinds), batch.tokens))
