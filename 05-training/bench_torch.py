"""The PyTorch peer of `bench_train.py`: the same GPT in a process that is told how many steps to run.

Eager or compiled, in float32 or under bf16 autocast, as it is told. Runs under any interpreter that has
torch; it needs nothing of Chronos and is never imported by it.
"""

import json
import os
import resource
import sys
import time


def build(c, torch):
    """The model of the configuration: GPT-2's shape with LayerNorm, learned positions and GELU (tanh)."""
    nn, F = torch.nn, torch.nn.functional

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            D = c["width"]
            self.norm1, self.norm2 = (nn.LayerNorm(D, bias=c["norm_bias"]) for _ in range(2))
            self.qkv, self.out = nn.Linear(D, 3 * D, bias=False), nn.Linear(D, D, bias=False)
            self.up, self.down = nn.Linear(D, 4 * D, bias=False), nn.Linear(4 * D, D, bias=False)

        def forward(self, x):
            B, T, D = x.shape
            heads = self.qkv(self.norm1(x)).view(B, T, 3, c["heads"], D // c["heads"])
            q, k, v = heads.permute(2, 0, 3, 1, 4)
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + self.out(y.transpose(1, 2).reshape(B, T, D))
            return x + self.down(F.gelu(self.up(self.norm2(x)), approximate="tanh"))

    class GPT(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = nn.Embedding(c["vocabulary"], c["width"])
            self.positions = nn.Embedding(c["context"], c["width"])
            self.blocks = nn.Sequential(*[Block() for _ in range(c["layers"])])
            self.norm = nn.LayerNorm(c["width"], bias=c["norm_bias"])
            self.head = nn.Linear(c["width"], c["vocabulary"], bias=False)
            nn.init.normal_(self.embed.weight, std=0.02)
            if c["tied"]:
                self.head.weight = self.embed.weight

        def forward(self, tokens, targets):
            x = self.norm(self.blocks(self.embed(tokens) + self.positions.weight))
            logits = self.head(x).view(-1, c["vocabulary"])
            return F.cross_entropy(logits.float(), targets.reshape(-1))

    return GPT()


def main() -> None:
    """Read a configuration; for each number on standard input run that many steps and print seconds."""
    c = json.loads(sys.argv[1])
    os.environ["OMP_NUM_THREADS"] = str(c["threads"])
    import torch

    torch.set_num_threads(c["threads"])
    torch.manual_seed(0)
    model = build(c, torch)
    run = torch.compile(model) if c["compiled"] else model
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=3e-4, betas=(0.9, 0.99), weight_decay=0.1, fused=True
    )
    ids = torch.randint(0, c["vocabulary"], (c["batch_size"], c["context"] + 1))
    tokens, targets = ids[:, :-1].contiguous(), ids[:, 1:].contiguous()

    def step():
        with torch.autocast("cpu", torch.bfloat16, enabled=c["bf16"]):
            loss = run(tokens, targets)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss.item()

    for line in sys.stdin:
        begun = time.perf_counter()
        for _ in range(int(line)):
            loss = step()
        seconds = time.perf_counter() - begun
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        print(json.dumps({"seconds": seconds, "loss": loss, "peak_rss_bytes": peak}), flush=True)


if __name__ == "__main__":
    main()
