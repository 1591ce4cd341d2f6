"""How a recall model does on lives that it never learned from: right answers by kind, weights as they are.

Answers are judged token by token as in training; of the times asked about the likeliest counts. It writes
nothing.
"""

from collections import defaultdict
from collections.abc import Iterable
from functools import partial
from typing import Any

import numpy as np

from chronos.architecture import ops
from chronos.architecture.tape import apply, no_grad
from chronos.memory.recall.net import RecallNet
from chronos.training.lanes import Lanes
from chronos.training.recall.lives import Batch
from chronos.training.recall.objective import LivesMemory, gated


def judge(net: RecallNet, batches: Iterable[Batch], top: int, lanes: Lanes) -> dict[str, Any]:
    """{"n", "accuracy", "by_kind": {kind: {"n", "accuracy"}}} over all questions of the batches."""
    batches = list(batches)
    shares = [batches[i :: lanes.count] for i in range(lanes.count)]
    counted = lanes.run([partial(_count, net, share, top) for share in shares])
    tally: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for kind, right in (pair for part in counted for pair in part):
        tally[kind][0] += 1
        tally[kind][1] += right
    n, right = (sum(column) for column in zip(*tally.values()))
    by_kind = {kind: {"n": n, "accuracy": right / n} for kind, (n, right) in sorted(tally.items())}
    return {"n": n, "accuracy": right / n, "by_kind": by_kind}


def _count(net: RecallNet, batches: list[Batch], top: int) -> list[tuple[str, bool]]:
    return [pair for batch in batches for pair in zip(batch.kinds, answered(net, batch, top).tolist())]


def answered(net: RecallNet, batch: Batch, top: int) -> np.ndarray:
    """(n,) bool: each token of the answer had more than half of the probability."""
    events, asked = batch.events, batch.asked
    with no_grad():
        h, keys = net.encode(events.sentences)
        written = gated(net, batch, h)[0] if net.config.gate else None
        memory = LivesMemory(events, h, keys, hard=True, written=written)
        reading = net.read(asked, memory, len(batch.every))
        states, gate, scores, of = net.say(reading)
        told = np.zeros(len(of), np.float32)
        apply(
            ops.Pointer, states, net.emb, gate, scores, *(found.shares for found in reading.found),
            words=events.slots(net.config.words), of=of, targets=asked.answers.values, top=top,
            scale=1 / len(of), told=told,
        )  # fmt: skip
    return np.logical_and.reduceat(told > 0.5, asked.answers.starts)
