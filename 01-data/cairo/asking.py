"""Questions about a life, each with one right answer that its sentences give, and what that rests on.

Eight kinds in equal shares. What has two right answers, or none that was told, is not asked, except for
"unknown", which asks for keys and attributes that the life never speaks of. See `questions`.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from chronos.console import ChronosError
from chronos.data.cairo.book import KEYS, POOLS, UNKNOWN, capital, pool
from chronos.data.cairo.record import Fact
from chronos.data.cairo.spans import (
    MOST_DAYS,
    MOST_HOURS,
    date_value,
    day_of,
    day_span,
    days_value,
    hours_value,
    step_value,
)
from chronos.data.cairo.values import Value, number
from chronos.data.dice import Dice
from chronos.data.lives import Question

if TYPE_CHECKING:  # the life asks this module, which needs its type alone
    from chronos.data.cairo.life import Life

KINDS = ("now", "at", "before", "when", "oneoff", "who", "unknown", "join")
NAMING = frozenset(("oneoff", "who", "join", "when", "before"))  # kinds of questions that may name something
# How a time is named, as often as it stands here.
_NAMED = ("step", "step", "step", "date", "date", "hours", "hours", "days", "yesterday", "week")
LONG = 1000  # a life of so many events or more lacks no attribute
_TRIES = 25

Ask = Question | None
Span = tuple[int, int, Mapping[str, Value]]


def default_count(events: int) -> int:
    """How many questions a life is asked: 240 of a long one, fewer of a short one."""
    return 240 if events >= LONG else max(len(KINDS), min(240, events // 4))


def questions(life: "Life", n: int | None = None, at: int | None = None) -> list[Question]:
    """n questions asked at step `at` (default: the life's end) about what was said up to then.

    The kinds take turns and no question is asked twice; a short life may run out of questions before n.
    A longer list begins like a shorter. Raises ChronosError for a step that is not of the life.
    """
    at = life.end if at is None else at
    n = default_count(life.options.events) if n is None else n
    if n < 0:
        raise ChronosError("the number of questions cannot be negative", got=n)
    if not life.first <= at <= life.end:
        raise ChronosError("no such step in this life", expected=f"{life.first} to {life.end}", got=at)
    asker = _Asker(life, at)
    kinds = KINDS if life.options.joins else KINDS[:-1]
    asked: dict[str, Question] = {}
    given: Counter[str] = Counter()  # by kind, and by kind and answer
    out_of = turn = 0  # out_of: kinds in a row that had nothing new to ask
    while len(asked) < n and out_of < len(kinds):
        kind = kinds[turn % len(kinds)]
        turn += 1
        if kind == "unknown" and given[kind] * len(kinds) > len(asked):
            found = None  # it could go on for ever, and would be most of what a short life is asked
        else:
            found = asker.new(kind, asked, given)
        out_of = 0 if found else out_of + 1
        if found:
            asked[found.question] = found
            given.update((kind, f"{kind} {found.answer}"))
    return list(asked.values())


class _Asker:
    """Draws questions about one record of a life, as of one step."""

    def __init__(self, life: "Life", at: int):
        self.life, self.at = life, at
        self.dice = Dice(*life.key, 3, at)
        record = life.record(at)
        self.logs = {name: log for name, log in record.logs.items() if log.last(at) >= 0}
        self.names = list(self.logs)
        self.facts = [fact for fact in record.facts if fact.t <= at]
        self.told = [fact for fact in self.facts if fact.kind != "said"]
        self.rumours = [fact for fact in self.facts if fact.kind == "said"]
        self.ways: dict[str, Callable[[], Ask]] = {
            "now": self._now,
            "at": self._at,
            "before": self._before,
            "when": self._when,
            "oneoff": lambda: self._fact("oneoff", self.told),
            "who": lambda: self._fact("who", self.rumours),
            "unknown": self._unknown,
            "join": self._join,
        }

    def new(self, kind: str, asked: Mapping[str, Question], given: Mapping[str, int]) -> Ask:
        """A question of a kind that was not asked yet; None where a number of draws gave none.

        An answer comes up in a quarter of its kind's questions at most, lest guessing it pay.
        """
        most = max(2, -(-(given[kind] + 1) // 4)) if kind != "unknown" else None
        for _ in range(_TRIES):
            self.language = self.dice.pick(self.life.languages)
            self.book = self.life.books[self.language]
            found = self.ways[kind]()
            if found and self._foreign(found):
                continue
            if found and found.question not in asked and (not most or given[f"{kind} {found.answer}"] < most):
                return found
        return None

    def _foreign(self, question: Question) -> bool:
        """Whether it names in one script what was told in the other and is in no vocabulary: nobody can
        translate a name that was never seen."""
        unseen = self.life.options.values == "held-out" and len(self.life.languages) > 1
        if not unseen or question.kind not in NAMING or not question.evidence:
            return False
        return self.life.told_in(question.evidence[0]) != self.language

    # ---- one kind each -------------------------------------------------------------------------------------

    def _now(self) -> Ask:
        if not self.names:
            return None
        name = self.dice.pick(self.names)
        log = self.logs[name]
        last = log.last(self.at)
        text = self._say(("now", name))
        return self._done("now", text, self._value(name, last), (log.times[last],))

    def _at(self) -> Ask:
        how = self.dice.pick(_NAMED)
        for name in self.dice.sample(self.names, len(self.names)):
            span = self._span(how)
            if span and (place := self._constant(name, span[0], span[1])) >= 0:
                log = self.logs[name]
                text = self._compose(("past", name), self._say(("phrase", how), span[2]))
                later = log.turned(log.last(self.at)) - log.turned(place)
                return self._done("at", text, self._value(name, place), (log.times[place],), later)
        return None

    def _span(self, how: str) -> Span | None:
        """Steps first … last that a way of naming a time means, and its slots; None if before the life."""
        life, at, dice = self.life, self.at, self.dice
        today, day = day_of(at), 0
        if how == "step":
            t = dice.between(life.first, at)
            return t, t, {"T": number(t)}
        if how == "hours":
            n = dice.between(1, MOST_HOURS)
            return at - n, at - n, {"H": hours_value(n)}
        if how == "week":
            return *life.calendar.week_before(at), {}
        if how == "yesterday":
            return *day_span(today - 1), {}
        if how == "days":
            n = dice.between(2, MOST_DAYS)
            return *day_span(today - n), {"Y": days_value(n)}
        day = dice.between(day_of(life.first), today)
        when = life.calendar.date(day_span(day)[0])
        alone = len(life.calendar.without_year(when.day, when.month, life.first, at)) == 1
        return *day_span(day), {"D": date_value(when, year=not alone or dice.chance(50))}

    def _constant(self, name: str, first: int, last: int) -> int:
        """The place of the statement that holds during all of first … last; −1 where that is not known."""
        log = self.logs[name]
        if last > self.at or (begin := log.last(first)) < 0:
            return -1
        end = log.last(last)
        return end if log.turned(end) == log.turned(begin) else -1

    def _before(self) -> Ask:
        name = self.dice.pick([name for name, log in self.logs.items() if self._turns(name)] or [""])
        if not name:
            return None
        log, turns = self.logs[name], self._turns(name)
        if self.dice.chance(40):
            turn, key, slots = turns - 1, "before_last", {}
        else:
            value = log.values[log.turns[self.dice.below(turns)]]
            same = self._turns_to(name, value, turns)
            once = len(same) == 1 and log.values[0] != value
            key = "before_to" if once and self.dice.chance(50) else "before_to_last"
            turn, slots = same[0], {"v": self.life.values[name][value]}
        place = log.turns[turn]
        text = self._compose(("past", name), self._say((key, name), slots))
        evidence = (log.times[place], log.times[place - 1])
        return self._done("before", text, self._value(name, place - 1), evidence, turns - turn)

    def _turns(self, name: str) -> int:
        log = self.logs[name]
        return log.turned(log.last(self.at))

    def _turns_to(self, name: str, value: int, turns: int) -> list[int]:
        """The last turn to a value, and the one before it if there is one."""
        log, found = self.logs[name], []
        for turn in range(turns - 1, -1, -1):
            if log.values[log.turns[turn]] == value:
                found.append(turn)
                if len(found) == 2:
                    break
        return found

    def _when(self) -> Ask:
        wording = self.dice.pick(("step", "date"))
        name = self.dice.pick([name for name in self.names if self._turns(name)] or [""])
        if self.facts and (not name or self.dice.chance(60)):
            fact = self.dice.pick(self.facts)
            t, key, core = fact.t, "fact_when", self._say(("clause", fact.kind), fact.slots())
        elif name:
            log = self.logs[name]
            t, key, core = log.times[log.turns[self._turns(name) - 1]], "when", self._say(("changed", name))
        else:
            return None
        text = self._say((key, wording), {"q": Value(core, core)})
        answer = step_value(t) if wording == "step" else date_value(self.life.calendar.date(t))
        also = (str(t),) if wording == "step" else ()
        return self._done("when", text, answer, (t,), also=also)

    def _fact(self, kind: str, facts: list[Fact]) -> Ask:
        if not facts:
            return None
        fact = self.dice.pick(facts)
        return self._done(kind, self._say(("ask", fact.kind), fact.slots()), fact.answer, (fact.t,))

    def _unknown(self) -> Ask:
        life, dice = self.life, self.dice
        lacking = [name for name in POOLS if name not in life.present]
        if lacking and dice.chance(30):
            return self._done("unknown", self._say(("now", lacking[0])), UNKNOWN, ())
        kind = dice.pick(tuple(KEYS))
        known = {id(fact.key) for fact in life.planned if fact.kind == kind}
        key = dice.pick(pool(f"key:{kind}", life.options.values))
        if life.options.kinds is not None and dice.chance(60):  # somebody of whom something else is known
            others = [fact.key for fact in life.planned if KEYS[fact.kind] is KEYS[kind]]
            key = dice.pick(others or [key])
        if id(key) in known:
            return None
        slots = {"k": key, "p": dice.pick(pool("claim", life.options.values))}
        return self._done("unknown", self._say(("ask", kind), slots), UNKNOWN, ())

    def _join(self) -> Ask:
        if not self.facts or not self.names:
            return None
        fact, name = self.dice.pick(self.facts), self.dice.pick(self.names)
        log = self.logs[name]
        if (place := log.last(fact.t)) < 0:
            return None
        text = self._compose(("past", name), self._say(("clause", fact.kind), fact.slots()))
        later = self._turns(name) - log.turned(place)
        return self._done("join", text, self._value(name, place), (fact.t, log.times[place]), later)

    # ---- words ---------------------------------------------------------------------------------------------

    def _value(self, name: str, place: int) -> Value:
        return self.life.values[name][self.logs[name].values[place]]

    def _say(self, key: tuple[str, str], slots: Mapping[str, Value] | None = None) -> str:
        return self.dice.pick(self.book[key]).render({**(slots or {}), "i": self.life.me})

    def _compose(self, core: tuple[str, str], when: str) -> str:
        """The time behind what is asked, or before it."""
        text, mark, comma = self._say(core), *(("?", ",") if self.language == "en" else ("؟", "،"))
        first = self.dice.chance(70)
        return capital(f"{text} {when}{mark}" if first else f"{when}{comma} {text}{mark}")

    def _done(
        self,
        kind: str,
        text: str,
        answer: Value,
        evidence: tuple[int, ...],
        overwrites: int = 0,
        also: tuple[str, ...] = (),
    ) -> Question:
        said = answer.form(self.language, self.life.me.female)
        if len(self.life.languages) > 1:
            forms = (form for language in self.life.languages for form in answer.forms(language))
            also += tuple(form for form in forms if form != said)
        age = self.at - evidence[-1] if evidence else 0
        return Question(text, said, kind, self.at, age, overwrites, evidence, also)
