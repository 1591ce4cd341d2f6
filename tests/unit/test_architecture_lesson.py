"""The numbers of the lesson are those of its JSON file, and those that are no timings can be had again."""

import json
import re

import numpy as np
import pytest

from chronos.architecture import gradcheck, measure
from chronos.architecture.kernels import KERNELS


@pytest.fixture(scope="module")
def result():
    return json.loads((measure.RESULTS / "gradients.json").read_text())


@pytest.fixture(scope="module")
def lesson(root):
    return (root / "02-architecture" / "README.md").read_text(encoding="utf-8")


def test_errors_over_the_step_are_measured_again(result):
    """Where the formula's own error rules, to the digit; where rounding does, in size."""
    for before, now in zip(result["by_step"], measure.by_step(), strict=True):
        assert before["step"] == now["step"]
        if now["step"] >= 1e-4:
            assert np.isclose(before["float64"], now["float64"], rtol=0.01)
    at = {row["step"]: row for row in result["by_step"]}
    assert at[gradcheck.STEP]["float64"] < gradcheck.TOLERANCE / 100
    assert min(row["float32"] for row in result["by_step"]) > 10 * gradcheck.TOLERANCE


def test_the_lesson_says_the_same(result, lesson):
    table = re.search(r"<!-- result -->\n(.*?)<!-- /result -->", lesson, re.DOTALL)[1]
    said = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()[2:]]
    for row, cells in zip(result["milliseconds"], said, strict=True):
        plain, fast = row["plain"], row["fast"]
        assert cells == [f"`{row['kernel']}`", f"{plain:.2f}", f"{fast:.2f}", f"{plain / fast:.0f}"]
    for kind in ("64", "32"):
        best = min(row[f"float{kind}"] for row in result["by_step"])
        assert f"<!-- best{kind} -->{best:.1e}<!-- /best{kind} -->" in lesson


def test_only_kernels_are_timed(result):
    named = [row["kernel"] for row in result["milliseconds"]]
    assert named == list(measure._calls()) and set(named) <= set(KERNELS)
