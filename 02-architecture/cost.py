"""What a model costs: parameters and floating-point operations, counted from its shapes.

Counts are of multiply-adds twice (2 FLOP each); elementwise work is left out, as is customary.
"""

from chronos.architecture.config import TransformerConfig


def table(c: TransformerConfig, vocabulary: int) -> list[dict[str, int | str]]:
    """Rows {part, parameters, flops_forward (a token, at full context)} of one model."""
    packed = (c.heads + 2 * c.key_heads) * c.head_width
    twice = 2 if c.activation == "swiglu" else 1
    norm = c.width * (2 if c.norm == "layernorm" and (c.bias or c.norm_bias) else 1)
    bias = int(c.bias)
    attention = c.width * packed + c.heads * c.head_width * c.width + bias * (packed + c.width)
    attention += (c.heads + c.key_heads) * c.head_width if c.qk_norm else 0
    ffn = (twice + 1) * c.width * c.ffn_width + bias * (twice * c.ffn_width + c.width)
    mean_keys = (c.context + 1) / 2 if c.causal else c.context
    scores = round(4 * mean_keys * c.heads * c.head_width)
    positions = c.context * c.width if c.positions == "learned" else 0
    head = vocabulary * c.width
    rows = [
        ("embedding", head + positions, 0),
        ("attention", c.layers * attention, c.layers * (2 * (c.width * packed + c.width**2) + scores)),
        ("feed-forward", c.layers * ffn, c.layers * 2 * (twice + 1) * c.width * c.ffn_width),
        ("norms", (2 * c.layers + 1) * norm, 0),
        ("head", 0 if c.tied else head, 2 * head),
    ]
    rows.append(("all", sum(row[1] for row in rows), sum(row[2] for row in rows)))
    return [{"part": p, "parameters": n, "flops_forward": f} for p, n, f in rows]


def flops_per_token(c: TransformerConfig, vocabulary: int) -> int:
    """Training cost of a token: forward once, backward twice as much."""
    return 3 * int(table(c, vocabulary)[-1]["flops_forward"])
