"""The outline of a report as one HTML file: style and pictures inside, no script, nothing fetched.

Readable on a telephone and in the dark; whatever comes from data is escaped.
"""

from html import escape
from pathlib import Path

from chronos.evaluation.outline import Section

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>
{style}</style>
</head>
<body>
<main>
{body}
</main>
</body>
</html>
"""


def as_html(
    title: str,
    lead: str,
    figures: list[tuple[str, str]],
    sections: list[Section],
    pictures: dict[str, str],
    kind: str = "report of a run",
    data: str = "report.json",
) -> str:
    """The whole page; `pictures` is name → SVG, `data` the file that holds every number."""
    style = Path(__file__).with_name("report.css").read_text(encoding="utf-8")
    cards = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in figures)
    kicker = escape(kind[:1].upper() + kind[1:])
    body = [
        f"<header><p class='kicker'>{kicker}</p><h1 dir='auto'>{escape(title)}</h1>",
        f"<p class='lead'>{escape(lead)}</p><dl class='figures'>{cards}</dl></header>",
        *(_section(section, pictures) for section in sections),
        f"<footer>Every number is in <code>{escape(data)}</code>.</footer>",
    ]
    return PAGE.format(title=escape(f"{title} – {kind}"), style=style, body="\n".join(body))


def _section(section: Section, pictures: dict[str, str]) -> str:
    parts = [f"<h2>{escape(section.title)}</h2>"]
    parts += [f"<p>{escape(text)}</p>" for text in section.text]
    parts += [f"<p><a href='{escape(address)}'>{escape(text)}</a></p>" for text, address in section.links]
    if section.bars:
        parts.append(_bars(section.bars))
    drawn = [
        f"<figure>{pictures[name]}<figcaption>{escape(title)}</figcaption></figure>"
        for name, title in section.pictures
    ]
    if drawn:
        parts.append(f"<div class='pictures'>{''.join(drawn)}</div>")
    if section.rows and not section.bars:
        parts.append(_table(section))
    for i, (title, text) in enumerate(section.blocks):
        shown = " open" if i == len(section.blocks) - 1 and len(section.blocks) > 1 else ""
        block = f"<pre dir='auto'>{escape(text)}</pre>"
        parts.append(f"<details{shown}><summary>{escape(title)}</summary>{block}</details>")
    return f"<section>{''.join(parts)}</section>"


def _bars(bars: list[tuple[str, float, str]]) -> str:
    """Horizontal bars in HTML alone, so that they are there without matplotlib too."""
    longest = max(value for _, value, _ in bars) or 1.0
    rows = "".join(
        f"<div><span>{escape(name)}</span>"
        f"<span class='bar'><i style='width:{100 * value / longest:.1f}%'></i></span>"
        f"<span>{escape(told)}</span></div>"
        for name, value, told in bars
    )
    return f"<div class='bars'>{rows}</div>"


def _table(section: Section) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in section.columns)
    rows = "".join(
        "<tr>" + "".join(f"<td dir='auto'>{escape(cell)}</td>" for cell in row) + "</tr>"
        for row in section.rows
    )
    kind = " class='pairs'" if len(section.columns) == 2 else ""
    return f"<div class='wide'><table{kind}><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
