"""Associative recall (MQAR): pairs of a key and a value, then the keys again, each asking for its value.

The layout of Arora et al. (2023), "Zoology", with random numbers of our own; or an .npz in that layout as
lives. It trains nothing. Try `chronos data recall --task mqar --n 3 --out-dir DIR`.
"""

import bisect
import decimal
import itertools
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from chronos.console import ChronosError
from chronos.data.decoding import require_file
from chronos.data.dice import Dice
from chronos.data.lives import Event, Question
from chronos.data.tasks.example import IGNORED, Example, all_dice, require, word

LIMIT = 1 << 30  # bytes of an .npz unpacked

# What NumPy raises for an .npz that is none, is cut short, or holds objects or other names.
_DAMAGE = (OSError, ValueError, KeyError, EOFError, TypeError, AttributeError, MemoryError)
_DAMAGE += (zipfile.BadZipFile, zlib.error, NotImplementedError)


@dataclass(frozen=True)
class Options:
    """The layout, T = `length` tokens of a vocabulary whose lower half are keys and upper half values.

    Tokens 0 … 2·`pairs` − 1 are key, value, key, value …: all keys differ, and all values. Each key comes
    once more at an even distance 2g ≥ 0 after the pairs; there the label is its value, and everywhere else
    −100. Gaps g of 0 … T/2 − `pairs` − 1 all differ, drawn without replacement with weight
    (g + 1)^(`power` − 1): a power law, as the distance between repetitions in real text; 1 is uniform. All
    other inputs are 0, or with `noise` any token. `arrays`: an .npz with inputs and labels in this layout,
    read instead of drawn.
    """

    vocabulary: int = 256
    length: int = 64
    pairs: int = 4
    power: float = 0.01
    noise: bool = False
    arrays: str = ""

    def __post_init__(self) -> None:
        require(self.pairs >= 1, "pairs must be at least 1", got=self.pairs)
        require(self.length % 2 == 0, "length must be even", got=self.length)
        least = 4 * self.pairs
        require(self.length >= least, "length too short", expected=f"4 × pairs = {least}", got=self.length)
        least = 2 * self.pairs + 2
        got = self.vocabulary
        require(got >= least and got % 2 == 0, "vocabulary too small or odd", expected=f"≥ {least}", got=got)
        require(0 <= self.power <= 1, "power must lie between 0 and 1", got=self.power)


def examples(n: int | None, seed: int, split: str, options: Options) -> Iterator[Example]:
    """n examples (1000; of `options.arrays` the first n, or all), each a life with its token arrays."""
    if options.arrays:
        inputs, labels = read_arrays(options.arrays)
        yield from from_arrays(inputs[:n], labels[:n])
        return
    for life, dice in all_dice("mqar", seed, split, 1000 if n is None else n):
        inputs, labels = _draw(dice, options)
        yield _example(inputs, labels, life, "mqar")


def from_arrays(inputs: np.ndarray, labels: np.ndarray) -> Iterator[Example]:
    """The same as lives, for inputs and labels (N, T): a pair is an event, a query is a question.

    Times are positions. Raises ChronosError, naming the row, for arrays in another layout.
    """
    for row, (tokens, answers) in enumerate(zip(inputs, labels)):
        yield _example(tokens, answers, row + 1, f"row {row}")


def read_arrays(path: Path | str) -> tuple[np.ndarray, np.ndarray]:
    """inputs and labels, (N, T) int32, of an .npz; ChronosError if it is damaged or holds something else."""
    require_file(Path(path))
    try:
        with zipfile.ZipFile(path) as packed:
            size = sum(member.file_size for member in packed.infolist())
        require(size <= LIMIT, "too large", where=path, expected=f"at most {LIMIT} bytes", got=size)
        with np.load(path, allow_pickle=False) as arrays:
            inputs, labels = arrays["inputs"], arrays["labels"]
    except _DAMAGE as error:
        what = f"this is no .npz with inputs and labels ({type(error).__name__})"
        raise ChronosError(what, where=path, mend="check the file") from None
    same = inputs.ndim == 2 and inputs.shape == labels.shape and len(inputs) > 0
    whole = inputs.dtype.kind in "iu" and labels.dtype.kind in "iu"
    got = f"{inputs.dtype}{inputs.shape}, {labels.dtype}{labels.shape}"
    require(
        same and whole, "inputs and labels do not match", where=path, expected="two (N, T) integers", got=got
    )
    small = int(inputs.min(initial=0)) >= 0 and int(inputs.max(initial=0)) < 2**31
    require(small, "tokens must be numbers of 0 … 2³¹ − 1", where=path)
    return inputs.astype(np.int32), labels.astype(np.int32)


def _draw(dice: Dice, o: Options) -> tuple[np.ndarray, np.ndarray]:
    half = o.vocabulary // 2
    keys = dice.sample(range(1, half), o.pairs)  # 0 is the filler
    values = dice.sample(range(half, o.vocabulary), o.pairs)
    inputs = np.zeros(o.length, np.int32)
    labels = np.full(o.length, IGNORED, np.int32)
    inputs[0 : 2 * o.pairs : 2], inputs[1 : 2 * o.pairs : 2] = keys, values
    for key, value, gap in zip(keys, values, _gaps(dice, o)):
        inputs[2 * (o.pairs + gap)] = key
        labels[2 * (o.pairs + gap)] = value
    if o.noise:
        for at in np.flatnonzero(inputs == 0):
            inputs[at] = dice.below(o.vocabulary)
    return inputs, labels


def _gaps(dice: Dice, o: Options) -> list[int]:
    """Different gaps by their weights: what was drawn before is drawn anew."""
    sums = _cumulated(o.length // 2 - o.pairs, str(o.power))
    gaps: dict[int, None] = {}
    while len(gaps) < o.pairs:
        gaps[bisect.bisect_right(sums, dice.below(sums[-1]))] = None
    return list(gaps)


@lru_cache(maxsize=8)
def _cumulated(space: int, power: str) -> list[int]:
    """Running sums of the weights (g + 1)^(power − 1) in units of 2⁻⁴⁰; decimals, so the same everywhere."""
    with decimal.localcontext(decimal.Context(prec=40)):
        exponent = decimal.Decimal(power) - 1
        weights = [int((decimal.Decimal(g).ln() * exponent).exp() * 2**40) for g in range(1, space + 1)]
    return list(itertools.accumulate(weights))


def _example(inputs: np.ndarray, labels: np.ndarray, life: int, where: str) -> Example:
    queries = np.flatnonzero(labels != IGNORED)
    pairs = len(queries)
    keys = inputs[0 : 2 * pairs : 2].tolist()
    values = dict(zip(keys, inputs[1 : 2 * pairs : 2].tolist()))
    asked = [values.get(key) for key in inputs[queries].tolist()]
    good = 4 * pairs <= len(inputs) and len(values) == pairs == len(set(inputs[queries].tolist()))
    good = good and pairs > 0 and queries[0] >= 2 * pairs and inputs.min() >= 0
    if not (good and asked == labels[queries].tolist()):
        what = "not in the layout of associative recall"
        raise ChronosError(what, where=where, expected="pairs, then each key once with its value as label")
    events = [
        Event(2 * i, f"The word for {word(key)} is {word(value)}.", life=life)
        for i, (key, value) in enumerate(values.items())
    ]
    questions = []
    for at in queries.tolist():
        key = int(inputs[at])
        told = 2 * keys.index(key)
        ask, answer = f"What is the word for {word(key)}?", word(values[key])
        questions.append(Question(ask, answer, "mqar", at, at - told, 0, (told,), (), life))
    return Example(events, questions, inputs, labels)
