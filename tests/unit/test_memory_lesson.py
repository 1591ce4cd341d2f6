"""The numbers of the lesson are those of its JSON file, and those that are no timings can be had again."""

import json
import re

import numpy as np
import pytest

from chronos.architecture.tape import no_grad
from chronos.memory import measure


@pytest.fixture(scope="module")
def result():
    return json.loads((measure.RESULTS / "state.json").read_text())


@pytest.fixture(scope="module")
def lesson(root):
    return (root / "04-memory" / "README.md").read_text(encoding="utf-8")


def test_the_ways_agree_as_the_file_says(result):
    """Rounding differs from machine to machine, but not by a factor of ten."""
    now = measure.differences()
    assert set(now) == set(result["differences"])
    assert max(now.values()) < 10 * max(result["differences"].values()) < 1e-4


def test_bytes_a_token_are_those_of_a_state(result):
    gpt = measure.model()
    with no_grad():
        state = gpt(np.zeros((1, 1), int)).state
    room = state.nbytes - state.length.nbytes
    assert result["bytes_a_token"] * gpt.config.context == room


def test_the_lesson_says_the_same(result, lesson):
    table = re.search(r"<!-- result -->\n(.*?)<!-- /result -->", lesson, re.DOTALL)[1]
    said = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()[2:]]
    for row, cells in zip(result["milliseconds"], said, strict=True):
        assert cells == [f"{row['before']:,}", f"{row['with the state']:.2f} ms", f"{row['anew']:.2f} ms"]
    assert f"<!-- bytes -->{result['bytes_a_token']:,}<!-- /bytes -->" in lesson
    assert f"<!-- worst -->{max(result['differences'].values()):.1e}<!-- /worst -->" in lesson
