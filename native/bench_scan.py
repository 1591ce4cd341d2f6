"""How fast the k best of many keys are found, beside reading them and beside NumPy; what an empty job costs.

Random keys, one query, 32 results; one thread and all. Run `python native/bench_scan.py` (ten seconds,
1 GB of memory); `--save FILE` also writes the figures as JSON.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

try:
    import numpy as np
    from threadpoolctl import threadpool_limits

    from chronos import native
    from chronos.console import emit, table
    from chronos.native.bench_native import machine
    from chronos.native.bench_report import write
except ModuleNotFoundError as missing:
    sys.exit(f"{missing}; run `make setup`, then `.venv/bin/python native/bench_scan.py`")

MILLION, WIDTH, BEST, ROUNDS, JOBS = 1_000_000, 64, 32, 7, 20_000


def seconds(runs: dict[str, Callable]) -> dict[str, list[float]]:
    """Seconds of each call in rounds A B C A B C …; the first round is not counted."""
    found: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(ROUNDS + 1):
        for name, run in runs.items():
            begun = time.perf_counter()
            run()
            if turn:
                found[name].append(time.perf_counter() - begun)
    return found


def scans(millions: int) -> dict[str, dict[str, float]]:
    """Each kind of key: {"ms", "gb_s", "of_reading"}, the last a share of the rate of reading its bytes."""
    from chronos.native import compiled

    rng, n = np.random.default_rng(0), millions * MILLION
    figures = {}
    for name, width in (("int8", WIDTH), ("bfloat16", 2 * WIDTH)):
        memory = np.empty((n * WIDTH // width, width), np.uint8)
        for start in range(0, len(memory), 100_000):
            part = memory[start : start + 100_000]
            part[...] = rng.integers(0, 256, part.shape, np.uint8)
            if name == "bfloat16":  # between 1/8 and 2: numbers below 2^-126 are slow everywhere
                part[:, 1::2] = part[:, 1::2] & 1 | 0x3E
        keys = memory.view(np.int8 if name == "int8" else np.uint16)
        query = rng.integers(-128, 128, (1, WIDTH)).astype(np.int8 if name == "int8" else np.float32)
        runs = {"read": lambda m=memory: compiled.read(m.reshape(-1))}
        runs["scan"] = lambda k=keys, q=query: native.top_k(k, q, BEST)
        found = seconds(runs)
        ms = statistics.median(found["scan"]) * 1e3
        shares = [read / scan for read, scan in zip(found["read"], found["scan"])]
        of_reading = round(statistics.median(shares), 3)
        figures[name] = {
            "ms": round(ms, 2),
            "gb_s": round(memory.nbytes / ms / 1e6, 1),
            "of_reading": of_reading,
        }
    return figures


def beside_numpy() -> float:
    """How many times faster than float32 products and `argpartition`, on a million keys."""
    rng = np.random.default_rng(0)
    keys, query = (
        rng.integers(-128, 128, (MILLION, WIDTH), np.int8),
        rng.integers(-128, 128, (1, WIDTH), np.int8),
    )
    floats, wish = keys.astype(np.float32), query[0].astype(np.float32)

    def numpy() -> np.ndarray:
        scores = floats @ wish
        best = np.argpartition(scores, -BEST)[-BEST:]
        return best[np.lexsort((best, -scores[best]))]

    found = seconds({"ours": lambda: native.top_k(keys, query, BEST), "numpy": numpy})
    return round(statistics.median(b / a for a, b in zip(found["ours"], found["numpy"])), 1)


def empty_job() -> float:
    """Microseconds of a job of a task a thread that does nothing, while the pool is awake."""
    from chronos.native.compiled import lib

    found = []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        lib.chronos_empty_jobs(JOBS)
        found.append((time.perf_counter() - begun) / JOBS)
    return round(statistics.median(found) * 1e6, 3)


def bench(millions: int = 10) -> dict:
    """{"machine", "scan": by number of threads and type of key, "numpy": times faster, "empty_job_us"}."""
    before = native.info()["threads"]
    result = {
        "machine": machine(),
        "keys": f"{millions} M x {WIDTH} int8",
        "scan": {},
        "numpy": {},
        "empty_job_us": {},
    }
    for count in sorted({1, before}):
        native.set_threads(count)
        with threadpool_limits(count):
            result["scan"][str(count)] = scans(millions)
            result["numpy"][str(count)] = beside_numpy()
        result["empty_job_us"][str(count)] = empty_job()
    native.set_threads(before)
    return result


def show(result: dict) -> None:
    """Print the figures as a table."""
    rows = []
    for count, figures in result["scan"].items():
        rest = result["numpy"][count], result["empty_job_us"][count]
        rows += [(count, name, f["ms"], f["gb_s"], f["of_reading"], *rest) for name, f in figures.items()]
    columns = ("threads", "keys", "ms", "GB/s", "of reading", "× NumPy (1 M)", "empty job µs")
    table(f"the {BEST} best of {result['keys']} or as many bytes", columns, rows)


def main() -> int:
    """Measure, print, and save if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--millions", type=int, default=10, help="keys, in millions (default: 10)")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    parser.add_argument("--save", type=Path, metavar="FILE", help="also write the figures to FILE")
    args = parser.parse_args()
    if not native.available():
        sys.exit("error: the C kernels are not built: nothing to measure")
    result = bench(args.millions)
    if args.save:
        command = f"python native/bench_scan.py --save {args.save.as_posix()}"
        write(args.save, command, result)
    if args.json:
        emit(result)
    else:
        show(result)
    return 0


if __name__ == "__main__":
    sys.exit(main())
