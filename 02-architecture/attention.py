"""Self-attention as a layer: one product for q, k and v, optional QK-norm and rotary, a key/value cache.

The arithmetic is in `ops/attention.py`; this file decides what goes in.
"""

from dataclasses import dataclass

import numpy as np

from chronos.architecture import ops
from chronos.architecture.config import TransformerConfig
from chronos.architecture.layers import DropoutPlan, Linear, Module, parameter
from chronos.architecture.tape import Tensor, apply


@dataclass
class Where:
    """Where the tokens of this call stand: positions at (B, T), offsets (B,), valid lengths (B,)."""

    at: np.ndarray
    offsets: np.ndarray
    lengths: np.ndarray
    cos: np.ndarray | None = None
    sin: np.ndarray | None = None


def rotary_rows(at: np.ndarray, head: int, base: float) -> tuple[np.ndarray, np.ndarray]:
    """cos and sin (B·T, K/2) of the angles position · base^(−2i/K)."""
    rates = base ** (-np.arange(0, head, 2, dtype=np.float64) / head)
    angles = at.reshape(-1, 1) * rates
    return np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)


class KeyValueCache:
    """Keys and values of earlier tokens, (B, C, H_kv·K) each with room for C tokens, written in place."""

    def __init__(self, keys: np.ndarray, values: np.ndarray):
        self.keys, self.values = keys, values

    def append(self, k: np.ndarray, v: np.ndarray, offsets: np.ndarray) -> None:
        """Write k, v (B, T, H_kv·K) at each row's own offset."""
        for row, start in enumerate(offsets):
            stop = min(start + k.shape[1], self.keys.shape[1])  # padding may reach past the room
            self.keys[row, start:stop] = k[row, : stop - start]
            self.values[row, start:stop] = v[row, : stop - start]


class SelfAttention(Module):
    """(B, T, D) → (B, T, D); grouped-query when kv_heads < heads (Ainslie et al. 2023)."""

    def __init__(self, c: TransformerConfig):
        self.config = c
        packed = (c.heads + 2 * c.key_heads) * c.head_width
        self.qkv = Linear(c.width, packed, c.bias)
        self.out = Linear(c.heads * c.head_width, c.width, c.bias)
        self.gain = parameter((c.heads + c.key_heads, c.head_width), 1.0) if c.qk_norm else None

    def __call__(
        self, x: Tensor, where: Where, cache: KeyValueCache | None, dropout: DropoutPlan | None
    ) -> Tensor:
        c = self.config
        packed = self.qkv(x)
        if self.gain is not None:
            packed = apply(ops.QKNorm, packed, self.gain, eps=c.norm_eps)
        if where.cos is not None:
            packed = apply(ops.Rotary, packed, cos=where.cos, sin=where.sin, heads=c.heads + c.key_heads)
        past = None
        if cache is not None:
            split = c.heads * c.head_width, (c.heads + c.key_heads) * c.head_width
            _, k, v = np.split(packed.data, split, axis=-1)
            cache.append(k, v, where.offsets)
            past = (cache.keys, cache.values)
        mixed = apply(
            ops.Attention, packed, heads=c.heads, kv_heads=c.key_heads, causal=c.causal,
            offsets=where.offsets, lengths=where.lengths, past=past,
        )  # fmt: skip
        y = self.out(mixed)
        return dropout(y) if dropout else y
