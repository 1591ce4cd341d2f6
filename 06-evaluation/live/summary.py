"""What records of questions say in short: the table that `chronos eval --suite cairo` prints, and its JSON.

The numbers are the report's own (`content.py`); it computes none, and asks nobody.
"""

from pathlib import Path
from typing import Any

from chronos.console import say, table
from chronos.evaluation.live.conditions import ON
from chronos.evaluation.live.content import build, kinds_of
from chronos.evaluation.live.records import read

BUT_UNKNOWN = "all but unknown"
FIGURES = ("events_per_s", "ms_a_question", "bytes_beside_text", "written", "weights", "weights_unchanged")


def summary(records: Path) -> dict[str, Any]:
    """What records say, in short; shares of several seeds are means of the seeds' own.

    {"n", "accuracy", "by_kind": {kind: {"n", "accuracy"}}} with the memory on, "without_unknown", and
    "baselines": {condition: share}, both without the kind "unknown"; "by_condition": {condition: {kind:
    share}}; what reading and asking cost. ChronosError and DamageError as the report's.
    """
    found = read(records)
    report = build(found)
    shares: dict[str, dict[str, Any]] = {name: {} for name in report["conditions"]}
    for row in report["by_kind"]:
        shares[row["condition"]][row["kind"]] = row
    kinds, on = kinds_of(report), shares[ON]
    by_kind = {kind: {"n": on[kind]["n"], "accuracy": on[kind]["accuracy"]} for kind in kinds}
    n = sum(part["n"] for part in by_kind.values())
    others = {name: part["all"]["accuracy"] for name, part in shares.items() if name != ON and "all" in part}
    return {
        "n": n,
        "accuracy": sum(part["n"] * part["accuracy"] for part in by_kind.values()) / n,
        "by_kind": by_kind,
        "without_unknown": on["all"]["accuracy"] if "all" in on else None,
        "baselines": others,
        "by_condition": {
            name: {BUT_UNKNOWN if kind == "all" else kind: row["accuracy"] for kind, row in part.items()}
            for name, part in shares.items()
        },
        **{name: found.about.get(name) for name in FIGURES},
        "seeds": report["seeds"],
        "records": str(records),
    }


def show(found: dict[str, Any]) -> None:
    """The summary as a table of kinds and conditions, and a line of what it cost."""
    rows = []
    for kind in (*found["by_kind"], BUT_UNKNOWN):
        asked = found["by_kind"].get(kind, {}).get("n")
        if asked is None:
            asked = found["n"] - found["by_kind"].get("unknown", {"n": 0})["n"]
        cells = (part.get(kind) for part in found["by_condition"].values())
        rows.append((kind, asked, *("" if cell is None else f"{100 * cell:.1f}" for cell in cells)))
    table("Right answers, %", ("kind", "asked", *found["by_condition"]), rows)
    say(
        f"{found['events_per_s']:,.0f} events/s read, {100 * found['written']:.0f}% of them written, "
        f"{found['bytes_beside_text']:.0f} bytes an event beside its text, "
        f"{found['ms_a_question']:.1f} ms a question; the weights are what they were"
    )
