"""The compiled tokenizer core as a part of a process: forks, no memory, the interpreter, wrong arguments.

What it computes is in test_native_tokens.py.
"""

import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from chronos import native
from chronos.console import ChronosError

pytestmark = pytest.mark.skipif(not native.available(), reason="needs the C kernels")

CLASSES = np.zeros(0x110000, np.uint8)
CLASSES[97:123], CLASSES[32] = 1, 3
SPECIALS = [b"<pad>", b"<end>"]
BASE = np.arange(2, 258)

FORKS = """
import os, signal, sys, threading
import numpy as np
from chronos import native
signal.alarm(40)
classes = np.zeros(0x110000, np.uint8)
classes[97:123], classes[32] = 1, 3
merges = np.array([[97, 98, 300], [300, 97, 301]], np.int32)
encoder = native.BpeEncoder(np.arange(256), merges, "gpt2", classes)
text = "ab aba abab b " * 20_000
expected = encoder.encode(text).tobytes()
stop = False
def hammer():
    while not stop:
        encoder.encode(text, 2)
thread = threading.Thread(target=hammer, daemon=True)
thread.start()
for i in range(10):
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        os._exit(0 if encoder.encode(text, 1 + i % 2).tobytes() == expected else 1)
    status = os.waitpid(child, 0)[1]
    if status:
        sys.exit(f"child {i}: status {status}")
stop = True
thread.join()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_fork_in_the_middle_of_encoding():
    done = subprocess.run([sys.executable, "-c", FORKS], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_interpreter_runs_while_c_works():
    encoder, text = native.BpeEncoder(BASE, [[99, 99, 300]], "none", CLASSES), "ab" * 2_000_000
    work = threading.Thread(target=encoder.encode, args=(text,))
    begun = last = time.perf_counter()
    work.start()
    longest = 0.0
    while work.is_alive():
        now = time.perf_counter()
        longest, last = max(longest, now - last), now
    assert longest < 0.7 * (time.perf_counter() - begun)


# ---- what is refused ---------------------------------------------------------------------------------------

NO_RULES = np.empty((0, 3), np.int32)
WORDS = native.Words.of([b"ab"], [2])


def words_with(**arrays) -> native.Words:
    parts = {"data": WORDS.data, "ends": WORDS.ends, "counts": WORDS.counts} | arrays
    return native.Words(**parts)


BACKWARD = words_with(ends=np.array([3, 2]), counts=np.array([1, 1]))  # sizes that add up


@pytest.mark.parametrize(
    "call, told",
    [
        (lambda: native.WordCounter("gpt3", CLASSES), "unknown pattern"),
        (lambda: native.WordCounter("gpt2", CLASSES[:-1]), "classes"),
        (lambda: native.WordCounter("gpt2", CLASSES.astype(np.int8)), "classes"),
        (lambda: native.WordCounter("gpt2", None), "classes"),
        (lambda: native.WordCounter("gpt2", CLASSES).add(bytearray(b"a")), "bytes or str"),
        (lambda: native.WordCounter("gpt2", CLASSES).add("a\ud800"), "character 1 is a lone surrogate"),
        (lambda: native.BpeEncoder(BASE[:255], NO_RULES, "none", CLASSES), "byte_ids"),
        (lambda: native.BpeEncoder(BASE - 3, NO_RULES, "none", CLASSES), "byte_ids"),
        (lambda: native.BpeEncoder(BASE * 1.0, NO_RULES, "none", CLASSES), "byte_ids"),
        (lambda: native.BpeEncoder(BASE, np.zeros((2, 2), np.int32), "none", CLASSES), "merges"),
        (lambda: native.BpeEncoder(BASE, np.array([[0, 1, 2**31]]), "none", CLASSES), "merges"),
        (lambda: native.BpeEncoder(BASE, NO_RULES, "none", CLASSES).encode("a", 0), "threads"),
        (lambda: native.BpeEncoder(BASE, NO_RULES, "none", CLASSES).encode_many(["a"], 257), "threads"),
        (lambda: native.BpeEncoder(BASE, NO_RULES, "none", CLASSES).encode_many([1]), "bytes or str"),
        (lambda: native.learn_merges([b"a"], [1, 2], BASE, SPECIALS, 400), "one a word"),
        (lambda: native.learn_merges([b"a"], [1.5], BASE, SPECIALS, 400), "whole numbers"),
        (lambda: native.learn_merges([b"a"], [-1], BASE, SPECIALS, 400), "0 or more"),
        (lambda: native.learn_merges([b"a" * 9], [2**62], BASE, SPECIALS, 400), "2^62"),
        (lambda: native.learn_merges([b"a"], None, BASE, SPECIALS, 400), "`Words`"),
        (lambda: native.learn_merges(WORDS, None, BASE, SPECIALS[1:], 400), "after the specials"),
        (lambda: native.learn_merges(WORDS, None, BASE, SPECIALS, 257), "vocab"),
        (lambda: native.learn_merges(WORDS, None, BASE, SPECIALS, 1e3), "vocab"),
        (lambda: native.learn_merges(words_with(ends=np.array([3])), None, BASE, SPECIALS, 400), "ascend"),
        (lambda: native.WordCounter("gpt2", CLASSES).merge(BACKWARD), "ascend"),
        (lambda: native.learn_merges(words_with(ends=np.array([-1])), None, BASE, SPECIALS, 400), "ascend"),
        (lambda: native.learn_merges(words_with(ends=np.array([2, 2])), None, BASE, SPECIALS, 400), "flat"),
        (lambda: native.learn_merges(words_with(counts=np.array([2.0])), None, BASE, SPECIALS, 400), "flat"),
        (lambda: native.WordCounter("gpt2", CLASSES).merge({b"a": 1}), "`Words`"),
    ],
)
def test_wrong_arguments_are_one_line_and_never_reach_c(call, told):
    with pytest.raises(ChronosError) as error:
        call()
    assert told in str(error.value) and "\n" not in str(error.value)


def test_without_memory_it_is_a_memory_error():
    """A limit on the process's addresses: the million-byte word cannot have its links."""
    pytest.importorskip("resource")
    code = """
import resource
import numpy as np
from chronos import native
classes = np.zeros(0x110000, np.uint8)
encoder = native.BpeEncoder(np.arange(256), np.array([[97, 97, 300]]), "none", classes)
text = b"a" * 30_000_000
encoder.encode(b"a")
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 400_000_000, -1))
try:
    encoder.encode(text)
except MemoryError as error:
    print("MemoryError", error)
resource.setrlimit(resource.RLIMIT_AS, (-1, -1))
print(len(encoder.encode(b"aaa")))
"""
    if not os.path.exists("/proc/self/statm"):
        pytest.skip("needs /proc")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.startswith("MemoryError native: no memory") and done.stdout.endswith("\n2\n"), (
        done.stderr
    )
