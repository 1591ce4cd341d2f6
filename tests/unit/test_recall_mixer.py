"""The lower stack of the recall model: KDA within sentences, and strange words as names to go by.

Run it with `pytest tests/unit/test_recall_mixer.py`.
"""

import numpy as np
import pytest

from chronos.architecture.attention import Where
from chronos.architecture.tape import Tensor, backward, no_grad
from chronos.memory.recall.blocks import Lower
from chronos.memory.recall.config import RecallConfig
from chronos.memory.recall.net import RecallNet
from chronos.memory.recall.packing import ragged

LENGTHS = (3, 16, 1, 9, 5)


def layer(width: int = 32, dtype: type = np.float32) -> Lower:
    """A layer whose way out is open, as after some training."""
    made = Lower(RecallConfig(vocabulary=8, width=width, heads=4, mixer="kda"))
    made.initialize(3, "lower.0")
    rng = np.random.default_rng(0)
    for name, p in made.parameters().items():
        if name.endswith(("out.weight", "down.weight")):
            p.data[...] = rng.standard_normal(p.shape) * 0.1
        p.data = p.data.astype(dtype)
    return made


def rows(lengths=LENGTHS, width: int = 32, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Tokens (n, D) float32, and where sentences of these lengths end."""
    ends = np.cumsum(lengths, dtype=np.int64)
    return np.random.default_rng(seed).standard_normal((int(ends[-1]), width)).astype(np.float32), ends


def test_a_sentence_means_the_same_alone_and_among_others():
    made = layer()
    x, ends = rows()
    with no_grad():
        together = made(Tensor(x), ends).data
        alone = [made(Tensor(part), np.array([len(part)])).data for part in np.split(x, ends[:-1])]
    assert np.isfinite(together).all()
    np.testing.assert_allclose(together, np.concatenate(alone), atol=1e-5)


def test_it_is_the_layer_of_the_then_preset_on_each_sentence():
    made = layer()
    x, ends = rows((7,))
    with no_grad():
        kda = made.kda
        where = Where(np.arange(7)[None], np.zeros(1, np.int64), np.array([7]))
        expected = super(type(kda), kda).__call__(Tensor(x[None]), where, None, None).data[0]
        np.testing.assert_allclose(kda(Tensor(x), ends).data, expected, atol=1e-6)


def test_words_see_what_stands_before_them_and_nothing_later_and_no_other_sentence():
    made = layer()
    x, ends = rows((6, 8, 4))
    with no_grad():
        before = made(Tensor(x), ends).data
        x[9] += 1  # the fourth word of the second sentence
        moved = np.abs(made(Tensor(x), ends).data - before).max(1) > 1e-6
    assert np.flatnonzero(moved).tolist() == [9, 10, 11, 12, 13]


@pytest.mark.parametrize("lengths", [(0, 4, 0, 2), (5, 0)])
def test_empty_sentences_change_nothing(lengths):
    made = layer()
    x, ends = rows(lengths)
    full = np.cumsum([n for n in lengths if n], dtype=np.int64)
    with no_grad():
        np.testing.assert_array_equal(made(Tensor(x), ends).data, made(Tensor(x), full).data)
    with no_grad():
        nothing = made(Tensor(x[:0]), np.zeros(2, np.int64)).data
    assert nothing.shape == (0, 32)


def test_gradients_are_those_of_finite_differences():
    made = layer(width=8, dtype=np.float64)
    x, ends = rows((3, 5, 1), width=8)
    inputs, toward = Tensor(x.astype(np.float64), requires_grad=True), np.random.default_rng(2)
    toward = toward.standard_normal(x.shape)

    def value() -> float:
        with no_grad():
            return float((made(Tensor(inputs.data), ends).data * toward).sum())

    backward(made(inputs, ends), toward)
    checked = {"x": inputs, **made.parameters()}
    for name, tensor in checked.items():
        direction = np.random.default_rng(5).standard_normal(tensor.shape)
        kept, eps = tensor.data.copy(), 1e-6
        tensor.data = kept + eps * direction
        above = value()
        tensor.data = kept - eps * direction
        slope = (above - value()) / (2 * eps)
        tensor.data = kept
        found = float((tensor.grad * direction).sum())
        assert found == pytest.approx(slope, rel=1e-5, abs=1e-7), name
        assert np.abs(tensor.grad).max() > 0, name


def test_it_has_as_many_parameters_as_attention_and_begins_as_the_identity():
    def size(mixer: str) -> int:
        net = RecallNet(RecallConfig(vocabulary=1000, mixer=mixer))
        return sum(p.data.size for p in net.parameters().values())

    assert size("kda") == pytest.approx(size("attention"), rel=0.05)
    fresh = Lower(RecallConfig(vocabulary=8, width=32, mixer="kda"))
    fresh.initialize(1, "lower.0")
    x, ends = rows()
    with no_grad():
        np.testing.assert_array_equal(fresh(Tensor(x), ends).data, x)


def test_a_recall_model_with_it_learns_to_tell_two_sentences_apart():
    net = RecallNet(RecallConfig(vocabulary=20, width=32, heads=4, key=8, mixer="kda"), seed=1)
    sentences = ragged([np.array([6, 7, 8, 9]), np.array([7, 6, 8, 9, 10])])
    first, h = None, None
    for _ in range(30):
        h, keys = net.encode(sentences)
        same = float(keys.data[0] @ keys.data[1])
        first = same if first is None else first
        backward(keys, np.ascontiguousarray(keys.data[::-1]))  # the slope of their cosine
        for p in net.parameters().values():
            if p.grad is not None:
                p.data -= 0.05 * p.grad
                p.grad = None
    assert h.data.shape == (9, 32) and np.isfinite(h.data).all()
    assert same < first - 0.2, (first, same)


def test_strangers_are_what_sentences_go_by():
    def alike(stranger: float) -> float:
        """Cosine of the keys of two sentences that only differ in a word outside the vocabulary."""
        net = RecallNet(RecallConfig(vocabulary=30, width=16, heads=2, key=8, stranger=stranger), 0)
        _, keys = net.encode(ragged([np.array([6, 7, 2**61 + 1, 8]), np.array([6, 7, 2**61 + 2, 8])]))
        return float(keys.data[0] @ keys.data[1])

    assert alike(4.0) < alike(0.0) - 0.1
