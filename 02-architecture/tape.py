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
    """An array, and the op application that created it (None for leaves, which may want a gradient).

    `data` is an ndarray; `grad` is None or an ndarray of the same shape, and arrives at leaves that were made
    with `requires_grad=True` (parameters), where it stays until somebody takes it.
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
    """One application of an op: where its inputs came from, and what its forward saved for its backward.

    Of a tensor that an op made it holds that op's node alone: an activation that no backward needs is free at
    once. `inputs` is None when a backward pass has been here.
    """

    __slots__ = ("grad", "inputs", "needs", "op", "saved", "shape")

    def __init__(self, op: type["Op"], inputs: tuple["Tensor | None", ...], needs: tuple[bool, ...]):
        self.op, self.needs = op, needs
        self.inputs = tuple((t.creator or t) if need else None for t, need in zip(inputs, needs))
        self.saved: dict[str, Any] = {}
        self.shape: tuple[int, ...] = ()  # of the output and of its gradient
        self.grad: np.ndarray | None = None


class Op:
    """Base of all ops: `forward(ctx, *arrays, **settings) -> array`, `backward(ctx, grad) -> arrays`.

    `ctx.saved` is a dict that lives from forward to backward; `ctx.needs[i]` says whether input i wants a
    gradient. Backward returns, for each tensor input in order, a fresh array, `grad` itself, or None.
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
    node.shape = out.shape
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


def backward(root: Tensor, grad: np.ndarray | None = None) -> None:
    """Send `grad` (default: ones) from `root` to every leaf, freeing each node on the way.

    Gradients that arrive at one place from several are added. A leaf's gradient adds to what it already
    holds, so that several backward passes accumulate. AssertionError for what was not recorded.
    """
    if root.creator is None:
        raise AssertionError("backward from a tensor that no recorded op made")
    order = _in_order(root.creator)
    _accumulate(root.creator.op, root.creator, np.ones_like(root.data) if grad is None else grad)
    while order:  # pop: what a node saved dies with it
        _pass_on(order.pop())


def _pass_on(node: Node) -> None:
    """Turn the gradient of an op's output into those of its inputs, and forget the op."""
    inputs, grad = node.inputs, node.grad
    pieces = [None] * len(inputs) if grad is None else node.op.backward(node, grad)  # None: unused
    node.inputs = node.grad = None
    node.saved.clear()
    for wanted, source, piece in zip(node.needs, inputs, pieces, strict=True):
        if wanted and piece is not None:
            if isinstance(source, Tensor) and np.may_share_memory(piece, grad):
                piece = piece.copy()  # a leaf keeps its gradient, so it must own it
            _accumulate(node.op, source, piece)


def _accumulate(op: type[Op], to: Tensor | Node, piece: np.ndarray) -> None:
    if piece.shape != to.shape:
        raise AssertionError(f"{op.__name__}.backward gave {piece.shape} for an input {to.shape}")
    # A new array, never in place: an op may hand one array to several inputs (Add does).
    to.grad = piece if to.grad is None else np.add(to.grad, piece, out=empty_like(piece))


def _in_order(root: Node) -> list[Node]:
    """Every node, after all that it was made from (depth first, without recursion)."""
    order: list[Node] = []
    seen: set[Node] = set()
    stack: list[tuple[Tensor | Node | None, bool]] = [(root, False)]
    while stack:
        node, done = stack.pop()
        if done:
            order.append(node)
        elif isinstance(node, Node) and node not in seen:
            if node.inputs is None:
                raise AssertionError("an earlier backward pass has used up this history; run forward again")
            seen.add(node)
            stack.append((node, True))
            stack.extend((source, False) for source in node.inputs)
    return order
