"""The ops that models are made of, one class each; `OPS` lists them for the gradient check.

An op is `forward(ctx, *arrays, **settings)` and `backward(ctx, grad)`; a new fused kernel is one more.
"""

from chronos.architecture.ops.activation import GELU, ReLU2, Sigmoid, SwiGLU
from chronos.architecture.ops.attention import Attention
from chronos.architecture.ops.basic import Add, Beside, Dropout, ScaleBy, WeightedSum
from chronos.architecture.ops.dsa import IndexLoss, SparseAttention
from chronos.architecture.ops.evidence import Evidence
from chronos.architecture.ops.kda import DecayGate, DeltaRule, GatedNorm, ShortConv, Strength
from chronos.architecture.ops.linear import ActiveLinear, Embedding, Linear
from chronos.architecture.ops.loss import LinearCrossEntropy, Logistic
from chronos.architecture.ops.norm import LayerNorm, QKNorm, RMSNorm, Rotary
from chronos.architecture.ops.pointer import Pointer
from chronos.architecture.ops.ragged import RaggedAttention, RaggedConv, RaggedPool, TakeRows, UnitRows, Weave
from chronos.architecture.ops.recalled import Recalled
from chronos.architecture.ops.shape import Column, Masked, Reshape, Side, SlotScores
from chronos.architecture.ops.stick import AsOf, Exp, StickRead
from chronos.architecture.ops.words import WordVectors

OPS = (
    ActiveLinear,
    Add,
    AsOf,
    Attention,
    Beside,
    Column,
    DecayGate,
    DeltaRule,
    Dropout,
    Embedding,
    Evidence,
    Exp,
    GatedNorm,
    GELU,
    IndexLoss,
    LayerNorm,
    Linear,
    LinearCrossEntropy,
    Logistic,
    Masked,
    Pointer,
    QKNorm,
    RaggedAttention,
    RaggedConv,
    RaggedPool,
    Recalled,
    ReLU2,
    Reshape,
    RMSNorm,
    Rotary,
    ScaleBy,
    ShortConv,
    Side,
    Sigmoid,
    SlotScores,
    SparseAttention,
    StickRead,
    Strength,
    SwiGLU,
    TakeRows,
    UnitRows,
    Weave,
    WeightedSum,
    WordVectors,
)

__all__ = [
    "GELU",
    "OPS",
    "ActiveLinear",
    "Add",
    "AsOf",
    "Attention",
    "Beside",
    "Column",
    "DecayGate",
    "DeltaRule",
    "Dropout",
    "Embedding",
    "Evidence",
    "Exp",
    "GatedNorm",
    "IndexLoss",
    "LayerNorm",
    "Linear",
    "LinearCrossEntropy",
    "Logistic",
    "Masked",
    "Pointer",
    "QKNorm",
    "RMSNorm",
    "RaggedAttention",
    "RaggedConv",
    "RaggedPool",
    "ReLU2",
    "Recalled",
    "Reshape",
    "Rotary",
    "ScaleBy",
    "ShortConv",
    "Side",
    "Sigmoid",
    "SlotScores",
    "SparseAttention",
    "StickRead",
    "Strength",
    "SwiGLU",
    "TakeRows",
    "UnitRows",
    "Weave",
    "WeightedSum",
    "WordVectors",
]
