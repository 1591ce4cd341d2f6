"""AdamW, and Muon for hidden matrices: parameters and their moments, updated in place.

Muon (Jordan et al. 2024) steps along the orthogonalized momentum; embeddings, head, gains and biases stay
with AdamW. Weight decay is decoupled and spares vectors.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from chronos.architecture import kernels
from chronos.architecture.kernels.workspace import empty
from chronos.architecture.tape import Tensor
from chronos.training.config import TrainConfig

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
MUON_MOMENTUM = 0.95
ADAM_EPS = 1e-8


@dataclass(frozen=True)
class Rules:
    """By name: which weights are hidden matrices, Muon's where it is chosen, and which AdamW lets decay."""

    hidden: Callable[[str], bool]
    decays: Callable[[str], bool]


def _in_stack(name: str) -> bool:
    """Hidden matrices of a Transformer: those of attention and feed-forward."""
    return name.endswith(".weight") and name.startswith("stack.block.")


TRANSFORMER = Rules(_in_stack, lambda name: not name.endswith("gain"))


def orthogonalize(g: np.ndarray, steps: int = 5) -> np.ndarray:
    """U Vᵀ of g = U S Vᵀ, roughly: Newton–Schulz with quintic coefficients; singular values land near 1."""
    a, b, c = NEWTON_SCHULZ
    tall = g.shape[0] > g.shape[1]
    x = (g.T if tall else g) / (np.linalg.norm(g) + 1e-7)
    for _ in range(steps):
        gram = x @ x.T
        x = a * x + (b * gram + c * (gram @ gram)) @ x
    return x.T if tall else x


class Optimizer:
    """Moments for every parameter by name; `update` applies one step to some of them.

    `state` is flat, `m.<name>` and `v.<name>` (Muon has `m` only), and goes into checkpoints as it is.
    """

    def __init__(self, parameters: dict[str, Tensor], c: TrainConfig, rules: Rules = TRANSFORMER):
        self.parameters, self.config, self.rules = parameters, c, rules
        self.state: dict[str, np.ndarray] = {}
        for name, p in parameters.items():
            self.state[f"m.{name}"] = np.zeros_like(p.data)
            if not self.is_muon(name):
                self.state[f"v.{name}"] = np.zeros_like(p.data)

    def is_muon(self, name: str) -> bool:
        """Hidden matrices only."""
        matrix = self.parameters[name].data.ndim == 2 and self.rules.hidden(name)
        return self.config.optimizer == "muon" and matrix

    def update(self, name: str, grad: np.ndarray, step: int, share: float, clip: float) -> None:
        """One step (counted from 1) of one parameter: learning rate `lr · share`, gradient times `clip`."""
        (self._muon if self.is_muon(name) else self._adamw)(name, grad, step, share, clip)

    def _adamw(self, name: str, grad: np.ndarray, step: int, share: float, clip: float) -> None:
        c, w = self.config, self.parameters[name].data
        decay = c.weight_decay if w.ndim >= 2 and self.rules.decays(name) else 0.0
        m, v = self.state[f"m.{name}"], self.state[f"v.{name}"]
        kernels.adamw(w, grad, m, v, c.lr * share, c.beta1, c.beta2, ADAM_EPS, decay, step, clip)

    def _muon(self, name: str, grad: np.ndarray, step: int, share: float, clip: float) -> None:
        c, w, m = self.config, self.parameters[name].data, self.state[f"m.{name}"]
        m *= MUON_MOMENTUM
        m += np.float32((1 - MUON_MOMENTUM) * clip) * grad
        ahead = np.add(
            np.float32(MUON_MOMENTUM) * m, np.float32((1 - MUON_MOMENTUM) * clip) * grad, out=empty(w.shape)
        )
        lr = c.muon_lr * share
        scale = max(1.0, w.shape[0] / w.shape[1]) ** 0.5
        w *= np.float32(1 - c.lr * share * c.weight_decay)  # decays at AdamW's rate, not at Muon's
        w -= np.float32(lr * scale) * orthogonalize(ahead)


def square_norm(grad: np.ndarray) -> float:
    """‖g‖²."""
    flat = grad.reshape(-1)
    return float(np.vdot(flat, flat))


def balanced(sizes: dict[str, int], lanes: int) -> list[list[str]]:
    """Names in `lanes` groups of nearly equal total size, largest first: each lane updates one group."""
    groups: list[list[str]] = [[] for _ in range(lanes)]
    loads = [0] * lanes
    for name in sorted(sizes, key=lambda n: (-sizes[n], n)):
        lane = loads.index(min(loads))
        groups[lane].append(name)
        loads[lane] += sizes[name]
    return groups
