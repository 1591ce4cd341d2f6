"""XML and HTML of strangers: elements one at a time in flat memory, and the plain text of a page.

A document type is refused before the parser sees it, and with it every entity that could be defined: no
billion laughs, no external files. `html_text` gives text, not a faithful page.
"""

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import BinaryIO

from chronos.data.decoding import DamageError

ELEMENT_LIMIT = 64 << 20  # bytes of one element
DEPTH_LIMIT = 256
HTML_LIMIT = 4 << 20  # characters of a page that are read
_PROLOG_LIMIT = 64 << 10
# Encodings in which "<" is one byte, the same as in ASCII: nothing can hide from the search for a doctype.
_ENCODINGS = re.compile(r"utf-?8|us-ascii|ascii|iso-8859-\d+|latin-?1|windows-125\d|cp125\d|koi8-[ru]", re.I)


def local(element: ET.Element) -> str:
    """An element's name without its namespace."""
    return element.tag.rpartition("}")[2]


def child_text(element: ET.Element, name: str) -> str:
    """The text of the first child of this name, "" without one."""
    found = next((child for child in element if local(child) == name), None)
    return "" if found is None else "".join(found.itertext()).strip()


def elements(stream: BinaryIO, wanted: set[str], where: Path) -> Iterator[ET.Element]:
    """The elements of the wanted names (without namespace), each whole, and good until the next one.

    Those within a wanted one come as its children only. DamageError for what is no XML, has a document type,
    is cut short, nests too deeply or holds an element of more than ELEMENT_LIMIT bytes.
    """
    parser = ET.XMLPullParser(("start", "end"))
    stack: list[ET.Element] = []
    inside = 0  # how many of the open elements are wanted
    waiting = 0  # bytes since an element was last given away
    head = _checked_prolog(stream, where)
    while True:
        data, head = head or stream.read(1 << 16), b""
        waiting += len(data)
        try:
            parser.feed(data) if data else parser.close()
            events = list(parser.read_events())
        except ET.ParseError as error:
            raise DamageError(f"damaged XML ({error})", where=where) from None
        for kind, element in events:
            if kind == "start":
                stack.append(element)
                inside += local(element) in wanted
                continue
            stack.pop()
            inside -= local(element) in wanted
            if not inside:
                if local(element) in wanted:
                    yield element
                element.clear()
                if stack:
                    del stack[-1][:]
                waiting = 0
        if waiting > ELEMENT_LIMIT or len(stack) > DEPTH_LIMIT:
            what = "its elements nest too deeply" if len(stack) > DEPTH_LIMIT else "an element is too long"
            raise DamageError(what, where=where)
        if not data:
            return


def _checked_prolog(stream: BinaryIO, where: Path) -> bytes:
    """The first bytes, up to and beyond the first element's start, without a document type before it."""
    head = b""
    while len(head) < _PROLOG_LIMIT and (data := stream.read(4096)):
        head += data
        if (verdict := _prolog(head)) is not None:
            break
    else:
        verdict = "this is not XML"
    if verdict:
        raise DamageError(verdict, where=where, mend="such a file is not read")
    return head


def _prolog(head: bytes) -> str | None:
    """ "" when the first element starts and all before it is fine, a complaint, or None for: read more."""
    declared = re.match(rb"(?:\xef\xbb\xbf)?<\?xml[^>]*?encoding\s*=\s*[\"']([^\"'>]*)[\"']", head)
    if declared and not _ENCODINGS.fullmatch(declared[1].decode("latin-1")):
        return f"this encoding of XML is not read ({declared[1].decode('latin-1')[:40]!a})"
    at = 3 if head.startswith(b"\xef\xbb\xbf") else 0
    while True:
        rest = head[at:].lstrip(b" \t\r\n")
        at = len(head) - len(rest)
        if len(rest) < 4:
            return None
        end = next((e for s, e in ((b"<?", b"?>"), (b"<!--", b"-->")) if rest.startswith(s)), None)
        if end is None:
            if rest.startswith(b"<!"):
                return "a document type (DTD) is refused, for its entities could be a bomb"
            return "" if re.match(rb"<[A-Za-z_:\x80-\xff]", rest) else "this is not XML"
        found = rest.find(end, 4 if end == b"-->" else 2)
        if found < 0:
            return None
        at += found + len(end)


_SILENT = frozenset("script style template noscript svg head iframe".split())
_BLOCKS = frozenset("p div br li ul ol tr table h1 h2 h3 h4 h5 h6 blockquote pre hr section article".split())
_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9:-]*")


def html_text(html: str) -> str:
    """The text of a piece of HTML: tags gone, entities resolved, blank lines between paragraphs.

    Linear in its length, which the standard library's parser is not for some malformed pages.
    """
    html = html[:HTML_LIMIT]
    if "<" not in html and "&" not in html:
        return html.strip()
    parts = [text if mark else re.sub(r"\s+", " ", unescape(text)) for mark, text in _html_parts(html)]
    lines = [re.sub(r"[ \t\u00a0]+", " ", line).strip() for line in "".join(parts).split("\n")]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def _html_parts(html: str) -> Iterator[tuple[bool, str]]:
    """(False, text between tags, entities and all) and (True, the line breaks that a tag stands for)."""
    at = 0
    endless: set[str] = set()  # elements that are not closed any more: looked for only once
    while (start := html.find("<", at)) >= 0:
        yield False, html[at:start]
        if html.startswith("<!--", start):
            end = html.find("-->", start + 4)
            if end < 0:
                return
            at = end + 3
            continue
        name = _NAME.match(html, start + 1 + html.startswith("/", start + 1))
        if not (name or html[start + 1 : start + 2] in ("!", "?")):
            yield False, "<"
            at = start + 1
            continue
        at = _tag_end(html, start)
        if at < 0:
            return
        if name:
            tag = name[0].rpartition(":")[2].lower()  # html:p is a paragraph too
            if tag in _SILENT and tag not in endless and html[start + 1] != "/":
                found = re.compile(rf"</{name[0]}\b", re.I).search(html, at)
                at = found.start() if found else at
                endless |= set() if found else {tag}
            elif tag in _BLOCKS:
                opens = html[start + 1] != "/"
                yield True, "\n\n" if tag == "p" and opens else "\n- " if tag == "li" and opens else "\n"
    yield False, html[at:]


def _tag_end(html: str, start: int) -> int:
    """Just after the tag's end, a quoted ">" or two passed over; -1 if it has none."""
    end = start
    for _ in range(4):
        end = html.find(">", end) + 1
        if not end:
            return -1
        if html.count('"', start, min(end, start + 4096)) % 2 == 0:
            break
    return end
