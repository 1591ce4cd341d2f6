"""DeepSeek Sparse Attention as a layer: an indexer picks earlier tokens, and attention sees these alone.

The indexer reads a copy of the input that passes no gradient, and learns from a loss of its own, which it
leaves in `where.losses`. The arithmetic is in `ops/dsa.py`. Nothing is dropped: what was not picked stays.
"""

import numpy as np

from chronos.architecture import ops
from chronos.architecture.attention import KeyValueCache, SelfAttention, Where, write_rows
from chronos.architecture.config import TransformerConfig
from chronos.architecture.kernels.plain import visible_keys
from chronos.architecture.kernels.workspace import empty
from chronos.architecture.layers import Linear, Module, Norm
from chronos.architecture.ops.dsa import pick, recalled
from chronos.architecture.tape import Tensor, apply, recording


class Indexer(Module):
    """Queries (B, T, H·d), one key (B, T, d) shared by the heads, and the heads' weights (B, T, H).

    Part of d turns with the position: pairs (i, i + d/2) for i below half of that part, not neighbours (an
    early release of the original turned neighbours here, and paid for it).
    """

    def __init__(self, c: TransformerConfig):
        self.config = c
        d = c.dsa
        self.query = Linear(c.width, d.index_heads * d.index_width, bias=False)
        self.key = Linear(c.width, d.index_width, bias=False)
        self.norm = Norm("layernorm", d.index_width, True, c.norm_eps)
        self.weight_of_head = Linear(c.width, d.index_heads, bias=False)

    def __call__(self, x: Tensor, where: Where) -> tuple[Tensor, Tensor, Tensor]:
        x = Tensor(x.data)  # nothing of the indexer's loss reaches the main model
        q, k = self.query(x), self.norm(self.key(x))
        if self.config.dsa.index_rotary:
            cos, sin = self._turns(where.at)
            q = apply(ops.Rotary, q, cos=cos, sin=sin, heads=self.config.dsa.index_heads)
            k = apply(ops.Rotary, k, cos=cos, sin=sin, heads=1)
        return q, k, self.weight_of_head(x)

    def _turns(self, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """cos and sin (B·T, d/2); the pairs that stand still have the angle 0."""
        d = self.config.dsa
        rates = np.zeros(d.index_width // 2)
        turning = np.arange(d.index_rotary // 2)
        rates[turning] = self.config.rope_base ** (-2.0 * turning / d.index_rotary)
        angles = at.reshape(-1, 1) * rates
        return np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)


class IndexedCache(KeyValueCache):
    """A key/value cache with the indexer's keys (B, C, d) beside it."""

    def __init__(self, keys: np.ndarray, values: np.ndarray, index: np.ndarray):
        super().__init__(keys, values)
        self.index = index


class DsaMixer(SelfAttention):
    """(B, T, D) → (B, T, D): `SelfAttention` over the picked tokens."""

    def __init__(self, c: TransformerConfig):
        super().__init__(c)
        self.indexer = Indexer(c)

    def memory(self, arrays: dict[str, np.ndarray]) -> IndexedCache:
        return IndexedCache(arrays["k"], arrays["v"], arrays["index"])

    def shapes(self, B: int) -> dict[str, tuple[int, ...]]:
        return {**super().shapes(B), "index": (B, self.config.context, self.config.dsa.index_width)}

    def _mixed(self, x: Tensor, packed: Tensor, where: Where, cache: IndexedCache | None) -> Tensor:
        c, T = self.config.dsa, packed.shape[1]
        index = q, k, w = self.indexer(x, where)
        if cache is not None:
            write_rows(cache.index, k.data, where.offsets)
        visible = visible_keys(where.offsets, where.lengths, 0, T, True)
        watched = cache is None and (recording() or where.measure)
        dense = c.stage != "sparse" or visible.max() <= c.top_k
        picked = shares = None
        if not dense or (watched and where.measure):
            keys = k.data if cache is None else cache.index
            picked = pick(q.data, keys, w.data, visible, min(c.top_k, int(visible.max())))
        if dense:
            mixed = super()._mixed(x, packed, where, cache)
        else:
            shares = empty(picked.shape, packed.data.dtype) if watched else None
            mixed = self._sparse(packed, picked, shares, cache)
        if watched:
            self._watch(index, packed.data, visible, picked, shares, where)
        return mixed

    def _sparse(
        self, packed: Tensor, picked: np.ndarray, shares: np.ndarray | None, cache: IndexedCache | None
    ) -> Tensor:
        past = None if cache is None else (cache.keys, cache.values)
        heads = {"heads": self.config.heads, "kv_heads": self.config.key_heads}
        return apply(ops.SparseAttention, packed, picked=picked, past=past, shares=shares, **heads)

    def _watch(
        self, index: tuple[Tensor, Tensor, Tensor], packed: np.ndarray, visible: np.ndarray,
        picked: np.ndarray | None, shares: np.ndarray | None, where: Where,
    ) -> None:  # fmt: skip
        """Leave the indexer's loss in `where`, and the share of attention that the picked tokens recall."""
        main = (packed, self.config.heads, self.config.key_heads)
        real = np.arange(packed.shape[1]) < (where.lengths - where.offsets)[:, None]
        chosen = {} if shares is None else {"picked": picked, "shares": shares}
        counted = real if where.counted is None else real & where.counted
        loss = apply(ops.IndexLoss, *index, main=main, visible=visible, counted=counted, **chosen)
        where.losses.setdefault("index", []).append(loss)
        if where.measure:
            where.seen.setdefault("index_recall", []).append(recalled(main, picked, visible)[real])
