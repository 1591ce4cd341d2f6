"""The fast twin of `novelty_plain.py`: Numba, serial, `nogil`. It checks nothing."""

import numpy as np

from chronos.architecture.kernels.scalars import ZERO, f32, jit


def novelty(keys, words, nats, near, least, recent_keys, recent_words, recent_names, count):
    new, like = np.zeros(len(keys), np.float32), np.full(len(keys), -1, np.int64)
    keys, nats = np.ascontiguousarray(keys, np.float32), np.ascontiguousarray(nats, np.float32)
    _novelty(
        keys, np.ascontiguousarray(words), nats, f32(near), f32(least), recent_keys, recent_words,
        recent_names, count, new, like,
    )  # fmt: skip
    return new, like


@jit
def _dot(a, b):
    total = ZERO
    for i in range(a.shape[0]):
        total += a[i] * b[i]
    return total


@jit
def _novelty(keys, words, nats, near, least, recent_keys, recent_words, recent_names, count, new, like):
    N, W, R = keys.shape[0], words.shape[1], recent_keys.shape[0]
    recent_names[:] = -1
    for i in range(N):
        newest = -1
        for back in range(1, min(count[0], R) + 1):
            at = (count[0] - back) % R
            if _dot(recent_keys[at], keys[i]) >= near:
                newest = at
                break
        total, after = ZERO, 0
        for w in range(W):
            known = False
            if newest >= 0 and words[i, w] >= 0:
                for v in range(after, W):
                    if recent_words[newest, v] == words[i, w]:
                        known, after = True, v + 1
                        break
            if not known:
                total += nats[i, w]
        new[i] = total
        like[i] = recent_names[newest] if newest >= 0 else -1
        if total > least:
            at = count[0] % R
            recent_keys[at, :] = keys[i]
            recent_words[at, :] = words[i]
            recent_names[at] = i
            count[0] += 1
