"""Write the ranges of 03-tokenization's categories.py and normalizers.py: the Unicode of `tokenizers`.

It asks that library about every code point and imports nothing of ours, so that the table cannot agree with
us by construction. Needs `tokenizers`: `python tests/oracle/make_token_categories.py`.
"""

import textwrap
from pathlib import Path

from tokenizers import Regex, normalizers, pre_tokenizers

STAGE = Path(__file__).parent.parent.parent / "03-tokenization"
CLASSES = {"LETTER": r"\p{L}", "NUMBER": r"\p{N}", "SPACE": r"\s"}


def members(pattern: str) -> list[int]:
    """The code points that match a class, in order; surrogates are in none."""
    keep = pre_tokenizers.Split(Regex(f"[^{pattern}]"), "removed")
    found = []
    for start in range(0, 0x110000, 0x1000):
        text = "".join(chr(p) for p in range(start, start + 0x1000) if not 0xD800 <= p < 0xE000)
        found += [ord(character) for word, _ in keep.pre_tokenize_str(text) for character in word]
    return found


def ranges(points: list[int]) -> str:
    """Sorted code points as hexadecimal ranges: "41-5a 61-7a aa"."""
    runs: list[list[int]] = []
    for point in points:
        if runs and point == runs[-1][1] + 1:
            runs[-1][1] = point
        else:
            runs.append([point, point])
    return " ".join(f"{low:x}" if low == high else f"{low:x}-{high:x}" for low, high in runs)


def composing() -> list[int]:
    """The characters that NFC changes, moves or joins, and those they are made of; no other can matter."""
    nfd = normalizers.NFD().normalize_str
    found: set[str] = set()
    for point in range(0x110000):
        if 0xD800 <= point < 0xE000:
            continue
        one = chr(point)
        parts = nfd(one)
        # A mark of class 230 goes behind those below it, one of class 1 before those above it.
        moves = nfd(f"a\u0301{one}") != f"a\u0301{parts}" or nfd(f"a{one}\u0334") != f"a{parts}\u0334"
        if parts != one or moves:
            found.update(one, parts)
    return sorted(map(ord, found))


def write(path: Path, name: str, points: list[int]) -> None:
    lines = "\n".join(textwrap.wrap(ranges(points), 108, break_on_hyphens=False))
    before, opening, rest = path.read_text(encoding="utf-8").partition(f'\n{name} = """\n')
    assert opening, name
    path.write_text(before + opening + lines + "\n" + rest[rest.index('"""') :], encoding="utf-8")
    print(f"{path}: {name}, {len(points)} characters")


def main() -> None:
    for name, pattern in CLASSES.items():
        write(STAGE / "categories.py", name, members(pattern))
    write(STAGE / "normalizers.py", "COMPOSING", composing())


if __name__ == "__main__":
    main()
