"""What the sentences and questions say, read by regular expressions that the templates give.

It knows the wordings of both languages, seen and held out, and nothing of any life: text in, meaning out.
What no wording fits (distractors, fillers, anything else) says nothing about who tells the life.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache, lru_cache

from chronos.data.cairo import things
from chronos.data.cairo.book import ATTRIBUTES, FACTS, POOLS, SPOKEN, capital, pool, whole_book
from chronos.data.cairo.templates import Template
from chronos.data.cairo.values import LANGUAGES, PARTS, Value, number

_HOW = "|".join(form for how in things.PREPOSITIONS for form in (how.en, how.ar))
_RUMOURS = "|".join(re.escape(form) for s in things.SUBJECTS for form in (s.en, s.ar))
# Where two slots stand side by side, the shape of one of them tells where it begins.
_SHAPES = {
    "hide": {"a": rf"(?:{_HOW}) .+"},
    "debt": {"a": r"\d+ \w+"},
    "price": {"a": r"\d+ \w+"},
    "said": {"k": _RUMOURS},
}
_DATE = re.compile(r"([0-9]{1,2}) (\S+?)(?: ([0-9]{4}))?")
_MONTHS = {form: i + 1 for i, month in enumerate(things.MONTHS) for form in (month.en, month.ar)}


@dataclass(frozen=True, slots=True)
class Said:
    """What a sentence means: an attribute's value, or a fact's key and answer.

    `female`: whether a woman tells it, where the wording shows that.
    """

    name: str
    value: Value
    key: Value | None = None
    female: bool | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """What a question means: its form (now, at, before_last …), attribute, fact, and the time it names."""

    form: str
    language: str
    name: str = ""
    key: Value | None = None
    kind: str = ""
    how: str = ""
    value: Value | None = None
    number: int = 0
    on: tuple[int, int, int] = (0, 0, 0)  # day, month, year (0: none is named)


@cache
def _forms(name: str) -> Mapping[str, Value]:
    """The values of a pool by their texts."""
    values = [value for which in PARTS for value in pool(name, which)]
    return {form: value for value in values for language in LANGUAGES for form in value.forms(language)}


def _read(name: str, text: str) -> Value | None:
    if name in ("answer:phone", "answer:code"):
        return number(int(text)) if re.fullmatch(r"\d{4}", text) else None
    return _forms(name).get(text)


Rule = tuple[re.Pattern[str], str, Mapping[str, str]]


def _rule(
    one: Template, group: str, slots: Mapping[str, str], shapes: Mapping[str, str] | None = None
) -> Rule:
    """A template as (regular expression, what it is about, pool of each slot)."""
    pattern = one.pattern()
    for slot, shape in (shapes or {}).items():
        pattern = pattern.replace(f"(?P<{slot}>.+?)", f"(?P<{slot}>{shape})")
    return re.compile(pattern), group, slots


def _fact_slots(kind: str) -> dict[str, str]:
    if kind == "said":
        return {"n": "name", "k": "key:said", "p": "claim"}
    return {"k": f"key:{kind}", "a": f"answer:{kind}"}


def _match(rule: Rule, text: str) -> dict[str, Value] | None:
    """The values in the slots, if the text fits and each is one of its pool."""
    found = rule[0].fullmatch(text)
    if not found:
        return None
    values = {slot: _read(rule[2][slot], said) for slot, said in found.groupdict().items()}
    return None if None in values.values() else values  # type: ignore[return-value]


# ---- sentences ---------------------------------------------------------------------------------------------


@cache
def _sentences() -> Mapping[str, list[Rule]]:
    """Rules by the first word of the sentences that they read; "" for those that begin with a slot."""
    rules = defaultdict(list)
    for one, group, slots, shapes in _telling():
        rule = _rule(one, group, slots, shapes)
        first = one.pieces[0]
        starts = first[1:] if len(first) == 3 and not isinstance(first, str) else (first,)
        for start in starts:
            word = start.split(" ")[0] if isinstance(start, str) and (len(starts) > 1 or " " in start) else ""
            rules[word].append(rule)
    return rules


def _telling() -> Iterator[tuple[Template, str, Mapping[str, str], Mapping[str, str] | None]]:
    for language in LANGUAGES:
        book = whole_book(language)
        for name in ATTRIBUTES:
            for one in (*book["mention", name], *book["change", name]):
                yield one, name, {"v": name, "o": name}, None
        for kind in FACTS:
            for one in book["state", kind]:
                yield one, kind, _fact_slots(kind), _SHAPES.get(kind)


@lru_cache(maxsize=1 << 16)
def understand(text: str) -> Said | None:
    """What a sentence says about the one who tells the life; None where that is nothing."""
    rules = _sentences()
    for rule in (*rules.get(text.split(" ")[0], ()), *rules[""]):
        if values := _match(rule, text):
            name = rule[1]
            if name in POOLS:
                return Said(name, values["v"], female=_gender(rule[0], text, values["v"]))
            return Said(name, values.get("a") or values["n"], values["k"])
    return None


def _gender(pattern: re.Pattern[str], text: str, value: Value) -> bool | None:
    """Of whom a form is said that differs between a man and a woman."""
    form = pattern.fullmatch(text)["v"]
    return form == value.ar_f if value.ar_f and form != value.en else None


# ---- questions ---------------------------------------------------------------------------------------------


@cache
def _whole_questions(language: str) -> list[tuple[Rule, str]]:
    """Questions that are one template: what is now, and one-off facts."""
    book = whole_book(language)
    now = [(_rule(one, name, {}), "now") for name in ATTRIBUTES for one in book["now", name]]
    facts = [
        (_rule(one, kind, _fact_slots(kind), _SHAPES.get(kind)), "fact")
        for kind in FACTS
        for one in book["ask", kind]
    ]
    return now + facts


@cache
def _clauses(language: str) -> list[Rule]:
    """When I hid the key …"""
    book = whole_book(language)
    return [
        _rule(one, kind, _fact_slots(kind), _SHAPES.get(kind))
        for kind in FACTS
        for one in book["clause", kind]
    ]


@cache
def _times(language: str) -> list[tuple[re.Pattern[str], str]]:
    """At time 4060, three days ago …: each pattern with what it names."""
    book = whole_book(language)
    return [
        (re.compile(one.pattern()), key[1])
        for key, found in book.items()
        if key[0] == "phrase"
        for one in found
    ]


@cache
def _cores(language: str, key: str) -> list[tuple[str, str]]:
    """What is asked (where was I) with its attribute, the longest first."""
    book = whole_book(language)
    found = [(one.text, name) for name in ATTRIBUTES for one in book[key, name]]
    return sorted(found, key=lambda pair: -len(pair[0]))


@cache
def _endings(language: str, name: str) -> list[tuple[Rule, str]]:
    """Before I moved …: the ways to name a change of an attribute."""
    book = whole_book(language)
    keys = ("before_last", "before_to_last", "before_to")
    return [(_rule(one, name, {"v": name}), key) for key in keys for one in book[key, name]]


@lru_cache(maxsize=1 << 14)
def ask_what(question: str) -> Asked | None:
    """What a question asks for; None for a wording that is not of the book."""
    language = "en" if question.endswith("?") else "ar"
    for rule, form in _whole_questions(language):
        if (values := _match(rule, question)) is not None:
            return Asked(form, language, rule[1], values.get("k"))
    return _ask_when(question[:-1], language) or _ask_past(question[:-1], language)


def _ask_when(text: str, language: str) -> Asked | None:
    book = whole_book(language)
    for how in ("step", "date"):
        for opening in book["when", how]:
            start = opening.text[: opening.text.index("{")]
            for core, name in _cores(language, "changed"):
                if text == start + core:
                    return Asked("when", language, name, how=how)
        for opening in book["fact_when", how]:
            start = opening.text[: opening.text.index("{")]
            if text.startswith(start) and (found := _clause(text[len(start) :], language)):
                return Asked("fact_when", language, key=found[1], kind=found[0], how=how)
    return None


def _clause(text: str, language: str) -> tuple[str, Value] | None:
    for rule in _clauses(language):
        if values := _match(rule, text):
            return rule[1], values["k"]
    return None


def _ask_past(text: str, language: str) -> Asked | None:
    """The core before or behind; the rest is a time, a change or another event."""
    comma = "," if language == "en" else "،"
    for core, name in _cores(language, "past"):
        rests = []
        if text.startswith(capital(core) + " "):
            rests.append(text[len(core) + 1 :])
        if text.endswith(f"{comma} {core}"):
            rest = text[: -len(core) - 2]
            rests += [rest, rest[:1].lower() + rest[1:]]
        for rest in rests:
            if found := _rest(rest, name, language):
                return found
    return None


def _rest(text: str, name: str, language: str) -> Asked | None:
    for rule, form in _endings(language, name):
        if (values := _match(rule, text)) is not None:
            return Asked(form, language, name, value=values.get("v"))
    if found := _clause(text, language):
        return Asked("join", language, name, found[1], found[0])
    for pattern, how in _times(language):
        if (match := pattern.fullmatch(text)) and (asked := _time(how, match, name, language)):
            return asked
    return None


@cache
def _spoken() -> Mapping[str, int]:
    """ "Three days" → 3, by the same list in both languages."""
    found = {}
    for value in SPOKEN:
        n = re.match(r"\d+", value.en)
        for language in LANGUAGES:
            form = value.form(language)
            found[form] = found[capital(form)] = int(n[0]) if n else _SMALL.index(value.en.split()[0]) + 1
    return found


_SMALL = "one two three four five six seven eight nine ten eleven twelve".split()
_UNITS = {"hours": ("hour", "ساع"), "days": ("day", "يوم", "أيام")}


def _time(how: str, match: re.Match[str], name: str, language: str) -> Asked | None:
    if how in ("yesterday", "week"):
        return Asked("at", language, name, how=how)
    said = next(iter(match.groupdict().values()))
    if how == "step":
        known = re.fullmatch(r"[0-9]{1,12}", said)
        return Asked("at", language, name, how=how, number=int(said)) if known else None
    if how == "date":
        found = _DATE.fullmatch(said)
        if not found or found[2] not in _MONTHS:
            return None
        day, month, year = int(found[1]), _MONTHS[found[2]], int(found[3] or 0)
        try:
            date(year or 2000, month, day)  # a leap year: without a year, 29 February is a day
        except ValueError:
            return None
        return Asked("at", language, name, how=how, on=(day, month, year))
    if said not in _spoken() or not any(unit in said for unit in _UNITS[how]):
        return None
    return Asked("at", language, name, how=how, number=_spoken()[said])
