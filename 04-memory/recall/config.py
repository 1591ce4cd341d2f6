"""The shape of a recall model: widths, layers, hops, and how many slots a recalled event has.

Frozen, checked, and written into the model's config.json. What it is trained on is stage 05's business.
"""

from dataclasses import dataclass

from chronos.console import ChronosError

MIXERS = ("attention", "kda")


@dataclass(frozen=True)
class RecallConfig:
    """`vocabulary` ids have learned vectors; a sentence is cut to `words` slots; `time_slots` are stage 03's.

    lower: layers within a sentence (`mixer` attention or kda); upper: layers over question, recalls and
    answer; hops: reads of the store, one after the other; key: numbers of an event's key. asked, answer:
    learned positions of a question and of an answer. `gate`: events that say nothing new are not written.
    stranger: how much likelier (log-odds, at first) a word outside the vocabulary is a name to go by.
    unknown: how a question is answered that the memory has no answer to, the first where nothing is said.
    """

    vocabulary: int = 0
    width: int = 128
    heads: int = 4
    lower: int = 2
    upper: int = 2
    hops: int = 2
    key: int = 64
    words: int = 16
    time_slots: int = 14
    asked: int = 48
    answer: int = 16
    mixer: str = "attention"
    gate: bool = False
    stranger: float = 0.0
    unknown: tuple[str, ...] = ("I don't know", "لا أعرف")

    def __post_init__(self) -> None:
        for name in ("width", "heads", "lower", "upper", "hops", "key", "words", "asked", "answer"):
            if getattr(self, name) < 1:
                raise ChronosError(f"model.{name} must be at least 1", got=getattr(self, name))
        if self.width % self.heads:
            raise ChronosError("model.width must be a multiple of model.heads", got=self.width)
        if self.mixer not in MIXERS:
            raise ChronosError("unknown model.mixer", expected=" or ".join(MIXERS), got=self.mixer)
