"""The Transformer's shape: what is refused, what it costs, how it starts, positions, the key/value cache."""

import numpy as np
import pytest

from chronos.architecture import cost
from chronos.architecture.attention import KeyValueCache, Where, rotary_rows
from chronos.architecture.config import DsaConfig, KdaConfig, TransformerConfig
from chronos.architecture.layers import Taps
from chronos.architecture.tape import Tensor, no_grad
from chronos.architecture.transformer import INIT_STD, Stack, initialize
from chronos.console import ChronosError
from chronos.memory.config import ModelConfig
from chronos.memory.model import Model

SHAPES = {
    "default": {},
    "published": {"norm": "layernorm", "positions": "learned", "activation": "gelu", "bias": True},
    "norm bias alone": {"norm": "layernorm", "norm_bias": True, "positions": "none", "activation": "relu2"},
    "grouped": {"kv_heads": 2, "qk_norm": True, "tied": False},
    "one key head": {"kv_heads": 1, "hidden": 50, "bias": True, "causal": False},
    "then": {"pattern": "kda dsa", "positions": "none", "qk_norm": True, "bias": True},
    "then, other sizes": {"pattern": "dsa kda kda", "kda": KdaConfig(3, 7, 5), "dsa": DsaConfig(4, 3, 10, 4)},
}


def small(**settings) -> TransformerConfig:
    return TransformerConfig(**{"layers": 2, "heads": 4, "width": 32, "context": 16} | settings)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"layers": 0}, "model.layers must be at least 1, got 0"),
        ({"heads": -4}, "model.heads must be at least 1, got -4"),
        ({"width": -32}, "model.width must be at least 1, got -32"),
        ({"context": 0}, "model.context must be at least 1, got 0"),
        ({"heads": 5}, "model.width 32 does not divide by model.heads 5; choose heads that divide 32"),
        ({"kv_heads": 3}, "model.heads 4 does not divide by kv_heads 3; choose kv_heads that divide 4"),
        ({"kv_heads": 8}, "model.heads 4 does not divide by kv_heads 8"),
        ({"kv_heads": -1}, "model.kv_heads must not be negative"),
        ({"hidden": -5}, "model.hidden must not be negative"),
        ({"norm": "batchnorm"}, "unknown model.norm, expected rmsnorm or layernorm, got 'batchnorm'"),
        ({"positions": "alibi"}, "unknown model.positions"),
        ({"activation": "tanh"}, "unknown model.activation"),
        ({"width": 36, "heads": 12}, "rotary positions need an even width per head, got 3"),
        ({"norm_eps": 0.0}, "model.norm_eps must be a finite number above 0, got 0.0"),
        ({"norm_eps": float("nan")}, "model.norm_eps must be"),
        ({"rope_base": 1.0}, "model.rope_base must be a finite number above 1"),
        ({"rope_base": float("inf")}, "model.rope_base must be"),
        (
            {"pattern": "kda dsb"},
            "unknown mixer in model.pattern, expected one or more of attention, kda, dsa",
        ),
        ({"pattern": " "}, "unknown mixer in model.pattern"),
        ({"pattern": "attention kda", "causal": False}, "KDA and DSA read from left to right; choose"),
        ({"kda": KdaConfig(heads=-1)}, "model.kda.heads must be at least 0, got -1"),
        ({"dsa": DsaConfig(top_k=0)}, "model.dsa.top_k must be at least 1, got 0"),
        ({"dsa": DsaConfig(index_width=5)}, "model.dsa turns an even part of an even index_width"),
        ({"dsa": DsaConfig(index_rotary=34)}, "an even part of an even index_width, got 34 of 32"),
        (
            {"dsa": DsaConfig(stage="warm")},
            "unknown model.dsa.stage, expected sparse or dense or warmup, got 'warm'",
        ),
    ],
)
def test_what_cannot_work_is_refused(settings, told):
    with pytest.raises(ChronosError) as refused:
        small(**settings)
    assert told in str(refused.value)


def test_odd_heads_need_no_rotary():
    assert small(width=36, heads=12, positions="learned").head_width == 3


def test_the_pattern_is_repeated():
    assert small(layers=5, pattern="kda kda dsa").mixers == ("kda", "kda", "dsa", "kda", "kda")
    assert small(layers=2, pattern="attention", causal=False).mixers == ("attention", "attention")
    assert small().kda_shape == (4, 8, 8) and small(kda=KdaConfig(3, 5)).kda_shape == (3, 5, 5)


def test_hidden_widths():
    assert small(activation="gelu").ffn_width == 128
    assert small(activation="swiglu").ffn_width == 96  # 8/3 · 32 = 85.3, up to a multiple of 32
    assert small(width=384, heads=6).ffn_width == 1024
    assert small(hidden=7).ffn_width == 7


def norms_in(kind: str, c: TransformerConfig) -> int:
    """Gains of the indexers' norms, which are weights but no products."""
    return c.mixers.count("dsa") * c.dsa.index_width if kind == "dsa" else 0


def scores(kind: str, c: TransformerConfig) -> int:
    """FLOPs of one block beside its matrices, for the mean token: counted token by token."""
    before = np.arange(1, c.context + 1) if c.causal else np.full(c.context, c.context)
    if kind == "kda":
        H, K, _ = c.kda_shape
        return 8 * H * K * K
    seen = before if kind == "attention" else np.minimum(before, c.dsa.top_k)
    index = 2 * c.dsa.index_heads * (c.dsa.index_width + 1) * before.mean() if kind == "dsa" else 0
    return round(index + 4 * c.width * seen.mean())


@pytest.mark.parametrize("shape", SHAPES)
def test_costs_are_those_of_the_model(shape):
    config = small(**SHAPES[shape])
    model = Model(ModelConfig(**{**vars(config)}, vocabulary=50))
    sizes = {name: p.data.size for name, p in model.parameters().items()}
    rows = {row["part"]: row for row in cost.table(config, 50)}
    assert rows["all"]["parameters"] == sum(sizes.values())
    embedding = sum(size for name, size in sizes.items() if name.startswith("embed."))
    assert rows["embedding"]["parameters"] == embedding
    for kind in set(config.mixers):
        inside = tuple(
            f"stack.block.{i}.attention." for i, mixer in enumerate(config.mixers) if mixer == kind
        )
        found = {name: size for name, size in sizes.items() if name.startswith(inside)}
        assert rows[kind]["parameters"] == sum(found.values())
        blocks = config.mixers.count(kind)
        products = sum(size for name, size in found.items() if name.endswith((".weight", ".conv")))
        assert rows[kind]["flops_forward"] == 2 * (products - norms_in(kind, config)) + blocks * scores(
            kind, config
        )
    assert cost.flops_per_token(config, 50) == 3 * rows["all"]["flops_forward"]


# ---- initial numbers ---------------------------------------------------------------------------------------


def test_initial_numbers():
    config = small(width=64, layers=8, norm="layernorm", bias=True, qk_norm=True)
    stack = Stack(config)
    initialize(stack, config.layers, 1)
    again = Stack(config)
    initialize(again, config.layers, 1)
    for name, p in stack.parameters().items():
        assert np.array_equal(p.data, again.parameters()[name].data)
        if name.endswith("bias"):
            assert not p.data.any()
        elif p.data.ndim < 2 or name.endswith("gain"):
            assert (p.data == 1).all()
        else:
            into_stream = name.endswith(("out.weight", "down.weight"))
            assert np.isclose(p.data.std(), INIT_STD / 4 if into_stream else INIT_STD, rtol=0.05)


def test_a_deeper_model_starts_with_the_same_lower_blocks_but_for_scale():
    """Numbers come from the parameter's name, not from how many were drawn before."""
    short, deep = (Stack(small(layers=n)) for n in (2, 3))
    initialize(short, 2, 5)
    initialize(deep, 3, 5)
    a, b = (s.parameters()["block.1.attention.qkv.weight"].data for s in (short, deep))
    assert np.array_equal(a, b)


# ---- the stack ---------------------------------------------------------------------------------------------


def run_stack(stack: Stack, x: np.ndarray, at: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    with no_grad():
        where = Where(at, np.zeros(len(x), np.int64), lengths)
        return stack(Tensor(x), where, None, None, Taps()).data


def made(seed: int = 0, **settings) -> tuple[Stack, np.ndarray, np.ndarray]:
    """A stack with large enough numbers to see effects, an input, and its positions."""
    config = small(**settings)
    stack = Stack(config)
    rng = np.random.default_rng(seed)
    for p in stack.parameters().values():
        p.data[...] += rng.standard_normal(p.shape) * 0.3
    x = rng.standard_normal((2, 9, config.width)).astype(np.float32)
    return stack, x, np.tile(np.arange(9), (2, 1))


def test_blocks_start_as_the_identity_when_their_outputs_are_zero():
    stack = Stack(small())
    x = np.random.default_rng(0).standard_normal((2, 9, 32)).astype(np.float32)
    rms = x / np.sqrt(np.square(x).mean(-1, keepdims=True) + 1e-5)
    y = run_stack(stack, x, np.tile(np.arange(9), (2, 1)), np.array([9, 9]))
    assert np.allclose(y, rms, atol=1e-6)


def test_rotary_sees_distances_alone():
    """All positions moved by 1,000: the same output; stretched: another."""
    stack, x, at = made()
    lengths = np.array([9, 9])
    y = run_stack(stack, x, at, lengths)
    assert np.allclose(run_stack(stack, x, at + 1000, lengths), y, atol=2e-4)
    assert np.abs(run_stack(stack, x, at * 2, lengths) - y).max() > 0.01


def test_rotary_rows_are_exact_far_out():
    """Angles are made in float64: position 1,000,000 is not rounded away."""
    at = np.array([[0, 1, 10**6]])
    cos, sin = rotary_rows(at, 8, 10000.0)
    angles = np.array([[p * 10000.0 ** (-2 * i / 8) for i in range(4)] for p in at[0].tolist()])
    assert cos.dtype == sin.dtype == np.float32
    assert np.allclose(cos, np.cos(angles), atol=1e-6) and np.allclose(sin, np.sin(angles), atol=1e-6)


def test_without_positions_order_does_not_matter():
    stack, x, at = made(positions="none", causal=False)
    order = np.random.default_rng(3).permutation(9)
    y = run_stack(stack, x, at, np.array([9, 9]))
    assert np.allclose(run_stack(stack, x[:, order], at, np.array([9, 9])), y[:, order], atol=1e-4)


@pytest.mark.parametrize("causal", [True, False])
def test_who_sees_whom(causal):
    """A change at position 4 reaches later positions, and earlier ones in both directions only."""
    stack, x, at = made(causal=causal)
    changed = x.copy()
    changed[0, 4] += 1
    before, after = (run_stack(stack, a, at, np.array([9, 9])) for a in (x, changed))
    touched = np.abs(after - before).max(-1) > 0
    assert not touched[1].any()
    assert touched[0].tolist() == ([False] * 4 + [True] * 5 if causal else [True] * 9)


def test_bidirectional_rows_see_their_valid_keys_alone():
    stack, x, at = made(causal=False)
    y = run_stack(stack, x, at, np.array([9, 6]))
    changed = x.copy()
    changed[1, 6:] = 1e6
    again = run_stack(stack, changed, at, np.array([9, 6]))
    assert np.array_equal(again[0], y[0]) and np.array_equal(again[1, :6], y[1, :6])
    alone = run_stack(stack, x[1:, :6], at[1:, :6], np.array([6]))
    assert np.allclose(y[1, :6], alone[0], atol=1e-5)


# ---- the cache ---------------------------------------------------------------------------------------------


def test_the_cache_is_written_at_each_rows_offset():
    cache = KeyValueCache(np.zeros((3, 5, 2), np.float32), np.zeros((3, 5, 2), np.float32))
    k = np.arange(1, 13, dtype=np.float32).reshape(3, 2, 2)
    cache.append(k, -k, np.array([0, 3, 4]))  # the last row's padding reaches past the room
    expected = np.zeros((3, 5, 2), np.float32)
    expected[0, :2], expected[1, 3:], expected[2, 4] = k[0], k[1], k[2, 0]
    assert np.array_equal(cache.keys, expected) and np.array_equal(cache.values, -expected)
