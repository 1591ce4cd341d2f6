"""One picture as SVG, drawn by matplotlib, whose colours follow the reader's light or dark theme.

It knows no report: `pictures.py` says what is drawn. Without matplotlib `available()` is false, and EXTRA
says which extra brings it.
"""

import io
import re
from collections.abc import Callable
from html import escape
from typing import Any

EXTRA = "pictures need matplotlib: .venv/bin/pip install -e '.[plots]'"
SIZE = (5.2, 2.9)  # inches: narrow enough that its letters stay readable on a telephone
# matplotlib knows no CSS, so it draws in these colours, and `_themed` puts the variables in their place.
INK, FAINT, LINE, ACCENT = "#010203", "#040506", "#070809", "#0a0b0c"
VARIABLES = {INK: "var(--ink)", FAINT: "var(--faint)", LINE: "var(--line)", ACCENT: "var(--accent)"}
THEME = """:root{--ink:#1d2329;--faint:#c9d0d6;--line:#2f6f8f;--accent:#c8552b}
@media(prefers-color-scheme:dark){:root{--ink:#dfe4e8;--faint:#39424a;--line:#6cb6d6;--accent:#f0916b}}"""


def available() -> bool:
    """Whether matplotlib can be imported."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        return False
    return True


def render(
    name: str, title: str, paint: Callable[[Any], None], size: tuple[float, float] = SIZE, grid: str = "y"
) -> str:
    """The <svg> element that `paint(axes)` draws, to stand in a page; its ids are `name`'s own."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    settings = {"svg.fonttype": "none", "svg.hashsalt": name, "font.size": 9.5, "axes.linewidth": 0.8}
    settings |= {f"{part}.color": INK for part in ("text", "xtick", "ytick")}
    settings |= {"axes.edgecolor": FAINT, "axes.labelcolor": INK, "grid.color": FAINT, "grid.linewidth": 0.5}
    with rc_context(settings):
        figure = Figure(figsize=size, layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.add_subplot()
        axes.spines[["top", "right"]].set_visible(False)
        if grid:
            axes.grid(axis=grid)
        paint(axes)
        out = io.StringIO()
        figure.savefig(out, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return _themed(name, title, out.getvalue())


def _themed(name: str, title: str, svg: str) -> str:
    """Only the <svg> element; colours as CSS variables; ids that are this picture's own; its title told."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"\s*<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    for colour, variable in VARIABLES.items():
        svg = svg.replace(colour, variable)
    svg = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", svg)
    svg = re.sub(r' (width|height)="[\d.]+pt"', "", svg, count=2)
    return svg.replace("<svg ", f'<svg role="img" aria-label="{escape(title)}" ', 1)


def plain(text: str) -> str:
    """Text of data as a label: a dollar sign begins no formula."""
    return text.replace("$", r"\$")


def standalone(svg: str) -> str:
    """The SVG as a file of its own, with the colours of both themes in it."""
    return re.sub(r"(<svg[^>]*>)", lambda match: f"{match[1]}<style>{THEME}</style>", svg, count=1)
