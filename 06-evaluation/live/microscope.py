"""The memory microscope: a life, its questions and what was read for them, as one page without a server.

It writes what the records say into a page whose script (microscope_told.js, microscope.js) only shows it:
nothing is computed from a model, nothing is fetched. Made by `report.py`; opens in any browser.
"""

import json
from collections.abc import Iterable
from html import escape
from pathlib import Path
from typing import Any

from chronos.console import ChronosError
from chronos.evaluation.live.content import CONDITIONS, ordered
from chronos.evaluation.live.records import Records
from chronos.evaluation.live.rows import Answer, Taken
from chronos.files import write_atomic

LIMIT = 2_800_000  # bytes of the page: what a browser opens at once, and a mail can carry
LONG = 2_000  # characters of an event's text that are shown
HERE = Path(__file__).parent


def choose(records: Records, events: int) -> dict[str, int] | None:
    """{"seed", "life"} to be shown: the first with the memory on, of so many events, whose life is there.

    Lives of another size come after; None where no life's events were recorded.
    """
    known = {
        (answer.events != events, answer.seed, answer.life)
        for answer in records.answers()
        if answer.condition == "on" and answer.life in records.lives
    }
    if not known:
        return None
    _, seed, life = min(known)
    return {"seed": seed, "life": life}


def write_microscope(records: Records, path: Path | str, seed: int, life: int) -> int:
    """Write the page of a life as the model of a seed remembered it; returns its bytes.

    What is too much for one page is shown in part, and the page says so: the first questions that fill half
    of it, every event that was read for them, then the latest. Raises ChronosError where that life's events
    or its answers with the memory on were not recorded.
    """
    if life not in records.lives:
        raise ChronosError("the events of this life were not recorded", where=records.folder, got=life)
    rows = [row for row in records.answers() if row.life == life]
    trained = {row.seed for row in rows if row.condition == "on"}
    # Readers that are not trained stand under a seed of their own and belong to every seed.
    rows = [row for row in rows if row.seed == seed or row.seed not in trained]
    if not any(row.condition == "on" for row in rows):
        raise ChronosError("nothing was asked with the memory on", where=records.folder, got=f"seed {seed}")
    events = records.life(life)
    asked = _questions(rows)
    questions = _first(asked, LIMIT // 2)
    about = _about(records, seed, life, rows) | {"events": len(events), "questions": len(asked)}
    shell = len(_page(about, [], questions).encode("utf-8"))
    page = _page(about, _fitting(events, _read_events(questions), LIMIT - shell), questions)
    write_atomic(path, page)
    return len(page.encode("utf-8"))


def _about(records: Records, seed: int, life: int, rows: list[Answer]) -> dict[str, Any]:
    names = ordered(sorted({row.condition for row in rows}))
    model = records.about["model"]
    return {
        "life": life,
        "seed": seed,
        "model": ", ".join(f"{name} {_told(value)}" for name, value in model.items() if name != "sha256"),
        "commit": records.about["commit"],
        "conditions": [{"name": name, "about": CONDITIONS.get(name, "")} for name in names],
    }


def _questions(rows: list[Answer]) -> list[dict[str, Any]]:
    """Each question once, with what was given and read under each condition."""
    found: dict[tuple[int, str], dict[str, Any]] = {}
    names = ("question", "kind", "t", "age", "overwrites", "language", "answer", "accept")
    for row in rows:
        key = (row.t, row.question)
        asked = found.setdefault(key, {name: getattr(row, name) for name in names} | {"under": {}})
        asked["under"][row.condition] = {
            "given": row.given,
            "right": row.right,
            "asOf": row.as_of,
            "ms": round(row.ms, 3),
            "reads": [
                {"hop": r.hop, "null": round(r.null, 5), "events": [[n, round(w, 5)] for n, w in r.events]}
                for r in row.reads
            ],
        }
    return list(found.values())


def _first(questions: list[dict[str, Any]], room: int) -> list[dict[str, Any]]:
    """The first questions that fit into so many bytes, one at least."""
    kept = 1
    room -= len(_embedded(questions[0]).encode("utf-8"))
    while kept < len(questions):
        room -= len(_embedded(questions[kept]).encode("utf-8")) + 1
        if room < 0:
            break
        kept += 1
    return questions[:kept]


def _read_events(questions: Iterable[dict[str, Any]]) -> set[int]:
    reads = [read for asked in questions for under in asked["under"].values() for read in under["reads"]]
    return {n for read in reads for n, _ in read["events"]}


def _fitting(events: list[Taken], read: set[int], room: int) -> list[Taken]:
    """Events that fit into so many bytes: those that were read, then the latest; in the order of the life."""
    first = sorted(events, key=lambda event: (event.n not in read, -event.n))
    kept, whys = [], set()
    for event in first:
        room -= len(_embedded([*_row(event), 9999]).encode("utf-8")) + 1
        room -= 0 if event.why in whys else len(_embedded(event.why).encode("utf-8")) + 1
        if room < 0:
            break
        whys.add(event.why)
        kept.append(event)
    return sorted(kept, key=lambda event: event.n)


def _page(about: dict[str, Any], events: list[Taken], questions: list[dict[str, Any]]) -> str:
    whys = sorted({event.why for event in events})
    place = {why: i for i, why in enumerate(whys)}
    columns = ("n", "t", "date", "text", "surprise", "written", "why")
    rows = [[*_row(event), place[event.why]] for event in events]
    data = {"about": about, "columns": columns, "whys": whys, "events": rows, "questions": questions}
    parts = {
        "title": escape(f"Memory microscope: life {about['life']}"),
        "style": (HERE.parent / "report.css").read_text(encoding="utf-8") + _file("microscope.css"),
        "script": _file("microscope_told.js") + _file("microscope.js"),
        "data": _embedded(data),
    }
    page = _file("microscope.html")
    for name, text in parts.items():  # the data last: whatever it holds is not looked into
        page = page.replace("{{" + name + "}}", text, 1)
    return page


def _told(value: Any) -> str:
    return f"{value:,}" if type(value) in (int, float) else str(value)


def _row(event: Taken) -> list[Any]:
    """An event's columns but for the last, its reason."""
    text = event.text if len(event.text) <= LONG else event.text[:LONG] + "…"
    surprise = event.surprise if event.surprise is None else round(event.surprise, 3)
    return [event.n, event.t, event.date, text, surprise, int(event.written)]


def _embedded(data: Any) -> str:
    """JSON that may stand in a <script>: no "<" in it, so that no text of a life can end the script."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _file(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")
