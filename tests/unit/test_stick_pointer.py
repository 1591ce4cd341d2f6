"""The pointer: probabilities by their definition, words that are no output class, what is refused."""

import numpy as np
import pytest

from chronos.architecture import ops
from chronos.architecture.ops.pointer import chances, likeliest
from chronos.architecture.tape import Tensor, apply, backward
from chronos.console import ChronosError

WORDS = np.array([[[3, 8, -1], [0, 1, 2], [8, 3, 3]], [[-1, -1, -1], [4, 5, -1], [9, 5, 4]]])
WORDS = np.concatenate([WORDS, np.full((2, 3, 1), -1)], 2)  # no event fills the last slot
OF = np.array([0, 3, 1, 2, 3, 0])
TARGETS = np.array([3, 5, -1, 9, 4, 8])


def setting(kind=np.float64) -> list[np.ndarray]:
    """h, w, gate, scores, and two hops over two lives of three events with two questions each; 6 classes."""
    rng = np.random.default_rng(1)
    arrays = [rng.standard_normal(shape) for shape in ((6, 4), (6, 4), (6,), (6, 2, 4))]
    arrays += [rng.dirichlet(np.ones(4), (2, 2)) for _ in range(2)]
    return [a.astype(kind) for a in arrays]


def probability(arrays, row: int, y: int) -> float:
    """p(y) for one row, word by word."""
    h, w, gate, scores, *hops = arrays
    e = np.exp(h[row] @ w.T)
    g = 1 / (1 + np.exp(-gate[row]))
    life, question = divmod(OF[row], 2)
    slots = [(i, l) for i in range(2) for l in range(4) if (WORDS[life, :, l] >= 0).any()]
    total = sum(np.exp(scores[row, i, l]) for i, l in slots)
    copied = 0.0
    for i, l in slots:
        for event in range(3):
            if WORDS[life, event, l] == y:
                copied += np.exp(scores[row, i, l]) / total * hops[i][life, question, event]
    return g * (e[y] / e.sum() if y < 6 else 0) + (1 - g) * copied


def loss(arrays, **settings) -> float:
    settings = {"words": WORDS, "of": OF, "targets": TARGETS} | settings
    return float(apply(ops.Pointer, *(Tensor(a) for a in arrays), **settings).data)


@pytest.mark.parametrize(("kind", "room"), [(np.float64, 1e-12), (np.float32, 1e-6)])
def test_the_loss_is_its_definition(kind, room):
    """Targets 8 and 9 are no output class: they can only be copied."""
    arrays = setting(kind)
    used = [(row, y) for row, y in enumerate(TARGETS) if y >= 0]
    expected = -0.5 * sum(np.log(probability([a.astype(float) for a in arrays], row, y)) for row, y in used)
    assert abs(loss(arrays, scale=0.5) - expected) < room * abs(expected)


def test_generating_has_the_same_probabilities():
    arrays = setting()
    h, w, gate, scores, *hops = arrays
    e = np.exp(h @ w.T)
    life, question = OF // 2, OF % 2
    shares = np.stack([hop[life, question, :3] for hop in hops], 1)
    slots = np.repeat(WORDS[life][:, None], 2, 1)
    heard = (e / e.sum(1, keepdims=True), gate, scores, shares, slots)
    ids, best = likeliest(*heard)
    each = chances(*heard, np.tile(np.arange(10), (len(ids), 1)))
    for row in range(len(ids)):
        p = np.array([probability(arrays, row, y) for y in range(10)])
        assert ids[row] == p.argmax() and abs(best[row] - p.max()) < 1e-14
        assert np.abs(each[row] - p).max() < 1e-14
    assert len(set(ids.tolist())) > 1


def test_a_word_of_any_number_can_be_copied():
    slots = np.array([[[[3, 2**62 + 1, -1], [2**62 + 1, 2**62 + 9, 2]]]])
    shares, level = np.array([[[0.6, 0.3]]]), np.zeros((1, 1, 3))
    ids, best = likeliest(np.full((1, 4), 0.25), np.array([-9.0]), level, shares, slots)
    assert ids[0] == 2**62 + 1 and abs(best[0] - 0.3 / (1 + np.exp(-9))) < 1e-9
    ids, _ = likeliest(np.eye(4)[[2]], np.array([9.0]), level, shares, slots)
    assert ids[0] == 2


def test_only_the_heaviest_events_are_looked_at():
    arrays = setting()
    assert loss(arrays, top=3) == loss(arrays, top=99)
    lost = [a.copy() for a in arrays]
    for hop in lost[4:]:
        best = hop[..., :3].max(-1, keepdims=True)
        hop[..., :3] = np.where(hop[..., :3] == best, hop[..., :3], 0)
    assert loss(arrays, top=1) != loss(arrays)
    kept = TARGETS.copy()
    kept[3] = -1  # its word stands in a lighter event: nobody offers it
    # The slots of a life are those of the events looked at, so compare where all events fill all slots.
    words = np.where(WORDS < 0, 0, WORDS)
    assert np.isclose(loss(arrays, top=1, targets=kept, words=words), loss(lost, targets=kept, words=words))


def test_a_target_that_nobody_offers_costs_much_and_breaks_nothing():
    tensors = [Tensor(a, requires_grad=True) for a in setting(np.float32)]
    targets = np.full(6, 77)
    out = apply(ops.Pointer, *tensors, words=WORDS, of=OF, targets=targets)
    backward(out)
    assert abs(float(out.data) + 6 * np.log(1e-20)) < 1e-3
    assert all(np.isfinite(t.grad).all() for t in tensors)


def test_a_life_without_events_leaves_the_head_alone():
    h, w, gate, scores, *_ = setting()
    hops = [np.ones((2, 2, 1))] * 2
    found = loss([h, w, gate, scores, *hops], words=WORDS[:, :0], targets=np.array([0, 1, 2, 3, 4, 5]))
    logp = h @ w.T - np.log(np.exp(h @ w.T).sum(1, keepdims=True))
    expected = -sum(logp[r, r] + np.log(1 / (1 + np.exp(-gate[r]))) for r in range(6))
    assert abs(found - expected) < 1e-12


REFUSED = [
    ({"of": np.array([0, 3, 1, 2, 4, 0])}, "a row answers no question, expected 0 … 3, got 0 … 4"),
    ({"of": OF[:2]}, r"of does not fit, expected \(6,\), got \(2,\)"),
    ({"words": WORDS[:, :2]}, r"words does not fit, expected \(2, 3, 4\)"),
]


@pytest.mark.parametrize(("change", "told"), REFUSED, ids=[told[:12] for _, told in REFUSED])
def test_what_does_not_fit_is_refused(change, told):
    with pytest.raises(ChronosError, match=told):
        loss(setting(), **change)
