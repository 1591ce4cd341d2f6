"""How far back each recall task reaches, and what guessing scores: the numbers and picture of the lesson.

A perfect reader of the last W events (of arrays: tokens), with no memory beyond them. It trains no model.
Run it as `python -m chronos.data.tasks.measure` (rewrites 01-data/results; the picture needs matplotlib).
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from chronos.console import table
from chronos.data.lives import Question, majority
from chronos.data.tasks.registry import examples
from chronos.files import write_json

RESULTS = Path(__file__).parent.parent / "results"
SEED = 1
WINDOWS = tuple(2**i for i in range(10))

COUNTS = {"mqar": 1000, "copying": 200, "needle": 150}


def within(questions: Iterable[Question], window: int) -> float:
    """The share of questions whose evidence lies among the last `window` events before they are asked."""
    near = [question.t - min(question.evidence, default=question.t) <= window for question in questions]
    return sum(near) / max(len(near), 1)


def measure() -> dict[str, Any]:
    """The result as it stands in results/tasks.json; the same on every machine."""
    tasks = {}
    for name, n in COUNTS.items():
        asked = [q for example in examples(name, seed=SEED, n=n) for q in example.questions]
        tasks[name] = {**majority(asked)["all"], "within": {str(w): within(asked, w) for w in WINDOWS}}
    return {"command": "python -m chronos.data.tasks.measure", "seed": SEED, "tasks": tasks}


def draw(result: dict[str, Any], path: Path) -> None:
    """For each task the share of questions that a window of each length can answer."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    pyplot.rcParams |= {"svg.fonttype": "none", "svg.hashsalt": "chronos"}
    figure, axes = pyplot.subplots(figsize=(7, 3))
    for name, task in result["tasks"].items():
        axes.plot(WINDOWS, [100 * share for share in task["within"].values()], marker="o", label=name)
    axes.set_xscale("log", base=2)
    axes.set_xticks(WINDOWS, [str(window) for window in WINDOWS])
    axes.set_xlabel("events that the reader still sees (mqar: tokens)")
    axes.set_ylabel("right answers, %")
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    """Measure, write results/tasks.json and .svg, and show the table."""
    result = measure()
    RESULTS.mkdir(exist_ok=True)
    write_json(RESULTS / "tasks.json", result)
    draw(result, RESULTS / "tasks.svg")
    columns = ("task", "n", "answers", "most common %", "last 8 %", "last 64 %", "last 256 %")
    rows = [
        (name, r["n"], r["classes"], 100 * r["share"], *(100 * r["within"][w] for w in ("8", "64", "256")))
        for name, r in result["tasks"].items()
    ]
    table("What the recall tasks ask for", columns, rows)


if __name__ == "__main__":
    main()
