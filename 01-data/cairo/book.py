"""The book of templates and pools: everything that a life can say, seen or held out, by language.

Of each list of templates the last fifth (rounded up) is held out, of each pool the last quarter. It decides
what may be said, not what happens. `vocabulary()` lists the words.
"""

from collections.abc import Mapping
from functools import cache
from types import ModuleType

from chronos.data.cairo import (
    arabic_asides,
    arabic_asked,
    arabic_changes,
    arabic_dealings,
    arabic_mentions,
    arabic_things,
    arabic_times,
    arabic_turns,
    english_asides,
    english_asked,
    english_changes,
    english_dealings,
    english_mentions,
    english_things,
    english_times,
    english_turns,
    things,
)
from chronos.data.cairo.people import NAMES
from chronos.data.cairo.pools import DRINKS, FOODS, MOODS, PLACES
from chronos.data.cairo.spans import MOST_DAYS, MOST_HOURS, days_value, hours_value, step_value
from chronos.data.cairo.templates import Template, lines, template, words
from chronos.data.cairo.values import LANGUAGES, Value, part

TEMPLATES_HELD, VALUES_HELD = 20, 25  # percent
UNKNOWN = Value("I don't know", "لا أعرف")

ATTRIBUTES = ("location", "drink", "mood", "food", "companion")
POOLS = {"location": PLACES, "drink": DRINKS, "mood": MOODS, "food": FOODS, "companion": NAMES}
FACTS = ("hide", "phone", "code", "lent", "birthday", "promise", "price", "debt", "meeting", "said")
KEYS = {
    "hide": things.OBJECTS,
    "phone": NAMES,
    "code": things.DOORS,
    "lent": things.ITEMS,
    "birthday": NAMES,
    "promise": NAMES,
    "price": things.GOODS,
    "debt": NAMES,
    "meeting": NAMES,
    "said": things.SUBJECTS,
}
PHRASES = ("step", "date", "hours", "days", "yesterday", "week")

SPOKEN = [hours_value(n) for n in range(1, MOST_HOURS + 1)] + [days_value(n) for n in range(1, MOST_DAYS + 1)]

_ASKED = ("NOW", "PAST", "CHANGED", "BEFORE_LAST", "BEFORE_TO_LAST", "BEFORE_TO")

Book = Mapping[tuple[str, ...], tuple[Template, ...]]

_MODULES: dict[str, tuple[ModuleType, ...]] = {
    "en": (
        english_asides,
        english_asked,
        english_changes,
        english_dealings,
        english_mentions,
        english_things,
        english_times,
        english_turns,
    ),
    "ar": (
        arabic_asides,
        arabic_asked,
        arabic_changes,
        arabic_dealings,
        arabic_mentions,
        arabic_things,
        arabic_times,
        arabic_turns,
    ),
}


@cache
def pool(name: str, which: str) -> tuple[Value, ...]:
    """An attribute's values, the keys of a kind of fact ("key:hide"), or its answers ("answer:hide").

    Answers in four digits ("code", "phone") are not listed. `which` is "seen" or "held-out".
    """
    if name.startswith("answer:"):
        return _answers(name.removeprefix("answer:"), which)
    source = KEYS[name.removeprefix("key:")] if name.startswith("key:") else POOLS.get(name) or _OTHER[name]
    return part(source, which, VALUES_HELD)


_OTHER = {"name": NAMES, "claim": things.CLAIMS, "colour": things.COLOURS, "door": things.DOORS}
_OTHER |= {"object": things.OBJECTS, "goods": things.GOODS, "furniture": things.FURNITURE}


def _answers(kind: str, which: str) -> tuple[Value, ...]:
    if kind == "hide":
        return things.hiding_places(which, VALUES_HELD)
    if kind == "birthday":
        return things.BIRTHDAYS
    if kind in ("price", "debt"):
        return things.SUMS
    if kind in ("phone", "code"):
        return ()
    listed = {"lent": NAMES, "said": NAMES, "meeting": PLACES, "promise": things.CHORES}
    return part(listed[kind], which, VALUES_HELD)


@cache
def book(language: str, which: str) -> Book:
    """The seen or the held-out templates of a language, each list by its key such as ("mention", "mood")."""
    return {key: part(found, which, TEMPLATES_HELD) for key, found in whole_book(language).items()}


@cache
def whole_book(language: str) -> Book:
    """All templates of a language, seen and held out."""
    told = {name: value for one in _MODULES[language] for name, value in vars(one).items() if name.isupper()}
    found: dict[tuple[str, ...], str] = {("filler",): told["FILLER"]}
    for name in ("MENTION", "CHANGE", "DISTRACT", *_ASKED):
        found |= {(name.lower(), key): text for key, text in told[name].items()}
    found |= {("phrase", key): text for key, text in told["PHRASES"].items()}
    for name in ("when", "fact_when"):
        found |= {(name, way): told[f"{name}_{way}".upper()] for way in ("step", "date")}
    for module in _MODULES[language]:
        for kind, texts in vars(module).get("FACTS", {}).items():
            found |= {(name, kind): text for name, text in zip(("state", "ask", "clause"), texts)}
    return {key: tuple(template(line, language) for line in lines(text)) for key, text in found.items()}


def capital(text: str) -> str:
    """With its first letter large, as a sentence begins; Arabic has no such letters."""
    return text[:1].upper() + text[1:]


def vocabulary(language: str = "mixed", templates: str = "seen", values: str = "seen") -> list[str]:
    """Every unit of `words` that a life or its questions and answers can hold, sorted.

    `templates` and `values` are "seen", "held-out" or "all".
    """
    units = set("0123456789?.,،؟")
    for tongue in LANGUAGES if language == "mixed" else (language,):
        for which in _parts(templates):
            for found in book(tongue, which).values():
                for text in (literal for one in found for literal in one.literals()):
                    units.update(words(text), words(capital(text)))
        for value in _values(_parts(values)):
            for form in value.forms(tongue):
                units.update(words(form), words(capital(form)) if value in SPOKEN else ())
    return sorted(units)


def words_of(language: str) -> tuple[set[str], set[str], set[str]]:
    """Texts of the seen half: what templates write themselves, what values are, and what tells times.

    The last (numbers, months, spoken lengths of time, "I don't know") stand among the values, too.
    """
    tongues = LANGUAGES if language == "mixed" else (language,)
    literal = {
        text
        for tongue in tongues
        for found in book(tongue, "seen").values()
        for one in found
        for text in one.literals()
    }
    told = [*SPOKEN, *things.MONTHS, step_value(0), UNKNOWN]
    forms = [
        {form for value in values for tongue in tongues for form in value.forms(tongue)}
        for values in (_values(("seen",)), told)
    ]
    return literal, forms[0], forms[1] | set("0123456789")


def _parts(which: str) -> tuple[str, ...]:
    return ("seen", "held-out") if which == "all" else (which,)


def _values(parts: tuple[str, ...]) -> list[Value]:
    names = [*POOLS, *_OTHER, *(f"key:{kind}" for kind in KEYS), *(f"answer:{kind}" for kind in KEYS)]
    values = [value for which in parts for name in names for value in pool(name, which)]
    return [*values, *SPOKEN, *things.MONTHS, step_value(0), UNKNOWN]
