"""A state is a value: it stays good however it is continued, copied, cut, merged, saved or damaged."""

import threading

import numpy as np
import pytest

from chronos.architecture.tape import no_grad
from chronos.console import ChronosError
from chronos.memory.config import ModelConfig
from chronos.memory.model import Model
from chronos.memory.state import LENGTH, State, load_state, merge

RNG = np.random.default_rng(0)
TOKENS = RNG.integers(0, 30, (3, 12))


@pytest.fixture(scope="module")
def model():
    found = Model(ModelConfig(vocabulary=30, context=12, layers=2, width=16, heads=2))
    for p in found.parameters().values():
        p.data *= 5  # larger differences between texts than those of fresh weights
    return found


@pytest.fixture(autouse=True)
def evaluation():
    with no_grad():
        yield


def logits(model, tokens, state=None, **more):
    out = model(tokens, state, **more)
    return model.logits(out.hidden), out.state


def test_a_state_holds_named_arrays(model):
    _, state = logits(model, TOKENS[:, :5])
    assert sorted(state) == ["block.0.k", "block.0.v", "block.1.k", "block.1.v", LENGTH]
    assert len(state) == 5
    assert state.length.tolist() == [5, 5, 5] and state.length.dtype == np.int64
    assert state["block.0.k"].shape == (3, 12, 16)
    assert state.nbytes == 4 * 3 * 12 * 16 * 4 + 3 * 8
    assert (np.abs(state["block.0.k"]).sum(-1) > 0).tolist() == [[True] * 5 + [False] * 7] * 3


def test_a_state_can_be_continued_twice(model):
    """The first continuation writes in place, the second must not see it, nor the first the second."""
    _, state = logits(model, TOKENS[:, :5])
    whole, _ = logits(model, TOKENS)
    other = np.concatenate([TOKENS[:, :5], TOKENS[:, 7:10]], axis=1)
    whole_other, _ = logits(model, other)
    left, after_left = logits(model, TOKENS[:, 5:8], state)
    right, after_right = logits(model, TOKENS[:, 7:10], state)
    assert np.allclose(left, whole[:, 5:8], atol=2e-5)
    assert np.allclose(right, whole_other[:, 5:8], atol=2e-5)
    again, _ = logits(model, TOKENS[:, 8:], after_left)
    assert np.allclose(again, whole[:, 8:], atol=2e-5)
    third, _ = logits(model, TOKENS[:, 5:8], state)
    assert np.array_equal(third, left)
    assert after_right.length.tolist() == [8, 8, 8] and state.length.tolist() == [5, 5, 5]


def test_continuing_the_newest_writes_in_place(model):
    """O(1) a token: no copy of the context."""
    _, state = logits(model, TOKENS[:, :5])
    _, after = logits(model, TOKENS[:, 5:6], state)
    assert np.shares_memory(state["block.0.k"], after["block.0.k"])
    _, fork = logits(model, TOKENS[:, 5:6], state)
    assert not np.shares_memory(state["block.0.k"], fork["block.0.k"])
    _, further = logits(model, TOKENS[:, 6:7], fork)
    assert np.shares_memory(fork["block.0.k"], further["block.0.k"])


def test_two_threads_may_continue_one_state(model):
    """Answers to two questions about one text, at once."""
    _, state = logits(model, TOKENS[:, :5])
    texts = [np.concatenate([TOKENS[:, :5], TOKENS[:, a : a + 4]], axis=1) for a in (5, 8)]
    whole = [logits(model, text)[0][:, 5:] for text in texts]
    found = {}
    barrier = threading.Barrier(2, timeout=30)

    def answer(i: int) -> None:
        with no_grad():
            barrier.wait()
            now, pieces = state, []
            for t in range(4):
                piece, now = logits(model, TOKENS[:, (5, 8)[i] + t :][:, :1], now)
                pieces.append(piece)
            found[i] = np.concatenate(pieces, axis=1)

    for _ in range(10):
        threads = [threading.Thread(target=answer, args=(i,)) for i in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert all(np.allclose(found[i], whole[i], atol=2e-5) for i in range(2))


def test_buffers_are_claimed_once():
    """Of two that are about to write past one state, only the first gets its buffers."""
    state = State({LENGTH: np.array([1]), "x": np.zeros((1, 4))}).copy()
    first, second = state.writable(), state.writable()
    assert np.shares_memory(first["x"], state["x"])
    assert not np.shares_memory(second["x"], state["x"])


def test_arrays_from_outside_are_never_written_to(model):
    """A state made from another's arrays (with one of them changed, say) leaves them alone."""
    _, state = logits(model, TOKENS[:, :5])
    edited = State({**state, "block.0.v": np.zeros_like(state["block.0.v"])})
    before = {name: a.copy() for name, a in edited.items()}
    expected, _ = logits(model, TOKENS[:, 5:8], state.copy())
    changed, _ = logits(model, TOKENS[:, 9:12], edited)
    assert all(np.array_equal(a, edited[name]) for name, a in before.items())
    assert not np.allclose(changed, expected)
    assert np.array_equal(logits(model, TOKENS[:, 5:8], state)[0], expected)


def test_a_call_that_fails_leaves_the_state_good(model):
    _, state = logits(model, TOKENS[:, :5])
    expected, _ = logits(model, TOKENS[:, 5:8], state.copy())

    def fail(_):
        raise KeyError("in the middle")

    with model.tap("block.1.ffn", fail), pytest.raises(KeyError):
        logits(model, TOKENS[:, 9:12], state)
    assert np.array_equal(logits(model, TOKENS[:, 5:8], state)[0], expected)


def test_rows_select_shuffle_and_branch(model):
    _, state = logits(model, TOKENS[:, :5])
    whole, _ = logits(model, TOKENS)
    for which in ([2, 0], [1, 1, 1], np.array([True, False, True])):
        tail, _ = logits(model, TOKENS[which][:, 5:8], state.rows(which))
        assert np.allclose(tail, whole[which][:, 5:8], atol=2e-5)
    assert not np.shares_memory(state.rows([0, 1, 2])["block.0.k"], state["block.0.k"])


def test_merge_makes_one_batch(model):
    """States of different ages, too."""
    whole, _ = logits(model, TOKENS)
    states = [logits(model, TOKENS[:1, :3])[1], logits(model, TOKENS[1:, :6])[1]]
    both = merge(states)
    assert both.length.tolist() == [3, 6, 6]
    tail, after = logits(model, np.stack([TOKENS[0, 3:6], TOKENS[1, 6:9], TOKENS[2, 6:9]]), both)
    assert np.allclose(tail[0], whole[0, 3:6], atol=2e-5) and np.allclose(tail[1:], whole[1:, 6:9], atol=2e-5)
    assert after.length.tolist() == [6, 9, 9]


@pytest.mark.parametrize("others", [[], ["names"], ["shapes"]])
def test_what_cannot_be_merged_is_refused(others):
    length = np.array([1])
    made = {
        "names": [State({LENGTH: length, "a": np.zeros((1, 2))}), State({LENGTH: length})],
        "shapes": [State({LENGTH: length, "a": np.zeros((1, n))}) for n in (2, 3)],
    }
    with pytest.raises(ChronosError, match="same names and shapes"):
        merge(made[others[0]] if others else [])


def test_a_state_needs_its_length():
    with pytest.raises(ChronosError, match="a state needs the array 'length', got a"):
        State({"a": np.zeros(3)})


# ---- files -------------------------------------------------------------------------------------------------


def test_saved_and_loaded(model, tmp_path):
    _, state = logits(model, TOKENS[:, :5], lengths=np.array([5, 4, 2]))
    state.save(tmp_path / "a.state")
    loaded = load_state(tmp_path / "a.state")
    assert set(loaded) == set(state)
    assert all(np.array_equal(loaded[name], a) and loaded[name].dtype == a.dtype for name, a in state.items())
    expected, _ = logits(model, TOKENS[:, 5:8], state)
    assert np.array_equal(logits(model, TOKENS[:, 5:8], loaded)[0], expected)


def test_every_truncation_is_refused(model, tmp_path):
    _, state = logits(model, TOKENS[:, :5])
    path = tmp_path / "a.state"
    state.save(path)
    whole = path.read_bytes()
    for size in [*range(0, 600, 7), len(whole) // 2, len(whole) - 1]:
        path.write_bytes(whole[:size])
        with pytest.raises(ChronosError, match=r"a\.state: cannot read state"):
            load_state(path)


def test_flipped_bits_are_refused_or_harmless(model, tmp_path):
    """No traceback for any damage of the header, whatever it then claims to be."""
    _, state = logits(model, TOKENS[:, :5])
    path = tmp_path / "a.state"
    state.save(path)
    whole = path.read_bytes()
    header = 8 + int.from_bytes(whole[:8], "little")
    rng, refused = np.random.default_rng(1), 0
    for place in range(header):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << int(rng.integers(0, 8))
        path.write_bytes(damaged)
        try:
            logits(model, TOKENS[:, 5:6], load_state(path))
        except ChronosError as error:
            refused += 1
            assert "\n" not in str(error)
    assert refused > 0.9 * header


@pytest.mark.parametrize(
    "arrays",
    [
        {LENGTH: np.array([1.0])},
        {LENGTH: np.array([-1])},
        {LENGTH: np.zeros(0, np.int64)},
        {LENGTH: np.zeros((1, 1), np.int64)},
        {LENGTH: np.array([1]), "a": np.zeros((2, 3))},
    ],
)
def test_impossible_states_are_refused(arrays, tmp_path):
    State(arrays).save(tmp_path / "a.state")
    with pytest.raises(ChronosError, match="damaged state"):
        load_state(tmp_path / "a.state")


def test_other_files_are_refused(tmp_path):
    from safetensors.numpy import save_file

    with pytest.raises(ChronosError, match="cannot read state"):
        load_state(tmp_path / "gone")
    for metadata in (None, {"chronos_state": "99"}):
        save_file({LENGTH: np.array([1])}, str(tmp_path / "a"), metadata)
        with pytest.raises(ChronosError, match="not a state of this version, expected 1"):
            load_state(tmp_path / "a")


def test_another_models_state_is_refused(model):
    _, state = logits(model, TOKENS[:, :5])
    for change in ({"layers": 3}, {"layers": 1}, {"width": 32}, {"context": 24}, {"kv_heads": 1}):
        shape = {"vocabulary": 30, "context": 12, "layers": 2, "width": 16, "heads": 2} | change
        other = Model(ModelConfig(**shape))
        with pytest.raises(ChronosError, match="the state is another model's"):
            other(TOKENS[:, 5:6], state)
