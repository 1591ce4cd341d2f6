"""Dates at the starts of lines, as people and programs write them, in English, Arabic and figures.

It reads what stands there and never guesses "yesterday"; which number of 03/05 is the day is decided for a
whole file. Times are int64 microseconds since 1970 in UTC; what names no zone counts as UTC.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

MICROSECOND, HOUR, DAY = timedelta(microseconds=1), 3_600_000_000, 86_400_000_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EARLIEST, LATEST = -62_135_596_800_000_000, 253_402_300_799_999_999  # years 1 … 9999

_ENGLISH = "january february march april may june july august september october november december".split()
# Egypt's names, then the Levant's; months in order, several spellings parted by |.
_ARABIC = (
    "يناير|كانون الثاني فبراير|شباط مارس|آذار|اذار أبريل|إبريل|ابريل|نيسان مايو|أيار|ايار "
    "يونيو|يونية|يونيه|حزيران يوليو|يولية|يوليه|تموز أغسطس|اغسطس|آب سبتمبر|أيلول|ايلول "
    "أكتوبر|اكتوبر|تشرين الأول نوفمبر|تشرين الثاني ديسمبر|كانون الأول"
)
_DIGITS = str.maketrans("٠١٢٣٤٥٦٧٨٩۰۱۲۳۴۵۶۷۸۹", "0123456789" * 2)
_MARKS = re.compile(
    "[\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]"
)  # of direction: exports put them before dates


def step_time(t: int, origin: int) -> int:
    """When step t of a life begins: its hours count from 1 at `origin`."""
    return origin + (t - 1) * HOUR


def step_of(time: int, origin: int) -> int:
    """Which step of a life a time lies in."""
    return (time - origin) // HOUR + 1


def _months() -> dict[str, int]:
    names = {name: n for n, name in enumerate(_ENGLISH, 1)}
    names |= {name[:3]: n for n, name in enumerate(_ENGLISH, 1)} | {"sept": 9}
    arabic = re.sub(r" (?=الثاني|الأول)", "_", _ARABIC).split()
    spelled = ((one.replace("_", " "), n) for n, month in enumerate(arabic, 1) for one in month.split("|"))
    return names | dict(spelled)


MONTHS = _months()
_MONTH = "|".join(sorted(map(re.escape, MONTHS), key=len, reverse=True))
_WEEKDAY = (
    r"(?:(?:mon|tue|tues|wed|wednes|thu|thur|thurs|fri|sat|satur|sun)(?:day)?\.?"
    r"|(?:يوم\s+)?(?:الأحد|الاحد|الإثنين|الاثنين|الثلاثاء|الأربعاء|الاربعاء|الخميس|الجمعة|السبت))[,،]?\s+"
)
_CLOCK = (
    r"(?P<hour>\d{1,2}):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:[.,](?P<part>\d{1,6})\d*)?)?"
    r"(?:\s?(?P<half>[ap]\.?m\.?|ص|م)(?!\w))?(?:\s?(?P<zone>z|utc|gmt|[+-]\d\d:?\d\d)(?!\w))?(?![\d:])"
)
_NUMBERS = r"(?P<a>\d{4}|\d{1,2})(?P<between>[/.-])(?P<b>\d{1,2})(?P=between)(?P<c>\d{4}|\d{1,2})(?!\d)"
_DAY = r"(?P<day{0}>\d{{1,2}})(?:st|nd|rd|th)?"
_NAMED = (
    rf"(?:{_DAY.format(1)}\s+(?:of\s+)?(?P<month1>{_MONTH})\.?(?:,?\s+(?P<year1>\d{{4}}))?"
    rf"|(?P<month2>{_MONTH})\.?\s+{_DAY.format(2)}(?:,?\s+(?P<year2>\d{{4}}))?)(?!\w)"
)
_DATE = re.compile(
    rf"(?P<open>[\[(])?(?:{_WEEKDAY})?(?:{_NUMBERS}|{_NAMED})"
    rf"(?:(?:[,،]?\s*|t|\s+at\s+){_CLOCK})?(?P<close>[\])])?",
    re.IGNORECASE,
)
_TIME = re.compile(rf"(?P<open>[\[(])?{_CLOCK}(?P<close>[\])])?", re.IGNORECASE)
_AFTER = re.compile(r"\s*(?:[-–—:|·،,]+(?=\s|$)\s*|(?=\s)\s*|$)")
_SEPARATED = re.compile(r"\s*[-–—:|·]+(?:\s|$)")


@dataclass(frozen=True)
class Stamp:
    """What a line opens with: its time, whether a clock stood there, and the text after it.

    `bracketed`: in brackets or followed by a dash or colon, as programs write it.
    """

    time: int
    clock: bool
    rest: str
    bracketed: bool


def _plain(line: str) -> str:
    return line.strip() if line.isascii() else _MARKS.sub("", line).strip()


def _figures(line: str) -> str:
    """The line with 0 … 9 for all digits; one character for one, so that places stay."""
    plain = _plain(line)
    return plain if plain.isascii() else plain.translate(_DIGITS)


class Dates:
    """Reads the dates of one file: `stamp(line)`. Which number is the day, and the last date seen, are state.

    `day_first`: of two numbers that could both be, the first is the day.
    """

    def __init__(self, day_first: bool = True, last: int | None = None):
        self.day_first, self.last = day_first, last

    def stamp(self, line: str) -> Stamp | None:
        """The date, or after one the bare time of day, that a line opens with; None if with neither.

        A date without a year takes that of the last one (the next year where it would run backwards), and
        counts only if nothing but a separator follows. A named date within a sentence stays in its text.
        """
        plain, figures = _plain(line), _figures(line)
        found = _DATE.match(figures)
        time = self._date(found) if found else None
        if time is None:
            found = _TIME.match(figures) if self.last is not None else None
            if not found or (clock := _clock(found)) is None:
                return None
            time = self.last // DAY * DAY + clock
        after = _AFTER.match(plain, found.end())
        if not after:
            return None
        parts = found.groupdict()
        named = parts.get("month1") or parts.get("month2")
        apart = bool(parts["open"] and parts["close"]) or bool(_SEPARATED.match(plain, found.end()))
        whole = after.end() == len(plain)
        if named and not (parts["year1"] or parts["year2"] or apart or whole):
            return None
        if not named and not apart and not whole and "a" not in parts and not parts["open"]:
            apart = parts["hour"] is not None  # "14:22 had lunch"
        self.last = time
        inside = named and not apart and not whole
        return Stamp(time, parts["hour"] is not None, plain if inside else plain[after.end() :], apart)

    def _date(self, found: re.Match[str]) -> int | None:
        """Microseconds, or None where the numbers are no day of the calendar."""
        parts = found.groupdict()
        try:
            if parts["a"]:
                year, month, day = self._numbers(parts["a"], parts["b"], parts["c"])
            else:
                month = MONTHS[(parts["month1"] or parts["month2"]).lower()]
                day, year = int(parts["day1"] or parts["day2"]), parts["year1"] or parts["year2"]
                year = int(year) if year else self._year(month, day)
            midnight = (datetime(year, month, day, tzinfo=UTC) - EPOCH) // MICROSECOND
        except (ValueError, TypeError):
            return None
        clock = _clock(found) if parts["hour"] else 0
        time = None if clock is None else midnight + clock
        return time if time is not None and EARLIEST <= time <= LATEST else None

    def _year(self, month: int, day: int) -> int | None:
        if self.last is None:
            return None
        then = EPOCH + self.last * MICROSECOND
        return then.year + ((month, day) < (then.month, then.day))

    def _numbers(self, a: str, b: str, c: str) -> tuple[int, int, int]:
        if len(a) == 4:
            if len(c) == 4:
                raise ValueError
            return int(a), int(b), int(c)
        if len(c) == 1:
            raise ValueError
        year = int(c) + (2000 if len(c) == 2 else 0)
        first, second = int(a), int(b)
        day_first = self.day_first if first <= 12 and second <= 12 else first > 12
        return (year, second, first) if day_first else (year, first, second)


def _clock(found: re.Match[str]) -> int | None:
    """The time of day in microseconds, less its zone's offset; None for 25:70."""
    parts = found.groupdict()
    hour, minute, second = (int(parts[name] or 0) for name in ("hour", "minute", "second"))
    half = (parts["half"] or "").lower()
    if half and not 1 <= hour <= 12:
        return None
    if half:
        hour = hour % 12 + (12 if half[0] in ("p", "م") else 0)
    if hour > 23 or minute > 59 or second > 59:
        return None
    part = int((parts["part"] or "").ljust(6, "0"))
    return ((hour * 60 + minute - _offset(parts["zone"])) * 60 + second) * 1_000_000 + part


def _offset(zone: str | None) -> int:
    """Minutes east of UTC."""
    if not zone or zone[0] not in "+-":
        return 0
    minutes = int(zone[1:3]) * 60 + int(zone[-2:])
    return -minutes if zone[0] == "-" else minutes


@dataclass(frozen=True)
class Survey:
    """What the dates of a file say together: the first, the order of numbers, whether that is known."""

    first: int | None
    day_first: bool
    ambiguous: bool


def survey(lines: Iterable[str]) -> Survey:
    """Look through the lines of a file for dates; the first with a number above 12 settles their order.

    Where none does, the day comes first, and `ambiguous` tells that a date could be read otherwise.
    """
    dates, opening, settled, doubtful = Dates(), None, None, False
    for line in lines:
        if dates.stamp(line) is None:
            continue
        opening = line if opening is None else opening
        found = _DATE.match(_figures(line))
        if found and found["a"] and len(found["a"]) < 4:
            a, b = int(found["a"]), int(found["b"])
            if (a > 12) != (b > 12):
                settled = a > 12
                break
            doubtful = doubtful or a != b
    day_first = settled is not False
    first = None if opening is None else Dates(day_first).stamp(opening).time
    return Survey(first, day_first, doubtful and settled is None)


def whole(text: str, day_first: bool = True) -> Stamp | None:
    """The date that is all of a text ("2024-05-03", "3 May 2024 14:22"), or None."""
    found = Dates(day_first).stamp(text)
    return found if found and not found.rest else None


def of_number(value: float) -> int | None:
    """Seconds, milliseconds, microseconds or nanoseconds since 1970, told apart by size, in microseconds.

    None for what lies outside 1973 … 2286 in all of them, or is no number.
    """
    for limit, factor, divisor in ((10**10, 10**6, 1), (10**13, 1000, 1), (10**16, 1, 1), (10**19, 1, 1000)):
        if limit // 100 <= value < limit:
            whole_part = int(value)
            return whole_part * factor // divisor + round((value - whole_part) * factor) // divisor
    return None


def written(time: int) -> str:
    """A time as people sort it: "2024-05-03", with the clock where it is not midnight."""
    then = EPOCH + time * MICROSECOND
    day = f"{then.year:04d}-{then.month:02d}-{then.day:02d}"
    if time % DAY == 0:
        return day
    return f"{day} {then.hour:02d}:{then.minute:02d}" + (f":{then.second:02d}" if then.second else "")
