"""Questions about a life: one right answer each, which the sentences alone give, and what it rests on."""

from collections import Counter
from datetime import date

import pytest

from chronos.console import ChronosError
from chronos.data.cairo.asking import KINDS, NAMING, default_count
from chronos.data.cairo.book import UNKNOWN, pool
from chronos.data.cairo.grammar import ask_what, understand
from chronos.data.cairo.life import COUNTS, RATES, Life
from chronos.data.cairo.reader import Reader
from chronos.data.cairo.spans import Calendar, day_of, day_span, days_value, hours_value
from chronos.data.cairo.values import language_of
from chronos.data.lives import Event, is_right, majority

OPTIONS = [
    {"language": "en"},
    {"language": "ar", "changes": "shown"},
    {"language": "mixed"},
    {"language": "mixed", "templates": "held-out", "values": "held-out"},
    {"language": "en", "templates": "held-out", "changes": "shown"},
    {"language": "ar", "values": "held-out"},
    {"language": "mixed", "split": "train", "joins": False},
]


def read(life: Life) -> Reader:
    reader = Reader()
    for event in life.events():
        reader.read(event)
    return reader


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("seed", [1, 2])
def test_a_reader_of_the_text_alone_is_always_right(options, seed):
    life = Life(10_000 if seed == 1 else 2_000, seed, **options)
    reader = read(life)
    asked = life.questions()
    assert len(asked) >= 200
    assert [(q, reader.answer(q.question)) for q in asked if not is_right(q, reader.answer(q.question))] == []


@pytest.mark.parametrize("language", ["en", "mixed"])
def test_it_is_right_in_many_short_lives_and_in_their_middle(language):
    for seed in range(60):
        life = Life(96, seed, split="train", language=language, first=1 + 977 * (seed % 3))
        reader = read(life)
        for at in (None, life.first + 50):
            for q in life.questions(24, at=at):
                assert is_right(q, reader.answer(q.question, q.t)), q


def test_kinds_take_turns_and_no_answer_is_common():
    for language in ("en", "ar", "mixed"):
        asked = Life(10_000, 3, language=language).questions()
        assert set(Counter(q.kind for q in asked)) == set(KINDS)
        shares = majority(asked)
        assert shares["all"]["share"] < 0.2
        assert all(shares[kind]["share"] < 0.3 for kind in KINDS if kind != "unknown"), shares
        assert max(Counter(q.kind for q in asked).values()) <= 36
        assert len({q.question for q in asked}) == len(asked)
        unsure = sum(q.answer in UNKNOWN.forms("en") + UNKNOWN.forms("ar") for q in asked)
        assert unsure == sum(q.kind == "unknown" for q in asked) < 0.2 * len(asked)


def test_the_evidence_says_the_answer_and_age_and_overwrites_follow():
    life = Life(10_000, 4)
    events = {event.t: event for event in life.events()}
    turns = {name: [log.times[i] for i in log.turns] for name, log in life.record(life.end).logs.items()}
    for q in life.questions():
        assert all(1 <= t <= q.t == 10_000 for t in q.evidence)
        assert q.age == (q.t - q.evidence[-1] if q.evidence else 0)
        if q.kind == "unknown":
            assert (q.evidence, q.overwrites) == ((), 0)
            continue
        told = understand(events[q.evidence[-1]].text)
        if q.kind != "when":
            assert told.value.en == q.answer
        elif "at time" in q.answer:
            assert q.answer == f"at time {q.evidence[0]}" and q.accept == (str(q.evidence[0]),)
        else:
            assert q.answer.split()[-1] == events[q.evidence[0]].date[:4]
        if q.kind in ("now", "at", "before", "join"):
            assert q.overwrites == sum(q.evidence[-1] < t for t in turns[told.name])
        if q.kind in ("before", "join"):
            assert len(q.evidence) == 2 and q.evidence[0] > q.evidence[1]


def test_unknown_asks_only_for_what_was_never_said():
    lacking = 0
    for seed in range(30):
        life = Life(64, seed, split="train")
        said = {(s.name, s.key) for e in life.events() if (s := understand(e.text))}
        for q in life.questions(40):
            asked = ask_what(q.question)
            if q.kind == "unknown":
                assert (asked.name, asked.key) not in said
                lacking += asked.form == "now"
    assert lacking  # attributes that a life lacks are among them


def test_accept_gives_the_other_language_when_they_are_mixed():
    asked = Life(3000, 5, language="mixed").questions()
    names = {value.en: value.ar for value in pool("name", "seen")} | {
        v.ar: v.en for v in pool("name", "seen")
    }
    who = [q for q in asked if q.kind == "who"]
    assert who and all(q.accept == (names[q.answer],) for q in who)
    assert {q.question[-1] for q in asked} == {"?", "؟"}
    assert all(q.answer.isascii() == (q.question[-1] == "?") or q.answer.isdigit() for q in asked)
    assert all(q.accept == () for q in Life(3000, 5).questions() if q.kind != "when")


def test_names_never_seen_are_asked_for_in_the_script_that_told_them():
    def translated(values):
        life = Life(2_000, 5, language="mixed", values=values)
        told = {event.t: event.text for event in life.events()}
        asked = [q for q in life.questions() if q.kind in NAMING and q.evidence]
        return [q for q in asked if language_of(q.question) != language_of(told[q.evidence[0]])]

    assert len(translated("seen")) > 20
    assert translated("held-out") == []


def test_a_change_is_named_without_last_only_where_there_was_one():
    """ "Before I moved to Maadi": one move there, and no beginning there either."""
    once = 0
    for seed in range(40):
        life = Life(128, seed, split="train")
        for q in life.questions(60):
            asked = ask_what(q.question)
            if asked.form == "before_to":
                once += 1
                log, values = life.record(life.end).logs[asked.name], life.values[asked.name]
                assert [values[log.values[i]] for i in log.turns].count(asked.value) == 1
                assert values[log.values[0]] is not asked.value
    assert once > 40


def test_a_step_is_accepted_as_bare_digits():
    asked = [q for q in Life(3000, 6, language="mixed").questions() if q.kind == "when"]
    steps = [q for q in asked if q.answer.startswith(("at time", "عند الوقت"))]
    assert steps and all(q.answer.split()[-1] in q.accept and len(q.accept) == 2 for q in steps)


def test_joins_can_be_left_out():
    kinds = {q.kind for q in Life(2000, 1, joins=False).questions()}
    assert kinds == set(KINDS) - {"join"}


def test_numbers_of_questions():
    assert [default_count(n) for n in (1, 64, 400, 1000, 10**6)] == [8, 16, 100, 240, 240]
    assert len(Life(5000, 1).questions(600)) == 600
    assert Life(5, 1).questions(0) == []
    few = Life(3, 1).questions(500)  # a short life runs out of questions, and is not asked "unknown" instead
    assert len(few) < 500 and sum(q.kind == "unknown" for q in few) <= len(few) / len(KINDS) + 1
    with pytest.raises(ChronosError, match="no such step"):
        Life(5, 1).questions(3, at=6)
    with pytest.raises(ChronosError, match="negative"):
        Life(5, 1).questions(-1)


# ---- the reader on a life written by hand ------------------------------------------------------------------

HAND = """
I am in Maadi right now.
Omar moved to Giza last year.
My favourite drink is mint tea.
I moved to Dokki today.
I hid the key under the blue rug.
I used to live in Shubra as a child.
I left Dokki and went to live in Maadi.
Layla told me that the museum will close in spring.
I switched from mint tea to cola.
I am still in Maadi this morning.
I feel calm.
My new home is Giza.
"""


@pytest.fixture(scope="module")
def hand() -> Reader:
    reader = Reader()
    told = [line for line in HAND.splitlines() if line]
    for i, text in enumerate(told):  # one sentence every twelve hours
        t = 1 + 12 * i
        day = date.fromordinal(date(2031, 5, 1).toordinal() + (t - 1) // 24)
        reader.read(Event(t, text, day.isoformat()))
    return reader


@pytest.mark.parametrize(
    "question, answer",
    [
        ("Where am I now?", "Giza"),
        ("Where was I at time 36?", "Maadi"),
        ("At time 37, where was I?", "Dokki"),
        ("Where was I on 5 May 2031?", "Maadi"),
        ("What was my favourite drink all day on 3 May?", "mint tea"),
        ("Where was I yesterday?", "Maadi"),
        ("Where was I on 2 May 2031?", "I don't know"),  # in Maadi, then in Dokki
        ("What was my favourite drink three days ago?", "mint tea"),
        ("What was my favourite drink one hour ago?", "cola"),
        ("Where was I before my last move?", "Maadi"),
        ("Where was I before I moved to Dokki?", "Maadi"),
        ("Where was I before I last moved to Maadi?", "Dokki"),
        ("When did I last move?", "at time 133"),
        ("On which day did my favourite drink last change?", "5 May 2031"),
        ("Where did I hide the key?", "under the blue rug"),
        ("Who told me that the museum will close in spring?", "Layla"),
        ("Where was I when I hid the key?", "Dokki"),
        ("What time was it when I hid the key?", "at time 49"),
        ("What day was it when I heard the rumour about the museum?", "4 May 2031"),
        ("Where did I hide the ring?", "I don't know"),
        ("What is my favourite food?", "I don't know"),
        ("What is the meaning of life?", "I don't know"),
        ("Where was I on 31 February 2031?", "I don't know"),
        ("Where was I on 29 February?", "I don't know"),
        ("Where was I on 3 Brumaire?", "I don't know"),
        ("Where was I at time 99999999999999999999?", "I don't know"),
        ("Where was I at time ٣٦?", "I don't know"),
        ("Where was I minus three days ago?", "I don't know"),
        ("أين أنا الآن؟", "الجيزة"),
        ("أين خبأت المفتاح؟", "تحت السجادة الزرقاء"),
        ("ما معنى الحياة؟", "لا أعرف"),
    ],
)
def test_the_reader_by_hand(hand, question, answer):
    assert hand.answer(question) == answer


def test_a_window_forgets_what_lies_before_it():
    events = [Event(t, text, "2031-05-01") for t, text in enumerate(HAND.strip().splitlines(), 1)]
    near, nothing = Reader(window=4), Reader(window=0)
    for event in events:
        near.read(event)
        nothing.read(event)
    assert near.answer("Where am I now?") == "Giza"
    assert near.answer("What is my favourite drink?") == "cola"
    assert near.answer("Where was I before my last move?") == "Maadi"
    assert near.answer("Where did I hide the key?") == near.answer("When did my favourite drink last change?")
    assert nothing.answer("Where am I now?") == "I don't know"


def test_who_tells_the_life_is_learned_from_the_forms():
    reader = Reader()
    reader.read(Event(1, "أنا اليوم أيضا هادئة.", "2031-05-01"))
    assert reader.answer("ما هو مزاجي الحالي؟") == "هادئة"
    reader.read(Event(2, "أنا اليوم أيضا سعيدة.", "2031-05-01"))
    assert reader.answer("ما هو مزاجي الحالي؟") == "سعيدة"


# ---- the calendar ------------------------------------------------------------------------------------------


def test_days_and_weeks():
    calendar = Calendar(date(2031, 5, 1))  # a Thursday
    assert (day_of(24), day_of(25), day_span(1)) == (0, 1, (25, 48))
    t = day_span(14)[0]  # Thursday 15 May: last week is from Monday 5 May to yesterday
    assert calendar.week_before(t) == (day_span(4)[0], day_span(13)[1])
    assert calendar.without_year(2, 5, 1, 24 * 400) == [1, 367]
    assert calendar.without_year(29, 2, 1, 24 * 900) == [day_of(1) + 304]


def test_hours_and_days_in_words():
    said = [(hours_value(n).en, hours_value(n).ar) for n in (1, 2, 5, 25)]
    assert said == [
        ("one hour", "ساعة"),
        ("two hours", "ساعتين"),
        ("five hours", "5 ساعات"),
        ("25 hours", "25 ساعة"),
    ]
    assert [days_value(n).ar for n in (2, 10, 11)] == ["يومين", "10 أيام", "11 يوما"]


def test_counts_are_those_promised():
    assert COUNTS == {"location": 6, "drink": 5, "mood": 6, "food": 8, "companion": 10}
    assert RATES == {"location": 10, "drink": 1, "mood": 5, "food": 2, "companion": 3}
