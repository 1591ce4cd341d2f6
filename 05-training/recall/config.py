"""What a recall model is trained on and how: the lives of its curriculum, what is hidden from it, the losses.

Part of a run's configuration (`recall.*`); the steps, rates and seeds are `train.*`. Frozen and checked.
"""

from dataclasses import dataclass

from chronos.console import ChronosError

LANGUAGES = ("en", "ar", "mixed")
LABELS = ("events", "answers")


@dataclass(frozen=True)
class RecallTraining:
    """A curriculum of lives, and the losses.

    - stages: events of a life, stage by stage; the next comes when `mastery` of the answers is right, but
      not before least_steps, and in time for the last to have half of the run. questions: of a step, over
      all lives; events: at most so many in a step, in most_lives lives at most.
    - repeat: length augmentation: each later event counts 1 … so many times, log-uniform; all of it at the
      last stage.
    - labels: which events hold the answer is told ("events"), or found by looking for it ("answers").
    - facts: share of the events that are told only once; kinds: of how many kinds these are, so that there is
      something to confuse; stretch: lives are thinned out of ones so many times as long; shown: half of the
      lives announce no change. Of several numbers each life draws one.
    - nonces: share of names, places and things that become unknown words, drawn for each batch, and double:
      how many of these become two; template_nonces: the same for all other words; dropped: share of
      these that are left out, drawn for each batch.
    - evidence, lm, salience: weights of the losses beside the answer's: recall of the right events, the next
      word of a sentence (lm_sentences of a step), which words are asked for. top: events a hop may copy from.
    - practice: kinds of questions are asked by how often they are answered wrong, plus this. gate_events:
      a model with a gate has it closed for lives of so many events or more, once there is something to judge.
    - eval_*: how many unseen lives it is judged by, of how many events, with how many questions each.
    """

    language: str = "en"
    stages: tuple[int, ...] = (16, 32, 64, 128)
    mastery: float = 0.7
    least_steps: int = 20
    questions: int = 128
    events: int = 512
    most_lives: int = 16
    repeat: float = 16.0
    labels: str = "events"
    nonces: tuple[float, ...] = (0.0, 0.5, 0.5, 1.0)
    template_nonces: tuple[float, ...] = (0.0, 0.1)
    dropped: tuple[float, ...] = (0.0, 0.05, 0.1)
    facts: tuple[float, ...] = (0.1, 0.25, 0.4)
    kinds: tuple[int, ...] = (1, 2, 3, 9)
    stretch: tuple[int, ...] = (1, 1, 4, 10)
    double: float = 0.2
    salience: float = 0.1
    lm: float = 0.1
    lm_sentences: int = 192
    evidence: float = 0.3
    top: int = 16
    shown: bool = False
    vocabulary_lives: int = 200
    practice: float = 0.25
    gate_events: int = 64
    eval_events: int = 256
    eval_lives: int = 8
    eval_questions: int = 64

    def __post_init__(self) -> None:
        for name, known in (("language", LANGUAGES), ("labels", LABELS)):
            if getattr(self, name) not in known:
                what = f"unknown recall.{name}"
                raise ChronosError(what, expected=" or ".join(known), got=repr(getattr(self, name)))
        if not self.stages or any(n < 8 for n in self.stages) or list(self.stages) != sorted(self.stages):
            raise ChronosError("recall.stages must rise from 8 or more", got=list(self.stages))
        for name in ("nonces", "template_nonces", "dropped", "facts"):
            if not getattr(self, name) or not all(0 <= share <= 1 for share in getattr(self, name)):
                raise ChronosError(f"recall.{name} must be shares of 0 to 1", got=getattr(self, name))
        names = ("questions", "events", "most_lives", "top", "lm_sentences", "repeat")
        at_least = dict.fromkeys((*names, "eval_events", "eval_lives", "eval_questions"), 1)
        for name, low in {
            **at_least,
            "lm": 0,
            "evidence": 0,
            "salience": 0,
            "least_steps": 0,
            "gate_events": 0,
        }.items():
            if not low <= getattr(self, name) < float("inf"):
                raise ChronosError(f"recall.{name} must be at least {low}", got=getattr(self, name))
        if not 0 < self.practice <= 100:
            raise ChronosError("recall.practice must be above 0 and at most 100", got=self.practice)
        if not 0 < self.mastery <= 1:
            raise ChronosError("recall.mastery must be above 0 and at most 1", got=self.mastery)

    def lives(self, events: int) -> int:
        """How many lives of so many events a step has."""
        return max(1, min(self.most_lives, self.events // events))
