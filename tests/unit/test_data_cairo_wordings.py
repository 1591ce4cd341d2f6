"""Many ways to say it: lists are long, what is held out is made of known words, and means one thing alone.

Each template is filled and read back; distractors and fillers must say nothing of who tells the life.
"""

from datetime import date
from itertools import cycle

import pytest

from chronos.data.cairo.book import ATTRIBUTES, FACTS, KEYS, PHRASES, POOLS, book, pool, whole_book
from chronos.data.cairo.grammar import ask_what, understand
from chronos.data.cairo.spans import date_value, days_value, hours_value
from chronos.data.cairo.templates import words
from chronos.data.cairo.values import LANGUAGES, PARTS, Value, number
from chronos.tokenization.times import ALWAYS, candidates
from chronos.tokenization.units import fold, split

ME = Value("I", "أنا", female=True)
OTHERS = ("name", "claim", "colour", "door", "object", "goods")
VALUES = (
    *POOLS,
    *OTHERS,
    "furniture",
    *(f"key:{kind}" for kind in KEYS),
    *(f"answer:{kind}" for kind in KEYS),
)
BESIDE_A_TIME = ("past", "changed", "before_last", "before_to_last", "before_to", "clause", "phrase", "now")


def said(templates) -> set[str]:
    """The words that templates write themselves, folded, letters only."""
    literal = (text for one in templates for text in one.literals())
    return {fold(word) for text in literal for word in words(text) if word[0].isalpha()}


def filled(one, pools, i):
    """The template with values number i of the pools of its slots, and those values."""
    listed = {slot: [v for which in PARTS for v in pool(name, which)] for slot, name in pools.items()}
    slots = {
        slot: (many or [number(4719)])[(7 * i + 5 * j) % (len(many) or 1)]
        for j, (slot, many) in enumerate(listed.items())
    }
    return one.render(slots | {"i": ME, "T": number(77)}), slots


def asked(core, rest, language):
    """A time behind what is asked, and before it."""
    mark, comma = ("?", ",") if language == "en" else ("؟", "،")
    return [text[:1].upper() + text[1:] + mark for text in (f"{core} {rest}", f"{rest}{comma} {core}")]


# ---- how many, and of which words --------------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_list_is_long(language):
    least = {
        "mention": 36,
        "change": 36,
        "distract": 30,
        "filler": 100,
        "now": 24,
        "past": 24,
        "ask": 24,
        "state": 15,
    }
    for key, found in whole_book(language).items():
        assert len(found) >= least.get(key[0], 12), key
    filler = book(language, "seen")["filler",]
    assert 3 * sum(one.slots() - {"i"} != set() for one in filler) >= len(filler)


@pytest.mark.parametrize("language", LANGUAGES)
def test_held_out_templates_are_made_of_known_words(language):
    seen, held = (said(one for found in book(language, which).values() for one in found) for which in PARTS)
    values = {
        fold(word)
        for name in VALUES
        for v in pool(name, "seen")
        for f in v.forms(language)
        for word in words(f)
    }
    assert len(held - seen - values) <= 0.1 * len(held), held - seen - values


@pytest.mark.parametrize("name", [*ATTRIBUTES, *FACTS])
def test_known_in_the_same_meaning(name):
    """The words of held-out English templates on a subject stand in seen ones on it, nine in ten at least."""
    told = ("mention", "change", "now", *BESIDE_A_TIME, "state", "ask")
    seen, held = (
        said(
            one
            for key, found in book("en", which).items()
            if key[0] in told and key[1] == name
            for one in found
        )
        for which in PARTS
    )
    assert len(held - seen) <= 0.1 * len(held), held - seen


def test_a_question_holds_no_number_but_its_time():
    for key, found in whole_book("en").items():
        if key[0] in BESIDE_A_TIME or key[0].endswith("when"):
            for one in found:
                text = " @ ".join(piece for piece in one.pieces if isinstance(piece, str))
                assert len(candidates(split(text))) == len(ALWAYS), one.text


# ---- what each means ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_is_not_about_me_says_nothing_whatever_its_values(language):
    people, things = {"n": "name", "m": "name"}, {"c": "colour", "d": "door", "k": "object", "g": "goods"}
    for key, found in whole_book(language).items():
        if key[0] in ("distract", "filler"):
            pools = people | ({"v": key[1], "o": key[1]} if key[0] == "distract" else things)
            for one in found:
                for i in range(3):
                    text = filled(one, pools, i)[0]
                    assert understand(text) is None, text


@pytest.mark.parametrize("language", LANGUAGES)
def test_questions_about_now_and_about_facts_ask_one_thing(language):
    whole = whole_book(language)
    texts = [one.text for key, found in whole.items() if key[0] in ("now", "ask") for one in found]
    assert len(set(texts)) == len(texts)  # not told apart by what stands in a slot alone
    for name in ATTRIBUTES:
        for one in whole["now", name]:
            found = ask_what(one.render({"i": ME}))
            assert found and (found.form, found.name) == ("now", name), one.text
    for kind in FACTS:
        for i, one in enumerate((*whole["ask", kind], *whole["ask", kind])):
            text, slots = filled(one, {"k": f"key:{kind}", "p": "claim"}, i)
            found = ask_what(text)
            assert found and (found.form, found.name, found.key) == ("fact", kind, slots["k"]), text


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("how", ["step", "date"])
def test_questions_when_ask_one_thing(language, how):
    whole = whole_book(language)
    for name in ATTRIBUTES:
        for opening, core in zip(cycle(whole["when", how]), whole["changed", name]):
            text = opening.render({"q": Value(*2 * [core.render({"i": ME})]), "i": ME})
            found = ask_what(text)
            assert found and (found.form, found.name, found.how) == ("when", name, how), text
    for kind in FACTS:
        for i, (opening, one) in enumerate(zip(cycle(whole["fact_when", how]), whole["clause", kind] * 2)):
            clause, slots = filled(one, {"k": f"key:{kind}"}, i)
            found = ask_what(text := opening.render({"q": Value(clause, clause), "i": ME}))
            assert found and (found.kind, found.key, found.how) == (kind, slots["k"], how), text


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", ATTRIBUTES)
def test_questions_about_the_past_ask_one_thing(language, name):
    whole = whole_book(language)
    cores = cycle(one.render({"i": ME}) for one in whole["past", name])
    for key in ("before_last", "before_to_last", "before_to"):
        for i, one in enumerate(whole[key, name]):
            rest, slots = filled(one, {"v": name}, i)
            for text in asked(next(cores), rest, language):
                found = ask_what(text)
                value = slots["v"] if "v" in one.slots() else None
                assert found and (found.form, found.name, found.value) == (key, name, value), text
    for kind in FACTS:
        for i, one in enumerate(whole["clause", kind]):
            rest, slots = filled(one, {"k": f"key:{kind}"}, i)
            for text in asked(next(cores), rest, language):
                found = ask_what(text)
                assert found and (found.form, found.kind, found.key) == ("join", kind, slots["k"]), text


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_time_can_be_asked_of_every_attribute(language):
    whole, day = whole_book(language), date_value(date(2031, 5, 3))
    told = {"T": number(77), "D": day, "H": hours_value(5), "Y": days_value(3), "i": ME}
    for name in ATTRIBUTES:
        cores = cycle(one.render({"i": ME}) for one in whole["past", name])
        for how in PHRASES:
            for one in whole["phrase", how]:
                for text in asked(next(cores), one.render(told), language):
                    found = ask_what(text)
                    assert found and (found.form, found.name, found.how) == ("at", name, how), text
