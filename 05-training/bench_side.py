"""A side of a benchmark: a process that waits until it is asked for a round, and answers with one line.

So each side has its own memory and threads, and works only while the others wait. PyTorch's interpreter may
be another than ours: CHRONOS_PEER_PYTHON names it.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from chronos.console import ChronosError

Ask = Callable[[object], Any]  # sends one line, waits, and returns the answer's JSON


def torch_python() -> str:
    """The interpreter that has torch; ChronosError where there is none."""
    python = os.environ.get("CHRONOS_PEER_PYTHON", sys.executable)
    if subprocess.run([python, "-c", "import torch"], capture_output=True).returncode:
        mend = "set CHRONOS_PEER_PYTHON to an interpreter that has it, or leave out --peer"
        raise ChronosError("torch is not installed", where=python, mend=mend)
    return python


@contextmanager
def side(command: Sequence[str], wish: dict[str, Any]) -> Iterator[Ask]:
    """Start `command` with the wish as its last argument; yields how to ask it; ends it afterwards."""
    pipe = subprocess.PIPE
    with subprocess.Popen([*command, json.dumps(wish)], stdin=pipe, stdout=pipe, text=True) as process:

        def ask(what: object) -> Any:
            process.stdin.write(f"{what}\n")
            process.stdin.flush()
            answer = process.stdout.readline()
            if not answer:
                raise ChronosError("a benchmark's process ended early", where=" ".join(command))
            return json.loads(answer)

        try:
            yield ask
        finally:
            process.stdin.close()
            process.wait()
