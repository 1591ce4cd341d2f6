"""The figures of the recall tasks are what their command gives."""

import json

from chronos.data.lives import Question
from chronos.data.tasks import measure


def test_the_results_file_is_what_the_command_measures():
    assert json.loads((measure.RESULTS / "tasks.json").read_text()) == measure.measure()


def test_a_window_answers_what_lies_in_it():
    """Asked at 10: the event at 9 is the last one, and what needs both 4 and 9 needs the last six."""
    asked = [Question("?", "a", "k", 10, 1, 0, (9,)), Question("?", "b", "k", 10, 1, 0, (9, 4))]
    assert [measure.within(asked, window) for window in (0, 1, 5, 6)] == [0.0, 0.5, 0.5, 1.0]
    assert measure.within([Question("?", "I don't know", "k", 10)], 0) == 1.0 and measure.within([], 3) == 0.0
