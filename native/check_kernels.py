"""Checks and times every C kernel of every ISA against its plain twin: `python native/check_kernels.py`.

Random data, odd sizes, and buffers that end at a page which must not be touched, so that one byte read or
written too far ends the process. It compares with no other library: the tests hold the formats against
`gguf`, bench_native.py the speed against peers. Ends with exit code 1 if a kernel is wrong.
"""

import ctypes
import faulthandler
import itertools
import mmap
import sys
import time
from collections.abc import Callable, Iterator

try:
    import numpy as np

    from chronos import native
    from chronos.console import table
    from chronos.native import plain, scan
    from chronos.native.check_scan import check_scan
    from chronos.native.check_steps import check_blocks, check_steps
except ModuleNotFoundError as missing:
    sys.exit(f"{missing}; run `make setup`, then `.venv/bin/python native/check_kernels.py`")

ROWS, WIDTHS, BATCHES = (0, 1, 2, 3, 5, 17, 66), (0, 32, 45, 256, 299, 544), (0, 1, 3, 4, 9, 65)
ALLOWED = 2.0**-21  # of the sum of magnitudes: what float32 may lose over the blocks of these widths


def guarded(array: np.ndarray) -> np.ndarray:
    """A copy that ends where memory ends: the next byte may be neither read nor written (POSIX only)."""
    if not hasattr(mmap, "PROT_READ"):
        return array.copy()
    page = mmap.PAGESIZE
    room = -(-array.nbytes // page) * page
    memory = mmap.mmap(-1, room + page)
    start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    protect = ctypes.CDLL(None, use_errno=True).mprotect
    if protect(ctypes.c_void_p(start + room), ctypes.c_size_t(page), 0):
        raise OSError(ctypes.get_errno(), "mprotect")
    copy = np.frombuffer(memory, array.dtype, array.size, room - array.nbytes).reshape(array.shape)
    copy[...] = array
    return copy


def sizes() -> Iterator[tuple[int, int, int]]:
    """All (B, N, K)."""
    return ((b, n, k) for n in ROWS for k in WIDTHS for b in BATCHES)


def random_blocks(rng: np.random.Generator, qtype: str, n: int, k: int) -> np.ndarray:
    """Blocks with every code there is, also such as `quantize` never makes, and scales of a model's size."""
    blocks = rng.integers(0, 256, native.blocks.data_bytes(qtype, (n, k)), np.uint8)
    view = blocks.view(plain.LAYOUTS[qtype])
    for name in ("d", "dmin"):
        if name in (view.dtype.names or ()):
            view[name] = rng.standard_normal(len(view)) * 0.02
    if qtype in ("F16", "BF16"):
        return plain.quantize(qtype, rng.standard_normal((n, k)).astype(np.float32))
    return blocks


def check_quantize(kernels, qtype: str, rng: np.random.Generator) -> tuple[int, float]:
    """Byte for byte; scales of weights over the whole range of float32."""
    for b, n, k in sizes():
        w = guarded(rng.standard_normal((n, k), np.float32) * np.float32(10.0 ** rng.integers(-38, 38)))
        if kernels.quantize(qtype, w).tobytes() != plain.quantize(qtype, w).tobytes():
            return b, np.inf
    return sum(1 for _ in sizes()), 0.0


def check_dequantize(kernels, qtype: str, rng: np.random.Generator) -> tuple[int, float]:
    """Bit for bit."""
    for b, n, k in sizes():
        blocks = guarded(random_blocks(rng, qtype, n, k))
        if (
            kernels.dequantize(qtype, blocks, (n, k)).tobytes()
            != plain.dequantize(qtype, blocks, (n, k)).tobytes()
        ):
            return b, np.inf
    return sum(1 for _ in sizes()), 0.0


def check_matmul(kernels, qtype: str, rng: np.random.Generator) -> tuple[int, float]:
    """Against sums in float64 of the same codes; y, too, ends at the guard, and is NaN before."""
    worst = 0.0
    for b, n, k in sizes():
        x, blocks = guarded(rng.standard_normal((b, k), np.float32)), guarded(random_blocks(rng, qtype, n, k))
        y = guarded(np.full((b, n), np.nan, np.float32))
        buffer, number = kernels.ffi.from_buffer, kernels.TYPE_NUMBERS[qtype]
        floats, raw = kernels.FLOATS, kernels.BYTES
        kernels.lib.chronos_matmul(number, buffer(raw, blocks), n, k, buffer(floats, x), b, buffer(floats, y))
        codes, scales = plain.quantize_x(x)
        rounded = (codes * scales[..., None].astype(np.float64)).reshape(b, 32 * codes.shape[1])[:, :k]
        w = plain.dequantize(qtype, blocks, (n, k)).astype(np.float64)
        off, magnitude = np.abs(y - rounded @ w.T), np.abs(rounded) @ np.abs(w).T
        if not (off <= ALLOWED * magnitude).all():
            return b, np.inf
        worst = max(worst, float((off / np.maximum(magnitude, 1e-30)).max(initial=0)))
    return sum(1 for _ in sizes()), worst


def check_packed(kernels, qtype: str, rng: np.random.Generator) -> tuple[int, float]:
    """Panels byte for byte, the product against sums in float64; panels, x and y end at guards."""
    worst, unit, cases = 0.0, native.blocks.FORMATS[qtype][0], 0
    for n, units, b in itertools.product(ROWS, (0, 0.1, 1, 1.3, 2, 2.9, 3), BATCHES):
        shape, cases = (n, int(units * max(unit, 32))), cases + 1
        blocks = random_blocks(rng, qtype, *shape)
        panels = guarded(kernels.pack(qtype, guarded(blocks), shape))
        if panels.tobytes() != plain.pack(qtype, blocks, shape).tobytes():
            return b, np.inf
        x = guarded(rng.standard_normal((b, shape[1]), np.float32))
        y = guarded(np.full((b, n), np.nan, np.float32))
        buffer, floats, number = kernels.ffi.from_buffer, kernels.FLOATS, kernels.TYPE_NUMBERS[qtype]
        raw = buffer(kernels.BYTES, panels)
        kernels.lib.chronos_matmul_packed(number, raw, *shape, buffer(floats, x), b, buffer(floats, y))
        rounded = plain.round_x(qtype, x).astype(np.float64)
        w = plain.dequantize(qtype, blocks, shape).astype(np.float64)
        off, magnitude = np.abs(y - rounded @ w.T), np.abs(rounded) @ np.abs(w).T
        if qtype == "Q2_K":  # a difference of two sums, each of which is rounded
            magnitude += 60 * 0.1 * np.abs(rounded).sum(axis=1, keepdims=True)
        if not (off <= ALLOWED * magnitude).all():
            return b, np.inf
        worst = max(worst, float((off / np.maximum(magnitude, 1e-30)).max(initial=0)))
    return cases, worst


def check_nonfinite(kernels, qtype: str, rng: np.random.Generator) -> tuple[int, float]:
    """The same place, wherever it is."""
    for place in range(0, 3000, 7):
        x = guarded(rng.standard_normal(3000).astype(np.float32))
        x[place : place + 2] = rng.choice([np.nan, np.inf, -np.inf, 1.0], 2)
        if kernels.first_nonfinite(x) != plain.first_nonfinite(x):
            return place, np.inf
    return 3000 // 7 + 1, 0.0


def check_threads(kernels, qtype: str, rng: np.random.Generator) -> tuple[int, float]:
    """Not a bit changes with the number of threads, or when a row of x stands alone."""
    x, blocks = rng.standard_normal((70, 544), np.float32), random_blocks(rng, qtype, 1001, 544)
    expected = kernels.matmul(x, qtype, blocks, (1001, 544)).tobytes()
    rows = b"".join(kernels.matmul(x[i : i + 1], qtype, blocks, (1001, 544)).tobytes() for i in range(70))
    same = rows == expected
    for threads in (1, 2, 3, 5, 8):
        kernels.set_threads(threads)
        same &= kernels.matmul(x, qtype, blocks, (1001, 544)).tobytes() == expected
    return 6, 0.0 if same else np.inf


def speedup(run: Callable, kernels, qtype: str, rng: np.random.Generator) -> float:
    """How many times faster than the plain twin, 512 x 512, one row of x, one thread; NaN where not timed."""
    w, x = rng.standard_normal((512, 512), np.float32), rng.standard_normal((1, 512), np.float32)
    blocks = plain.quantize(qtype, w)
    panels = kernels.pack(qtype, blocks, w.shape)
    calls = {
        check_quantize: lambda engine: engine.quantize(qtype, w),
        check_dequantize: lambda engine: engine.dequantize(qtype, blocks, w.shape),
        check_matmul: lambda engine: engine.matmul(x, qtype, blocks, w.shape),
        check_packed: lambda engine: engine.matmul_packed(x, qtype, panels, w.shape),
        check_nonfinite: lambda engine: engine.first_nonfinite(w),
    }
    if run not in calls:
        return np.nan
    kernels.set_threads(1)
    times = {}
    for engine in (plain, kernels) * 5:
        start = time.perf_counter()
        calls[run](engine)
        times[engine] = min(times.get(engine, np.inf), time.perf_counter() - start)
    return times[plain] / times[kernels]


def main() -> int:
    """Check everything, print one row a kernel, return the exit code."""
    faulthandler.enable()
    if not native.available():
        print("the C kernels are not built: nothing to check")
        return 0
    from chronos.native import compiled

    threads, isa = compiled.info()["threads"], compiled.info()["isa"]
    every = (check_packed,)
    checks = (check_quantize, check_dequantize, check_matmul, check_packed, check_nonfinite, check_threads)
    rows, wrong = [], 0
    for name in compiled.isas():
        compiled.choose_isa(name)
        for what, types, found in (
            ("scan", "int8, bf16", check_scan(scan.compiled, np.random.default_rng(0), guarded)),
            ("steps", "float32", check_steps(np.random.default_rng(0), guarded)),
            ("steps", "Q4_0, Q8_0", check_blocks(native.matmul, np.random.default_rng(0), guarded)),
        ):
            wrong += not np.isfinite(found[1])
            good = f"good, off by {found[1]:.1e} at most" if np.isfinite(found[1]) else "WRONG"
            rows.append((name, types, what, found[0], good, ""))
        for qtype in native.FORMATS:
            for check in checks if qtype in native.TYPES else every:
                rng = np.random.default_rng(0)
                compiled.set_threads(threads)
                cases, worst = check(compiled, qtype, rng)
                wrong += not np.isfinite(worst)
                ratio = speedup(check, compiled, qtype, rng)
                timed = f"{ratio:.1f} x plain" if np.isfinite(ratio) else ""
                good = f"good, off by {worst:.1e} at most" if np.isfinite(worst) else "WRONG"
                rows.append((name, qtype, check.__name__.removeprefix("check_"), cases, good, timed))
    compiled.choose_isa(isa)
    compiled.set_threads(threads)
    table("kernels against their plain twins", ("ISA", "type", "what", "cases", "result", "speed"), rows)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
