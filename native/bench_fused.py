"""How fast loss, norms, activations, rotary and AdamW are, beside compiled PyTorch and memory, in one run.

Forward and backward together, on arrays that exist already (a training step has them from its workspace), one
thread or several. Run `python native/bench_fused.py` (with `--peer torch` where torch is installed; its
compiler needs a C++ compiler); `--save FILE` also writes the figures as JSON.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

try:
    import numpy as np

    from chronos import native
    from chronos.console import emit, table
    from chronos.native.bench_native import interleaved, machine
    from chronos.native.bench_report import write
except ModuleNotFoundError as missing:
    sys.exit(f"{missing}; run `make setup`, then `.venv/bin/python native/bench_fused.py`")

f32, eps = np.float32, 1e-5
Case = tuple[Callable, Callable | None, int]  # ours, the peer's (given torch), bytes that must move at least


def random(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).standard_normal(shape, f32)


def backward(torch: Any, function: Callable, dy: np.ndarray | None, *inputs: np.ndarray) -> Callable:
    """The peer's forward and backward, compiled."""
    tensors = [torch.from_numpy(a.copy()).requires_grad_() for a in inputs]
    up = None if dy is None else torch.from_numpy(dy)
    compiled = torch.compile(function)

    def run() -> None:
        for tensor in tensors:
            tensor.grad = None
        compiled(*tensors).backward(up)

    return run


def cross_entropy(R: int, E: int) -> Case:
    from chronos.native import fused

    z, targets, losses = random(R, E), np.random.default_rng(0).integers(0, E, R), np.empty(R, f32)

    def theirs(torch: Any) -> Callable:
        ids = torch.from_numpy(targets)
        return backward(torch, lambda a: torch.nn.functional.cross_entropy(a, ids), None, z)

    return lambda: fused.cross_entropy(z, targets, 1 / R, losses), theirs, 2 * z.nbytes


def rms_norm(R: int, D: int) -> Case:
    from chronos.native import fused

    x, dy, w = random(R, D), random(R, D), random(D)
    y, dx, dw, rstd = np.empty_like(x), np.empty_like(x), np.empty_like(w), np.empty(R, f32)

    def ours() -> None:
        fused.rms_norm(x, w, eps, y, rstd)
        fused.rms_norm_backward(dy, x, w, rstd, dx, dw)

    def theirs(torch: Any) -> Callable:
        norm = torch.nn.functional.rms_norm
        return backward(torch, lambda a, b: norm(a, (D,), b, eps), dy, x, w)

    return ours, theirs, 5 * x.nbytes


def layer_norm(R: int, D: int) -> Case:
    from chronos.native import fused

    x, dy, w, b = random(R, D), random(R, D), random(D), random(D)
    y, dx, (dw, db), (mean, rstd) = np.empty_like(x), np.empty_like(x), np.empty((2, D), f32), random(2, R)

    def ours() -> None:
        fused.layer_norm(x, w, b, eps, y, mean, rstd)
        fused.layer_norm_backward(dy, x, w, mean, rstd, dx, dw, db)

    def theirs(torch: Any) -> Callable:
        norm = torch.nn.functional.layer_norm
        return backward(torch, lambda a, c, d: norm(a, (D,), c, d, eps), dy, x, w, b)

    return ours, theirs, 5 * x.nbytes


def swiglu(R: int, D: int) -> Case:
    from chronos.native import fused

    x, dy = random(R, 2 * D), random(R, D)
    y, dx = np.empty_like(dy), np.empty_like(x)

    def ours() -> None:
        fused.swiglu(x, y)
        fused.swiglu_backward(dy, x, dx)

    def theirs(torch: Any) -> Callable:
        return backward(torch, lambda a: torch.nn.functional.silu(a[:, :D]) * a[:, D:], dy, x)

    return ours, theirs, 3 * x.nbytes + 2 * y.nbytes


def gelu(R: int, D: int) -> Case:
    from chronos.native import fused

    x, dy = random(R, D), random(R, D)
    y, dx = np.empty_like(x), np.empty_like(x)

    def ours() -> None:
        fused.apply("gelu", x, y)
        fused.gelu_backward(dy, x, dx)

    def theirs(torch: Any) -> Callable:
        return backward(torch, lambda a: torch.nn.functional.gelu(a, approximate="tanh"), dy, x)

    return ours, theirs, 5 * x.nbytes


def rotary(R: int, H: int, turned: int) -> Case:
    """The first `turned` of H heads; with none it is a copy past the caches."""
    from chronos.native import fused

    x, angles = random(R, H, 64), random(R, 32)
    c, s = np.cos(angles), np.sin(angles)
    room = np.empty(x.nbytes + 64, np.uint8)
    y = room[-room.ctypes.data % 64 :][: x.nbytes].view(f32).reshape(x.shape)  # on a cache line
    tables = 2 * c.nbytes if turned else 0
    return lambda: fused.rotary(x, c, s, turned, y), None, 2 * x.nbytes + tables


def adamw(n: int) -> Case:
    from chronos.native import fused

    w, g, m, v = random(n), random(n), random(n), np.square(random(n))

    def theirs(torch: Any) -> Callable:
        weight = torch.from_numpy(w.copy()).requires_grad_()
        weight.grad = torch.from_numpy(g)
        return torch.optim.AdamW([weight], 1e-3, fused=True).step

    return lambda: fused.adamw(w, g, m, v, 1e-3, 0.9, 0.999, 1e-8, 0.1, 10, 1.0), theirs, 7 * w.nbytes


def increment(n: int) -> Case:
    """What memory allows in place, where each line is read and written, as AdamW does."""
    x = random(n)
    return lambda: np.add(x, f32(1), out=x), None, 2 * x.nbytes


CASES = {
    "cross-entropy 4096 x 32000": lambda: cross_entropy(4096, 32000),
    "RMSNorm 4096 x 512": lambda: rms_norm(4096, 512),
    "LayerNorm 4096 x 512": lambda: layer_norm(4096, 512),
    "SwiGLU 4096 x 1536": lambda: swiglu(4096, 1536),
    "GELU 4096 x 1536": lambda: gelu(4096, 1536),
    "rotary 8192 x 18 x 64": lambda: rotary(8192, 18, 12),
    "AdamW 20,000,000": lambda: adamw(20_000_000),
    "limit: a copy, 38 MB": lambda: rotary(8192, 18, 0),
    "limit: x += 1, 80 MB": lambda: increment(20_000_000),
}


def bench(peer: str | None, threads: int) -> dict[str, Any]:
    """{case: {"ms", "gb_s", and with a peer "peer_ms", "ratio"}}; ours and the peer's calls in turn."""
    before = native.info()["threads"]
    native.set_threads(threads)
    torch = None
    if peer == "torch":
        import torch

        torch.set_num_threads(threads)
    found = {}
    for name, build in CASES.items():
        ours, theirs, size = build()
        runs = {"ours": ours} | ({"peer": theirs(torch)} if torch and theirs else {})
        for _ in range(2):
            for run in runs.values():  # the peer compiles
                run()
        seconds = interleaved(runs)
        row = {"ms": round(seconds["ours"] * 1e3, 3), "gb_s": round(size / seconds["ours"] / 1e9, 1)}
        if "peer" in seconds:
            row["peer_ms"] = round(seconds["peer"] * 1e3, 3)
            row["ratio"] = round(seconds["peer"] / seconds["ours"], 2)
        found[name] = row
    native.set_threads(before)
    return found


def main() -> int:
    """Measure, print, and save if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--peer", choices=("torch",), help="what to compare with")
    parser.add_argument("--threads", type=int, default=1, help="of ours and the peer's (default: 1)")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    parser.add_argument("--save", type=Path, metavar="FILE", help="also write the figures as JSON")
    args = parser.parse_args()
    if not native.available():
        sys.exit("error: the C kernels are not built: nothing to measure")
    result = {"machine": machine(), "threads": args.threads, "cases": bench(args.peer, args.threads)}
    if args.save:
        peer = f" --peer {args.peer}" if args.peer else ""
        command = f"python native/bench_fused.py{peer} --threads {args.threads} --save {args.save.as_posix()}"
        write(args.save, command, result)
    if args.json:
        emit(result)
        return 0
    rows = [(name, *(row.get(key, "") for key in ("ms", "gb_s", "peer_ms", "ratio"))) for name, row in
            result["cases"].items()]  # fmt: skip
    title = (
        f"fused kernels on {result['machine']['cpu']} ({result['machine']['isa']}), {args.threads} thread(s)"
    )
    table(title, ("forward and backward", "ms", "GB/s", "PyTorch ms", "times faster"), rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
