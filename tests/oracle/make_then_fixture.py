"""Make tests/fixtures/then_*.safetensors: loss and gradients of small models with KDA and DSA, by PyTorch.

KDA runs token by token with full matrices, DSA through a dense mask, all written from their formulas. It
imports nothing of ours, so a fixture cannot agree with us by construction. Everything is computed in float64
from float32 weights. Needs `torch`: `python tests/oracle/make_then_fixture.py`.
"""

import json
import math
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

FOLDER = Path(__file__).parent.parent / "fixtures"
Weights = dict[str, torch.Tensor]

COMMON = {"preset": "then", "layers": 2, "width": 12, "context": 40, "vocabulary": 19, "hidden": 8}
COMMON |= {"heads": 2, "positions": "none", "activation": "relu2", "norm_eps": 1e-5, "tied": False}
INDEX = {"index_heads": 3, "index_width": 6, "index_rotary": 4}
MODELS = {
    "sparse": COMMON | {"pattern": "kda dsa", "qk_norm": True, "dsa": INDEX | {"top_k": 7}},
    # three KDA heads of another width, eigenvalues down to −1, one key head for all, all tokens seen
    "dense": COMMON
    | {"pattern": "dsa kda", "kv_heads": 1, "dsa": INDEX | {"top_k": 7, "stage": "dense"}}
    | {"kda": {"heads": 3, "head_width": 5, "rank": 2, "negative": True}},
}


def shapes(c: dict) -> dict[str, tuple[int, ...]]:
    """Name → shape of every weight."""
    D, hidden, d = c["width"], c["hidden"], c["dsa"]
    both = c["vocabulary"], D
    named = {"embed.weight": both, "stack.norm.weight": (D,), "head.weight": both}
    for i, mixer in enumerate(c["pattern"].split()):
        kda = {
            "heads": c["heads"],
            "head_width": D // c["heads"],
            "rank": D // c["heads"],
            **c.get("kda", {}),
        }
        H, K, rank = kda["heads"], kda["head_width"], kda["rank"]
        G = c.get("kv_heads", c["heads"])
        packed, head = (c["heads"] + 2 * G) * D // c["heads"], D // c["heads"]
        inside = {
            "kda": {
                "qkv.weight": (3 * H * K, D), "conv": (4, 3 * H * K), "strength.weight": (H, D),
                "decay_down.weight": (rank, D), "decay_up.weight": (H * K, rank),
                "gate_down.weight": (rank, D), "gate_up.weight": (H * K, rank),
                "rate": (H,), "step": (H * K,), "gain": (K,), "out.weight": (D, H * K),
            },
            "dsa": {
                "qkv.weight": (packed, D), "out.weight": (D, D),
                "indexer.query.weight": (d["index_heads"] * d["index_width"], D),
                "indexer.key.weight": (d["index_width"], D),
                "indexer.norm.weight": (d["index_width"],), "indexer.norm.bias": (d["index_width"],),
                "indexer.weight_of_head.weight": (d["index_heads"], D),
            } | ({"gain": (c["heads"] + G, head)} if c.get("qk_norm") else {}),
        }[mixer]  # fmt: skip
        block = {f"attention.{name}": shape for name, shape in inside.items()}
        block |= {"norm1.weight": (D,), "norm2.weight": (D,)}
        block |= {"ffn.up.weight": (hidden, D), "ffn.down.weight": (D, hidden)}
        named |= {f"stack.block.{i}.{name}": shape for name, shape in block.items()}
    return named


def rms(x: torch.Tensor, eps: float) -> torch.Tensor:
    return x / torch.sqrt(x.square().mean(-1, keepdim=True) + eps)


def kda(w: Weights, x: torch.Tensor, c: dict) -> torch.Tensor:
    """S ← (I − β k kᵀ) Diag(α) S + β k vᵀ, o = Sᵀ q, row by row and head by head."""
    H, K = len(w["rate"]), len(w["gain"])
    B, T, _ = x.shape
    seen = F.pad(x @ w["qkv.weight"].T, (0, 0, 3, 0))
    packed = F.silu(sum(w["conv"][j] * seen[:, j : j + T] for j in range(4)))
    q, k, v = (a.reshape(B, T, H, K) for a in packed.chunk(3, -1))
    q, k = (a / torch.sqrt(a.square().sum(-1, keepdim=True) + 1e-6) for a in (q, k))
    z = x @ w["decay_down.weight"].T @ w["decay_up.weight"].T + w["step"]
    alpha = torch.exp(-w["rate"].exp()[:, None] * F.softplus(z).reshape(B, T, H, K))
    beta = torch.sigmoid(x @ w["strength.weight"].T) * (2 if c.get("kda", {}).get("negative") else 1)
    rows = []
    for b in range(B):
        S, outs = [torch.zeros(K, K, dtype=x.dtype) for _ in range(H)], []
        for t in range(T):
            for h in range(H):
                kk = beta[b, t, h] * torch.outer(k[b, t, h], k[b, t, h])
                write = beta[b, t, h] * torch.outer(k[b, t, h], v[b, t, h])
                S[h] = (torch.eye(K, dtype=x.dtype) - kk) @ torch.diag(alpha[b, t, h]) @ S[h] + write
            outs.append(torch.stack([S[h].T @ q[b, t, h] / math.sqrt(K) for h in range(H)]))
        rows.append(torch.stack(outs))
    gate = torch.sigmoid(x @ w["gate_down.weight"].T @ w["gate_up.weight"].T).reshape(B, T, H, K)
    return (rms(torch.stack(rows), c["norm_eps"]) * w["gain"] * gate).reshape(B, T, H * K) @ w["out.weight"].T


def turned(x: torch.Tensor, rotary: int) -> torch.Tensor:
    """Pairs (i, i + d/2) of x (B, T, heads, d) turn by t · 10000^(−2i/rotary) for i < rotary/2."""
    half = x.shape[-1] // 2
    rates = torch.zeros(half, dtype=x.dtype)
    for i in range(rotary // 2):
        rates[i] = 10000.0 ** (-2 * i / rotary)
    angle = (torch.arange(x.shape[1], dtype=x.dtype)[:, None] * rates)[:, None]
    a, b = x[..., :half], x[..., half:]
    return torch.cat([a * angle.cos() - b * angle.sin(), b * angle.cos() + a * angle.sin()], -1)


def dsa(w: Weights, x: torch.Tensor, c: dict) -> tuple[torch.Tensor, torch.Tensor]:
    """The layer's output, and KL(main attention ‖ indexer) of each token over what it attends to."""
    B, T, D = x.shape
    H, G, d = c["heads"], c.get("kv_heads", c["heads"]), c["dsa"]
    packed = (x @ w["qkv.weight"].T).reshape(B, T, H + 2 * G, D // H)
    if "gain" in w:
        packed = torch.cat([rms(packed[:, :, : H + G], c["norm_eps"]) * w["gain"], packed[:, :, H + G :]], 2)
    q = packed[:, :, :H]
    k, v = (a.repeat_interleave(H // G, 2) for a in (packed[:, :, H : H + G], packed[:, :, H + G :]))
    still = x.detach()
    key, norm = still @ w["indexer.key.weight"].T, (w["indexer.norm.weight"], w["indexer.norm.bias"])
    key = F.layer_norm(key, (d["index_width"],), *norm, c["norm_eps"])
    key = turned(key[:, :, None], d["index_rotary"])[:, :, 0]
    query = (still @ w["indexer.query.weight"].T).reshape(B, T, d["index_heads"], -1)
    query = turned(query, d["index_rotary"])
    weight = still @ w["indexer.weight_of_head.weight"].T
    index = torch.einsum("bth,bths->bts", weight, F.relu(torch.einsum("bthd,bsd->bths", query, key)))
    index = index / math.sqrt(d["index_heads"] * d["index_width"])
    seen = torch.tril(torch.ones(T, T, dtype=torch.bool)).expand(B, T, T)
    if d.get("stage", "sparse") == "sparse":
        order = index.masked_fill(~seen, -math.inf).sort(dim=-1, descending=True, stable=True).indices
        order = order[..., : d["top_k"]]  # not `topk`, which breaks the many ties at 0 as it likes
        seen = seen & torch.zeros(B, T, T).scatter(-1, order, 1.0).bool()
    scores = torch.einsum("bthk,bshk->bhts", q, k) / math.sqrt(D // H)
    p = scores.masked_fill(~seen[:, None], -math.inf).softmax(-1)
    out = torch.einsum("bhts,bshk->bthk", p, v).reshape(B, T, D) @ w["out.weight"].T
    target, log_q = p.mean(1).detach(), index.masked_fill(~seen, -math.inf).log_softmax(-1)
    return out, torch.where(seen, torch.xlogy(target, target) - target * log_q.masked_fill(~seen, 0), 0).sum(
        -1
    )


def within(weights: Weights, prefix: str) -> Weights:
    return {name.removeprefix(prefix): a for name, a in weights.items() if name.startswith(prefix)}


def made(name: str) -> tuple[Weights, dict[str, str]]:
    """One fixture: weights, tokens, targets, the loss a token, KL beside it, and gradients of their sum."""
    c = MODELS[name]
    torch.manual_seed(sum(name.encode()))
    weights = {
        n: torch.randn(s, dtype=torch.float32) * (0.5 if len(s) > 1 else 0.3) for n, s in shapes(c).items()
    }
    for n in weights:
        if n.endswith(("norm.weight", "norm1.weight", "norm2.weight", "gain")):
            weights[n] += 1
    tokens = torch.randint(0, c["vocabulary"], (2, c["context"]))
    w = {n: a.double().requires_grad_() for n, a in weights.items()}
    x = w["embed.weight"][tokens]
    for i, mixer in enumerate(c["pattern"].split()):
        block = within(w, f"stack.block.{i}.")
        inside = within(block, "attention.")
        y = rms(x, c["norm_eps"]) * block["norm1.weight"]
        if mixer == "kda":
            x = x + kda(inside, y, c)
        else:
            out, kl = dsa(inside, y, c)
            x = x + out
        y = rms(x, c["norm_eps"]) * block["norm2.weight"]
        x = x + F.relu(y @ block["ffn.up.weight"].T).square() @ block["ffn.down.weight"].T
    logits = rms(x, c["norm_eps"]) * w["stack.norm.weight"] @ w["head.weight"].T
    targets = torch.cat([tokens[:, 1:], torch.full((2, 1), -1)], 1)
    loss = F.cross_entropy(logits.reshape(-1, c["vocabulary"]), targets.reshape(-1), ignore_index=-1)
    kl = kl[targets >= 0].mean()
    (loss + kl).backward()
    tensors = {f"weights.{n}": a for n, a in weights.items()}
    tensors |= {f"gradients.{n}": a.grad.float() for n, a in w.items()}
    tensors |= {"tokens": tokens, "targets": targets, "loss": loss.detach(), "kl": kl.detach()}
    return tensors, {"config": json.dumps(c)}


def main() -> None:
    for name in MODELS:
        tensors, metadata = made(name)
        metadata["made_by"] = f"tests/oracle/make_then_fixture.py with torch {torch.__version__}"
        path = FOLDER / f"then_{name}.safetensors"
        save_file({n: a.contiguous() for n, a in tensors.items()}, str(path), metadata)
        print(f"{path}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
