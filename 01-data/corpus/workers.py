"""Processes that make blocks: each takes the next one, writes its file and says so; a lost one is told.

They hold no state, so that any of them may make any block. With one worker all happens in this process.
Used by `chronos.data.corpus.prepare`.
"""

import contextlib
import multiprocessing
import signal
import sys
from collections.abc import Iterable, Iterator
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from chronos.console import ChronosError
from chronos.data.blocks import Piece
from chronos.data.corpus.records import Recipe, block_path, make
from chronos.files import write_atomic

Task = tuple[int, list[Piece]]  # the number of a block, and what it is made of
Done = tuple[int, dict[str, Any]]  # the number of a block whose file is written, and its summary


class WorkerLost(ChronosError):
    """A worker process ended although it had work to do."""

    keeps_work = True


def run(tasks: Iterable[Task], recipe: Recipe, folder: Path, workers: int) -> Iterator[Done]:
    """Make blocks with so many processes; yields each as it gets done, in no particular order.

    Damage that is not to be skipped is raised as if the blocks had been made one after another: that of the
    first block that has any. Raises WorkerLost if the system kills a worker.
    """
    if workers < 2:
        yield from ((number, _make(number, pieces, recipe, folder)) for number, pieces in tasks)
        return
    pool = _Pool(recipe, folder)
    try:
        yield from pool.run(iter(tasks), workers)
    finally:
        pool.close()


def _make(number: int, pieces: list[Piece], recipe: Recipe, folder: Path) -> dict[str, Any]:
    data, summary = make(pieces, recipe)
    write_atomic(block_path(folder, number), data)
    return summary


class _Pool:
    """Workers, each with a pipe of its own; which one has which block."""

    def __init__(self, recipe: Recipe, folder: Path):
        self.recipe, self.folder = recipe, folder
        self.context = multiprocessing.get_context("spawn")
        self.workers: dict[Connection, Any] = {}  # our end of the pipe -> the process
        self.busy: dict[Connection, int] = {}
        self.failed: dict[int, BaseException] = {}

    def run(self, tasks: Iterator[Task], workers: int) -> Iterator[Done]:
        task = self._next(tasks)
        while task or self.busy:
            while task and len(self.busy) < workers:
                self._give(task)
                task = self._next(tasks)
            yield from self._collect()
            task = None if self.failed else task
        if self.failed:
            raise self.failed[min(self.failed)]

    def _next(self, tasks: Iterator[Task]) -> Task | None:
        """The next task, none after a failure; what cannot be read fails after all blocks before it."""
        try:
            return None if self.failed else next(tasks, None)
        except ChronosError as error:
            self.failed[sys.maxsize] = error
            return None

    def _give(self, task: Task) -> None:
        idle = next((pipe for pipe in self.workers if pipe not in self.busy), None) or self._start()
        self.busy[idle] = task[0]
        try:
            idle.send(task)
        except OSError:
            self._lost(idle)

    def _start(self) -> Connection:
        ours, theirs = self.context.Pipe()
        process = self.context.Process(target=_serve, args=(theirs, self.recipe, self.folder), daemon=True)
        with _interrupts_held():  # what is started now never sees Ctrl-C, from its first instruction on
            process.start()
        theirs.close()
        self.workers[ours] = process
        return ours

    def _collect(self) -> Iterator[Done]:
        for pipe in wait(list(self.busy)):
            number = self.busy.pop(pipe)
            try:
                answer = pipe.recv()
            except (EOFError, OSError):
                self._lost(pipe)
            if isinstance(answer, BaseException):
                self.failed[number] = answer
            else:
                yield number, answer

    def _lost(self, pipe: Connection) -> None:
        process = self.workers[pipe]
        process.join(5)
        code = process.exitcode
        how = f"killed by signal {-code}" if code and code < 0 else f"ended with exit code {code}"
        mend = "what is done is kept: run the same command again, with fewer workers if memory was short"
        raise WorkerLost(f"a worker process was {how}", mend=mend) from None

    def close(self) -> None:
        """End all workers, those at work too: a block that is not finished leaves no trace."""
        for pipe, process in self.workers.items():
            pipe.close()
            if pipe in self.busy:
                process.terminate()
        for process in self.workers.values():
            process.join()


@contextlib.contextmanager
def _interrupts_held() -> Iterator[None]:
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # now, for when it starts it lets interrupts through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(pipe: Connection, recipe: Recipe, folder: Path) -> None:
    """A worker: until the pipe closes, make what comes and answer with a summary or an error."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.suppress(EOFError, OSError):
        while True:
            number, pieces = pipe.recv()
            try:
                answer: Any = _make(number, pieces, recipe, folder)
            except Exception as error:  # told by the process that has a terminal
                answer = error
            pipe.send(answer)
