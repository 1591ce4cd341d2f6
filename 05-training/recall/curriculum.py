"""The curriculum of a recall model: longer lives when short ones are mastered, practice of what is weak.

A few numbers, which go into checkpoints. It draws no lives.
"""

import math
from collections.abc import Mapping
from typing import Any

from chronos.data.dice import Dice
from chronos.training.recall.config import RecallTraining

HALF = 0.5  # of the run: when the last stage begins at the latest
KEPT = 0.9  # of the running share of right answers, at each step
_KEY, _FINE = 0x57E7C4, 1 << 53  # the stream of draws, and into how many parts they cut 0 … 1


class Curriculum:
    """Where a run stands: its stage, the steps in it, and running shares of right answers, from 0.

    `right` is of all questions in this stage, `kinds` of each kind since the run began.
    """

    def __init__(self, config: RecallTraining):
        self.config = config
        self.stage = self.steps = 0
        self.right = 0.0
        self.kinds: dict[str, float] = {}

    @property
    def events(self) -> int:
        """How many events a life has now."""
        return self.config.stages[self.stage]

    def repeat(self, seed: int, step: int) -> float:
        """How often each later event counts in this step: log-uniform, up to `repeat` in the last stage."""
        last = len(self.config.stages) - 1
        share = self.stage / last if last else 1.0
        part = Dice(_KEY, seed, step).below(_FINE) / _FINE
        return math.exp(part * share * math.log(self.config.repeat))

    @property
    def practice(self) -> dict[str, float]:
        """How often each kind is asked, against the others: what is not mastered more often."""
        return {kind: self.config.practice + 1 - right for kind, right in self.kinds.items()}

    def learned(self, right: float, kinds: Mapping[str, float], done: float = 0.0) -> bool:
        """Count a step with these shares of right answers; whether it was the last of its stage.

        done: how much of the run lies behind. The last stage begins by half of it, mastered or not.
        """
        c, last = self.config, len(self.config.stages) - 1
        for kind, share in sorted(kinds.items()):
            self.kinds[kind] = KEPT * self.kinds.get(kind, 0.0) + (1 - KEPT) * share
        self.right = KEPT * self.right + (1 - KEPT) * right
        self.steps += 1
        mastered = self.right > c.mastery and self.steps > c.least_steps
        on = self.stage < last and (mastered or done >= HALF * (self.stage + 1) / last)
        if on:
            self.stage, self.steps, self.right = self.stage + 1, 0, 0.0
        return on

    def state(self) -> dict[str, Any]:
        """What a resumed run must know."""
        return {"stage": self.stage, "steps": self.steps, "right": self.right, "kinds": dict(self.kinds)}

    def restore(self, state: dict[str, Any]) -> None:
        """Take back what `state` gave."""
        self.stage, self.steps, self.right = int(state["stage"]), int(state["steps"]), float(state["right"])
        self.kinds = {kind: float(share) for kind, share in state["kinds"].items()}
