"""One optimizer step: rows shared out to the lanes, gradients added, clipped and applied.

Everything that decides the numbers of a step is here, and nothing that writes files.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from chronos.architecture.layers import DropoutPlan
from chronos.architecture.tape import Tensor, backward
from chronos.memory.model import Model
from chronos.training.config import TrainConfig
from chronos.training.lanes import Lanes
from chronos.training.optimizer import Optimizer, balanced, square_norm
from chronos.training.schedule import share


class Stepper:
    """`stepper(tokens, targets)` does one step on the model and returns its loss, learning rate and norm.

    `step` counts the steps done. Each lane has a replica (same weights, own gradients) and its own share of
    the rows, then of the parameters.
    """

    def __init__(self, model: Model, config: TrainConfig, lanes: Lanes):
        self.config, self.lanes, self.step = config, lanes, 0
        self.optimizer = Optimizer(model.parameters(), config)
        self.replicas = [model.replica() for _ in range(lanes.count)]
        self.parameters = [replica.parameters() for replica in self.replicas]
        self.groups = balanced({name: p.data.size for name, p in self.parameters[0].items()}, lanes.count)

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
        rate = share(self.step, c)
        self.step += 1
        norm = self._update(rate)
        return {"loss": loss, "lr": c.lr * rate, "grad_norm": norm}

    def _gradients(self, tokens: np.ndarray, targets: np.ndarray, scale: float, part: int) -> float:
        """Every lane runs its share of the rows; gradients stay in the replicas."""
        c = self.config

        def lane(index: int, rows: slice) -> float:
            plan = DropoutPlan(c.dropout, c.seed, self.step, part << 16 | index) if c.dropout else None
            loss = self.replicas[index].loss(tokens[rows], targets[rows], scale=scale, dropout=plan)
            value = float(loss.data)
            backward(loss)
            return value

        return sum(self._each(lane, self.lanes.shares(len(tokens))))

    def _update(self, rate: float) -> float:
        """Add the lanes' gradients, clip by their norm, apply; lanes now take turns by parameter."""
        c = self.config
        grads: dict[str, np.ndarray] = {}
        squares: dict[str, float] = {}

        def collect(_: int, names: list[str]) -> None:
            for name in names:
                grads[name] = _total([p[name] for p in self.parameters])
                squares[name] = square_norm(grads[name])

        self._each(collect, self.groups)
        norm = float(np.sqrt(sum(squares[name] for name in self.parameters[0])))  # always in the same order
        clip = min(1.0, c.grad_clip / (norm + 1e-6)) if c.grad_clip else 1.0

        def apply(_: int, names: list[str]) -> None:
            for name in names:
                self.optimizer.update(name, grads.pop(name), self.step, rate, clip)

        self._each(apply, self.groups)
        return norm

    def _each(self, task: Callable[[int, Any], Any], shares: list[Any]) -> list[Any]:
        return self.lanes.run([partial(task, i, part) for i, part in enumerate(shares)])


def _total(tensors: list[Tensor]) -> np.ndarray:
    """The sum of one parameter's gradients over the replicas, which are cleared."""
    found = [t.grad for t in tensors if t.grad is not None]
    for tensor in tensors:
        tensor.grad = None
    if not found:
        return np.zeros_like(tensors[0].data)
    total = found[0]
    for other in found[1:]:
        total = np.add(total, other, out=total)
    return total
