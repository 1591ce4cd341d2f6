"""How a recall model does on lives that it never learned from: right answers by kind, weights as they are.

Answers are judged token by token as in training; of the times asked about the likeliest counts. It writes
nothing.
"""

from collections.abc import Iterable
from functools import partial
from typing import Any

from chronos.architecture.tape import no_grad
from chronos.data.lives import counted
from chronos.memory.recall.net import RecallNet
from chronos.training.lanes import Lanes
from chronos.training.recall.lives import Batch
from chronos.training.recall.objective import answer


def judge(net: RecallNet, batches: Iterable[Batch], top: int, lanes: Lanes) -> dict[str, Any]:
    """{"n", "accuracy", "by_kind": {kind: {"n", "accuracy"}}} over all questions of the batches."""
    batches = list(batches)
    shares = [batches[i :: lanes.count] for i in range(lanes.count)]
    judged = lanes.run([partial(_judge, net, share, top) for share in shares])
    return counted(pair for part in judged for pair in part)


def _judge(net: RecallNet, batches: list[Batch], top: int) -> list[tuple[str, bool]]:
    """(kind, right) of every question."""
    found = []
    for batch in batches:
        with no_grad():
            right = answer(net, batch, top, gate=net.config.gate, hard=True).right
        found += zip(batch.kinds, right.tolist())
    return found
