"""The ops that models are made of, one class each; `OPS` lists them for the gradient check.

An op is `forward(ctx, *arrays, **settings)` and `backward(ctx, grad)`; a new fused kernel is one more.
"""

from chronos.architecture.ops.activation import GELU, ReLU2, SwiGLU
from chronos.architecture.ops.attention import Attention
from chronos.architecture.ops.basic import Add, Beside, Dropout
from chronos.architecture.ops.dsa import IndexLoss, SparseAttention
from chronos.architecture.ops.evidence import Evidence
from chronos.architecture.ops.kda import DecayGate, DeltaRule, GatedNorm, ShortConv, Strength
from chronos.architecture.ops.linear import Embedding, Linear
from chronos.architecture.ops.loss import LinearCrossEntropy
from chronos.architecture.ops.norm import LayerNorm, QKNorm, RMSNorm, Rotary
from chronos.architecture.ops.pointer import Pointer
from chronos.architecture.ops.stick import AsOf, Exp, StickRead

OPS = (
    Add,
    AsOf,
    Attention,
    Beside,
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
    Pointer,
    QKNorm,
    ReLU2,
    RMSNorm,
    Rotary,
    ShortConv,
    SparseAttention,
    StickRead,
    Strength,
    SwiGLU,
)

__all__ = [
    "GELU",
    "OPS",
    "Add",
    "AsOf",
    "Attention",
    "Beside",
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
    "Pointer",
    "QKNorm",
    "RMSNorm",
    "ReLU2",
    "Rotary",
    "ShortConv",
    "SparseAttention",
    "StickRead",
    "Strength",
    "SwiGLU",
]
