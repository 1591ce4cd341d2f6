"""How Chronos speaks: errors of one line, progress with an ETA, tables, and the `--json` object.

A leaf helper that every stage may import; it imports nothing of ours and never exits the process.
"""

import json
import math
import sys
import time
from collections.abc import Iterable, Sequence
from typing import Any

_json_mode = False


class ChronosError(Exception):
    """A problem that the user can mend, told in one line: what, where, expected and got, the remedy."""

    exit_code = 1

    def __init__(
        self,
        what: str,
        *,
        where: object = None,
        expected: object = None,
        got: object = None,
        mend: str | None = None,
    ):
        parts = [f"{where}: {what}" if where is not None else what]
        if expected is not None:
            parts.append(f"expected {expected}")
        if got is not None:
            parts.append(f"got {got}")
        line = ", ".join(parts)
        if mend:
            line += f"; {mend}"
        super().__init__(" ".join(line.split()))


class UsageError(ChronosError):
    """The command line itself is wrong (exit code 2)."""

    exit_code = 2


def json_mode(on: bool) -> None:
    """With `--json`, only the final object goes to standard output; all talk goes to standard error."""
    global _json_mode
    _json_mode = on


def say(text: str = "") -> None:
    """A line for the person who runs the command."""
    print(text, file=sys.stderr if _json_mode else sys.stdout, flush=True)


def warn(text: str) -> None:
    """One line that starts with `warning:`, on standard error."""
    print(f"warning: {text}", file=sys.stderr, flush=True)


def warn_without_effect(given: Iterable[str], flags: Iterable[str], why: str) -> None:
    """Name the flags that the user gave (`args.given`) although they change nothing here."""
    given = set(given)
    for flag in flags:
        if flag in given:
            warn(f"{flag} has no effect: {why}")


def emit(obj: dict[str, Any]) -> None:
    """Print the result as one JSON object, the last line of standard output; NaN and infinity are null."""
    print(json.dumps(_plain(obj), ensure_ascii=False, allow_nan=False), flush=True)


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):  # numpy arrays and scalars
        value = value.tolist()
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, str | int) else str(value)


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table with a title; numbers stand right-aligned."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    drawn = Table(header_style="bold")
    rows = [tuple(row) for row in rows]
    for i, name in enumerate(columns):
        numeric = bool(rows) and all(isinstance(row[i], int | float) for row in rows)
        drawn.add_column(Text(name), justify="right" if numeric else "left")
    for row in rows:
        drawn.add_row(*(Text(_cell(value)) for value in row))  # Text: "[x]" is no markup
    out = sys.stderr if _json_mode else sys.stdout
    screen = Console(file=out, width=None if out.isatty() else 110)
    screen.print(Text(title, style="bold"))  # not the table's own title, which wraps at its width
    screen.print(drawn)


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 1e4 else f"{value:,.0f}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return str(value)


def duration(seconds: float) -> str:
    """4.2 s, 3 min 05 s, 2 h 10 min."""
    if not math.isfinite(seconds):
        return "?"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


class Progress:
    """A live line with rate and ETA on a terminal, plain lines otherwise, silence for short work.

    `with Progress(total, "reading", unit="B") as bar: bar.update(done, loss=1.9)`. `done` is absolute;
    fields are shown as given. Everything goes to standard error.
    """

    quiet_s = 2.0  # work shorter than this says nothing
    plain_every_s = 5.0  # and later a tenth of the time that has passed, so that a log stays short

    def __init__(self, total: float | None, label: str, *, unit: str = "", start: float = 0):
        self.total, self.label, self.unit = total, label, unit
        self.begin_at = self.shown_at = time.monotonic()
        self.start = self.done = start
        self.live = sys.stderr.isatty()
        self.shown = False
        self.fields: dict[str, object] = {}

    def __enter__(self) -> "Progress":
        return self

    def update(self, done: float, **fields: object) -> None:
        """Tell how far the work is; drawn at most a few times a second."""
        self.done = done
        self.fields.update(fields)
        now = time.monotonic()
        wait = 0.1 if self.live else max(self.plain_every_s, (now - self.begin_at) / 10)
        if now - self.begin_at >= self.quiet_s and (now - self.shown_at >= wait or not self.shown):
            self._draw(now)

    def _draw(self, now: float) -> None:
        self.shown, self.shown_at = True, now
        line = self.line(now - self.begin_at)
        if self.live:
            print(f"\r\x1b[2K{line}", end="", file=sys.stderr, flush=True)
        else:
            print(line, file=sys.stderr, flush=True)

    def line(self, elapsed: float) -> str:
        """The text that is drawn: label, share, fields, rate and what is left."""
        parts = [self.label]
        if self.total:
            parts.append(f"{100 * self.done / self.total:3.0f}%")
        parts += [f"{k} {_cell(v)}" for k, v in self.fields.items()]
        speed = (self.done - self.start) / elapsed if elapsed > 0 else 0.0
        if self.unit and speed:
            parts.append(f"{_si(speed)}{self.unit}/s")
        if self.total and speed > 0:
            parts.append(f"ETA {duration((self.total - self.done) / speed)}")
        return "  ".join(parts)

    def clear(self) -> None:
        """Remove the live line so that a normal line can be printed."""
        if self.live and self.shown:
            print("\r\x1b[2K", end="", file=sys.stderr, flush=True)

    def __exit__(self, *_: object) -> None:
        if self.shown and self.live:
            self._draw(time.monotonic())
            print(file=sys.stderr, flush=True)


def _si(value: float) -> str:
    for factor, name in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= factor:
            return f"{value / factor:.1f} {name}"
    return f"{value:.1f} "
