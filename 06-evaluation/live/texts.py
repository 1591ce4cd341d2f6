"""Language models without a store are told lives as texts and asked the same questions; answers become rows.

How such a model reads and answers is said in `baselines.py`, what rows mean in `rows.py`. One model of each
preset stands beside the models that remember; which of them are asked about what is `evaluate.py`'s.
"""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from chronos.console import ChronosError
from chronos.evaluation.live.baselines import TextReader
from chronos.evaluation.live.interview import Row, row_of, weights_of
from chronos.evaluation.live.told import Lives, Told
from chronos.memory.config import PRESETS
from chronos.memory.modeldir import load_model


class TextInterview:
    """The language model in a directory, asked about `lives`. ChronosError for one that writes no texts.

    `answers(i)`, i counting the lives from 0, then `figures` and `close`. Attributes: `name` (its preset),
    `model` (its directory), `weights` (`weights_of`) before it is asked.
    """

    def __init__(self, model: Path, lives: Lives):
        language = "ar" if lives.language == "ar" else "en"
        self.model, self.lives = model, lives
        self.reader = TextReader(load_model(model), language)
        self.name, self.weights = self.reader.name, weights_of(self.reader.model)
        self._read: list[dict[str, float]] = []  # what was measured, life by life

    def answers(self, i: int) -> list[Row]:
        """All questions of life i, as rows; `ms` is the answering alone, for a life is read once for all."""
        told = Told(self.lives.life(i), self.lives.questions)
        begun = time.perf_counter()
        given = self.reader.answers(list(told.events()), told.questions)
        read = self.reader.figures()
        self._read.append(read)
        ms = 1000 * max(time.perf_counter() - begun - read["read_s"], 0.0) / len(given)
        return [row_of(told, question, said, ms) for question, said in zip(told.questions, given)]

    def figures(self) -> dict[str, Any]:
        """Parameters, and means over the lives read now: tokens, events in the window, bytes, seconds."""
        if not self._read:  # all had been asked before: what it costs is measured on the first life
            self.answers(0)
        means = {name: sum(one[name] for one in self._read) / len(self._read) for name in self._read[0]}
        return means | {"parameters": int(means["parameters"]), "weights": self.weights}

    def close(self) -> None:
        """ChronosError if a weight is not what it was, in memory or on disk."""
        if {weights_of(self.reader.model), weights_of(load_model(self.model).model)} != {self.weights}:
            raise ChronosError("the weights changed while the model read and answered", where=self.model)


def text_interviews(models: Sequence[Path], lives: Lives) -> dict[str, TextInterview]:
    """Preset → its interview, in the order of PRESETS. ChronosError where two models have the same preset."""
    found: dict[str, TextInterview] = {}
    for path in models:
        one = TextInterview(path, lives)
        if one.name in found:
            raise ChronosError(f"two baselines of preset {one.name}", where=path, mend="give one of each")
        found[one.name] = one
    return {name: found[name] for name in PRESETS if name in found}
