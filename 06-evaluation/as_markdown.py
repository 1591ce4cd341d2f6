"""The outline of a report as Markdown; whatever comes from data is escaped.

Pictures are linked as SVG files beside it.
"""

import re

from chronos.evaluation.outline import Section

SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~&])")


def as_markdown(title: str, lead: str, figures: list[tuple[str, str]], sections: list[Section]) -> str:
    """The whole document."""
    parts = [f"# {escaped(title)}", escaped(lead), _table(("", ""), figures)]
    for section in sections:
        parts.append(f"## {escaped(section.title)}")
        parts += [escaped(text) for text in section.text]
        parts += [f"[{escaped(text)}]({address})" for text, address in section.links]
        parts += [f"![{escaped(title)}]({name}.svg)" for name, title in section.pictures]
        if section.rows:
            parts.append(_table(section.columns, section.rows))
        for title, text in section.blocks:
            parts += [f"### {escaped(title)}", fenced(text)]
    return "\n\n".join(parts) + "\n"


def escaped(text: str) -> str:
    """One line in which nothing has a meaning to Markdown or HTML."""
    return SPECIAL.sub(r"\\\1", " ".join(text.split()))


def fenced(text: str) -> str:
    """A code block with a fence that the text does not hold."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{text.rstrip()}\n{fence}"


def _table(columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    head, *body = (tuple(map(escaped, row)) for row in (columns, *rows))
    lines = [head, ("---",) * len(columns), *body]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
