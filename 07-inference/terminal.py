"""The chat at a terminal or in a pipe: reads lines, obeys /commands, shows the answer as it comes.

What is said and how is talk.py's business.
"""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, TextIO

from chronos.console import ChronosError
from chronos.inference.talk import Conversation
from chronos.inference.text_stream import printable
from chronos.memory.modeldir import parameter_count
from chronos.settings import coerce, did_you_mean

SAMPLING = {  # command → (field of Sampling, type)
    "temp": ("temperature", float),
    "topk": ("top_k", int),
    "topp": ("top_p", float),
    "minp": ("min_p", float),
    "seed": ("seed", int),
}
HELP = """/temp X     how adventurous: 0 takes the likeliest token, 1 draws as the model says
/topk N     only the N likeliest tokens (0: off)
/topp X     only the likeliest tokens that make up the share X (1: off)
/minp X     only tokens at least X times as likely as the likeliest (0: off)
/seed N     the same seed and the same words give the same answer
/max N      tokens in an answer, at most
/settings   all of these as they are
/stats      tokens, speed, and how full the context is
/reset      forget what was said
/quit       leave (Ctrl-D too); Ctrl-C stops an answer
An empty line lets the model go on."""


class Chat:
    """One chat: `run()` until the input ends. With `drawn` there are prompts, else one answer a line."""

    def __init__(self, conversation: Conversation, source: TextIO, out: TextIO, drawn: bool):
        self.conversation, self.source, self.out, self.drawn = conversation, source, out, drawn
        self.turns: list[dict[str, str]] = []
        self.told_restart = self.stopped = self.left = False

    def run(self) -> dict[str, Any]:
        """Talk until /quit, Ctrl-D or Ctrl-C at the prompt; returns what was said and how fast."""
        if self.drawn:
            self._say(greeting(self.conversation))
        while not self.left:
            line = self._read()
            if line is None:
                break
            try:
                self._obey(line)
            except ChronosError as error:
                self._note(f"error: {error}")
        c = self.conversation
        return {"turns": self.turns, "tokens": c.all.tokens, "tokens_per_s": c.all.speed}

    def _read(self) -> str | None:
        """The next line, or None at its end; at a terminal Ctrl-C ends it too."""
        if not self.drawn:
            line = self.source.readline()
            return line.rstrip("\r\n") if line else None
        try:
            return input("> ")
        except (EOFError, KeyboardInterrupt):
            self._say("")
            return None

    def _obey(self, line: str) -> None:
        if line.startswith("/"):
            self._command(*line[1:].split())
        elif line.strip() or not self.conversation.instruct:
            self._answer(line.strip(" \t"))

    def _answer(self, line: str) -> None:
        """Show the answer as it comes; Ctrl-C ends it, and the conversation goes on from there."""
        pieces = []
        with stoppable() as asked:
            for piece in self.conversation.turn(line):
                pieces.append(piece)
                if self.drawn:
                    self.out.write(printable(piece))
                    self.out.flush()
                if asked():
                    break
        answer = "".join(pieces)
        self.turns.append({"prompt": line, "answer": answer})
        if self.drawn:
            self._say(" …" if asked() else "")
        else:
            self._say(" ".join(printable(answer).split()))
        if self.conversation.session.restarts and not self.told_restart:
            self.told_restart = True
            context = self.conversation.session.context
            self._note(f"(the context of {context:,} tokens was full: it goes on from the last half)")

    def _command(self, name: str = "", *words: str) -> None:
        c = self.conversation
        plain = {"help": self._help, "settings": self._settings, "stats": self._stats, "reset": self._reset}
        if name in ("quit", "exit"):
            self.left = True
        elif name in plain:
            plain[name]()
        elif name in SAMPLING or name == "max":
            if len(words) != 1:
                raise ChronosError(f"/{name} needs one value", mend="see /settings and /help")
            if name == "max":
                c.max_new_tokens = at_least_one(coerce(words[0], int, "max"))
            else:
                field, kind = SAMPLING[name]
                c.sampling = replace(c.sampling, **{field: coerce(words[0], kind, name)})
            self._note(f"{name} {words[0]}")
        else:
            known = [*plain, *SAMPLING, "max", "quit"]
            raise ChronosError(f"unknown command /{name}", mend=did_you_mean(name, known))

    def _help(self) -> None:
        self._note(HELP)

    def _settings(self) -> None:
        c = self.conversation
        values = {name: getattr(c.sampling, field) for name, (field, _) in SAMPLING.items()}
        values["max"] = c.max_new_tokens
        self._note("  ".join(f"{name} {value}" for name, value in values.items()))

    def _stats(self) -> None:
        c, session = self.conversation, self.conversation.session
        size = 0 if session.state is None else session.state.nbytes
        last, total = (
            f"{count.tokens:,} tokens, {count.speed or 0:,.0f} tokens/s" for count in (c.last, c.all)
        )
        self._note(
            f"last answer: {last}; all: {total}\n"
            f"context: {session.used + len(session.waiting):,} of {session.context:,} tokens; "
            f"state: {size / 2**20:,.2f} MiB; restarted {session.restarts} times"
        )

    def _reset(self) -> None:
        self.conversation.reset()
        self.told_restart = False
        self._note("forgotten: a new conversation begins")

    def _note(self, text: str) -> None:
        """Something about the chat, not in it: in a pipe it must not look like an answer."""
        print(text, file=self.out if self.drawn else sys.stderr, flush=True)

    def _say(self, text: str) -> None:
        print(text, file=self.out, flush=True)


def greeting(conversation: Conversation) -> str:
    """What is being talked to, and how it will take what is said."""
    loaded, c = conversation.loaded, conversation.loaded.model.config
    how = "It goes on with the text that you write: a base model, not an assistant."
    if conversation.instruct:
        how = "Each line is put to it as an instruction."
    return (
        f"{loaded.path}: {c.preset}, {parameter_count(loaded.model):,} parameters, "
        f"{loaded.qtype or 'float32'}, context {c.context:,} tokens.\n{how} /help tells the commands."
    )


@contextmanager
def stoppable() -> Iterator[Any]:
    """The first Ctrl-C only makes the yielded function return True; a second one interrupts."""
    asked: list[bool] = []

    def ask(number: int, _frame: Any) -> None:
        asked.append(True)
        signal.signal(number, before)

    try:
        before = signal.signal(signal.SIGINT, ask)
    except ValueError:  # not the main thread: the caller handles signals
        yield lambda: False
        return
    try:
        yield lambda: bool(asked)
    finally:
        signal.signal(signal.SIGINT, before)


def at_least_one(value: int) -> int:
    """The number of tokens in an answer, checked."""
    if value < 1:
        raise ChronosError("an answer must have room for at least 1 token", got=value)
    return value
