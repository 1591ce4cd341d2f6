"""A conversation with a model: turns that share one state, so that nothing said is read twice.

A base model goes on with the text; with `instruct` each turn is wrapped as an instruction. No terminal here:
that is terminal.py.
"""

from collections.abc import Iterator

from chronos.inference.session import Count, Session, tokens
from chronos.inference.text_stream import TextStream
from chronos.memory.modeldir import Loaded
from chronos.memory.sampling import Sampling

INSTRUCTION = "### Instruction:\n{prompt}\n\n### Response:\n"


class Conversation:
    """`turn(text)` yields the answer piece by piece; the caller may stop listening at any piece.

    `sampling` and `max_new_tokens` can be changed between turns.
    """

    def __init__(
        self,
        loaded: Loaded,
        sampling: Sampling,
        max_new_tokens: int = 512,
        instruct: bool = False,
    ):
        self.loaded, self.sampling, self.max_new_tokens = loaded, sampling, max_new_tokens
        self.instruct = instruct
        self.last, self.all = Count(), Count()
        self.reset()

    def reset(self) -> None:
        """Forget everything that was said."""
        self.session = Session(self.loaded.model)
        self.drawn = 0  # the position in the stream of random numbers

    def turn(self, text: str) -> Iterator[str]:
        """Say `text` and yield what the model answers; an empty text lets a base model go on."""
        self.session.add(self.words(text))
        tokenizer = self.loaded.tokenizer
        stream = TextStream(tokenizer, ("### Instruction:",) if self.instruct else ())
        self.last = Count()
        drawing = tokens(
            self.session, self.sampling, self.max_new_tokens, end=tokenizer.end, first_step=self.drawn
        )
        try:
            for token in drawing:
                self.last.token()
                if piece := stream.feed(token):
                    yield piece
                if stream.ended:
                    break
            if piece := stream.finish():
                yield piece
        finally:
            self.drawn += self.last.tokens + 1  # one more for <end>
            self.all.add(self.last)

    def words(self, text: str) -> list[int]:
        """The ids that a turn adds: what stands between it and the turn before, then the text itself."""
        tokenizer, before = self.loaded.tokenizer, [*self.session.seen, *self.session.waiting]
        ended = bool(before) and before[-1] == tokenizer.end
        if self.instruct:
            separator = [tokenizer.end] if before and not ended else []
            return separator + tokenizer.encode(INSTRUCTION.format(prompt=text)).tolist()
        if not text:
            return [] if before else [tokenizer.end]
        at_line_start = not before or ended or tokenizer.decode_bytes(before[-1:]).endswith(b"\n")
        return tokenizer.encode(text if at_line_start else "\n" + text).tolist()
