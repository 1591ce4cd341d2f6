"""The generation loop: repeatable, stopped in time, what evaluating anew gives, longer than the context."""

import numpy as np
import pytest

from chronos.architecture.tape import no_grad, recording
from chronos.console import ChronosError
from chronos.memory.config import ModelConfig
from chronos.memory.generate import generate
from chronos.memory.model import Model
from chronos.memory.sampling import Sampling, choose

GREEDY = Sampling(temperature=0)


def build(**settings) -> Model:
    shape = {"vocabulary": 30, "context": 12, "layers": 2, "width": 32, "heads": 4} | settings
    model = Model(ModelConfig(**shape), seed=2)
    rng = np.random.default_rng(3)
    for p in model.parameters().values():
        p.data[...] = p.data + rng.standard_normal(p.shape) * 0.2
    return model


@pytest.fixture(scope="module")
def model():
    return build()


def last_logits(model: Model, ids) -> np.ndarray:
    with no_grad():
        return model.logits(model(np.array([ids]), carry=False).hidden)[0, -1]


def by_definition(model: Model, prompt, count: int, s: Sampling) -> list[int]:
    """Evaluate the whole window anew for each token; a full one is cut to its second half."""
    context = model.config.context
    seen, begin = list(prompt), max(0, len(prompt) - context)
    for step in range(count):
        if len(seen) - begin > context:
            begin = len(seen) - (context // 2 or 1)
        seen.append(choose(last_logits(model, seen[begin:]), s, step))
    return seen[len(prompt) :]


@pytest.mark.parametrize("sampling", [GREEDY, Sampling(seed=4), Sampling(1.3, 5, 0.9, 0.01, 7)], ids=str)
@pytest.mark.parametrize("context", [1, 2, 7, 12])
@pytest.mark.parametrize("length", [1, 3, 12, 40])
def test_it_is_what_evaluating_anew_gives(context, length, sampling):
    """Within the context, across its end several times, prompts longer than it; odd and tiny contexts."""
    model = build(context=context)
    prompt = np.random.default_rng(length).integers(0, 30, length)
    found = list(generate(model, prompt, max_new_tokens=30, sampling=sampling))
    assert found == by_definition(model, prompt, 30, sampling)


def test_after_the_context_the_second_half_counts(model):
    """The thirteenth token stands on the last six, as if nothing had been before."""
    prompt = list(range(12))
    made = list(generate(model, prompt, max_new_tokens=2, sampling=GREEDY))
    assert made[0] == int(last_logits(model, prompt).argmax())
    assert made[1] == int(last_logits(model, [*prompt, made[0]][-6:]).argmax())


def test_the_same_seed_gives_the_same_text(model):
    def text(seed, **more):
        return list(generate(model, [1, 2], max_new_tokens=25, sampling=Sampling(seed=seed, **more)))

    assert text(1) == text(1) != text(2)
    greedy = [list(generate(model, [1, 2], max_new_tokens=25, sampling=GREEDY)) for _ in range(2)]
    assert greedy[0] == greedy[1] == text(9, temperature=1e-6)


def test_stop_ends_before_the_token(model):
    whole = list(generate(model, [5], max_new_tokens=20, sampling=Sampling(seed=1)))
    stop = whole[7]
    found = list(generate(model, [5], max_new_tokens=20, sampling=Sampling(seed=1), stop=(stop, 29)))
    assert found == whole[: min(whole.index(i) for i in (stop, 29) if i in whole)]


def test_it_streams(model):
    """A token is out before the next is computed, and an abandoned stream computes no more."""
    calls = []
    with model.tap("block.0.out", lambda x: calls.append(x.shape)):
        stream = generate(model, [1, 2, 3], max_new_tokens=10)
        assert not calls
        next(stream)
        next(stream)
        stream.close()
    assert calls == [(1, 3, 32), (1, 1, 32)]  # the prompt once, then a token at a time


def test_gradients_are_not_recorded_and_still_wanted_after(model):
    stream = generate(model, [1], max_new_tokens=3)
    next(stream)
    assert recording()
    list(stream)
    assert recording()


def test_no_tokens_wanted(model):
    assert list(generate(model, [1], max_new_tokens=0)) == []


@pytest.mark.parametrize(
    ("prompt", "count", "told"),
    [
        ([], 3, "the prompt has no tokens; give at least one character"),
        (np.array([], np.int32), 3, "the prompt has no tokens"),
        ([1], -1, "max-new-tokens must not be negative, got -1"),
        ([30], 3, "token id out of range, expected 0…29"),
        ([-1], 3, "token id out of range"),
    ],
)
def test_what_is_refused(model, prompt, count, told):
    with pytest.raises(ChronosError) as refused:
        list(generate(model, prompt, max_new_tokens=count))
    assert told in str(refused.value)


def test_a_bidirectional_model_does_not_generate():
    with pytest.raises(ChronosError, match="bidirectional"):
        list(generate(build(causal=False), [1], max_new_tokens=1))


def test_a_diverged_model_says_so():
    model = build()
    model.embed.weight.data[...] = np.nan
    with pytest.raises(ChronosError, match="no usable logits, got a maximum of nan; its weights are damaged"):
        list(generate(model, [1], max_new_tokens=1))
