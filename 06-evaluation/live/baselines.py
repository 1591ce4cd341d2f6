"""Language models without an event store as readers of a life: `gpt` of its last window, `then` of it all.

    reader = TextReader(load_model("…/gpt/model"))
    reader.answers(events, questions)  # one a question; reader.figures() says what it held for them

Train one on short lives as texts: `chronos data recall --task cairo`, `chronos train --preset gpt|then`. It
trains nothing and judges nothing; it is asked as in training and answers greedily, up to the line's end.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from chronos.architecture.tape import Tensor, no_grad
from chronos.console import ChronosError, Progress
from chronos.data.lives import Event, Question
from chronos.data.tasks.short_lives import timed
from chronos.memory.model import Model
from chronos.memory.modeldir import Loaded, parameter_count
from chronos.memory.state import LENGTH, State

TOGETHER = 16  # questions that are answered at once, each with a copy of the state
ANSWER = 24  # tokens that an answer may have, at most
DATE = 16  # tokens that a date usually takes at most
LINE_END = b"\n"


@dataclass(frozen=True)
class Heard:
    """A state (of one row) after a life: tokens read, the events in its window, bytes in use, seconds."""

    state: State
    tokens: int
    window: int
    bytes: int
    seconds: float


class TextReader:
    """Answers of a causal model that was trained on short lives as texts. ChronosError for another kind.

    Attention sees what fits into `context` with a question and its answer. Where the model has KDA, a life is
    read from its beginning in windows one after the other: KDA's state goes on from window to window, what
    attention kept does not. Otherwise only the last window is read. Dates are told in `language`.
    """

    def __init__(self, loaded: Loaded, language: str = "en"):
        if not loaded.model.config.causal:
            mend = "give a model that was trained with model.causal=true"
            raise ChronosError("a bidirectional model does not answer", where=loaded.path, mend=mend)
        self.model, self.tokenizer, self.language = loaded.model, loaded.tokenizer, language
        self.name = loaded.model.config.preset
        self.carried = carried(loaded.model)
        self.heard: Heard | None = None

    def answers(self, events: Sequence[Event], questions: Sequence[Question]) -> list[str]:
        """One answer a question, from the events up to the time when it is asked, in the order given.

        ChronosError for a question before the first event and for one that leaves no room for a sentence.
        """
        found: dict[int, str] = {}
        order = sorted(range(len(questions)), key=lambda i: questions[i].t)
        with Progress(len(questions), f"asking {self.name}", unit="questions") as bar:
            for t, group in groupby(order, key=lambda i: questions[i].t):
                asked = list(group)
                told = [event for event in events if event.t <= t]
                prompts = [self.tokenizer.encode(questions[i].question) for i in asked]
                self.heard = self.listen(told, self._room(max(map(len, prompts))))
                for start in range(0, len(asked), TOGETHER):
                    part = slice(start, start + TOGETHER)
                    found |= dict(zip(asked[part], self._say(prompts[part])))
                    bar.update(len(found))
        return [found[i] for i in range(len(questions))]

    def listen(self, events: Sequence[Event], room: int) -> Heard:
        """Read events, as many as `room` tokens of attention (and KDA's state) hold."""
        if not events:
            raise ChronosError("nothing was told before the question", mend="ask later")
        begun = time.perf_counter()
        parts = list(self._windows(events, room))
        state, tokens = None, 0
        with no_grad(), Progress(len(parts), f"reading with {self.name}", unit="windows") as bar:
            for i, (_, ids) in enumerate(parts):
                before = None if state is None else turned(state, self.carried)
                state = self.model(ids[None], before).state
                tokens += len(ids)
                bar.update(i + 1)
        seconds = time.perf_counter() - begun
        return Heard(state, tokens, parts[-1][0], bytes_in_use(state, self.carried), seconds)

    def figures(self) -> dict[str, float]:
        """Parameters; of the last reading: tokens, events in attention's window, bytes of state in use, s."""
        if self.heard is None:
            raise ChronosError("nothing has been read yet", mend="ask for answers first")
        heard = self.heard
        told = {"tokens": heard.tokens, "window_events": heard.window, "state_bytes": heard.bytes}
        return {"parameters": parameter_count(self.model), **told, "read_s": heard.seconds}

    def _room(self, question: int) -> int:
        """Tokens of a window, with so many for a question and what an answer may need left over."""
        return self.model.config.context - question - ANSWER

    def _windows(self, events: Sequence[Event], room: int) -> Iterator[tuple[int, np.ndarray]]:
        """(events, their tokens (T,)) of windows of whole events in order, the last as full as can be.

        Without KDA there is just that one.
        """
        if not self.carried:
            events = events[-room:]  # what cannot be in the window need not be counted
        cuts, stop = [len(events)], len(events)
        lengths = [len(self.tokenizer.encode(event.text + "\n")) for event in timed(events, self.language)]
        while stop > 0:
            start, total = stop, DATE  # the first sentence of a window tells its date
            while start > 0 and total + lengths[start - 1] <= room:
                start -= 1
                total += lengths[start]
            ids = self._ids(events[start:stop])
            while len(ids) > room and start < stop:  # a date was longer than is usual
                start += 1
                ids = self._ids(events[start:stop])
            if start == stop:
                mend = "train a model with a larger model.context"
                raise ChronosError("a sentence does not fit into the context", got=room, mend=mend)
            cuts.append(start)
            stop = start if self.carried else 0
        for start, stop in zip(cuts[:0:-1], cuts[-2::-1]):
            yield stop - start, self._ids(events[start:stop])

    def _ids(self, events: Sequence[Event]) -> np.ndarray:
        text = "".join(event.text + "\n" for event in timed(events, self.language))
        return np.asarray(self.tokenizer.encode(text))

    def _say(self, prompts: Sequence[np.ndarray]) -> list[str]:
        """What the model adds to each prompt up to the end of the line, the likeliest token each time."""
        lengths = np.array([len(ids) for ids in prompts])
        tokens = np.zeros((len(prompts), int(lengths.max())), np.int64)
        for row, ids in zip(tokens, prompts):
            row[: len(ids)] = ids
        state, given = self.heard.state.rows([0] * len(prompts)), []
        while len(given) < ANSWER:
            with no_grad():
                out = self.model(tokens, state, lengths=lengths)
                last = out.hidden.data[np.arange(len(tokens)), lengths - 1]
                chosen = self.model.logits(Tensor(last)).argmax(-1)
            given.append(chosen)
            tokens, lengths, state = chosen[:, None], np.ones(len(prompts), np.int64), out.state
            texts = [self.tokenizer.decode_bytes(row) for row in np.stack(given, 1)]
            if all(LINE_END in text for text in texts):
                break
        return [text.split(LINE_END)[0].decode("utf-8", "replace").strip() for text in texts]


def carried(model: Model) -> tuple[str, ...]:
    """Names of the state's arrays whose size no text changes: KDA's."""
    kept = ((i, mixer) for i, mixer in enumerate(model.config.mixers) if mixer == "kda")
    return tuple(f"block.{i}.{name}" for i, _ in kept for name in ("conv", "delta"))


def turned(state: State, keep: Sequence[str]) -> State:
    """The state at the beginning of another window: what is in `keep` stays, attention has seen nothing."""
    arrays = {name: a if name in keep else np.zeros_like(a) for name, a in state.items()}
    return State({**arrays, LENGTH: np.zeros_like(state.length)})


def bytes_in_use(state: State, fixed: Sequence[str]) -> int:
    """Bytes of one row that hold something: arrays in `fixed` whole, of the others the tokens seen."""
    seen = int(state.length[0])
    sizes = (
        a.nbytes if name in fixed else a.nbytes * seen // a.shape[1]
        for name, a in state.items()
        if name != LENGTH
    )
    return sum(sizes)
