"""How an event lies on disk: a record of fixed size in one file, its words in another, a checksum over both.

Pure functions between arrays and bytes; files and their order of writing are store.py's.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from chronos.console import ChronosError

# All little-endian:
#
#   record   time i8 | packed u8 | scale f4 | crc u4 | key K × int8 (or float16) | zeros up to a multiple of 8
#   packed   where the words begin (40 bits) | source (8 bits) | surprise, float16 (16 bits)
#   words    length of text, length of ids (varints) | token ids (varints) | text (UTF-8)
#
# 88 bytes and 2 for the lengths at K = 64, beside text and ids; crc is a CRC-32 of all the rest of an event.

SOURCES = ("unknown", "user", "training", "correction")
KINDS = {"int8": 1, "float16": 2}  # bytes a number of a key
KEY_AT = 24  # bytes of a record before its key
CRC_AT = 20
WORDS_LIMIT = 1 << 40
_MASK = WORDS_LIMIT - 1


@dataclass(frozen=True)
class Entry:
    """The words of an event: its text and the token ids that the model read (none if they were not kept)."""

    text: str
    ids: tuple[int, ...]


def record_type(width: int, kind: str) -> np.dtype:
    """The NumPy type of a record with `width` numbers in its key."""
    size = width * KINDS[kind]
    names = ["time", "packed", "scale", "crc", "key"]
    formats = ["<i8", "<u8", "<f4", "<u4", (np.int8 if kind == "int8" else "<f2", (width,))]
    if room := -size % 8:  # named, so that copies keep it and the checksum is over zeros
        names, formats = [*names, "room"], [*formats, ("u1", (room,))]
    return np.dtype(list(zip(names, formats)))


def pack_keys(keys: np.ndarray, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Directions of keys (n, K), any float → stored numbers (n, K) and scales (n,), of product length 1.

    int8 numbers fill −127 … 127 by the largest of their key. A key of zeros stays zero and matches nothing.
    """
    keys = np.asarray(keys, np.float32)
    top = np.abs(keys).max(1, keepdims=True, initial=0)
    unit = keys / np.where(top > 0, top, 1)
    if kind == "int8":
        stored = np.rint(unit * 127).astype(np.int8)
    else:
        length = np.linalg.norm(unit, axis=1, keepdims=True)
        stored = (unit / np.where(length > 0, length, 1)).astype(np.float16)
    length = np.linalg.norm(stored.astype(np.float32), axis=1)
    return stored, np.divide(1, length, out=np.zeros_like(length), where=length > 0)


def pack(at: np.ndarray, sources: np.ndarray, surprises: np.ndarray) -> np.ndarray:
    """Begin of the words, source and surprise of n events in 64 bits each."""
    bits = np.clip(surprises, -65504, 65504).astype("<f2").view("<u2").astype("<u8")
    return at.astype("<u8") | sources.astype("<u8") << np.uint64(40) | bits << np.uint64(48)


def begins(packed: np.ndarray) -> np.ndarray:
    """Where the words of events begin."""
    return (packed & np.uint64(_MASK)).astype(np.int64)


def sources_of(packed: np.ndarray) -> np.ndarray:
    """Sources (n,) uint8."""
    return (packed >> np.uint64(40)).astype(np.uint8)


def surprises_of(packed: np.ndarray) -> np.ndarray:
    """Surprises (n,) float16."""
    return (packed >> np.uint64(48)).astype("<u2").view("<f2")


def write_words(texts: Sequence[str], ids: Sequence[Sequence[int]] | None) -> list[bytes]:
    """The words of n events, as they are stored."""
    try:
        written = [text.encode("utf-8") for text in texts]
    except UnicodeEncodeError as error:
        where = f"character {error.start} of an event's text"
        raise ChronosError("half of a character, which UTF-8 cannot hold", where=where) from None
    tokens = [b""] * len(written) if ids is None else _write_ids(ids)
    return [_varint(len(t)) + _varint(len(i)) + i + t for t, i in zip(written, tokens, strict=True)]


def _varint(value: int) -> bytes:
    """LEB128: seven bits a byte, the lowest first, the eighth says that more follow."""
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def _write_ids(ids: Sequence[Sequence[int]]) -> list[bytes]:
    """Token ids of n events as varints, all at once."""
    counts = np.array([len(one) for one in ids], np.int64)
    flat = np.concatenate([np.asarray(one, np.int64).reshape(-1) for one in ids] or [np.zeros(0, np.int64)])
    if flat.size and (flat.min() < 0 or flat.max() > 0xFFFFFFFF):
        raise ChronosError("a token id is out of range", expected="0 … 2³² − 1", got=int(flat.min()))
    sizes = 1 + sum((flat >> 7 * i > 0).astype(np.int64) for i in range(1, 5))
    ends = np.cumsum(sizes)
    out = np.zeros(int(ends[-1]) if flat.size else 0, np.uint8)
    for i in range(5):
        more = sizes > i
        value = flat[more] >> 7 * i & 127
        out[(ends - sizes)[more] + i] = value | np.where(sizes[more] > i + 1, 128, 0)
    edges = np.concatenate([[0], ends])[np.concatenate([[0], np.cumsum(counts)])]
    raw = out.tobytes()
    return [raw[a:b] for a, b in pairwise(edges.tolist())]


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    """A number and where the next byte is; IndexError where the data end or no number stands."""
    value = 0
    for shift in range(0, 42, 7):
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
    raise IndexError("a number of more than six bytes")


def words_size(data: bytes) -> int:
    """Bytes of the words that begin here (their first dozen bytes tell); IndexError if none do."""
    text, at = _read_varint(data, 0)
    ids, at = _read_varint(data, at)
    return at + ids + text


def word_sizes(data: bytes, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Bytes of text (n,) and of token ids (n,) of the words that begin at the given places."""
    raw = np.frombuffer(data, np.uint8)
    sizes = []
    for _ in range(2):
        value, more, at = np.zeros(len(at), np.int64), np.ones(len(at), bool), at.copy()
        for shift in range(0, 42, 7):
            byte = raw[np.minimum(at, len(raw) - 1)].astype(np.int64) * more
            value |= (byte & 127) << shift
            at += more
            more = byte > 127
        sizes.append(value)
    return sizes[0], sizes[1]


def read_words(data: bytes) -> Entry:
    """What `write_words` wrote for one event; IndexError or UnicodeDecodeError for anything else."""
    text, at = _read_varint(data, 0)
    size, at = _read_varint(data, at)
    ids, end = [], at + size
    while at < end:
        value, at = _read_varint(data, at)
        ids.append(value)
    if at != end or end + text != len(data):
        raise IndexError("the words have another length than they say")
    return Entry(data[end:].decode("utf-8"), tuple(ids))


def whole_words(records: np.ndarray, text) -> list[bytes | None]:
    """The stored words of each of n records, sliced from `text`; None where the checksum is wrong."""
    raw, size, found = records.tobytes(), records.dtype.itemsize, []
    for i, (begin, crc) in enumerate(zip(begins(records["packed"]).tolist(), records["crc"].tolist())):
        try:
            words = text[begin : begin + words_size(text[begin : begin + 16])]
        except IndexError:
            words = b""
        same = words and checksum(raw[i * size : (i + 1) * size], words) == crc
        found.append(words if same else None)
    return found


def checksum(record: bytes, words: bytes) -> int:
    """CRC-32 of an event: its record without the checksum itself, then its words."""
    return zlib.crc32(words, zlib.crc32(record[KEY_AT:], zlib.crc32(record[:CRC_AT])))


def with_checksums(records: np.ndarray, words: list[bytes]) -> bytes:
    """The bytes of records, with the checksum of each filled in."""
    raw, size = records.tobytes(), records.dtype.itemsize
    starts = range(0, len(raw), size)
    records["crc"] = [checksum(raw[at : at + size], one) for at, one in zip(starts, words, strict=True)]
    return records.tobytes()
