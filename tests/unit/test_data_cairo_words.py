"""The words of a life: pools, templates, agreement, and the wall between seen and held out."""

import re

import pytest

from chronos.console import ChronosError
from chronos.data.cairo import people, pools, things
from chronos.data.cairo.book import (
    ATTRIBUTES,
    FACTS,
    KEYS,
    PHRASES,
    POOLS,
    book,
    pool,
    vocabulary,
    whole_book,
)
from chronos.data.cairo.grammar import ask_what, understand
from chronos.data.cairo.life import Life
from chronos.data.cairo.record import Record
from chronos.data.cairo.templates import template, unsplit, words
from chronos.data.cairo.values import LANGUAGES, PARTS, Value, held_out, part

OPEN = [*POOLS, *(f"key:{kind}" for kind in KEYS), "claim", "colour", "door", "object", "goods", "furniture"]
LISTED = [*OPEN, "answer:promise", "answer:hide", "answer:lent", "answer:meeting"]


def texts(life: Life) -> list[str]:
    asked = life.questions(200)
    return [e.text for e in life.events()] + [text for q in asked for text in (q.question, q.answer)]


def test_the_pools_are_large_enough():
    least = {pools.PLACES: 60, pools.DRINKS: 40, pools.MOODS: 40, pools.FOODS: 60, people.NAMES: 200}
    for values, n in least.items():
        assert len(values) >= n
    assert sum(name.female for name in people.NAMES[-50:]) == 25  # held-out people too: half are women
    assert any(" " in value.en for value in pools.PLACES[:40])


@pytest.mark.parametrize("name", [*LISTED, "answer:birthday", "answer:price"])
@pytest.mark.parametrize("language", LANGUAGES)
def test_each_form_stands_for_one_value(name, language):
    values = {value for which in PARTS for value in pool(name, which)}
    forms = [form for value in values for form in set(value.forms(language))]
    assert len(forms) == len(set(forms))


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_lists_are_long_enough(language):
    least = {"mention": 12, "change": 12, "distract": 10, "filler": 30, "now": 8, "past": 8, "ask": 8}
    for key, found in whole_book(language).items():
        assert len(found) >= least.get(key[0], 3), key
        assert len({one.text for one in found}) == len(found), key
        held = len(book(language, "held-out")[key])
        assert held >= len(found) * 0.2 and held < len(found), key
    combined = book(language, "seen")
    for name in ATTRIBUTES:  # wordings that are put together
        before = ("before_last", "before_to_last", "before_to")
        assert len(combined["past", name]) * sum(len(combined[key, name]) for key in before) >= 8
        assert len(combined["changed", name]) * len(combined["when", "step"]) >= 8


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_template_is_both_seen_and_held_out(language):
    seen, held = ({one.text for found in book(language, which).values() for one in found} for which in PARTS)
    assert not seen & held


@pytest.mark.parametrize("name", OPEN)
def test_a_quarter_of_each_pool_is_held_out(name):
    seen, held = pool(name, "seen"), pool(name, "held-out")
    assert len(held) >= (len(seen) + len(held)) * 0.25
    assert not set(seen) & set(held)


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_seen_text_holds_a_held_out_value(language):
    """Not as a part of a longer value either, and not in a template's own words."""

    def run(text: str) -> str:
        return f" {' '.join(words(text))} "

    seen = [run(form) for name in LISTED for value in pool(name, "seen") for form in value.forms(language)]
    for found in book(language, "seen").values():
        seen += [run("".join(p if isinstance(p, str) else " @ " for p in one.pieces)) for one in found]
    seen = "".join(seen)
    held = {form for name in OPEN for value in pool(name, "held-out") for form in value.forms(language)}
    assert [form for form in held if run(form) in seen] == []


def test_seen_and_held_out_lives_share_no_sentence_of_their_own():
    def said(**options):
        return {
            e.text for seed in range(3) for e in Life(1500, seed, **options).events() if understand(e.text)
        }

    seen = said()
    assert not seen & said(templates="held-out")
    assert not seen & said(values="held-out")


@pytest.mark.parametrize("language", [*LANGUAGES, "mixed"])
@pytest.mark.parametrize("which", PARTS)
def test_the_vocabulary_holds_every_word(language, which):
    units = set(vocabulary(language, which, which))
    for seed in range(2):
        for text in texts(Life(1500, seed, language=language, templates=which, values=which)):
            assert unsplit(words(text)) == text
            assert set(words(text)) <= units, text


def test_the_seen_vocabulary_is_not_the_whole():
    assert set(vocabulary("en")) < set(vocabulary("en", "all", "all"))
    assert words("Omar's code, in el-Marg: 40?") == [
        "Omar", "'s", "code", ",", "in", "el-Marg", ":", "4", "0", "?"
    ]  # fmt: skip


def test_templates_agree():
    omar, mona = Value("Omar", "عمر"), Value("Mona", "منى", female=True)
    calm = Value("calm", "هادئ", "هادئة")
    went = template("<n:ذهب|ذهبت> {n} وأنا {v}.", "ar")
    assert went.render({"n": mona, "v": calm, "i": omar}) == "ذهبت منى وأنا هادئ."
    assert went.render({"n": omar, "v": calm, "i": mona}) == "ذهب عمر وأنا هادئة."
    other = template("{n}: {v:n}", "ar")
    assert other.render({"n": mona, "v": calm, "i": omar}) == "منى: هادئة"
    assert went.slots() == {"n", "v", "i"}
    assert re.fullmatch(went.pattern(), "ذهبت منى وأنا هادئ.")["n"] == "منى"


def test_english_values_are_always_written_alike():
    """No sentence begins with a value that is written small."""
    small = [("mention", name) for name in ("drink", "mood", "food")]
    for key in [*small, *(("change", name) for _, name in small), *(("state", kind) for kind in FACTS)]:
        for one in whole_book("en")[key]:
            first = one.pieces[0]
            assert isinstance(first, str) or first[0] in ("n", "a", "k"), one.text
            assert isinstance(first, str) or key[1] not in ("hide", "code", "price"), one.text


def test_arabic_is_plain():
    """No vowel marks, no direction marks, no Latin letters; only its own punctuation."""
    odd = re.compile("[\u064b-\u0652\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069A-Za-z?,;]")
    told = [text for seed in range(2) for text in texts(Life(3000, seed, language="ar"))]
    assert [text for text in told if odd.search(text)] == []
    assert all(text.isascii() for text in texts(Life(3000, 1)))


def test_every_sentence_can_be_read_whatever_its_values():
    """Each template with the values of its pools, one slot after the other, means what it was made to."""
    me = Value("I", "أنا", female=True)
    for language in LANGUAGES:
        for (what, *rest), found in whole_book(language).items():
            if what in ("mention", "change"):
                for one in found:
                    _check(one, rest[0], {"v": rest[0], "o": rest[0]}, me)
            elif what == "state":
                slots = {"k": f"key:{rest[0]}", "a": f"answer:{rest[0]}"}
                if rest[0] == "said":
                    slots = {"n": "name", "k": "key:said", "p": "claim"}
                for one in found:
                    _check(one, rest[0], slots, me)


def _check(one, name, pools_of, me):
    lists = {}
    for slot, listed in pools_of.items():
        values = [value for which in PARTS for value in pool(listed, which)][::3]
        lists[slot] = values or [Value("4719", "4719")]
    for slot, values in lists.items():
        for i, value in enumerate(values):
            slots = {other: many[i % len(many)] for other, many in lists.items()} | {slot: value, "i": me}
            said = understand(one.render(slots))
            assert said and said.name == name, one.render(slots)
            right = slots.get("a") or slots["n"] if "k" in lists else slots["v"]
            assert said.value.en == right.en and said.key is slots.get("k"), one.render(slots)


def test_what_is_not_about_me_says_nothing():
    for language in LANGUAGES:
        life = Life(6000, 1, language=language)
        for event, (_, group, _) in zip(life.events(), life.steps(Record())):
            assert (understand(event.text) is None) == (group[0] in ("distract", "filler")), event.text


def test_every_wording_of_a_time_can_be_read():
    for language in LANGUAGES:
        core, mark = ("Where was I", "?") if language == "en" else ("أين كنت", "؟")
        for how in PHRASES:
            for one in whole_book(language)["phrase", how]:
                values = {"T": "77", "D": "3 May 2031", "H": "five hours", "Y": "three days"}
                if language == "ar":
                    values |= {"D": "3 مايو 2031", "H": "5 ساعات", "Y": "3 أيام"}
                slots = {slot: Value(text, text) for slot, text in values.items()} | {"i": Value("I", "أنا")}
                asked = ask_what(f"{core} {one.render(slots)}{mark}")
                assert asked and (asked.form, asked.how, asked.name) == ("at", how, "location"), one.text


def test_holding_out_rounds_up():
    assert [held_out(n, 25) for n in (1, 4, 5, 8, 9)] == [1, 1, 2, 2, 3]
    assert part("abcde", "seen", 25) == ("a", "b", "c")
    with pytest.raises(ChronosError, match="no such part"):
        part("abc", "some", 25)


def test_what_is_put_together_is_listed_whole():
    assert len(things.BIRTHDAYS) == 12 * 28
    assert "under the blue rug" in {value.en for value in pool("answer:hide", "seen")}
    rug = next(value for value in pool("answer:hide", "seen") if value.en == "under the blue rug")
    assert rug.ar == "تحت السجادة الزرقاء"
