"""How far guessing gets on the stories' questions: the numbers and the picture of this stage's lesson.

Two readers that keep no track of the world, on stories of each kind of question. It trains no model.
Run it as `python -m chronos.data.measure` (rewrites 01-data/results; the picture needs matplotlib).
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from chronos.console import table
from chronos.data import wording
from chronos.data.stories import Tale, tales
from chronos.files import write_json

RESULTS = Path(__file__).parent / "results"
COUNT, SEED = 5000, 1

# What the answer to each kind of question names.
CLASSES = {
    "person": wording.PLACES,
    "thing": wording.PLACES,
    "before": wording.PLACES,
    "colour": wording.COLOURS,
    "holder": (*wording.PEOPLE, "Nobody"),
    "has": (*wording.THINGS, "nothing"),
    "thinks": wording.PLACES,
    "thinks who": wording.PEOPLE,
}


def guesses(told: Iterable[Tale]) -> dict[str, dict[str, float]]:
    """For each kind of question: how many, and how often two careless readers are right.

    `common` always gives the most common answer of the kind; `last` the one that the story named last.
    """
    answers: dict[str, Counter[str]] = defaultdict(Counter)
    last_right: Counter[str] = Counter()
    for tale in told:
        for kind, question, answer in tale.questions:
            kind = "thinks who" if question.startswith("Who does") else kind
            named = re.compile(rf"\b(?:{'|'.join(CLASSES[kind])})\b")
            value = " and ".join(named.findall(answer)) if kind == "has" else named.findall(answer)[-1]
            answers[kind][value] += 1
            last_right[kind] += (named.findall(tale.body) or [""])[-1] == value
    return {
        kind: {
            "n": count.total(),
            "common": max(count.values()) / count.total(),
            "last": last_right[kind] / count.total(),
        }
        for kind in CLASSES
        if (count := answers[kind])
    }


def measure() -> dict[str, Any]:
    """The result as it stands in results/guesses.json; the same on every machine."""
    command = "python -m chronos.data.measure"
    return {"command": command, "stories": COUNT, "seed": SEED, "kinds": guesses(tales(COUNT, SEED))}


def draw(result: dict[str, Any], path: Path) -> None:
    """Bars of both readers by kind of question."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    pyplot.rcParams |= {"svg.fonttype": "none", "svg.hashsalt": "chronos"}
    kinds = list(result["kinds"])
    figure, axes = pyplot.subplots(figsize=(7, 3))
    for shift, (name, label) in enumerate((("common", "most common answer"), ("last", "last one named"))):
        heights = [100 * result["kinds"][kind][name] for kind in kinds]
        axes.bar([i + 0.4 * shift for i in range(len(kinds))], heights, width=0.38, label=label)
    axes.axhline(100, color="black", linewidth=0.8, linestyle="--", label="following the world")
    axes.set_xticks([i + 0.2 for i in range(len(kinds))], kinds)
    axes.set_ylabel("right answers, %")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    """Measure, write results/guesses.json and .svg, and show the table."""
    result = measure()
    RESULTS.mkdir(exist_ok=True)
    write_json(RESULTS / "guesses.json", result)
    draw(result, RESULTS / "guesses.svg")
    rows = [(kind, r["n"], 100 * r["common"], 100 * r["last"]) for kind, r in result["kinds"].items()]
    table("Guessing on stories", ("question", "n", "most common %", "last named %"), rows)


if __name__ == "__main__":
    main()
