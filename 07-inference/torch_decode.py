"""The PyTorch peer of `bench_decode.py`: the same GPT with a key/value cache, one round for each line read.

Runs under any interpreter that has torch; it needs nothing of Chronos and is never imported by it.
"""

import json
import os
import sys
import time


def build(c, torch):
    """GPT-2's shape with LayerNorm, learned positions and GELU (tanh); `step(ids, at)` → logits (1, E)."""
    nn, F = torch.nn, torch.nn.functional
    D, H = c["width"], c["heads"]

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm1, self.norm2 = nn.LayerNorm(D), nn.LayerNorm(D)
            self.qkv, self.out = nn.Linear(D, 3 * D, bias=False), nn.Linear(D, D, bias=False)
            self.up, self.down = nn.Linear(D, 4 * D, bias=False), nn.Linear(4 * D, D, bias=False)
            self.keys, self.values = (torch.zeros(1, H, c["context"], D // H) for _ in range(2))

        def forward(self, x, at):
            T = x.shape[1]
            q, k, v = self.qkv(self.norm1(x)).view(1, T, 3, H, D // H).permute(2, 0, 3, 1, 4)
            self.keys[:, :, at : at + T], self.values[:, :, at : at + T] = k, v
            past = self.keys[:, :, : at + T], self.values[:, :, : at + T]
            y = F.scaled_dot_product_attention(q, *past, is_causal=T > 1)
            x = x + self.out(y.transpose(1, 2).reshape(1, T, D))
            return x + self.down(F.gelu(self.up(self.norm2(x)), approximate="tanh"))

    class GPT(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed, self.positions = nn.Embedding(c["vocabulary"], D), nn.Embedding(c["context"], D)
            self.blocks = nn.ModuleList([Block() for _ in range(c["layers"])])
            self.norm, self.head = nn.LayerNorm(D), nn.Linear(D, c["vocabulary"], bias=False)

        def step(self, ids, at):
            x = self.embed(ids) + self.positions.weight[at : at + ids.shape[1]]
            for block in self.blocks:
                x = block(x, at)
            return self.head(self.norm(x[:, -1]))

    return GPT()


def main() -> None:
    """Read a configuration; then for each line on standard input decode a round and print its seconds."""
    c = json.loads(sys.argv[1])
    os.environ["OMP_NUM_THREADS"] = str(c["threads"])
    import torch

    torch.set_num_threads(c["threads"])
    torch.manual_seed(0)
    model = build(c, torch).eval()
    prompt = torch.randint(0, c["vocabulary"], (1, c["prompt"]))

    @torch.inference_mode()
    def one_round():
        logits = model.step(prompt, 0)
        begun = time.perf_counter()
        for at in range(c["prompt"], c["prompt"] + c["count"]):
            token = int(logits[0].argmax())
            logits = model.step(torch.tensor([[token]]), at)
        return time.perf_counter() - begun

    for _ in sys.stdin:
        print(one_round(), flush=True)


if __name__ == "__main__":
    main()
