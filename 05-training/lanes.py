"""Lanes: each core trains on its own rows of the batch, with its own replica and single-threaded products.

Splitting whole rows needs a few meetings per step; splitting every small product would need hundreds. Kernels
and BLAS let go of the interpreter lock, so that plain Python threads run side by side.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from itertools import pairwise
from types import TracebackType
from typing import TypeVar

from threadpoolctl import threadpool_limits

from chronos import native

T = TypeVar("T")


class Lanes:
    """`with Lanes(n) as lanes: results = lanes.run(tasks)`; results in the order of the tasks.

    With several lanes BLAS and native run one thread in each; with one lane they keep all of their own.
    """

    def __init__(self, count: int):
        self.count = max(1, count)

    def __enter__(self) -> "Lanes":
        # A thread of its own for each lane: what a lane freed in one step lies ready for it in the next.
        names = [f"lane-{i}" for i in range(self.count)] if self.count > 1 else []
        self._threads = [ThreadPoolExecutor(1, name) for name in names]
        self._limits = threadpool_limits(1, "blas") if self.count > 1 else None
        self._native = native.info()["threads"]
        if self.count > 1:
            native.set_threads(1)
        self._endings: list[Callable[[], None]] = []
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for ending in self._endings:
            ending()
        for thread in self._threads:
            thread.shutdown(wait=True, cancel_futures=True)
        if self._limits is not None:
            self._limits.restore_original_limits()
            native.set_threads(self._native)

    def at_end(self, ending: Callable[[], None]) -> None:
        """Call this when the lanes end, however they do."""
        self._endings.append(ending)

    def run(self, tasks: Sequence[Callable[[], T]]) -> list[T]:
        """Task i runs on lane i (at most one a lane); an exception in any of them is raised here."""
        if not self._threads:
            return [task() for task in tasks]
        futures = [thread.submit(task) for thread, task in zip(self._threads, tasks)]
        wait(futures)  # also after a failure: no lane works on while the caller cleans up
        return [future.result() for future in futures]

    def shares(self, size: int) -> list[slice]:
        """Split `size` rows into at most `count` contiguous, nearly equal slices."""
        count = min(self.count, size)
        edges = [size * i // count for i in range(count + 1)]
        return [slice(a, b) for a, b in pairwise(edges)]
