"""From logits to a token: each filter against its slow definition, and draws that can be repeated."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronos.console import ChronosError
from chronos.memory.sampling import Sampling, choose, probabilities


def slow(logits: list[float], s: Sampling) -> list[float]:
    """Temperature, then top-k, then top-p of what is left, then min-p, each written out."""
    top = max(logits)
    weights = [math.exp((z - top) / s.temperature) for z in logits]
    p = [w / sum(weights) for w in weights]
    likeliest = sorted(range(len(p)), key=lambda i: (-p[i], i))
    kept = likeliest[: s.top_k] if s.top_k else likeliest
    mass = sum(p[i] for i in kept)
    nucleus, reached = [], 0.0
    for i in kept:
        if reached < s.top_p:
            nucleus.append(i)
        reached += p[i] / mass
    kept = [i for i in nucleus if p[i] >= s.min_p * p[likeliest[0]]]
    mass = sum(p[i] for i in kept)
    return [p[i] / mass if i in kept else 0.0 for i in range(len(p))]


# Logits on a grid of 1/8 make many ties; shares that land exactly on a filter's edge are left to rounding.
grid = st.lists(st.integers(-64, 64).map(lambda n: n / 8), min_size=1, max_size=30)


@given(
    grid,
    st.sampled_from([0.25, 0.7, 1.0, 2.0]),
    st.integers(0, 35),
    st.sampled_from([0.013, 0.31, 0.77, 0.949, 1.0]),
    st.sampled_from([0.0, 0.011, 0.123, 0.77]),
)
def test_filters_are_their_definition(logits, temperature, top_k, top_p, min_p):
    s = Sampling(temperature, top_k, top_p, min_p)
    found = probabilities(np.array(logits, np.float32), s)
    assert np.allclose(found, slow(logits, s), rtol=1e-9, atol=1e-12)
    assert found[int(np.argmax(logits))] > 0 and abs(found.sum() - 1) < 1e-12


def test_filters_by_hand():
    logits = np.log([0.4, 0.3, 0.2, 0.1])

    def kept(**settings):
        return np.round(probabilities(logits, Sampling(temperature=1.0, **settings)), 6).tolist()

    assert kept() == [0.4, 0.3, 0.2, 0.1]
    assert kept(top_k=2) == [0.571429, 0.428571, 0, 0]
    assert kept(top_p=0.6) == [0.571429, 0.428571, 0, 0]
    assert kept(top_p=0.35) == [1, 0, 0, 0]
    assert kept(top_p=0.699) == kept(top_k=2) and kept(top_p=0.701) == kept(top_k=3)
    assert kept(min_p=0.6) == [0.571429, 0.428571, 0, 0]
    # of the two that top-k leaves, 0.4/0.7 already reaches one half: the filters follow one another
    assert kept(top_k=2, top_p=0.5) == [1, 0, 0, 0]
    assert kept(top_p=0.5) == [0.571429, 0.428571, 0, 0]


def test_of_equals_the_first_are_kept():
    found = probabilities(np.tile([0.0, 1.0], 200), Sampling(top_k=100, temperature=1.0))
    assert np.flatnonzero(found).tolist() == list(range(1, 200, 2))


def test_temperature():
    logits = np.array([1.0, 2.0, 0.0])
    assert probabilities(logits, Sampling(temperature=0)).tolist() == [0, 1, 0]
    flat, sharp = (probabilities(logits, Sampling(temperature=t)) for t in (100.0, 0.01))
    assert np.allclose(flat, 1 / 3, atol=0.01) and sharp[1] > 0.999999
    with np.errstate(over="raise", invalid="raise"):
        assert probabilities(logits, Sampling(temperature=1e-310)).tolist() == [0, 1, 0]
        assert choose(np.array([5.0, 5.0]), Sampling(temperature=0), 0) == 0  # of equals, the first


def test_extreme_logits():
    assert probabilities(np.array([-np.inf, 0, -np.inf]), Sampling()).tolist() == [0, 1, 0]
    assert probabilities(np.array([3e38, -3e38], np.float32), Sampling()).tolist() == [1, 0]
    assert choose(np.array([7.0]), Sampling(), 3) == 0


@pytest.mark.parametrize("bad", [[0, np.nan], [np.nan, np.nan], [0, np.inf], [-np.inf, -np.inf]])
@pytest.mark.parametrize("temperature", [0.0, 0.8])
def test_logits_that_are_none_are_refused(bad, temperature):
    """A model that diverged does not answer with the last token of its vocabulary."""
    with pytest.raises(ChronosError, match="the model gives no usable logits"):
        choose(np.array(bad, np.float32), Sampling(temperature=temperature), 0)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"temperature": -0.1}, "temperature must be 0 or above, got -0.1"),
        ({"temperature": float("nan")}, "temperature must be 0 or above"),
        ({"temperature": float("inf")}, "temperature must be 0 or above"),
        ({"top_k": -1}, "top-k must be 0 (off) or above, got -1"),
        ({"top_p": 0.0}, "top-p must be above 0 and at most 1"),
        ({"top_p": 1.1}, "top-p must be above 0 and at most 1"),
        ({"top_p": float("nan")}, "top-p must be above 0 and at most 1"),
        ({"min_p": -0.1}, "min-p must be between 0 and 1"),
        ({"min_p": 1.1}, "min-p must be between 0 and 1"),
    ],
)
def test_absurd_settings_are_refused(settings, told):
    with pytest.raises(ChronosError) as refused:
        Sampling(**settings)
    assert told in str(refused.value)


# ---- draws -------------------------------------------------------------------------------------------------


def test_draws_follow_the_distribution():
    """Chi-square of 20,000 draws: beyond 30 for 5 degrees of freedom once in 70,000 times."""
    logits = np.log([0.3, 0.25, 0.2, 0.15, 0.08, 0.02])
    s = Sampling(temperature=1.0, seed=5)
    counts = np.bincount([choose(logits, s, step) for step in range(20_000)], minlength=6)
    expected = 20_000 * probabilities(logits, s)
    assert np.sum((counts - expected) ** 2 / expected) < 30


def test_a_draw_depends_on_seed_and_step_alone():
    logits = np.zeros(1000)
    first = [choose(logits, Sampling(seed=7), step) for step in range(20)]
    assert [choose(logits, Sampling(seed=7), step) for step in reversed(range(20))] == first[::-1]
    seeds = (7, 8, -7, -8, 2**63 + 7, 2**63 + 8, 2**64 - 1)
    others = [tuple(choose(logits, Sampling(seed=seed), step) for step in range(20)) for seed in seeds]
    assert others[0] == tuple(first)
    assert len(set(others)) == len(seeds) and len(set(first)) > 15


@pytest.mark.parametrize(("u", "token"), [(0.0, 1), (0.25, 1), (0.5, 3), (1 - 2**-53, 3)])
def test_draws_at_the_edges(u, token, monkeypatch):
    """Zero falls on nothing that has no share; rounding at the end falls on nothing behind it."""
    monkeypatch.setattr(np.random, "Generator", lambda _: type("Drawn", (), {"random": lambda self: u})())
    logits = np.array([-np.inf, 0.0, -np.inf, 0.0, -np.inf])
    assert choose(logits, Sampling(temperature=1.0), 0) == token
    tenths = np.array([0.0] * 10 + [-np.inf])  # ten tenths add up to a little less than 1
    assert choose(tenths, Sampling(temperature=1.0), 0) == min(9, int(u * 10))


def test_what_was_filtered_out_is_never_drawn():
    logits = np.array([0.0, 5.0, 0.0, 5.0, 0.0])
    for step in range(500):
        assert choose(logits, Sampling(temperature=5.0, top_k=2), step) in (1, 3)
