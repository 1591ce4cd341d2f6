"""Language models as readers of a life: what their windows hold, what goes on between them, what they answer.

Run it with `pytest tests/unit/test_live_baselines.py`.
"""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from chronos.architecture.tape import no_grad
from chronos.console import ChronosError
from chronos.data.cairo.life import Life
from chronos.data.lives import Event, Question, folded
from chronos.data.tasks import short_lives
from chronos.evaluation.live.baselines import ANSWER, TextReader, bytes_in_use, turned
from chronos.memory.config import ModelConfig
from chronos.memory.generate import generate
from chronos.memory.model import Model
from chronos.memory.modeldir import Loaded
from chronos.memory.sampling import Sampling
from chronos.tokenization.tokenizer import CharTokenizer

SHAPES = {
    "gpt": {"preset": "gpt", "pattern": "attention"},
    "then": {"preset": "then", "pattern": "kda kda kda dsa", "positions": "none"},
}
LETTERS = "".join(map(chr, range(32, 127))) + "\n"


def reader(preset: str, context: int = 256, seed: int = 0) -> TextReader:
    """A small model that was never trained."""
    tokenizer = CharTokenizer(LETTERS)
    shape = {"layers": 4, "heads": 2, "width": 16, "context": context, **SHAPES[preset]}
    model = Model(ModelConfig(vocabulary=tokenizer.vocab_size, **shape), seed=seed)
    for name, p in model.parameters().items():
        if name.endswith("weight"):
            p.data *= 6  # so that answers depend on what was read
    return TextReader(Loaded(model, tokenizer, Path("nowhere"), None))


def life(n: int = 30) -> tuple[list[Event], list[Question]]:
    told = Life(n, 5)
    return list(told.events()), told.questions(6)


def test_times_stand_before_sentences_and_dates_where_they_are_new():
    events = [
        Event(t, "Hello.", date) for t, date in ((23, "2031-05-03"), (24, "2031-05-03"), (25, "2031-05-04"))
    ]
    texts = [event.text for event in short_lives.timed(events)]
    assert texts == ["23, 3 May 2031: Hello.", "24: Hello.", "25, 4 May 2031: Hello."]
    assert [event.text for event in short_lives.timed([Event(7, "Hi.")])] == ["7: Hi."]


def test_short_lives_are_the_same_for_ever_and_ask_only_what_was_told():
    options = short_lives.Options(least=16, most=24)
    made = list(short_lives.examples(40, 3, "train", options))
    assert made[:10] == list(short_lives.examples(10, 3, "train", options))
    assert made != list(short_lives.examples(40, 3, "val", options))
    kinds = {q.kind for one in made for q in one.questions}
    assert kinds == {"now", "at", "before", "when", "oneoff", "who", "unknown", "join"}
    for one in made:
        assert 16 <= len(one.events) <= 24 and 4 <= len(one.questions) <= 8
        for q in one.questions:
            assert one.events[0].t <= q.t <= one.events[-1].t and all(t <= q.t for t in q.evidence)
        document = one.document("life")
        learned = set("".join(document.text[i:j] for i, j in _trained(document)).split("\n"))
        assert learned == {f" {q.answer}" for q in one.questions} | {""}
    stops = {len({q.t for q in one.questions}) for one in made}
    assert max(stops) == 4


def _trained(document) -> list[tuple[int, int]]:
    edges = [0, *(at for part in document.untrained for at in part), len(document.text)]
    return list(zip(edges[::2], edges[1::2]))


@pytest.mark.parametrize(
    "options", [{"least": 4}, {"stops": 9}, {"least": 30, "most": 20}, {"language": "fr"}]
)
def test_options_that_cannot_be_are_refused(options):
    with pytest.raises(ChronosError):
        short_lives.Options(**options)


@pytest.mark.parametrize("context", [250, 262, 274, 286])
def test_gpt_reads_what_fits_into_a_window_with_a_question_and_an_answer(context):
    events, questions = life()
    model = reader("gpt", context)
    assert len(model.answers(events, questions[:2])) == 2
    figures = model.figures()
    room = context - ANSWER - max(len(q.question) for q in questions[:2])
    window, longer = (
        sum(len(event.text) + 1 for event in short_lives.timed(events[-figures["window_events"] - more :]))
        for more in (0, 1)
    )
    assert window <= room < longer + 16  # another sentence would not fit
    assert figures["tokens"] == window


def test_then_reads_all_of_a_life():
    events, questions = life()
    model = reader("then")
    model.answers(events, questions[:2])
    whole = sum(len(event.text) + 1 for event in short_lives.timed(events))
    assert whole <= model.figures()["tokens"] < whole + 12 * 16  # dates come again at the head of a window
    assert model.figures()["window_events"] < 10


def test_answers_are_what_the_plain_loop_generates_after_the_same_text():
    events, questions = life(5)
    for preset in SHAPES:
        model = reader(preset, context=512)
        given = model.answers(events, questions)
        text = "".join(event.text + "\n" for event in short_lives.timed(events))
        for question, said in zip(questions[:3], given):
            prompt = model.tokenizer.encode(text + question.question)
            loop = generate(model.model, prompt, max_new_tokens=ANSWER, sampling=Sampling(temperature=0))
            plain = model.tokenizer.decode(list(loop)).split("\n")[0]
            assert said == plain.strip(), preset
        assert len({folded(said) for said in given}) > 1  # else nothing was compared


def test_only_kda_remembers_what_has_left_the_window():
    events, _ = life(8)
    other = [dataclasses.replace(events[0], text="Something else altogether."), *events[1:]]
    for preset, remembers in (("gpt", False), ("then", True)):
        model = reader(preset)
        states = [model.listen(told, 150).state for told in (events, other)]
        differs = any(not np.array_equal(states[0][name], states[1][name]) for name in states[0])
        assert differs == remembers, preset


def test_nothing_that_happens_after_a_question_is_read():
    events, questions = life()
    early = dataclasses.replace(questions[0], t=events[9].t)
    for preset in SHAPES:
        model = reader(preset)
        assert model.answers(events, [early, questions[1]])[0] == model.answers(events[:10], [early])[0]
    with pytest.raises(ChronosError, match="before the question"):
        reader("gpt").answers(events, [dataclasses.replace(early, t=0)])


def test_a_context_without_room_is_refused_in_one_line():
    events, questions = life()
    for preset in SHAPES:
        with pytest.raises(ChronosError, match="does not fit"):
            reader(preset, context=80).answers(events, questions)


def test_bytes_of_state_are_counted_by_what_is_held():
    for preset, fixed, a_token in (("gpt", 0, 4 * 2 * 16 * 4), ("then", None, (2 * 16 + 32) * 4)):
        model = reader(preset)
        with no_grad():
            state = model.model(np.arange(10)[None]).state
        recurrent = sum(state[name].nbytes for name in model.carried)
        assert fixed is None or recurrent == fixed
        assert bytes_in_use(state, model.carried) == recurrent + 10 * a_token
        fresh = turned(state, model.carried)
        assert bytes_in_use(fresh, model.carried) == recurrent and fresh.length.tolist() == [0]
        assert all(np.array_equal(fresh[name], state[name]) for name in model.carried)


def test_a_window_never_overflows_also_where_dates_are_long():
    model, dates = reader("gpt"), ("2031-09-17", "2031-09-18", "2031-09-19")
    events = [Event(t, f"Event {t % 7}.", day) for day in dates for t in range(int(day[-2:]) * 2)]
    for room in range(70, 120):
        heard = model.listen(events, room)
        assert room - 60 < heard.tokens <= room, room
