"""The tokenizer of words: its units, which spellings are one word, lasting numbers, files and refusals."""

import copy
import json
import sys
import time
import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronos.console import ChronosError
from chronos.data.cairo import templates
from chronos.data.cairo.life import Life
from chronos.tokenization import units
from chronos.tokenization.categories import spans
from chronos.tokenization.factory import load_tokenizer, train_tokenizer
from chronos.tokenization.layout import WORD_SPECIALS
from chronos.tokenization.tokenizer import StreamDecoder, Tokenizer
from chronos.tokenization.units import fold, join, places, split
from chronos.tokenization.words import DIGITS, MONTHS, WordTokenizer, word_hash

TEXTS = ["Where am I? I am at the Mill.", "the mill, the lamp's THE Lamp", "أين أنا؟ أنا في القاهرة."]
FIRST = len(WORD_SPECIALS)
ANY_TEXT = st.text(st.characters(exclude_categories=("Cs",)))


@pytest.fixture(scope="module")
def ours():
    return train_tokenizer("words", TEXTS)


@pytest.fixture(scope="module")
def told():
    """What two lives say, are asked and answer, in both languages, seen and held out."""
    texts = []
    for which in ("seen", "held-out"):
        life = Life(2500, 4, language="mixed", templates=which, values=which)
        texts += [event.text for event in life.events()]
        texts += [text for q in life.questions() for text in (q.question, q.answer, *q.accept)]
    return texts


# ---- units -------------------------------------------------------------------------------------------------


def test_units_are_those_of_the_lives_and_join_to_their_texts(told):
    for text in told:
        assert split(text) == templates.words(text), text
        assert join(split(text)) == text


LIKE_CAIRO = st.text(st.sampled_from("abcSs''--'s 019٤é.,?؟،!:;(أنينا\u0639"), max_size=30)


@given(LIKE_CAIRO)
def test_units_are_those_of_cairo_for_letters_digits_and_marks(text):
    expected = templates.words(text.replace("'S", "x"))
    assert split(text.replace("'S", "x")) == expected
    assert join(expected) == templates.unsplit(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Omar's at 40.", ["Omar", "'s", "at", "4", "0", "."]),
        ("MIA'S it’s 'sun", ["MIA", "'S", "it", "’s", "'", "sun"]),
        ("don't well-known -x- a_b", ["don't", "well-known", "-", "x", "-", "a", "_", "b"]),
        ("café e\u0301té", ["café", "e\u0301té"]),
        ("مُحَمَّد می‌خواهم ٤٠", ["مُحَمَّد", "می‌خواهم", "٤", "٠"]),
        ("½ⅷ 1\u20e3 \u0301a", ["½", "ⅷ", "1", "\u20e3", "\u0301", "a"]),
        ("हिन्दी 日本 🙂\x00", ["हिन्दी", "日本", "🙂", "\x00"]),
        ("𐐀𐐨 𝟘", ["𐐀𐐨", "𝟘"]),
        (" \t\u00a0\u2003\n", []),
    ],
)
def test_units(text, expected):
    assert split(text) == expected


@given(ANY_TEXT)
def test_every_character_but_white_space_stands_in_one_unit(text):
    at = places(text)
    assert [text[start:end] for start, end in at] == split(text) and "" not in split(text)
    covered = [place for start, end in at for place in range(start, end)]
    assert len(covered) == len(set(covered))
    assert not "".join(text[i] for i in range(len(text)) if i not in set(covered)).strip()


def test_marks_are_those_of_unicode():
    marks = {point for first, last in spans(units.MARK) for point in range(first, last + 1)}
    known = [p for p in range(sys.maxunicode + 1) if unicodedata.category(chr(p)) not in ("Cn", "Cs")]
    found = {p for p in known if unicodedata.category(chr(p)).startswith("M")}
    assert found >= marks & set(known)
    assert found <= marks or int(unicodedata.unidata_version.split(".")[0]) > 16
    letters = "".join("a" + chr(point) for point in sorted(marks))
    assert split(letters) == [letters]


def test_a_text_of_any_alphabet_is_cut_by_one_rule():
    """The three sizes of the pattern agree: what a text needs of it does not change its units."""
    for text in ("Omar's at 40.", "don't _ x-ray's"):
        for more in ("é", "🙂"):
            assert split(f"{text} {more}") == [*split(text), more]
    assert split("café 🙂") == [*split("café"), "🙂"]


# ---- spellings ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "spellings",
    [
        ("Cairo", "cairo", "CAIRO"),
        ("café", "cafe\u0301", "CAFÉ"),
        ("Straße", "STRASSE"),
        ("don't", "don’t", "Don\u2019T"),
        ("محمد", "مُحَمَّد", "محـــمد"),
        ("co-op", "co\u2010op", "CO\u2011OP"),
        ("cooperate", "co\u00adoperate", "co\u200doperate"),
    ],
)
def test_spellings_of_one_word(spellings, ours):
    assert len({fold(spelling) for spelling in spellings}) == 1
    assert len({i for spelling in spellings for i in ours.encode(spelling).tolist()}) == 1


def test_words_that_stay_apart():
    words = ["resume", "résumé", "على", "علي", "أنا", "انا", "-", "'", "\u064e", "ـ"]
    assert len({fold(word) for word in words}) == len(words) and "" not in map(fold, words)


def test_a_folded_word_is_folded():
    for point in (*range(0, 0xD800, 5), *range(0xE000, 0x1F000, 5)):
        for one in (chr(point), chr(point + 1) + "\u0301"):
            assert fold(fold(one)) == fold(one), hex(point)


# ---- ids ---------------------------------------------------------------------------------------------------


def test_an_unknown_word_has_the_same_number_for_ever(ours):
    assert word_hash("zamalek") == 1503796492468103603
    assert word_hash("القاهرة") == 3428096979513800184
    for word in ("Zamalek", "ZAMALEK"):
        assert ours.encode(word).tolist() == [ours.vocab_size + word_hash("zamalek")]
    numbers = {word_hash(str(i)) for i in range(20_000)}
    assert len(numbers) == 20_000 and 2**61 < max(numbers) < 2**62 and min(numbers) < 2**49


def test_frequent_words_come_first_and_ties_by_code_point(ours):
    by_id = sorted(ours.layout.vocab, key=ours.layout.vocab.__getitem__)
    assert by_id[FIRST : FIRST + 7] == ["the", ".", "am", "i", "lamp", "mill", "أنا"]
    assert set(by_id[-len(DIGITS) - len(MONTHS) :]) == {*DIGITS, *map(fold, MONTHS)}


def test_a_word_is_written_as_it_was_seen_most_often(ours):
    assert ours.decode(ours.encode("THE MILL LAMP i أَنَا")) == "the Mill Lamp I أنا"
    assert ours.decode(ours.encode("where march 12")) == "Where March 12"  # digits and months: always


def test_the_size_is_kept_and_rare_words_are_left_out():
    texts = [" ".join(f"{chr(97 + i)}x " * (30 - i) for i in range(26)), "march May may"]
    smallest = FIRST + len(DIGITS) + len(MONTHS)
    tokenizer = train_tokenizer("words", texts, smallest + 3)
    assert tokenizer.vocab_size == smallest + 3
    known = [word for word in "ax bx cx dx".split() if tokenizer.encode(word)[0] < tokenizer.vocab_size]
    assert known == ["ax", "bx", "cx"]
    assert tokenizer.encode(" ".join((*DIGITS, *MONTHS))).max() < tokenizer.vocab_size
    assert tokenizer.decode(tokenizer.encode("MARCH May")) == "march May"
    rare = WordTokenizer.train(["a a b"], least=2)
    assert rare.encode("a")[0] < rare.vocab_size <= rare.encode("b")[0]
    with pytest.raises(ChronosError, match=f"expected --vocab {smallest} to"):
        train_tokenizer("words", texts, smallest - 1)
    with pytest.raises(ChronosError, match="no words to learn from"):
        train_tokenizer("words", [" \n"])


def test_many_texts_at_once(ours, told):
    some = [*told[:300], "", "Zork 12", " "]
    ids, ends = ours.encode_ragged(some)
    assert ids.dtype == ends.dtype == np.int64 and len(ends) == len(some) and ends[-1] == len(ids)
    for text, many, start, end in zip(some, ours.encode_many(some), [0, *ends], ends, strict=False):
        one = ours.encode(text)
        assert one.dtype == np.int64 and len(one) == len(ours.units(text))
        assert one.tolist() == many.tolist() == ids[start:end].tolist()
    assert [len(part) for part in ours.encode_ragged([])] == [0, 0]


def test_the_cache_of_spellings_is_bounded(monkeypatch):
    monkeypatch.setattr("chronos.tokenization.words._CACHED", 4)
    tokenizer = train_tokenizer("words", TEXTS)
    text = "a b c d e f g the " + "x" * 100
    before = tokenizer.encode(text).tolist()
    assert len(tokenizer._ids) <= 4 and max(map(len, tokenizer._ids)) < 100
    assert tokenizer.encode(text).tolist() == before and before[-2] == FIRST


# ---- texts again -------------------------------------------------------------------------------------------


def test_lives_come_back_with_what_is_unknown(ours, told):
    known = ours.unknown(told)
    assert known and all(i >= ours.vocab_size for i in known)
    for text in told[-100:]:
        assert fold(ours.decode(ours.encode(text), known)) == fold(text)
    assert ours.decode(ours.encode("the Zork's lamp")) == "the \ufffd's Lamp"
    assert ours.unknown(["Zork ZORK the"]) == {ours.vocab_size + word_hash("zork"): "Zork"}


def test_special_tokens(ours):
    assert ours.specials == {name: i for i, name in enumerate(WORD_SPECIALS)}
    assert (ours.pad, ours.start, ours.end, ours.unk, ours.mask, ours.answer) == (0, 1, 2, 3, 4, 5)
    assert ours.encode("the<answer>", allow_special=True).tolist() == [FIRST, 5]
    assert ours.encode("<answer>", allow_special=True).dtype == np.int64
    assert 5 not in ours.encode("the<answer>").tolist()
    assert ours.decode([1, FIRST, 5, 3, 2]) == "the \ufffd" and ours.decode([]) == ""


@pytest.mark.parametrize("wrong", [[-1], [2**62 + 10_000], [1.5], [[1]]])
def test_what_is_no_id(ours, wrong):
    with pytest.raises(ChronosError, match=r"no such id|flat list of integers"):
        ours.decode(wrong)


def test_half_a_surrogate_pair_is_named(ours):
    for refused in (lambda: ours.encode("a \ud800"), lambda: train_tokenizer("words", ["a \ud800"])):
        with pytest.raises(ChronosError, match=r"lone surrogate U\+D800"):
            refused()


def test_what_needs_bytes_token_by_token_is_refused(ours):
    assert isinstance(ours, Tokenizer)
    with pytest.raises(ChronosError, match="kind words cannot decode token by token"):
        StreamDecoder(ours).feed(FIRST)


# ---- files -------------------------------------------------------------------------------------------------


def test_a_saved_tokenizer_is_the_same(ours, told, tmp_path):
    again = load_tokenizer(ours.save(tmp_path / "deep" / "folder").parent)
    assert type(again) is WordTokenizer and again.hash == ours.hash and again.surfaces == ours.surfaces
    for text in told[:50]:
        assert again.encode(text).tolist() == ours.encode(text).tolist()
    assert train_tokenizer("words", iter(TEXTS)).hash == ours.hash
    assert train_tokenizer("words", [*TEXTS, "THE THE THE THE"]).hash != ours.hash  # another surface


def damaged(document, how):
    """The document with one thing wrong."""
    document = copy.deepcopy(document)
    model, vocab = document["model"], document["model"]["vocab"]
    if how == "a gap":
        vocab["zork"] = len(vocab) + 1
    elif how == "specials":
        vocab["<pad>"], vocab["<end>"] = 2, 0
    elif how == "unfolded":
        vocab["Zork"] = len(vocab)
    elif how == "surface":
        model["chronos"]["surfaces"]["mill"] = "Lamp"
    elif how == "stray surface":
        model["chronos"]["surfaces"]["zork"] = "Zork"
    elif how == "no text":
        model["chronos"]["surfaces"]["mill"] = 7
    elif how == "half a pair":
        vocab["\ud800"] = len(vocab)
    elif how == "empty":
        vocab[""] = len(vocab)
    elif how == "kind":
        model["chronos"]["kind"] = "stems"
    elif how == "no surfaces":
        del model["chronos"]["surfaces"]
    elif how == "plain":
        del model["chronos"]
    elif how == "rule":
        document["pre_tokenizer"]["pattern"]["Regex"] = "."
    elif how == "fold":
        document["normalizer"] = None
    elif how == "added":
        document["added_tokens"].pop()
    elif how == "same id":
        vocab["the"] = vocab["mill"]
    return document


DAMAGE = {
    "a gap": "not numbered in order",
    "specials": "ids 0 to 5 are not <pad>",
    "unfolded": "'Zork' is not written 'Zork'",
    "surface": "'mill' is not written 'Lamp'",
    "stray surface": "'zork' is written in some way and has no id",
    "no text": "'mill' is not written 7",
    "half a pair": r"is not written '\\ud800'",
    "empty": "the word '' is not written ''",
    "kind": "the kind 'stems'",
    "no surfaces": "no dict 'surfaces'",
    "plain": "not single characters",
    "rule": "another pre_tokenizer",
    "fold": "another normalizer",
    "added": "ids 0 to 5 are not",
    "same id": "have the same id",
}


@pytest.mark.parametrize("how", DAMAGE)
def test_a_damaged_file_is_refused(ours, tmp_path, how):
    file = tmp_path / "tokenizer.json"
    file.write_text(json.dumps(damaged(ours.to_json(), "")))
    assert load_tokenizer(file).hash == ours.hash
    file.write_text(json.dumps(damaged(ours.to_json(), how)))
    with pytest.raises(ChronosError, match=DAMAGE[how]) as error:
        load_tokenizer(file)
    assert str(file) in str(error.value) and "\n" not in str(error.value)


def test_encoding_is_fast(told):
    """Hundreds of thousands of sentences a second on one core; a tenth of that would be a slow path taken."""
    tokenizer = train_tokenizer("words", told)
    english = [text for text in told if text.isascii()] * 4
    tokenizer.encode_ragged(english[:1000])
    best = min(_seconds(lambda: tokenizer.encode_ragged(english)) for _ in range(3))
    assert len(english) / best > 60_000


def _seconds(run):
    began = time.process_time()
    run()
    return time.process_time() - began
