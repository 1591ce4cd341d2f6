"""Text cut where it surprises, against a brute-force twin; and where the reading of a source stopped."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronos.console import ChronosError
from chronos.memory.bookmark import Bookmark
from chronos.memory.segmentation import Counted, SurpriseCutter, boundaries


def brute(x, window, gamma, least, most, may) -> list[int]:
    """The definition, token by token."""

    def peak(t: int) -> bool:
        before = x[max(0, t - window) : t]
        return len(before) >= 2 and may[t] and x[t] > np.mean(before) + gamma * np.std(before) + 1e-9

    ends, start = [], 0
    while start < len(x):
        end = next((t for t in range(start + least, len(x)) if peak(t)), len(x))
        if end - start > most:
            places = [t for t in range(start + least, start + most + 1) if may[t]]
            end = max(places, key=lambda t: (x[t], t)) if places else start + most
        ends.append(end)
        start = end
    if len(ends) > 1 and ends[-1] - ends[-2] < least:
        before = ends[-3] if len(ends) > 2 else 0
        ends[-2:] = [len(x)] if len(x) - before <= most else [len(x) - least, len(x)]
    return ends


@given(st.integers(0, 10**6), st.integers(0, 300), st.integers(2, 40), st.integers(1, 6), st.floats(0, 2))
def test_against_brute_force(seed, length, window, least, gamma):
    rng = np.random.default_rng(seed)
    x = rng.choice([rng.exponential(2, length), rng.integers(0, 3, length).astype(float)])
    may = rng.random(length) < 0.7
    most = 2 * least + int(rng.integers(0, 10))
    ends = boundaries(x, window=window, gamma=gamma, least=least, most=most, allowed=may)
    assert ends.tolist() == brute(x, window, gamma, least, most, may)
    sizes = np.diff([0, *ends])
    assert sizes.sum() == length and (sizes <= most).all()
    assert length < least or (sizes >= least).all()


def test_windows_longer_than_a_block():
    x = np.random.default_rng(1).exponential(2, 10_000)
    ends = boundaries(x, window=64)
    assert ends.tolist() == brute(x, 64, 1.0, 4, 24, np.ones(len(x), bool))


def test_nothing_beyond_the_longest_event_matters():
    rng = np.random.default_rng(3)
    x = rng.exponential(2, 400)
    for cut in range(50, 350, 7):
        other = np.concatenate([x[:cut], rng.exponential(5, 200)])
        early = [e for e in boundaries(x).tolist() if e + 24 < cut]
        assert [e for e in boundaries(other).tolist() if e + 24 < cut] == early


def test_a_monotonous_text_has_no_surprise():
    for value in (0.1, 1 / 3, 2.7, 7.3, 11.1):
        for window in (7, 11, 64):
            ends = boundaries(np.full(960, value), window=window, gamma=0)
            assert set(np.diff([0, *ends])) == {24}
    x = np.ones(60)
    x[[20, 40]] = 9
    assert {20, 40} <= set(boundaries(x).tolist())


@pytest.mark.parametrize("options", [{"most": 7}, {"least": 0}, {"window": 1}, {"allowed": np.ones(3, bool)}])
def test_settings_that_cannot_be_kept(options):
    with pytest.raises(ChronosError):
        boundaries(np.ones(10), **options)
    with pytest.raises(ChronosError):
        boundaries(np.ones((2, 5)))


@pytest.mark.parametrize("before", ["the", "ran", "zebra"])
def test_counting_is_a_distribution(before):
    history = [*"the cat sat on the mat the cat ran".split(), before]
    shares = []
    for word in sorted({*history, "never met"}):
        reader = Counted()
        reader.surprise(history)
        shares.append(np.exp(-reader.surprise([word])[0]))
    assert sum(shares) == pytest.approx(1, abs=1e-12)


def test_counting_learns():
    told = Counted().surprise("a b c a b c a b c a b z".split())
    assert told[-2] < told[1] and told[-1] > told[-2]


def test_the_cutter_loses_no_word():
    text = " ".join(np.random.default_rng(0).choice(["tea", "Giza", "we", "went", "and", "then"], 500))
    events = SurpriseCutter()(text)
    assert " ".join(events) == text
    assert all(4 <= len(one.split()) <= 24 for one in events)
    assert SurpriseCutter()("") == [] and SurpriseCutter()("one two") == ["one two"]


# ---- bookmarks ---------------------------------------------------------------------------------------------


def told(count: int, **changes: str) -> list[SimpleNamespace]:
    return [
        SimpleNamespace(time_us=i, text=changes.get(f"at{i}", f"event {i}"), source="user")
        for i in range(count)
    ]


def read(events, before=None, stop=None):
    mark = Bookmark("diary.md", before)
    found = [one.text for one in itertools.islice(mark.unread(events), stop)]
    return found, mark.cursor(len(found), done=stop is None)


def test_reading_again_adds_nothing_and_goes_on():
    everything, done = read(told(5))
    assert (len(everything), done.offset, done.count, done.done) == (5, 5, 5, True)
    assert read(told(5), done) == ([], done)
    assert read(told(7), done)[0] == ["event 5", "event 6"]
    assert read(told(7), done)[1] == read(told(7))[1]
    some, half = read(told(5), stop=2)
    assert some == ["event 0", "event 1"] and (half.offset, half.done) == (2, False)
    assert read(told(5), half) == (["event 2", "event 3", "event 4"], done)


@pytest.mark.parametrize("events", [told(7, at2="changed"), told(4), told(0), told(7, at4="event 4 ")])
def test_a_changed_source_is_refused_before_anything_is_given(events):
    _, done = read(told(5))
    given_ = []
    with pytest.raises(ChronosError, match=r"diary\.md: this source was read before and has changed"):
        given_.extend(Bookmark("diary.md", done).unread(events))
    assert given_ == []


def test_a_time_or_a_source_that_changed_counts():
    _, done = read(told(3))
    for name, value in (("time_us", 9), ("source", "unknown")):
        events = told(3)
        setattr(events[1], name, value)
        with pytest.raises(ChronosError):
            list(Bookmark("diary.md", done).unread(events))
