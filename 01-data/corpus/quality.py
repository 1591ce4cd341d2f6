"""What a document is like in numbers, and the first rule that it breaks.

It judges form, not meaning, and nothing is dropped here; the rules and their sources stand in rules.py.
Used by `chronos.data.corpus.records` where filters or the report are asked for.
"""

import re
import zlib
from collections.abc import Mapping, Sequence

import numpy as np

from chronos.data.corpus.rules import RULES, SCRIPTS

STOP_WORDS = frozenset(("the", "be", "to", "of", "and", "that", "have", "with"))
BULLETS = ("•", "‣", "⁃", "◦", "▪", "●", "- ", "* ", "– ", "+ ")
ENDS = (".", "!", "?", '"', "'", "”", "’", "»", "。", "！", "？", "؟", "۔", "।", "…")
SHORT = 30
SAMPLE = 20_000  # characters from which the script is told

_LETTER = re.compile(r"[^\W\d_]")
_DIGIT = re.compile(r"\d")
_SYMBOL = re.compile(r"#|\.\.\.|…")
_SENTENCE = re.compile(r"[.!?][\"'”’)]*(?=\s|$)|[。！？؟۔।]")
_PARAGRAPH = re.compile(r"\n\s*\n")
_SCRIPT = {
    "latin": re.compile("[A-Za-zÀ-ÖØ-öø-\u024f\u1e00-\u1eff]"),
    "arabic": re.compile("[\u0620-\u064a\u066e-\u06d3\u06fa-\u06ff\u0750-\u077f]"),
    "cyrillic": re.compile("[\u0400-\u052f]"),
    "greek": re.compile("[\u0370-\u03ff\u1f00-\u1fff]"),
    "hebrew": re.compile("[\u05d0-\u05ea]"),
    "devanagari": re.compile("[\u0900-\u097f]"),
    "thai": re.compile("[\u0e00-\u0e5b]"),
    "hangul": re.compile("[\uac00-\ud7a3]"),
    "cjk": re.compile("[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]"),
}


def statistics(text: str) -> dict[str, float]:
    """The statistics named in rules.STATISTICS, in that order. Every share of nothing is 0."""
    words = text.split()
    lengths = np.fromiter(map(len, words), np.int64, len(words))
    total = int(lengths.sum())
    found: dict[str, float] = {
        "words": len(words),
        "word_length": _share(total, len(words)),
        "letters": _share(sum(_LETTER.search(word) is not None for word in words), len(words)),
        "digits": _share(len(_DIGIT.findall(text)), len(text)),
        "symbols": _share(len(_SYMBOL.findall(text)), len(words)),
        "stop_words": len(STOP_WORDS & {word.strip(".,;:!?\"'()").lower() for word in words}),
    }
    found |= _lines(text)
    found |= _grams(words, lengths, total)
    found["sentences"] = len(_SENTENCE.findall(text))
    found["lorem"] = text.lower().count("lorem ipsum")
    found["braces"] = text.count("{") + text.count("}")
    return found


def broken(text: str, found: Mapping[str, float], rules: Sequence[str]) -> str | None:
    """The first of the rules that a text with these statistics breaks."""
    for name in rules:
        if name in RULES:
            rule = RULES[name]
            passes = rule.low <= found[rule.statistic] <= rule.high
        else:
            passes = name == f"script-{script(text)}"
        if not passes:
            return name
    return None


def script(text: str) -> str:
    """The script of most letters in the beginning of a text, as a guess at its language; "" without any."""
    sample = text[:SAMPLE]
    if sample.isascii():
        return "latin" if _LETTER.search(sample) else ""
    counts = {name: len(_SCRIPT[name].findall(sample)) for name in SCRIPTS}
    best = max(SCRIPTS, key=counts.__getitem__)
    return best if counts[best] else ""


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def _lines(text: str) -> dict[str, float]:
    lines = [line for raw in text.split("\n") if (line := raw.strip())]
    count = len(lines)
    repeated, characters = _repeated(lines)
    paragraphs = [part for raw in _PARAGRAPH.split(text) if (part := raw.strip())]
    return {
        "bullets": _share(sum(line.startswith(BULLETS) for line in lines), count),
        "ellipses": _share(sum(line.endswith(("...", "…")) for line in lines), count),
        "punctuated": _share(sum(line.endswith(ENDS) for line in lines), count),
        "short_lines": _share(sum(len(line) < SHORT for line in lines), count),
        "repeated_lines": _share(repeated, count),
        "repeated_line_characters": _share(characters, sum(map(len, lines))),
        "repeated_paragraphs": _share(_repeated(paragraphs)[0], len(paragraphs)),
    }


def _repeated(items: list[str]) -> tuple[int, int]:
    """How many of the items stood there before, and their characters."""
    seen: set[str] = set()
    count = characters = 0
    for item in items:
        if item in seen:
            count += 1
            characters += len(item)
        seen.add(item)
    return count, characters


def _grams(words: list[str], lengths: np.ndarray, total: int) -> dict[str, float]:
    """Shares of the words' characters that n-grams hold, white space not counted."""
    hashes = np.fromiter((zlib.crc32(word.encode("utf-8")) for word in words), np.uint64, len(words))
    ends = np.concatenate([[0], np.cumsum(lengths)])
    found: dict[str, float] = {}
    for n in (2, 3, 4):
        keys, characters = _keys(hashes, n), ends[n:] - ends[:-n]
        found[f"top_{n}gram"] = _share(_most(keys, characters), total)
    for n in (5, 10):
        found[f"repeated_{n}grams"] = _share(_covered(_keys(hashes, n), lengths, n), total)
    return found


def _keys(hashes: np.ndarray, n: int) -> np.ndarray:
    """64 bits for each n-gram of words, (count − n + 1,)."""
    count = len(hashes) - n + 1
    if count < 1:
        return np.empty(0, np.uint64)
    keys = np.zeros(count, np.uint64)
    for i in range(n):
        keys = (keys ^ hashes[i : i + count]) * np.uint64(0x9E3779B97F4A7C15)
        keys ^= keys >> np.uint64(32)
    return keys


def _most(keys: np.ndarray, characters: np.ndarray) -> int:
    """Characters in the occurrences of the n-gram that, occurring twice or more, holds most of them."""
    if not len(keys):
        return 0
    _, first, counts = np.unique(keys, return_index=True, return_counts=True)
    held = counts * characters[: len(keys)][first]
    return int(held[counts > 1].max(initial=0))


def _covered(keys: np.ndarray, lengths: np.ndarray, n: int) -> int:
    """Characters of the words that lie in an n-gram which occurs twice or more, each counted once."""
    if not len(keys):
        return 0
    _, inverse, counts = np.unique(keys, return_inverse=True, return_counts=True)
    starts = np.flatnonzero(counts[inverse.ravel()] > 1)
    cover = np.zeros(len(lengths) + 1, np.int64)
    np.add.at(cover, starts, 1)
    np.add.at(cover, starts + n, -1)
    return int(lengths[np.cumsum(cover[:-1]) > 0].sum())
