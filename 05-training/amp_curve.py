"""The loss with --amp beside the loss in float32: from the same weights, on the same batches, step by step.

`python 05-training/amp_curve.py --text book.txt --seeds 2 --out 05-training/results/amp.json` trains what is
missing (a run that was stopped goes on) and writes the curves, how far they are apart, and a picture. How far
two seeds are apart in float32 is the yardstick.
"""

import argparse
import statistics
import sys
from itertools import combinations
from pathlib import Path
from typing import Any

try:
    from threadpoolctl import threadpool_limits

    from chronos import native
    from chronos.console import ChronosError, say, table
    from chronos.settings import artifacts, set_threads
    from chronos.training.checkpoint import rows
    from chronos.training.config import resolve
    from chronos.training.evidence import save
    from chronos.training.run import Source, resume, start
except ModuleNotFoundError as missing:
    sys.exit(f"{missing}; run `make setup`, then `.venv/bin/python 05-training/amp_curve.py`")

KINDS = {"float32": False, "amp": True}
SPAN = 20  # steps whose losses are one point of a curve
Curve = list[tuple[int, float]]  # (step, nats a token)
Run = dict[str, Curve]  # "train" and "validation"


def train(text: str, seed: int, amp: bool, overrides: list[str], folder: Path) -> Run:
    """Train (or go on, or read) one run of experiment `amp`; its losses by step."""
    run = folder / f"{'amp' if amp else 'float32'}-{seed}"
    if (run / "config.yaml").exists():
        resume(run, {})
    else:
        told = [f"train.seed={seed}", f"train.amp={str(amp).lower()}", *overrides]
        start(resolve(experiment="amp", overrides=told, environment={}), Source(text), run)
    found = list(rows(run / "metrics.jsonl"))
    steps = [(r["step"], r["loss"]) for r in found if r["kind"] == "train"]
    judged = [(r["step"], r["val_nats"]) for r in found if r["kind"] == "eval"]
    return {"train": smooth(steps), "validation": judged}


def smooth(losses: Curve) -> Curve:
    """The mean loss of every SPAN steps, at the last of them."""
    parts = [losses[at : at + SPAN] for at in range(0, len(losses), SPAN)]
    return [(part[-1][0], statistics.fmean(loss for _, loss in part)) for part in parts]


def apart(one: Curve, other: Curve) -> dict[str, float]:
    """How far the second curve lies above the first: on average, at most (absolute), and at the end; nats."""
    if [step for step, _ in one] != [step for step, _ in other]:
        raise ChronosError("curves of different steps", got=f"{one[-1][0]} and {other[-1][0]} steps")
    gaps = [b - a for (_, a), (_, b) in zip(one, other)]
    return {"mean": statistics.fmean(gaps), "most": max(map(abs, gaps)), "last": gaps[-1]}


def compare(runs: dict[str, dict[int, Run]]) -> dict[str, dict[str, dict[str, float]]]:
    """{pair: {"train" and "validation": `apart`}}: amp beside float32 by seed; float32 beside itself."""
    pairs = {f"amp, seed {seed}": (runs["float32"][seed], runs["amp"][seed]) for seed in runs["float32"]}
    for one, other in combinations(runs["float32"], 2):
        pairs[f"float32, seed {other} beside {one}"] = (runs["float32"][one], runs["float32"][other])
    kinds = ("train", "validation")
    return {name: {kind: apart(a[kind], b[kind]) for kind in kinds} for name, (a, b) in pairs.items()}


def draw(runs: dict[str, dict[int, Run]], path: Path) -> None:
    """The curves over each other, and how far they are apart; an SVG that is alike on every machine."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    pyplot.rcParams |= {"svg.fonttype": "none", "svg.hashsalt": "chronos"}
    figure, (top, below) = pyplot.subplots(
        2, figsize=(7, 5), sharex=True, layout="constrained", height_ratios=(2, 1)
    )
    for number, (seed, run) in enumerate(runs["float32"].items()):
        amp = runs["amp"][seed]
        top.plot(*zip(*run["train"]), color=f"C{number}", lw=3, alpha=0.4, label=f"float32, seed {seed}")
        top.plot(*zip(*amp["train"]), color=f"C{number}", lw=1, ls="--", label=f"amp, seed {seed}")
        steps = [step for step, _ in run["train"]]
        gaps = [b - a for (_, a), (_, b) in zip(run["train"], amp["train"])]
        below.plot(steps, gaps, color=f"C{number}", lw=1)
    top.set(ylabel=f"training loss, nats a token\n(mean of {SPAN} steps)")
    below.set(xlabel="step", ylabel="amp − float32")
    top.legend()
    for axes in (top, below):
        axes.grid(alpha=0.3)
    figure.savefig(path, metadata={"Date": None})


def report(runs: dict[str, dict[int, Run]]) -> tuple[list[str], list[list[Any]]]:
    """Columns and rows: one row a pair of curves."""
    lines = []
    for name, pair in compare(runs).items():
        train, judged = pair["train"], pair["validation"]
        found = train["mean"], train["most"], judged["last"]
        lines.append([name, *(round(value, 4) + 0.0 for value in found)])  # + 0.0: never −0
    columns = ["curve beside float32", "training loss, mean", "… at most", "validation loss at the end"]
    return columns, lines


def main() -> int:
    """Train, compare, write, draw."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    p.add_argument("--text", required=True)
    p.add_argument("--seeds", type=int, default=2)
    p.add_argument("--threads", type=int, default=1, help="cores (default 1)")
    p.add_argument("--out", type=Path, required=True)
    p.add_argument("overrides", nargs="*", metavar="key.sub=value", help="any setting of the runs")
    args = p.parse_args()
    if not native.has_bf16():
        sys.exit("error: this CPU has no bf16 products: with --amp all would be float32")
    set_threads(args.threads)
    threadpool_limits(args.threads)
    native.set_threads(args.threads)
    runs: dict[str, dict[int, Run]] = {kind: {} for kind in KINDS}
    for seed in range(1, args.seeds + 1):  # seeds outside: what is done first is comparable
        for kind, amp in KINDS.items():
            say(f"── {kind}, seed {seed}")
            place = artifacts() / "amp-curve"
            runs[kind][seed] = train(args.text, seed, amp, args.overrides, place)
    columns, lines = report(runs)
    table("With --amp and without", columns, lines)
    each = {kind: {str(seed): run for seed, run in found.items()} for kind, found in runs.items()}
    save("amp_curve.py", args, columns, lines, apart=compare(runs), runs=each)
    draw(runs, args.out.with_suffix(".svg"))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except ChronosError as error:
        sys.exit(f"error: {error}")
