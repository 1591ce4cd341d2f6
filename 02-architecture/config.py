"""The shape of a Transformer, as a frozen dataclass that refuses what cannot work.

Other stages extend it; nothing here is read from files.
"""

import math
from dataclasses import dataclass, field

from chronos.console import ChronosError

NORMS = ("rmsnorm", "layernorm")
POSITIONS = ("rotary", "learned", "none")
ACTIVATIONS = ("swiglu", "relu2", "gelu")
MIXERS = ("attention", "kda", "dsa")
STAGES = ("sparse", "dense", "warmup")


@dataclass(frozen=True)
class KdaConfig:
    """Kimi Delta Attention: heads of `head_width` keys and values; 0 is as many, and as wide, as attention's.

    `rank` is the width between the two matrices of a gate, 0 for the head's. With `negative` eigenvalues the
    delta rule may also turn around what a key held (Grazzi et al. 2024).
    """

    heads: int = 0
    head_width: int = 0
    rank: int = 0
    negative: bool = False


@dataclass(frozen=True)
class DsaConfig:
    """DeepSeek Sparse Attention: attend to the `top_k` tokens that an indexer picks out of all earlier ones.

    The indexer has `index_heads` of `index_width`, of which `index_rotary` dimensions turn with the position.
    `stage` is what is trained: `sparse` (attention to the picked), `dense` (to all, the indexer learning
    beside it), or `warmup` (to all, and the indexer alone learns).
    """

    top_k: int = 64
    index_heads: int = 4
    index_width: int = 32
    index_rotary: int = 16
    stage: str = "sparse"


@dataclass(frozen=True)
class TransformerConfig:
    """Everything that decides the parameters' shapes and the function they compute.

    `kv_heads` 0 means as many as `heads`; `hidden` 0 means 4·width (for SwiGLU 8/3·width, rounded up to 32).
    `pattern` names the mixers of the blocks, from the first on and over again: "kda kda kda dsa".
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
    pattern: str = "attention"
    kda: KdaConfig = field(default_factory=KdaConfig)
    dsa: DsaConfig = field(default_factory=DsaConfig)

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
        self._check_mixers()

    def _check_mixers(self) -> None:
        unknown = set(self.pattern.split()) - set(MIXERS)
        if unknown or not self.pattern.strip():
            expected = f"one or more of {', '.join(MIXERS)}"
            raise ChronosError("unknown mixer in model.pattern", expected=expected, got=repr(self.pattern))
        if not self.causal and self.mixers != ("attention",) * self.layers:
            mend = "choose model.causal=true, or model.pattern=attention"
            raise ChronosError("KDA and DSA read from left to right", mend=mend)
        least = {"kda": {"heads": 0, "head_width": 0, "rank": 0}}
        least["dsa"] = {"top_k": 1, "index_heads": 1, "index_width": 2, "index_rotary": 0}
        for part, names in least.items():
            for name, low in names.items():
                if getattr(getattr(self, part), name) < low:
                    got = getattr(getattr(self, part), name)
                    raise ChronosError(f"model.{part}.{name} must be at least {low}", got=got)
        d = self.dsa
        if d.index_width % 2 or d.index_rotary % 2 or d.index_rotary > d.index_width:
            got = f"{d.index_rotary} of {d.index_width}"
            raise ChronosError("model.dsa turns an even part of an even index_width", got=got)
        if d.stage not in STAGES:
            raise ChronosError("unknown model.dsa.stage", expected=" or ".join(STAGES), got=repr(d.stage))

    @property
    def mixers(self) -> tuple[str, ...]:
        """The mixer of each block."""
        names = self.pattern.split()
        return tuple(names[i % len(names)] for i in range(self.layers))

    @property
    def kda_shape(self) -> tuple[int, int, int]:
        """Heads, width of a head, and rank of the gates of KDA."""
        width = self.kda.head_width or self.head_width
        return self.kda.heads or self.heads, width, self.kda.rank or width

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
