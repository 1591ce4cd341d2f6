"""The pictures of the live-memory report: by kind and condition, by age, by overwrites, by number of events.

`draw(report)` takes live.json's data and returns name → SVG (svg.py); nothing is measured here. Without
matplotlib there are no pictures; the tables hold the same numbers.
"""

from typing import Any

from chronos.evaluation.live.content import ABLATIONS, kinds_of
from chronos.evaluation.live.tally import AGES, OVERWRITES, bucket_names
from chronos.evaluation.svg import ACCENT, FAINT, INK, LINE, available, plain, render

TITLES = {
    "by-kind": "Right answers by kind, with 95% intervals: blue the memory on, red what was taken from it, "
    "grey what others reach",
    "by-age": "With the memory on: right answers by kind and by how many steps ago the fact was told",
    "by-overwrites": "With the memory on: right answers by kind and by how often the fact was overwritten",
    "by-events": "Right answers by the number of events in the life, without “unknown”, with 95% intervals",
}
WIDTH = 5.2  # inches, as all pictures of the reports


def draw(report: dict[str, Any]) -> dict[str, str]:
    """Name → SVG for what there is data for; {} without matplotlib."""
    if not available():
        return {}
    kinds, rows = kinds_of(report), len(report["conditions"])
    tall = 0.55 + len(kinds) * (0.12 * rows + 0.14) + 0.18 * -(-rows // 3)
    made = {
        "by-kind": render("by-kind", TITLES["by-kind"], lambda axes: _kinds(axes, report), (WIDTH, tall), "x")
    }
    for name, edges in (("age", AGES), ("overwrites", OVERWRITES)):
        cells = {(row["kind"], row[name]): row for row in report[f"by_{name}"]}
        columns = [bucket for bucket in bucket_names(edges) if any(key[1] == bucket for key in cells)]
        shown = [kind for kind in kinds if any(key[0] == kind for key in cells)]
        if cells:
            label = "steps since the fact was told" if name == "age" else "times overwritten since"
            made[f"by-{name}"] = render(
                f"by-{name}",
                TITLES[f"by-{name}"],
                lambda axes, given=(cells, shown, columns, label): _heat(axes, *given),
                (WIDTH, 0.9 + 0.32 * len(shown)),
                "",
            )
    if len(report["events"]) > 1:
        made["by-events"] = render(
            "by-events", TITLES["by-events"], lambda axes: _events(axes, report), (WIDTH, 3.6)
        )
    return made


def style(condition: str) -> dict[str, Any]:
    """How a condition is drawn: blue for the memory, red for what was taken from it, ink for others."""
    if condition == "on":
        return {"color": LINE, "marker": "o", "markersize": 5.5}
    marks = "vs^Dp*XPh"
    if condition in ABLATIONS:
        return {"color": ACCENT, "marker": marks[ABLATIONS.index(condition)], "markersize": 3.8}
    place = sum(map(ord, condition)) % len(marks)  # the same in every report
    return {"color": INK, "alpha": 0.6, "marker": marks[place], "markersize": 3.8}


def _errors(rows: list[dict[str, Any]]) -> list[list[float]]:
    below = [max(row["accuracy"] - row["low"], 0.0) for row in rows]
    return [below, [max(row["high"] - row["accuracy"], 0.0) for row in rows]]


def _kinds(axes: Any, report: dict[str, Any]) -> None:
    kinds, conditions = kinds_of(report), list(report["conditions"])
    found = {(row["condition"], row["kind"]): row for row in report["by_kind"]}
    for i, condition in enumerate(conditions):
        pairs = [(k, found[condition, kind]) for k, kind in enumerate(kinds) if (condition, kind) in found]
        heights = [k + 0.8 * (i + 0.5) / len(conditions) - 0.4 for k, _ in pairs]
        rows = [row for _, row in pairs]
        shares = [row["accuracy"] for row in rows]
        axes.errorbar(
            shares,
            heights,
            xerr=_errors(rows),
            linestyle="",
            elinewidth=1,
            label=plain(condition),
            **style(condition),
        )
    for edge in range(1, len(kinds)):
        axes.axhline(edge - 0.5, color=FAINT, linewidth=0.5)
    axes.set_yticks(range(len(kinds)), map(plain, kinds))
    axes.set_ylim(len(kinds) - 0.5, -0.5)
    axes.set_xlim(-0.03, 1.03)
    axes.xaxis.set_major_formatter(lambda x, _: f"{x:.0%}")
    axes.figure.legend(
        *axes.get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False, fontsize=8.5
    )


def _heat(
    axes: Any, cells: dict[tuple[str, str], dict[str, Any]], kinds: list[str], columns: list[str], label: str
) -> None:
    """A table whose cells are the bluer, the more is right; empty where nothing was asked."""
    for y, kind in enumerate(kinds):
        for x, column in enumerate(columns):
            row = cells.get((kind, column))
            if row is None:
                axes.text(x, y, "·", ha="center", va="center", color=FAINT)
                continue
            # Never opaque: the number has to be read on it in both themes.
            alpha = 0.06 + 0.5 * row["accuracy"] ** 2
            axes.fill(
                [x - 0.48, x + 0.48, x + 0.48, x - 0.48], [y - 0.46] * 2 + [y + 0.46] * 2, LINE, alpha=alpha
            )
            axes.text(x, y, f"{100 * row['accuracy']:.0f}", ha="center", va="center", fontsize=9)
    axes.set_xticks(range(len(columns)), [name.replace(" and more", "+") for name in columns], fontsize=8)
    axes.set_yticks(range(len(kinds)), map(plain, kinds))
    axes.set_xlim(-0.5, len(columns) - 0.5)
    axes.set_ylim(len(kinds) - 0.5, -0.5)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_xlabel(f"{label}; % right")


def _events(axes: Any, report: dict[str, Any]) -> None:
    for condition in report["conditions"]:
        rows = [row for row in report["totals"] if row["condition"] == condition]
        sizes = [row["events"] for row in rows]
        shares = [row["accuracy"] for row in rows]
        axes.errorbar(sizes, shares, _errors(rows), linewidth=1.2, label=plain(condition), **style(condition))
    axes.set_xscale("log")
    axes.set_xticks(report["events"], [f"{size:,}" for size in report["events"]])
    axes.minorticks_off()
    axes.set_ylim(-0.03, 1.03)
    axes.yaxis.set_major_formatter(lambda y, _: f"{y:.0%}")
    axes.set_xlabel("events in the life")
    axes.figure.legend(
        *axes.get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False, fontsize=8
    )
