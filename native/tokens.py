"""The compiled core of byte-level BPE: count words, learn merges, encode; C that lets the interpreter run on.

Everything that enters C is checked here; C objects live as long as their Python owners. It knows neither
vocabulary files nor specials in text: `chronos.tokenization` does, and has the plain version that defines it.

    counter = native.WordCounter("gpt2", classes); counter.add("some text"); words = counter.words()
    merges = native.learn_merges(words, None, byte_ids, specials, 32_000)
    ids = native.BpeEncoder(byte_ids, merges, "gpt2", classes).encode("some text")
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np

from chronos.console import ChronosError

PATTERNS = ("none", "gpt2", "gpt4", "qwen2")  # in the order of tokens.h
CHARACTERS = 0x110000
SPACE = 3  # the class of white space; 0 is the rest, 1 letters, 2 numbers
MOST_TEXT = 0x7FFFFFFF  # bytes of one text
MOST_PLACES = 0xFFFFFFFF  # bytes and borders of all words that merges are learned from
MOST_IDS = 1 << 24
MOST_THREADS = 256
SPARE = 4  # ids that C may write past the last
PIECE = 1 << 16  # a text is not cut into smaller pieces than this for several threads
STEPS = 256  # merges between two reports of progress

Text = bytes | str


@dataclass(frozen=True, slots=True, eq=False)
class Words:
    """Words and how often each occurs, in the order in which they were first met.

    data (bytes,) uint8 holds them one after another, word i ends before ends[i]; ends, counts (N,) int64.
    """

    data: np.ndarray
    ends: np.ndarray
    counts: np.ndarray

    @classmethod
    def of(cls, words: Sequence[bytes], counts: Sequence[int] | np.ndarray) -> "Words":
        """From a list. Raises ChronosError if the counts are not as many whole numbers, none negative."""
        data = np.frombuffer(b"".join(words), np.uint8)
        counts = np.asarray(counts)
        if counts.shape != (len(words),) or (counts.size and counts.dtype.kind not in "iu"):
            got = f"{counts.dtype} of shape {counts.shape}"
            raise ChronosError("counts must be whole numbers, one a word", expected=len(words), got=got)
        return cls(data, _ends(words), counts.astype(np.int64))

    def __len__(self) -> int:
        return len(self.ends)

    def __iter__(self) -> Iterator[tuple[bytes, int]]:
        """(word, count), word after word."""
        data, start = self.data.tobytes(), 0
        for end, count in zip(self.ends.tolist(), self.counts.tolist()):
            yield data[start:end], count
            start = end


class WordCounter:
    """Cuts text into words and counts them.

    pattern: "gpt2", "gpt4" or "qwen2", those regular expressions, exactly; "none": a text is one word.
    classes (0x110000,) uint8: 0 other, 1 letter, 2 number, 3 white space. Threads that share a counter take
    turns; they run side by side with a counter each, which `merge` then adds up.
    """

    def __init__(self, pattern: str, classes: np.ndarray):
        self._cutter = _cutter(pattern, classes)
        lib = _c()[1]
        self._counter = _owned(lib.chronos_counter_new(), lib.chronos_counter_free)
        self._lock = threading.Lock()

    def add(self, text: Text) -> None:
        """Count the words of a text, up to 2 GiB of UTF-8. MemoryError leaves part of it counted."""
        data, lib = _utf8(text), _c()[1]
        with self._lock:
            _done(lib.chronos_counter_add(self._counter, self._cutter, _at(data), len(data)))

    def merge(self, other: "WordCounter | Words") -> None:
        """Add another's counts; its new words come after those that are here."""
        words = other.words() if isinstance(other, WordCounter) else other
        _check_words(words)
        lib = _c()[1]
        with self._lock:
            _done(lib.chronos_counter_add_counted(self._counter, *_pointers(words), len(words)))

    def words(self) -> Words:
        """What was counted so far."""
        lib = _c()[1]
        with self._lock:
            n = lib.chronos_counter_words(self._counter)
            data = np.empty(lib.chronos_counter_bytes(self._counter), np.uint8)
            words = Words(data, np.empty(n, np.int64), np.empty(n, np.int64))
            lib.chronos_counter_export(self._counter, *_pointers(words))
        return words


class BpeEncoder:
    """Text to ids by merges; safe from any number of threads at once, each with a cache of words of its own.

    byte_ids (256,): the id of each byte. merges (M, 3): left, right and the id that they become, as they were
    learned, in order; of two for one pair the last counts. pattern, classes: as of `WordCounter`.
    Raises ChronosError for ids that are no int32 from 0 on.
    """

    def __init__(self, byte_ids: np.ndarray, merges: np.ndarray, pattern: str, classes: np.ndarray):
        byte_ids = _ids(byte_ids, "byte_ids", (256,))
        merges = _ids(merges, "merges", (len(np.atleast_1d(merges)), 3))
        lib = _c()[1]
        self._cutter = _cutter(pattern, classes)
        made = lib.chronos_bpe_new(_at(byte_ids), _at(merges), len(merges))
        self._bpe = _owned(made, lib.chronos_bpe_free)
        self._caches: list[Any] = []  # those that no thread uses now; list.pop and append are atomic
        # Before a space that follows something else a word ends, whatever comes before and after.
        self._may_cut = pattern != "none" and not (classes[0x21:0x7F] == SPACE).any()

    def encode(self, text: Text, threads: int = 1) -> np.ndarray:
        """The ids of a text, int32 (T,). Long texts are cut between words for several threads."""
        data = _utf8(text)
        _check_threads(threads)
        cuts = self._cuts(data, threads) if threads > 1 else [0, len(data)]
        jobs = [(start, np.array([end - start], np.int64)) for start, end in pairwise(cuts)]
        return self._run(data, jobs)[0]

    def encode_many(self, texts: Sequence[Text], threads: int = 1) -> list[np.ndarray]:
        """The ids of each text, int32: parts of one array."""
        ids, ends = self.encode_flat(texts, threads)
        return [ids[start:end] for start, end in pairwise([0, *ends.tolist()])]

    def encode_flat(self, texts: Sequence[Text], threads: int = 1) -> tuple[np.ndarray, np.ndarray]:
        """The ids of all texts in one array, int32, and where each text's end, int64 (len(texts),)."""
        _check_threads(threads)
        pieces = [_utf8(text) for text in texts]
        ends = _ends(pieces)
        starts = np.concatenate(([0], ends))
        shares = [int(starts[-1]) * part // threads for part in range(1, threads)]
        bounds = [0, *np.searchsorted(ends, shares, "right").tolist(), len(pieces)]
        jobs = [(int(starts[a]), ends[a:b] - starts[a]) for a, b in pairwise(bounds) if b > a]
        return self._run(b"".join(pieces), jobs)

    def _cuts(self, data: bytes, threads: int) -> list[int]:
        cuts = [0]
        for part in range(1, threads if self._may_cut else 1):
            cut = max(len(data) * part // threads, cuts[-1] + PIECE)
            while (cut := data.find(b" ", cut)) > 0 and not 0x21 <= data[cut - 1] < 0x7F:
                cut += 1
            if cut < 0:
                break
            cuts.append(cut)
        return [*cuts, len(data)]

    def _run(self, data: bytes, jobs: list[tuple[int, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
        """Encode data, a thread a job: (where, ends counted from there). Ids and ends of all in a row."""
        if len(jobs) == 1:
            return self._encode(data, *jobs[0])
        if not jobs:
            return np.empty(0, np.int32), np.empty(0, np.int64)
        with ThreadPoolExecutor(len(jobs)) as pool:
            done = list(pool.map(lambda job: self._encode(data, *job), jobs))
        before = np.cumsum([0] + [len(ids) for ids, _ in done])
        ends = np.concatenate([ends + start for (_, ends), start in zip(done, before)])
        return np.concatenate([ids for ids, _ in done]), ends

    def _encode(self, data: bytes, start: int, ends: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        lib = _c()[1]
        try:
            cache = self._caches.pop()
        except IndexError:
            cache = _owned(lib.chronos_cache_new(), lib.chronos_cache_free)
        ids, id_ends = np.empty(int(ends[-1]) + SPARE, np.int32), np.empty(len(ends), np.int64)
        texts = _at(data) + start, _at(ends), len(ends)
        code = lib.chronos_encode(self._bpe, cache, self._cutter, *texts, _at(ids), _at(id_ends))
        self._caches.append(cache)
        _done(code)
        ids.resize(int(id_ends[-1]), refcheck=False)  # gives the unused end back, copies nothing
        return ids, id_ends


def learn_merges(
    words: Words | Sequence[bytes],
    counts: Sequence[int] | np.ndarray | None,
    base: Sequence[int] | np.ndarray,
    specials: Sequence[Text],
    vocab: int,
    progress: Callable[[int], None] | None = None,
) -> np.ndarray:
    """The merges (M, 3) int32, left, right, new, in the order of learning, until there are `vocab` ids.

    Again and again the most frequent pair becomes a token; of equals the one with the smaller ids (left, then
    right). What spells one of `specials`, whose ids are 0 to S - 1, gets that one's id.
    base (256,): the bytes' ids, S to S + 255 in some order. It ends early when no pair occurs twice.
    counts: one a word, or None for `Words`. progress is told now and then how many ids were made.
    """
    words = Words.of(words, counts) if counts is not None else words
    _check_words(words)
    base = _ids(base, "base", (256,))
    first = len(specials)
    if sorted(base.tolist()) != list(range(first, first + 256)):
        raise ChronosError("bytes must have the ids after the specials", expected=f"{first} to {first + 255}")
    if not isinstance(vocab, int | np.integer) or not first + 256 <= vocab <= MOST_IDS:
        raise ChronosError("wrong vocab", expected=f"{first + 256} to {MOST_IDS}", got=vocab)
    spelled = [_utf8(special) for special in specials]
    names = np.frombuffer(b"".join(spelled), np.uint8), _ends(spelled)
    lib = _c()[1]
    ids = _at(base), *map(_at, names), first
    made = lib.chronos_learner_new(*_pointers(words), len(words), *ids, vocab)
    learner = _owned(made, lib.chronos_learner_free)
    while not lib.chronos_learner_done(learner):
        _done(lib.chronos_learner_run(learner, STEPS))
        if progress is not None:
            progress(lib.chronos_learner_ids(learner) - first - 256)
    merges = np.empty((lib.chronos_learner_merges(learner), 3), np.int32)
    lib.chronos_learner_export(learner, _at(merges))
    return merges


# ---- what stands between Python and C ----------------------------------------------------------------------


@cache
def _c() -> tuple[Any, Any, dict[int, Any]]:
    """cffi's two faces of the extension, and its types of arrays by their items' bytes, parsed once."""
    try:
        from chronos.native._chronos_native import ffi, lib
    except ImportError as error:
        mend = "install a C compiler, then run `make setup`"
        raise ChronosError(f"the C kernels are not there ({error})", mend=mend) from None
    return ffi, lib, {1: ffi.typeof("uint8_t[]"), 4: ffi.typeof("int32_t[]"), 8: ffi.typeof("int64_t[]")}


def _at(data: bytes | np.ndarray) -> Any:
    """What C gets of bytes, or of an array of whole numbers, which is contiguous."""
    ffi, _, types = _c()
    return ffi.from_buffer(types[1 if isinstance(data, bytes) else data.itemsize], data)


def _owned(made: Any, free: Any) -> Any:
    """A C object that is freed with the last reference to it; MemoryError for none."""
    ffi = _c()[0]
    if made == ffi.NULL:
        raise MemoryError("native: no memory for the tokenizer")
    return ffi.gc(made, free)


def _done(code: int) -> None:
    if code:
        raise MemoryError("native: no memory for the tokenizer")


def _pointers(words: Words) -> tuple[Any, Any, Any]:
    return _at(words.data), _at(words.ends), _at(words.counts)


def _cutter(pattern: str, classes: np.ndarray) -> Any:
    if pattern not in PATTERNS:
        raise ChronosError("unknown pattern", expected=", ".join(PATTERNS), got=repr(pattern))
    if not isinstance(classes, np.ndarray) or classes.dtype != np.uint8 or classes.shape != (CHARACTERS,):
        raise ChronosError("classes must be a table of characters", expected=f"uint8 ({CHARACTERS},)")
    lib = _c()[1]
    made = lib.chronos_cutter_new(PATTERNS.index(pattern), _at(np.ascontiguousarray(classes)))
    return _owned(made, lib.chronos_cutter_free)


def _utf8(text: Text) -> bytes:
    try:
        data = text.encode("utf-8") if isinstance(text, str) else text
    except UnicodeEncodeError as error:
        raise ChronosError(f"character {error.start} is a lone surrogate, which has no UTF-8") from None
    if not isinstance(data, bytes):
        raise ChronosError("a text must be bytes or str", got=type(text).__name__)
    if len(data) > MOST_TEXT:
        raise ChronosError("a text is too long", expected=f"at most {MOST_TEXT} bytes", got=len(data))
    return data


def _ends(pieces: Sequence[bytes]) -> np.ndarray:
    """Where each piece ends when they stand one after another, int64."""
    return np.cumsum(np.fromiter(map(len, pieces), np.int64, len(pieces)))


def _ids(array: Any, name: str, shape: tuple[int, ...]) -> np.ndarray:
    array = np.asarray(array)
    if array.size == 0 and shape[0] == 0:
        return np.empty(shape, np.int32)
    fits = array.shape == shape and array.size <= 3 * MOST_IDS and array.dtype.kind in "iu"
    if not fits or not 0 <= array.min() <= array.max() < 2**31:
        got = f"{array.dtype} of shape {array.shape}"
        raise ChronosError(f"{name} must be ids", expected=f"{shape}, 0 to 2^31 - 1", got=got)
    return np.require(array, np.int32, ["C", "A"])


def _check_threads(threads: int) -> None:
    if not isinstance(threads, int | np.integer) or not 1 <= threads <= MOST_THREADS:
        raise ChronosError("wrong number of threads", expected=f"1 to {MOST_THREADS}", got=repr(threads))


def _check_words(words: Any) -> None:
    """That C may trust the arrays: types, contiguity, ends that ascend to the data's size, no huge sums."""
    if not isinstance(words, Words):
        raise ChronosError("words must be `Words`, or a list with counts", got=type(words).__name__)
    data, ends, counts = arrays = words.data, words.ends, words.counts
    right = all(isinstance(a, np.ndarray) for a in arrays)
    right = (
        right and [a.dtype for a in arrays] == [np.uint8, np.int64, np.int64] and ends.shape == counts.shape
    )
    if not (right and all(a.ndim == 1 and a.flags.c_contiguous and a.flags.aligned for a in arrays)):
        raise ChronosError("words must be flat arrays", expected="uint8, int64, int64 of one length")
    ends, counts = np.asarray(ends), np.asarray(counts)  # of masked arrays what they lie on
    sizes = np.diff(ends, prepend=0)
    if (sizes < 0).any() or sizes.sum() != data.size or sizes.max(initial=0) > MOST_TEXT:
        raise ChronosError("the words' ends must ascend to the end of their data", got=f"{data.size} bytes")
    if data.size + len(ends) + 1 > MOST_PLACES:
        raise ChronosError("too many words", expected=f"at most {MOST_PLACES} bytes", got=data.size)
    if (counts < 0).any() or float(np.dot(counts.astype(np.float64), sizes)) > 2.0**62:
        raise ChronosError("counts must be 0 or more, and their sum below 2^62")
