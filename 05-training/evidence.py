"""A grid of runs, several seeds each, resumable: the evidence behind the numbers of a lesson.

`python 05-training/evidence.py --text book.txt --experiments shakespeare-published shakespeare --seeds 3 \
    --out 05-training/results/shakespeare.json` trains what is missing and writes means and intervals.
"""

import argparse
import math
import statistics
import sys
from pathlib import Path
from typing import Any

from chronos.console import ChronosError, say, table
from chronos.files import sha256_file, write_json
from chronos.settings import artifacts, machine
from chronos.training.checkpoint import rows
from chronos.training.config import resolve
from chronos.training.run import Source, resume, start

T95 = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776}  # Student's t, two-sided 95%, by number of seeds


def run_one(text: str, experiment: str, seed: int, folder: Path) -> dict[str, Any]:
    """Train (or go on, or read) one cell of the grid."""
    run = folder / f"{experiment}-{seed}"
    if (run / "config.yaml").exists():
        result = resume(run, {})
    else:
        result = start(resolve(experiment=experiment, overrides=[f"train.seed={seed}"]), Source(text), run)
    curve = [[r["step"], round(r["val_nats"], 4)] for r in rows(run / "metrics.jsonl") if r["kind"] == "eval"]
    parameters = sum(p["parameters"] for p in _cost(run) if p["part"] == "all")
    return {**result, "seed": seed, "curve": curve, "parameters": parameters}


def _cost(run: Path) -> list[dict[str, Any]]:
    from chronos.architecture.cost import table as cost
    from chronos.training.config import load_run_config

    c = load_run_config(run / "config.yaml").model
    return cost(c, c.vocabulary)


def summary(values: list[float]) -> str:
    """mean ± half of the 95% interval over seeds."""
    mean = statistics.fmean(values)
    if len(values) < 2:
        return f"{mean:.4f}"
    half = T95.get(len(values), 1.96) * statistics.stdev(values) / math.sqrt(len(values))
    return f"{mean:.4f} ± {half:.4f}"


def main() -> None:
    """Run the grid and write its result."""
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--text", required=True)
    p.add_argument("--experiments", nargs="+", required=True)
    p.add_argument("--seeds", type=int, default=3)
    p.add_argument("--out", type=Path, required=True)
    args = p.parse_args()
    found: dict[str, list[dict[str, Any]]] = {}
    for seed in range(1, args.seeds + 1):  # seeds outside: what is done first is comparable
        for name in args.experiments:
            say(f"── {name}, seed {seed}")
            found.setdefault(name, []).append(run_one(args.text, name, seed, artifacts() / "evidence"))
    lines = []
    for name, cells in found.items():
        loss, seconds = ([c[key] for c in cells] for key in ("val_nats", "seconds"))
        row = [name, cells[0]["parameters"], cells[0]["steps"], summary(loss), statistics.median(seconds)]
        lines.append(row)
    columns = ["experiment", "parameters", "steps", f"validation nats/token ({args.seeds} seeds)", "seconds"]
    table("Evidence", columns, lines)
    kept = ("seed", "val_nats", "seconds", "tokens_per_s")
    curves = {name: cells[0]["curve"] for name, cells in found.items()}
    runs = {name: [{key: c[key] for key in kept} for c in cells] for name, cells in found.items()}
    save("evidence.py", args, columns, lines, curves=curves, runs=runs)
    draw(curves, args.out.with_suffix(".svg"))


def save(script: str, args: argparse.Namespace, columns: list[str], lines: list, **more: Any) -> None:
    """Write args.out (JSON): the command, machine and args.text that the figures are of, and the figures."""
    shown = [Path(word).name if word == args.text else word for word in sys.argv[1:]]
    result = {
        "command": " ".join([f"python 05-training/{script}", *shown]),
        "machine": machine(),
        "text_sha256": sha256_file(args.text),
        "columns": columns,
        "rows": lines,
    }
    write_json(args.out, result | more)


def draw(curves: dict[str, list[list[float]]], path: Path) -> None:
    """The validation loss of the first seed of each experiment, as an SVG that is alike on every machine."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    pyplot.rcParams |= {"svg.fonttype": "none", "svg.hashsalt": "chronos"}
    figure, axes = pyplot.subplots(figsize=(7, 3.5), layout="constrained")
    for name, points in curves.items():
        axes.plot(*zip(*points), marker="o", label=name)
    axes.set(xlabel="step", ylabel="validation loss, nats a token")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    try:
        main()
    except ChronosError as error:
        sys.exit(f"error: {error}")
