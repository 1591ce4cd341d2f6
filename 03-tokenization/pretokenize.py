r"""How text is cut into words before pairs are joined: GPT-2's pattern, GPT-4's, Qwen's, exactly, with `re`.

The patterns need the classes \p{L}, \p{N} and Unicode's \s, which `re` lacks; they come from categories.py,
so that words are the same under every Python. Cuts only; joined, the words are the text again.
"""

import re
from functools import cache

from chronos.console import ChronosError
from chronos.tokenization.categories import LETTER, NUMBER, SPACE, inside_brackets

_SHARED = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}%s| ?[^\s\p{L}\p{N}]+[\r\n]*"

# As tokenizer.json writes them. \S after \s+ leaves a last space to the word that follows.
# (tiktoken's own cl100k_base now joins white space at the very end of a text too, `\s++$`; Llama 3 does not.)
REGEXES = {
    "gpt2": r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",  # encoder.py
    "gpt4": _SHARED % "{1,3}" + r"|\s*[\r\n]+|\s+(?!\S)|\s+",  # cl100k_base, Llama 3
    "qwen2": _SHARED % "" + r"|\s*[\r\n]+|\s+(?!\S)|\s+",  # one digit a word
}
PATTERNS = (*REGEXES, "none")  # "none": a text is one word


def check_pattern(pattern: str) -> None:
    """ChronosError for a pattern of another name."""
    if pattern not in PATTERNS:
        raise ChronosError("unknown pattern", expected=", ".join(PATTERNS), got=repr(pattern))


@cache
def compiled(pattern: str) -> re.Pattern[str]:
    """A pattern of REGEXES for `re`, with its Unicode classes written out."""
    classes = {r"\p{L}": LETTER, r"\p{N}": NUMBER, r"\s": SPACE, r"\S": SPACE}
    inside = {name: inside_brackets(ranges) for name, ranges in classes.items()}
    name = re.compile(r"\\p\{[LN]\}|\\[sS]")

    def written_out(found: re.Match[str]) -> str:
        part = found[0]
        if part.startswith("["):
            return name.sub(lambda inner: inside[inner[0]], part)
        return ("[^" if part == r"\S" else "[") + inside[part] + "]"

    return re.compile(re.sub(rf"\[[^]]*\]|{name.pattern}", written_out, REGEXES[pattern]))


def split(text: str, pattern: str = "gpt2") -> list[str]:
    """The words of a text, most with their leading space; `"".join(split(text)) == text`."""
    if pattern == "none":
        return [text] if text else []
    return compiled(pattern).findall(text)
