"""What the quality filters kept and left out: numbers for stats.json and a picture, quality.svg.

It decides nothing; it counts what the blocks noted. Without matplotlib the picture is left out, with a word.
Used by `chronos.data.corpus.prepare` where filters or the report are asked for.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from chronos.console import say
from chronos.data.corpus.config import Options
from chronos.data.corpus.records import Made
from chronos.data.corpus.rules import RULES, STATISTICS, chosen

BINS = 40
MILLION = 1_000_000
DRAWN = ("words", "word_length", "letters", "stop_words", "punctuated", "short_lines", "top_2gram")
DRAWN += ("repeated_10grams",)
# Upper end of each histogram where it is not 1; what lies above is counted in the last bin.
ENDS = {"words": 5.0, "word_length": 15.0, "symbols": 0.5, "stop_words": 8.0, "sentences": 200.0}
ENDS |= {"lorem": 5.0, "braces": 50.0}


def report(
    made: Made, options: Options, summaries: Sequence[dict[str, Any]], folder: Path
) -> dict[str, Any] | None:
    """Draw `folder`/quality.svg and return the numbers; None where quality was not judged.

    The numbers: documents, kept, what each rule dropped (a document is dropped by the first rule that it
    breaks, in the order of rules.py), with an example of each, and the mean of each statistic.
    """
    rules = chosen(options.filters)
    if not (rules or options.report):
        return None
    counts = np.zeros((2, len(STATISTICS), BINS), np.int64)  # kept, dropped
    sums = np.zeros((2, len(STATISTICS)), np.int64)  # in millionths: exact, however the blocks are cut
    documents = np.zeros(2, np.int64)
    for block in range(len(made.counts)):
        values, verdicts = made.load(block, "statistics"), made.load(block, "verdicts")
        for side, chosen_rows in enumerate((verdicts == 0, verdicts > 0)):
            counts[side] += _histograms(values[chosen_rows])
            sums[side] += np.rint(values[chosen_rows] * MILLION).astype(np.int64).sum(axis=0)
            documents[side] += int(chosen_rows.sum())
    dropped = {rule: sum(each["dropped"].get(rule, 0) for each in summaries) for rule in rules}
    examples: dict[str, str] = {}
    for each in summaries:
        examples = each["examples"] | examples
    found = {
        "documents": int(documents.sum()),
        "kept": int(documents[0]),
        "dropped": {rule: count for rule, count in dropped.items() if count},
        "examples": {rule: examples[rule] for rule in rules if rule in examples},
        "mean": {
            side: dict(zip(STATISTICS, (sums[i] / MILLION / max(int(documents[i]), 1)).tolist()))
            for i, side in enumerate(("kept", "dropped"))
        },
    }
    _draw(counts, found, folder / "quality.svg")
    return found


def _scaled(name: str, values: np.ndarray) -> np.ndarray:
    """Words on a scale of powers of ten, from 1 to 100,000."""
    return np.log10(np.maximum(values, 1)) if name == "words" else values


def _histograms(values: np.ndarray) -> np.ndarray:
    """(n, K) statistics -> (K, BINS) counts."""
    counts = np.zeros((len(STATISTICS), BINS), np.int64)
    for i, name in enumerate(STATISTICS):
        share = _scaled(name, values[:, i]) / ENDS.get(name, 1.0)
        bins = np.clip((share * BINS).astype(np.int64), 0, BINS - 1)
        counts[i] = np.bincount(bins, minlength=BINS)
    return counts


def _draw(counts: np.ndarray, found: dict[str, Any], path: Path) -> None:
    try:
        import matplotlib
    except ModuleNotFoundError:
        say('no picture: it needs `pip install "chronos-memory[plots]"`')
        return
    matplotlib.use("Agg")
    from matplotlib import pyplot

    style = {"svg.fonttype": "none", "svg.hashsalt": "chronos", "font.size": 7}
    with pyplot.rc_context(style):
        figure, axes = pyplot.subplots(3, 3, figsize=(10, 6))
        _draw_reasons(axes.flat[0], found)
        for panel, name in zip(axes.flat[1:], DRAWN):
            _draw_histogram(panel, name, counts[:, list(STATISTICS).index(name)])
        handles, labels = axes.flat[1].get_legend_handles_labels()
        figure.legend(handles, labels, loc="upper center", ncols=2, frameon=False)
        figure.tight_layout(rect=(0, 0, 1, 0.97))
        figure.savefig(path, metadata={"Date": None})
        pyplot.close(figure)


def _draw_reasons(axes: Any, found: dict[str, Any]) -> None:
    reasons = {"kept": found["kept"], **found["dropped"]}
    axes.barh(list(reasons), list(reasons.values()), color=["tab:blue"] + ["tab:red"] * len(found["dropped"]))
    axes.invert_yaxis()
    axes.set_title(f"{found['documents']:,} documents")


def _draw_histogram(axes: Any, name: str, counts: np.ndarray) -> None:
    end = ENDS.get(name, 1.0)
    edges = np.linspace(0, end, BINS + 1)
    for side, (label, colour) in enumerate((("kept", "tab:blue"), ("dropped", "tab:red"))):
        axes.stairs(counts[side], edges, fill=True, alpha=0.6, label=label, color=colour)
    for rule in RULES.values():
        for bound in (rule.low, rule.high) if rule.statistic == name else ():
            at = float(_scaled(name, np.array(bound)))
            if 0 < at < end:
                axes.axvline(at, color="black", linewidth=0.6, linestyle="--")
    axes.set_yscale("symlog")
    axes.set_title("words (powers of ten)" if name == "words" else name.replace("_", " "))
