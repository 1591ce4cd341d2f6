"""What a model costs: parameters and floating-point operations, counted from its shapes.

Counts are of multiply-adds twice (2 FLOP each); elementwise work is left out, as is customary.
"""

from chronos.architecture.config import TransformerConfig
from chronos.architecture.kda import CONV_WIDTH


def table(c: TransformerConfig, vocabulary: int) -> list[dict[str, int | str]]:
    """Rows {part, parameters, flops_forward (a token, at full context)} of one model."""
    twice = 2 if c.activation == "swiglu" else 1
    norm = c.width * (2 if c.norm == "layernorm" and (c.bias or c.norm_bias) else 1)
    ffn = (twice + 1) * c.width * c.ffn_width + int(c.bias) * (twice * c.ffn_width + c.width)
    positions = c.context * c.width if c.positions == "learned" else 0
    head = vocabulary * c.width
    mixers = [
        (kind, *(c.mixers.count(kind) * n for n in count(c)))
        for kind, count in (("attention", _attention), ("kda", _kda), ("dsa", _dsa))
        if kind in c.mixers
    ]
    rows = [
        ("embedding", head + positions, 0),
        *mixers,
        ("feed-forward", c.layers * ffn, c.layers * 2 * (twice + 1) * c.width * c.ffn_width),
        ("norms", (2 * c.layers + 1) * norm, 0),
        ("head", 0 if c.tied else head, 2 * head),
    ]
    rows.append(("all", sum(row[1] for row in rows), sum(row[2] for row in rows)))
    return [{"part": p, "parameters": n, "flops_forward": f} for p, n, f in rows]


def _projections(c: TransformerConfig) -> tuple[int, int]:
    """Parameters and FLOPs of the products around the scores of one block."""
    packed = (c.heads + 2 * c.key_heads) * c.head_width
    parameters = c.width * packed + c.heads * c.head_width * c.width + int(c.bias) * (packed + c.width)
    parameters += (c.heads + c.key_heads) * c.head_width if c.qk_norm else 0
    return parameters, 2 * (c.width * packed + c.width**2)


def _attention(c: TransformerConfig) -> tuple[int, int]:
    parameters, flops = _projections(c)
    mean_keys = (c.context + 1) / 2 if c.causal else c.context
    return parameters, flops + round(4 * mean_keys * c.heads * c.head_width)


def _kda(c: TransformerConfig) -> tuple[int, int]:
    """A token decays, reads, writes and reads the state again: four multiply-adds an element."""
    H, K, rank = c.kda_shape
    matrices = 4 * c.width * H * K + c.width * H + 2 * rank * (c.width + H * K)
    conv = CONV_WIDTH * 3 * H * K
    vectors = H + H * K + K + int(c.bias) * c.width
    return matrices + conv + vectors, 2 * (matrices + conv) + 8 * H * K * K


def _dsa(c: TransformerConfig) -> tuple[int, int]:
    """The indexer looks at all earlier tokens, attention at the picked ones."""
    parameters, flops = _projections(c)
    H, d, k = c.dsa.index_heads, c.dsa.index_width, min(c.dsa.top_k, c.context)
    index = c.width * (H * d + d + H)
    picked = k - k * (k - 1) / (2 * c.context)  # the first tokens see fewer than k
    scores = 2 * H * (d + 1) * (c.context + 1) / 2 + 4 * picked * c.heads * c.head_width
    return parameters + index + 2 * d, flops + 2 * index + round(scores)


def flops_per_token(c: TransformerConfig, vocabulary: int) -> int:
    """Training cost of a token: forward once, backward twice as much."""
    return 3 * int(table(c, vocabulary)[-1]["flops_forward"])
