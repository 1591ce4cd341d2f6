"""From a run's directory to report.json, report.md, report.html and their pictures.

JSON is written first; the other two only give form to what it holds. Run it as
`chronos report --run DIR --out-dir DIR`.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from chronos.evaluation import pictures
from chronos.evaluation.as_html import as_html
from chronos.evaluation.as_markdown import as_markdown
from chronos.evaluation.content import build_report
from chronos.evaluation.outline import figures, headline, outline
from chronos.evaluation.run_files import read_run
from chronos.evaluation.svg import standalone
from chronos.files import write_atomic, write_json


def write_report(run: Path, out_dir: Path, quantized: Sequence[Path] = ()) -> dict[str, Any]:
    """Write the report of the run at `run` into `out_dir`, beside what is there; return its data.

    Raises ChronosError where `run` is no run, or a `quantized` model directory is none of it.
    """
    report = build_report(read_run(run), list(quantized))
    write_json(out_dir / "report.json", report)
    drawn = pictures.draw(report)
    lead, top = headline(report), figures(report)
    sections = outline(report, list(drawn), pictures.available())
    for name, svg in drawn.items():
        write_atomic(out_dir / f"{name}.svg", standalone(svg))
    write_atomic(out_dir / "report.md", as_markdown("Report of a run", lead, top, sections))
    title = Path(report["run"]["path"]).resolve().name
    write_atomic(out_dir / "report.html", as_html(title, lead, top, sections, drawn))
    return report
