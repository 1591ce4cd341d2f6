"""Candidates for the time that a question asks about: every number and date in its words, in every reading.

It decides nothing: "5 hours ago" gives step 5, 5 hours, 5 days and 5 weeks, and a model that understands the
words chooses. clock.py says which instant a candidate means. English and Arabic. Try
`candidates(split("Where was I 5 hours ago?"))`.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from chronos.tokenization.units import fold
from chronos.tokenization.words import MONTHS

ALWAYS = ("now", "yesterday", "week")  # asked of every question; "week" is the one before this one
OF_NUMBERS = ("step", "hours", "days", "weeks")  # hour n of the life; n hours, days, weeks ago
READINGS = (*ALWAYS, *OF_NUMBERS, "date")
MOST_DIGITS = 12  # a longer number is no time

_ARABIC_MONTHS = "يناير فبراير مارس أبريل مايو يونيو يوليو أغسطس سبتمبر أكتوبر نوفمبر ديسمبر"
_OTHER_MONTHS = {"sept": 9, "يونيه": 6, "يوليه": 7}
_SMALL = (
    "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen"
)
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
_ARABIC = {  # of both genders, as said alone or before a noun
    1: "واحد واحدة",
    2: "اثنان اثنين اثنتان اثنتين",
    3: "ثلاث ثلاثة",
    4: "أربع أربعة",
    5: "خمس خمسة",
    6: "ست ستة",
    7: "سبع سبعة",
    8: "ثمان ثماني ثمانية",
    9: "تسع تسعة",
    10: "عشر عشرة",
}
_BEFORE_TEN = {1: "أحد إحدى", 2: "اثنا اثني اثنتا اثنتي"}  # "أحد عشر" is eleven
_ARABIC_TENS = "عشرون ثلاثون أربعون خمسون ستون سبعون ثمانون تسعون"
_ARABIC_NOUNS = {1: "ساعة يوم يوما أسبوع أسبوعا", 2: "ساعتان ساعتين يومان يومين أسبوعان أسبوعين"}
_ONE_OF = frozenset(("hour", "day", "week"))  # "an hour" is one, as "ساعة" is
_ENDINGS = frozenset(("st", "nd", "rd", "th"))
_OF = frozenset(("of", "من"))
_COMMAS = frozenset((",", "،"))
_HYPHENS = frozenset(("-", "/", "\u2010", "\u2011", "\u2013"))
_ALIKE = str.maketrans("أإى", "ااي")  # written without care as often as not


class Candidate(NamedTuple):
    """One reading of some words: `at` is the index of the last unit of the number or date, −1 for ALWAYS.

    `value`: () of ALWAYS, (n,) of OF_NUMBERS, (year or 0, month, day) of "date", not yet checked to exist.
    """

    at: int
    reading: str
    value: tuple[int, ...] = ()


class _Number(NamedTuple):
    """Units first … last say n, with so many digits (0: in words)."""

    first: int
    last: int
    n: int
    digits: int


@lru_cache(maxsize=1 << 14)
def plain(unit: str) -> str:
    """A unit as the tables here have it: folded, and written without care for hamza."""
    return fold(unit).translate(_ALIKE)


def _table(by_number: Mapping[int, str]) -> dict[str, int]:
    return {plain(word): n for n, words in by_number.items() for word in words.split()}


_MONTHS = {plain(name): i % 12 + 1 for i, name in enumerate((*MONTHS, *_ARABIC_MONTHS.split()))}
_MONTHS |= {plain(name[:3]): i + 1 for i, name in enumerate(MONTHS)}
_MONTHS |= {plain(name): n for name, n in _OTHER_MONTHS.items()}
_TENS_OF = {word: 10 * i for i, word in enumerate(_TENS.split(), 2)}
_ARABIC_TENS_OF = {
    plain(form): 10 * i
    for i, word in enumerate(_ARABIC_TENS.split(), 2)
    for form in (word, re.sub("ون$", "ين", word))
}
_ONES = {word: i for i, word in enumerate(_SMALL.split(), 1)} | _table(_ARABIC)
_ENGLISH_ONES = {word: i for i, word in enumerate(_SMALL.split()[:9], 1)}
_ARABIC_ONES = _table({n: words for n, words in _ARABIC.items() if n < 10})
_TEENS = _ARABIC_ONES | _table(_BEFORE_TEN)
_TEN = frozenset(map(plain, _ARABIC[10].split()))
_WORDS = (
    _ONES
    | _TENS_OF
    | _ARABIC_TENS_OF
    | {"dozen": 12, "couple": 2}
    | _table(_ARABIC_NOUNS)
    | {prefix + word: n for word, n in _table(_ARABIC_NOUNS).items() for prefix in "بل"}
)
_WORDS |= {f"{tens}-{one}": a + b for tens, a in _TENS_OF.items() for one, b in _ENGLISH_ONES.items()}


def candidates(units: Sequence[str]) -> list[Candidate]:
    """Every time that these units (`units.split`) may name: ALWAYS first, then as they stand.

    Which readings a number has follows from its form alone: a date needs a month's name beside it, or is
    written 2036-05-03; the others always are.
    """
    told = [plain(unit) for unit in units]
    found = [Candidate(-1, reading) for reading in ALWAYS]
    numbers = list(_numbers(units, told))
    runs = {number.first: number for number in numbers if number.digits}
    for number in numbers:
        found += [Candidate(number.last, reading, (number.n,)) for reading in OF_NUMBERS]
        if number.digits:
            found += dict.fromkeys(_dates(number, told, runs))
    return found


def _numbers(units: Sequence[str], told: Sequence[str]) -> Iterator[_Number]:
    at = 0
    while at < len(units):
        first = at
        while at < len(units) and units[at].isdecimal():
            at += 1
        if at > first:
            digits = "".join(units[first:at])
            if len(digits) <= MOST_DIGITS:
                yield _Number(first, at - 1, int(digits), len(digits))
            continue
        said = _in_words(told, at)
        if said:
            n, length = said
            yield _Number(at, at + length - 1, n, 0)
        at += said[1] if said else 1


def _in_words(told: Sequence[str], at: int) -> tuple[int, int] | None:
    """The number that is said from unit `at` on, and in how many units; None where none begins."""
    word, after = told[at], told[at + 1] if at + 1 < len(told) else ""
    if word in ("a", "an") and after in _ONE_OF:
        return 1, 1
    if after in _TEN and word in _TEENS:
        return 10 + _TEENS[word], 2
    if word in _TENS_OF and after in _ENGLISH_ONES:
        return _TENS_OF[word] + _ENGLISH_ONES[after], 2
    if word in _ARABIC_ONES and after[:1] == "و" and after[1:] in _ARABIC_TENS_OF:
        return _ARABIC_ONES[word] + _ARABIC_TENS_OF[after[1:]], 2
    return (_WORDS[word], 1) if word in _WORDS else None


def _dates(number: _Number, told: Sequence[str], runs: Mapping[int, _Number]) -> Iterator[Candidate]:
    """The dates that this number begins or, behind a month, is the day of."""
    if number.digits == 4:
        yield from _iso(number, told, runs)
    before = _month(told, number.first - 1) or (
        _month(told, number.first - 2) if _at(told, number.first - 1) == "the" else 0
    )
    if before and number.digits in (5, 6):  # "May 3 2036": single digits, so nothing parts day and year
        day, year = divmod(number.n, 10_000)
        yield Candidate(number.last, "date", (year, before, day))
    if number.digits > 2:
        return
    behind = number.last + (_at(told, number.last + 1) in _ENDINGS)
    if before:
        yield _with_year(before, number.n, behind, told, runs)
    place = behind + 1 + (_at(told, behind + 1) in _OF)
    if month := _month(told, place):
        yield _with_year(month, number.n, place, told, runs)


def _iso(year: _Number, told: Sequence[str], runs: Mapping[int, _Number]) -> Iterator[Candidate]:
    """2036-05-03."""
    month = runs.get(year.last + 2)
    day = runs.get(month.last + 2) if month else None
    if month and day and month.digits <= 2 and day.digits <= 2:
        marks = {told[year.last + 1], told[month.last + 1]}
        if len(marks) == 1 and marks <= _HYPHENS:
            yield Candidate(day.last, "date", (year.n, month.n, day.n))


def _with_year(
    month: int, day: int, last: int, told: Sequence[str], runs: Mapping[int, _Number]
) -> Candidate:
    """The date that ends at unit `last`, with the year if one follows."""
    year = runs.get(last + 1 + (_at(told, last + 1) in _COMMAS))
    if year and year.digits == 4:
        return Candidate(year.last, "date", (year.n, month, day))
    return Candidate(last, "date", (0, month, day))


def _at(told: Sequence[str], place: int) -> str:
    return told[place] if 0 <= place < len(told) else ""


def _month(told: Sequence[str], place: int) -> int:
    return _MONTHS.get(_at(told, place), 0)
