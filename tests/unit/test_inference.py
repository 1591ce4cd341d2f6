"""Session, text stream and continuation, each against a slower way that keeps nothing."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronos.architecture.tape import no_grad
from chronos.cli import main
from chronos.console import ChronosError
from chronos.data.stories import stories
from chronos.inference.continuation import continue_text
from chronos.inference.session import Count, Session, tokens
from chronos.inference.text_stream import TextStream, printable
from chronos.memory.config import config_from
from chronos.memory.generate import generate
from chronos.memory.model import Model
from chronos.memory.modeldir import Loaded, save_model
from chronos.memory.sampling import Sampling
from chronos.tokenization.factory import train_tokenizer
from chronos.tokenization.tokenizer import BytesTokenizer

TEXTS = list(stories(30, seed=4))
CONTEXT = 12


def make_model(vocabulary: int, **shape: int) -> Model:
    """Untrained, with weights large enough that its choices are not all the same."""
    shape = {"layers": 2, "heads": 2, "width": 32, "context": CONTEXT, "tied": False} | shape
    made = Model(config_from({**shape, "vocabulary": vocabulary}), seed=5)
    for p in made.parameters().values():
        p.data *= 8 if p.data.ndim > 1 else 1
    return made


@pytest.fixture(scope="module")
def loaded() -> Loaded:
    tokenizer = train_tokenizer("bpe", TEXTS, 400)
    return Loaded(make_model(tokenizer.vocab_size), tokenizer, Path("m"), None)


@pytest.fixture
def saved(loaded, tmp_path) -> Path:
    save_model(tmp_path / "m", loaded.model, loaded.tokenizer)
    return tmp_path / "m"


def whole_logits(model: Model, ids: list[int]) -> np.ndarray:
    with no_grad():
        return model.logits(model(np.array([ids])).hidden)[0, -1]


# ---- session -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pieces", [[12], [1] * 12, [5, 1, 6], [1, 11]])
def test_what_is_read_in_pieces_is_read_as_one(loaded, pieces):
    ids = loaded.tokenizer.encode(TEXTS[0])[: sum(pieces)].tolist()
    session = Session(loaded.model)
    start = 0
    for size in pieces:
        session.add(ids[start : start + size])
        found = session.logits()
        start += size
    assert session.used == 12
    assert session.restarts == 0
    assert np.abs(found - whole_logits(loaded.model, ids)).max() < 1e-4
    assert session.logits() is found


def test_a_full_context_goes_on_from_its_last_half(loaded):
    ids = loaded.tokenizer.encode(TEXTS[0])[:20].tolist()
    session = Session(loaded.model)
    session.add(ids[:12])
    session.logits()
    session.add(ids[12:13])
    assert np.abs(session.logits() - whole_logits(loaded.model, ids[7:13])).max() < 1e-4
    assert (session.used, session.restarts) == (6, 1)
    session.add(ids[13:20])
    assert np.abs(session.logits() - whole_logits(loaded.model, ids[14:20])).max() < 1e-4
    assert session.restarts == 2
    assert len(session.seen) == CONTEXT


@pytest.mark.parametrize("length", [1, 11, 12, 13, 40])
@pytest.mark.parametrize("temperature", [0.0, 1.3])
def test_it_draws_what_the_plain_loop_draws(loaded, length, temperature):
    prompt = np.resize(loaded.tokenizer.encode(TEXTS[1]), length)
    sampling = Sampling(temperature=temperature, top_k=40, seed=9)
    end = loaded.tokenizer.end
    expected = list(generate(loaded.model, prompt, max_new_tokens=30, sampling=sampling, stop=(end,)))
    session = Session(loaded.model)
    session.add(prompt)
    assert list(tokens(session, sampling, 30, end=end)) == expected
    assert len(set(expected)) > 3


def test_the_end_is_told_to_the_session_alone(loaded):
    session = Session(loaded.model)
    session.add([7])
    likeliest = int(session.logits().argmax())
    assert list(tokens(session, Sampling(temperature=0), 5, end=likeliest)) == []
    assert session.waiting == [likeliest]


def test_a_context_of_one_token_still_speaks():
    model = make_model(20, context=1)
    session = Session(model)
    session.add([3, 4, 5])
    assert len(list(tokens(session, Sampling(temperature=0), 5, end=-1))) == 5


def test_a_session_refuses(loaded):
    with pytest.raises(ChronosError, match="nothing to go on from"):
        Session(loaded.model).logits()
    with pytest.raises(ChronosError, match="bidirectional"):
        Session(make_model(20, causal=False))
    with pytest.raises(ChronosError, match="must not be negative"):
        next(tokens(Session(loaded.model), Sampling(), -1, end=2))


def test_speed_counts_gaps_not_tokens(monkeypatch):
    clock = iter([10.0, 11.0, 13.0, 50.0])
    monkeypatch.setattr("chronos.inference.session.time.perf_counter", lambda: next(clock))
    first, second, total = Count(), Count(), Count()
    for _ in range(3):
        first.token()
    second.token()
    total.add(first)
    total.add(second)
    assert (first.speed, second.speed) == (2 / 3, None)
    assert (total.tokens, total.speed) == (4, 2 / 3)


# ---- text stream -------------------------------------------------------------------------------------------


def definition(text: str, stop: list[str]) -> str:
    """The text before the first stop string to be complete, letter by letter."""
    for end in range(1, len(text) + 1):
        found = [s for s in stop if text[:end].endswith(s)]
        if found:
            return text[: end - max(map(len, found))]
    return text


@given(
    text=st.text("ab€", max_size=24),
    stop=st.lists(st.text("ab€", min_size=1, max_size=4), max_size=3),
    data=st.data(),
)
def test_stop_strings_by_definition(text, stop, data):
    """Over ids of one byte, and over ids that hold several characters."""
    tokenizer = BytesTokenizer()
    expected = definition(text, stop)
    bpe = train_tokenizer("bpe", ["abab€ba ab€"] * 3, 365)
    for ids, used in ((tokenizer.encode(text), tokenizer), (bpe.encode(text), bpe)):
        stream = TextStream(used, stop)
        pieces = [stream.feed(int(i)) for i in ids]
        assert expected.startswith("".join(pieces))
        assert "".join(pieces) + stream.finish() == expected == stream.text
        assert stream.ended == any(s in text for s in stop)
        assert stream.feed(int(used.encode("a")[0])) == "" or not stream.ended


def test_text_comes_as_soon_as_it_is_certain():
    tokenizer = BytesTokenizer()
    stream = TextStream(tokenizer, ["###"])
    told = [stream.feed(int(i)) for i in tokenizer.encode("a€#b##c")]
    assert told == ["a", "", "", "€", "", "#b", "", "", "##c"]


def test_half_a_character_is_told_as_such():
    stream = TextStream(BytesTokenizer())
    assert stream.feed(int(BytesTokenizer().encode("€")[0])) == ""
    assert stream.finish() == "\ufffd"
    with pytest.raises(ChronosError, match="must not be empty"):
        TextStream(BytesTokenizer(), [""])


def test_a_terminal_is_not_commanded():
    assert printable("a\x1b[2J\r\x07\tb\n\x9b€") == "a\ufffd[2J\ufffd\ufffd\tb\n\ufffd€"


# ---- continuation ------------------------------------------------------------------------------------------


def test_a_continuation_streams_what_it_returns(loaded):
    shown = []
    found = continue_text(loaded, TEXTS[0], max_new_tokens=40, sampling=Sampling(seed=3), show=shown.append)
    assert "".join(shown) == found["text"] == loaded.tokenizer.decode(found["ids"])
    assert len(shown) > 10
    assert found["tokens_per_s"] > 0


def test_a_stop_string_ends_it(loaded):
    whole = continue_text(loaded, "Nora", max_new_tokens=40, sampling=Sampling(seed=3))
    stop = whole["text"][11:14]
    found = continue_text(loaded, "Nora", max_new_tokens=40, sampling=Sampling(seed=3), stop=[stop])
    assert found["text"] == whole["text"][: whole["text"].index(stop)]
    assert found["ids"] == whole["ids"][: len(found["ids"])]
    assert len(found["ids"]) < len(whole["ids"]), "nothing is drawn after it"
    assert stop in loaded.tokenizer.decode(found["ids"])


def test_an_empty_prompt_begins_a_document(loaded):
    found = continue_text(loaded, "", max_new_tokens=3, sampling=Sampling(temperature=0))
    first = whole_logits(loaded.model, [loaded.tokenizer.end]).argmax()
    assert found["ids"][0] == first


def test_what_the_model_cannot_see_is_told(loaded, capsys):
    continue_text(loaded, TEXTS[0], max_new_tokens=0, sampling=Sampling())
    assert "the model reads the last 12" in capsys.readouterr().err
    tokenizer = train_tokenizer("char", ["abc"])
    small = Loaded(make_model(tokenizer.vocab_size), tokenizer, Path("m"), None)
    found = continue_text(small, "axy", max_new_tokens=0, sampling=Sampling())
    assert "2 of the prompt's characters are unknown" in capsys.readouterr().err
    assert found == {"text": "", "ids": [], "tokens_per_s": None}


def test_generate_prints_text_or_one_object(saved, loaded, capsys):
    flags = ["generate", "--model-path", str(saved), "--prompt", "Nora", "--max_new_tokens", "5"]
    assert main([*flags, "--temperature", "0", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert list(found) == ["text", "ids", "tokens_per_s"]
    assert len(found["ids"]) == 5
    assert main([*flags, "--temperature", "0"]) == 0
    assert capsys.readouterr().out == found["text"] + "\n"
    assert main([*flags, "--temperature", "0", "--top-k", "3"]) == 0
    assert "--top-k has no effect" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--temperature", "-1"], "temperature must be 0 or above"),
        (["--temperature", "nan"], "temperature must be 0 or above"),
        (["--top-p", "0"], "top-p"),
        (["--max-new-tokens", "-5"], "must not be negative"),
        (["--stop", ""], "must not be empty"),
    ],
)
def test_generate_refuses_in_one_line(saved, capsys, flags, told):
    assert main(["generate", "--model-path", str(saved), "--prompt", "Nora", *flags]) == 1
    captured = capsys.readouterr()
    assert told in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""
