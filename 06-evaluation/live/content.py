"""The content of a live-memory report as plain data: everything that live.json holds.

Nothing is computed after it, and it asks no model: `build` starts from records (`records.py`).
"""

from statistics import median
from typing import Any

from chronos.console import ChronosError, Progress
from chronos.evaluation.live.records import Records
from chronos.evaluation.live.tally import AGES, OVERWRITES, UNKNOWN, Tally, bucket_names

# In this order conditions are told, with what each of them means; others follow by name.
CONDITIONS = {
    "on": "the memory as it was written while the life was read",
    "off": "the memory is there, and not read",
    "reset": "the memory was deleted after the life was read",
    "shuffled": "each key leads to the words of another event",
    "another life": "the memory of another life",
    "hop 2 off": "only the first reading counts",
    "as-of off": "the time found in the question is ignored",
    "majority": "no model: always the most common answer of the kind",
    "last 512 words": "no model: a perfect reader of the last 512 words",
    "gpt": "no store: a Transformer that sees the last tokens",
    "then": "no store: recurrent state over the whole life, sparse attention to its last tokens",
}
ABLATIONS = ("off", "reset", "shuffled", "another life", "hop 2 off", "as-of off")


def build(records: Records) -> dict[str, Any]:
    """All that the report says. ChronosError where no question was asked with the memory on."""
    tally, answers = Tally(), 0
    with Progress(None, "counting answers") as bar:
        for answers, answer in enumerate(records.answers(), 1):
            tally.add(answer)
            bar.update(answers)
    if "on" not in tally.values("condition"):
        mend = "record the condition 'on' too"
        raise ChronosError("no question was asked with the memory on", where=records.folder, mend=mend)
    conditions = ordered(tally.values("condition"))
    main = _main_size(tally)
    return {
        "version": 1,
        "about": records.about,
        "answers": answers,
        "seeds": tally.values("seed"),
        "lives": len(tally.lives),
        "events": tally.values("events"),
        "main": main,
        "conditions": {name: CONDITIONS.get(name, "") for name in conditions},
        "languages": tally.values("language"),
        "totals": _totals(tally, conditions),
        "by_kind": _rows(tally, ("condition", "kind"), conditions, events=main),
        "by_age": _rows(tally, ("kind", "age"), events=main, condition="on"),
        "by_overwrites": _rows(tally, ("kind", "overwrites"), events=main, condition="on"),
        "by_language": _rows(tally, ("language",), events=main, condition="on"),
        "cells": _rows(tally, ("events", "kind", "age", "overwrites"), condition="on"),
        "speed": _speed(tally, conditions),
        "wrong": [_mistake(answer) for answer in tally.wrong[main]],
    }


def ordered(conditions: list[str]) -> list[str]:
    """Conditions in the order in which they are told."""
    known = [name for name in CONDITIONS if name in conditions]
    return known + sorted(set(conditions) - set(known))


def _main_size(tally: Tally) -> int:
    """The number of events at which most conditions were asked, the larger of equals."""
    asked = {(cell[2], cell[0]) for cell in tally.cells}
    with_memory = [events for events, condition in asked if condition == "on"]
    return max(with_memory, key=lambda events: (sum(size == events for size, _ in asked), events))


def _totals(tally: Tally, conditions: list[str]) -> list[dict[str, Any]]:
    """For each number of events and condition: without "unknown", and beside it with it."""
    without = tally.groups("events", "condition", unknown=False)
    return [
        {"events": events, "condition": condition, **without[events, condition], "with_unknown": full}
        for (events, condition), full in sorted(
            tally.groups("events", "condition").items(),
            key=lambda item: (item[0][0], conditions.index(item[0][1])),
        )
        if (events, condition) in without
    ]


def _rows(
    tally: Tally, names: tuple[str, ...], conditions: list[str] | None = None, **where: Any
) -> list[dict[str, Any]]:
    """Groups as rows, buckets by name; "unknown" has neither age nor overwrites and is left out of those.

    Rows by kind end with "all", which is without "unknown".
    """
    unknown = names == ("condition", "kind")
    named = {"age": bucket_names(AGES), "overwrites": bucket_names(OVERWRITES)}
    rows = [
        {name: named[name][value] if name in named else value for name, value in zip(names, group)} | found
        for group, found in tally.groups(*names, unknown=unknown, **where).items()
    ]
    if conditions is not None:
        whole = tally.groups("condition", unknown=False, **where)
        rows += [{"condition": name, "kind": "all", **found} for (name,), found in whole.items()]
        rows.sort(key=lambda row: conditions.index(row["condition"]))
    return rows


def _speed(tally: Tally, conditions: list[str]) -> list[dict[str, Any]]:
    """How long a question took, by condition and number of events."""
    rows = []
    for (condition, events), times in tally.ms.items():
        late = sorted(times)[min(len(times) * 95 // 100, len(times) - 1)]
        row = {"condition": condition, "events": events, "n": len(times)}
        rows.append({**row, "median_ms": median(times), "p95_ms": late})
    return sorted(rows, key=lambda row: (conditions.index(row["condition"]), row["events"]))


def _mistake(answer: Any) -> dict[str, Any]:
    names = ("seed", "life", "kind", "question", "answer", "given", "t", "as_of", "age", "overwrites")
    return {name: getattr(answer, name) for name in names}


def kinds_of(report: dict[str, Any]) -> list[str]:
    """The kinds of questions with the memory on, "unknown" last."""
    found = {row["kind"] for row in report["by_kind"]} - {"all"}
    return sorted(found, key=lambda kind: (kind == UNKNOWN, kind))
