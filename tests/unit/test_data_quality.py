"""Quality: each statistic on texts counted by hand, each rule seen to drop, the report and its picture."""

import json
import sys

import pytest

from chronos.console import ChronosError
from chronos.data.corpus.config import Options
from chronos.data.corpus.prepare import prepare
from chronos.data.corpus.quality import broken, script, statistics
from chronos.data.corpus.rules import RULES, SETS, STATISTICS, check_filters, chosen

GOOD = """\
The keeper of the lighthouse went down to the river one day with a lamp and two coats.
Nobody had told him that the bridge was gone, and so he stood there until it was dark.
"Have you seen my brother?" asked a voice from somewhere on the other bank.
He lifted his light, but all that it showed was water, reeds and the wing of a bird.
It was late. Nobody spoke again! Was that all? It was, as far as anyone knows."""


def test_statistics_counted_by_hand():
    found = statistics("- one two\nThe end…\n\n  The end… \nx 12 #{ A b? and of\n\nlorem ipsum.")
    assert list(found) == list(STATISTICS)
    assert found["words"] == 16 and found["lorem"] == 1 and found["braces"] == 1
    assert found["letters"] == 13 / 16  # not -, 12, #{
    assert found["word_length"] == 45 / 16
    assert found["symbols"] == 3 / 16 and found["stop_words"] == 3
    assert found["bullets"] == 1 / 5 and found["ellipses"] == 2 / 5 and found["punctuated"] == 3 / 5
    assert found["short_lines"] == 1 and found["repeated_lines"] == 1 / 5
    assert found["repeated_line_characters"] == 8 / (9 + 8 + 8 + 19 + 12)
    assert found["repeated_paragraphs"] == 0 and found["sentences"] == 2
    assert found["digits"] == 2 / 65


def test_a_text_of_nothing():
    assert set(statistics(" \n\n ").values()) == {0}
    assert statistics("word")["top_2gram"] == 0 == statistics("word")["repeated_5grams"]


def slow_grams(words):
    """The shares by their definition."""
    total = sum(map(len, words))
    found = {}
    for n in (2, 3, 4):
        grams = [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]
        held = [grams.count(gram) * sum(map(len, gram)) for gram in set(grams) if grams.count(gram) > 1]
        found[f"top_{n}gram"] = max(held, default=0) / total
    for n in (5, 10):
        grams = [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]
        inside = {i + k for i, gram in enumerate(grams) if grams.count(gram) > 1 for k in range(n)}
        found[f"repeated_{n}grams"] = sum(len(words[i]) for i in inside) / total
    return found


@pytest.mark.parametrize(
    "text", [GOOD, GOOD + " " + GOOD[:90], "so it goes " * 9, "a b a b a", "one two three"]
)
def test_shares_of_grams_are_those_of_the_definition(text):
    found = statistics(text)
    for name, share in slow_grams(text.split()).items():
        assert found[name] == pytest.approx(share), name


BAD = {
    "gopher-words": "Too short to be a document.",
    "gopher-word-length": "a b c d e f g h of the and to " * 10,
    "gopher-symbols": GOOD + " # # # # # # # # # # # # #",
    "gopher-bullets": "\n".join("- " + line for line in GOOD.split("\n")),
    "gopher-ellipses": GOOD.replace(".\n", "...\n"),
    "gopher-letters": GOOD + " 12 34 56" * 12,
    "gopher-stop-words": " ".join(f"palabra{c} distinta{c}" for c in "abcdefghijklmnopqrstuvwxyz" * 2),
    "repetition-lines": GOOD + "\nOh no." * 5,
    "repetition-line-characters": GOOD + "\n" + GOOD.split("\n")[0] + "\n" + GOOD.split("\n")[1],
    "repetition-paragraphs": GOOD + "\n\nAha." * 3,
    "repetition-2grams": GOOD + " over again" * 30,
    "repetition-3grams": GOOD + " now and again" * 20,
    "repetition-4grams": GOOD + " now and then again" * 15,
    "repetition-5grams": GOOD + " " + " ".join(GOOD.split()[:30]),
    "repetition-10grams": GOOD + " " + " ".join(GOOD.split()[:30]),
    "c4-sentences": GOOD.replace(".", "").replace("!", "").replace("?", ""),
    "c4-lorem-ipsum": GOOD + " Lorem ipsum dolor sit amet.",
    "c4-braces": GOOD + " function() { return; }",
    "fineweb-punctuation": GOOD.replace(".", "").replace("!", "").replace("?", ""),
    "fineweb-short-lines": GOOD + "\nshort.\nlines.\nof.\nall.\nsorts.\nand.\nkinds.\nyes.\nor.\nno.\nthat.",
    "fineweb-line-characters": GOOD + "\n" + GOOD.split("\n")[0],
    "script-latin": "Это совсем другой алфавит, а не латинский.",
}


def test_every_rule_has_a_text_that_breaks_it():
    assert set(BAD) == {*RULES, "script-latin"}


@pytest.mark.parametrize("rule", BAD)
def test_each_rule_drops_what_it_should_and_keeps_good_text(rule):
    assert broken(BAD[rule], statistics(BAD[rule]), [rule]) == rule
    assert broken(GOOD, statistics(GOOD), [rule]) is None


def test_names_and_sets():
    assert chosen(["gopher"]) == SETS["gopher"] and len(SETS["gopher"]) == 7
    assert sum(map(len, SETS.values())) == len(RULES)
    assert chosen(["script-latin", "c4-braces", "c4"]) == (*SETS["c4"], "script-latin")
    with pytest.raises(ChronosError, match="unknown filter 'gofer'; did you mean 'gopher'"):
        check_filters(["gofer"])


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("plain", "latin"), ("déjà-vu, naïve", "latin"), ("В начале was слово", "cyrillic"),
        ("في البدء", "arabic"), ("שלום", "hebrew"), ("初めに言があった", "cjk"), ("태초에 말씀이", "hangul"),
        ("Ἐν ἀρχῇ", "greek"), ("आदि में", "devanagari"), ("ปฐมกาล", "thai"), ("123 !", ""), ("… 1", ""),
    ],
)  # fmt: skip
def test_scripts(text, name):
    assert script(text) == name


def corpus(path, n=40):
    rows = [GOOD.replace("two coats", f"{i} coats") for i in range(n)] + list(BAD.values())
    path.write_text("".join(json.dumps({"text": row}) + "\n" for row in rows))
    return path


def test_the_report_counts_every_drop_with_an_example(tmp_path):
    source = corpus(tmp_path / "rows.jsonl")
    stats = prepare(source, tmp_path / "out", options=Options(filters=("gopher", "c4", "script-latin")))
    quality = stats["quality"]
    assert quality["documents"] == 40 + len(BAD)
    assert quality["kept"] == stats["documents"] == quality["documents"] - sum(quality["dropped"].values())
    assert quality["dropped"]["gopher-words"] == 2  # the short one, and the Russian one
    assert quality["examples"]["c4-braces"].startswith(f"{source}:") and quality["dropped"]["c4-braces"] == 1
    assert quality["mean"]["kept"]["words"] > quality["mean"]["dropped"]["letters"] > 0
    assert json.loads((tmp_path / "out" / "stats.json").read_text())["quality"] == quality
    assert stats["options"]["filters"] == ("gopher", "c4", "script-latin")
    unfiltered = prepare(source, tmp_path / "all", options=Options(report=True))
    assert unfiltered["quality"]["dropped"] == {} and unfiltered["documents"] == quality["documents"]


def test_the_picture_is_the_same_every_time(tmp_path):
    pytest.importorskip("matplotlib")
    pictures = []
    for name in "ab":
        prepare(corpus(tmp_path / "rows.jsonl"), tmp_path / name, options=Options(filters=("gopher",)))
        pictures.append((tmp_path / name / "quality.svg").read_bytes())
    assert pictures[0] == pictures[1] and b"gopher-letters" in pictures[0]


def test_without_matplotlib_there_is_a_word_and_no_picture(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    prepare(corpus(tmp_path / "rows.jsonl"), tmp_path / "out", options=Options(report=True))
    assert not (tmp_path / "out" / "quality.svg").exists()
    assert "no picture" in capsys.readouterr().out


def test_filters_that_leave_nothing_say_so(tmp_path):
    source = corpus(tmp_path / "rows.jsonl")
    with pytest.raises(ChronosError, match="the filters have left nothing"):
        prepare(source, tmp_path / "out", options=Options(filters=("script-thai",)))
    assert not (tmp_path / "out").exists()


def test_a_book_is_kept_and_its_table_of_numbers_is_not(shared, tmp_path):
    every = Options(filters=("gopher", "repetition", "c4", "fineweb", "script-latin"))
    text = (shared / "data" / "text" / "Doyle_Hound_1902.txt").read_text(encoding="utf-8-sig")
    rules = [rule for rule in chosen(every.filters) if not rule.startswith("c4-braces")]
    assert broken(text, statistics(text), rules) is None
    numbers = "\n".join(f"{i} {i * i} {i * i * i}" for i in range(500))
    assert broken(numbers, statistics(numbers), rules) in ("gopher-letters", "gopher-stop-words")


def test_the_headers_of_rows_are_not_the_documents_own(tmp_path):
    """Three hash signs for a few words would break the rule of symbols in every instruction row."""
    words = "the lamp is to be had with that of the barn"
    rows = [{"instruction": f"{words} {i}?", "output": words} for i in range(30)]
    rows.append({"text": "## # # ## of the two"})
    (tmp_path / "r.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    stats = prepare(tmp_path / "r.jsonl", tmp_path / "out", options=Options(filters=("gopher-symbols",)))
    assert stats["quality"]["kept"] == 30 and stats["quality"]["dropped"] == {"gopher-symbols": 1}
