"""The tape: a Tensor remembers which op made it, and `backward` walks that history in reverse.

It knows no op and no kernel. Try it: `python -c "from chronos.architecture.gradcheck import demo; demo()"`.
"""

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
from chronos.architecture.kernels.workspace import empty_like

_local = threading.local()  # each training lane records its own tape


class Tensor:
    """An array, its gradient, and the op application that created it (None for leaves).

    `data` is an ndarray; `grad` is None or an ndarray of the same shape; only leaves that were made with
    `requires_grad=True` (parameters) keep their gradient after `backward`.
    """

    __slots__ = ("creator", "data", "grad", "requires_grad")

    def __init__(self, data: np.ndarray, *, requires_grad: bool = False, creator: "Node | None" = None):
        self.data = data
        self.grad: np.ndarray | None = None
        self.requires_grad = requires_grad
        self.creator = creator

    @property
    def shape(self) -> tuple[int, ...]:
        return self.data.shape

    def __repr__(self) -> str:
        made_by = self.creator.op.__name__ if self.creator else "leaf"
        return f"Tensor({self.data.shape}, {self.data.dtype}, {made_by})"


class Node:
    """One application of an op: its inputs, and what its forward saved for its backward."""

    __slots__ = ("inputs", "needs", "op", "saved")

    def __init__(self, op: type["Op"], inputs: tuple["Tensor | None", ...], needs: tuple[bool, ...]):
        self.op, self.inputs, self.needs = op, inputs, needs
        self.saved: dict[str, Any] = {}


class Op:
    """Base of all ops: `forward(ctx, *arrays, **settings) -> array`, `backward(ctx, grad) -> arrays`.

    `ctx.saved` is a dict that lives from forward to backward; `ctx.needs[i]` says whether input i wants a
    gradient. Backward returns one gradient (or None) per tensor input, in the order of the inputs.
    """

    @staticmethod
    def forward(ctx: Node, *arrays: Any, **settings: Any) -> np.ndarray:
        raise TypeError("an op defines forward")

    @staticmethod
    def backward(ctx: Node, grad: np.ndarray) -> tuple[np.ndarray | None, ...]:
        raise TypeError("an op defines backward")


def apply(op: type[Op], *inputs: Tensor | None, **settings: Any) -> Tensor:
    """Run `op` on tensors (None for an absent one) and record it if any input wants a gradient."""
    wanted = recording()
    needs = tuple(wanted and t is not None and t.requires_grad for t in inputs)
    node = Node(op, inputs, needs)
    out = op.forward(node, *(None if t is None else t.data for t in inputs), **settings)
    return Tensor(out, requires_grad=True, creator=node) if any(needs) else Tensor(out)


def recording() -> bool:
    """Whether ops are being recorded on this thread."""
    return getattr(_local, "recording", True)


@contextlib.contextmanager
def no_grad() -> Iterator[None]:
    """Within this block nothing is recorded: evaluation and generation."""
    before = recording()
    _local.recording = False
    try:
        yield
    finally:
        _local.recording = before


class Freed(Op):
    """Stands as the creator of a tensor whose history a backward pass has used up."""


_FREED = Node(Freed, (), ())


def backward(root: Tensor, grad: np.ndarray | None = None) -> None:
    """Send `grad` (default: ones) from `root` to every leaf, freeing each node on the way.

    Gradients that arrive at one tensor from several places are added. A leaf's gradient adds to what it
    already holds, so that several backward passes accumulate. AssertionError for what was not recorded.
    """
    if root.creator is None:
        raise AssertionError("backward from a tensor that no recorded op made")
    order = _in_order(root)
    _accumulate(root.creator.op, root, np.ones_like(root.data) if grad is None else grad)
    while order:  # pop: an activation dies as soon as no op before it needs it
        tensor = order.pop()
        node, out_grad = tensor.creator, tensor.grad
        if node is None:
            continue
        tensor.creator, tensor.grad = _FREED, None
        if out_grad is None:  # nothing downstream used this output
            continue
        for wanted, source, piece in zip(
            node.needs, node.inputs, node.op.backward(node, out_grad), strict=True
        ):
            if wanted and piece is not None:
                if source.creator is None and np.may_share_memory(piece, out_grad):
                    piece = piece.copy()  # a leaf keeps its gradient, so it must own it
                _accumulate(node.op, source, piece)


def _accumulate(op: type[Op], tensor: Tensor, piece: np.ndarray) -> None:
    if piece.shape != tensor.data.shape:
        raise AssertionError(f"{op.__name__}.backward gave {piece.shape} for an input {tensor.data.shape}")
    # A new array, never in place: an op may hand one array to several inputs (Add does).
    tensor.grad = piece if tensor.grad is None else np.add(tensor.grad, piece, out=empty_like(piece))


def _in_order(root: Tensor) -> list[Tensor]:
    """Every recorded tensor, after all that it was made from (depth first, without recursion)."""
    order: list[Tensor] = []
    seen: set[int] = set()
    stack: list[tuple[Tensor, bool]] = [(root, False)]
    while stack:
        tensor, done = stack.pop()
        if done:
            order.append(tensor)
        elif id(tensor) not in seen:
            seen.add(id(tensor))
            stack.append((tensor, True))
            node = tensor.creator
            if node is _FREED:
                raise AssertionError("an earlier backward pass has used up this history; run forward again")
            if node is not None:
                stack.extend((t, False) for t, need in zip(node.inputs, node.needs) if need)
    return order
