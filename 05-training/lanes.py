"""Lanes: each core trains on its own rows of the batch, with its own replica and single-threaded products.

Splitting whole rows needs one meeting per step; splitting every small product would need hundreds. Kernels
and BLAS let go of the interpreter lock, so that plain Python threads run side by side.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from types import TracebackType
from typing import TypeVar

from threadpoolctl import threadpool_limits

T = TypeVar("T")


class Lanes:
    """`with Lanes(n) as lanes: results = lanes.run(tasks)`; results in the order of the tasks.

    With several lanes BLAS runs one thread in each; with one lane it keeps all of its own.
    """

    def __init__(self, count: int):
        self.count = max(1, count)

    def __enter__(self) -> "Lanes":
        self._pool = ThreadPoolExecutor(self.count, "lane") if self.count > 1 else None
        self._limits = threadpool_limits(1, "blas") if self.count > 1 else None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._limits.restore_original_limits()

    def run(self, tasks: Sequence[Callable[[], T]]) -> list[T]:
        """Run one task per lane at a time; an exception in any of them is raised here."""
        if self._pool is None:
            return [task() for task in tasks]
        futures = [self._pool.submit(task) for task in tasks]
        return [future.result() for future in futures]

    def shares(self, size: int) -> list[slice]:
        """Split `size` rows into at most `count` contiguous, nearly equal slices."""
        count = min(self.count, size)
        edges = [size * i // count for i in range(count + 1)]
        return [slice(a, b) for a, b in pairwise(edges)]
