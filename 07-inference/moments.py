"""Times as a person writes and reads them, and the folder in which a person's memory lives.

Times are int64 microseconds in UTC; a life without dates counts hours. It knows no store.
"""

import os
import re
import sys
from pathlib import Path

from chronos.console import ChronosError, UsageError
from chronos.data.notes.dates import DAY, HOUR, step_of, step_time, whole, written

UNDATED = 366 * DAY  # a life that begins in 1970 counts hours: nobody's diary is that old


def data_folder() -> Path:
    """Where a person's own data live: outside the repository and outside every model directory."""
    if sys.platform == "win32":
        home = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin" and not os.environ.get("XDG_DATA_HOME"):
        home = Path.home() / "Library" / "Application Support"
    else:
        home = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return home / "chronos"


def default_state(profile: str = "default") -> Path:
    """The memory of a profile. UsageError for a name that is no plain folder name."""
    if not re.fullmatch(r"\w[\w.-]{0,63}", profile):
        raise UsageError("a profile's name is letters, digits, dots and dashes", got=repr(profile))
    return data_folder() / "profiles" / profile / "memory"


def when(time: int, origin: int) -> str:
    """A time for a person: a date, or the hour of a life without dates."""
    if 0 <= origin < UNDATED or -DAY <= origin < 0:
        return f"hour {step_of(time, origin)}"
    return written(time)


def span(text: str, origin: int | None = None) -> tuple[int, int]:
    """The first and the last microsecond that a written time means.

    "2024-05-03" and "3 May 2024" mean the day, with a clock ("2024-05-03 14:22") the minute; a whole number n
    means hour n of a life that starts at `origin`. UsageError for anything else.
    """
    text = text.strip()
    if re.fullmatch(r"\d{1,7}", text) and origin is not None:
        start = step_time(int(text), origin)
        return start, start + HOUR - 1
    found = whole(text)
    if found is None:
        expected = "2024-05-03, 2024-05-03T14:22, 3 May 2024, or the number of an hour"
        raise UsageError("this is no date", expected=expected, got=repr(text))
    length = 60_000_000 if found.clock else DAY
    length = length if found.time % length == 0 else 1_000_000
    return found.time, found.time + length - 1


def bounds(since: str | None, until: str | None, origin: int | None) -> dict[str, int]:
    """`--since` and `--until`, both inclusive as they are written, as since ≤ time < until."""
    found = {}
    if since is not None:
        found["since"] = span(since, origin)[0]
    if until is not None:
        found["until"] = span(until, origin)[1] + 1
    if len(found) == 2 and found["since"] >= found["until"]:
        raise ChronosError("--since lies after --until", got=f"{since} … {until}")
    return found
