"""The numbers of this lesson: trained models asked with each crutch taken away, and with all of them gone.

`python -m chronos.evaluation.live.measure --plain DIR… --together DIR…`, one directory a seed of training:
`chronos train --experiment live` made the first, `--experiment together` the second. What was asked is kept
under --out-dir, so that a killed run goes on. It trains nothing.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from chronos.console import ChronosError, table
from chronos.evaluation.live.conditions import ALL, ON
from chronos.evaluation.live.content import build
from chronos.evaluation.live.evaluate import RECORDS, Suite, evaluate
from chronos.evaluation.live.records import read
from chronos.evaluation.live.told import Lives
from chronos.files import write_json
from chronos.memory.recall import load_recaller
from chronos.settings import artifacts, machine

RESULTS = Path(__file__).parent / "results"
COLUMNS = ("models", "lives", "questions", "right %", "without unknown", "weakest kind", "written %")
UNSEEN = {"values": "held-out", "templates": "held-out"}


@dataclass(frozen=True)
class Case:
    """A row: what is asked of which models, under which conditions."""

    name: str
    models: str  # "plain" or "together"
    lives: Lives
    conditions: tuple[str, ...] = (ON,)


def cases(large: bool) -> Iterator[Case]:
    """The rows in their order; lives of 100,000 events only where `large`."""
    yield Case("10,000 events", "plain", Lives(), ALL)
    if large:
        yield Case("100,000 events", "plain", Lives(events=100_000, lives=1))
    yield Case("names and values never seen", "plain", Lives(values="held-out"))
    yield Case("wordings never seen", "plain", Lives(templates="held-out"))
    yield Case("both never seen", "plain", Lives(**UNSEEN))
    yield Case("English and Arabic, no labels, gate", "together", Lives(language="mixed"))
    yield Case("… names and values never seen", "together", Lives(language="mixed", values="held-out"))
    yield Case("… wordings never seen", "together", Lives(language="mixed", templates="held-out"))
    yield Case(
        "… both never seen", "together", Lives(lives=6, language="mixed", **UNSEEN)
    )  # lives differ most here
    yield Case("… English alone", "together", Lives())


def row(case: Case, records: Path) -> list[Any]:
    """The cells of a case: shares with their 95% intervals over seeds of training."""
    found = read(records)
    report = build(found)
    kinds = {one["kind"]: one for one in report["by_kind"] if one["condition"] == ON}
    every = [one for kind, one in kinds.items() if kind != "all"]
    asked = sum(one["n"] for one in every)
    right = sum(one["n"] * one["accuracy"] for one in every) / asked
    weakest = min(every, key=lambda one: one["accuracy"])
    total = kinds["all"]
    return [
        f"{case.models}, {len(report['seeds'])} seed(s)",
        f"{case.lives.lives} of {case.lives.events:,}",
        asked,
        f"{100 * right:.1f}",
        f"{100 * total['accuracy']:.1f} ({100 * total['low']:.1f}–{100 * total['high']:.1f})",
        f"{weakest['kind']} {100 * weakest['accuracy']:.1f}",
        f"{100 * found.about['written']:.0f}",
    ]


def measured(models: dict[str, Sequence[Path]], folder: Path, large: bool) -> list[list[Any]]:
    """Ask whatever has not been asked yet, and say what came out."""
    rows = []
    for i, case in enumerate(cases(large)):
        if models[case.models]:
            suite = Suite(tuple(models[case.models]), case.lives, case.conditions)
            rows.append([case.name, *row(case, _records(suite, folder / f"{i:02}"))])
    return rows


def _records(suite: Suite, folder: Path) -> Path:
    """The records of a suite: those that are there, if these models were asked just that, else new ones."""
    records = folder / RECORDS
    if records.is_dir():
        about = read(records).about
        asked = [about["weights"][seed]["file"] for seed in sorted(about["weights"], key=int)]
        if about["asked"] == asdict(suite.lives) and asked == [_identity(path) for path in suite.models]:
            return records
    return evaluate(suite, folder)


def _identity(model: Path) -> str:
    return load_recaller(model).identity["model"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the table and write results/crutches.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    for name in ("plain", "together"):
        parser.add_argument(f"--{name}", type=Path, nargs="+", default=[], metavar="DIR")
    parser.add_argument("--out-dir", type=Path, default=artifacts() / "06-evaluation" / "crutches")
    parser.add_argument("--no-large", action="store_true", help="leave lives of 100,000 events out")
    parser.add_argument("--save", type=Path, default=RESULTS / "crutches.json", metavar="FILE")
    args = parser.parse_args(arguments)
    try:
        rows = measured({"plain": args.plain, "together": args.together}, args.out_dir, not args.no_large)
    except ChronosError as error:
        sys.exit(f"error: {error}")
    table("Each crutch taken away", ("", *COLUMNS), rows)
    command = "python -m chronos.evaluation.live.measure --plain DIR… --together DIR…"
    about = {"command": command, "machine": machine(), "columns": ["", *COLUMNS]}
    write_json(args.save, {**about, "rows": rows})
    return 0


if __name__ == "__main__":
    sys.exit(main())
