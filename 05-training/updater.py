"""What every optimizer step ends with: the lanes' gradients added, clipped by their norm, and applied.

Where gradients come from, its heirs say (`stepper.py`, `recall/stepper.py`). It writes no files.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from chronos.architecture.layers import Module
from chronos.architecture.tape import Tensor
from chronos.training.config import TrainConfig
from chronos.training.lanes import Lanes
from chronos.training.optimizer import TRANSFORMER, Optimizer, Rules, balanced, square_norm
from chronos.training.schedule import share


class Updater:
    """A model with a replica for each lane (same weights, own gradients), and its optimizer.

    `step` counts the steps done. Lanes first work on their share of what is learned from, then of the
    parameters.
    """

    def __init__(self, model: Module, config: TrainConfig, lanes: Lanes, rules: Rules = TRANSFORMER):
        self.config, self.lanes, self.step = config, lanes, 0
        self.optimizer = Optimizer(model.parameters(), config, rules)
        self.replicas = [model.replica() for _ in range(lanes.count)]
        self.parameters = [replica.parameters() for replica in self.replicas]
        self.groups = balanced({name: p.data.size for name, p in self.parameters[0].items()}, lanes.count)

    def update(self) -> dict[str, float]:
        """Turn the gradients in the replicas into one step; its learning rate and their norm."""
        c, rate = self.config, share(self.step, self.config)
        self.step += 1
        grads: dict[str, np.ndarray] = {}
        squares: dict[str, float] = {}

        def collect(_: int, names: list[str]) -> None:
            for name in names:
                grads[name] = _total([p[name] for p in self.parameters])
                squares[name] = square_norm(grads[name])

        self.each(collect, self.groups)
        norm = float(np.sqrt(sum(squares[name] for name in self.parameters[0])))  # always in the same order
        clip = min(1.0, c.grad_clip / (norm + 1e-6)) if c.grad_clip else 1.0

        def apply(_: int, names: list[str]) -> None:
            for name in names:
                self.optimizer.update(name, grads.pop(name), self.step, rate, clip)

        self.each(apply, self.groups)
        return {"lr": c.lr * rate, "grad_norm": norm}

    def each(self, task: Callable[[int, Any], Any], shares: list[Any]) -> list[Any]:
        """`task(lane, share)` on every lane at once; results in the order of the lanes."""
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
