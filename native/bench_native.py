"""How fast quantized products are, beside ggml, PyTorch, NumPy and the limits of the hardware, in one run.

Times no model and tunes nothing. `python native/bench_native.py` measures (four minutes, 1.7 GB of memory),
with `--quick` a few cases in half a minute; `--save FILE` also writes the figures as JSON and a picture,
`--show FILE` prints saved ones. ggml is llama-cpp-python's, or that of the folder in CHRONOS_GGML.
"""

import argparse
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "17")  # as `chronos` does: else NumPy's threads spin on

try:
    import numpy as np

    from chronos import native
    from chronos.console import ChronosError, Progress, emit, say
except ModuleNotFoundError as missing:
    sys.exit(f"{missing}; run `make setup`, then `.venv/bin/python native/bench_native.py`")

TYPES = ("Q4_0", "Q8_0", "Q2_K", "INT4", "F16", "BF16")
SPREAD = 512_000_000  # bytes of weights "from memory", which no cache holds
CASES = (  # weights (N, K), whether spread over memory, rows of x
    ((512, 512), False, (1, 8, 64, 512)),
    ((1536, 512), False, (1,)),
    ((4096, 4096), False, (1, 8, 64, 512)),
    ((4096, 4096), True, (1,)),
)
QUICK = (((512, 512), False, (1, 64)), ((4096, 4096), False, (1, 64)))
SECONDS = 1.5  # for all that is compared at once, by default
CELL, QUICK_CELL = 0.8, 0.2  # and here
TURN = 0.01
REST = 0.005  # after a peer's turn: its threads spin a little, on cores that the next one needs
LEAST = 5  # turns each
WARM = 4  # calls before a turn: after somebody else's 64 MB the third-level cache takes that many to fill
HOPELESS = 1.5  # times slower than the same peer in another way: not timed further


def bench(peer: str | None = None, *, quick: bool = False, ggml: str | Path | None = None) -> dict:
    """Time packed products of every type, interleaved with the peers' and with the limits.

    `peer`: "ggml", "torch" or "numpy" alone, or None for all there are; `ggml`: a folder with libggml.
    Returns "ours", "peers" (by name) and "limit", each by type and then by case: {"us", "gb_s" of weights,
    "gflop_s"}; "ratios": how many times faster than each peer we are, and as "limit" what share of it we
    reach (medians); and "targets". ChronosError for a peer that is unknown or, if named, not there.
    """
    from chronos.native import bench_report

    if not native.available():
        raise ChronosError("the C kernels are not built: nothing to measure", where="bench native")
    peers = _peers(peer, ggml)
    result: dict[str, Any] = {"machine": machine() | {"peers": [p.about for p in peers[1:]]}}
    result |= {"ours": {}, "peers": {p.name: {} for p in peers[1:]}, "limit": {}, "ratios": {}}
    before, cases = native.info()["threads"], QUICK if quick else CASES
    counts = sorted({1, before})
    total = len(TYPES) * len(counts) * sum(len(ns) for _, _, ns in cases)
    with Progress(total, "products") as bar:
        try:
            for qtype in TYPES:
                for case, figures in _measured(qtype, cases, counts, peers, QUICK_CELL if quick else CELL):
                    _note(result, qtype, case, figures)
                    bar.update(bar.done + 1, case=f"{qtype} {case}")
        finally:
            native.set_threads(before)
    result["targets"] = bench_report.targets(result)
    return result | {"table": bench_report.rows(result)}


def _peers(wanted: str | None, folder: str | Path | None) -> list:
    """Ours first, then the peers; one line tells who is missing."""
    from chronos.native import bench_ggml, bench_peers

    def ggml() -> bench_ggml.Ggml | None:
        place = bench_ggml.folder(folder)
        return bench_ggml.Ggml(place) if place else None

    makers = {"ggml": ggml, "torch": bench_peers.Torch, "numpy": bench_peers.Numpy}
    peers, absent = bench_peers.found(makers, wanted)
    for line in absent:
        say(line)
    return [bench_peers.Ours(), *peers]


Figures = dict[str, dict[str, Any]]  # of "ours", "limit" and each peer


def _measured(
    qtype: str, cases: tuple, counts: list[int], peers: list, seconds: float
) -> Iterator[tuple[str, Figures]]:
    """Each case of a type and the figures of all, taken in turns.

    Weights that are spread over memory are held by one peer at a time, beside ours, and let go again.
    """
    from chronos.native.bench_peers import Weights

    rng = np.random.default_rng(0)
    ours, *others = peers
    for shape, spread, ns in cases:
        weights = Weights(qtype, rng.standard_normal(shape, np.float32), SPREAD if spread else 0)
        found: dict[str, Figures] = {}
        for group in [[peer] for peer in others] or [[]] if spread else [others]:
            with ExitStack() as stack:
                makers = {peer.name: peer.hold(weights, stack) for peer in (ours, *group)}
                for count in counts:
                    for peer in (ours, *group):
                        peer.set_threads(count)
                    for n in ns:
                        x = rng.standard_normal((n, shape[1]), np.float32)
                        name = case_name(shape, n, spread, count)
                        figures = _compare(makers, x, weights, seconds, REST if count > 1 else 0)
                        found[name] = figures | found.get(name, {}) | figures
        yield from found.items()


def case_name(shape: tuple[int, int], n: int, spread: bool, threads: int) -> str:
    """What a case is called in the results: 4096² n=1 from memory, 2 threads."""
    size = f"{shape[0]}²" if shape[0] == shape[1] else f"{shape[0]}×{shape[1]}"
    return f"{size} n={n}{' from memory' * spread}, {threads} thread{'s' * (threads > 1)}"


def _compare(makers: dict[str, dict], x: np.ndarray, weights: Any, seconds: float, rest: float) -> Figures:
    """Figures of "ours", "limit" and each peer, which counts as what it does best."""
    turns = {
        (peer, label): turn
        for peer, held in makers.items()
        for label, make in held.items()
        if (turn := make(x)) is not None
    }
    _check(turns)
    runs = {key: turns[key].run for key in _hopeful(turns)}
    after = {key: turns[key].rest for key in runs if turns[key].rest}
    taken = interleaved(runs, seconds, after, {key: rest for key in runs if key[0] != "ours"})
    each = {key: taken[key] / turns[key].products for key in runs}
    best: Figures = {}
    for (peer, label), spent in sorted(each.items(), key=lambda item: -item[1]):
        figures = {
            "us": float(f"{spent * 1e6:.4g}"),
            "gb_s": round(turns[peer, label].nbytes / spent / 1e9, 1),
            "gflop_s": round(2 * len(x) * weights.w.size / spent / 1e9, 1),
            "ratio": round(spent / each["ours", "ours"], 3),
        }
        if peer == "ours":
            best[label] = figures
        else:
            best[peer] = figures | {"kind": label}
    return best


def _check(turns: dict) -> None:
    """Everybody must compute the same product, nearly: a figure of something else would compare nothing."""
    wanted = None
    for (peer, label), turn in turns.items():
        if turn.result is None:
            continue
        turn.run()
        y = turn.result()
        wanted = y.copy() if wanted is None else wanted
        off = float(np.linalg.norm(y - wanted) / np.linalg.norm(wanted))
        if not off < 0.5:  # two bits a weight are off by a third; something else by more than 1
            got = f"{off:.2f} of its length away"
            raise ChronosError(f"{peer} ({label}) computes another product", where="bench native", got=got)


def _hopeful(turns: dict) -> list:
    """All but what the same peer does much faster in another way."""

    def spent(key: tuple[str, str]) -> float:
        begun = time.perf_counter()
        turns[key].run()
        return time.perf_counter() - begun

    least = {key: min(spent(key) for _ in range(3)) for key in turns if len(_ways(turns, key)) > 1}
    return [
        key
        for key in turns
        if key not in least or least[key] < HOPELESS * min(least[way] for way in _ways(turns, key))
    ]


def _ways(turns: dict, key: tuple[str, str]) -> list:
    return [other for other in turns if other[0] == key[0] != "ours"]


def _seconds(run: Callable) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def interleaved(
    runs: Mapping[Any, Callable],
    seconds: float | None = None,
    after: Mapping[Any, Callable] = {},
    rests: Mapping[Any, float] = {},
) -> dict[Any, float]:
    """Median seconds a call, in rounds A B C C B A …, so that a busy moment hits all alike.

    A turn is some 10 ms after a few calls, so that weights which fit a cache come from it. Then comes what
    `after` has for it, and a rest of the seconds in `rests`.
    """
    inner = {}
    for name, run in runs.items():
        once = min(_seconds(run) for _ in range(WARM))  # a first call may wait for threads that sleep
        inner[name] = max(1, int(TURN / once))
    times: dict[Any, list[float]] = {name: [] for name in runs}
    end = time.perf_counter() + (SECONDS if seconds is None else seconds)
    order = list(runs)
    while time.perf_counter() < end or len(times[order[0]]) < LEAST:
        for name in order:
            run = runs[name]
            for _ in range(min(inner[name] - 1, WARM)):
                run()
            start = time.perf_counter()
            for _ in range(inner[name]):
                run()
            times[name].append((time.perf_counter() - start) / inner[name])
            if name in after:
                after[name]()
            if rests.get(name):
                time.sleep(rests[name])
        order.reverse()
    return {name: statistics.median(values) for name, values in times.items()}


def _note(result: dict, qtype: str, case: str, figures: Figures) -> None:
    """Put the figures of a case where `bench` promises them."""
    for name, found in figures.items():
        ratio = found.pop("ratio")
        group = result[name] if name in ("ours", "limit") else result["peers"].setdefault(name, {})
        group.setdefault(qtype, {})[case] = found
        if name != "ours":
            result["ratios"].setdefault(name, {}).setdefault(qtype, {})[case] = ratio


def machine() -> dict[str, str]:
    """What it was measured on."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = [line for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        model = lines[0].split(":")[1].strip() if lines else model
    info = native.info()
    return {"cpu": model, "isa": info["isa"], "compiler": str(info["compiler"]), "numpy": np.__version__}


def main() -> int:
    """Measure or read figures, print them, and save them if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--peer", help="compare with ggml, torch or numpy alone (default: all there are)")
    parser.add_argument("--quick", action="store_true", help="a few cases, half a minute")
    parser.add_argument("--ggml", type=Path, metavar="FOLDER", help="where libggml is, else $CHRONOS_GGML")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of tables")
    parser.add_argument("--save", type=Path, metavar="FILE", help="also write FILE (JSON) and a picture")
    parser.add_argument("--show", type=Path, metavar="FILE", help="print the figures of FILE")
    args = parser.parse_args()
    try:
        if args.show:
            result = json.loads(args.show.read_text(encoding="utf-8"))
        else:
            result = bench(args.peer, quick=args.quick, ggml=args.ggml)
    except ChronosError as error:
        sys.exit(f"error: {error}")
    from chronos.native import bench_report

    if args.save:
        flags = f" --peer {args.peer}" * bool(args.peer) + " --quick" * args.quick
        command = f"python native/bench_native.py{flags} --save {args.save.as_posix()}"
        bench_report.save(result, args.save, command)
    if args.json:
        emit(result)
    else:
        bench_report.show(result)
    return 0


if __name__ == "__main__":
    sys.exit(main())
