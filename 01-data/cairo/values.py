"""Values with an English and an Arabic form, pools of them, and which of a pool are held out.

A value knows its forms and its grammatical gender; it knows nothing of sentences. Used by the pools.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from chronos.console import ChronosError

T = TypeVar("T")

LANGUAGES = ("en", "ar")
PARTS = ("seen", "held-out")


def language_of(text: str) -> str:
    """Arabic ("ar") where a letter of the text is, else English ("en")."""
    return "ar" if any("\u0600" <= letter <= "\u06ff" for letter in text) else "en"


@dataclass(frozen=True, slots=True, eq=False)
class Value:
    """A word or a few, in both languages; `ar_f` is said of a woman, `female` is the value's own gender."""

    en: str
    ar: str
    ar_f: str = ""
    female: bool = False

    def form(self, language: str, female: bool = False) -> str:
        """The text in a language, agreeing with somebody who is `female` or not."""
        if language == "en":
            return self.en
        return self.ar_f if female and self.ar_f else self.ar

    def forms(self, language: str) -> tuple[str, ...]:
        """All texts that may stand for it in a language, the plain one first."""
        if language == "en":
            return (self.en,)
        return (self.ar, self.ar_f) if self.ar_f else (self.ar,)


def number(n: int) -> Value:
    """Digits are written the same in both languages."""
    return Value(str(n), str(n))


def pool(text: str, female: bool = False) -> tuple[Value, ...]:
    """Values from "English | Arabic | Arabic of a woman; …"; a leading "f:" makes one of them female."""
    values = []
    for entry in text.replace("\n", " ").split(";"):
        if entry := entry.strip():
            own = entry.startswith("f:")
            forms = [form.strip() for form in entry.removeprefix("f:").split("|")]
            values.append(Value(*forms, female=own or female))
    return tuple(values)


def held_out(n: int, percent: int) -> int:
    """How many of n are held out: `percent`, rounded up, and at least one."""
    return max(1, -(-n * percent // 100))


def part(items: Sequence[T], which: str, percent: int) -> tuple[T, ...]:
    """The seen or the held-out items of a list: the last `percent` (rounded up) are held out, for ever."""
    if which not in PARTS:
        raise ChronosError("no such part of the templates or values", expected="seen or held-out", got=which)
    cut = len(items) - held_out(len(items), percent)
    return tuple(items[:cut] if which == "seen" else items[cut:])
