"""The live-memory report as an outline of sections; it says what live.json holds and measures nothing.

`as_markdown.py` and `as_html.py` of the stage give it a form.
"""

from typing import Any

from chronos.console import duration
from chronos.evaluation.live.content import ABLATIONS, kinds_of
from chronos.evaluation.live.pictures import TITLES
from chronos.evaluation.live.tally import AGES, OVERWRITES, bucket_names
from chronos.evaluation.outline import Section
from chronos.evaluation.svg import EXTRA

INTERVALS = (
    "Intervals are 95%: over several seeds of training Student's t of the seeds' own shares; within one "
    "seed, and where all seeds have the very same share, Wilson's over the questions."
)


def headline(report: dict[str, Any]) -> str:
    """The report in a sentence or two."""
    main = {row["condition"]: row for row in report["totals"] if row["events"] == report["main"]}
    if "on" not in main:
        return f"On lives of {report['main']:,} events only what nobody was told was asked."
    on = main["on"]
    seeds = f"{on['seeds']} seeds of training" if on["seeds"] > 1 else "one seed of training"
    told = (
        f"After one reading of lives of {report['main']:,} events, {_percent(on['accuracy'])} of the answers "
        f"are right (95% interval {_interval(on)}, {seeds}, {on['n']:,} questions, those that nobody can "
        "answer left out)."
    )
    others = {
        "off": "With the memory off it is",
        "majority": "The most common answer of each kind reaches",
        "gpt": "A gpt without a store, which sees its last tokens, reaches",
    }
    for name, words in others.items():
        if name in main:
            told += f" {words} {_percent(main[name]['accuracy'])}."
    return told


def figures(report: dict[str, Any]) -> list[tuple[str, str]]:
    """The handful of numbers at the top, as (name, value); what is not known is left out."""
    about, found = report["about"], []
    for row in report["totals"]:
        if row["condition"] == "on":
            found.append((f"right at {row['events']:,} events", _percent(row["accuracy"])))
    if parameters := about["model"].get("parameters"):
        found.append(("parameters", f"{parameters:,}"))
    if "bytes_per_event" in about:
        found.append(("memory for an event", f"{about['bytes_per_event']:,.1f} bytes"))
    if "events_per_s" in about:
        found.append(("reading", f"{about['events_per_s']:,.0f} events/s"))
    for row in report["speed"]:
        if row["condition"] == "on" and row["events"] == report["main"]:
            found.append(("one question", f"{row['median_ms']:,.1f} ms"))
    return found


def outline(
    report: dict[str, Any], pictures: list[str], drawable: bool, microscope: str | None
) -> list[Section]:
    """All sections that have something to say; `pictures` are those that were drawn."""
    sections = [
        _totals(report, pictures, drawable, microscope),
        _sizes(report, pictures),
        _held(report),
        _kinds(report, pictures),
        _buckets(report, pictures, "age", "How long ago", AGES),
        _buckets(report, pictures, "overwrites", "How often overwritten", OVERWRITES),
        _languages(report),
        _speed(report),
        _wrong(report),
        _origin(report),
    ]
    return [section for section in sections if section.rows or section.blocks]


def _totals(report: dict[str, Any], pictures: list[str], drawable: bool, microscope: str | None) -> Section:
    section = Section(f"Does it remember? Lives of {report['main']:,} events")
    section.text.append(
        "Every answer is right or wrong, word for word. “Unknown” asks what the life never told: an empty "
        f"memory gets it right for nothing, so totals are without it, and with it beside. {INTERVALS}"
    )
    if worst := _emptied(report):
        section.text.append(worst)
    if not drawable:
        section.text.append(EXTRA)
    section.links = [("The memory microscope: follow one event, one question at a time", microscope)] * bool(
        microscope
    )
    section.columns = ("condition", "right", "95% interval", "from", "with “unknown”", "questions")
    section.rows = [
        (
            row["condition"],
            _percent(row["accuracy"]),
            _interval(row),
            _source(row),
            _percent(row["with_unknown"]["accuracy"]),
            f"{row['n']:,} / {row['with_unknown']['n']:,}",
        )
        for row in report["totals"]
        if row["events"] == report["main"]
    ]
    meanings = [f"{name}: {about}" for name, about in report["conditions"].items() if about]
    section.blocks = [("What the conditions mean", "\n".join(meanings))]
    return section


def _sizes(report: dict[str, Any], pictures: list[str]) -> Section:
    """Condition × number of events: share and interval, without "unknown"."""
    section = Section("How long a life", pictures=_drawn(pictures, "by-events"))
    if len(report["events"]) == 1:
        return section
    found = {(row["condition"], row["events"]): row for row in report["totals"]}
    section.columns = ("condition", *(f"{size:,} events" for size in report["events"]))
    for name in report["conditions"]:
        cells = [found.get((name, size)) for size in report["events"]]
        told = [f"{_percent(cell['accuracy'])} ({_interval(cell)})" if cell else "" for cell in cells]
        section.rows.append((name, *told))
    section.text.append("The share of right answers without “unknown”, and its 95% interval.")
    return section


def _held(report: dict[str, Any]) -> Section:
    """What the model and each baseline are and hold; nothing where there is no baseline."""
    about, section = report["about"], Section("At what size")
    if not (baselines := about.get("baselines")):
        return section
    section.text.append(
        "State is what is kept after a life was read: a store with its texts, or the arrays of a network. A "
        "window is what attention still sees when questions are asked; means over the lives."
    )
    section.columns = ("condition", "parameters", "bytes of state", "window", "reading a life")
    on = {**about, **about["model"], "read_s": report["main"] / about["events_per_s"]}
    for name, told in {"on": on, **baselines}.items():
        window = f"{told['window_events']:,.0f} events" if "window_events" in told else "all that is written"
        sizes = (f"{told[part]:,.0f}" for part in ("parameters", "state_bytes"))
        section.rows.append((name, *sizes, window, duration(told["read_s"])))
    return section


def _emptied(report: dict[str, Any]) -> str:
    """How far what is left without the memory lies from the most common answer."""
    main = {row["condition"]: row for row in report["totals"] if row["events"] == report["main"]}
    taken = [name for name in ABLATIONS[:4] if name in main]
    if "majority" not in main or not taken:
        return ""
    base = main["majority"]["accuracy"]
    farthest = max(taken, key=lambda name: abs(main[name]["accuracy"] - base))
    points = 100 * (main[farthest]["accuracy"] - base)
    return (
        f"Without its memory the model should know no more than the most common answer of each kind "
        f"({_percent(base)}). Farthest from that is “{farthest}”: {points:+.1f} points."
    )


def _kinds(report: dict[str, Any], pictures: list[str]) -> Section:
    section = Section(f"By kind of question, lives of {report['main']:,} events")
    section.pictures = _drawn(pictures, "by-kind")
    found = {(row["condition"], row["kind"]): row for row in report["by_kind"]}
    asked = [name for name in report["conditions"] if (name, "all") in found]
    section.columns = ("kind", "questions", *asked, "on, 95% interval")
    for kind in [*kinds_of(report), "all"]:
        cells = [found.get((name, kind)) for name in asked]
        on = found.get(("on", kind))
        section.rows.append(
            (
                "all but unknown" if kind == "all" else kind,
                f"{on['n']:,}" if on else "",
                *(_percent(cell["accuracy"]) if cell else "" for cell in cells),
                _interval(on) if on else "",
            )
        )
    return section


def _buckets(
    report: dict[str, Any], pictures: list[str], name: str, title: str, edges: tuple[int, ...]
) -> Section:
    """A table kind × bucket, memory on: share (questions)."""
    section = Section(title, pictures=_drawn(pictures, f"by-{name}"))
    found = {(row["kind"], row[name]): row for row in report[f"by_{name}"]}
    columns = [bucket for bucket in bucket_names(edges) if any(key[1] == bucket for key in found)]
    section.columns = ("kind", *columns)
    for kind in kinds_of(report):
        cells = [found.get((kind, column)) for column in columns]
        if any(cells):
            told = [f"{_percent(cell['accuracy'])} ({cell['n']:,})" if cell else "" for cell in cells]
            section.rows.append((kind, *told))
    if section.rows:
        section.text.append(
            f"With the memory on, lives of {report['main']:,} events; in brackets how many were asked."
        )
    return section


def _languages(report: dict[str, Any]) -> Section:
    section = Section("By language of the question")
    if len(report["languages"]) > 1:
        section.columns = ("language", "right", "95% interval", "questions")
        section.rows = [
            (row["language"], _percent(row["accuracy"]), _interval(row), f"{row['n']:,}")
            for row in report["by_language"]
        ]
    return section


def _speed(report: dict[str, Any]) -> Section:
    section = Section(
        "How long a question takes", columns=("condition", "events", "median", "95% below", "n")
    )
    section.rows = [
        (row["condition"], f"{row['events']:,}", f"{row['median_ms']:,.2f} ms", f"{row['p95_ms']:,.2f} ms",
         f"{row['n']:,}")
        for row in report["speed"]
    ]  # fmt: skip
    return section


def _wrong(report: dict[str, Any]) -> Section:
    section = Section("What it got wrong")
    if report["wrong"]:
        section.text.append(f"The first {len(report['wrong'])} wrong answers with the memory on.")
    section.columns = ("kind", "question", "right", "given", "age", "overwritten", "seed, life")
    section.rows = [
        (
            row["kind"],
            row["question"],
            row["answer"],
            row["given"],
            f"{row['age']:,}",
            f"{row['overwrites']:,}",
            f"{row['seed']}, {row['life']}",
        )
        for row in report["wrong"]
    ]
    return section


def _origin(report: dict[str, Any]) -> Section:
    """What it takes to make the records again."""
    rows = [("seeds of training", ", ".join(map(str, report["seeds"]))), ("lives", f"{report['lives']:,}")]
    for name, value in report["about"].items():
        rows += _plain(name, value)
    return Section("How to make it again", columns=("what", "value"), rows=rows)


def _plain(name: str, value: Any) -> list[tuple[str, str]]:
    """A value as rows, an object as one row a field: (names of the way there, text)."""
    if isinstance(value, dict):
        return [row for inner, told in value.items() for row in _plain(f"{name}: {inner}", told)]
    return [(name, f"{value:,}" if type(value) in (int, float) else str(value))]


def _drawn(pictures: list[str], name: str) -> list[tuple[str, str]]:
    return [(name, TITLES[name])] if name in pictures else []


def _source(row: dict[str, Any]) -> str:
    """Where an interval comes from."""
    seeds = "1 seed" if row["seeds"] == 1 else f"{row['seeds']} seeds"
    return {"wilson": f"Wilson, {seeds}", "t": f"Student's t, {seeds}"}.get(
        row["interval"], f"Wilson, {seeds} agree"
    )


def _percent(share: float) -> str:
    return f"{100 * share:.1f}%"


def _interval(row: dict[str, Any]) -> str:
    return f"{100 * row['low']:.1f}–{100 * row['high']:.1f}"
