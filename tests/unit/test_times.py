"""Times asked about: each question about a time has a candidate that means it; clocks go by the calendar."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronos.console import ChronosError
from chronos.data.cairo.grammar import ask_what
from chronos.data.cairo.life import Life
from chronos.data.cairo.spans import day_of, day_span
from chronos.tokenization import hf_json
from chronos.tokenization.clock import DAY, HOUR, MARKS, Clock, day_time, life_origin, marks
from chronos.tokenization.factory import train_tokenizer
from chronos.tokenization.times import ALWAYS, OF_NUMBERS, READINGS, Candidate, candidates
from chronos.tokenization.units import split
from chronos.tokenization.words import WordTokenizer

NOW = day_time("2036-05-14") + 15 * HOUR + 7  # a Wednesday, past three
CLOCK = Clock(NOW, day_time("2036-01-01"))


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer("words", ["Where am I?"])


def meant(text, reading):
    """The values of all candidates of one reading, but for those that are always there."""
    return [c.value for c in candidates(split(text)) if c.reading == reading]


def days(value):
    """Microseconds as an ISO date, if they are the last of a day."""
    day, rest = divmod(value + 1, DAY)
    assert rest == 0
    return (date(1970, 1, 1) + timedelta(days=day - 1)).isoformat()


# ---- lives -------------------------------------------------------------------------------------------------


def asked_at(language, which, least=500):
    """Questions about a time, each with its life, of lives that begin early and late."""
    found, seed = [], 0
    while len(found) < least:
        seed += 1
        life = Life(1500, seed, language=language, templates=which, first=1 if seed % 2 else 40_000)
        steps = (life.end, life.end - 800 - seed)  # not always at the end of a day
        asked = [q for at in steps for q in life.questions(400, at=at) if q.kind == "at"]
        found += [(life, question) for question in asked]
    return found


def steps_of(asked, life, t):
    """The steps that a question names, seen from step t: by the generator's own arithmetic."""
    if asked.how == "week":
        return life.calendar.week_before(t)
    if asked.how in ("yesterday", "days"):
        return day_span(day_of(t) - (asked.number or 1))
    if asked.how == "date":
        day, month, year = asked.on
        known = life.calendar.without_year(day, month, life.first, t)
        return day_span(life.calendar.day(date(year, month, day)) if year else known[0])
    step = asked.number if asked.how == "step" else t - asked.number
    return step, step


@pytest.mark.parametrize("which", ["seen", "held-out"])
@pytest.mark.parametrize("language", ["en", "ar", "mixed"])
def test_every_question_about_a_time_has_the_candidate_that_means_it(language, which):
    readings = set()
    for life, question in asked_at(language, which):
        day = life.calendar.date(life.end).isoformat()
        origin = life_origin(day, life.end)
        clock = Clock(origin + (question.t - 1) * HOUR, origin)
        asked = ask_what(question.question)
        first, last = steps_of(asked, life, question.t)
        untils = [
            clock.until(c) for c in candidates(split(question.question)) if c.reading == asked.how
        ]  # a model must choose the reading, and the number, among few
        steps = [(until - origin) // HOUR + 1 for until in untils if until is not None]
        right = [step for step in steps if first <= step <= last]
        assert right, question.question
        assert said_at(life, question, right[0]) == question.evidence[0] or first < last, question
        readings.add(asked.how)
    assert readings == {"step", "date", "hours", "days", "yesterday", "week"}


def said_at(life, question, step):
    """When the attribute was last spoken of up to a step, for the attribute that the evidence is about."""
    logs = life.record(question.t).logs.values()
    log = next(log for log in logs if question.evidence[0] in log.times)
    place, wanted = log.last(step), log.times.index(question.evidence[0])
    assert log.turned(place) == log.turned(wanted) and log.values[place] == log.values[wanted]
    return log.times[place]


# ---- candidates --------------------------------------------------------------------------------------------


def test_a_number_is_read_in_every_way_whatever_stands_around_it():
    expected = [Candidate(-1, reading) for reading in ALWAYS]
    assert candidates([]) == candidates(split("Where am I now?")) == expected
    for text in ("at time 4060", "4060 hours ago", "my code 4060", "in hour 4060 of 3 lives"):
        found = candidates(split(text))[len(ALWAYS) :][: len(OF_NUMBERS)]
        last = split(text).index("6") + 1
        assert found == [Candidate(last, reading, (4060,)) for reading in OF_NUMBERS]
    assert meant("of 3 lives, 4060", "step") == [(3,), (4060,)]
    assert {*ALWAYS, *OF_NUMBERS, "date"} == set(READINGS)


NUMBERS = {
    "Twelve days": 12,
    "thirteen": 13,
    "TWENTY-FIVE hours": 25,
    "thirty five": 35,
    "ninety": 90,
    "a dozen": 12,
    "a couple of days": 2,
    "an hour ago": 1,
    "a week": 1,
    "٤٠٦٠": 4060,
    "۴۰": 40,
    "ثلاثة أيام": 3,
    "ثلاث ساعات": 3,
    "عَشَرَة أيام": 10,
    "أحد عشر": 11,
    "احدي عشرة": 11,
    "اثنتي عشرة": 12,
    "خمسة عشر": 15,
    "خمس وعشرين": 25,
    "تسعة وتسعون": 99,
    "ثلاثون": 30,
    "قبل ساعة": 1,
    "ساعتين": 2,
    "يومًا": 1,
    "بيومين": 2,
    "اسبوعين": 2,
    "أُسْبُوع": 1,
}


@pytest.mark.parametrize("text", NUMBERS)
def test_numbers_in_words_and_other_digits(text):
    assert meant(text, "hours") == [(NUMBERS[text],)]


def test_what_is_no_number():
    for text in ("a cup", "what day", "½ or ²", "9" * 13, "", "الأيام"):
        assert meant(text, "step") == [], text
    assert meant("9" * 12, "step") == [(10**12 - 1,)]


DATES = {
    "on 3 May 2036?": [(2036, 5, 3)],
    "on 3 May": [(0, 5, 3)],
    "3rd of May, 2036": [(2036, 5, 3)],
    "May 3rd, 2036": [(2036, 5, 3)],
    "May the 3rd": [(0, 5, 3)],
    "May 3 2036": [(2036, 5, 3)],
    "MAY 13 2036": [(2036, 5, 13)],
    "Sept 7": [(0, 9, 7)],
    "2036-05-03": [(2036, 5, 3)],
    "2036/5/3": [(2036, 5, 3)],
    "يوم 3 مايو 2036": [(2036, 5, 3)],
    "٣ من إبريل": [(0, 4, 3)],
    "3 May or 4 June 2036": [(0, 5, 3), (2036, 6, 4)],
    "3 May 4": [(0, 5, 3), (0, 5, 4)],
    "31 February 2036": [(2036, 2, 31)],
    "at time 4060": [],
    "three May": [],
    "300 May": [],
    "2036-05/03": [],
    "May": [],
}


@pytest.mark.parametrize("text", DATES)
def test_a_date_needs_a_month_beside_its_number(text):
    assert meant(text, "date") == DATES[text]


def test_a_candidate_stands_where_its_number_or_date_ends():
    units = split("On 13 May 2036, twenty five hours ago")
    found = {(c.reading, c.value): c.at for c in candidates(units)}
    assert found["step", (13,)] == 2 and found["date", (2036, 5, 13)] == 7 == found["step", (2036,)]
    assert units[found["hours", (25,)]] == "five"


@given(
    st.text(st.sampled_from("0123456789٣ -/,.a\u0301 mayMAY3 of the rd مايو واحد عشر و hour"), max_size=60)
)
def test_any_text_has_candidates_that_a_clock_takes(text):
    units = split(text)
    for candidate in candidates(units):
        until = CLOCK.until(candidate)
        assert -1 <= candidate.at < len(units)
        assert until is None or CLOCK.span(candidate)[0] <= until <= NOW


# ---- clocks ------------------------------------------------------------------------------------------------


def until(reading, *value, clock=CLOCK):
    return clock.until(Candidate(0, reading, value))


def test_what_is_meant_ends_with_its_hour_or_day():
    assert until("now") == NOW
    assert until("hours", 0) == NOW and until("hours", 5) == NOW - 7 - 4 * HOUR - 1
    assert until("step", 1) == CLOCK.origin + HOUR - 1
    assert [days(until(*asked)) for asked in (("yesterday",), ("days", 1), ("days", 14), ("weeks", 2))] == [
        "2036-05-13",
        "2036-05-13",
        "2036-04-30",
        "2036-04-30",
    ]
    assert days(until("week")) == "2036-05-11"  # a Sunday
    assert CLOCK.span(Candidate(-1, "week"))[0] == day_time("2036-05-05")
    for now, sunday in (
        ("2036-05-12", "2036-05-11"),
        ("2036-05-11", "2036-05-04"),
        ("1969-12-31", "1969-12-28"),
    ):
        assert days(until("week", clock=Clock(day_time(now)))) == sunday


def test_dates_with_and_without_a_year():
    assert days(until("date", 2036, 5, 3)) == days(until("date", 0, 5, 3)) == "2036-05-03"
    assert days(until("date", 0, 5, 15)) == "2035-05-15"
    assert until("date", 0, 5, 14) == NOW == until("date", 2036, 5, 14)  # today is not over
    assert days(until("date", 0, 2, 29)) == "2036-02-29"
    assert days(until("date", 0, 2, 29, clock=Clock(day_time("1903-01-01")))) == "1896-02-29"
    assert until("date", 0, 1, 2, clock=Clock(day_time("0001-01-01"))) is None


def test_what_is_no_time_up_to_now_is_none():
    first = (NOW - CLOCK.origin) // HOUR + 1
    assert until("step", first) == NOW and until("step", first + 1) is None and until("step", 0) is None
    assert until("step", 1, clock=Clock(NOW)) is None
    for impossible in ((2036, 5, 15), (2036, 2, 30), (0, 2, 30), (0, 13, 1), (2035, 5, 0)):
        assert until("date", *impossible) is None
    assert until("weeks", 10**12) is until("days", 800_000) is None  # before the year 1
    with pytest.raises(ChronosError, match="no such reading"):
        until("years", 3)


def test_clocks_that_cannot_be():
    with pytest.raises(ChronosError, match="years 1 to 9999"):
        Clock(day_time("9999-12-31") + DAY)
    Clock(day_time("9999-12-31") + DAY - 1), Clock(day_time("0001-01-01"))
    with pytest.raises(ChronosError, match="a microsecond or more"):
        Clock(NOW, 0, 0)
    with pytest.raises(ChronosError, match="counts no steps"):
        Clock(NOW).time(3)
    with pytest.raises(ChronosError, match="no such date"):
        day_time("3 May")


def test_where_a_life_begins():
    life = Life(60, 5, first=30)
    dated = [(event.t, event.date) for event in life.events() if event.date]
    assert {life_origin(day, t) for t, day in dated} == {day_time(life.calendar.start.isoformat())}
    assert life_origin("", 100) == 0
    assert CLOCK.time(1) == CLOCK.origin and Clock(NOW, 0, 1000).time(4) == 3000


# ---- marks -------------------------------------------------------------------------------------------------


def told(row, tokenizer):
    return [tokenizer.decode([i]) if i >= 0 else "" for i in row.tolist()]


def test_marks_tell_the_step_and_the_date(tokenizer):
    row = marks(CLOCK.time(4060), CLOCK, tokenizer)
    assert row.shape == (MARKS,) and row.dtype == np.int64
    expected = [*"4060", "", "", "", "1", "8", "June", *"2036"]
    assert told(row, tokenizer) == expected
    alone = marks(np.array([[0], [-1]]), Clock(NOW), tokenizer)
    assert told(alone[0, 0], tokenizer) == [*[""] * 7, "1", "", "January", *"1970"]
    assert told(alone[1, 0], tokenizer) == [*[""] * 7, "3", "1", "December", *"1969"]


def test_marks_of_many_times_are_those_of_the_calendar(tokenizer):
    rng = np.random.default_rng(3)
    times = rng.integers(day_time("0900-01-01"), day_time("9999-12-31"), 500)
    for time, row in zip(times.tolist(), marks(times, Clock(NOW), tokenizer), strict=True):
        when = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=time)
        expected = [*str(when.day).ljust(2), when.strftime("%B"), *str(when.year).ljust(4)]
        assert told(row[7:], tokenizer) == [slot.strip() for slot in expected]


def test_marks_need_digits_and_months():
    lacking = WordTokenizer(hf_json.words(["a"], {"a": "a"}))
    with pytest.raises(ChronosError, match="lacks a digit or a month"):
        marks(NOW, CLOCK, lacking)


def test_steps_that_have_no_digits(tokenizer):
    clock = Clock(NOW, 0)
    steps = [-5, 0, 1, 9, 10, 999_999, 9_999_999, 10_000_000]
    rows = marks(np.array([clock.time(n) for n in steps]), clock, tokenizer)
    shown = ["".join(told(row[:7], tokenizer)) for row in rows]
    assert shown == ["", "", "1", "9", "10", "999999", "9999999", ""]
    between = marks(np.array([clock.time(9) - 1, clock.time(9), clock.time(10) - 1]), clock, tokenizer)
    assert ["".join(told(row[:7], tokenizer)) for row in between] == ["8", "9", "9"]
