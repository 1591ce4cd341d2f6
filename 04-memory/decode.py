"""One token at a time as one compiled call: the plan of a model's step, over the arrays of its state.

The same numbers as calling the model, which is its plain twin, to float32 rounding. Only for one row, and for
causal models whose weights C can read; `decoder` is None for others, and where the C kernels are not there.
"""

import numpy as np

from chronos import native
from chronos.architecture.attention import SelfAttention
from chronos.architecture.dsa import DsaMixer
from chronos.architecture.kda import UNIT_EPS, KdaMixer
from chronos.architecture.layers import Linear, Norm
from chronos.architecture.tape import Tensor
from chronos.memory.model import Model
from chronos.memory.state import State


def decoder(model: Model, state: State | None) -> "Decoder | None":
    """What goes on from a state of one row, or None where only the model itself can."""
    c = model.config
    plain = state is None or len(state.length) != 1 or not c.causal or any(model.taps.attached.values())
    weights = [w for _, w in model.named() if isinstance(w, native.QuantTensor)]
    fit = all(w.type in native.TYPES or isinstance(w, native.PackedTensor) for w in weights)
    if plain or not native.available() or not fit:
        return None
    return None if "dsa" in c.mixers and c.dsa.stage != "sparse" else Decoder(model, state)


class Decoder:
    """`step(token)` reads one token and returns the logits of the next; `state()` ends it."""

    def __init__(self, model: Model, state: State):
        """Goes on from `state` (one row), whose arrays are taken over as a call of the model takes them."""
        self._state = state.writable()
        self._fresh = {  # arrays that a call replaces: others may still hold the old ones
            name: a.copy() for name, a in self._state.items() if name.endswith((".conv", ".delta"))
        }
        self._at = int(state.length[0])
        self._plan = native.Plan()
        c = model.config
        self._logits = np.zeros(c.vocabulary, np.float32)
        self._x, self._normed = (np.zeros(c.width, np.float32) for _ in range(2))
        self._compose(model)

    def step(self, token: int) -> np.ndarray:
        """Logits (E,) after `token`. ChronosError for an id or a place that the model does not have."""
        self._plan.run(int(token), self._at)
        self._at += 1
        return self._logits.copy()

    def state(self) -> State:
        """The state after all tokens so far. The decoder must not be used again."""
        del self._plan  # whoever goes on from the state may write its arrays
        return self._state.advanced(np.array([self._at]), self._fresh)

    def _compose(self, model: Model) -> None:
        c, plan = model.config, self._plan
        positions = model.embed.positions
        plan.embed(_data(model.embed.weight), None if positions is None else positions.data, self._x)
        turns = None
        if c.positions == "rotary":
            pairs = np.arange(0, c.head_width, 2, dtype=np.float64)
            turns = self._turns(c.rope_base ** (-pairs / c.head_width))
        for i, block in enumerate(model.stack.block):
            self._norm(block.norm1, self._x, self._normed)
            names = block.attention.shapes(1)
            arrays = {n: self._fresh.get(f"block.{i}.{n}", self._state[f"block.{i}.{n}"])[0] for n in names}
            if isinstance(block.attention, KdaMixer):
                self._kda(block.attention, arrays)
            else:
                self._attention(block.attention, arrays, turns)
            self._norm(block.norm2, self._x, self._normed)
            hidden = np.zeros(block.ffn.up.weight.shape[0], np.float32)
            active = np.zeros(c.ffn_width, np.float32)
            self._linear(block.ffn.up, self._normed, hidden)
            plan.activation(c.activation, hidden, active)
            self._linear(block.ffn.down, active, self._x, add=True)
        self._norm(model.stack.norm, self._x, self._normed)
        plan.linear(_data(model.output_weight), self._normed, self._logits)

    def _attention(
        self, mixer: SelfAttention, arrays: dict[str, np.ndarray], turns: tuple[np.ndarray, np.ndarray] | None
    ) -> None:
        c, plan = mixer.config, self._plan
        H, G, K = c.heads, c.key_heads, c.head_width
        packed = np.zeros((H + 2 * G, K), np.float32)
        turning = packed[: H + G]
        self._linear(mixer.qkv, self._normed, packed.reshape(-1))
        if mixer.gain is not None:
            plan.rms_norm(turning, mixer.gain.data, c.norm_eps, turning)
        if turns is not None:
            plan.rotary(turning, *turns)
        plan.store(packed[H : H + G].reshape(-1), arrays["k"])
        plan.store(packed[H + G :].reshape(-1), arrays["v"])
        picks = self._picks(mixer, arrays["index"]) if isinstance(mixer, DsaMixer) else None
        read = np.zeros((H, K), np.float32)
        plan.attend(packed[:H], arrays["k"], arrays["v"], read, K**-0.5, picks)
        self._linear(mixer.out, read.reshape(-1), self._x, add=True)

    def _picks(self, mixer: DsaMixer, room: np.ndarray) -> np.ndarray:
        """Where attention is to look, chosen by the indexer, once there are more tokens than it may pick."""
        d, plan, parts = mixer.config.dsa, self._plan, mixer.indexer
        q, key = (np.zeros((n, d.index_width), np.float32) for n in (d.index_heads, 1))
        weights, picks = np.zeros(d.index_heads, np.float32), np.zeros(d.top_k, np.int32)
        self._linear(parts.query, self._normed, q.reshape(-1))
        self._linear(parts.key, self._normed, key[0])
        self._norm(parts.norm, key[0], key[0])
        if d.index_rotary:
            rates, turning = np.zeros(d.index_width // 2), np.arange(d.index_rotary // 2)
            rates[turning] = mixer.config.rope_base ** (-2.0 * turning / d.index_rotary)
            turns = self._turns(rates)
            plan.rotary(q, *turns)
            plan.rotary(key, *turns)
        plan.store(key[0], room)
        self._linear(parts.weight_of_head, self._normed, weights)
        plan.pick(q, room, weights, (d.index_heads * d.index_width) ** -0.5, picks)
        return picks

    def _kda(self, mixer: KdaMixer, arrays: dict[str, np.ndarray]) -> None:
        c, plan = mixer.config, self._plan
        H, K, rank = c.kda_shape
        seen, packed = (np.zeros(3 * H * K, np.float32) for _ in range(2))
        decay, gate, read, gated = (np.zeros((H, K), np.float32) for _ in range(4))
        low, strength = np.zeros(rank, np.float32), np.zeros(H, np.float32)
        self._linear(mixer.qkv, self._normed, seen)
        plan.conv(seen, mixer.conv.data, arrays["conv"], packed)
        keys = packed[: 2 * H * K].reshape(2 * H, K)
        plan.rms_norm(keys, mixer.unit, UNIT_EPS / K, keys)
        self._linear(mixer.decay_down, self._normed, low)
        self._linear(mixer.decay_up, low, decay.reshape(-1))
        plan.decay(decay, mixer.rate.data, mixer.step.data.reshape(H, K), decay)
        self._linear(mixer.strength, self._normed, strength)
        most = 2.0 if c.kda.negative else 1.0
        plan.delta(packed, decay, strength, most, arrays["delta"], read)
        self._linear(mixer.gate_down, self._normed, low)
        self._linear(mixer.gate_up, low, gate.reshape(-1))
        plan.gated(read, gate, mixer.gain.data, c.norm_eps, gated)
        self._linear(mixer.out, gated.reshape(-1), self._x, add=True)

    def _turns(self, rates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        cos, sin = (np.zeros(len(rates), np.float32) for _ in range(2))
        self._plan.turns(rates, cos, sin)
        return cos, sin

    def _linear(self, layer: Linear, x: np.ndarray, y: np.ndarray, add: bool = False) -> None:
        self._plan.linear(_data(layer.weight), x, y, None if layer.bias is None else layer.bias.data, add)

    def _norm(self, norm: Norm, x: np.ndarray, y: np.ndarray) -> None:
        if norm.kind == "layernorm":
            bias = None if norm.bias is None else norm.bias.data
            self._plan.layer_norm(x, norm.weight.data, bias, norm.eps, y)
        else:
            self._plan.rms_norm(x, norm.weight.data, norm.eps, y)


def _data(weight: "Tensor | native.QuantTensor") -> "np.ndarray | native.QuantTensor":
    return weight if isinstance(weight, native.QuantTensor) else weight.data
