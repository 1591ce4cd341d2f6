"""Surprise decides what is written: an event that says nothing which the memory does not know is let go.

Words are salient where they may be what somebody asks for (learned), and cost what the network would not have
guessed. What the most recent event of the same key said costs nothing. It reads no file.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from chronos.architecture import kernels
from chronos.architecture.tape import Tensor, no_grad
from chronos.memory.recall.net import RecallNet
from chronos.memory.recall.packing import Ragged

NEAR = 0.9  # cosine of two keys that are about the same thing
LEAST = 0.5  # nats: what surprises less is not written
WINDOW = 4096  # written events that a new one is compared with
FAINT = 0.1  # salience below which a word says nothing
MOST = 10.0  # nats of an unknown word
WORDS = 16  # of a sentence that are looked at


@dataclass(frozen=True)
class Costs:
    """What each sentence says: its salient words (U, W) int64, −1 for the others, and their nats (U, W)."""

    words: np.ndarray
    nats: np.ndarray


def costs(net: RecallNet, sentences: Ragged, h: Tensor) -> Costs:
    """Salience times surprise of every word, from the states h (T, D) of `net.encode`."""
    with no_grad():
        salient = 1 / (1 + np.exp(-net.salience(Tensor(h.data)).data[:, 0]))
        salient[salient < FAINT] = 0
        rows = np.flatnonzero(salient > 0)
        nats = np.zeros(len(salient), np.float32)
        nats[rows] = salient[rows] * _surprise(net, sentences, h, rows)
    told = Ragged(np.where(nats > 0, sentences.values, -1), sentences.ends)
    return Costs(told.padded(WORDS), Ragged(nats, sentences.ends).padded(WORDS, 0))


def _surprise(net: RecallNet, sentences: Ragged, h: Tensor, rows: np.ndarray) -> np.ndarray:
    """−log p of the words at `rows` from what stands before them in their sentences; MOST at their beginnings
    and of words outside the vocabulary."""
    ids = sentences.values[rows]
    inner = (sentences.offsets()[rows] > 0) & (ids < net.config.vocabulary)
    found = np.full(len(rows), MOST, np.float32)
    if inner.any():
        before = net.sentence_head(Tensor(h.data), rows[inner] - 1).data
        logits = before @ net.emb.data.T
        top = logits.max(1, keepdims=True)
        total = np.log(np.exp(logits - top).sum(1)) + top[:, 0]
        found[inner] = np.minimum(total - logits[np.arange(len(logits)), ids[inner]], MOST)
    return found


def novelty(keys: np.ndarray, said: Costs, after: "Recent | None" = None) -> tuple[np.ndarray, np.ndarray]:
    """Events in their order: what each says that is new, in nats (N,), and where it is nothing new, which
    earlier event had said it (N,), −1 for those that are to be written (and for what nobody said)."""
    recent = after or Recent(keys.shape[1])
    return kernels.novelty(keys, said.words, said.nats, NEAR, LEAST, *recent.arrays())


class Recent:
    """The last `WINDOW` written events: keys, words, and how many there ever were."""

    def __init__(self, width: int, window: int = WINDOW):
        self.keys = np.zeros((window, width), np.float32)
        self.words = np.full((window, WORDS), -1, np.int64)
        self.names = np.full(window, -1, np.int64)
        self.count = np.zeros(1, np.int64)

    def arrays(self) -> tuple[np.ndarray, ...]:
        """What the kernel reads and goes on writing into."""
        return self.keys, self.words, self.names, self.count


class Writing:
    """The gate of one reading: `judge` says for events in their order which are to be written."""

    def __init__(self, net: RecallNet):
        self.recent = Recent(net.config.key)

    def remember(self, keys: np.ndarray, words: np.ndarray) -> None:
        """Events that an earlier reading wrote: keys (n, K), words (n, W)."""
        for key, row in zip(keys, words):
            at = int(self.recent.count[0]) % len(self.recent.keys)
            self.recent.keys[at], self.recent.words[at] = key, row
            self.recent.count[0] += 1

    def judge(self, keys: np.ndarray, said: Costs) -> tuple[np.ndarray, np.ndarray]:
        """keys (n, K) of unit length: which are written (n,) bool, and their surprises in nats (n,)."""
        nats, _ = novelty(keys, said, self.recent)
        return nats > LEAST, nats


def stacked(rows: Sequence[tuple[np.ndarray, np.ndarray]]) -> Costs:
    """Costs of several sentences, (words (W,), nats (W,)) each."""
    return Costs(np.stack([words for words, _ in rows]), np.stack([nats for _, nats in rows]))
