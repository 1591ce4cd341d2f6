"""Wikitext to plain text: what a reader of the article reads, without tables, boxes, notes and pictures.

A cleaner, not a parser: templates are dropped and not expanded, so a word that only a template shows is lost
(but for the few whose last field is the text). Linear in the length of the page.
"""

import re
from html import unescape

DEPTH_LIMIT = 40  # of brackets within brackets; deeper ones are left as they stand
SHOWN = {"lang", "nowrap", "small", "transl", "transliteration", "nobr", "abbr"}  # show their last field
_MARKS = re.compile(r"(\{\{|\}\}|\[\[|\]\]|^[ \t:*#;]*\{\||^[ \t]*\|\}(?!\}))", re.M)
_GONE = (
    "ref|gallery|math|chem|timeline|score|syntaxhighlight|source|imagemap|templatestyles|graph|hiero|maplink"
)
_OPEN = re.compile(rf"<\s*(?:(?P<end>/)\s*)?(?P<tag>{_GONE})\b[^<>]*?(?P<empty>/)?>", re.I)
_TAG = re.compile(r"</?[a-zA-Z][^<>\n]{0,500}>")
_BREAK = re.compile(r"<\s*/?\s*(?:br|p|div|hr)\b[^<>]{0,500}>", re.I)
_LINK = re.compile(r"\[(?:https?:)?//[^\s\]\[]+[ \t]*([^\]\[\n]*)\]")
_HEADING = re.compile(r"^(={2,6})[ \t]*(.+?)[ \t]*\1[ \t]*$", re.M)
_WORDS = re.compile(r"__[A-Z]{3,}__")
_LIST = re.compile(r"^[*#:;]+[ \t]*", re.M)


def plain_text(wikitext: str, dropped: frozenset[str] = frozenset()) -> str:
    """The text of an article. `dropped`: namespaces, in lower case, whose links show nothing (files …).

    1. Comments, notes (<ref>), formulas, galleries and other embedded things go, with what is in them.
    2. {{templates}} and {| tables |} go, however nested; [[page|text]] becomes text.
    3. [https://… text] becomes text; bold, italic and tags lose their marks; entities become characters.
    4. == Headings == become lines of their own, lists lines that begin with "- "; blank lines are folded,
       and a heading with nothing below it goes.
    """
    text = _without_comments(wikitext)
    text = _without_embedded(text)
    text = _without_brackets(text, dropped | {"file", "image", "category", "media"})
    text = _LINK.sub(r"\1", text)
    text = _BREAK.sub("\n", text)
    text = _TAG.sub("", text)
    text = re.sub(r"'{2,5}", "", text)
    text = _WORDS.sub("", text)
    text = _LIST.sub(lambda mark: "" if mark[0].strip(":; \t") == "" else "- ", text)
    text = unescape(text).replace("\u00a0", " ")
    text = _HEADING.sub(r"\n\n\1\2\n\n", text)  # marked by one side, until empty ones are gone
    return _tidy(text)


def _without_comments(text: str) -> str:
    parts = text.split("<!--")
    return parts[0] + "".join(part.partition("-->")[2] for part in parts[1:])


def _without_embedded(text: str) -> str:
    """Drop <ref>…</ref> and its like; an opening without an end loses only its tag."""
    kept, at, opened, where = [], 0, "", 0
    for tag in _OPEN.finditer(text):
        name = tag["tag"].lower()
        if not opened:
            kept.append(text[at : tag.start()])
            at = tag.end()
            if not (tag["end"] or tag["empty"]):
                opened, where = name, len(kept)
        elif name == opened and tag["end"]:
            at, opened = tag.end(), ""
    if opened and len(kept) == where and len(text) - at > 20_000:
        return "".join(kept)  # an unclosed note swallows the rest of a long page: keep what is before it
    return "".join(kept) + text[at:]


def _without_brackets(text: str, dropped: frozenset[str]) -> str:
    """Templates, tables and links, innermost first, with one stack and one pass."""
    stack: list[tuple[str, list[str]]] = [("", [])]
    closes = {"}}": "{{", "]]": "[[", "|}": "{|"}
    for i, piece in enumerate(_MARKS.split(text)):
        mark = piece.strip(" \t:*#;\n") if i % 2 else ""
        if mark in ("{{", "[[", "{|") and len(stack) <= DEPTH_LIMIT:
            stack.append((mark, []))
        elif mark in closes and stack[-1][0] == closes[mark]:
            opened, inner = stack.pop()
            stack[-1][1].append(_shown(opened, "".join(inner), dropped))
        else:
            stack[-1][1].append(piece)
    while len(stack) > 1:  # never closed: the text stays, the mark goes
        _, inner = stack.pop()
        stack[-1][1].extend(inner)
    return "".join(stack[0][1])


def _shown(opened: str, inner: str, dropped: frozenset[str]) -> str:
    if opened == "{|":
        return ""
    fields = inner.split("|")
    if opened == "{{":
        return fields[-1].strip() if len(fields) > 1 and fields[0].strip().lower() in SHOWN else ""
    target = fields[0].strip()
    space, colon, rest = target.partition(":")
    if colon and space and space.strip().lower() in dropped:
        return ""
    if colon and rest and re.fullmatch(r"[a-z]{2,3}(-[a-z]+)*", space) and len(fields) == 1:
        return ""  # the same article in another language
    return (fields[-1] if len(fields) > 1 else target.lstrip(":")).strip()


def _tidy(text: str) -> str:
    """Trim lines, fold blank ones, drop headings without text, and take the marks off the others."""
    lines: list[str] = []
    for line in re.sub(r"[ \t]+", " ", text).split("\n"):
        line = line.strip()
        level = _level(line)
        while level and lines and (not lines[-1] or _level(lines[-1]) >= level):
            lines.pop()  # a heading directly after one of its own kind: that one had no text
        if level and lines:
            lines.append("")
        if line.strip("-•* ") or (not line and lines and lines[-1]):
            lines.append(line)
    while lines and (not lines[-1] or _level(lines[-1])):
        lines.pop()
    return "\n".join(line.lstrip("=") if _level(line) else line for line in lines)


def _level(line: str) -> int:
    if not line.startswith("="):
        return 0
    marks = len(line) - len(line.lstrip("="))
    return marks if 2 <= marks <= 6 and len(line) > marks else 0
