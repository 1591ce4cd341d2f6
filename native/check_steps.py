"""Checks each kernel of a decode step against NumPy, in buffers that end at a page not to be touched.

Run by check_kernels.py, beside the products. Whole models are checked by stage 04's tests.
"""

from collections.abc import Callable, Iterator

import numpy as np

from chronos.native.blocks import QuantTensor
from chronos.native.steps import Plan

PLACES = 13  # in a cache; the step stands at the last but one
AT = PLACES - 2
SIZES = ((1, 1, 2), (2, 1, 6), (3, 3, 16), (4, 2, 34), (6, 3, 64), (5, 1, 80))  # heads, key heads, width
ALLOWED = 1e-5  # of the largest number
Made = tuple[str, Plan, np.ndarray, np.ndarray]  # name, plan, what it writes, what that should be


def sigmoid(x: np.ndarray) -> np.ndarray:
    """In float64."""
    return 1 / (1 + np.exp(-x.astype(np.float64)))


def plans(rng: np.random.Generator, guarded: Callable[[np.ndarray], np.ndarray]) -> Iterator[Made]:
    """A plan of one step of each kind and size."""

    def some(*shape: int) -> np.ndarray:
        return guarded(rng.standard_normal(shape).astype(np.float32))

    for heads, groups, k in SIZES:
        yield from _rows(some, heads * k)
        yield from _heads(some, heads, k)
        yield from _attention(some, guarded, heads, groups, k)
        yield from _recurrence(some, heads, k)


def _rows(some: Callable, d: int) -> Iterator[Made]:
    x, gain, bias, y, up = some(d), some(d), some(d), some(d), some(2 * d)
    norm = (x - x.mean(dtype=np.float64)) / np.sqrt(x.var(dtype=np.float64) + 1e-5)
    (plan := Plan()).layer_norm(x, gain, bias, 1e-5, y)
    yield "layer_norm", plan, y, norm * gain + bias
    (plan := Plan()).rms_norm(x, gain, 1e-5, y)
    yield "rms_norm", plan, y, x / np.sqrt(np.square(x, dtype=np.float64).mean() + 1e-5) * gain
    for rows in (1, 4, 7):
        w, out, more = some(rows, d), some(rows), some(rows)
        (plan := Plan()).linear(w, x, out, more, add=True)
        yield "linear", plan, out, out + w.astype(np.float64) @ x + more
    table, places, row = some(3, d), some(PLACES, d), some(d)
    (plan := Plan()).embed(table, places, row)
    yield "embed", plan, row, table[2] + places[AT]
    room = some(PLACES, d)
    (plan := Plan()).store(x, room)
    yield "store", plan, room, np.where(np.arange(PLACES)[:, None] == AT, x, room)
    cubic = np.sqrt(2 / np.pi) * (x + 0.044715 * x.astype(np.float64) ** 3)
    for kind, found in (("gelu", x * sigmoid(2 * cubic)), ("relu2", np.maximum(x, 0) ** 2)):
        (plan := Plan()).activation(kind, x, y)
        yield kind, plan, y, found
    (plan := Plan()).activation("swiglu", up, y)
    yield "swiglu", plan, y, up[:d] * sigmoid(up[:d]) * up[d:]
    w, past = some(4, d), some(3, d)
    seen = np.concatenate([past, x[None]])
    (plan := Plan()).conv(x, w, past, y)
    found = (w.astype(np.float64) * seen).sum(0)
    yield "conv", plan, y, found * sigmoid(found)
    past = some(3, d)
    (plan := Plan()).conv(x, w, past, y)
    yield "conv's past", plan, past, np.concatenate([past[1:], x[None]])


def _heads(some: Callable, heads: int, k: int) -> Iterator[Made]:
    x, y, z, gain, rates = some(heads, k), some(heads, k), some(heads, k), some(heads, k), some(heads)
    scale = 1 / np.sqrt(np.square(x, dtype=np.float64).mean(1, keepdims=True) + 1e-5)
    (plan := Plan()).rms_norm(x, gain, 1e-5, y)
    yield "rms_norm by rows", plan, y, x * scale * gain
    (plan := Plan()).gated(x, z, gain[0], 1e-5, y)
    yield "gated", plan, y, sigmoid(z) * x * scale * gain[0]
    turns = np.linspace(0.1, 1, k // 2)
    cos, sin, angles = some(k // 2), some(k // 2), AT * turns
    plan = Plan()
    plan.turns(turns, cos, sin)
    plan.rotary(y, cos, sin)
    a, b = y[:, : k // 2].astype(np.float64), y[:, k // 2 :].astype(np.float64)
    turned = a * np.cos(angles) - b * np.sin(angles), b * np.cos(angles) + a * np.sin(angles)
    yield "rotary", plan, y, np.concatenate(turned, axis=1)
    far = some(heads, k) * np.float32(20)
    softplus = np.logaddexp(0, (far + gain).astype(np.float64))
    (plan := Plan()).decay(far, rates, gain, z)
    yield "decay", plan, z, np.exp(-np.exp(rates.astype(np.float64))[:, None] * softplus)


def _attention(some: Callable, guarded: Callable, heads: int, groups: int, k: int) -> Iterator[Made]:
    q, y = some(heads, k), some(heads, k)
    keys, values = some(PLACES, groups * k), some(PLACES, groups * k)
    for picks in (None, np.array([0, 3, 4, 9, AT], np.int32)):
        at = np.arange(AT + 1) if picks is None else picks
        by_head = (a[at].reshape(len(at), groups, k).astype(np.float64) for a in (keys, values))
        near, held = (np.repeat(a, heads // groups, axis=1) for a in by_head)
        scores = np.einsum("hk,thk->ht", q, near) * 0.3
        p = np.exp(scores - scores.max(1, keepdims=True))
        plan = Plan()
        plan.attend(q, keys, values, y, 0.3, None if picks is None else guarded(picks))
        yield "attend", plan, y, np.einsum("ht,thk->hk", p / p.sum(1, keepdims=True), held)
    index, weights, picks = some(PLACES, k), some(heads), guarded(np.zeros(4, np.int32))
    index[5] = index[2]  # a tie
    scores = weights @ np.maximum(q @ index[: AT + 1].T, 0)
    (plan := Plan()).pick(q, index, weights, 1.0, picks)
    yield "pick", plan, picks, np.sort(np.argsort(-scores, kind="stable")[:4])


def _recurrence(some: Callable, heads: int, k: int) -> Iterator[Made]:
    values = k + 1
    packed, strength, decay = some(heads * (2 * k + values)), some(heads), np.abs(some(heads, k))
    decay, wide = decay / decay.max() / 2, packed.astype(np.float64)
    q, key = wide[: 2 * heads * k].reshape(2, heads, 1, k)
    v = wide[2 * heads * k :].reshape(heads, values, 1)
    for which in ("delta", "delta's state"):
        state, y = some(heads, values, k), some(heads, values)
        old = state.astype(np.float64) * decay[:, None]
        write = 2 * sigmoid(strength)[:, None, None] * (v - (old * key).sum(-1, keepdims=True))
        after = old + write * key
        (plan := Plan()).delta(packed, decay, strength, 2.0, state, y)
        yield which, plan, *((y, (after * q).sum(-1)) if which == "delta" else (state, after))


def check_steps(rng: np.random.Generator, guarded: Callable) -> tuple[int, float]:
    """How many steps were good and how far off at most, of the largest number; or infinity."""
    count, worst = 0, 0.0
    for count, (_, plan, found, expected) in enumerate(plans(rng, guarded), 1):
        expected = expected.astype(np.float64)
        plan.run(2, AT)
        off = float(np.abs(found - expected).max() / max(np.abs(expected).max(), 1e-30))
        if not off <= ALLOWED:
            return count, np.inf
        worst = max(worst, off)
    return count, worst


def check_blocks(run: Callable, rng: np.random.Generator, guarded: Callable) -> tuple[int, float]:
    """Quantized products and rows within a plan are those of `run` (x, packed), bit for bit."""
    from chronos import native

    for qtype in ("Q4_0", "Q8_0"):
        w = native.quantize(rng.standard_normal((5, 64), np.float32), qtype)
        data = guarded(w.data)
        data.flags.writeable = False
        for made in (QuantTensor(qtype, w.shape, data), native.pack(w)):
            x, y, row = (guarded(rng.standard_normal(n).astype(np.float32)) for n in (64, 5, 64))
            before, plan = y.copy(), Plan()
            plan.embed(made, None, row)
            plan.linear(made, x, y, before, add=True)
            plan.run(3, 0)
            pairs = (row, native.dequantize(w)[3]), (y, before + run(x[None], made)[0] + before)
            if not all(np.array_equal(a, b) for a, b in pairs):
                return 0, np.inf
    return 4, 0.0
