"""Surprise decides what is written: an event that says nothing which the memory does not know is let go.

Words are salient where they may be what somebody asks for (learned), and cost what the network would not have
guessed. What the most recent event about the same thing said, in that order, costs nothing. It reads no file.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from chronos.architecture import kernels
from chronos.architecture.tape import Tensor, no_grad
from chronos.memory.recall.net import TOPIC, RecallNet
from chronos.memory.recall.packing import Ragged

NEAR = 0.5  # cosine of two topics that are the same, as it is trained
SHARP = 10.0  # how much surer a cosine makes it that they are
LEAST = 0.5  # nats: what surprises less is not written
WINDOW = 4096  # written events that a new one is compared with
FAINT = 0.1  # salience below which a word says nothing, unless it was never learned: then it may say anything
MOST = 10.0  # nats of an unknown word
WORDS = 16  # of a sentence that are looked at


@dataclass(frozen=True)
class Costs:
    """What each sentence is about and says of it: topics (U, TOPIC) of unit length, its salient words (U, W)
    int64, −1 for the others, and their nats (U, W)."""

    topics: np.ndarray
    words: np.ndarray
    nats: np.ndarray

    def __getitem__(self, rows: np.ndarray | slice) -> "Costs":
        return Costs(self.topics[rows], self.words[rows], self.nats[rows])


def costs(net: RecallNet, sentences: Ragged, h: Tensor) -> Costs:
    """Salience times surprise of every word, from the states h (T, D) of `net.encode`."""
    with no_grad():
        salient = 1 / (1 + np.exp(-net.salience(Tensor(h.data)).data[:, 0]))
        strange = sentences.values >= net.config.vocabulary
        salient[~strange & (salient < FAINT)] = 0
        salient[strange] = np.maximum(salient[strange], FAINT)
        rows = np.flatnonzero(salient > 0)
        nats = np.zeros(len(salient), np.float32)
        nats[rows] = salient[rows] * _surprise(net, sentences, h, rows)
        topics = net.topics(sentences, h).data
    told = Ragged(np.where(nats > 0, sentences.values, -1), sentences.ends)
    return Costs(topics, told.padded(WORDS), Ragged(nats, sentences.ends).padded(WORDS, 0))


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


def novelty(said: Costs, after: "Recent | None" = None) -> tuple[np.ndarray, np.ndarray]:
    """Events in their order: what each says that is new, in nats (N,), and the newest event before it that
    was written about the same (N,), −1 where there is none: what is not written, that one had said."""
    recent = after or Recent()
    return kernels.novelty(said.topics, said.words, said.nats, NEAR, LEAST, *recent.arrays())


class Recent:
    """The last `WINDOW` written events: topics, words, and how many there ever were."""

    def __init__(self, window: int = WINDOW, width: int = TOPIC):
        self.topics = np.zeros((window, width), np.float32)
        self.words = np.full((window, WORDS), -1, np.int64)
        self.names = np.full(window, -1, np.int64)
        self.count = np.zeros(1, np.int64)

    def arrays(self) -> tuple[np.ndarray, ...]:
        """What the kernel reads and goes on writing into."""
        return self.topics, self.words, self.names, self.count


class Writing:
    """The gate of one reading: `judge` says for events in their order which are to be written."""

    def __init__(self) -> None:
        self.recent = Recent()

    def remember(self, said: Costs) -> None:
        """Events that an earlier reading wrote."""
        ring = self.recent
        for topic, words in zip(said.topics, said.words):
            at = int(ring.count[0]) % len(ring.topics)
            ring.topics[at], ring.words[at] = topic, words
            ring.count[0] += 1

    def judge(self, said: Costs) -> tuple[np.ndarray, np.ndarray]:
        """Which events are written (n,) bool, and their surprises in nats (n,)."""
        nats, _ = novelty(said, self.recent)
        return nats > LEAST, nats


def stacked(rows: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> Costs:
    """Costs of several sentences, given one by one: topic, words and nats of each."""
    return Costs(*(np.stack(parts) for parts in zip(*rows)))
