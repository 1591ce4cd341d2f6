"""The grammar that Arabic templates must leave to their slots: case, gender, and words that count as numbers.

It reads the templates only; what they mean is checked for both languages in test_data_cairo_wordings.py.
"""

import re

import pytest

from chronos.data.cairo.book import ATTRIBUTES, FACTS, book, whole_book
from chronos.data.cairo.templates import words
from chronos.data.cairo.values import PARTS
from chronos.tokenization.times import ALWAYS, candidates
from chronos.tokenization.units import fold, split

BOOK = whole_book("ar")
NAMED = {("companion", "v"), ("companion", "o"), *((kind, "k") for kind in ("phone", "birthday", "promise"))}
NAMED |= {("debt", "k"), ("meeting", "k"), ("lent", "a"), ("said", "n")}
BESIDE_A_TIME = ("past", "changed", "before_last", "before_to_last", "before_to", "clause", "now")
# Before a slot: words that put a name or a mood into the accusative, which would have to be written.
AFTER_INNA = re.compile(r"(?:^| )[ولفك]?(?:إن|أن|لأن|لكن|كأن) $")
AFTER_KANA = re.compile(r"(?:^| )[وف]?(?:كنت|صرت|أصبحت|أصير|بقيت|ظللت|لست|أكون|كان|صار|أصبح|تركني|جعلني) $")
# Verbs in a gender, before a drink or a food, which may be of either.
AGREES = re.compile(r"(?:^| )[وف]?(?:أعجبني|يعجبني|حل|حلت|يكفيني|تكفيني|صار|صارت|نفد|نفدت|جاء|جاءت) $")


def before(one):
    """Each slot of a template with the words right before it (its man's form where there are two)."""
    text = ""
    for piece in one.pieces:
        if isinstance(piece, str):
            text += piece
        elif len(piece) == 3:
            text += piece[1]
        else:
            yield piece, text
            text = ""


def slots():
    for key, found in BOOK.items():
        for one in found:
            for slot, text in before(one):
                yield key, one, slot, text


def test_names_and_moods_stand_in_no_accusative_that_shows():
    for key, one, (slot, _), text in slots():
        if slot in ("n", "m") or (key[-1], slot) in NAMED:
            assert not AFTER_INNA.search(text), one.text
        if key[-1] == "mood" and slot in ("v", "o"):
            assert not AFTER_KANA.search(text) and not AFTER_INNA.search(text), one.text


def test_no_verb_agrees_with_a_drink_or_a_food():
    for key, one, (slot, _), text in slots():
        if key[-1] in ("drink", "food") and slot in ("v", "o"):
            assert not AGREES.search(text), one.text


def test_a_colour_agrees_with_its_noun_and_not_with_who_tells_the_life():
    colours = [(one, slot) for _, one, slot, _ in slots() if slot[0] == "c"]
    assert colours and all(slot == ("c", "c") for _, slot in colours)


def test_a_value_stands_once_in_a_template():
    for found in BOOK.values():
        for one in found:
            values = [piece[0] for piece in one.pieces if len(piece) == 2 and not isinstance(piece, str)]
            assert len(values) == len(set(values)), one.text


def test_what_stands_beside_a_time_counts_nothing():
    """In Arabic "a day" and "an hour" are numbers, too; only a birthday is asked for by its day."""
    for key, found in BOOK.items():
        if key[0] in BESIDE_A_TIME:
            for one in found:
                text = " @ ".join(piece for piece in one.pieces if isinstance(piece, str))
                assert len(candidates(split(text))) == len(ALWAYS) or key == ("clause", "birthday"), one.text


@pytest.mark.parametrize("name", [*ATTRIBUTES, *FACTS])
def test_held_out_words_are_known_in_the_same_meaning(name):
    """Of the words of held-out templates on a subject seven in eight stand in seen ones on it."""

    def said(which: str) -> set[str]:
        found = [one for key, ones in book("ar", which).items() if key[-1] == name for one in ones]
        return {fold(w) for one in found for text in one.literals() for w in words(text) if w[0].isalpha()}

    seen, held = map(said, PARTS)
    assert 8 * len(held - seen) <= len(held), held - seen
