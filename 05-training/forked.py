"""Lanes as processes: where a step is much Python, threads wait for each other's interpreter lock.

Children are forked once, see the weights through shared memory and leave their gradients there; what they
are asked and answer goes through pipes as JSON. They draw, think and forget: all files are the parent's.
"""

import json
import mmap
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any, NoReturn

import numpy as np

from chronos.architecture.tape import Tensor
from chronos.console import ChronosError

Task = Callable[[int, dict[str, Any]], dict[str, Any]]  # (lane, asked) → answered, both for JSON
GONE = (EOFError, OSError)  # what a pipe raises whose other end is no more


def possible() -> bool:
    """Whether processes can be forked safely here: on Linux. (On macOS the system's BLAS forbids it.)"""
    return sys.platform.startswith("linux")


def share(tensors: Iterable[Tensor]) -> None:
    """Move tensors into memory that children of this process will share. Whoever writes, writes in place."""
    tensors = list(tensors)
    memory, start = _memory(sum(tensor.data.size for tensor in tensors)), 0
    for tensor in tensors:
        place = memory[start : start + tensor.data.size].reshape(tensor.data.shape)
        place[...] = tensor.data
        tensor.data = place
        start += tensor.data.size


def _memory(size: int) -> np.ndarray:
    return np.frombuffer(mmap.mmap(-1, max(1, size) * 4), np.float32)[:size]


@contextmanager
def _others_alive() -> Iterator[None]:
    """Only a pipe may fail in here: then its other end is gone."""
    try:
        yield
    except GONE:
        mend = "continue with --resume; if memory ran out, with fewer --threads"
        raise ChronosError("the process of a training lane has ended", mend=mend) from None


class Forked:
    """`forked.run(asked)`: task(lane, asked[lane]) at once, lane 0 here and each other in its own process.

    `gradients` are the parameters of each lane's replica; a task leaves their gradients, and after `run` they
    stand here, too. Fork before there are threads, with shared weights; `close` ends the children, and so
    does the end of this process.
    """

    def __init__(self, gradients: Sequence[dict[str, Tensor]], task: Task):
        self.gradients, self.task = gradients, task
        size = sum(tensor.data.size for tensor in gradients[0].values())
        self.areas = [_memory(size) for _ in gradients[1:]]
        self.pipes: list[Connection] = []
        self.children: list[int] = []
        for lane in range(1, len(gradients)):
            ours, theirs = Pipe()
            child = os.fork()
            if child == 0:
                for pipe in (*self.pipes, ours):  # a child that held these would keep the others alive
                    pipe.close()
                self._serve(lane, theirs)
            theirs.close()
            self.pipes.append(ours)
            self.children.append(child)

    def run(self, asked: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Answers in the order of the lanes. ChronosError where a lane failed or its process is gone."""
        with _others_alive():
            for pipe, message in zip(self.pipes, asked[1:]):
                pipe.send_bytes(json.dumps(message).encode())
        found = [self.task(0, asked[0])]
        for lane, pipe in enumerate(self.pipes, 1):
            with _others_alive():
                answer = json.loads(pipe.recv_bytes())
            if "error" in answer:
                raise ChronosError(f"lane {lane}: {answer['error']}")
            self._take(lane, set(answer["without"]))
            found.append(answer["found"])
        return found

    def close(self) -> None:
        """Let the children go, and wait until they have."""
        for pipe in self.pipes:
            pipe.close()
        for child in self.children:
            os.waitpid(child, 0)
        self.pipes, self.children = [], []

    def _serve(self, lane: int, pipe: Connection) -> NoReturn:
        """A child's life: it answers until nobody asks. Ctrl-C is the parent's affair."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        try:
            while True:
                asked = json.loads(pipe.recv_bytes())
                pipe.send_bytes(json.dumps(self._answer(lane, asked)).encode())
        except GONE:
            pass
        finally:
            os._exit(0)  # nothing of the parent's is flushed or cleaned up twice

    def _answer(self, lane: int, asked: dict[str, Any]) -> dict[str, Any]:
        try:
            return {"found": self.task(lane, asked), "without": self._give(lane)}
        except ChronosError as error:
            return {"error": str(error)}
        except Exception:  # a defect: the parent tells of it
            return {"error": traceback.format_exc()}

    def _give(self, lane: int) -> list[str]:
        """Copy this lane's gradients where the parent sees them; the names of those that are none."""
        without = []
        for name, tensor, place in self._places(lane):
            if tensor.grad is None:
                without.append(name)
            else:
                place[...] = tensor.grad
                tensor.grad = None
        return without

    def _take(self, lane: int, without: set[str]) -> None:
        for name, tensor, place in self._places(lane):
            tensor.grad = None if name in without else place

    def _places(self, lane: int) -> Iterable[tuple[str, Tensor, np.ndarray]]:
        start, area = 0, self.areas[lane - 1]
        for name, tensor in self.gradients[lane].items():
            yield name, tensor, area[start : start + tensor.data.size].reshape(tensor.data.shape)
            start += tensor.data.size
