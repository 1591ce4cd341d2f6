"""A life in Cairo: one sentence an hour about who tells it, streamed, with everything following from a seed.

What happens and how it is worded come from separate streams of numbers, so the same life can be told in
English and in Arabic. Memory: a few bytes a mention. Try `chronos data cairo --events 20 --seed 1`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from itertools import cycle

from chronos.console import ChronosError
from chronos.data.cairo import asking
from chronos.data.cairo.book import ATTRIBUTES, FACTS, KEYS, book, pool
from chronos.data.cairo.record import Fact, Record, Slots
from chronos.data.cairo.spans import Calendar
from chronos.data.cairo.values import LANGUAGES, PARTS, Value, language_of, number
from chronos.data.dice import Dice
from chronos.data.lives import Event, Question

SPLITS = ("train", "val", "test")
COUNTS = {"location": 6, "drink": 5, "mood": 6, "food": 8, "companion": 10}  # values in a life
RATES = {"location": 10, "drink": 1, "mood": 5, "food": 2, "companion": 3}  # changes in 100 steps
MOST_EVENTS = 50_000_000  # beyond it, dates would leave the calendar
_KEY = 0xCA120  # sets these streams apart from those of other generators

Step = tuple[int, tuple[str, ...], Slots]


@dataclass(frozen=True, slots=True)
class Options:
    """What a life is made from; the same options give the same bytes everywhere.

    `facts`: how many one-offs (None: by length), `kinds`: of how many kinds beside what was said (None: all),
    so that a short life holds things to confuse: they are about the same people, too. `first`: the first
    step, so that short lives know late times. `rates`: changes in 100 steps by attribute. Raises
    ChronosError for what cannot be.
    """

    events: int
    seed: int
    split: str = "test"
    language: str = "en"
    templates: str = "seen"
    values: str = "seen"
    changes: str = "announced"
    joins: bool = True
    facts: int | None = None
    kinds: int | None = None
    first: int = 1
    rates: Mapping[str, int] = field(default_factory=lambda: RATES)

    def __post_init__(self) -> None:
        _one_of("split", self.split, SPLITS)
        _one_of("language", self.language, (*LANGUAGES, "mixed"))
        _one_of("templates", self.templates, PARTS)
        _one_of("values", self.values, PARTS)
        _one_of("changes", self.changes, ("announced", "shown"))
        for name in ("templates", "values"):
            if getattr(self, name) == "held-out" and self.split != "test":
                raise ChronosError(f"held-out {name} are for tests", expected="split test", got=self.split)
        for name, low, high in (("events", 1, MOST_EVENTS), ("first", 1, MOST_EVENTS), ("seed", 0, 2**63)):
            if not _whole(getattr(self, name)) or not low <= getattr(self, name) <= high:
                what = f"{name} of a life must be a whole number of {low} to {high}"
                raise ChronosError(what, got=repr(getattr(self, name)))
        if self.first + self.events > MOST_EVENTS + 1:
            raise ChronosError("a life cannot go on so long", expected=f"to {MOST_EVENTS}", got=self.first)
        if self.facts is not None and (not _whole(self.facts) or not 0 <= self.facts <= self.events):
            raise ChronosError("facts must be between 0 and the events", got=repr(self.facts))
        if self.kinds is not None and (not _whole(self.kinds) or not 1 <= self.kinds < len(FACTS)):
            got = repr(self.kinds)
            raise ChronosError("kinds of one-offs are few", expected=f"1 to {len(FACTS) - 1}", got=got)
        known = set(self.rates) <= set(RATES) and all(_whole(r) and r >= 0 for r in self.rates.values())
        if not known or sum(self.rates.values()) > 60:
            raise ChronosError("rates are changes in 100 steps, 60 together at most", got=dict(self.rates))


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _one_of(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ChronosError(f"unknown {name} of a life", expected=" or ".join(choices), got=repr(value))


class Life:
    """`Life(10_000, 7)`: iterate `events()`, as often as you like, and ask it `questions()`."""

    def __init__(self, events: int, seed: int, **options: object):
        self.options = Options(events, seed, **options)  # type: ignore[arg-type]
        self.key = (_KEY, SPLITS.index(self.options.split), seed)
        dice = Dice(*self.key, 0)
        which = self.options.values
        self.first, self.end = self.options.first, self.options.first + events - 1
        self.me = Value("I", "أنا", female=dice.chance(50))
        self.calendar = Calendar(date(2026, 1, 1) + timedelta(days=dice.below(15 * 365)))
        self.values = {name: dice.sample(pool(name, which), n) for name, n in COUNTS.items()}
        absent = dice.below(2 * len(ATTRIBUTES)) if events < asking.LONG else len(ATTRIBUTES)
        self.present = tuple(name for i, name in enumerate(ATTRIBUTES) if i != absent)  # one lacks in half
        self.planned = self._plan(dice)
        self.languages = LANGUAGES if self.options.language == "mixed" else (self.options.language,)
        self.books = {language: book(language, self.options.templates) for language in self.languages}
        self._record: Record | None = None
        self._told_in = b""

    def _plan(self, dice: Dice) -> list[Fact]:
        """The one-offs in their order; each is told at its step or, if that one is taken, soon after."""
        n = self.options.facts
        if n is None:
            n = min(2 + self.options.events * 6 // 100, 100, self.options.events)
        kinds = self.options.kinds or len(FACTS) - 1
        others, keys = cycle(dice.sample(FACTS[:-1], len(FACTS) - 1)[:kinds]), {}
        shared: dict[int, list[Value]] = {}
        most = 1 + n // 5 if self.options.kinds is None else 1 + n // kinds
        drawn = []
        for i in range(n):
            kind = "said" if i % 5 == 1 else next(others)  # a rumour in five: "who" is asked of them alone
            if kind not in keys:
                listed = pool(f"key:{kind}", self.options.values)
                few = min(most, len(listed) * 6 // 10)  # the others are unknown
                if self.options.kinds is not None:  # the same few people for all that is about people
                    listed = shared.setdefault(id(KEYS[kind]), dice.sample(listed, few))
                keys[kind] = iter(dice.sample(listed, few))
            if key := next(keys[kind], None):
                drawn.append((kind, key, self._answer(dice, kind, key)))
        times: set[int] = set()
        while len(times) < len(drawn):
            times.add(dice.between(self.first, self.end))
        claims = pool("claim", self.options.values)
        return [
            Fact(t, kind, key, answer, dice.pick(claims) if kind == "said" else None)
            for t, (kind, key, answer) in zip(sorted(times), drawn)
        ]

    def _answer(self, dice: Dice, kind: str, key: Value) -> Value:
        if kind in ("phone", "code"):
            return number(dice.between(1000, 9999))
        answer = dice.pick(pool(f"answer:{kind}", self.options.values))
        return answer if answer is not key else self._answer(dice, kind, key)

    def events(self) -> Iterator[Event]:
        """The sentences, step by step; what they say is noted on the way, for questions alongside."""
        wording = Dice(*self.key, 2)
        record = Record()
        if self._record is None or self._record.upto < self.end:
            self._record = record
        day, said = -1, ""
        for t, group, slots in self.steps(record):
            if (t - 1) // 24 != day:
                day, said = (t - 1) // 24, self.calendar.date(t).isoformat()
            language = wording.pick(self.languages) if len(self.languages) > 1 else self.languages[0]
            yield Event(t, wording.pick(self.books[language][group]).render(slots), said)

    def told_in(self, t: int) -> str:
        """The language of the event at step t. A life in two is gone through once."""
        if len(self.languages) == 1:
            return self.languages[0]
        if not self._told_in:
            spoken = (LANGUAGES.index(language_of(event.text)) for event in self.events())
            self._told_in = bytes(spoken)
        return LANGUAGES[self._told_in[t - self.first]]

    def questions(self, n: int | None = None, at: int | None = None) -> list[Question]:
        """n questions, asked at step `at` (default: the end); see asking.py."""
        return asking.questions(self, n, at)

    def record(self, at: int) -> Record:
        """What was said up to step `at` or beyond; goes through the life in silence if nobody has yet."""
        if self._record is None or self._record.upto < at:
            record = Record()
            for _ in self.steps(record):
                pass
            self._record = record
        return self._record

    def steps(self, record: Record) -> Iterator[Step]:
        """What happens: (t, key of the templates, slots) for each step, noted in `record` first."""
        dice = Dice(*self.key, 1)
        now = {name: dice.below(COUNTS[name]) for name in self.present}
        table, tail = _table(self.options.rates)
        announced = self.options.changes == "announced"
        waiting = iter(self.planned)
        fact = next(waiting, None)
        for t in range(self.first, self.end + 1):
            what, name = table[dice.below(100)], ""
            slots: Slots = {}
            if what in RATES:
                if what in now and (not announced or record.logs[what].times):
                    slots, name = self._change(dice, what, now), what if announced else ""
                if not name:  # nothing is announced of what changes in silence, lacks, or was never told
                    what = tail[dice.below(len(tail))]
            if name:
                group = ("change", name)
            elif fact and t >= fact.t:
                record.facts.append(fact := replace(fact, t=t))
                group, slots = ("state", fact.kind), fact.slots()
                fact = next(waiting, None)
            elif what == "mention":
                name = dice.pick(self.present)
                group, slots = ("mention", name), {"v": self.values[name][now[name]]}
            else:
                group, slots = self._aside(dice, what)
            if name:
                record.logs[name].add(t, now[name])
            record.upto = t
            slots["i"] = self.me
            yield t, group, slots

    def _change(self, dice: Dice, name: str, now: dict[str, int]) -> Slots:
        old = now[name]
        now[name] = (old + 1 + dice.below(COUNTS[name] - 1)) % COUNTS[name]
        return {"o": self.values[name][old], "v": self.values[name][now[name]]}

    def _aside(self, dice: Dice, what: str) -> tuple[tuple[str, ...], Slots]:
        """A sentence that is not about me: a distractor of some attribute, or a filler."""
        names = pool("name", self.options.values)
        n = dice.pick(names)
        m = _another(dice, names, n)
        if what == "filler":
            slots = {"n": n, "m": m, "T": number(dice.between(1, 9999))}
            for slot, listed in (("c", "colour"), ("d", "door"), ("k", "object"), ("g", "goods")):
                slots[slot] = dice.pick(pool(listed, self.options.values))
            return ("filler",), slots
        name = dice.pick(ATTRIBUTES)
        listed = self.values[name] if dice.chance(50) else pool(name, self.options.values)
        v = dice.pick(listed)
        while v is n or v is m:
            v = dice.pick(listed)
        return ("distract", name), {"n": n, "m": m, "v": v, "o": _another(dice, listed, v)}


def _another(dice: Dice, items: tuple[Value, ...] | list[Value], taken: Value) -> Value:
    while (found := dice.pick(items)) is taken:
        pass
    return found


def _table(rates: Mapping[str, int]) -> tuple[list[str], list[str]]:
    """What each of 100 sides of the die means, and those of them that are no change."""
    turns = [name for name in ATTRIBUTES for _ in range(rates.get(name, 0))]
    left = 100 - len(turns)
    mentions, asides = left * 53 // 100, left * 23 // 100
    tail = ["mention"] * mentions + ["distract"] * asides + ["filler"] * (left - mentions - asides)
    return turns + tail, tail
