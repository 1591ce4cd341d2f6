"""The chat: one state over all turns, the commands, and what a pipe sees."""

import io
import os
import signal
from pathlib import Path

import numpy as np
import pytest

from chronos.architecture.tape import no_grad
from chronos.data.stories import stories
from chronos.inference import session, terminal
from chronos.inference.talk import INSTRUCTION, Conversation
from chronos.inference.terminal import Chat, stoppable
from chronos.inference.text_stream import printable
from chronos.memory.config import config_from
from chronos.memory.decode import Decoder
from chronos.memory.model import Model
from chronos.memory.modeldir import Loaded
from chronos.memory.sampling import Sampling, choose
from chronos.tokenization.factory import train_tokenizer

TEXTS = [text.split("\nWhere")[0] + "\n" for text in stories(30, seed=4)]
GREEDY = Sampling(temperature=0)


def make_loaded(context: int = 200) -> Loaded:
    tokenizer = train_tokenizer("bpe", TEXTS, 400)
    shape = {"layers": 2, "heads": 2, "width": 32, "context": context, "tied": False}
    shape["vocabulary"] = tokenizer.vocab_size
    model = Model(config_from(shape), seed=5)
    for p in model.parameters().values():
        p.data *= 8 if p.data.ndim > 1 else 1
    model.head.weight.data[tokenizer.end] = 0  # never the likeliest: no answer ends by chance
    return Loaded(model, tokenizer, Path("m"), None)


@pytest.fixture(scope="module")
def loaded() -> Loaded:
    return make_loaded()


def one_piece(model: Model, ids: list[int]) -> np.ndarray:
    with no_grad():
        return model.logits(model(np.array([ids])).hidden)[0, -1]


def greedy(model: Model, ids: list[int], count: int, end: int) -> list[int]:
    """The likeliest ids after `ids`, with the whole conversation read anew for each."""
    ids = list(ids)
    for _ in range(count):
        ids.append(int(one_piece(model, ids).argmax()))
        if ids[-1] == end:
            break
    return ids


# ---- the conversation --------------------------------------------------------------------------------------


@pytest.mark.parametrize("instruct", [False, True])
def test_the_second_turn_knows_the_first(loaded, instruct):
    """After two turns the logits are those of the whole conversation in one piece."""
    encode, end = loaded.tokenizer.encode, loaded.tokenizer.end
    talk = Conversation(loaded, GREEDY, 10, instruct)
    said = ["".join(talk.turn(text)) for text in ("Nora had a key.", "Where is it?")]
    if instruct:
        first = encode(INSTRUCTION.format(prompt="Nora had a key."))
        second = [end, *encode(INSTRUCTION.format(prompt="Where is it?"))]
    else:
        first, second = encode("Nora had a key."), encode("\nWhere is it?")
    ids = greedy(loaded.model, first.tolist(), 10, end)
    assert said[0] == loaded.tokenizer.decode(ids[len(first) :])
    assert not said[0].endswith("\n")
    assert ids[-1] != end, "choose another seed: this test wants a turn that does not end by itself"
    before = len(ids)
    ids = greedy(loaded.model, [*ids, *second], 10, end)
    assert said[1] == loaded.tokenizer.decode(ids[before + len(second) :])
    assert talk.session.waiting == ids[-1:]
    assert np.abs(talk.session.logits() - one_piece(loaded.model, ids)).max() < 1e-4
    assert talk.session.seen == ids
    assert talk.session.used == len(ids)


def test_no_token_is_read_twice(loaded, monkeypatch):
    read = []
    original = Model.__call__

    def counted(self, tokens, *rest, **named):
        read.append(tokens.shape[1])
        return original(self, tokens, *rest, **named)

    def one_more(self, token):
        read.append(1)
        return step(self, token)

    step = Decoder.step
    monkeypatch.setattr(Decoder, "step", one_more)
    monkeypatch.setattr(Model, "__call__", counted)
    talk = Conversation(loaded, GREEDY, 8)
    for text in TEXTS[:3]:
        list(talk.turn(text[:40]))
    talk.session.logits()
    assert sum(read) == len(talk.session.seen)


def test_a_full_context_is_restarted_and_goes_on():
    loaded = make_loaded(context=24)
    talk = Conversation(loaded, GREEDY, 30)
    list(talk.turn("Nora was in the garden."))
    assert talk.session.restarts == 2
    talk.session.logits()
    tail = talk.session.seen[-talk.session.used :]
    assert np.abs(talk.session.logits() - one_piece(loaded.model, tail)).max() < 1e-4


def test_what_stands_between_two_turns(loaded):
    tokenizer = loaded.tokenizer
    talk = Conversation(loaded, GREEDY)
    assert talk.words("") == [tokenizer.end]
    talk.session.add(tokenizer.encode("One."))
    assert talk.words("") == []
    assert talk.words("Two.") == tokenizer.encode("\nTwo.").tolist()
    talk.session.add(tokenizer.encode("\n"))
    assert talk.words("Two.") == tokenizer.encode("Two.").tolist()
    talk.session.add([tokenizer.end])
    assert talk.words("Two.") == tokenizer.encode("Two.").tolist()


def test_a_seed_repeats_a_conversation_but_not_a_turn(loaded, monkeypatch):
    def spoken(seed):
        talk = Conversation(loaded, Sampling(seed=seed), 12)
        return ["".join(talk.turn(text)) for text in ("Nora.", "Nora.")]

    assert spoken(1) == spoken(1) != spoken(2)
    steps = []

    def recorded(logits, sampling, step):
        steps.append(step)
        return choose(logits, sampling, step)

    monkeypatch.setattr(session, "choose", recorded)
    spoken(1)
    assert len(steps) > 12
    assert steps == sorted(set(steps)), "no random number is used for two tokens"


def test_a_listener_may_leave_in_the_middle(loaded):
    """What was drawn before it left is said; the next turn goes on from there."""
    talk = Conversation(loaded, GREEDY, 20)
    for number, _ in enumerate(talk.turn("Nora had a key.")):
        if number == 3:
            break
    count = talk.last.tokens
    ids = greedy(loaded.model, loaded.tokenizer.encode("Nora had a key.").tolist(), count, -1)
    assert [*talk.session.seen, *talk.session.waiting][: len(ids)] == ids
    list(talk.turn("And?"))
    assert talk.all.tokens == count + talk.last.tokens


# ---- the terminal ------------------------------------------------------------------------------------------


def chat(loaded: Loaded, text: str, drawn: bool = False, **options) -> tuple[dict, str]:
    out = io.StringIO()
    conversation = Conversation(loaded, GREEDY, 6, **options)
    return Chat(conversation, io.StringIO(text), out, drawn).run(), out.getvalue()


def test_a_pipe_gets_one_answer_a_line(loaded, capsys):
    result, out = chat(loaded, "Nora\n\n/temp 1\nSam")
    lines = out.splitlines()
    assert len(lines) == 3 == len(result["turns"])
    assert lines == [" ".join(printable(turn["answer"]).split()) for turn in result["turns"]]
    assert "temp 1" in capsys.readouterr().err
    assert result["tokens"] >= 6
    assert chat(loaded, "")[1] == ""


def test_line_ends_in_an_answer_stay_inside_its_line(loaded, monkeypatch):
    monkeypatch.setattr(Conversation, "turn", lambda self, text: iter([" a\n", "b", "\n\nc\n"]))
    assert chat(loaded, "x\ny\n")[1] == "a b c\na b c\n"


def test_with_instructions_an_empty_line_says_nothing(loaded):
    result, out = chat(loaded, "\n  \nHello\n", instruct=True)
    assert [turn["prompt"] for turn in result["turns"]] == ["Hello"]
    assert out.count("\n") == 1


def test_commands_change_what_they_name(loaded, capsys):
    out = io.StringIO()
    conversation = Conversation(loaded, GREEDY, 6)
    commands = "/temp 0.5\n/topk 3\n/topp 0.9\n/minp 0.1\n/seed 7\n/max 4\n/settings\nNora\n/stats\n"
    Chat(conversation, io.StringIO(commands), out, False).run()
    expected = Sampling(temperature=0.5, top_k=3, top_p=0.9, min_p=0.1, seed=7)
    assert (conversation.sampling, conversation.max_new_tokens) == (expected, 4)
    told = capsys.readouterr().err
    assert "temp 0.5  topk 3  topp 0.9  minp 0.1  seed 7  max 4" in told
    assert f"context: {len(conversation.session.seen) + 1} of 200 tokens" in told
    assert "all: 4 tokens" in told


def test_reset_forgets(loaded):
    result, _ = chat(loaded, "Nora had a key.\nSam\n/reset\nNora had a key.\n/quit\nnot read\n")
    turns = result["turns"]
    assert len(turns) == 3
    assert turns[0] == turns[2]


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("/tmep 1", "unknown command /tmep; did you mean 'temp'?"),
        ("/temp", "/temp needs one value"),
        ("/temp warm", "needs float, got 'warm'"),
        ("/temp -1", "temperature must be 0 or above"),
        ("/topp 0", "top-p must be above 0"),
        ("/max 0", "at least 1 token"),
        ("/", "unknown command /"),
    ],
)
def test_a_wrong_command_changes_nothing(loaded, capsys, command, told):
    out = io.StringIO()
    conversation = Conversation(loaded, GREEDY, 6)
    Chat(conversation, io.StringIO(command + "\n"), out, False).run()
    assert told in capsys.readouterr().err
    assert (conversation.sampling, conversation.max_new_tokens) == (GREEDY, 6)
    assert out.getvalue() == ""


def test_help_tells_every_command(loaded, capsys):
    chat(loaded, "/help\n")
    told = capsys.readouterr().err
    for name in (*terminal.SAMPLING, "max", "settings", "stats", "reset", "quit"):
        assert f"/{name}" in told


def test_a_full_context_is_told_once(capsys):
    chat(make_loaded(context=16), "Nora was in the garden with a key.\nSam\nBen\n")
    assert capsys.readouterr().err.count("it goes on from the last half") == 1


def test_at_a_terminal(loaded, monkeypatch):
    lines = iter(["Nora", "/settings"])

    def fake_input(prompt):
        assert prompt == "> "
        try:
            return next(lines)
        except StopIteration:
            raise KeyboardInterrupt from None

    monkeypatch.setattr("builtins.input", fake_input)
    result, out = chat(loaded, "", drawn=True)
    assert "a base model, not an assistant" in out
    assert printable(result["turns"][0]["answer"]) in out
    assert "temp 0" in out
    assert out.endswith("\n")


def test_ctrl_c_ends_the_answer_not_the_chat(loaded, monkeypatch):
    """The first one stops at a whole token; a second one is the system's again."""
    talk = Conversation(loaded, GREEDY, 50)
    original = talk.turn

    def with_ctrl_c(text):
        for number, piece in enumerate(original(text)):
            if number == 2:
                os.kill(os.getpid(), signal.SIGINT)
            yield piece

    monkeypatch.setattr(talk, "turn", with_ctrl_c)
    before = signal.getsignal(signal.SIGINT)
    out = io.StringIO()
    result = Chat(talk, io.StringIO("Nora\n/stats\n"), out, False).run()
    assert 3 <= talk.all.tokens < 10
    assert len(result["turns"]) == 1
    assert signal.getsignal(signal.SIGINT) is before
    with stoppable() as asked:
        assert not asked()
        os.kill(os.getpid(), signal.SIGINT)
        assert asked()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before
