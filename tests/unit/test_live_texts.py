"""Language models without a store beside one that remembers: asked the same, recorded, reported, or refused.

The models were never trained: what they answer is worthless, but what they read, and who says it, is not.
"""

import json
import time
from dataclasses import replace

import numpy as np
import pytest

from chronos import native
from chronos.architecture.tape import no_grad
from chronos.cli import main
from chronos.console import ChronosError
from chronos.data.cairo.life import Life
from chronos.evaluation.find_model import shipped_model_path
from chronos.evaluation.live import baselines as baselines_module
from chronos.evaluation.live import report as report_module
from chronos.evaluation.live.baselines import TextReader, bytes_in_use, carried
from chronos.evaluation.live.evaluate import Suite, evaluate
from chronos.evaluation.live.interview import Interview, weights_of
from chronos.evaluation.live.records import read
from chronos.evaluation.live.report import write_live_report
from chronos.evaluation.live.texts import TextInterview, text_interviews
from chronos.evaluation.live.told import Lives, Told
from chronos.memory.config import ModelConfig
from chronos.memory.model import Model
from chronos.memory.modeldir import load_model, parameter_count, save_model
from chronos.memory.recall import load_recaller, save_recaller
from chronos.memory.recall.config import RecallConfig
from chronos.memory.recall.net import RecallNet
from chronos.tokenization.tokenizer import CharTokenizer
from chronos.tokenization.words import WordTokenizer
from chronos.training.config import resolve

LIVES = Lives(events=40, lives=2, questions=8, seed=40)
SHORT = ("on", "majority")
SHAPES = {
    "gpt": {"pattern": "attention", "positions": "rotary"},
    "then": {"pattern": "kda kda kda dsa", "positions": "none"},
}
FIGURES = {"parameters", "tokens", "window_events", "state_bytes", "read_s", "weights"}


def text_model(folder, preset: str, **shape):
    """A model directory of a preset; letters are its tokens."""
    tokenizer = CharTokenizer("".join(map(chr, range(32, 127))) + "\n")
    given = {
        "layers": 4,
        "heads": 2,
        "width": 16,
        "context": 256,
        "preset": preset,
        **SHAPES[preset],
        **shape,
    }
    model = Model(ModelConfig(vocabulary=tokenizer.vocab_size, **given), seed=0)
    for name, p in model.parameters().items():
        if name.endswith("weight"):
            p.data *= 6  # so that answers depend on what was read
    save_model(folder, model, tokenizer)
    return folder


@pytest.fixture(scope="session")
def models(tmp_path_factory) -> dict:
    """Name → model directory: gpt, then, and one that remembers."""
    place = tmp_path_factory.mktemp("texts")
    tokenizer = WordTokenizer.train(event.text for event in Life(200, 9).events())
    net = RecallNet(RecallConfig(vocabulary=tokenizer.vocab_size, width=32, key=16), 1)
    save_recaller(place / "chronos", net, tokenizer)
    found = {preset: text_model(place / preset, preset) for preset in SHAPES}
    return {**found, "chronos": place / "chronos"}


@pytest.fixture(scope="session")
def records(models, tmp_path_factory):
    """The records of both baselines beside two seeds of training."""
    place = tmp_path_factory.mktemp("records")
    tokenizer = WordTokenizer.train(event.text for event in Life(200, 9).events())
    config = RecallConfig(vocabulary=tokenizer.vocab_size, width=32, key=16)
    save_recaller(place / "second", RecallNet(config, 2), tokenizer)
    baselines = (models["then"], models["gpt"])
    suite = Suite((models["chronos"], place / "second"), LIVES, SHORT, baselines)
    return read(evaluate(suite, place / "out"))


def test_each_answers_every_life_once_what_its_reader_says(models, records):
    found = list(records.answers())
    assert {row.seed for row in found if row.condition == "on"} == {1, 2}
    for preset in SHAPES:
        rows = [row for row in found if row.condition == preset]
        assert len(rows) == 16 and {row.seed for row in rows} == {1}
        assert all(row.as_of is None and row.reads == () and row.ms > 0 for row in rows)
        assert len({row.given for row in rows}) > 1  # else nothing is compared
        for i in range(2):
            told = Told(LIVES.life(i), LIVES.questions)
            given = TextReader(load_model(models[preset])).answers(list(told.events()), told.questions)
            assert [row.given for row in rows if row.life == 40 + i] == given


def test_records_say_what_each_is_and_holds(models, records):
    baselines = records.about["baselines"]
    assert list(baselines) == ["gpt", "then"]
    for preset, told in baselines.items():
        loaded, windows = load_model(models[preset]), []
        assert set(told) == FIGURES and told["parameters"] == parameter_count(loaded.model)
        reader = TextReader(loaded)
        for i in range(2):
            asked = Told(LIVES.life(i), LIVES.questions)
            reader.answers(list(asked.events()), asked.questions)
            windows.append(reader.figures())
        for name in ("tokens", "window_events", "state_bytes"):
            assert told[name] == sum(one[name] for one in windows) / 2
    assert baselines["gpt"]["tokens"] < baselines["then"]["tokens"]
    assert records.about["state_bytes"] > 0 and records.about["weights_unchanged"]


def test_the_report_sets_them_beside_the_model(records, tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(report_module.pictures, "draw", lambda report: drawn.append(report) or {})
    report = write_live_report(records.folder, tmp_path)
    assert list(report["conditions"]) == ["on", "majority", "gpt", "then"]
    assert {row["condition"] for row in drawn[0]["by_kind"]} == set(report["conditions"])
    told = (tmp_path / "live.md").read_text()
    size = told.split("## At what size")[1].split("## ")[0]
    about = records.about
    for name, held in (("on", {**about, **about["model"]}), *about["baselines"].items()):
        assert f"| {name} | {held['parameters']:,} | {held['state_bytes']:,.0f} |" in size
    assert "A gpt without a store" in report["headline"]
    assert "baselines: then: state\\_bytes |" in told


def test_milliseconds_are_of_answering_alone(models, monkeypatch):
    plain = TextReader.listen

    def slow(self, events, room):
        time.sleep(0.3)
        heard = plain(self, events, room)
        return replace(heard, seconds=heard.seconds + 0.3)

    monkeypatch.setattr(TextReader, "listen", slow)
    interview, begun = TextInterview(models["gpt"], LIVES), time.perf_counter()
    rows = interview.answers(0)
    all_ms = 1000 * (time.perf_counter() - begun)
    assert 0 < sum(row["ms"] for row in rows) < all_ms - 300


def test_what_was_asked_before_is_measured_too(models):
    figures = TextInterview(models["then"], LIVES).figures()
    assert set(figures) == FIGURES and figures["tokens"] > 0


def test_a_changed_weight_is_noticed(models):
    interview = TextInterview(models["gpt"], LIVES)
    interview.close()
    next(iter(interview.reader.model.parameters().values())).data.flat[0] += 1e-3
    with pytest.raises(ChronosError, match="the weights changed"):
        interview.close()


def test_dates_are_told_as_they_were_trained(models, monkeypatch):
    told, plain = set(), baselines_module.timed

    def watched(events, language):
        told.add(language)
        return plain(events, "en")

    monkeypatch.setattr(baselines_module, "timed", watched)
    events = list(LIVES.life(0).events())
    for of_lives, of_dates in (("en", "en"), ("ar", "ar"), ("mixed", "en")):
        told.clear()
        TextInterview(models["then"], replace(LIVES, language=of_lives)).reader.listen(events, 200)
        assert told == {of_dates}


@pytest.mark.parametrize("what", ["twice", "both ways", "remembers", "nothing"])
def test_what_cannot_be_a_baseline_is_one_line(models, tmp_path, what, capsys):
    if what == "both ways":
        text_model(tmp_path / "model", "gpt", causal=False)
    given, line = {
        "twice": ([models["gpt"]] * 2, "two baselines of preset gpt; give one of each"),
        "both ways": ([tmp_path / "model"], "a bidirectional model does not answer"),
        "remembers": ([models["chronos"]], "this model remembers events and writes no texts"),
        "nothing": ([tmp_path], "no model here"),
    }[what]
    words = [word for path in given for word in ("--baseline-path", str(path))]
    command = ["eval", "--suite", "cairo", "--model-path", str(models["chronos"]), *words]
    assert main([*command, "--events", "40", "--out-dir", str(tmp_path / "out")]) == 1
    told = capsys.readouterr().err
    assert line in told and told.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_the_command_takes_them(models, tmp_path, capsys):
    words = ["--events", "40", "--lives", "1", "--questions", "8", "--conditions", "on"]
    command = ["eval", "--suite", "cairo", "--model-path", str(models["chronos"]), *words]
    baselines = [word for preset in SHAPES for word in ("--baseline-path", str(models[preset]))]
    assert main([*command, *baselines, "--out-dir", str(tmp_path), "--json"]) == 0
    assert set(json.loads(capsys.readouterr().out)["baselines"]) == set(SHAPES)
    lone = ["eval", "--data", "x.txt", "--model-path", str(models["gpt"]), "--baseline-path", "x"]
    assert main(lone) == 1
    assert "--baseline-path has no effect" in capsys.readouterr().err


def test_they_are_named_in_one_order(models):
    assert list(text_interviews((models["then"], models["gpt"]), LIVES)) == ["gpt", "then"]


def test_quantized_weights_are_counted_and_watched(tmp_path):
    shipped = shipped_model_path()
    shape = Interview(1, shipped, LIVES, tmp_path).shape
    net = load_recaller(shipped).net
    packed = [weight for _, weight in net.named() if isinstance(weight, native.QuantTensor)]
    assert shape["parameters"] > sum(np.prod(weight.shape) for weight in packed) > 1_000_000
    before = weights_of(net)
    object.__setattr__(packed[0], "panels", packed[0].panels ^ 1)
    assert weights_of(net) != before


def test_the_baselines_have_the_size_of_the_model_that_remembers():
    """Parameters within 1%; bytes of a full window within a tenth of a store of 10,000 events."""
    net = load_recaller(shipped_model_path()).net
    for preset in SHAPES:
        run = resolve(experiment=f"{preset}-lives", environment={})
        model = Model(replace(run.model, vocabulary=run.tokenizer.vocab), seed=0)
        assert model.config.preset == preset
        assert parameter_count(model) == pytest.approx(parameter_count(net), rel=0.01)
        with no_grad():
            state = model(np.zeros((1, run.model.context), np.int64)).state
        assert bytes_in_use(state, carried(model)) == pytest.approx(1_250_000, rel=0.1)
