"""Markdown and list marks taken off a line, so that what was written remains: no Markdown renderer.

What it does not know it leaves as it is.
"""

import re

HEADING = re.compile(r"#{1,6}(?:\s+|$)")
ITEM = re.compile(r"(?:[-*+•·–]|\d{1,3}[.)])\s+(?:\[[ xX]\]\s+)?")
QUOTE = re.compile(r"(?:>\s?)+")
FENCE = re.compile(r"\s*(?:```|~~~)")
RULE = re.compile(r"\s*(?:([-*_=])\s*(?:\1\s*){2,}|\|?[\s:|-]*-{3,}[\s:|-]*\|?)$")
_INLINE = (
    (re.compile(r"!?\[([^\]]*)\]\([^()\s]*(?:\s+\"[^\"]*\")?\)"), r"\1"),  # links and pictures
    (re.compile(r"!?\[\[(?:[^\]|]*\|)?([^\]|]*)\]\]"), r"\1"),  # of wikis
    (re.compile(r"<((?:https?|mailto):[^>\s]+)>"), r"\1"),
    (re.compile(r"(\*\*|__)(?=\S)(.+?)(?<=\S)\1"), r"\2"),
    (re.compile(r"(?<![\w*])\*(?=[^\s*])(.+?)(?<=[^\s*])\*(?![\w*])"), r"\1"),
    (re.compile(r"(?<![\w_])_(?=[^\s_])(.+?)(?<=[^\s_])_(?![\w_])"), r"\1"),
    (re.compile(r"~~(?=\S)(.+?)(?<=\S)~~"), r"\1"),
    (re.compile(r"`+([^`]+)`+"), r"\1"),
)


def inline(text: str) -> str:
    """A line without the marks of emphasis, code and links; a link leaves its words."""
    if not any(mark in text for mark in "*_`[<~"):
        return text
    for pattern, kept in _INLINE:
        text = pattern.sub(kept, text)
    return text


def cells(line: str) -> str:
    """A table's row as a list of its cells; any other line as it is."""
    if not (line.startswith("|") and line.rstrip().endswith("|") and len(line) > 2):
        return line
    return ", ".join(cell.strip() for cell in line.strip().strip("|").split("|") if cell.strip())
