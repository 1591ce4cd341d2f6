"""From records of questions to the live-memory report: JSON, Markdown, HTML, pictures, the microscope.

JSON is written first; the others only give form to what it holds. It asks no model: records come from
`chronos eval --suite cairo`.
"""

from pathlib import Path
from typing import Any

from chronos.evaluation import svg
from chronos.evaluation.as_html import as_html
from chronos.evaluation.as_markdown import as_markdown
from chronos.evaluation.live import pictures
from chronos.evaluation.live.content import build
from chronos.evaluation.live.microscope import choose, write_microscope
from chronos.evaluation.live.outline import figures, headline, outline
from chronos.evaluation.live.records import read
from chronos.files import write_atomic, write_json

TITLE, PAGE = "Live memory", "microscope.html"


def write_live_report(records: Path | str, out_dir: Path | str) -> dict[str, Any]:
    """Write the report of the records in a folder into `out_dir`, beside what is there; return its data.

    `headline` in it is the report in a sentence. The microscope shows the first life whose events were
    recorded; without one there is none. Raises ChronosError for what are no records, DamageError
    (file:line) for damaged ones: nothing is written then.
    """
    found, out_dir = read(records), Path(out_dir)
    report = build(found)
    report["headline"] = headline(report)
    report["shown"] = choose(found, report["main"])
    if report["shown"]:
        write_microscope(found, out_dir / PAGE, **report["shown"])
    write_json(out_dir / "live.json", report)
    drawn = pictures.draw(report)
    top = figures(report)
    sections = outline(report, list(drawn), svg.available(), PAGE if report["shown"] else None)
    for name, picture in drawn.items():
        write_atomic(out_dir / f"{name}.svg", svg.standalone(picture))
    lead = report["headline"]
    write_atomic(out_dir / "live.md", as_markdown(TITLE, lead, top, sections))
    page = as_html(TITLE, lead, top, sections, drawn, kind="report of a memory", data="live.json")
    write_atomic(out_dir / "live.html", page)
    return report
