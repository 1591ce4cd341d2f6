"""Learning-rate schedules: warm-up, peak, end, and no jumps."""

import dataclasses
import math

import pytest

from chronos.training.config import TrainConfig
from chronos.training.schedule import share

BASE = TrainConfig(steps=1000, warmup=100, lr=1e-3, min_lr=1e-4)


@pytest.mark.parametrize("schedule", ["cosine", "wsd", "constant"])
def test_warm_up_rises_linearly_to_the_peak(schedule):
    c = dataclasses.replace(BASE, schedule=schedule)
    assert share(0, c) == pytest.approx(1 / 101)
    assert share(49, c) == pytest.approx(50 / 101)
    assert share(100, c) == pytest.approx(1.0)


def test_cosine_is_nanogpts():
    for step in (100, 300, 550, 999):
        ratio = (step - 100) / 900
        expected = 1e-4 + 0.5 * (1 + math.cos(math.pi * ratio)) * (1e-3 - 1e-4)
        assert share(step, BASE) * 1e-3 == pytest.approx(expected, rel=1e-12)


def test_wsd_is_stable_and_then_falls_in_a_line():
    c = dataclasses.replace(BASE, schedule="wsd", decay_share=0.4, min_lr=0.0)
    assert share(599, c) == share(300, c) == 1.0
    assert share(800, c) == pytest.approx(0.5)
    assert share(999, c) == pytest.approx(1 / 400)


def test_constant_stays():
    assert share(999, dataclasses.replace(BASE, schedule="constant")) == 1.0


def test_no_learning_rate_is_no_division_by_zero():
    assert share(500, dataclasses.replace(BASE, lr=0.0, min_lr=0.0)) == pytest.approx(0.5868, abs=1e-3)
