"""Throws random arguments at every public function of `chronos.native`: `python native/check_faces.py`.

Half of the calls are right and must return what the plain twin, or the portable ISA, returns. In the others
an argument is bent (strided, unaligned, read-only, of another type or shape, huge, overlapping): they may
also be refused, by ChronosError or for want of memory. What C reads beyond an array shows only in an
extension with sanitizers: `make -C native faces`. Call i of a seed is always the same; --first i --calls 1
repeats it.
"""

import argparse
import faulthandler
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

try:
    import numpy as np

    from chronos.console import ChronosError, Progress, table
except ModuleNotFoundError as missing:
    sys.exit(f"{missing}; run `make setup`, then `.venv/bin/python native/check_faces.py`")

OFF = 1e-4  # of the largest number of an array: what sums in another order may lose
HUGE = 1 << 50
SLOW = 30  # seconds after which a call counts as one that hangs
DTYPES = ("f8", "f2", "i4", "i8", "u1", "u2", "i1", "c8", "?", "O", "S3", "f4", "M8[s]")
THINGS = (None, "text", b"bytes", 3.5, -1, [1, 2, 3], [[0.0]], object, np.float32(1), True)
NUMBERS = (-1, 0, 1, 2, 7, 1 << 31, (1 << 63) - 1, 1 << 64, -(1 << 63), 1.5, float("nan"), float("inf"), True)


class Chance:
    """Where random arguments come from. `bent` names what was done to those that are not right."""

    def __init__(self, seed: int, number: int):
        self._start = (seed, number)
        self.again()

    def again(self) -> None:
        """From the start: the same arguments once more."""
        self.rng = np.random.default_rng(self._start)
        self.odds = 0.0 if self.rng.random() < 0.5 else 0.2
        self.bent: list[str] = []
        self._made: list[np.ndarray] = []

    def size(self, most: int = 40) -> int:
        """0 ... most, the small ones more often."""
        return int(self.rng.integers(0, (4, most + 1)[self.rng.integers(2)]))

    def one_of(self, among: Any) -> Any:
        """One of them, any as often."""
        return among[self.rng.integers(len(among))]

    def number(self, right: Any, among: tuple = NUMBERS) -> Any:
        """A lone number, or what else is no array."""
        if self.rng.random() >= self.odds / 2:
            return right
        self.bent.append("number")
        return self.one_of(among)

    def floats(self, *shape: int) -> Any:
        """An array of float32, or what became of it."""
        return self.bend(self.rng.standard_normal(shape, np.float32))

    def bend(self, a: np.ndarray) -> Any:
        """The array, or now and then something else in its place."""
        if self.rng.random() < self.odds:
            way = self.one_of(sorted(BENDS))
            self.bent.append(way)
            a = BENDS[way](self, a)
        if isinstance(a, np.ndarray):
            self._made.append(a)
        return a

    def earlier(self, a: np.ndarray) -> np.ndarray:
        """Memory of an array made before, moved on by a little, as `a` is, if it is enough."""
        for old in self._made[::-1]:
            moved = old.reshape(-1)[self.rng.integers(3) :] if old.flags.c_contiguous else old
            if moved.dtype == a.dtype and moved.size >= a.size:
                return moved.reshape(-1)[: a.size].reshape(a.shape)
        return a


def _unaligned(c: Chance, a: np.ndarray) -> np.ndarray:
    room = np.zeros(a.nbytes + 1, np.uint8)
    moved = np.frombuffer(room, np.uint8)[1:].view(a.dtype).reshape(a.shape)
    moved[...] = a
    return moved


def _strided(c: Chance, a: np.ndarray) -> np.ndarray:
    axis = int(c.rng.integers(a.ndim)) if a.ndim else 0
    return np.repeat(a, 2, axis)[(slice(None),) * axis + (slice(None, None, 2),)] if a.ndim else a


def _read_only(c: Chance, a: np.ndarray) -> np.ndarray:
    a = a.copy()
    a.flags.writeable = False
    return a


def _other_type(c: Chance, a: np.ndarray) -> np.ndarray:
    with np.errstate(all="ignore"):
        return a.astype(np.dtype(c.one_of(DTYPES)))


def _other_shape(c: Chance, a: np.ndarray) -> np.ndarray:
    shape = list(a.shape)
    if shape and c.rng.random() < 0.7:
        shape[c.rng.integers(len(shape))] = c.size()
    elif c.rng.random() < 0.5:
        shape = [1, *shape]
    else:
        shape = shape[1:]
    return np.resize(a, shape) if a.size else np.zeros(shape, a.dtype)


def _wild(c: Chance, a: np.ndarray) -> np.ndarray:
    """Values at the ends of what the type holds."""
    kind, a = a.dtype.kind, a.copy()
    edges = {"f": (np.nan, np.inf, -np.inf, 3e38, 1e-45, -0.0), "b": (True, False)}
    if kind in "iu":
        edges[kind] = (np.iinfo(a.dtype).min, np.iinfo(a.dtype).max, 0, 1)
    places = c.rng.random(a.shape) < 0.2
    if kind in edges:
        a[places] = c.rng.choice(np.array(edges[kind], a.dtype), int(places.sum()))
    return a


def _huge(c: Chance, a: np.ndarray) -> np.ndarray:
    """A shape beyond all memory, of one number seen again and again."""
    shape = list(a.shape) or [1]
    shape[c.rng.integers(len(shape))] = HUGE
    return (
        np.broadcast_to(np.zeros(1, a.dtype), shape) if np.prod([max(s, 1) for s in shape]) < 1 << 58 else a
    )


BENDS = {
    "backwards": lambda c, a: np.flip(a.copy()[::-1] if a.ndim else a, 0) if a.ndim else a,
    "columns first": lambda c, a: np.asfortranarray(a),
    "huge": _huge,
    "masked": lambda c, a: np.ma.array(a),
    "overlap": lambda c, a: c.earlier(a),
    "read-only": _read_only,
    "strided": _strided,
    "swapped": lambda c, a: a.astype(a.dtype.newbyteorder()),
    "thing": lambda c, a: c.one_of(THINGS),
    "shape": _other_shape,
    "type": _other_type,
    "unaligned": _unaligned,
    "wild": _wild,
}
UNEQUAL = {"wild", "overlap", "panels"}  # after which results may differ


def same(found: Any, expected: Any) -> bool:
    """Whether two results agree: floats nearly, all else exactly."""
    found, expected = np.asarray(found), np.asarray(expected)
    if found.shape != expected.shape or found.dtype != expected.dtype:
        return False
    if found.dtype.kind != "f" or not found.size:
        return bool(np.array_equal(found, expected))
    with np.errstate(invalid="ignore"):
        off = np.nanmax(np.abs(found - expected), initial=0)
    return bool(off <= OFF * max(1, np.nanmax(np.abs(expected), initial=1)))


def judge(name: str, cases: Iterator[tuple[Any, Any]], c: Chance) -> str:
    """What became of a call: "returned", "refused", or a line that says what is wrong."""
    try:
        for found, expected in cases:
            if not UNEQUAL.intersection(c.bent) and not same(found, expected):
                return f"another result ({c.bent})"
    except ChronosError as error:
        return "refused" if c.bent else f"a right call was refused: {error}"
    except MemoryError:
        return "refused" if c.bent else "no memory"
    except Exception as error:
        return f"{type(error).__name__}: {error} ({c.bent})"
    return "returned"


def load(library: Path) -> None:
    """Take the extension from this file: nothing may have asked for it before."""
    from importlib.machinery import ExtensionFileLoader
    from importlib.util import module_from_spec, spec_from_loader

    name = "chronos.native._chronos_native"
    loader = ExtensionFileLoader(name, str(library))
    sys.modules[name] = module = module_from_spec(spec_from_loader(name, loader))
    loader.exec_module(module)


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="the number of the first call")
    parser.add_argument("--calls", type=int, default=1 << 62, help="stop after so many calls")
    parser.add_argument("--library", type=Path, help="the extension, if not the one that is built here")
    parser.add_argument("--trace", type=Path, help="a file that holds the number of the call under way")
    return parser.parse_args()


def main() -> int:
    """Call until the time is up, tell what happened, return the exit code."""
    options, end = arguments(), time.monotonic()
    faulthandler.enable()
    if options.library:
        load(options.library)
    from chronos import native

    if not native.available():
        print("the C kernels are not built: nothing to check")
        return 0
    from chronos.native.check_calls import CASES, SLOW_CASES

    trace = os.open(options.trace, os.O_CREAT | os.O_WRONLY) if options.trace else None
    seen, wrong, end, number = Counter(), [], end + options.seconds, options.first
    names = sorted(CASES)
    turns = [name for name in names if name not in SLOW_CASES] * 20 + sorted(SLOW_CASES)
    with Progress(None, "random calls") as bar:
        while time.monotonic() < end and number < options.first + options.calls and len(wrong) < 20:
            name, c = turns[number % len(turns)], Chance(options.seed, number)
            if trace is not None:
                os.pwrite(trace, f"{number:12} {name:24}\n".encode(), 0)
            faulthandler.dump_traceback_later(SLOW, exit=True)
            outcome = judge(name, CASES[name](c), c)
            seen[name, outcome] += 1
            if outcome not in ("returned", "refused"):
                wrong.append(f"WRONG: {name}, --seed {options.seed} --first {number}: {outcome}")
            number += 1
            faulthandler.cancel_dump_traceback_later()
            bar.update(number)
    table(
        f"random calls, {native.info()['isa']}", ("function", "returned", "refused"),
        [(name, seen[name, "returned"], seen[name, "refused"]) for name in names],
    )  # fmt: skip
    print("\n".join(wrong) or "good")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
