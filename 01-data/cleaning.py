"""Clean text by choice: control and invisible characters, line ends, Unicode normal forms, line-wraps.

It changes how a text is written, never what it says; the default touches only control characters and CR.
Used through `chronos.data.documents`; the choices are the fields of `Cleaning`.
"""

import re
import unicodedata
from dataclasses import dataclass

from chronos.console import ChronosError
from chronos.data.decoding import clean, one_line_end
from chronos.data.unwrapping import unwrap

FORMS = ("none", "NFC", "NFKC")

# Soft hyphen, Mongolian vowel separator, zero-width space, word joiner, byte-order mark. The zero-width
# joiners U+200C and U+200D stay: Persian and Indic spelling and many emoji need them.
_INVISIBLE = re.compile("[\u00ad\u180e\u200b\u2060\ufeff]")


@dataclass(frozen=True)
class Cleaning:
    """What is done to each text, in the order of the fields; CRLF and CR always become LF.

    `controls` drops C0 and C1 control characters but line feed and tab. `invisible` drops soft hyphens and
    zero-width characters. `unicode` is none, NFC (one spelling for what looks and means the same) or NFKC
    (ligatures, full-width letters and the like become plain ones: loses "²" against "2"). `unwrap` joins
    hard-wrapped lines into paragraphs, by the rule of unwrapping.py.
    """

    controls: bool = True
    invisible: bool = False
    unicode: str = "none"
    unwrap: bool = False

    def __post_init__(self) -> None:
        if self.unicode not in FORMS:
            raise ChronosError("unknown normal form", expected=", ".join(FORMS), got=repr(self.unicode))

    def __call__(self, text: str) -> str:
        """The clean text. Raises nothing; lone surrogates are the business of decoding.py."""
        text = clean(text) if self.controls else one_line_end(text)
        if self.invisible:
            text = _INVISIBLE.sub("", text)
        if self.unicode != "none" and not text.isascii():
            text = unicodedata.normalize(self.unicode, text)
        return unwrap(text) if self.unwrap else text


DEFAULT = Cleaning()
