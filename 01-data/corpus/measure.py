"""How surely near-duplicates are found: planted pairs of known similarity, against the formula of the bands.

The numbers and the picture of this lesson, the same on every machine; no text of anybody's is read.
Run it as `python -m chronos.data.corpus.measure` (rewrites 01-data/corpus/results).
"""

from pathlib import Path
from typing import Any

import numpy as np

from chronos.console import Progress, table
from chronos.data.corpus import near
from chronos.data.dice import Dice
from chronos.files import write_json

RESULTS = Path(__file__).parent / "results"
SIMILARITY, WORDS, PAIRS = 0.8, 300, 200
EDITS = (45, 33, 26, 20, 17, 14, 11, 9, 6, 4, 2)  # words that differ; each breaks up to five 5-grams


def planted(edits: int, n: int) -> tuple[str, str, float]:
    """The n-th pair of texts that differ in so many words, and their exact Jaccard similarity."""
    dice = Dice(0xD0B1E, edits, n)
    one = [f"w{dice.below(5000)}" for _ in range(WORDS)]
    other = list(one)
    for place in dice.sample(range(WORDS), edits):
        other[place] = f"x{dice.below(1 << 40)}"
    sides = ([word.encode() for word in side] for side in (one, other))
    return " ".join(one), " ".join(other), near.jaccard(*sides)


def measure() -> dict[str, Any]:
    """The result as it stands in results/near.json."""
    signer = near.Signer()
    bands, rows = near.banding(SIMILARITY)
    found = []
    with Progress(len(EDITS), "planting pairs") as bar:
        for done, edits in enumerate(EDITS, 1):
            pairs = [planted(edits, n) for n in range(PAIRS)]
            left, right = (np.stack([signer.sign(pair[side]) for pair in pairs]) for side in (0, 1))
            meet = (near.bands(left, SIMILARITY) == near.bands(right, SIMILARITY)).any(axis=0)
            same = meet & (near.estimate(left, right) >= SIMILARITY)
            true = [pair[2] for pair in pairs]
            formula = float(np.mean([near.found(s, bands, rows) for s in true]))
            shares = (float(meet.mean()), formula, float(same.mean()))
            found.append(
                {"jaccard": float(np.mean(true)), **dict(zip(("met", "formula", "left_out"), shares))}
            )
            bar.update(done)
    about = {"command": "python -m chronos.data.corpus.measure", "machine": "any machine"}
    told = {"similarity": SIMILARITY, "bands": bands, "rows_a_band": rows, "pairs": PAIRS, "found": found}
    columns = (
        "true Jaccard similarity",
        "became candidates",
        "by the formula",
        "left out as near-duplicates",
    )
    drawn = [
        [f"{row['jaccard']:.2f}", *(f"{row[k]:.1%}" for k in ("met", "formula", "left_out"))] for row in found
    ]
    return {**about, **told, "columns": columns, "rows": drawn}


def draw(result: dict[str, Any], path: Path) -> None:
    """Both shares over the true similarity, and the curve of the formula."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    with pyplot.rc_context({"svg.fonttype": "none", "svg.hashsalt": "chronos"}):
        figure, axes = pyplot.subplots(figsize=(7, 3))
        s = np.linspace(0.25, 1, 151)
        curve = near.found(s, result["bands"], result["rows_a_band"])
        axes.plot(s, 100 * curve, color="tab:grey", label="1 − (1 − sʳ)ᵇ")
        true = [row["jaccard"] for row in result["found"]]
        for key, label, marker in (("met", "became candidates", "o"), ("left_out", "left out", "s")):
            axes.plot(true, [100 * row[key] for row in result["found"]], marker, label=label)
        axes.axvline(result["similarity"], color="black", linewidth=0.8, linestyle="--")
        axes.set_xlabel("true Jaccard similarity of a pair")
        axes.set_ylabel("pairs, %")
        axes.legend(frameon=False)
        axes.spines[["top", "right"]].set_visible(False)
        figure.tight_layout()
        figure.savefig(path, metadata={"Date": None})
        pyplot.close(figure)


def main() -> None:
    """Measure, write results/near.json and .svg, and show the table."""
    result = measure()
    RESULTS.mkdir(exist_ok=True)
    write_json(RESULTS / "near.json", result)
    draw(result, RESULTS / "near.svg")
    table(f"Pairs of {WORDS} words", result["columns"], result["rows"])


if __name__ == "__main__":
    main()
