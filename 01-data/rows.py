"""Rows of JSON and how each becomes text, with what is trained on: plain, instruction, Kayla and chat rows.

Parses strictly (no NaN, no lone surrogates) and refuses rows that it does not know, by file:line.
Used through `chronos.data.documents`, which finds the rows in .json and .jsonl files.
"""

import itertools
import json
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from chronos.data.decoding import DamageError, refuse_surrogates

KNOWN = "text, instruction with output or response, or messages"

Ranges = tuple[tuple[int, int], ...]
Clean = Callable[[str], str]
Part = tuple[str, bool]  # a stretch of text, and whether it is trained on


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(parse_constant=_no_constant)


def parse_json(text: str, path: object, first_line: int = 1) -> Any:
    """Parse one JSON value; DamageError names path:line. Python's own NaN and Infinity are refused."""
    try:
        return _DECODER.decode(text)
    except json.JSONDecodeError as error:
        line = first_line + error.lineno - 1
        raise DamageError(f"damaged JSON ({error.msg})", where=f"{path}:{line}") from None
    except RecursionError:
        raise DamageError("damaged JSON (nested too deeply)", where=f"{path}:{first_line}") from None
    except ValueError as error:
        reason = str(error).split(";")[0]  # Python adds advice for programmers after the semicolon
        raise DamageError(f"damaged JSON ({reason})", where=f"{path}:{first_line}") from None


def json_rows(text: str, path: object) -> Iterator[tuple[int, Any]]:
    """The rows of a .json file with their lines: a list of rows, one row, or {"data": [rows]}."""
    whole = parse_json(text, path)
    rows = whole.get("data") if isinstance(whole, dict) else whole
    if not isinstance(rows, list):
        yield 1, whole
        return
    opening = re.match(r'\s*(?:\{\s*"data"\s*:\s*)?\[', text)
    lines = _item_lines(text, opening.end()) if opening else ()
    yield from zip(itertools.chain(lines, itertools.repeat(1)), rows)


def _item_lines(text: str, at: int) -> Iterator[int]:
    """The line on which each item of a (known good) JSON list starts; `at` is just after its bracket."""
    line, counted = 1, 0
    space = re.compile(r"[\s,]*")
    while text[at := space.match(text, at).end()] != "]":
        line += text.count("\n", counted, at)
        counted = at
        yield line
        _, at = _DECODER.raw_decode(text, at)


def render(row: Any, where: object) -> str:
    """The text of one row, as `marked` gives it, without the marks."""
    return marked(row, where)[0]


def marked(row: Any, where: object, clean: Clean = str) -> tuple[str, Ranges]:
    """The text of one row, each part of it cleaned, and the ranges of it that a loss leaves out.

    - {"text"}: itself, all trained on but the character ranges [start, end) in "untrained", if given.
    - {"instruction", "input"?, "output" or "response"}: the layout of this file; Kayla rows add "feelings"
      and "thought-process" to it. Field names may be in any case.
    - {"messages": [{"role", "content"}]}: the same layout, turn after turn.

    Trained on is what a model has to say at inference: the prompt ends with the header of the first section
    that is to be learned (so "### Response:\n", or "### Thought Process:\n" where there is a thought, is
    given, not learned), and from there on everything is learned. After a thought that includes the header
    "### Response:\n", for the model that thinks has to go on to answer by itself. An answer that another
    turn follows is ended by "\n\n### Instruction:", learned too: it is what chat stops at.

    Raises DamageError for a row of no known kind and for lone surrogates.
    """
    if not isinstance(row, dict):
        raise DamageError("a row must be an object", where=where, got=_kind(row))
    fields = {str(key).lower(): value for key, value in row.items()}
    if "text" in fields:
        parts = _text_parts(_string(fields, "text", where), fields.get("untrained"), where)
    elif "messages" in fields:
        parts = _merged(_message_parts(fields["messages"], where, clean))
    elif "instruction" in fields:
        parts = _merged(_instruction_parts(fields, where, clean))
    else:
        names = ", ".join(sorted(fields)[:8]) or "no fields"
        raise DamageError("unknown kind of row", where=where, expected=KNOWN, got=names)
    if "text" in fields:
        parts = [(clean(text), trained) for text, trained in parts]
    text = "".join(text for text, _ in parts)
    refuse_surrogates(text, where)
    return text, _ranges(parts)


def _text_parts(text: str, ranges: Any, where: object) -> list[Part]:
    """Cut a text at its marks; touching marks stay two, so that a row is read back as it was written."""
    parts, at = [], 0
    for start, stop in _checked(ranges, len(text), where):
        parts += [(text[at:start], True), (text[start:stop], False)]
        at = stop
    return [*parts, (text[at:], True)]


def _checked(ranges: Any, length: int, where: object) -> Iterable[tuple[int, int]]:
    expected = f"sorted, disjoint [start, end) pairs within 0 … {length}"
    at = 0
    for pair in [] if ranges is None else ranges if isinstance(ranges, list) else [ranges]:
        whole = isinstance(pair, list) and len(pair) == 2 and all(type(bound) is int for bound in pair)
        if not whole or not at <= pair[0] < pair[1] <= length:
            raise DamageError("field 'untrained' is damaged", where=where, expected=expected, got=repr(pair))
        at = pair[1]
    return [] if ranges is None else ranges


def _ranges(parts: Iterable[Part]) -> Ranges:
    found, at = [], 0
    for text, trained in parts:
        if text and not trained:
            found.append((at, at + len(text)))
        at += len(text)
    return tuple(found)


def _merged(parts: Iterable[Part]) -> list[Part]:
    groups = itertools.groupby(parts, key=lambda part: part[1])
    return [("".join(text for text, _ in group), trained) for trained, group in groups]


_HEADERS = re.compile(r"^### (?:Instruction|Input|Feelings|Thought Process|Response):\n?", re.MULTILINE)


def without_headers(text: str) -> str:
    """The text without the lines that this layout puts in."""
    return _HEADERS.sub("", text)


def _header(title: str) -> str:
    return f"### {title}:\n"


def _instruction_parts(fields: dict[str, Any], where: object, clean: Clean) -> Iterator[Part]:
    answer = "output" if "output" in fields or "response" not in fields else "response"
    yield _header("Instruction") + clean(_string(fields, "instruction", where)) + "\n\n", False
    for name, title in (("input", "Input"), ("feelings", "Feelings")):
        if fields.get(name):
            yield _header(title) + clean(_string(fields, name, where)) + "\n\n", False
    thinks = bool(fields.get("thought-process"))
    if thinks:
        yield _header("Thought Process"), False
        yield clean(_string(fields, "thought-process", where)) + "\n\n", True
    yield _header("Response"), thinks
    yield clean(_string(fields, answer, where)), True


def _message_parts(messages: Any, where: object, clean: Clean) -> Iterator[Part]:
    """A system message opens the instruction that follows it, or is one where none does."""
    if not isinstance(messages, list) or not messages:
        raise DamageError("messages must be a list with something in it", where=where, got=_kind(messages))
    before, system = "", []
    for role, content in [_turn(message, where) for message in messages]:
        if role == "system":
            system.append(clean(content))
            continue
        if role == "assistant" and not system:
            yield _gap(before) + _header("Response"), False
        else:
            asked = "\n\n".join([*system, clean(content)] if role == "user" else system)
            yield from _instruction(asked, before)
            if role == "assistant":
                yield "\n\n" + _header("Response"), False
            system = []
        if role == "assistant":
            yield clean(content), True
        before = role
    if system:
        yield from _instruction("\n\n".join(system), before)


def _turn(message: Any, where: object) -> tuple[str, str]:
    if not isinstance(message, dict):
        raise DamageError("a message must be an object", where=where, got=_kind(message))
    role = message.get("role")
    if role not in ("system", "user", "assistant"):
        raise DamageError("unknown role", where=where, expected="system, user, assistant", got=repr(role))
    return role, _string(message, "content", where)


def _instruction(asked: str, before: str) -> Iterator[Part]:
    yield _gap(before) + "### Instruction:", before == "assistant"
    yield "\n" + asked, False


def _gap(before: str) -> str:
    return "\n\n" if before else ""


def _string(fields: dict[str, Any], name: str, where: object) -> str:
    value = fields.get(name)
    if not isinstance(value, str):
        raise DamageError(f"field {name!r} must be a string", where=where, got=_kind(value))
    return value


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", type(None): "nothing"}
    return names.get(type(value), "a number")
