"""The rules of quality: which statistic of a document has to lie between which bounds, and who proposed it.

Only names and numbers; the statistics are computed in quality.py. Off unless asked for by name or by set:
`Options(filters=("gopher", "c4-sentences"))`.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from chronos.console import ChronosError
from chronos.settings import did_you_mean

# A document's statistics, in the order in which they are stored; shares lie between 0 and 1.
STATISTICS = {
    "words": "words, as white space parts them",
    "word_length": "mean length of a word in characters",
    "letters": "share of words with a letter",
    "digits": "share of characters that are digits",
    "symbols": "hash signs and ellipses a word",
    "stop_words": "how many of the, be, to, of, and, that, have, with occur",
    "bullets": "share of lines that start with a bullet",
    "ellipses": "share of lines that end in an ellipsis",
    "punctuated": "share of lines that end in . ! ? … or a quotation mark",
    "short_lines": "share of lines of fewer than 30 characters",
    "repeated_lines": "share of lines that stood there before",
    "repeated_line_characters": "share of the lines' characters in such lines",
    "repeated_paragraphs": "share of paragraphs that stood there before",
    "top_2gram": "share of the words' characters in the 2-gram that holds most",
    "top_3gram": "the same for 3-grams",
    "top_4gram": "the same for 4-grams",
    "repeated_5grams": "share of the words' characters in 5-grams that occur twice or more",
    "repeated_10grams": "the same for 10-grams",
    "sentences": "ends of sentences",
    "lorem": "how often lorem ipsum occurs",
    "braces": "curly brackets",
}

SCRIPTS = ("latin", "arabic", "cyrillic", "greek", "hebrew", "devanagari", "thai", "hangul", "cjk")


@dataclass(frozen=True)
class Rule:
    """A document passes if `low` ≤ statistic ≤ `high`."""

    statistic: str
    low: float = 0.0
    high: float = float("inf")


# Rae et al. 2021 (Gopher), appendix A.1.1: "gopher" and, of its table A1, "repetition". Raffel et al. 2020
# (C4), section 2.2, as rules on whole documents. Penedo et al. 2024 (FineWeb), section 3.6.
RULES = {
    "gopher-words": Rule("words", 50, 100_000),
    "gopher-word-length": Rule("word_length", 3, 10),
    "gopher-symbols": Rule("symbols", high=0.1),
    "gopher-bullets": Rule("bullets", high=0.9),
    "gopher-ellipses": Rule("ellipses", high=0.3),
    "gopher-letters": Rule("letters", 0.8),
    "gopher-stop-words": Rule("stop_words", 2),
    "repetition-lines": Rule("repeated_lines", high=0.3),
    "repetition-line-characters": Rule("repeated_line_characters", high=0.2),
    "repetition-paragraphs": Rule("repeated_paragraphs", high=0.3),
    "repetition-2grams": Rule("top_2gram", high=0.2),
    "repetition-3grams": Rule("top_3gram", high=0.18),
    "repetition-4grams": Rule("top_4gram", high=0.16),
    "repetition-5grams": Rule("repeated_5grams", high=0.15),
    "repetition-10grams": Rule("repeated_10grams", high=0.1),
    "c4-sentences": Rule("sentences", 5),
    "c4-lorem-ipsum": Rule("lorem", high=0),
    "c4-braces": Rule("braces", high=0),
    "fineweb-punctuation": Rule("punctuated", 0.12),
    "fineweb-short-lines": Rule("short_lines", high=0.67),
    "fineweb-line-characters": Rule("repeated_line_characters", high=0.1),
}
SETS = {
    name: tuple(rule for rule in RULES if rule.startswith(f"{name}-"))
    for name in ("gopher", "repetition", "c4", "fineweb")
}
_SCRIPT_RULES = tuple(f"script-{name}" for name in SCRIPTS)


def check_filters(names: Iterable[str]) -> None:
    """ChronosError, with the nearest known name, for a name that is no rule and no set of rules."""
    known = (*RULES, *SETS, *_SCRIPT_RULES)
    for name in names:
        if name not in known:
            raise ChronosError(f"unknown filter {name!r}", mend=did_you_mean(name, known))


def chosen(names: Iterable[str]) -> tuple[str, ...]:
    """The rules that the names stand for, each once, in the order of this file (script rules last)."""
    wanted = {rule for name in names for rule in SETS.get(name, (name,))}
    return tuple(rule for rule in (*RULES, *_SCRIPT_RULES) if rule in wanted)
