"""Make tests/fixtures/gpt_*.safetensors: loss and gradients of small GPTs, and steps of AdamW, by PyTorch.

The models are written plainly, from their formulas, and it imports nothing of ours, so a fixture cannot
agree with us by construction; only the names of the weights are ours. Everything is computed in float64
from float32 weights. Needs `torch`: `python tests/oracle/make_gpt_fixture.py`.
"""

import json
import math
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

FOLDER = Path(__file__).parent.parent / "fixtures"
Weights = dict[str, torch.Tensor]

COMMON = {"layers": 2, "width": 24, "context": 12, "vocabulary": 37, "norm_eps": 1e-5}
MODELS = {
    # GPT-2: LayerNorm, biases everywhere, learned positions, GELU (tanh), the head is the embedding
    "gpt2": COMMON
    | {"heads": 3, "norm": "layernorm", "bias": True, "positions": "learned"}
    | {"activation": "gelu", "tied": True},
    # as models are built now: RMSNorm, rotary positions, SwiGLU, QK-norm, two heads to a key head, own head
    "modern": COMMON
    | {"heads": 4, "kv_heads": 2, "norm": "rmsnorm", "positions": "rotary", "rope_base": 100.0}
    | {"activation": "swiglu", "qk_norm": True, "tied": False},
    # bidirectional with padded rows: ReLU², no positions, one key head for all, norms with biases alone
    "both_ways": COMMON
    | {"heads": 4, "kv_heads": 1, "norm": "layernorm", "norm_bias": True, "positions": "none"}
    | {"activation": "relu2", "hidden": 40, "causal": False, "tied": True},
}


def initial(c: dict) -> Weights:
    """Random float32 weights, large enough that every part of the model matters."""
    heads, kv_heads, width = c["heads"], c.get("kv_heads", c["heads"]), c["width"]
    head = width // heads
    hidden = c.get("hidden") or (64 if c["activation"] == "swiglu" else 4 * width)
    shapes = {"embed.weight": (c["vocabulary"], width)}
    if c["positions"] == "learned":
        shapes["embed.positions"] = (c["context"], width)
    for i in range(c["layers"]):
        at = f"stack.block.{i}"
        linears = {
            f"{at}.attention.qkv": ((heads + 2 * kv_heads) * head, width),
            f"{at}.attention.out": (width, width),
            f"{at}.ffn.up": (hidden * (2 if c["activation"] == "swiglu" else 1), width),
            f"{at}.ffn.down": (width, hidden),
        }
        for name, shape in linears.items():
            shapes[f"{name}.weight"] = shape
            if c.get("bias"):
                shapes[f"{name}.bias"] = shape[:1]
        if c.get("qk_norm"):
            shapes[f"{at}.attention.gain"] = (heads + kv_heads, head)
    for norm in [f"stack.block.{i}.norm{n}" for i in range(c["layers"]) for n in (1, 2)] + ["stack.norm"]:
        shapes[f"{norm}.weight"] = (width,)
        if c.get("bias") or c.get("norm_bias"):
            shapes[f"{norm}.bias"] = (width,)
    if not c["tied"]:
        shapes["head.weight"] = (c["vocabulary"], width)
    made = {name: torch.randn(shape, dtype=torch.float32) * 0.25 for name, shape in shapes.items()}
    gains = [name for name in made if "gain" in name or ("norm" in name and name.endswith("weight"))]
    return made | {name: 1 + made[name] for name in gains}


def norm(c: dict, w: Weights, name: str, x: torch.Tensor) -> torch.Tensor:
    if c["norm"] == "layernorm":
        x = x - x.mean(-1, keepdim=True)
    x = x / torch.sqrt((x * x).mean(-1, keepdim=True) + c["norm_eps"])
    return x * w[f"{name}.weight"] + w.get(f"{name}.bias", 0.0)


def linear(w: Weights, name: str, x: torch.Tensor) -> torch.Tensor:
    return x @ w[f"{name}.weight"].T + w.get(f"{name}.bias", 0.0)


def turn(c: dict, x: torch.Tensor) -> torch.Tensor:
    """Rotary positions as complex numbers: elements i and i + K/2 of a head are one number. x (T, K)."""
    T, K = x.shape
    rates = torch.tensor([c["rope_base"] ** (-2 * i / K) for i in range(K // 2)], dtype=torch.float64)
    angles = torch.arange(T, dtype=torch.float64)[:, None] * rates
    numbers = torch.complex(x[:, : K // 2], x[:, K // 2 :]) * torch.exp(1j * angles)
    return torch.cat([numbers.real, numbers.imag], dim=1)


def attention(c: dict, w: Weights, name: str, x: torch.Tensor, length: int) -> torch.Tensor:
    """One row, x (T, D), head by head; keys from `length` on are padding."""
    heads, kv_heads = c["heads"], c.get("kv_heads", c["heads"])
    T, head = len(x), c["width"] // heads
    packed = linear(w, f"{name}.qkv", x).split(head, dim=1)
    q, k, v = packed[:heads], packed[heads : heads + kv_heads], packed[heads + kv_heads :]
    if c.get("qk_norm"):
        gain = w[f"{name}.gain"]
        unit = [a / torch.sqrt((a * a).mean(-1, keepdim=True) + c["norm_eps"]) for a in (*q, *k)]
        scaled = [a * g for a, g in zip(unit, gain)]
        q, k = scaled[:heads], scaled[heads:]
    if c["positions"] == "rotary":
        q, k = [turn(c, a) for a in q], [turn(c, a) for a in k]
    hidden = torch.arange(T)[None, :] >= length
    if c.get("causal", True):
        hidden = hidden | (torch.arange(T)[None, :] > torch.arange(T)[:, None])
    mixed = []
    for h in range(heads):
        g = h * kv_heads // heads
        scores = (q[h] @ k[g].T / math.sqrt(head)).masked_fill(hidden, -math.inf)
        mixed.append(torch.softmax(scores, dim=1) @ v[g])
    return linear(w, f"{name}.out", torch.cat(mixed, dim=1))


def feed_forward(c: dict, w: Weights, name: str, x: torch.Tensor) -> torch.Tensor:
    x = linear(w, f"{name}.up", x)
    if c["activation"] == "swiglu":
        gate, value = x.chunk(2, dim=-1)
        x = F.silu(gate) * value
    else:
        x = F.gelu(x, approximate="tanh") if c["activation"] == "gelu" else F.relu(x) ** 2
    return linear(w, f"{name}.down", x)


def loss_of(c: dict, w: Weights, tokens, targets, lengths) -> torch.Tensor:
    """Mean cross-entropy in nats over the targets ≥ 0."""
    logits = []
    for row, length in zip(tokens, lengths.tolist()):
        x = w["embed.weight"][row]
        if c["positions"] == "learned":
            x = x + w["embed.positions"][: len(row)]
        for i in range(c["layers"]):
            at = f"stack.block.{i}"
            x = x + attention(c, w, f"{at}.attention", norm(c, w, f"{at}.norm1", x), length)
            x = x + feed_forward(c, w, f"{at}.ffn", norm(c, w, f"{at}.norm2", x))
        head = w["embed.weight"] if c["tied"] else w["head.weight"]
        logits.append(norm(c, w, "stack.norm", x) @ head.T)
    return F.cross_entropy(torch.stack(logits).flatten(0, 1), targets.flatten(), ignore_index=-1)


def gpt(name: str) -> tuple[Weights, dict[str, str]]:
    """The tensors and the metadata of one model's fixture."""
    c = MODELS[name]
    torch.manual_seed(sorted(MODELS).index(name))
    weights = initial(c)
    tokens = torch.randint(0, c["vocabulary"], (3, c["context"]))
    targets = torch.randint(-1, c["vocabulary"], (3, c["context"]))
    lengths = torch.tensor([12, 12, 12] if c.get("causal", True) else [12, 7, 3])
    targets[torch.arange(12)[None, :] >= lengths[:, None]] = -1
    wide = {n: a.double().requires_grad_() for n, a in weights.items()}
    loss = loss_of(c, wide, tokens, targets, lengths)
    loss.backward()
    tensors = {f"weights.{n}": a for n, a in weights.items()}
    tensors |= {f"gradients.{n}": a.grad.float() for n, a in wide.items()}
    tensors |= {"tokens": tokens, "targets": targets, "lengths": lengths, "loss": loss.detach()}
    return tensors, {"config": json.dumps(c)}


def adamw() -> tuple[Weights, dict[str, str]]:
    """Three steps on given gradients, with clipping by the norm: the weights and both moments after each."""
    torch.manual_seed(9)
    settings = {"lr": 3e-3, "betas": [0.9, 0.999], "eps": 1e-8, "weight_decay": 0.1, "max_norm": 2.0}
    w = torch.randn(5, 7, dtype=torch.float32).double().requires_grad_()
    named = {n: settings[n] for n in ("lr", "betas", "eps", "weight_decay")}
    optimizer = torch.optim.AdamW([w], **named)
    tensors = {"w.0": w.detach().float().clone()}
    for step in (1, 2, 3):
        g = torch.randn(5, 7, dtype=torch.float32) * (0.1 if step == 2 else 1.0)  # the second is not clipped
        tensors[f"g.{step}"], w.grad = g, g.double()
        tensors[f"norm.{step}"] = torch.nn.utils.clip_grad_norm_([w], settings["max_norm"])
        optimizer.step()
        moments = optimizer.state[w]
        tensors[f"w.{step}"] = w.detach().float().clone()
        tensors[f"m.{step}"], tensors[f"v.{step}"] = moments["exp_avg"].float(), moments["exp_avg_sq"].float()
    return tensors, {"settings": json.dumps(settings)}


def made(name: str) -> tuple[Weights, dict[str, str]]:
    """Any of the fixtures by name."""
    return adamw() if name == "adamw" else gpt(name)


def main() -> None:
    for name in (*MODELS, "adamw"):
        tensors, metadata = made(name)
        metadata["made_by"] = f"tests/oracle/make_gpt_fixture.py with torch {torch.__version__}"
        path = FOLDER / f"gpt_{name}.safetensors"
        save_file({n: a.contiguous() for n, a in tensors.items()}, str(path), metadata)
        print(f"{path}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
