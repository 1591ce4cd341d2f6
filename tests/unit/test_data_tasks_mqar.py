"""Associative recall: ours and the published arrays have one structure, and texts alone give every answer."""

import itertools
import re

import numpy as np
import pytest

from chronos.console import ChronosError
from chronos.data.lives import as_document, read_lives, score
from chronos.data.tasks import mqar
from chronos.data.tasks.example import IGNORED, word
from chronos.data.tasks.registry import examples, write_task

FILE = "data/recall/mqar_v256_L64_kv4.npz"


def drawn(n: int, **options) -> tuple[np.ndarray, np.ndarray]:
    told = list(examples("mqar", seed=1, n=n, **options))
    return np.stack([e.inputs for e in told]), np.stack([e.labels for e in told])


@pytest.fixture(scope="module", params=["ours", "published"])
def arrays(request) -> tuple[np.ndarray, np.ndarray]:
    if request.param == "ours":
        return drawn(2000)
    return mqar.read_arrays(request.getfixturevalue("shared") / FILE)


def gaps_by_key(inputs: np.ndarray, labels: np.ndarray, pairs: int) -> np.ndarray:
    """(N, pairs): half the distance of each key's query from the end of the pairs."""
    places = np.arange(inputs.shape[1]) >= 2 * pairs
    asked = (inputs[:, None, :] == inputs[:, 0 : 2 * pairs : 2, None]) & places & (labels[:, None] != IGNORED)
    assert (asked.sum(2) == 1).all()
    gaps, odd = np.divmod(asked.argmax(2) - 2 * pairs, 2)
    assert not odd.any()
    return gaps


def test_the_layout(arrays):
    inputs, labels = arrays
    assert inputs.shape == labels.shape == (2000, 64) and inputs.dtype == labels.dtype == np.int32
    keys, values = inputs[:, 0:8:2], inputs[:, 1:8:2]
    assert keys.min() == 1 and keys.max() == 127 and values.min() == 128 and values.max() == 255
    assert all(len(set(row)) == 4 for row in (*keys.tolist(), *values.tolist()))
    asked = labels != IGNORED
    assert (asked.sum(1) == 4).all() and not asked[:, :8].any()
    assert (inputs[:, 8:][~asked[:, 8:]] == 0).all()
    for row in range(2000):
        told = dict(zip(keys[row].tolist(), values[row].tolist()))
        assert [told[key] for key in inputs[row][asked[row]].tolist()] == labels[row][asked[row]].tolist()
        assert set(inputs[row][asked[row]].tolist()) == set(told)


def law(space: int, power: float) -> np.ndarray:
    weights = np.arange(1.0, space + 1) ** (power - 1)
    return weights / weights.sum()


def chi_square(found: np.ndarray, expected: np.ndarray) -> float:
    return float(((found - expected) ** 2 / expected).sum())


def test_gaps_follow_the_power_law(arrays):
    """The first key's gap is the first drawn, so it has the law itself (27 degrees of freedom)."""
    gaps = gaps_by_key(*arrays, 4)
    found = np.bincount(gaps[:, 0], minlength=28)
    assert chi_square(found, 2000 * law(28, 0.01)) < 60
    assert chi_square(found, 2000 * law(28, 1.0)) > 1000  # and not another one
    assert gaps.max() == 27 and (np.sort(gaps)[:, 1:] > np.sort(gaps)[:, :-1]).all()


def test_the_gaps_of_all_keys_are_distributed_as_the_published(shared):
    """Drawing without replacement, too, is the same: two samples of 8,000, Kolmogorov and Smirnov."""
    both = [
        np.cumsum(np.bincount(gaps_by_key(*found, 4).ravel(), minlength=28)) / 8000
        for found in (drawn(2000), mqar.read_arrays(shared / FILE))
    ]
    assert np.abs(both[0] - both[1]).max() < 0.03


def test_keys_and_values_are_uniform():
    inputs, _ = drawn(2000)
    assert chi_square(np.bincount(inputs[:, 0], minlength=128)[1:128], np.full(127, 2000 / 127)) < 200
    assert chi_square(np.bincount(inputs[:, 7], minlength=256)[128:], np.full(128, 2000 / 128)) < 200


@pytest.mark.parametrize(
    "vocabulary, length, pairs, power",
    [(4, 4, 1, 0.01), (10, 16, 4, 0.5), (512, 128, 32, 0.0), (256, 64, 4, 1)],
)
def test_other_sizes(vocabulary, length, pairs, power):
    inputs, labels = drawn(200, vocabulary=vocabulary, length=length, pairs=pairs, power=power)
    assert inputs.shape == (200, length)
    gaps = gaps_by_key(inputs, labels, pairs)
    space = length // 2 - pairs
    assert gaps.min() == 0 and gaps.max() == space - 1
    keys, values = inputs[:, 0 : 2 * pairs : 2], inputs[:, 1 : 2 * pairs : 2]
    assert 1 <= keys.min() <= keys.max() < vocabulary // 2 <= values.min() <= values.max() < vocabulary
    if power == 1:
        assert chi_square(np.bincount(gaps[:, 0], minlength=space), np.full(space, 200 / space)) < 60


def test_noise_fills_what_is_not_asked():
    quiet, labels = drawn(300)
    inputs, same = drawn(300, noise=True)
    # the noise of an example is drawn after everything else, so that all else stays as it was
    assert (same == labels).all() and (inputs[quiet != 0] == quiet[quiet != 0]).all()
    noise = inputs[quiet == 0]
    assert noise.min() == 0 and noise.max() == 255 and (noise == 0).mean() < 0.01


@pytest.mark.parametrize(
    "wrong",
    [{"pairs": 0}, {"length": 63}, {"length": 14}, {"vocabulary": 8}, {"vocabulary": 255}, {"power": 2}],
)
def test_sizes_that_make_no_sense(wrong):
    with pytest.raises(ChronosError, match=next(iter(wrong))):
        mqar.Options(**wrong)


def solve(events, question) -> str:
    """Read the texts of a life, look the key up."""
    told = dict(re.fullmatch(r"The word for (\w+) is (\w+)\.", event.text).groups() for event in events)
    return told[re.fullmatch(r"What is the word for (\w+)\?", question.question)[1]]


@pytest.mark.parametrize("source", ["ours", "published"])
def test_a_reader_of_the_texts_answers_everything(tmp_path, request, source):
    published = source == "published"
    options = {"arrays": str(request.getfixturevalue("shared") / FILE)} if published else {"noise": True}
    stats = write_task("mqar", tmp_path / "out", n=500, **options)
    asked, answers = [], []
    for events, questions in read_lives(tmp_path / "out"):
        asked += questions
        answers += [solve(events, question) for question in questions]
        for q in questions:
            assert [event.t for event in events if solve([event], q_of(event)) == q.answer] == [*q.evidence]
            assert (q.age, q.overwrites, q.kind) == (q.t - q.evidence[0], 0, "mqar")
    assert score(asked, answers)["accuracy"] == 1.0 and len(asked) == 2000
    assert stats["majority"]["all"]["share"] < 0.02


def q_of(event):
    """The question that an event answers."""
    key = event.text.split()[3]
    return type("Asked", (), {"question": f"What is the word for {key}?"})


def test_arrays_and_lives_say_the_same(arrays):
    inputs, labels = arrays
    for example in itertools.islice(mqar.from_arrays(inputs, labels), 50):
        i = example.events[0].life - 1
        assert [q.answer for q in example.questions] == [word(v) for v in labels[i][labels[i] != IGNORED]]
        assert [q.t for q in example.questions] == np.flatnonzero(labels[i] != IGNORED).tolist()
        assert [e.t for e in example.events] == [0, 2, 4, 6]
        document = as_document(example.events, example.questions)
        assert document.text.count("\n") == 8 and document == example.document("life")


def test_arrays_written_are_arrays_read(tmp_path):
    write_task("mqar", tmp_path / "out", seed=1, n=30)
    inputs, labels = (np.load(tmp_path / "out" / f"{name}.npy") for name in ("inputs", "labels"))
    assert inputs.dtype == np.int32 and inputs.flags.c_contiguous
    assert all((a == b).all() for a, b in zip((inputs, labels), drawn(30)))


def spoil(what: str, inputs: np.ndarray, labels: np.ndarray) -> None:
    """Break the layout of row 2."""
    at = np.flatnonzero(labels[2] != IGNORED)
    if what == "wrong value":
        labels[2, at[0]] = 128 if labels[2, at[0]] != 128 else 129
    elif what == "unknown key":
        inputs[2, at[1]] = 0
    elif what == "a key twice":
        inputs[2, at[1]], labels[2, at[1]] = inputs[2, at[0]], labels[2, at[0]]
    elif what == "nothing asked":
        labels[2] = IGNORED
    elif what == "asked too early":
        again = at[inputs[2, at] == inputs[2, 6]]
        inputs[2, again], labels[2, again], labels[2, 6] = 0, IGNORED, inputs[2, 7]
    elif what == "a negative token":
        inputs[2, 40] = -1


@pytest.mark.parametrize(
    "what",
    ["wrong value", "unknown key", "a key twice", "nothing asked", "asked too early", "a negative token"],
)
def test_another_layout_is_refused_by_row(what):
    inputs, labels = drawn(4)
    spoil(what, inputs, labels)
    with pytest.raises(ChronosError, match="row 2: not in the layout"):
        list(mqar.from_arrays(inputs, labels))


def test_a_bomb_is_not_unpacked(tmp_path, monkeypatch):
    inputs, labels = drawn(4)
    np.savez_compressed(tmp_path / "a.npz", inputs=inputs, labels=labels)
    monkeypatch.setattr(mqar, "LIMIT", 2000)
    with pytest.raises(ChronosError, match=r"a\.npz: too large, expected at most 2000"):
        mqar.read_arrays(tmp_path / "a.npz")


def test_damaged_files_are_told_in_a_line(tmp_path):
    inputs, labels = drawn(4)
    good = tmp_path / "good.npz"
    np.savez_compressed(good, inputs=inputs, labels=labels)
    assert (mqar.read_arrays(good)[0] == inputs).all()
    data = good.read_bytes()
    bad = tmp_path / "bad.npz"
    for content in (b"", b"hello", data[:100], data[:-30], data[:80] + b"\x00" * 40 + data[120:]):
        bad.write_bytes(content)
        with pytest.raises(ChronosError, match=r"bad\.npz: "):
            mqar.read_arrays(bad)
    large = inputs.astype(np.int64) + (1 << 40)
    objects = np.array([[{}]], object)
    for wrong in (
        {"inputs": inputs},
        {"inputs": inputs, "labels": labels[:, :5]},
        {"inputs": inputs[0], "labels": labels[0]},
        {"inputs": inputs[:0], "labels": labels[:0]},
        {"inputs": inputs * 1.0, "labels": labels},
        {"inputs": inputs - 500, "labels": labels},
        {"inputs": large, "labels": labels},
        {"inputs": objects, "labels": objects},
    ):
        np.savez(bad, **wrong)
        with pytest.raises(ChronosError, match=r"bad\.npz: "):
            mqar.read_arrays(bad)
    for missing in (tmp_path / "none.npz", tmp_path):
        with pytest.raises(ChronosError):
            mqar.read_arrays(missing)
