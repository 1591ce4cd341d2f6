"""Checks and times every fused kernel of every ISA against the portable one: `python native/check_fused.py`.

Random data, odd sizes, and buffers that end at a page which must not be touched. It knows no formulas:
the tests hold the kernels against the plain twins of 02-architecture. Exit code 1 if a kernel is wrong.
"""

import faulthandler
import sys
import time
from collections.abc import Iterator
from typing import Any

try:
    import numpy as np

    from chronos import native
    from chronos.console import table
    from chronos.native import fused
    from chronos.native.check_kernels import guarded
except ModuleNotFoundError as missing:
    sys.exit(f"{missing}; run `make setup`, then `.venv/bin/python native/check_fused.py`")

SIZES = [(rows, columns) for rows in (0, 1, 70) for columns in (1, 7, 16, 33, 129)]
LARGE = (300, 1024)  # for the threads and the clock
ALLOWED = 2.0**-17  # of the largest result of an array: sums of a few hundred terms, added in another order
f32 = np.float32

Case = tuple[str, list[Any], list[int]]  # a function of fused.py, its arguments, which of them are results


def cases(rng: np.random.Generator, R: int, D: int) -> Iterator[Case]:
    """One call of every function."""

    def a(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape, f32)

    def out(*shape: int) -> np.ndarray:
        return np.full(shape, np.nan, f32)

    for name in fused.MAPS:
        yield "apply", [name, a(R, D) * 20, out(R, D)], [2]
    yield "gelu_backward", [a(R, D), a(R, D) * 4, out(R, D)], [2]
    yield "swiglu", [a(R, 2 * D) * 4, out(R, D)], [1]
    yield "swiglu_backward", [a(R, D), a(R, 2 * D) * 4, out(R, 2 * D)], [2]
    yield "rotary", [a(R, 3, 2 * D), a(R, D), a(R, D), 2, out(R, 3, 2 * D)], [4]
    yield from norms(a, out, R, D)
    visible, scores = rng.integers(1, D + 1, (2, R)), (2, 3, R, D)
    yield "softmax", [a(*scores), visible, 0.3, out(2, 3, R)], [0, 3]
    yield "softmax_again", [a(*scores), a(2, 3, R) + f32(2), visible, 0.3], [0]
    yield "softmax_backward", [a(R, D), a(R, D), a(R), 0.3], [1]
    yield "cross_entropy", [a(R, D) * 5, rng.integers(-1, D, R), 0.3, out(R)], [0, 3]
    rates = [1e-2, 0.9, 0.99, 1e-8, 0.1, 3, 0.5]
    yield "adamw", [a(R, D), a(R, D), a(R, D), np.square(a(R, D)), *rates], [0, 2, 3]


def norms(a: Any, out: Any, R: int, D: int) -> Iterator[Case]:
    """Those with gains, whose gradients add up over rows."""
    x, dy, gain, rstd = a(R, 3, D), a(R, 3, D), a(2, D), np.abs(a(R, 2))
    yield "rms_norm", [x, gain, 1e-5, out(R, 3, D), out(R, 2)], [3, 4]
    yield "rms_norm_backward", [dy, x, gain, rstd, out(R, 3, D), out(2, D)], [4, 5]
    flat, more = (x[:, 0].copy(), gain[0].copy()), (out(R, D), out(R), out(R))
    yield "layer_norm", [*flat, a(D), 1e-5, *more], [4, 5, 6]
    saved = [a(R), rstd[:, 0].copy()]
    yield "layer_norm_backward", [dy[:, 0].copy(), *flat, *saved, out(R, D), out(D), out(D)], [5, 6, 7]


def run(case: Case) -> list[np.ndarray]:
    """The results of a call on guarded copies of its arguments."""
    name, arguments, results = case
    arguments = [guarded(x) if isinstance(x, np.ndarray) else x for x in arguments]
    getattr(fused, name)(*arguments)
    return [arguments[i] for i in results]


def off(got: list[np.ndarray], truth: list[np.ndarray]) -> float:
    """The largest difference over the largest result of its array (at least 1); infinity where NaN is."""
    worst = 0.0
    for a, b in zip(got, truth, strict=True):
        worst = max(worst, np.max(np.abs(a - b), initial=0) / np.max(np.abs(b), initial=1))
    return float(worst) if np.isfinite(worst) else np.inf


def seconds(case: Case) -> float:
    """The best of some calls, one after another on the same arrays."""
    name, arguments, _ = case
    best = np.inf
    for _ in range(5):
        start = time.perf_counter()
        getattr(fused, name)(*arguments)
        best = min(best, time.perf_counter() - start)
    return best


def check(isa: str) -> Iterator[tuple[str, int, float, float]]:
    """(name, calls, how far off, times as fast as portable) of every function of one ISA."""
    from chronos.native import compiled

    worst: dict[str, list[float]] = {}
    for shape in [*SIZES, LARGE]:
        found = {named(case): case for case in cases(np.random.default_rng(0), *shape)}
        for name, case in found.items():
            compiled.choose_isa("portable")
            truth = run(case)
            compiled.choose_isa(isa)
            compiled.set_threads(1)
            alone = run(case)
            compiled.set_threads(3)
            same = all(a.tobytes() == b.tobytes() for a, b in zip(run(case), alone))
            worst.setdefault(name, []).append(off(alone, truth) if same else np.inf)
    compiled.set_threads(1)
    ours = {name: seconds(case) for name, case in found.items()}
    compiled.choose_isa("portable")
    for name, errors in worst.items():
        yield name, len(errors), max(errors), seconds(found[name]) / ours[name]


def named(case: Case) -> str:
    """The function, or what `apply` applies."""
    return case[1][0] if case[0] == "apply" else case[0]


def main() -> int:
    """Check everything, print one row a kernel, return the exit code."""
    faulthandler.enable()
    if not native.available():
        print("the C kernels are not built: nothing to check")
        return 0
    from chronos.native import compiled

    threads, isa = compiled.info()["threads"], compiled.info()["isa"]
    rows, wrong = [], 0
    for each in compiled.isas():
        for name, count, worst, ratio in check(each):
            wrong += not worst <= ALLOWED
            good = f"good, off by {worst:.1e} at most" if worst <= ALLOWED else "WRONG"
            rows.append((each, name, count, good, f"{ratio:.1f} x portable"))
    compiled.choose_isa(isa)
    compiled.set_threads(threads)
    table("fused kernels against the portable ones", ("ISA", "what", "calls", "result", "speed"), rows)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
