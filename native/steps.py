"""A decode step as a plan: kernels over arrays that stay where they are, run as one call for each token.

Every shape is checked when a step is added, so that C may trust the plan; the arrays' owner may read them
between two runs. It knows nothing of models: stage 04 writes the plan of one. There is no plain twin here: a
model's ordinary call is that.

    plan = native.Plan(); plan.embed(table, None, x); plan.linear(weight, x, logits); plan.run(token, at)
"""

from collections.abc import Sequence

import numpy as np

from chronos.console import ChronosError
from chronos.native.blocks import PackedTensor, QuantTensor, data_bytes

KINDS = (  # in the order of step.h
    "embed embed_packed rms_norm layer_norm product blocks packed add turns rotary store attend swiglu gelu"
    " relu2 conv decay delta gated pick"
).split()
BLOCKS = ("Q4_0", "Q8_0")  # that products read as files have them; the others are packed for it
TASK_FLOATS = 1 << 14  # weights, or numbers of a cache, that are worth handing to a thread
BAD_INDEX = -5  # of chronos_native.h
POINTERS = ("w", "x", "y", "v", "u", "z", "picks")


class Plan:
    """Steps in the order in which they run. Arrays are float32, C-contiguous, and kept alive by the plan."""

    def __init__(self) -> None:
        self._steps: list[dict] = []
        self._kept: list[np.ndarray] = []
        self._made = None
        self.tokens, self.room = 1 << 31, 1 << 31  # what `run` takes: ids and places below these

    def embed(self, table: np.ndarray | QuantTensor, positions: np.ndarray | None, y: np.ndarray) -> None:
        """y (D,) = the token's row of table (E, D) + the place's row of positions (C, D)."""
        d, rows, v = _width(y), (table if isinstance(table, QuantTensor) else _floats(table)).shape[0], None
        kind, w = _weights(table, (rows, d))
        self.tokens = min(self.tokens, rows)
        if positions is not None:
            places, _ = _shape(positions, 2)
            v = _floats(positions, (places, d))
            self.room = min(self.room, places)
        packed = isinstance(table, PackedTensor)
        room = np.zeros(-(-data_bytes(table.type, (1, d)) // 4), np.float32) if packed else None
        self._add("embed_packed" if packed else "embed", y=y, w=w, v=v, type=kind, z=room, d=d)

    def rms_norm(self, x: np.ndarray, gain: np.ndarray, eps: float, y: np.ndarray) -> None:
        """y = x/√(mean x² + eps) · gain over the last axis of x (…, D); gain (D,), or a row for each of x."""
        d = _floats(x).shape[-1]
        rows, shape = x.size // d, _floats(gain).shape
        gain = _floats(gain, shape if shape in ((d,), (rows, d)) else (d,))
        _floats(y, x.shape)
        step = d if gain.ndim == 2 else 0
        self._add("rms_norm", x=_floats(x), v=gain, y=y, f=eps, items=rows, grain=rows, d=d, k=step)

    def layer_norm(
        self, x: np.ndarray, gain: np.ndarray, bias: np.ndarray | None, eps: float, y: np.ndarray
    ) -> None:
        """y = (x − μ)/√(σ² + eps) · gain + bias: all (D,)."""
        d = _width(x)
        u = None if bias is None else _floats(bias, (d,))
        self._add("layer_norm", x=x, v=_floats(gain, (d,)), u=u, y=_floats(y, (d,)), f=eps, d=d)

    def linear(
        self, weight: np.ndarray | QuantTensor, x: np.ndarray, y: np.ndarray, bias: np.ndarray | None = None,
        add: bool = False,
    ) -> None:  # fmt: skip
        """y (N,) = weight (N, K) x (K,) + bias (N,), or with `add` y plus that."""
        n, k = _width(y), _width(x)
        kind, w = _weights(weight, (n, k))
        v = None if bias is None else _floats(bias, (n,))
        if not kind:
            grain = max(1, TASK_FLOATS // (4 * k)) * 4
            self._add("product", x=x, y=y, w=w, v=v, add=add, items=n, grain=grain, d=k)
            return
        room = np.zeros(n, np.float32) if add else y
        packed = isinstance(weight, PackedTensor)
        self._add("packed" if packed else "blocks", x=x, y=room, w=w, type=kind, items=n, d=k)
        if add:
            self._add("add", x=room, v=v, y=y, d=n)
        elif v is not None:
            self._add("add", x=v, y=y, d=n)

    def turns(self, rates: np.ndarray, cos: np.ndarray, sin: np.ndarray) -> None:
        """cos and sin (R,) of the place times rates (R,) float64."""
        d = _width(cos)
        w = _floats(rates, (d,), np.float64)
        self._add("turns", w=w, y=cos, u=_floats(sin, (d,)), d=d)

    def rotary(self, y: np.ndarray, cos: np.ndarray, sin: np.ndarray) -> None:
        """Turn y (H, K) in place by cos, sin (K/2,)."""
        heads, k = _shape(y, 2)
        v, u = _floats(cos, (k // 2,)), _floats(sin, (k // 2,))
        if k % 2:
            raise ChronosError("rotary positions need an even width per head", got=k)
        self._add("rotary", y=y, v=v, u=u, items=heads, grain=heads, k=k)

    def store(self, x: np.ndarray, room: np.ndarray) -> None:
        """The place's row of room (C, D) = x (D,)."""
        places, d = _shape(room, 2)
        self.room = min(self.room, places)
        self._add("store", x=_floats(x, (d,)), y=room, d=d)

    def attend(
        self, q: np.ndarray, keys: np.ndarray, values: np.ndarray, y: np.ndarray, scale: float,
        picks: np.ndarray | None = None,
    ) -> None:  # fmt: skip
        """y (H, K) = softmax(q kᵀ · scale) v of q (H, K) over the places so far in keys and values (C, G·K).

        With picks (N,) int32, once there are more than N places, over these alone.
        """
        (heads, k), (room, width) = _shape(q, 2), _shape(keys, 2)
        groups = width // k
        if not groups or width % k or heads % groups:
            raise ChronosError("keys do not fit the queries", expected=f"a multiple of {k} wide", got=width)
        self.room = min(self.room, room)
        most = 0 if picks is None else _width(picks, np.int32)
        grain = 1 if k * (most or room) >= TASK_FLOATS else heads
        self._add(
            "attend", x=q, v=keys, u=_floats(values, keys.shape), y=_floats(y, q.shape), f=scale, picks=picks,
            z=np.zeros((heads, room), np.float32), items=heads, grain=grain, d=most, k=k, heads=heads,
            groups=groups, room=room,
        )  # fmt: skip

    def activation(self, kind: str, x: np.ndarray, y: np.ndarray) -> None:
        """y (F,) = gelu or relu2 of x (F,), or swiglu of x (2F,)."""
        d = _width(y)
        if kind not in ("swiglu", "gelu", "relu2"):
            raise ChronosError("unknown activation", expected="swiglu, gelu or relu2", got=repr(kind))
        self._add(kind, x=_floats(x, (2 * d if kind == "swiglu" else d,)), y=y, d=d)

    def conv(self, x: np.ndarray, w: np.ndarray, past: np.ndarray, y: np.ndarray) -> None:
        """y (F,) = SiLU(Σ_j w_j ⊙ (past, x)_j) with w (W, F); past (W − 1, F), which moves on, W ≥ 2."""
        width, d = _shape(w, 2)
        if width < 2:
            raise ChronosError("a convolution over one input", expected="two or more", got=width)
        past = _floats(past, (width - 1, d))
        self._add("conv", x=_floats(x, (d,)), w=w, u=past, y=_floats(y, (d,)), d=d, room=width)

    def decay(self, x: np.ndarray, rate: np.ndarray, bias: np.ndarray, y: np.ndarray) -> None:
        """y (H, K) = exp(−e^rate · softplus(x + bias)): x, bias (H, K), rate (H,)."""
        heads, k = _shape(x, 2)
        self._add(
            "decay", x=x, v=_floats(rate, (heads,)), u=_floats(bias, x.shape), y=_floats(y, x.shape),
            items=heads, grain=heads, k=k,
        )  # fmt: skip

    def delta(
        self, packed: np.ndarray, decay: np.ndarray, strength: np.ndarray, most: float, state: np.ndarray,
        y: np.ndarray,
    ) -> None:  # fmt: skip
        """The delta rule: packed (H(2K + V),) of q, k, v, decay (H, K), β = most · σ(strength (H,)).

        state (H, V, K) becomes that after the token; y (H, V) is what q reads in it.
        """
        heads, values, k = _shape(state, 3)
        self._add(
            "delta", x=_floats(packed, (heads * (2 * k + values),)), v=_floats(decay, (heads, k)),
            z=_floats(strength, (heads,)), f=most, u=state, y=_floats(y, (heads, values)), items=heads,
            grain=max(1, TASK_FLOATS // (values * k)), d=values, k=k, heads=heads,
        )  # fmt: skip

    def gated(self, x: np.ndarray, gate: np.ndarray, gain: np.ndarray, eps: float, y: np.ndarray) -> None:
        """y (H, V) = σ(gate) ⊙ x/√(mean x² + eps) · gain (V,): x, gate (H, V)."""
        heads, d = _shape(x, 2)
        self._add(
            "gated", x=x, v=_floats(gate, x.shape), u=_floats(gain, (d,)), y=_floats(y, x.shape), f=eps,
            items=heads, grain=heads, d=d,
        )  # fmt: skip

    def pick(
        self, q: np.ndarray, keys: np.ndarray, weights: np.ndarray, scale: float, picks: np.ndarray
    ) -> None:
        """picks (N,) int32: the N places of the largest Σ_h weights_h · scale · max(q_h · key, 0), ascending.

        q (H, D), keys (C, D), weights (H,); of equal ones the earlier. Not touched up to N places.
        """
        (heads, d), most = _shape(q, 2), _width(picks, np.int32)
        room = len(_floats(keys, (_shape(keys, 2)[0], d)))
        self.room = min(self.room, room)
        self._add(
            "pick", x=q, w=keys, v=_floats(weights, (heads,)), f=scale, picks=picks, d=d, k=most, heads=heads,
            y=np.zeros(most, np.float32), z=np.zeros(room, np.float32),
        )  # fmt: skip

    def run(self, token: int, at: int) -> None:
        """All steps for the token at place `at`. Raises ChronosError if either is not in the plan's range."""
        whole = all(isinstance(n, int | np.integer) for n in (token, at))
        if not whole or not 0 <= token < self.tokens or not 0 <= at < self.room:
            expected, got = f"below {self.tokens} and {self.room}", (token, at)
            raise ChronosError("token or place out of range", where="plan", expected=expected, got=got)
        if self._made is None:
            self._make()
        done = self._library.chronos_plan_run(self._made, len(self._steps), token, at)
        if done == BAD_INDEX:
            raise ChronosError("picks name places that are not in the cache", where="plan")
        if done:
            raise MemoryError("native: no memory for a step")

    def _make(self) -> None:
        from chronos.native.compiled import ffi, lib

        def field(name: str, value: int | float):
            return ffi.cast("void *", value) if name in POINTERS else value

        steps = [{name: field(name, value) for name, value in step.items()} for step in self._steps]
        self._library, self._made = lib, ffi.new("chronos_step[]", steps)

    def _add(self, kind: str, **fields) -> None:
        step = {"kind": KINDS.index(kind), "items": 1, "grain": 1} | fields
        for name in POINTERS:
            if (array := step.pop(name, None)) is not None:
                self._kept.append(array)
                step[name] = array.ctypes.data
        for name in ("y", "u") if kind != "layer_norm" else ("y",):
            if name in fields and fields[name] is not None and not fields[name].flags.writeable:
                raise ChronosError(f"a plan's {kind} writes an array that is read-only")
        self._steps.append(step)
        self._made = None


def _weights(weight: np.ndarray | QuantTensor, shape: tuple[int, int]) -> tuple[int, np.ndarray]:
    """0 and the matrix, or the number of its type and its blocks or panels."""
    if not isinstance(weight, QuantTensor):
        return 0, _floats(weight, shape)
    from chronos.native.compiled import TYPE_NUMBERS

    packed = isinstance(weight, PackedTensor)
    if weight.shape != shape or not (packed or weight.type in BLOCKS):
        raise ChronosError("weights do not fit a step", expected=(*BLOCKS, shape), got=weight)
    return TYPE_NUMBERS[weight.type], weight.panels if packed else weight.data


def _floats(a: np.ndarray, shape: Sequence[int] | None = None, dtype: type = np.float32) -> np.ndarray:
    there = isinstance(a, np.ndarray) and a.dtype == dtype and a.flags.c_contiguous and a.flags.aligned
    if not there or not a.ndim or not a.size or (shape is not None and a.shape != tuple(shape)):
        got = f"{a.dtype} {a.shape}" if isinstance(a, np.ndarray) else type(a).__name__
        expected = f"{np.dtype(dtype)} {'' if shape is None else tuple(shape)}, contiguous, not empty"
        raise ChronosError("an array does not fit a step", where="plan", expected=expected, got=got)
    return a


def _shape(a: np.ndarray, axes: int) -> tuple[int, ...]:
    if _floats(a).ndim != axes:
        raise ChronosError("an array does not fit a step", where="plan", expected=f"{axes} axes", got=a.shape)
    return a.shape


def _width(a: np.ndarray, dtype: type = np.float32) -> int:
    if _floats(a, None, dtype).ndim != 1:
        raise ChronosError("an array does not fit a step", where="plan", expected="one axis", got=a.shape)
    return len(a)
