"""The chat as a process: through a pipe, and at a terminal with Ctrl-C and Ctrl-D."""

import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from chronos.data.stories import stories
from chronos.memory.config import config_from
from chronos.memory.model import Model
from chronos.memory.modeldir import save_model
from chronos.tokenization.factory import train_tokenizer

COMMAND = [sys.executable, "-m", "chronos", "chat", "--seed", "1"]


@pytest.fixture(scope="module")
def model_path(tmp_path_factory) -> Path:
    tokenizer = train_tokenizer("char", stories(20, seed=2))
    shape = {"layers": 1, "heads": 2, "width": 32, "context": 64, "vocabulary": tokenizer.vocab_size}
    path = tmp_path_factory.mktemp("chat") / "model"
    save_model(path, Model(config_from(shape)), tokenizer)
    return path


def test_a_pipe(model_path):
    said = "Nora.\n/max 5\nSam.\n/nonsense\n\xff".encode("latin-1")
    command = [*COMMAND, "--model-path", str(model_path), "--max-new-tokens", "9"]
    done = subprocess.run(command, input=said, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.decode().splitlines()) == 3
    told = done.stderr.decode()
    assert "unknown command /nonsense" in told
    assert "Traceback" not in told
    found = subprocess.run([*command, "--json"], input=said, capture_output=True, timeout=60)
    result = json.loads(found.stdout)
    assert [turn["prompt"] for turn in result["turns"]] == ["Nora.", "Sam.", "\ufffd"]
    answers = [" ".join(turn["answer"].split()) for turn in result["turns"]]
    assert done.stdout.decode().splitlines() == answers


class Terminal:
    """A child process at a terminal of its own."""

    def __init__(self, command: list[str]):
        pty = pytest.importorskip("pty")
        self.pid, self.handle = pty.fork()
        if self.pid == 0:
            os.execv(command[0], command)
        self.text, self.over = "", False

    def wait_for(self, wanted: str | int, seconds: float = 60) -> str:
        """Read until a text appears, or so many characters; what came since the last time."""
        begun, end = len(self.text), time.monotonic() + seconds
        while not self._seen(self.text[begun:], wanted):
            assert time.monotonic() < end, f"waited for {wanted!r}, saw {self.text[-500:]!r}"
            if select.select([self.handle], [], [], 0.1)[0]:
                try:
                    self.text += os.read(self.handle, 4096).decode(errors="replace")
                except OSError:  # the child is gone
                    break
        return self.text[begun:]

    @staticmethod
    def _seen(text: str, wanted: str | int) -> bool:
        return len(text) >= wanted if isinstance(wanted, int) else wanted in text

    def send(self, text: str) -> None:
        os.write(self.handle, text.encode())

    def ended(self, seconds: float = 60) -> int:
        """Its exit code; a child that does not end is killed, which is told as −9."""
        end = time.monotonic() + seconds
        while (found := os.waitpid(self.pid, os.WNOHANG))[0] == 0:
            time.sleep(0.02)
            if time.monotonic() > end:
                os.kill(self.pid, signal.SIGKILL)
        code = os.waitstatus_to_exitcode(found[1])
        os.close(self.handle)
        self.over = True
        return code


@pytest.fixture
def at_terminal():
    """Starts commands at terminals; none outlives its test."""
    started = []

    def start(command: list[str]) -> Terminal:
        started.append(Terminal(command))
        return started[-1]

    yield start
    for terminal in started:
        if not terminal.over:
            os.kill(terminal.pid, signal.SIGKILL)
            terminal.ended()


@pytest.mark.parametrize("leave", ["\x03", "\x04", "/quit\n"])
def test_a_terminal(model_path, at_terminal, leave):
    flags = ["--model-path", str(model_path), "--max-new-tokens", "1000000", "--temperature", "0"]
    terminal = at_terminal([*COMMAND, *flags])
    assert "a base model, not an assistant" in terminal.wait_for("> ")
    terminal.send("Nora.\n")
    terminal.wait_for(40)  # the echo and some of an answer that would take minutes
    terminal.send("\x03")
    assert "…" in terminal.wait_for("\n> ")
    terminal.send("/settings\n")
    assert "max 1000000" in terminal.wait_for("\n> ")
    time.sleep(0.3)  # a key in the instant in which the prompt takes over the terminal can get lost
    terminal.send(leave)
    assert terminal.ended() == 0
