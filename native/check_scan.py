"""Checks the scan of every ISA against its plain twin, in buffers that end at a page not to be touched.

Run by check_kernels.py, beside the products. It times nothing: bench_scan.py does.
"""

from collections.abc import Callable, Iterator

import numpy as np

from chronos.native import scan, scan_plain

COUNTS, WIDTHS = (0, 1, 3, 8, 15, 16, 17, 33, 256, 300), (1, 3, 15, 16, 17, 31, 33, 64, 65, 96, 130)


def searches(rng: np.random.Generator, guarded: Callable[[np.ndarray], np.ndarray]) -> Iterator[scan.Search]:
    """Random searches of all sizes; keys lie side by side or in records, everything ends at the guard."""
    for n in COUNTS:
        for width in WIDTHS:
            for kind, size in ((np.int8, 1), (np.uint16, 2)):
                room = width * size + int(rng.integers(0, 3)) * 8
                memory = guarded(rng.integers(0, 256, max(0, n * room - (room - width * size)), np.uint8))
                shape, strides = (n, width), (room, size)
                keys = np.ndarray(shape, kind, memory, strides=strides) if n else np.zeros(shape, kind)
                floats = rng.standard_normal((2, width), np.float32)
                queries = guarded(rng.integers(-128, 128, (2, width), np.int8) if size == 1 else floats)
                scales = guarded(rng.standard_normal(n, np.float32)) if size == 1 and width % 2 else None
                allowed, sources = (guarded(rng.integers(0, 3, n).astype(np.uint8)) for _ in range(2))
                times = guarded(rng.integers(0, 9, n))
                wanted = np.zeros(256, np.uint8)
                wanted[1:] = 1
                columns = (scales, allowed, times, sources, 1, 8, wanted)
                yield scan.Search(keys, queries, min(n, 5), *columns)


def check_scan(run: Callable, rng: np.random.Generator, guarded: Callable) -> tuple[int, float]:
    """How many searches were good, and 0; or how many before the first that was not, and infinity."""
    for done, search in enumerate(searches(rng, guarded)):
        pairs = zip(run(search), scan_plain.best(search), strict=True)
        if search.k and any(a.tobytes() != b.tobytes() for a, b in pairs):
            return done, np.inf
    return len(COUNTS) * len(WIDTHS) * 2, 0.0
