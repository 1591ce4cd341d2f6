"""Added tokens: strings that have an id of their own and are found in a text before it is cut into words.

Found as `tokenizers` finds them: the leftmost first, of those the longest. No regular expression of any size
is built, so that a hundred thousand of them cost no more than a few. Used by every tokenizer's `encode`.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from chronos.tokenization.categories import SPACE, spans

SPACES = frozenset(chr(point) for first, last in spans(SPACE) for point in range(first, last + 1))


class AddedToken(NamedTuple):
    """`special`: an id rather than text, matched on request alone; `lstrip`, `rstrip`: eats spaces beside it.

    `normalized`: looked for after the text was normalized, and after all tokens that are not.
    """

    id: int
    content: str
    special: bool = True
    lstrip: bool = False
    rstrip: bool = False
    normalized: bool = False


def same(text: str) -> str:
    """The normalizer that changes nothing."""
    return text


class AddedTokens:
    """A set of added tokens that cuts texts: `split` gives pieces of text and ids in turn."""

    def __init__(self, tokens: Sequence[AddedToken], normalize: Callable[[str], str] = same):
        self.tokens = tuple(tokens)
        self.normalize = normalize
        self._raw = _Finder([token for token in tokens if not token.normalized])
        changed = [token._replace(content=normalize(token.content)) for token in tokens if token.normalized]
        self._normalized = _Finder(changed)
        self._any_plain = any(not token.special for token in tokens)

    def idle(self, allow_special: bool) -> bool:
        """Whether every text comes out of `split` as it went in."""
        return self.normalize is same and not self._any_plain and not (allow_special and self.tokens)

    def split(self, text: str, allow_special: bool) -> Iterator[str | int]:
        """Pieces of (normalized) text and the ids found between them; specials are text unless allowed."""
        for part in self._raw.split(text, allow_special):
            if isinstance(part, int):
                yield part
            else:
                yield from self._normalized.split(self.normalize(part), allow_special)


class _Finder:
    """Finds the tokens of one set. `lengths`: how long those are that begin with some two characters."""

    def __init__(self, tokens: Sequence[AddedToken]):
        self.tokens = {token.content: token for token in tokens}
        lengths: dict[str, set[int]] = {}
        for content in self.tokens:
            lengths.setdefault(content[:2], set()).add(len(content))
        self.lengths = {head: sorted(found, reverse=True) for head, found in lengths.items()}
        seconds: dict[str, str] = {}
        for head in sorted(lengths):
            seconds[head[0]] = seconds.get(head[0], "") + head[1:]
        heads = [
            re.escape(first) + (f"[{re.escape(after)}]" if after and first not in lengths else "")
            for first, after in seconds.items()
        ]
        self.heads = re.compile("|".join(heads)) if heads else None

    def split(self, text: str, allow_special: bool) -> Iterator[str | int]:
        done = 0
        for start, token in self._found(text):
            if token.special and not allow_special:
                continue
            stop = start + len(token.content)
            while token.lstrip and start > done and text[start - 1] in SPACES:
                start -= 1
            while token.rstrip and stop < len(text) and text[stop] in SPACES:
                stop += 1
            if token.lstrip and max(start, done) >= stop:
                continue  # a token of spaces that the one before has eaten
            if done < start:
                yield text[done:start]
            yield token.id
            done = stop
        if done < len(text):
            yield text[done:]

    def _found(self, text: str) -> Iterator[tuple[int, AddedToken]]:
        """Where tokens stand: leftmost, longest, none overlapping another."""
        if self.heads is None:
            return
        at = 0
        while candidate := self.heads.search(text, at):
            at = candidate.start()
            head = text[at : at + 2]
            lengths = [*self.lengths.get(head, ()), *(self.lengths.get(head[0], ()) if len(head) > 1 else ())]
            token = next(
                (found for n in lengths if (found := self.tokens.get(text[at : at + n])) is not None), None
            )
            if token is not None:
                yield at, token
            at += len(token.content) if token is not None else 1
