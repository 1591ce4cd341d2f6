"""Lives asked under every condition: which memory is asked and when, what the rows say, what is told of them.

The model was never trained: its answers are worthless, but which events it read, and of whose life, is not.
"""

import json
from collections import Counter, defaultdict
from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from chronos.cli import main
from chronos.console import ChronosError, UsageError
from chronos.data.cairo.life import Life
from chronos.data.cairo.values import language_of
from chronos.data.lives import is_right
from chronos.evaluation.live import interview as interview_module
from chronos.evaluation.live.conditions import ALL, MAIN, chosen, shuffled
from chronos.evaluation.live.evaluate import Suite, evaluate
from chronos.evaluation.live.interview import Interview
from chronos.evaluation.live.readers import READERS, without_model
from chronos.evaluation.live.records import read
from chronos.evaluation.live.summary import show, summary
from chronos.evaluation.live.taken import taken
from chronos.evaluation.live.told import Lives, Told
from chronos.memory.recall import Recaller, Without, load_recaller, save_recaller
from chronos.memory.recall.config import RecallConfig
from chronos.memory.recall.gate import NEAR, costs
from chronos.memory.recall.net import RecallNet
from chronos.memory.recall.packing import ragged
from chronos.tokenization.clock import DAY, HOUR
from chronos.tokenization.words import WordTokenizer

LIVES = Lives(events=80, lives=2, questions=16, seed=40)
FEW = replace(LIVES, events=40, questions=8)
SHORT = ("on", "shuffled", *READERS)


def made(folder, seed: int = 1, gate: bool = False):
    """A model directory; its matches are so loose that much is recalled."""
    tokenizer = WordTokenizer.train(event.text for event in Life(200, 9).events())
    config = RecallConfig(vocabulary=tokenizer.vocab_size, width=32, key=16, gate=gate)
    net = RecallNet(config, seed)
    for hop in net.hop:
        hop.strict.bias.data[:] = 2.0, -0.5
    if gate:  # some words may be asked for
        weight = net.salience.weight.data
        weight[:] = np.sin(np.arange(weight.size)).reshape(weight.shape)
    save_recaller(folder, net, tokenizer)
    return folder


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    return made(tmp_path_factory.mktemp("live") / "model")


@pytest.fixture(scope="session")
def interview(model, tmp_path_factory) -> Interview:
    return Interview(1, model, LIVES, tmp_path_factory.mktemp("stores"))


class Echo(Told):
    """A life that says every third sentence twice."""

    def events(self):
        before = None
        for event in super().events():
            yield replace(event, text=before.text) if event.t % 3 == 0 else event
            before = event


@pytest.fixture(scope="session")
def gated(tmp_path_factory) -> Interview:
    folder = tmp_path_factory.mktemp("gated")
    found = Interview(1, made(folder / "model", gate=True), LIVES, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(interview_module, "Told", Echo)
        found.memory(0)
    return found


def rows(interview: Interview, condition: str, i: int = 0) -> list[dict]:
    return interview.answers(i, condition, lambda done: None)


def asked(interview: Interview, i: int = 0, store=None, now=None, **without):
    """The same questions put to the model without any interview."""
    memory = interview.memory(i)
    with (store or memory).open() as opened:
        texts = [question.question for question in memory.told.questions]
        now = memory.told.now if now is None else now
        return memory.recaller.ask(opened, texts, now, without=Without(**without))


# ---- conditions and times ---------------------------------------------------------------------------------


def test_conditions_by_name():
    assert chosen("all") == ALL and chosen("main") == MAIN
    assert chosen("as-of off, off") == ("on", "off", "as-of off")  # in their order, "on" always
    with pytest.raises(UsageError, match="no such condition 'shufled'; did you mean 'shuffled'"):
        chosen("shufled")


@pytest.mark.parametrize("n", [0, 1, 2, 7, 500])
def test_every_event_stands_in_for_another(n):
    found = shuffled(n, 3)
    assert sorted(found) == list(range(n))
    assert n < 2 or (found != np.arange(n)).all()
    assert (found == shuffled(n, 3)).all() and (n < 7 or (found != shuffled(n, 4)).any())


@pytest.mark.parametrize("language", ["en", "mixed"])
def test_times_of_a_life(language):
    told = Told(replace(LIVES, language=language).life(1), 8)
    events = list(told.events())
    assert told.number == 41 and len(told) == len(events) == 80
    for n, (event, moment) in enumerate(zip(events, told.moments(), strict=True), 1):
        assert moment.text == event.text
        assert (
            date.fromordinal(date(1970, 1, 1).toordinal() + moment.time_us // DAY).isoformat() == event.date
        )
        assert told.step(moment.time_us) == told.step(moment.time_us + HOUR - 1) == event.t
        assert told.place(moment.time_us) == n
    assert told.now == moment.time_us + HOUR - 1  # asked when the last hour ends
    assert {language_of("Where am I?"), language_of("أين أنا؟")} == {"en", "ar"}


@pytest.mark.parametrize("name", ["lives", "questions", "events"])
def test_lives_that_cannot_be(name):
    with pytest.raises(ChronosError, match=f"{name}.* must be"):
        Lives(**{name: 0})


# ---- one interview ----------------------------------------------------------------------------------------


def test_the_memory_is_asked(interview):
    direct, memory = asked(interview), interview.memory(0)
    events = list(memory.told.events())
    with memory.open() as store:
        for row, answer, question in zip(rows(interview, "on"), direct, memory.told.questions, strict=True):
            assert (row["question"], row["given"]) == (question.question, answer.text)
            assert row["right"] == is_right(question, answer.text)
            assert row["as_of"] == (80 if answer.as_of is None else memory.told.step(answer.as_of))
            assert [read["hop"] for read in row["reads"]] == [1, 2] and row["ms"] > 0
            for read, recalled in zip(row["reads"], answer.reads, strict=True):
                texts = [store.event(at).text for at in recalled.ids]
                assert [events[n - 1].text for n, _ in read["events"]] == texts
                assert [weight for _, weight in read["events"]] == pytest.approx(recalled.weights, abs=1e-5)
                assert read["null"] == pytest.approx(recalled.null, abs=1e-5)
    assert any(read["events"] for row in rows(interview, "on") for read in row["reads"])


def test_numbers_are_of_the_life_where_not_all_is_written(gated):
    memory = gated.memory(0)
    events = list(memory.told.events())
    with memory.open() as store:
        assert 0 < len(store) < len(events)
        for row, answer in zip(rows(gated, "on"), asked(gated), strict=True):
            for read, recalled in zip(row["reads"], answer.reads, strict=True):
                texts = [store.event(at).text for at in recalled.ids]
                assert [events[n - 1].text for n, _ in read["events"]] == texts


@pytest.mark.parametrize("condition", ["off", "reset"])
def test_without_its_memory_nothing_is_read(interview, condition):
    for row in rows(interview, condition):
        assert [(read["null"], read["events"]) for read in row["reads"]] == [(1, []), (1, [])]
        assert row["as_of"] is None or condition == "off"


def test_parts_switched_off(interview):
    hop, later = rows(interview, "hop 2 off"), asked(interview, later_hops=True)
    assert [row["given"] for row in hop] == [answer.text for answer in later]
    assert all(not row["reads"][1]["events"] for row in hop) and any(row["reads"][0]["events"] for row in hop)
    now, plain = rows(interview, "as-of off"), asked(interview, as_of=True)
    assert [row["given"] for row in now] == [answer.text for answer in plain]
    assert {row["as_of"] for row in now} == {80}


def test_shuffled_are_the_words_of_this_store(interview, monkeypatch):
    plain, seen = Recaller.ask, []

    def watched(self, store, questions, now, *, without):
        seen.append(without)
        return plain(self, store, questions, now, without=without)

    monkeypatch.setattr(Recaller, "ask", watched)
    rows(interview, "shuffled")
    assert seen and all((without.shuffled == shuffled(80, 40)).all() for without in seen)


@pytest.mark.parametrize(("i", "other"), [(0, 1), (1, 0)])
def test_another_life(interview, i, other):
    """Its store, at the same hour by its own calendar; its events have no numbers here."""
    memory = interview.memory(other)
    direct = asked(interview, i, memory, memory.told.now)
    found = rows(interview, "another life", i)
    assert [row["given"] for row in found] == [answer.text for answer in direct]
    assert [row["question"] for row in found] == [row["question"] for row in rows(interview, "on", i)]
    assert all(row["as_of"] <= 80 for row in found)
    for row, answer in zip(found, direct, strict=True):
        assert [read["events"] for read in row["reads"]] == [[], []]
        assert row["reads"][0]["null"] == pytest.approx(answer.reads[0].null, abs=1e-5)


def test_one_life_borrows_the_next_ones_memory(model, tmp_path):
    alone = Interview(1, model, replace(LIVES, lives=1), tmp_path)
    rows(alone, "another life")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1-40", "1-41"]


def test_a_changed_weight_is_noticed(model, tmp_path):
    found = Interview(1, model, LIVES, tmp_path)
    rows(found, "on")
    found.memory(0).recaller.net.clock.weight.data[0, 0] += 1e-6
    with pytest.raises(ChronosError, match="the weights changed"):
        found.close()
    assert not found.unchanged


def test_figures(interview):
    found, memories = interview.figures(), [interview.memory(i) for i in (0, 1)]
    assert found["written"] == 1 and found["ms_a_question"] > 0
    assert found["events_per_s"] == pytest.approx(sum(m.read.events_per_s for m in memories) / 2)
    texts = [sum(len(event.text.encode()) for event in memory.told.events()) for memory in memories]
    beside = [(memory.read.bytes - size) / 80 for memory, size in zip(memories, texts)]
    # the use counts of recalled events come later, 4 bytes an event at most
    assert sum(beside) / 2 - 1 <= found["bytes_beside_text"] <= sum(beside) / 2 + 4


# ---- what was done with each event ------------------------------------------------------------------------


def test_without_a_gate_all_is_written(interview):
    memory = interview.memory(0)
    found = interview.taken(0)
    assert [(row["n"], row["t"], row["text"]) for row in found] == [
        (n, event.t, event.text) for n, event in enumerate(memory.told.events(), 1)
    ]
    assert {(row["written"], row["why"]) for row in found} == {(True, "always (no gate)")}
    with memory.open() as store:
        assert found[5]["surprise"] == pytest.approx(store.event(5).surprise, abs=1e-3)


def test_why_an_event_was_written_or_not(gated):
    """Against the definition, one event after the other."""
    memory = gated.memory(0)
    with memory.open() as store:
        found = list(taken(memory.recaller, store, memory.told))
        written = {memory.told.step(int(time)) for time in store.times}
    assert {row["t"] for row in found if row["written"]} == written
    net, tokenizer, said = memory.recaller.net, memory.recaller.tokenizer, []
    for row in found:
        sentence = ragged([tokenizer.encode(row["text"])])
        h, _ = net.encode(sentence)
        told = costs(net, sentence, h)
        words = [word for word, nats in zip(told.words[0], told.nats[0]) if nats > 0]
        near = [(t, before) for t, topic, before in said if float(topic @ told.topics[0]) >= NEAR]
        at, known = near[-1] if near else (0, set())
        if row["written"]:
            new = list(dict.fromkeys(tokenizer.decode([w], tokenizer.unknown([row["text"]])) for w in words
                                     if w not in known))  # fmt: skip
            assert row["why"] == f"new: {', '.join(new)}"
            said.append((row["t"], told.topics[0], set(told.words[0].tolist())))
        else:
            assert row["why"] == (f"nothing new: said at step {at}" if near else "nothing new")
            assert row["surprise"] <= 0.5
    assert any(row["why"].startswith("nothing new: said at step") for row in found)


# ---- the whole suite --------------------------------------------------------------------------------------


@pytest.fixture
def twins(model, tmp_path):
    return (model, made(tmp_path / "second", seed=2))


def test_two_seeds_become_one_record(twins, tmp_path):
    suite = Suite(twins, FEW, SHORT)
    records = read(evaluate(suite, tmp_path / "out"))
    found = list(records.answers())
    parts = Counter((row.seed, row.life, row.condition) for row in found)
    trained = {(seed, life, name) for seed in (1, 2) for life in (40, 41) for name in SHORT[:2]}
    assert set(parts) == trained | {(1, life, name) for life in (40, 41) for name in READERS}
    assert set(parts.values()) == {8} and records.lives == (40, 41)
    for name in READERS:
        told = Told(FEW.life(0), 8)
        given = [row.given for row in found if (row.life, row.condition) == (40, name)]
        assert given == without_model(name, list(told.events()), told.questions)
    about = records.about
    assert about["model"]["sha256"] == load_recaller(twins[0]).identity["model"]
    assert about["weights"]["1"] != about["weights"]["2"] and about["weights_unchanged"]
    assert not (tmp_path / "out" / "stores").exists()


def test_a_second_seed_is_a_second_model(model, tmp_path):
    with pytest.raises(ChronosError, match="the same model is given twice"):
        evaluate(Suite((model, model), LIVES, SHORT), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_suite_goes_on(model, tmp_path, monkeypatch):
    suite, asked = Suite((model,), FEW, SHORT), []
    whole = evaluate(suite, tmp_path / "whole", keep=True)
    plain = Interview.answers

    def watched(self, i, condition, progress):
        asked.append((i, condition))
        if len(asked) == 4:
            raise KeyboardInterrupt
        return plain(self, i, condition, progress)

    monkeypatch.setattr(Interview, "answers", watched)
    with pytest.raises(KeyboardInterrupt):
        evaluate(suite, tmp_path / "again")
    again = evaluate(suite, tmp_path / "again")
    assert Counter(asked) == Counter([*suite.parts(1), suite.parts(1)[3]])
    timeless = [[replace(row, ms=0) for row in read(path).answers()] for path in (whole, again)]
    assert timeless[0] == timeless[1]
    assert read(whole).life(41) == read(again).life(41)
    assert sorted(path.name for path in (tmp_path / "whole" / "stores").iterdir()) == ["1-40", "1-41"]


def test_the_summary_counts(example, tmp_path, capsys):
    folder = example.cairo(tmp_path / "records", lengths=(60, 60), questions=16)
    found, counted = summary(folder), defaultdict(list)
    for row in read(folder).answers():
        counted[row.condition, row.kind].append(row.right)
        counted[row.condition, "all but unknown"] += [row.right] * (row.kind != "unknown")
    share = {key: sum(rights) / len(rights) for key, rights in counted.items()}
    on = {kind: rights for (condition, kind), rights in counted.items() if condition == "on"}
    assert found["without_unknown"] == pytest.approx(share["on", "all but unknown"])
    kinds = set(on) - {"all but unknown"}
    assert found["n"] == sum(len(on[kind]) for kind in kinds)
    assert found["accuracy"] == pytest.approx(sum(sum(on[kind]) for kind in kinds) / found["n"])
    assert {kind: part["n"] for kind, part in found["by_kind"].items()} == {k: len(on[k]) for k in kinds}
    assert found["baselines"] == pytest.approx(
        {name: share[name, "all but unknown"] for name in ALL if name != "on"}
    )
    for (condition, kind), right in share.items():
        assert found["by_condition"][condition][kind] == pytest.approx(right)
    show({**found, "ms_a_question": 1.0, "bytes_beside_text": 86.0, "written": 0.5})
    told = capsys.readouterr().out
    assert "50% of them written" in told and f"{100 * found['without_unknown']:.1f}" in told


@pytest.fixture(scope="session")
def example(load_tool):
    return load_tool("live_example")


# ---- the commands -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "code", "line"),
    [
        ((), 2, "one of the arguments --data --recall --suite is required"),
        (("--data", "x.txt", "--suite", "cairo"), 2, "not allowed with argument"),
        (("--suite", "carro"), 2, "did you mean 'cairo'"),
        (("--suite", "cairo", "--conditions", "none"), 2, "no such condition 'none'"),
        (("--suite", "cairo", "--lives", "0"), 1, "lives must be at least 1, got 0"),
        (("--suite", "cairo", "--model-path", "nothing"), 1, "no model here"),
        (("--data", "x.txt", "--model-path", "a", "--model-path", "b"), 2, "several models need --suite"),
        (("--data", "x.txt", "--model-path", "a", "--lives", "3"), 1, "--lives has no effect"),
    ],
)
def test_wrong_words_are_one_line(words, code, line, capsys):
    assert main(["eval", *words]) == code
    assert line in capsys.readouterr().err


def test_the_commands_make_records_and_report(model, tmp_path, capsys):
    words = ["--events", "60", "--lives", "1", "--questions", "8", "--seed", "7", "--conditions", "main"]
    assert main(["eval", "--suite", "cairo", "--model-path", str(model), *words, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["n"] == 8 and set(found["baselines"]) == {"off", *READERS}
    assert main(["report", "--live", found["records"], "--out-dir", str(tmp_path)]) == 0
    told = capsys.readouterr().out
    assert (tmp_path / "live.html").is_file() and (tmp_path / "microscope.html").is_file()
    assert "microscope.html" in told and "8" in (tmp_path / "live.md").read_text()
