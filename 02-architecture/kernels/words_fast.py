"""The fast twins of `words_plain.py`: Numba, serial, `nogil`, straight over the bytes. They check nothing."""

import numpy as np

from chronos.architecture.kernels.scalars import jit
from chronos.architecture.kernels.words_plain import ALONE, BREAK, NOTHING

_FIRST, _PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)
_BREAK, _NOTHING, _ALONE = np.uint32(BREAK), np.uint32(NOTHING), np.uint32(ALONE)
_TOP = np.uint64(54)  # the highest ten bits of a word's number say where among the wanted to look for it


def word_lengths(lengths, words, at, allowed, letters, wanted, holding, marks):
    hits = np.zeros(len(wanted), np.int64)
    tables = (letters, _plain(letters), wanted, _tops(wanted), hits)
    _lengths(lengths, words, at, allowed, *tables, holding, marks)


def word_scores(scores, words, at, allowed, letters, wanted, worth, k, b, mean):
    hits = np.zeros(len(wanted), np.int64)
    tables = (letters, _plain(letters), wanted, _tops(wanted), hits)
    _scores(scores, words, at, allowed, *tables, worth, float(k), float(b), float(mean))


def _plain(letters):
    """What the characters of one byte count as, (256,) uint64, 0 for all but letters."""
    plain = np.zeros(256, np.uint64)
    plain[:128] = np.where((letters[:128] > NOTHING) & (letters[:128] < ALONE), letters[:128], 0)
    return plain


def _tops(wanted):
    """By the highest bits of a number: 1 + the first of the wanted words that begin so, 0 where none does."""
    tops = np.zeros(1024, np.uint8)
    high = (wanted >> _TOP).astype(np.int64)
    tops[high[::-1]] = np.arange(len(wanted), 0, -1)
    return tops


@jit
def _lengths(lengths, words, at, allowed, letters, plain, wanted, tops, hits, holding, marks):
    for i in range(at.shape[0]):
        if allowed[i]:
            lengths[i] = _count(words, at[i], letters, plain, wanted, tops, hits)
            mark = 0
            for w in range(hits.shape[0]):
                if hits[w]:
                    holding[w] += 1
                    mark |= 1 << w
            marks[i] = mark


@jit
def _scores(scores, words, at, allowed, letters, plain, wanted, tops, hits, worth, k, b, mean):
    for i in range(at.shape[0]):
        if allowed[i]:
            length = _count(words, at[i], letters, plain, wanted, tops, hits)
            total = 0.0
            for w in range(hits.shape[0]):
                if hits[w]:
                    total += worth[w] * hits[w] / (hits[w] + k * (1 - b + b * length / mean))
            scores[i] = total


@jit
def _number(words, at):
    value, size = np.int64(0), words.shape[0]
    for part in range(6):
        byte = np.int64(words[at]) if at < size else np.int64(0)
        at += 1
        value |= (byte & 127) << (7 * part)
        if byte < 128:
            break
    return value, at


@jit
def _found(number, wanted, tops, hits):
    at = np.int64(tops[number >> _TOP]) - 1
    while 0 <= at < wanted.shape[0] and wanted[at] <= number:
        hits[at] += wanted[at] == number
        at += 1


@jit
def _letter(words, at, end, letters):
    """The letter at a place, and where the next one begins."""
    byte = np.uint32(words[at])
    if byte < 0x80:
        return letters[byte], at + 1
    more = 1 if byte < 0xE0 else (2 if byte < 0xF0 else 3)
    code = byte & np.uint32(0x3F >> more)
    for step in range(1, more + 1):
        code = (code << np.uint32(6)) | np.uint32(words[at + step] & 0x3F if at + step < end else 0)
    return (letters[code] if code < 0x10000 else np.uint32(code | _ALONE)), at + more + 1


@jit
def _count(words, begin, letters, plain, wanted, tops, hits):
    """How many words the text that begins here has; hits: how often each wanted one is among them."""
    hits[:] = 0
    size, at = _number(words, begin)
    skipped, at = _number(words, at)
    at += skipped
    end = min(at + size, words.shape[0])
    n, open_, number = 0, False, _FIRST
    while at < end:
        first = at
        while at < end and plain[words[at]]:  # letters of one byte: nearly all of most texts
            number = (number ^ plain[words[at]]) * _PRIME
            at += 1
        open_ |= at > first
        if at == end:
            break
        letter, at = _letter(words, at, end, letters)
        if letter == _NOTHING:
            continue
        if _NOTHING < letter < _ALONE:
            number, open_ = (number ^ np.uint64(letter)) * _PRIME, True
            continue
        if open_:
            n += 1
            _found(number, wanted, tops, hits)
            number, open_ = _FIRST, False
        if letter >= _ALONE:
            n += 1
            _found((_FIRST ^ np.uint64(letter)) * _PRIME, wanted, tops, hits)
    if open_:
        n += 1
        _found(number, wanted, tops, hits)
    return n
