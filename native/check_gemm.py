"""Checks and times the float products of every ISA against sums in float64: `python native/check_gemm.py`.

Random data, odd sizes, any order of both matrices, and buffers that end at a page which must not be touched.
It compares with no other library: bench_gemm.py does. Ends with exit code 1 if a product is wrong.
"""

import faulthandler
import sys
import time
from collections.abc import Iterator
from itertools import product

try:
    import numpy as np

    from chronos import native
    from chronos.console import table
    from chronos.native import gemm, gemm_plain
    from chronos.native.check_kernels import guarded
except ModuleNotFoundError as missing:
    sys.exit(f"{missing}; run `make setup`, then `.venv/bin/python native/check_gemm.py`")

ROWS, COLUMNS, DEPTHS = (1, 3, 6, 14, 15, 29), (1, 17, 32, 65, 129), (0, 1, 2, 33, 64, 97)
KINDS = {"f32": (native.matmul_f32, native.pack_f32), "bf16": (native.matmul_bf16, native.pack_bf16)}


def allowed(depth: int) -> float:
    """What float32 may lose over so many terms, as a share of the sum of their magnitudes."""
    return (depth + 4) * 2.0**-24


def problems(rng: np.random.Generator) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Matrices of all sizes, in all orders, with nothing behind them."""
    for m, n, k, a_turned, b_turned in product(ROWS, COLUMNS, DEPTHS, (False, True), (False, True)):
        shapes = ((k, m) if a_turned else (m, k)), ((n, k) if b_turned else (k, n))
        a, b = (guarded(rng.standard_normal(shape, np.float32)) for shape in shapes)
        yield (a.T if a_turned else a), (b.T if b_turned else b)


def check(kind: str) -> tuple[int, float]:
    """How many cases, and the worst error as a share of what is allowed: infinite where it is more."""
    rng, worst, cases = np.random.default_rng(0), 0.0, 0
    multiply, pack = KINDS[kind]
    for a, b in problems(rng):
        before = rng.standard_normal((len(a), b.shape[1]), np.float32)
        c, sums = guarded(np.full(before.shape, np.nan, np.float32)), guarded(before)
        multiply(a, b, out=c)
        multiply(a, pack(b), out=sums, add=True)
        left, right = ((gemm_plain.bf16(x) if kind == "bf16" else x).astype(np.float64) for x in (a, b))
        y, room = left @ right, np.abs(left) @ np.abs(right)
        for found, start in ((c, 0.0), (sums, before)):
            off = np.abs(found - (y + start)) / (allowed(a.shape[1]) * (room + np.abs(start)) + 1e-37)
            worst = max(worst, float(np.where(np.isnan(found), np.inf, off).max(initial=0)))
        cases += 2
    return cases, worst if worst <= 1 else np.inf


def check_threads(kind: str) -> tuple[int, float]:
    """Not a bit changes with the number of threads, nor when a row stands alone."""
    rng, before = np.random.default_rng(0), native.info()["threads"]
    multiply, pack = KINDS[kind]
    a, b = rng.standard_normal((70, 2100), np.float32), rng.standard_normal((2100, 333), np.float32)
    packed, expected = pack(b), multiply(a, b).tobytes()
    same = b"".join(multiply(a[i : i + 1], packed).tobytes() for i in range(70)) == expected
    for threads in (1, 2, 3, 5, 8):
        native.set_threads(threads)
        same &= multiply(a, b).tobytes() == multiply(a, packed).tobytes() == expected
    native.set_threads(before)
    return 6, 0.0 if same else np.inf


def speedup(kind: str) -> float:
    """How many times faster than the plain twin: 8 rows by packed 512 x 512, one thread."""
    rng, before = np.random.default_rng(0), native.info()["threads"]
    x, w = rng.standard_normal((8, 512), np.float32), rng.standard_normal((512, 512), np.float32)
    packed, plainly = KINDS[kind][1](w.T), np.empty(w.size, np.uint32)
    gemm_plain.pack(kind, w.T, plainly)
    out, times = np.empty((8, 512), np.float32), {}
    native.set_threads(1)
    calls = {
        "plain": lambda: gemm_plain.matmul(kind, x, plainly, True, out, False),
        "ours": lambda: KINDS[kind][0](x, packed, out=out),
    }
    for name in ("plain", "ours") * 9:
        start = time.perf_counter()
        calls[name]()
        times[name] = min(times.get(name, np.inf), time.perf_counter() - start)
    native.set_threads(before)
    return times["plain"] / times["ours"]


def main() -> int:
    """Check everything, print one row a kernel, return the exit code."""
    faulthandler.enable()
    if not native.available():
        print("the C kernels are not built: nothing to check")
        return 0
    from chronos.native import compiled

    rows, wrong, before = [], 0, compiled.info()["isa"]
    for isa in compiled.isas():
        compiled.choose_isa(isa)
        for kind in gemm.KINDS:
            for what in (check, check_threads):
                cases, worst = what(kind)
                wrong += not np.isfinite(worst)
                good = f"good, {worst:.0%} of what is allowed" if np.isfinite(worst) else "WRONG"
                timed = f"{speedup(kind):.1f} x plain" if what is check else ""
                rows.append((isa, kind, "products" if what is check else "threads", cases, good, timed))
    compiled.choose_isa(before)
    table("float products against sums in float64", ("ISA", "type", "what", "cases", "result", "speed"), rows)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
