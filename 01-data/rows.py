"""Rows of JSON and how each becomes text: plain, instruction, Kayla and chat rows.

Parses strictly (no NaN, no lone surrogates) and refuses rows that it does not know, by file:line.
Used through `chronos.data.documents`, which finds the rows in .json and .jsonl files.
"""

import itertools
import json
import re
from collections.abc import Iterator
from typing import Any

from chronos.data.decoding import DamageError, refuse_surrogates

KNOWN = "text, instruction with output or response, or messages"


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
    """The text of one row; DamageError for a row of no known kind.

    - {"text"}: itself.
    - {"instruction", "input"?, "output" or "response"}: the layout below; Kayla rows add "feelings" and
      "thought-process" to it. Field names may be in any case.
    - {"messages": [{"role", "content"}]}: the same layout, turn after turn.
    """
    if not isinstance(row, dict):
        raise DamageError("a row must be an object", where=where, got=_kind(row))
    fields = {str(key).lower(): value for key, value in row.items()}
    if "text" in fields:
        text = _string(fields, "text", where)
    elif "messages" in fields:
        text = _render_messages(fields["messages"], where)
    elif "instruction" in fields:
        text = _render_instruction(fields, where)
    else:
        names = ", ".join(sorted(fields)[:8]) or "no fields"
        raise DamageError("unknown kind of row", where=where, expected=KNOWN, got=names)
    refuse_surrogates(text, where)
    return text


def _render_instruction(fields: dict[str, Any], where: object) -> str:
    answer = "output" if "output" in fields or "response" not in fields else "response"
    sections = [("Instruction", _string(fields, "instruction", where))]
    for name, title in (("input", "Input"), ("feelings", "Feelings"), ("thought-process", "Thought Process")):
        if fields.get(name):
            sections.append((title, _string(fields, name, where)))
    sections.append(("Response", _string(fields, answer, where)))
    return _layout(sections)


def _render_messages(messages: Any, where: object) -> str:
    """A system message opens the instruction that follows it."""
    if not isinstance(messages, list) or not messages:
        raise DamageError("messages must be a list with something in it", where=where, got=_kind(messages))
    sections, system = [], ""
    for message in messages:
        if not isinstance(message, dict):
            raise DamageError("a message must be an object", where=where, got=_kind(message))
        role, content = message.get("role"), _string(message, "content", where)
        if role == "system":
            system += content + "\n\n"
        elif role == "user":
            sections.append(("Instruction", system + content))
            system = ""
        elif role == "assistant":
            sections.append(("Response", content))
        else:
            raise DamageError("unknown role", where=where, expected="system, user, assistant", got=repr(role))
    return _layout(sections)


def _layout(sections: list[tuple[str, str]]) -> str:
    return "\n\n".join(f"### {title}:\n{body}" for title, body in sections)


def _string(fields: dict[str, Any], name: str, where: object) -> str:
    value = fields.get(name)
    if not isinstance(value, str):
        raise DamageError(f"field {name!r} must be a string", where=where, got=_kind(value))
    return value


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", type(None): "nothing"}
    return names.get(type(value), "a number")
