"""The ops that models are made of, one class each; `OPS` lists them for the gradient check.

An op is `forward(ctx, *arrays, **settings)` and `backward(ctx, grad)`; a new fused kernel is one more.
"""

from chronos.architecture.ops.activation import GELU, ReLU2, SwiGLU
from chronos.architecture.ops.attention import Attention
from chronos.architecture.ops.basic import Add, Dropout
from chronos.architecture.ops.linear import Embedding, Linear
from chronos.architecture.ops.loss import LinearCrossEntropy
from chronos.architecture.ops.norm import LayerNorm, QKNorm, RMSNorm, Rotary

OPS = (
    Add,
    Attention,
    Dropout,
    Embedding,
    GELU,
    LayerNorm,
    Linear,
    LinearCrossEntropy,
    QKNorm,
    ReLU2,
    RMSNorm,
    Rotary,
    SwiGLU,
)

__all__ = [
    "GELU",
    "OPS",
    "Add",
    "Attention",
    "Dropout",
    "Embedding",
    "LayerNorm",
    "Linear",
    "LinearCrossEntropy",
    "QKNorm",
    "RMSNorm",
    "ReLU2",
    "Rotary",
    "SwiGLU",
]
