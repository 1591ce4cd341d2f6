"""What an event says that no recent one has said: the definition of the kernel behind the surprise gate.

Sequential by nature: whether an event counts as said depends on which earlier ones were written. It writes
nothing to disk. Its fast twin is novelty_fast.py.
"""

import numpy as np


def novelty(
    keys: np.ndarray, words: np.ndarray, nats: np.ndarray, near: float, least: float,
    recent_keys: np.ndarray, recent_words: np.ndarray, recent_names: np.ndarray, count: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Events in their order: new nats of each (N,) float32; the newest written one about the same (N,), −1.

    keys (N, K) of unit length; words (N, W) int64, −1 for none, with their costs nats (N, W). Of an event,
    the words cost nothing that stand, in the same order, in the newest of the written events whose key has a
    cosine of `near` or more with its own: "from Giza to Maadi" does not say "from Maadi to Giza". What costs
    more than `least` in all is written: into the ring of the last R written events, recent_keys (R, K),
    recent_words (R, W), recent_names (R,), their place among these N (−1 for those of earlier calls), and
    count (1,), how many were written in all.
    """
    N, R = len(keys), len(recent_keys)
    new, like = np.zeros(N, np.float32), np.full(N, -1, np.int64)
    recent_names[:] = -1
    for i in range(N):
        newest = -1
        for back in range(1, min(int(count[0]), R) + 1):
            at = (int(count[0]) - back) % R
            if recent_keys[at] @ keys[i] >= near:
                newest = at
                break
        rest = recent_words[newest].tolist() if newest >= 0 else []
        for word, cost in zip(words[i].tolist(), nats[i]):
            if word >= 0 and word in rest:
                rest = rest[rest.index(word) + 1 :]
            else:
                new[i] += cost
        like[i] = recent_names[newest] if newest >= 0 else -1
        if new[i] > least:
            at = int(count[0]) % R
            recent_keys[at], recent_words[at], recent_names[at] = keys[i], words[i], i
            count[0] += 1
    return new, like
