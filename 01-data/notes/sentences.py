"""Sentences: where running text may be cut into events, without a model.

It knows marks, abbreviations and lengths, no grammar. What has no marks is cut by length here, or by surprise
in `chronos.memory.segmentation`.
"""

import re

MOST_WORDS = 64  # of one event
MOST_CHARACTERS = 1024  # of one event: a megabyte without a space is cut too

# What stands before a full stop that ends no sentence, in small letters.
_SHORT = frozenset(
    "dr mr mrs ms mx prof st sr jr vs etc eg ie cf no nr vol fig figs ch pp ca approx est inc ltd co corp "
    "dept gen col capt lt sgt rev hon gov sen rep jan feb mar apr jun jul aug sep sept oct nov dec "
    "mon tue wed thu fri sat sun a.m p.m e.g i.e u.s u.k u.s.a u.n ph.d b.c a.d".split()
)
_ALWAYS = frozenset(
    "dr mr mrs ms prof st vs eg ie e.g i.e cf fig no vol approx gen col capt lt sgt rev".split()
)
_END = re.compile(
    r"""(?:[.!?…؟۔]+["'”’»)\]]*(?=\s)|[。！？]+["'”’»」』)\]]*)\s*""",
)
_WORD_BEFORE = re.compile(r"[^\s\"'“”‘’«»()\[\]]+$")
_SOFT = re.compile(r"[,;:،؛–—]\s")


def sentences(text: str) -> list[str]:
    """The sentences of a paragraph, each stripped, none empty; longer ones are cut by `limited`.

    A mark ends a sentence before white space (。 also without), unless a small letter follows a full stop, or
    it belongs to an abbreviation ("Dr. Salem", "e.g. this"), an initial ("J. Smith") or a number ("No. 5").
    """
    out, start = [], 0
    for found in _END.finditer(text):
        if found.end() < len(text) and not _ends(text, start, found):
            continue
        out.append(text[start : found.end()])
        start = found.end()
    out.append(text[start:])
    return [piece for one in out if one.strip() for piece in limited(one)]


def _ends(text: str, start: int, found: re.Match[str]) -> bool:
    """Whether a mark within a text ends the sentence that begins at `start`."""
    mark, following = found[0].strip(), text[found.end()]
    if mark.rstrip("\"'”’»)]") != ".":
        return not (following.islower() and (mark[-1:] in "\"'”’»)]…" or mark.endswith("..")))
    if following.islower():
        return False
    before = _WORD_BEFORE.search(text, max(start, found.start() - 40), found.start())
    word = before[0].lower() if before else ""
    if word in _ALWAYS or (word in _SHORT and following.isdigit()):
        return False
    initial = before is not None and len(word) == 1 and before[0].isupper() and word != "i"
    return not initial and not (word.isdigit() and before.start() == start)


def limited(text: str, most: int = MOST_WORDS) -> list[str]:
    """A text in pieces of at most `most` words and MOST_CHARACTERS, cut after a comma where one is near."""
    words = text.split()
    if len(words) <= most and len(text) <= MOST_CHARACTERS:
        return [" ".join(words)]
    out: list[str] = []
    piece: list[str] = []
    size = 0
    for word in (part for one in words for part in _chopped(one)):
        if len(piece) == most or (piece and size + len(word) > MOST_CHARACTERS):
            kept = _soft_end(piece)
            out.append(" ".join(piece[:kept]))
            piece = piece[kept:]
            size = sum(map(len, piece)) + len(piece)
        piece.append(word)
        size += len(word) + 1
    return [*out, " ".join(piece)]


def _chopped(word: str) -> list[str]:
    if len(word) <= MOST_CHARACTERS:
        return [word]
    return [word[at : at + MOST_CHARACTERS] for at in range(0, len(word), MOST_CHARACTERS)]


def _soft_end(piece: list[str]) -> int:
    """After the last word of the piece's second half that ends in a comma or the like; else all of it."""
    for at in range(len(piece), len(piece) // 2, -1):
        if _SOFT.search(piece[at - 1][-1] + " "):
            return at
    return len(piece)
