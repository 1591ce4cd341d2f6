"""How fast float products are, beside PyTorch's in bf16 and NumPy's in float32, in one run.

The three products of a linear layer in bf16, with weights packed once or not, and few rows in float32, on one
thread and on all. Results go into arrays that exist already, as in a training step, and every array begins on
a cache line, as PyTorch's do; our inputs are float32, PyTorch's bf16 before the clock starts. Its products
are also timed as its autocast has them: w comes in float32, and its gradient goes out so, or is added to what
is there. Run `python native/bench_gemm.py --peer torch` (a minute); `--save FILE` also writes the figures as
JSON, `--show FILE` prints saved ones.
"""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

try:
    import numpy as np
    from threadpoolctl import threadpool_limits

    from chronos import native
    from chronos.console import ChronosError, emit, table
    from chronos.native import bench_native
    from chronos.native.bench_report import write
except ModuleNotFoundError as missing:
    sys.exit(f"{missing}; run `make setup`, then `.venv/bin/python native/bench_gemm.py`")

PEERS = ("torch",)
LARGE = ((1024, 1024, 1024), (4096, 512, 2048), (64, 512, 1536))  # rows, inputs, outputs
FEW = tuple((rows, 512, 1536) for rows in (32, 16, 8, 4, 2, 1))
LINE = 64
REST = 0.03  # seconds after a peer's turn on several threads, which go on spinning on the cores

Runs = dict[str, Callable[[], Any]]


def bench(peer: str | None = None) -> dict:
    """GFLOP/s of every product and shape: "ours" and "peers", by number of threads, and "ratios" ours/theirs.

    `peer` "torch" adds PyTorch's bf16 products; ChronosError where it is not installed.
    """
    torch = _torch(peer)
    before, result = native.info()["threads"], {"machine": bench_native.machine()}
    result |= {"ours": {}, "peers": {}, "ratios": {}}
    for count in sorted({1, before}):
        native.set_threads(count)
        if torch:
            torch.set_num_threads(count)
        with threadpool_limits(count, "blas"):
            for shape in LARGE + FEW:
                name = f"{'x'.join(map(str, shape))}, {count} thread{'s' * (count > 1)}"
                _compare(shape, torch, name, REST if count > 1 else 0.0, result)
    native.set_threads(before)
    return result


def _torch(peer: str | None) -> Any:
    if peer is None:
        return None
    if peer not in PEERS:
        raise ChronosError("unknown peer", where="bench gemm", expected="torch", got=repr(peer))
    try:
        import torch
    except ModuleNotFoundError:
        raise ChronosError("torch is not installed", mend="leave out --peer") from None
    return torch


def _placed(shape: tuple[int, int]) -> np.ndarray:
    """Zeros that begin on a cache line."""
    room = np.zeros(4 * shape[0] * shape[1] + LINE, np.uint8)
    start = -room.ctypes.data % LINE
    return room[start : start + 4 * shape[0] * shape[1]].view(np.float32).reshape(shape)


def _compare(shape: tuple[int, int, int], torch: Any, name: str, rest: float, result: dict) -> None:
    """Time all products of one shape in turn and add their figures to `result`."""
    rows, inputs, outputs = shape
    rng = np.random.default_rng(0)
    shapes = ((rows, inputs), (outputs, inputs), (rows, outputs))
    x, w, g = (_placed(s) for s in shapes)
    for a in (x, w, g):
        rng.standard_normal(out=a, dtype=np.float32)
    ours, theirs = _ours(x, w, g), _torch_runs(torch, x, w, g) if torch else {}
    if rows <= 32:
        y = _placed(g.shape)
        theirs["numpy float32"] = lambda: np.matmul(x, w.T, out=y)
    seconds = bench_native.interleaved({**ours, **theirs}, rests=dict.fromkeys(theirs, rest))
    speed = {run: round(2 * rows * inputs * outputs / s / 1e9, 1) for run, s in seconds.items()}
    result["ours"][name] = {run: speed[run] for run in ours}
    result["peers"][name] = {run: speed[run] for run in theirs}
    result["ratios"][name] = {
        run: {peer: round(speed[run] / speed[peer], 2) for peer in _peers_of(run) if peer in theirs}
        for run in ours
    }


def _ours(x: np.ndarray, w: np.ndarray, g: np.ndarray) -> Runs:
    y, dx, dw = _placed(g.shape), _placed(x.shape), _placed(w.shape)
    multiply, pack = native.matmul_bf16, native.pack_bf16
    forward, back, few = pack(w.T), pack(w), native.pack_f32(w.T)
    runs: Runs = {
        "forward": lambda: multiply(x, w.T, out=y),
        "forward, packed": lambda: multiply(x, forward, out=y),
        "input": lambda: multiply(g, w, out=dx),
        "input, packed": lambda: multiply(g, back, out=dx),
        "weights": lambda: multiply(g.T, x, out=dw),
        "weights, added": lambda: multiply(g.T, x, out=dw, add=True),
    }
    if len(x) <= 32:
        runs["float32, packed"] = lambda: native.matmul_f32(x, few, out=y)
    return runs


def _torch_runs(torch: Any, x: np.ndarray, w: np.ndarray, g: np.ndarray) -> Runs:
    tx, tw, tg = (torch.from_numpy(a).bfloat16() for a in (x, w, g))
    y, dx, dw = (torch.empty_like(like) for like in (tg, tx, tw))
    total, floats = torch.zeros(tw.shape), torch.from_numpy(w)
    return {
        "torch forward": lambda: torch.mm(tx, tw.T, out=y),
        "torch forward, w from float32": lambda: torch.mm(tx, floats.bfloat16().T, out=y),
        "torch input": lambda: torch.mm(tg, tw, out=dx),
        "torch input, w from float32": lambda: torch.mm(tg, floats.bfloat16(), out=dx),
        "torch weights": lambda: torch.mm(tg.T, tx, out=dw),
        "torch weights, in float32": lambda: total.copy_(torch.mm(tg.T, tx, out=dw)),
        "torch weights, added": lambda: total.add_(torch.mm(tg.T, tx, out=dw)),
    }


def _peers_of(run: str) -> tuple[str, ...]:
    """What a product of ours is held against; from or to float32 also against theirs that is."""
    if run == "weights":
        return "torch weights", "torch weights, in float32"
    if run in ("forward", "input"):
        return f"torch {run}", f"torch {run}, w from float32"
    if run == "weights, added":
        return ("torch weights, added",)
    kind = run.split(",")[0]
    return ("numpy float32",) if kind == "float32" else (f"torch {kind}",)


def show(result: dict) -> None:
    """The figures as a table, one row a product."""
    rows = []
    for name, runs in result["ours"].items():
        for run, speed in runs.items():
            ratios = result["ratios"][name][run]
            for peer, ratio in ratios.items():
                rows.append((name, run, speed, peer, result["peers"][name][peer], ratio))
            if not ratios:
                rows.append((name, run, speed, "", "", ""))
    columns = ("rows x inputs x outputs", "product", "GFLOP/s", "peer", "its GFLOP/s", "times faster")
    table(f"float products on {result['machine']['cpu']} ({result['machine']['isa']})", columns, rows)


def main() -> int:
    """Measure or read figures, print them, and save them if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--peer", help="compare with torch, too")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    parser.add_argument("--save", type=Path, metavar="FILE", help="also write FILE (JSON)")
    parser.add_argument("--show", type=Path, metavar="FILE", help="print the figures of FILE")
    args = parser.parse_args()
    try:
        result = json.loads(args.show.read_text()) if args.show else bench(args.peer)
    except ChronosError as error:
        sys.exit(f"error: {error}")
    if args.save:
        command = "python native/bench_gemm.py" + f" --peer {args.peer}" * bool(args.peer)
        write(args.save, f"{command} --save {args.save.as_posix()}", result)
    if args.json:
        emit(result)
    else:
        show(result)
    return 0


if __name__ == "__main__":
    sys.exit(main())
