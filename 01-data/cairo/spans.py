"""Hours and dates: a step is an hour, and each way of naming a time means one stretch of steps.

"At time 4060" and "five hours ago" are one step; a day is 24 steps; "last week" is meant in every sense at
once: from Monday of the week before to yesterday. It draws nothing and knows no life.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache

from chronos.data.cairo.things import MONTHS
from chronos.data.cairo.values import Value

HOURS_A_DAY = 24
MOST_HOURS, MOST_DAYS = 99, 30  # of "five hours ago" and "three days ago"
_SMALL = "zero one two three four five six seven eight nine ten eleven twelve".split()


def day_of(t: int) -> int:
    """Days since the first step's day: t = 1 … 24 is day 0."""
    return (t - 1) // HOURS_A_DAY


def day_span(day: int) -> tuple[int, int]:
    """The first and the last step of a day."""
    return HOURS_A_DAY * day + 1, HOURS_A_DAY * (day + 1)


def step_value(t: int) -> Value:
    """A step as an answer: "at time 4060"."""
    return Value(f"at time {t}", f"عند الوقت {t}")


def date_value(day: date, year: bool = True) -> Value:
    """3 May 2031, with or without the year."""
    month, tail = MONTHS[day.month - 1], f" {day.year}" if year else ""
    return Value(f"{day.day} {month.en}{tail}", f"{day.day} {month.ar}{tail}")


@cache
def hours_value(n: int) -> Value:
    """So many hours, in words: "five hours", "25 hours"."""
    return Value(_english(n, "hour"), _arabic(n, "ساعة", "ساعتين", "ساعات", "ساعة"))


@cache
def days_value(n: int) -> Value:
    """So many days, in words."""
    return Value(_english(n, "day"), _arabic(n, "يوم", "يومين", "أيام", "يوما"))


def _english(n: int, unit: str) -> str:
    return f"{_SMALL[n] if n < len(_SMALL) else n} {unit}{'' if n == 1 else 's'}"


def _arabic(n: int, one: str, two: str, few: str, many: str) -> str:
    """One and two are said by the noun itself; 3 … 10 take the plural, 11 … 99 the singular."""
    if n <= 2:
        return (one, two)[n - 1]
    return f"{n} {few if n <= 10 else many}"


@dataclass(frozen=True, slots=True)
class Calendar:
    """The date of day 0, and what follows from it."""

    start: date

    def date(self, t: int) -> date:
        """The date of a step."""
        return self.start + timedelta(days=day_of(t))

    def day(self, when: date) -> int:
        """The day number of a date, the other way round."""
        return (when - self.start).days

    def week_before(self, t: int) -> tuple[int, int]:
        """Steps from Monday of the week before that of t to the end of yesterday."""
        today = day_of(t)
        monday = today - self.date(t).weekday() - 7
        return day_span(monday)[0], day_span(today - 1)[1]

    def without_year(self, day: int, month: int, first: int, last: int) -> list[int]:
        """All days of steps first … last that fall on a day and month, as day numbers."""
        found = []
        for year in range(self.date(first).year, self.date(last).year + 1):
            try:
                number = self.day(date(year, month, day))
            except ValueError:  # 29 February of another year
                continue
            if day_of(first) <= number <= day_of(last):
                found.append(number)
        return found
