"""How fast quantized products are, beside NumPy's float32 product and the memory they must read, in one run.

Times no model and tunes nothing. `python native/bench_native.py` measures and prints (half a minute);
`--save FILE` also writes the figures as JSON and a picture beside it; `--show FILE` prints saved ones.
"""

import argparse
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

try:
    import numpy as np
    from threadpoolctl import threadpool_limits

    from chronos import native
    from chronos.console import ChronosError, emit, table
except ModuleNotFoundError as missing:
    sys.exit(f"{missing}; run `make setup`, then `.venv/bin/python native/bench_native.py`")

PEERS = ("numpy",)
SHAPES = [(size, n) for size in (512, 4096) for n in (1, 8, 64)]  # weights size x size, n rows of x
SECONDS = 1.5  # for each shape and number of threads, shared by all that is compared
REST = 0.12


def bench(peer: str | None = None) -> dict:
    """Time `native.matmul` for each type, size and number of threads, interleaved with the peer's product.

    `peer`: "numpy" (float32 products), or None for all there are. Returns "ours" and "peers", by name of type
    or peer and then by case: {"us", "gb_s" of weights, "gflop_s"}; "limit": GB/s at which memory (1 GiB) and
    the caches (a 4096² Q4_0 matrix) can be read; and "ratios": for each peer and type how many times faster
    we are (medians), and as "read" the share of that cache bandwidth that n = 1 at 4096² reaches.
    ChronosError for another peer.
    """
    if peer is not None and peer not in PEERS:
        raise ChronosError("unknown peer", where="bench native", expected=" or ".join(PEERS), got=repr(peer))
    before, result = native.info()["threads"], {"machine": machine(), "ours": {}, "peers": {}, "limit": {}}
    rng = np.random.default_rng(0)
    for count in sorted({1, before}):
        native.set_threads(count)
        result["limit"][f"{count} thread{'s' * (count > 1)}"] = read_limits()
        with threadpool_limits(count):
            for size, n in SHAPES:
                case = f"{size}² n={n}, {count} thread{'s' * (count > 1)}"
                for name, figures in compare(rng, size, n).items():
                    group = result["ours"] if name in native.TYPES else result["peers"]
                    group.setdefault(name, {})[case] = figures
    native.set_threads(before)
    return result | {"ratios": ratios(result)}


def compare(rng: np.random.Generator, size: int, n: int) -> dict[str, dict[str, float]]:
    """The figures of each type and of NumPy for one shape, taken in turns."""
    w = rng.standard_normal((size, size), np.float32)
    x = rng.standard_normal((n, size), np.float32)
    packed = {name: native.quantize(w, name) for name in native.TYPES}
    runs: dict[str, Callable] = {name: lambda q=q: native.matmul(x, q) for name, q in packed.items()}
    runs["numpy"] = lambda: x @ w.T
    seconds = interleaved(runs)
    read = {name: q.nbytes for name, q in packed.items()} | {"numpy": w.nbytes}
    return {
        name: {
            "us": round(s * 1e6, 1),
            "gb_s": round(read[name] / s / 1e9, 2),
            "gflop_s": round(2 * n * size * size / s / 1e9, 1),
        }
        for name, s in seconds.items()
    }


def interleaved(runs: dict[str, Callable]) -> dict[str, float]:
    """Median seconds a call, in rounds A B C A B C …, so that a busy moment hits all alike.

    A turn is some 10 ms, so that weights which fit a cache are measured from it. After a peer's turn all
    rest: OpenBLAS's threads spin for a tenth of a second after a product, on cores that the next one needs.
    """
    inner = {}
    for name, run in runs.items():
        run()
        start = time.perf_counter()
        run()
        inner[name] = max(1, int(0.01 / (time.perf_counter() - start)))
    times: dict[str, list[float]] = {name: [] for name in runs}
    end = time.perf_counter() + SECONDS
    while time.perf_counter() < end or len(times[name]) < 5:
        for name, run in runs.items():
            run()
            start = time.perf_counter()
            for _ in range(inner[name]):
                run()
            times[name].append((time.perf_counter() - start) / inner[name])
            if name in PEERS:
                time.sleep(REST)
    return {name: statistics.median(values) for name, values in times.items()}


def read_limits() -> dict[str, float]:
    """GB/s of reading and adding up 1 GiB, and as many bytes as a 4096 x 4096 matrix in Q4_0 has."""
    if native.available():
        from chronos.native import compiled as engine
    else:
        from chronos.native import plain as engine
    limits = {}
    for name, size in (("memory", 1 << 30), ("cache", 4096 * 4096 // 32 * 18)):
        data, best = np.ones(size, np.uint8), float("inf")
        for _ in range(max(3, (1 << 30) // size)):
            start = time.perf_counter()
            engine.read(data)
            best = min(best, time.perf_counter() - start)
        limits[f"{name}_gb_s"] = round(size / best / 1e9, 1)
    return limits


def ratios(result: dict) -> dict[str, dict[str, float]]:
    """Our speed over each peer's, and the share of the cache's bandwidth at 4096², n = 1."""
    found: dict[str, dict[str, float]] = {"read": {}}
    for name, cases in result["ours"].items():
        for peer, theirs in result["peers"].items():
            for case, figures in cases.items():
                found.setdefault(peer, {})[f"{name} {case}"] = round(theirs[case]["us"] / figures["us"], 2)
        for count, limit in result["limit"].items():
            share = cases[f"4096² n=1, {count}"]["gb_s"] / limit["cache_gb_s"]
            found["read"][f"{name} {count}"] = round(share, 2)
    return found


def machine() -> dict[str, str]:
    """What it was measured on."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = [line for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        model = lines[0].split(":")[1].strip() if lines else model
    info = native.info()
    return {"cpu": model, "isa": info["isa"], "compiler": str(info["compiler"]), "numpy": np.__version__}


def show(result: dict) -> None:
    """The figures as a table, one row a case."""
    rows = []
    for case in result["peers"]["numpy"]:
        for name, cases in result["ours"].items():
            ours, theirs = cases[case], result["peers"]["numpy"][case]
            ratio = result["ratios"]["numpy"][f"{name} {case}"]
            rows.append((name, case, ours["us"], ours["gb_s"], ours["gflop_s"], theirs["us"], ratio))
    columns = ("type", "weights and rows of x", "µs", "GB/s", "GFLOP/s", "NumPy float32 µs", "times faster")
    table(f"products on {result['machine']['cpu']} ({result['machine']['isa']})", columns, rows)
    limits = [(count, limit["memory_gb_s"], limit["cache_gb_s"]) for count, limit in result["limit"].items()]
    table("limits: reading", ("", "1 GiB of memory, GB/s", "9.4 MB in cache, GB/s"), limits)


def picture(result: dict) -> str:
    """Times faster than NumPy's float32 product, as bars in SVG."""
    bars = list(result["ratios"]["numpy"].items())
    widest, height = max(ratio for _, ratio in bars), 22
    lines = []
    for i, (case, ratio) in enumerate(bars):
        y, width = 40 + i * height, 420 * ratio / widest
        color = "#4477aa" if case.startswith("Q4_0") else "#cc6677"
        lines.append(f'<text x="250" y="{y + 14}" text-anchor="end">{case}</text>')
        lines.append(f'<rect x="260" y="{y}" width="{width:.0f}" height="{height - 5}" fill="{color}"/>')
        lines.append(f'<text x="{266 + width:.0f}" y="{y + 14}">{ratio}</text>')
    one = 260 + 420 / widest
    title = f"Times faster than NumPy's float32 product, {result['machine']['cpu']}"
    bottom = 40 + len(bars) * height
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="760" height="{bottom + 10}" font-size="12"'
            ' font-family="sans-serif">',
            '<rect width="100%" height="100%" fill="white"/>',
            f'<text x="10" y="22" font-size="14">{title}</text>',
            *lines,
            f'<path d="M{one:.0f} 34V{bottom}" stroke="black" stroke-dasharray="4"/>',
            "</svg>\n",
        ]
    )


def main() -> int:
    """Measure or read figures, print them, and save them if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--peer", help="what to compare with: numpy")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of tables")
    parser.add_argument(
        "--save", type=Path, metavar="FILE", help="also write FILE (JSON) and a picture beside it"
    )
    parser.add_argument(
        "--show", type=Path, metavar="FILE", help="print the figures of FILE, measure nothing"
    )
    args = parser.parse_args()
    try:
        result = json.loads(args.show.read_text()) if args.show else bench(args.peer)
    except ChronosError as error:
        sys.exit(f"error: {error}")
    if args.save:
        command = f"python native/bench_native.py --save {args.save.as_posix()}"
        args.save.write_text(json.dumps({"command": command} | result, indent=1, ensure_ascii=False) + "\n")
        args.save.with_suffix(".svg").write_text(picture(result))
    if args.json:
        emit(result)
    else:
        show(result)
    return 0


if __name__ == "__main__":
    sys.exit(main())
