"""The shape of a Transformer, as a frozen dataclass that refuses what cannot work.

Other stages extend it; nothing here is read from files.
"""

import math
from dataclasses import dataclass

from chronos.console import ChronosError

NORMS = ("rmsnorm", "layernorm")
POSITIONS = ("rotary", "learned", "none")
ACTIVATIONS = ("swiglu", "relu2", "gelu")


@dataclass(frozen=True)
class TransformerConfig:
    """Everything that decides the parameters' shapes and the function they compute.

    `kv_heads` 0 means as many as `heads`; `hidden` 0 means 4·width (for SwiGLU 8/3·width, rounded up to 32).
    """

    layers: int = 4
    heads: int = 4
    width: int = 128
    context: int = 256
    norm: str = "rmsnorm"
    positions: str = "rotary"
    activation: str = "swiglu"
    tied: bool = True
    kv_heads: int = 0
    hidden: int = 0
    bias: bool = False
    norm_bias: bool = False
    qk_norm: bool = False
    causal: bool = True
    norm_eps: float = 1e-5
    rope_base: float = 10000.0

    def __post_init__(self) -> None:
        for name in ("layers", "heads", "width", "context"):
            if getattr(self, name) < 1:
                raise ChronosError(f"model.{name} must be at least 1", got=getattr(self, name))
        for name in ("kv_heads", "hidden"):
            if getattr(self, name) < 0:
                raise ChronosError(f"model.{name} must not be negative", got=getattr(self, name))
        for name, known in (("norm", NORMS), ("positions", POSITIONS), ("activation", ACTIVATIONS)):
            if getattr(self, name) not in known:
                got = repr(getattr(self, name))
                raise ChronosError(f"unknown model.{name}", expected=" or ".join(known), got=got)
        if self.width % self.heads:
            mend = f"choose heads that divide {self.width}"
            raise ChronosError(
                f"model.width {self.width} does not divide by model.heads {self.heads}", mend=mend
            )
        if self.heads % self.key_heads:
            mend = f"choose kv_heads that divide {self.heads}"
            raise ChronosError(
                f"model.heads {self.heads} does not divide by kv_heads {self.kv_heads}", mend=mend
            )
        if self.positions == "rotary" and self.head_width % 2:
            mend = "change width or heads, or use model.positions=learned"
            raise ChronosError("rotary positions need an even width per head", got=self.head_width, mend=mend)
        for name, least in (("norm_eps", 0), ("rope_base", 1)):
            if not least < getattr(self, name) < math.inf:
                what = f"model.{name} must be a finite number above {least}"
                raise ChronosError(what, got=getattr(self, name))

    @property
    def head_width(self) -> int:
        """K, the width of one head."""
        return self.width // self.heads

    @property
    def key_heads(self) -> int:
        """H_kv, the number of key/value heads."""
        return self.kv_heads or self.heads

    @property
    def ffn_width(self) -> int:
        """F, the hidden width of the feed-forward layer."""
        if self.hidden:
            return self.hidden
        return -(-8 * self.width // 96) * 32 if self.activation == "swiglu" else 4 * self.width
