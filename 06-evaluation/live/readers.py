"""What readers without a model answer to the questions of a life: the bars that a memory has to pass.

The most common answer of each kind, and a perfect reader of the last words. They learn nothing; their answers
are recorded beside the model's.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence

from chronos.console import ChronosError
from chronos.data.cairo.measure import WORDS, window_of
from chronos.data.cairo.reader import Reader
from chronos.data.lives import Event, Question, folded

READERS = ("majority", f"last {WORDS} words")


def without_model(name: str, events: Sequence[Event], questions: Sequence[Question]) -> list[str]:
    """The answers of one of READERS, one a question. ChronosError for another name."""
    if name == READERS[0]:
        return majority(questions)
    if name == READERS[1]:
        reader = Reader(window_of(list(events), WORDS))
        for event in events:
            reader.read(event)
        return [reader.answer(question.question, question.t) for question in questions]
    raise ChronosError("there is no such reader", expected=" or ".join(READERS), got=name)


def majority(questions: Sequence[Question]) -> list[str]:
    """To each question the most common answer of its kind among these questions, the first asked of equals.

    It knows the answers, so it is the best that a constant can do.
    """
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    spelled: dict[str, str] = {}
    for question in questions:
        counts[question.kind][folded(question.answer)] += 1
        spelled.setdefault(folded(question.answer), question.answer)
    return [spelled[counts[question.kind].most_common(1)[0][0]] for question in questions]
