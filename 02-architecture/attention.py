"""Self-attention as a layer: one product for q, k and v, optional QK-norm and rotary, a key/value cache.

The arithmetic is in `ops/attention.py`; this file decides what goes in.
"""

from dataclasses import dataclass, field

import numpy as np

from chronos.architecture import ops
from chronos.architecture.config import TransformerConfig
from chronos.architecture.layers import DropoutPlan, Linear, Module, parameter
from chronos.architecture.tape import Tensor, apply


@dataclass
class Where:
    """Where the tokens of this call stand: positions at (B, T), offsets (B,), valid lengths (B,).

    `counted` (B, T) says which tokens the losses beside the main one are about (None: all real ones). Blocks
    leave such losses, scalar tensors by name, in `losses`, and with `measure` what is just watched in `seen`.
    """

    at: np.ndarray
    offsets: np.ndarray
    lengths: np.ndarray
    cos: np.ndarray | None = None
    sin: np.ndarray | None = None
    counted: np.ndarray | None = None
    measure: bool = False
    losses: dict[str, list[Tensor]] = field(default_factory=dict)
    seen: dict[str, list[np.ndarray]] = field(default_factory=dict)


def rotary_rows(at: np.ndarray, head: int, base: float) -> tuple[np.ndarray, np.ndarray]:
    """cos and sin (B·T, K/2) of the angles position · base^(−2i/K)."""
    rates = base ** (-np.arange(0, head, 2, dtype=np.float64) / head)
    angles = at.reshape(-1, 1) * rates
    return np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)


def write_rows(room: np.ndarray, rows: np.ndarray, offsets: np.ndarray) -> None:
    """Put rows (B, T, F) into room (B, C, F), each batch row at its own offset."""
    for row, start in enumerate(offsets):
        stop = min(start + rows.shape[1], room.shape[1])  # padding may reach past the room
        room[row, start:stop] = rows[row, : stop - start]


class KeyValueCache:
    """Keys and values of earlier tokens, (B, C, H_kv·K) each with room for C tokens, written in place."""

    def __init__(self, keys: np.ndarray, values: np.ndarray):
        self.keys, self.values = keys, values

    def append(self, k: np.ndarray, v: np.ndarray, offsets: np.ndarray) -> None:
        """Write k, v (B, T, H_kv·K) at each row's own offset."""
        write_rows(self.keys, k, offsets)
        write_rows(self.values, v, offsets)

    def changed(self) -> dict[str, np.ndarray]:
        """Arrays that take the place of the state's; here none, for keys and values are written in place."""
        return {}


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
        packed = self._packed(x, where)
        if cache is not None:
            cache.append(*self._keys_and_values(packed), where.offsets)
        y = self.out(self._mixed(x, packed, where, cache))
        return dropout(y) if dropout else y

    def memory(self, arrays: dict[str, np.ndarray]) -> KeyValueCache:
        """What this layer reads and writes in the state's arrays, named as in `shapes`."""
        return KeyValueCache(arrays["k"], arrays["v"])

    def shapes(self, B: int) -> dict[str, tuple[int, ...]]:
        """Name → shape of this layer's arrays in the state of B rows."""
        room = (B, self.config.context, self.config.key_heads * self.config.head_width)
        return {"k": room, "v": room}

    def _packed(self, x: Tensor, where: Where) -> Tensor:
        c = self.config
        packed = self.qkv(x)
        if self.gain is not None:
            packed = apply(ops.QKNorm, packed, self.gain, eps=c.norm_eps)
        if where.cos is not None:
            packed = apply(ops.Rotary, packed, cos=where.cos, sin=where.sin, heads=c.heads + c.key_heads)
        return packed

    def _keys_and_values(self, packed: Tensor) -> tuple[np.ndarray, np.ndarray]:
        c = self.config
        split = c.heads * c.head_width, (c.heads + c.key_heads) * c.head_width
        _, k, v = np.split(packed.data, split, axis=-1)
        return k, v

    def _mixed(self, x: Tensor, packed: Tensor, where: Where, cache: KeyValueCache | None) -> Tensor:
        """What each query reads, (B, T, H·K); the input x is there for layers that look at it again."""
        c = self.config
        return apply(
            ops.Attention, packed, heads=c.heads, kv_heads=c.key_heads, causal=c.causal,
            offsets=where.offsets, lengths=where.lengths,
            past=None if cache is None else (cache.keys, cache.values),
        )  # fmt: skip
