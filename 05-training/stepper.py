"""One optimizer step of a language model: rows shared out to the lanes, then one update.

Everything that decides the numbers of a step is here and in `updater.py`, and nothing that writes files.
"""

import numpy as np

from chronos.architecture.layers import DropoutPlan
from chronos.architecture.products import amp
from chronos.architecture.tape import backward
from chronos.training.updater import Updater


class Stepper(Updater):
    """`stepper(tokens, targets)` does one step on the model and returns its loss, learning rate and norm."""

    def __call__(self, tokens: np.ndarray, targets: np.ndarray) -> dict[str, float]:
        """tokens and targets (rows, T), rows a multiple of the batch size: one update from all of them.

        The gradient is that of the mean over all valid targets, however they are split into passes.
        """
        c = self.config
        scale = 1.0 / max(1, int((targets >= 0).sum()))
        loss = 0.0
        for part, start in enumerate(range(0, len(tokens), c.batch_size)):
            rows = slice(start, start + c.batch_size)
            loss += self._gradients(tokens[rows], targets[rows], scale, part)
        return {"loss": loss, **self.update()}

    def _gradients(self, tokens: np.ndarray, targets: np.ndarray, scale: float, part: int) -> float:
        """Every lane runs its share of the rows; gradients stay in the replicas."""
        c = self.config

        def lane(index: int, rows: slice) -> float:
            plan = DropoutPlan(c.dropout, c.seed, self.step, part << 16 | index) if c.dropout else None
            with amp(c.amp):
                loss = self.replicas[index].loss(tokens[rows], targets[rows], scale=scale, dropout=plan)
                value = float(loss.data)
                backward(loss)
            return value

        return sum(self.each(lane, self.lanes.shares(len(tokens))))
