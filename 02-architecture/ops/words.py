"""Vectors of words by their ids, known or not: an unknown one has a pattern of its own, drawn by its id.

It knows no spelling: whoever makes ids (stage 03) gives equal words equal ids. Nothing is learned about an
unknown word except how loud such words are and what they have in common.
"""

import numpy as np

from chronos.architecture import kernels
from chronos.architecture.kernels.workspace import empty, zeros
from chronos.architecture.tape import Node, Op
from chronos.console import ChronosError

GOLDEN = 0x9E3779B97F4A7C15  # SplitMix64's step


class WordVectors(Op):
    """Rows of the table for ids below V, ±1 patterns · scale + nonce for all others; all times a number.

        y = times · (emb[id] if id < V else sign_pattern(id) · scale + nonce)

    Tensors: emb (V, D), scale (1,), nonce (D,). Settings: ids (n,) int64 ≥ 0, times. → (n, D). Saves the ids,
    where the unknown ones stand, and their patterns. ChronosError where shapes or ids do not fit.
    """

    @staticmethod
    def forward(
        ctx: Node, emb: np.ndarray, scale: np.ndarray, nonce: np.ndarray, *, ids: np.ndarray,
        times: float = 1.0,
    ) -> np.ndarray:  # fmt: skip
        _check(emb, scale, nonce, ids)
        new = np.flatnonzero(ids >= len(emb))
        y = empty((len(ids), emb.shape[1]), emb.dtype)
        np.take(emb, np.minimum(ids, len(emb) - 1), axis=0, out=y, mode="clip")
        pattern = sign_pattern(ids[new], emb.shape[1]).astype(emb.dtype, copy=False)
        y[new] = pattern * scale + nonce
        y *= emb.dtype.type(times)
        ctx.saved.update(ids=ids, new=new, pattern=pattern, shape=emb.shape, times=times)
        return y

    @staticmethod
    def backward(ctx: Node, grad: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        new, pattern = ctx.saved["new"], ctx.saved["pattern"]
        dy = grad * grad.dtype.type(ctx.saved["times"])
        apart = dy[new]
        dy[new] = 0  # they are no rows of the table, whichever of its rows they are added to below
        demb = zeros(ctx.saved["shape"], dy.dtype)
        kernels.embedding_backward(dy, np.minimum(ctx.saved["ids"], len(demb) - 1), demb)
        return demb, np.asarray([np.vdot(apart, pattern)], dy.dtype), apart.sum(0)


def sign_pattern(ids: np.ndarray, width: int) -> np.ndarray:
    """(n, width) float32 of ±1, for ever the same for an id: ids (n,) int64.

    Bit b of the k-th output of SplitMix64 seeded with the id (Steele, Lea, Flood 2014) is column 64 k + b;
    1 stands for +1.
    """
    words = -(-width // 64)
    steps = np.arange(1, words + 1, dtype=np.uint64) * np.uint64(GOLDEN)  # wraps, as it should
    z = ids.astype(np.uint64)[:, None] + steps
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    bits = np.unpackbits(z.astype("<u8").view(np.uint8), axis=-1, count=width, bitorder="little")
    return bits.astype(np.float32) * 2 - 1


def _check(emb: np.ndarray, scale: np.ndarray, nonce: np.ndarray, ids: np.ndarray) -> None:
    if emb.ndim != 2 or not len(emb):
        raise ChronosError("WordVectors: emb does not fit", expected="(V, D), V ≥ 1", got=emb.shape)
    for name, array, shape in (("scale", scale, (1,)), ("nonce", nonce, emb.shape[1:])):
        if array.shape != shape:
            raise ChronosError(f"WordVectors: {name} does not fit", expected=shape, got=array.shape)
    if ids.ndim != 1 or ids.dtype != np.int64:
        got = f"{ids.shape} {ids.dtype}"
        raise ChronosError("WordVectors: ids do not fit", expected="(n,) int64", got=got)
    if ids.size and ids.min() < 0:
        raise ChronosError("WordVectors: an id is negative", expected="ids ≥ 0", got=int(ids.min()))
