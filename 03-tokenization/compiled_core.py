"""The way to the compiled core of `chronos.native`: counting words and learning merges in C.

The same results as bpe.py, which defines them; it only hands over, in several threads. It decides nothing but
whether the core is `usable`.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from chronos import native
from chronos.native import tokens as native_tokens
from chronos.tokenization.categories import table

BATCH = 1 << 20  # characters that one thread is given at a time


def usable(pattern: str) -> bool:
    """Whether C is there and knows the pattern."""
    return native.available() and pattern in native_tokens.PATTERNS


def encoder(byte_ids: Sequence[int], rows: np.ndarray, pattern: str) -> native.BpeEncoder:
    """What encodes bytes by the merges `rows` (M, 3)."""
    return native.BpeEncoder(np.array(byte_ids, np.int32), rows, pattern, table())


def count_words(
    texts: Iterable[str], pattern: str, threads: int, to_bytes: Callable[[str], bytes], read: Callable
) -> native.Words:
    """The words of some texts and how often each occurs; `read` is told how many characters were given out.

    At most two batches a thread are held, so that memory does not grow with the texts.
    """
    free = [native.WordCounter(pattern, table()) for _ in range(threads)]

    def count(batch: list[str]) -> None:
        counter = free.pop()
        try:
            for text in batch:
                counter.add(to_bytes(text))
        finally:
            free.append(counter)

    waiting: list[Future] = []
    done = 0
    with ThreadPoolExecutor(threads) as pool:
        for batch in _batches(texts):
            if len(waiting) >= 2 * threads:
                waiting.pop(0).result()
            waiting.append(pool.submit(count, batch))
            done += sum(map(len, batch))
            read(done)
        for future in waiting:
            future.result()
    for other in free[1:]:
        free[0].merge(other)
    return free[0].words()


def _batches(texts: Iterable[str]) -> Iterator[list[str]]:
    batch, size = [], 0
    for text in texts:
        batch.append(text)
        size += len(text)
        if size >= BATCH:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def learn(
    words: native.Words,
    names: Sequence[str],
    byte_ids: Sequence[int],
    vocab: int,
    made: Callable[[int], None],
) -> Iterator[tuple[int, int, int]]:
    """The merges learned from counted words, (left, right, new) in ids; `made` is told how many there are."""
    base = np.array(byte_ids, np.int32)
    rows = native.learn_merges(words, None, base, names, vocab, made)
    return map(tuple, rows.tolist())
