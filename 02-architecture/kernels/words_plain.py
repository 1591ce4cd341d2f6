"""Which words of a question stand in texts, and what that is worth: one pass over UTF-8 as it lies on disk.

The definition of the kernels behind the nearest events; their fast twin is words_fast.py. It knows no store
and no alphabet: `letters` says what each character is.
"""

from collections.abc import Iterator

import numpy as np

BREAK, NOTHING, ALONE = 0, 1, 1 << 31  # in `letters`: between words; not there; a word by itself (a bit)
_FIRST, _PRIME, _ALL = 0xCBF29CE484222325, 0x100000001B3, (1 << 64) - 1  # FNV-1a, over characters


def word_numbers(text: str, letters: np.ndarray) -> Iterator[int]:
    """The words of a text in order, as 64-bit numbers of their spelling.

    letters (65536,) uint32: the letter that each character counts as, or BREAK, NOTHING, ALONE | itself;
    characters beyond are words by themselves. A word is a run of letters.
    """
    number, open_ = _FIRST, False
    for character in text:
        letter = int(letters[ord(character)]) if character <= "\uffff" else ord(character) | ALONE
        if letter == NOTHING:
            continue
        if open_ and (letter == BREAK or letter & ALONE):
            yield number
            number, open_ = _FIRST, False
        if letter & ALONE:
            yield _next(_FIRST, letter)
        elif letter != BREAK:
            number, open_ = _next(number, letter), True
    if open_:
        yield number


def word_lengths(
    lengths: np.ndarray, words: np.ndarray, at: np.ndarray, allowed: np.ndarray, letters: np.ndarray,
    wanted: np.ndarray, holding: np.ndarray, marks: np.ndarray,
) -> None:  # fmt: skip
    """How many words each of n events has, in place, lengths (n,); of those not `allowed` (n,) uint8, 0.

    words: all stored words, uint8; at (n,) int64: where those of each event begin, two lengths before token
    ids and text (the layout of the store). wanted (W ≤ 32,) uint64, rising. In place, too: holding (W,) int64
    rises by the number of events that hold each; marks (n,) uint32, a bit for each that the event holds.
    """
    for i in np.flatnonzero(allowed):
        lengths[i], hits = _hits(words, int(at[i]), letters, wanted)
        holding += hits > 0
        marks[i] = int((hits > 0) @ (1 << np.arange(len(wanted))))


def word_scores(
    scores: np.ndarray, words: np.ndarray, at: np.ndarray, allowed: np.ndarray, letters: np.ndarray,
    wanted: np.ndarray, worth: np.ndarray, k: float, b: float, mean: float,
) -> None:  # fmt: skip
    """What each of n events says of the question, in place, scores (n,): 0 where it shares no word.

    Σ_w worth_w f_w / (f_w + k (1 − b + b |event| / mean)), f_w: how often w stands there; worth (W,) float64.
    """
    for i in np.flatnonzero(allowed):
        length, hits = _hits(words, int(at[i]), letters, wanted)
        scores[i] = (worth * hits / (hits + k * (1 - b + b * length / mean))).sum() if length else 0


def _hits(words: np.ndarray, begin: int, letters: np.ndarray, wanted: np.ndarray) -> tuple[int, np.ndarray]:
    size, begin = _number(words, begin)
    skipped, begin = _number(words, begin)
    raw = words[begin + skipped : begin + skipped + size].tobytes()
    found = np.array(list(word_numbers(raw.decode("utf-8", "replace"), letters)), np.uint64)
    return len(found), (found == wanted[:, None]).sum(1)


def _number(words: np.ndarray, at: int) -> tuple[int, int]:
    """A length in seven bits a byte, the lowest first, and where the next byte is; 0 beyond the end."""
    value = 0
    for shift in range(0, 42, 7):
        byte = int(words[at]) if at < len(words) else 0
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            break
    return value, at


def _next(number: int, letter: int) -> int:
    return (number ^ letter) * _PRIME & _ALL
