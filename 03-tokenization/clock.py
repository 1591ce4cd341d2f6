"""A clock: which instants a candidate of times.py means, seen from now, and how an event's own time is told.

Integer microseconds since 1970 in UTC, and the proleptic Gregorian calendar; no time zones, no floats. It
reads no words. Try `Clock(now=day_time("2036-05-10")).until(Candidate(0, "days", (3,)))`.
"""

from dataclasses import dataclass
from datetime import date

import numpy as np

from chronos.console import ChronosError
from chronos.data.notes.dates import DAY, HOUR
from chronos.tokenization.times import Candidate
from chronos.tokenization.words import DIGITS, MONTHS, WordTokenizer

MARKS = 14  # slots of `marks`: digits of the step, of the day, the month, digits of the year
STEP_DIGITS, DAY_DIGITS, YEAR_DIGITS = 7, 2, 4

_EPOCH = date(1970, 1, 1).toordinal()
_FIRST, _LAST = (date.min.toordinal() - _EPOCH) * DAY, (date.max.toordinal() - _EPOCH + 1) * DAY - 1

Span = tuple[int, int]


def day_time(day: str) -> int:
    """Midnight of an ISO date, in microseconds; ChronosError for what is none."""
    try:
        return (date.fromisoformat(day).toordinal() - _EPOCH) * DAY
    except ValueError:
        raise ChronosError("no such date", expected="YYYY-MM-DD", got=repr(day)) from None


def life_origin(day: str, t: int) -> int:
    """When step 1 of a life began: midnight of its first day, if its hour t is on an ISO date ("": 1970)."""
    return day_time(day) - (t - 1) // 24 * DAY if day else 0


@dataclass(frozen=True, slots=True)
class Clock:
    """Now, when step 1 began (None: the events are not counted) and how long a step is, all microseconds.

    ChronosError for a `now` outside of the years 1 to 9999, and for a step of no length.
    """

    now: int
    origin: int | None = None
    step: int = HOUR

    def __post_init__(self) -> None:
        if not _FIRST <= self.now <= _LAST:
            raise ChronosError("now is not on the calendar", expected="years 1 to 9999", got=self.now)
        if self.step < 1:
            raise ChronosError("a step must last a microsecond or more", got=self.step)

    def time(self, n: int) -> int:
        """When step n begins; ChronosError without an origin."""
        if self.origin is None:
            raise ChronosError("this clock counts no steps", mend="give it an origin")
        return self.origin + (n - 1) * self.step

    def until(self, candidate: Candidate) -> int | None:
        """The last microsecond that a candidate means, at most now; None if that is no time up to now.

        What lies before the year 1 is none either: every result fits an int64.
        """
        span = self.span(candidate)
        return min(span[1], self.now) if span and span[0] <= self.now and span[1] >= _FIRST else None

    def span(self, candidate: Candidate) -> Span | None:
        """The first and the last microsecond that a candidate means; None if it is no time."""
        today, (n, *_) = self.now // DAY, candidate.value or (0,)
        match candidate.reading:
            case "now":
                return self.now, self.now
            case "yesterday":
                return _days(today - 1)
            case "week":
                monday = today - (today + 3) % 7  # 1970 began on a Thursday
                return _days(monday - 7, 7)
            case "step":
                return None if self.origin is None or n < 1 else (self.time(n), self.time(n + 1) - 1)
            case "hours":
                hour = self.now // HOUR - n
                return hour * HOUR, (hour + 1) * HOUR - 1
            case "days":
                return _days(today - n)
            case "weeks":
                return _days(today - 7 * n)
            case "date":
                day = self._date(*candidate.value)
                return None if day is None else _days(day)
        raise ChronosError("no such reading of a time", got=repr(candidate.reading))

    def _date(self, year: int, month: int, day: int) -> int | None:
        """A date as days since 1970; year 0: the latest up to today. None for one that does not exist."""
        if year:
            return _ordinal(year, month, day)
        today = self.now // DAY
        this = date.fromordinal(today + _EPOCH).year
        found = (_ordinal(y, month, day) for y in range(this, this - 9, -1))  # 29 February: up to eight back
        return next((number for number in found if number is not None and number <= today), None)


def _days(day: int, n: int = 1) -> Span:
    return day * DAY, (day + n) * DAY - 1


def _ordinal(year: int, month: int, day: int) -> int | None:
    try:
        return date(year, month, day).toordinal() - _EPOCH
    except ValueError:
        return None


def marks(times: np.ndarray | int, clock: Clock, tokenizer: WordTokenizer) -> np.ndarray:
    """What stands in the time slots of events: times (…) → ids of the vocabulary (…, 14) int64, −1 for none.

    7 for the digits of the step from the left (none without an origin, or unless in 1 … 9,999,999), 2 for
    the day of the month, the month's English name, 4 for the year. ChronosError if one of these has no id.
    """
    ids = np.append(tokenizer.encode(" ".join((*DIGITS, *MONTHS))), -1)
    if ids.max() >= tokenizer.vocab_size:
        raise ChronosError("this tokenizer lacks a digit or a month", mend="train it anew")
    times = np.asarray(times, np.int64)
    days = np.floor_divide(times, DAY).astype("datetime64[D]")
    months = days.astype("datetime64[M]")
    of_month = (days - months).astype(np.int64) + 1
    numbers = months.astype(np.int64)  # since January 1970
    places = (
        _digits(_steps(times, clock), STEP_DIGITS),
        _digits(of_month, DAY_DIGITS),
        (numbers % 12 + len(DIGITS))[..., None],
        _digits(numbers // 12 + 1970, YEAR_DIGITS),
    )
    return ids[np.concatenate(places, axis=-1)]


def _steps(times: np.ndarray, clock: Clock) -> np.ndarray:
    if clock.origin is None:
        return np.full(times.shape, -1, np.int64)
    return np.floor_divide(times - clock.origin, clock.step) + 1


def _digits(numbers: np.ndarray, width: int) -> np.ndarray:
    """Numbers (…) as decimal digits (…, width) from the left, −1 behind; all −1 for what does not fit."""
    powers = 10 ** np.arange(width, dtype=np.int64)
    count = np.searchsorted(powers, numbers, side="right")[..., None]  # of digits; 0 below one
    count = np.where(numbers[..., None] < 10**width, count, 0)
    place = count - 1 - np.arange(width)
    return np.where(place >= 0, numbers[..., None] // powers[np.maximum(place, 0)] % 10, -1)
