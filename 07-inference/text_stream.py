"""From ids to text as it comes: whole characters only, and nothing of a stop string.

It knows neither models nor terminals.
"""

import re
from collections.abc import Sequence

from chronos.console import ChronosError
from chronos.tokenization.tokenizer import StreamDecoder, Tokenizer

CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class TextStream:
    """`feed(id)` returns the text that is certain by now; `finish()` the rest. `ended` after a stop string.

    The text ends before the stop string that is complete first (of several at once, the longest). What could
    still become one is held back. `text` is all that was given out.
    """

    def __init__(self, tokenizer: Tokenizer, stop: Sequence[str] = ()):
        if "" in stop:
            raise ChronosError("a stop string must not be empty")
        self.stop = tuple(stop)
        self.text = ""
        self.ended = False
        self._decoder = StreamDecoder(tokenizer)
        self._held = ""

    def feed(self, id: int) -> str:
        """The text that this id makes certain."""
        return self._take(self._decoder.feed(id))

    def finish(self) -> str:
        """What was held back, when no more ids come."""
        piece = self._take(self._decoder.finish())
        rest, self._held = self._held, ""
        self.text += rest
        return piece + rest

    def _take(self, new: str) -> str:
        if self.ended:
            return ""
        text = self._held + new
        ends = [(at + len(s), at) for s in self.stop if (at := text.find(s)) >= 0]
        if ends:
            self.ended, sure = True, min(ends)[1]
        else:
            sure = len(text) - self._could_be_stop(text)
        piece, self._held = text[:sure], "" if self.ended else text[sure:]
        self.text += piece
        return piece

    def _could_be_stop(self, text: str) -> int:
        """Length of the longest end of the text that is the beginning of a stop string."""
        longest = max((len(s) for s in self.stop), default=1) - 1
        lengths = range(min(longest, len(text)), 0, -1)
        return next((n for n in lengths if any(s.startswith(text[-n:]) for s in self.stop)), 0)


def printable(text: str) -> str:
    """Text that cannot command a terminal: control characters other than line ends and tabs become �."""
    return CONTROL.sub("\ufffd", text)
