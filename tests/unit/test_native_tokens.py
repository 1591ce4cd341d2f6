"""The compiled tokenizer core gives what the plain one gives: words, counts, merges, ids, for any bytes.

The oracle is 03's own readable code. Forks, memory and wrong arguments are in test_native_tokens_process.py;
the C alone runs under sanitizers in test_native_process.py.
"""

import random
import threading
import time
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from chronos import native
from chronos.tokenization import bpe
from chronos.tokenization.categories import table
from chronos.tokenization.pretokenize import PATTERNS, split

pytestmark = pytest.mark.skipif(not native.available(), reason="needs the C kernels")

CLASSES = table()
SPECIALS = [name.encode() for name in bpe.NAMES]
PLAIN_IDS = {token: i for i, token in enumerate([*bpe.NAMES, *bpe.BYTE_TOKENS])}
BASE = np.array([PLAIN_IDS[character] for character in bpe.BYTE_TO_CHAR], np.int32)
ALPHABETS = [
    "ab ",
    "aab",
    "a'stdmrevlSTDMREVLſ ",
    " \n\t\r.,!a1'S",
    "aé世ſ\u00a0 \u2003'1२x\u0085\u2028",
    "abc  \n\r1234567'",
    "".join(map(chr, [*range(0x20, 0x7F), 0x301, 0x1F600, 0x1E9E, 0xFB05, 0x10FFFF, 0x3000, 0x0])),
]


A_FEW = np.array(
    [[BASE[97], BASE[97], 400], [400, BASE[97], 401], [400, 400, 402], [402, 402, 403]], np.int32
)


def random_text(rng: random.Random, size: int) -> str:
    """From one of ALPHABETS, or from all of Unicode."""
    if rng.random() < 0.2:
        points = rng.choice([rng.randrange(0x80), rng.randrange(0xD800), rng.randrange(0xE000, 0x110000)])
        return "".join(chr(points) if rng.random() < 0.3 else chr(rng.randrange(0xD800)) for _ in range(size))
    alphabet = rng.choice(ALPHABETS)
    return "".join(rng.choice(alphabet) for _ in range(size))


def random_bytes(rng: random.Random, size: int) -> bytes:
    """Text with bytes changed, cut anywhere: much of it is no UTF-8."""
    data = bytearray(random_text(rng, size).encode())
    for _ in range(rng.randrange(4)):
        if data:
            data[rng.randrange(len(data))] = rng.choice(
                [0x80, 0xBF, 0xC0, 0xC2, 0xE0, 0xED, 0xF0, 0xF4, 0xFF, 32]
            )
    return bytes(data[rng.randrange(4) :])


def plain_words(data: bytes, pattern: str) -> list[tuple[bytes, int]]:
    words = split(data.decode("utf-8", "surrogateescape"), pattern)
    return list(Counter(word.encode("utf-8", "surrogateescape") for word in words).items())


def counted(text: bytes | str, pattern: str) -> list[tuple[bytes, int]]:
    counter = native.WordCounter(pattern, CLASSES)
    counter.add(text)
    return list(counter.words())


def plain_merges(words: dict[str, int], vocab: int) -> list[tuple[int, int, int]]:
    tokens, merges = bpe.learn(Counter(words), vocab)
    ids = {token: i for i, token in enumerate([*bpe.NAMES, *tokens])}
    return [(ids[left], ids[right], ids[left + right]) for left, right in merges]


def learned(words: dict[str, int], vocab: int, progress=None) -> list[tuple[int, int, int]]:
    spelled = [word.encode() for word in words]
    merges = native.learn_merges(spelled, list(words.values()), BASE, SPECIALS, vocab, progress)
    assert merges.dtype == np.int32
    return [tuple(merge) for merge in merges.tolist()]


def plain_encode(merges: np.ndarray, data: bytes, pattern: str) -> list[int]:
    """Join the pair of lowest rank, leftmost first, by looking at all pairs again and again."""
    ranks = {(left, right): (rank, new) for rank, (left, right, new) in enumerate(merges.tolist())}
    out = []
    for word in split(data.decode("utf-8", "surrogateescape"), pattern):
        ids = [int(BASE[byte]) for byte in word.encode("utf-8", "surrogateescape")]
        while found := [(*ranks[pair], i) for i, pair in enumerate(pairwise(ids)) if pair in ranks]:
            _, new, i = min(found, key=lambda item: (item[0], item[2]))
            ids[i : i + 2] = [new]
        out += ids
    return out


def random_merges(rng: random.Random, count: int) -> np.ndarray:
    """Rules in any order: for pairs that none makes, twice for one pair, several that make one id."""
    ids = [int(BASE[byte]) for byte in b"ab '1\xc3\xa9\n"] + list(range(400, 420))
    rules = [(rng.choice(ids), rng.choice(ids), rng.choice(range(400, 420))) for _ in range(count)]
    return np.array(rules, np.int32).reshape(-1, 3)


def encoder_of(text: str, vocab: int, pattern: str = "gpt2") -> native.BpeEncoder:
    counter = native.WordCounter(pattern, CLASSES)
    counter.add(text)
    merges = native.learn_merges(counter.words(), None, BASE, SPECIALS, vocab)
    return native.BpeEncoder(BASE, merges, pattern, CLASSES)


# ---- words -------------------------------------------------------------------------------------------------


def test_the_patterns_are_those_of_the_plain_version():
    assert set(native.tokens.PATTERNS) == set(PATTERNS)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_words_and_counts_are_the_plain_ones(pattern):
    rng = random.Random(1)
    for _ in range(1500):
        text = random_text(rng, rng.randrange(40))
        assert counted(text, pattern) == plain_words(text.encode(), pattern), repr(text)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_bytes_that_are_no_text_are_cut_as_characters_of_their_own(pattern):
    rng = random.Random(2)
    for _ in range(1500):
        data = random_bytes(rng, rng.randrange(40))
        assert counted(data, pattern) == plain_words(data, pattern), data


@pytest.mark.parametrize("pattern", PATTERNS[:-1])
def test_every_character_has_its_class(pattern):
    """Each (a fifth of them for a pattern) between letters: 4,352 pages of the table."""
    points = [point for point in range(0x110000) if not 0xD800 <= point < 0xE000][
        PATTERNS.index(pattern) :: 5
    ]
    text = "".join(f"a{chr(point)}a" for point in points)
    assert counted(text, pattern) == plain_words(text.encode(), pattern)


@pytest.mark.parametrize("size", [7, 8, 9, 15, 16, 17, 31, 32, 33, 255, 256, 257, 700])
def test_words_of_every_length_and_place(size):
    text = " ".join([letter * size for letter in "abé"] * 2)
    assert counted(text, "gpt2") == plain_words(text.encode(), "gpt2")
    encoder = native.BpeEncoder(BASE, A_FEW, "gpt2", CLASSES)
    assert encoder.encode(text).tolist() == plain_encode(A_FEW, text.encode(), "gpt2")


def test_counters_merge_in_the_order_of_meeting():
    one, two = (native.WordCounter("gpt2", CLASSES) for _ in range(2))
    one.add("a b a")
    two.add("c a " + "x" * 40)
    one.merge(two)
    one.merge(native.Words.of([b"c", b"", b"z"], [5, 3, 0]))
    assert list(one.words()) == [(b"a", 1), (b" b", 1), (b" a", 2), (b"c", 6), (b" " + b"x" * 40, 1)]
    assert list(native.WordCounter("gpt2", CLASSES).words()) == []


def test_threads_count_as_one_does():
    rng = random.Random(3)
    texts = [random_text(rng, 3000) for _ in range(40)]
    alone = Counter(dict(counted("", "gpt2")))
    for text in texts:
        alone.update(dict(plain_words(text.encode(), "gpt2")))
    shared, own = native.WordCounter("gpt2", CLASSES), [native.WordCounter("gpt2", CLASSES) for _ in range(4)]

    def count(i: int) -> None:
        for text in texts[i::4]:
            shared.add(text)
            own[i].add(text)

    threads = [threading.Thread(target=count, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for counter in own[1:]:
        own[0].merge(counter)
    assert dict(shared.words()) == dict(own[0].words()) == dict(alone)


# ---- merges ------------------------------------------------------------------------------------------------


def test_merges_are_the_plain_ones():
    rng = random.Random(4)
    for _ in range(150):
        words: Counter[str] = Counter()
        for _ in range(rng.randrange(1, 30)):
            word = random_text(rng, rng.randrange(1, rng.choice([4, 12, 40])))
            words[word] += rng.choice([1, 1, 2, 3, 10, 10**12])
        vocab = bpe.BASE + rng.randrange(60)
        assert learned(words, vocab) == plain_merges(words, vocab), words


def test_runs_and_overlaps_are_joined_from_the_left():
    rng = random.Random(5)
    for _ in range(300):
        lengths = [(rng.randrange(2, 14), rng.randrange(1, 9)) for _ in range(9)]
        words = {"".join(rng.choice("aab") for _ in range(length)): times for length, times in lengths}
        plain = plain_merges(words, bpe.BASE + 40)
        assert learned(words, bpe.BASE + 40) == plain, words
        assert len({new for _, _, new in plain}) == len(plain)  # why the learner need not look for spellings


def test_a_word_that_spells_a_special_shares_its_id():
    words = {"<end>": 50, "MEM_7": 40}
    merges = learned(words, bpe.BASE + 20)
    assert merges == plain_merges(words, bpe.BASE + 20)
    assert {new for _, _, new in merges} >= {bpe.NAMES.index("<end>"), bpe.NAMES.index("MEM_7")}


def test_learning_stops_when_no_pair_is_left_twice_and_tells_how_far_it_is():
    told: list[int] = []
    assert len(learned({"abcd": 1, "ab": 1}, bpe.BASE + 10, told.append)) == 1
    assert told == [1]
    assert learned({}, bpe.BASE + 10) == learned({"a": 9, "": 3, "ab": 0}, bpe.BASE + 10) == []
    assert learned({"ab": 9}, bpe.BASE) == []


def test_an_error_in_progress_ends_learning():
    def stop(made: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        learned({"ab": 9}, bpe.BASE + 10, stop)


# ---- ids ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pattern", PATTERNS)
def test_ids_are_the_plain_ones_for_any_rules(pattern):
    rng = random.Random(6)
    for _ in range(120):
        merges = random_merges(rng, rng.randrange(40))
        encoder = native.BpeEncoder(BASE, merges, pattern, CLASSES)
        for _ in range(8):
            data = random_bytes(rng, rng.randrange(rng.choice([12, 40, 90])))
            expected = plain_encode(merges, data, pattern)
            assert encoder.encode(data).tolist() == expected, (merges.tolist(), data)
            assert encoder.encode(data).tolist() == expected, "from the cache"


@pytest.mark.parametrize("threads", [1, 2, 3, 7])
def test_many_texts_and_threads_change_nothing(threads):
    rng = random.Random(7)
    texts = [random_text(rng, rng.randrange(200)) for _ in range(50)] + ["", "a", ""]
    encoder = encoder_of(" ".join(texts), 500)
    alone = [encoder.encode(text).tolist() for text in texts]
    assert [ids.tolist() for ids in encoder.encode_many(texts, threads)] == alone
    ids, ends = encoder.encode_flat(texts, threads)
    assert ids.tolist() == [i for part in alone for i in part]
    assert ends.tolist() == np.cumsum([len(part) for part in alone]).tolist()
    assert encoder.encode_many([], threads) == [] and len(encoder.encode_flat([], threads)[0]) == 0
    assert [ids.tolist() for ids in encoder.encode_many(["", ""], threads)] == [[], []]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_long_text_is_cut_for_threads_where_words_end(pattern, monkeypatch):
    monkeypatch.setattr(native.tokens, "PIECE", 1)
    rng = random.Random(8)
    for _ in range(60):
        text = random_text(rng, rng.randrange(300))
        encoder = encoder_of(text, 380, pattern)
        assert encoder.encode(text, 5).tolist() == encoder.encode(text).tolist(), repr(text)
    assert (len(encoder._cuts(b"some words to cut at " * 9, 4)) == 5) == (pattern != "none")


def test_a_word_of_a_million_bytes_takes_no_square_of_its_time():
    encoder = native.BpeEncoder(BASE, A_FEW, "none", CLASSES)
    begun = time.perf_counter()
    ids = encoder.encode("b" + "a" * 1_000_003)
    assert time.perf_counter() - begun < 5  # a scan for each join would take an hour
    assert ids.tolist() == [BASE[98], *[403] * 125_000, 401]


def test_words_that_do_not_fit_the_cache_are_right_too():
    """Some 8 MB of long words overflow the store of 4 MB; each is met again after it was forgotten."""
    encoder = native.BpeEncoder(BASE, A_FEW, "gpt2", CLASSES)
    words = [f" {i:x}{'aabaaaa' * 20}" for i in range(30_000)]
    first = encoder.encode("".join(words))
    assert (encoder.encode("".join(words)) == first).all()
    assert encoder.encode("".join(words[:200])).tolist() == plain_encode(
        A_FEW, "".join(words[:200]).encode(), "gpt2"
    )


def test_short_words_of_many_ids_are_right_after_the_store_was_full():
    encoder = native.BpeEncoder(BASE, np.empty((0, 3), np.int32), "gpt2", CLASSES)
    text = "".join(f" {i:09d}" for i in range(120_000)).encode()  # ten ids each: more than 4 MB
    expected = BASE[np.frombuffer(text, np.uint8)]
    for _ in range(2):
        assert (encoder.encode(text) == expected).all()


def test_words_with_one_hash_are_told_apart():
    """Two words of 16 bytes that hash_bytes of tokens.h cannot tell apart, worked out backwards."""
    mix, full = 0x9E3779B97F4A7C15, 2**64

    def step(h: int, part: int) -> int:
        return (h ^ part) * mix % full ^ h >> 29

    start, parts = 16 * mix % full, [0x0101010101010101, 0x0202020202020202]
    one, two = (step(start, part) for part in parts)
    second = (step(one, parts[0]) ^ two >> 29) * pow(mix, -1, full) % full ^ two
    assert step(two, second) == step(one, parts[0])
    words = [
        first.to_bytes(8, "little") + last.to_bytes(8, "little")
        for first, last in zip(parts, [parts[0], second])
    ]
    encoder = native.BpeEncoder(BASE, np.empty((0, 3), np.int32), "none", CLASSES)
    for word in words * 2:
        assert encoder.encode(word).tolist() == BASE[list(word)].tolist()
    counter = native.WordCounter("none", CLASSES)
    for word in words:
        counter.add(word)
    assert list(counter.words()) == [(words[0], 1), (words[1], 1)]


def test_python_threads_share_an_encoder():
    rng = random.Random(9)
    texts = [random_text(rng, 2000) for _ in range(8)]
    encoder = encoder_of(" ".join(texts), 600)
    expected = [encoder.encode(text).tobytes() for text in texts]
    wrong: list[int] = []

    def encode(i: int) -> None:
        for _ in range(60):
            if encoder.encode(texts[i]).tobytes() != expected[i]:
                wrong.append(i)

    threads = [threading.Thread(target=encode, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == [] and len(encoder._caches) <= 8
