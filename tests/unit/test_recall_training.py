"""Training a recall model: whose lives, what a step does, how far it is, and all of it again to the bit."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from chronos import settings
from chronos.architecture.tape import backward
from chronos.cli import main
from chronos.console import ChronosError
from chronos.data.cairo.life import Life
from chronos.data.lives import Event, Question, write_lives
from chronos.memory.recall.config import RecallConfig
from chronos.memory.recall.modelfiles import load_recaller
from chronos.memory.recall.net import RecallNet
from chronos.tokenization.words import WordTokenizer
from chronos.training import checkpoint
from chronos.training.config import load_run_config, resolve
from chronos.training.lanes import Lanes
from chronos.training.optimizer import Optimizer
from chronos.training.recall import objective
from chronos.training.recall.config import RecallTraining
from chronos.training.recall.curriculum import Curriculum
from chronos.training.recall.judge import judge
from chronos.training.recall.sources import CairoLives, FolderLives
from chronos.training.recall.stepper import RECALL, LivesStepper
from chronos.training.run import Source, resume, start
from chronos.training.schedule import share

TINY = """model.width=16 model.heads=2 model.key=8 model.lower=1 model.upper=1 recall.stages=8,12
    recall.questions=8 recall.events=24 recall.vocabulary_lives=2 recall.lm_sentences=8 recall.eval_events=16
    recall.eval_lives=2 recall.eval_questions=8 train.steps=12 train.warmup=2 train.eval_every=4
    train.checkpoint_every=4 train.keep_checkpoints=9""".split()
TIMINGS = ("tokens_per_s", "seconds")
CAIRO = Source()


def tiny(*more: str):
    return resolve(preset="chronos", experiment="live", overrides=[*TINY, *more], environment={})


def begin(run: Path, *more: str, source: Source = CAIRO, hooks=()) -> dict:
    return start(tiny(*more), source, run, hooks)


def metrics(run: Path) -> list[dict]:
    rows = checkpoint.rows(run / "metrics.jsonl")
    return [{k: v for k, v in row.items() if k not in TIMINGS} for row in rows]


def outcome(run: Path) -> tuple[list[dict], bytes, dict]:
    moments = {name: a.tobytes() for name, a in checkpoint.newest(run).moments.items()}
    return metrics(run), (run / "model" / "model.safetensors").read_bytes(), moments


def back_to_the_first_checkpoint(run: Path) -> None:
    for path in checkpoint.listed(run)[:-1]:
        shutil.rmtree(path)
    shutil.rmtree(run / "model")
    (run / "result.json").unlink()


def test_a_run_leaves_what_it_promises(tmp_path):
    run = tmp_path / "run"
    result = begin(run)
    files = "config.yaml environment.json tokenizer.json metrics.jsonl checkpoints model result.json"
    assert {p.name for p in run.iterdir()} == set(files.split())
    rows = metrics(run)
    assert [row["kind"] for row in rows].count("train") == 12
    judged = [row for row in rows if row["kind"] == "eval"]
    assert [row["step"] for row in judged] == [4, 8, 12]
    assert (result["accuracy"], result["by_kind"]) == (judged[-1]["accuracy"], judged[-1]["by_kind"])
    assert sum(kind["n"] for kind in judged[-1]["by_kind"].values()) == judged[-1]["n"] == 16
    told = {"loss", "answer", "evidence", "sentences", "right", "stage", "lr", "grad_norm", "tokens"}
    assert told <= rows[1].keys()
    tokens = [row["tokens"] for row in rows if row["kind"] == "train"]
    assert min(np.diff([0, *tokens])) > 50
    assert result["tokens_per_s"] * result["seconds"] == pytest.approx(tokens[-1])
    made, newest = load_recaller(result["model_path"]), checkpoint.newest(run)
    for name, p in made.net.parameters().items():
        assert np.array_equal(p.data, newest.weights[name])
    config = load_run_config(run / "config.yaml")
    assert config.model == made.net.config
    assert config.preset == "chronos"


@pytest.mark.parametrize("lanes", [1, 2])
def test_resuming_is_exact_with_the_curriculum_where_it_was(tmp_path, lanes):
    settings.set_threads(lanes)

    def longer_lives(trainer, row):
        if row.get("step") == 3:
            trainer.stepper.curriculum.stage, trainer.stepper.curriculum.right = 1, 0.5

    whole, broken = tmp_path / "whole", tmp_path / "broken"
    begin(whole, hooks=[longer_lives])
    begin(broken, hooks=[longer_lives])
    back_to_the_first_checkpoint(broken)
    resume(broken, {})
    assert outcome(whole) == outcome(broken)
    assert [row["stage"] for row in metrics(broken) if row["kind"] == "train"] == [8] * 3 + [12] * 9
    saved = [json.loads((path / "state.json").read_text()) for path in checkpoint.listed(broken)]
    assert [state["curriculum"]["steps"] for state in saved] == [12, 8, 4]
    assert saved[0]["curriculum"]["right"] == pytest.approx(0.5 * 0.9**9)  # nothing was right since


def test_a_damaged_newest_checkpoint_costs_only_its_steps(tmp_path, capsys):
    begin(tmp_path / "whole")
    begin(tmp_path / "broken")
    path = tmp_path / "broken" / "checkpoints" / "step-00000012" / "optim.safetensors"
    path.write_bytes(path.read_bytes()[:-7])
    resume(tmp_path / "broken", {})
    assert "checkpoint step-00000012 is passed over: " in capsys.readouterr().err
    assert outcome(tmp_path / "whole") == outcome(tmp_path / "broken")


def test_what_a_resume_may_change(tmp_path, capsys):
    run = tmp_path / "run"
    begin(run, "train.steps=4", "train.eval_every=0")
    for name, value in (("recall.stages", "8"), ("model.width", "32"), ("recall.mastery", "0.5")):
        with pytest.raises(ChronosError, match=f"{name} cannot change in the middle of a run"):
            resume(run, {name: value})
    assert resume(run, {"train.steps": 6, "recall.eval_lives": "1"})["steps"] == 6
    assert metrics(run)[-1]["n"] == 8
    resume(run, {"train.steps": 2})
    assert "already at step 6 of 2: nothing to do" in capsys.readouterr().out


def test_the_seed_and_the_number_of_lanes_decide(tmp_path):
    found = {}
    for name, lanes, seed in (("a", 1, 1), ("b", 2, 1), ("c", 1, 2)):
        settings.set_threads(lanes)
        more = ("train.steps=2", "train.eval_every=0", f"train.seed={seed}")
        begin(tmp_path / name, *more)
        found[name] = outcome(tmp_path / name)[1]
    assert len(set(found.values())) == 3
    still = ("train.lr=0", "train.muon_lr=0", "train.min_lr=0", "train.steps=1", "train.seed=2")
    net = load_recaller(begin(tmp_path / "d", *still)["model_path"]).net
    assert np.array_equal(net.emb.data, RecallNet(net.config, 2).emb.data)


def test_weights_of_another_model_can_be_the_start(tmp_path):
    first = Path(begin(tmp_path / "first", "train.steps=4")["model_path"])
    still = ("train.lr=0", "train.muon_lr=0", "train.min_lr=0", "train.steps=2")
    again = begin(tmp_path / "again", *still, source=Source(model_path=first))
    weights = [(Path(path) / "model.safetensors").read_bytes() for path in (first, again["model_path"])]
    assert weights[0] == weights[1]
    shutil.rmtree(tmp_path / "again" / "checkpoints")  # killed before the first: not from random weights
    again = resume(tmp_path / "again", {})
    assert (Path(again["model_path"]) / "model.safetensors").read_bytes() == weights[0]
    with pytest.raises(ChronosError, match="the model's shape is not the configuration's"):
        begin(tmp_path / "other", "model.hops=1", source=Source(model_path=first))
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    ("source", "more", "message"),
    [
        (Source(shards=Path("x")), [], "learns from lives, got --shards; give --train FOLDER"),
        (Source(train="nowhere"), [], "nowhere: no lives here, expected a folder of lives"),
        (Source(), ["train.steps=0", "train.epochs=1"], "no end to count epochs by; give --steps"),
        (Source(), ["train.muon_lr=1e30", "train.lr=1e30", "train.warmup=0"], "the loss is nan at step"),
    ],
)
def test_what_cannot_be_trained_is_one_line(tmp_path, source, more, message):
    settings.set_threads(1)  # NumPy is told to be silent for this thread alone
    with pytest.raises(ChronosError, match=message), np.errstate(all="ignore"):
        begin(tmp_path / "run", *more, source=source)


@pytest.fixture(scope="module")
def lives():
    return CairoLives(tiny().recall, 3, lanes=2)


@pytest.fixture(scope="module")
def tokenizer(lives) -> WordTokenizer:
    return WordTokenizer.train(lives.texts())


def network(tokenizer: WordTokenizer) -> RecallNet:
    shape = {"width": 16, "heads": 2, "key": 8, "lower": 1, "upper": 1}
    return RecallNet(RecallConfig(vocabulary=tokenizer.vocab_size, **shape), 3)


def test_a_step_is_the_mean_over_lanes_of_their_own_lives(lives, tokenizer):
    config, net = tiny("train.seed=3", "train.grad_clip=0"), network(tokenizer)
    packer, losses, tokens = lives.packer(tokenizer, 2), [], 0
    for lane in range(2):
        batch = packer.pack(lives.lives(0, lane, 8, {}), (3, 0, lane))
        rng = np.random.default_rng((3, 0, lane))
        value, _ = objective.loss(net, batch, config.recall, rng=rng)
        backward(value)  # adds to what the other lane found
        losses.append(float(value.data))
        tokens += batch.tokens
    total = sum(float((p.grad**2).sum()) for p in net.parameters().values() if p.grad is not None)
    with Lanes(2) as lanes:
        row = LivesStepper(network(tokenizer), config, lives, tokenizer, lanes)()
    assert row["loss"] == pytest.approx(np.mean(losses), rel=1e-6)
    assert row["grad_norm"] == pytest.approx(total**0.5 / 2, rel=1e-5)
    assert (row["read"], row["stage"]) == (tokens, 8)


def test_muon_takes_the_matrices_within_and_only_these_decay(tokenizer):
    optimizer = Optimizer(network(tokenizer).parameters(), tiny().train, RECALL)
    muon = {name for name in optimizer.parameters if optimizer.is_muon(name)}
    parts = ("q", "kv", "o", "up", "down")
    layers = [f"{layer}.0.{part}" for layer in ("lower", "mix", "upper") for part in parts]
    assert muon == {f"{name}.weight" for name in [*layers, "key", "name", "hop.0.query", "hop.1.query"]}
    for name, p in optimizer.parameters.items():
        before = p.data.copy() + 1
        p.data[...] = before
        optimizer.update(name, np.zeros_like(p.data), 1, 1.0, 1.0)
        assert np.allclose(p.data, before * (1 - 2e-3 * 0.1 if name in muon else 1), rtol=1e-6), name


def test_the_rate_is_constant_and_then_falls_to_three_hundredths():
    c = resolve(preset="chronos", experiment="live", environment={}).train
    assert (c.optimizer, c.muon_lr, c.lr) == ("muon", 0.02, 2e-3)
    assert (c.beta2, c.weight_decay, c.grad_clip) == (0.98, 0.1, 1.0)
    falls = round(c.steps * c.decay_share)
    steps = (0, 29, 30, c.steps - falls, c.steps - falls / 2, c.steps)
    assert [share(step, c) for step in steps] == pytest.approx([1 / 31, 30 / 31, 1, 1, 0.515, 0.03])


def test_the_next_stage_comes_with_mastery_and_not_before():
    curriculum = Curriculum(RecallTraining(stages=(16, 32), least_steps=20, mastery=0.8))
    steps = [curriculum.learned(1.0, {}) for _ in range(21)]
    assert steps == [False] * 20 + [True]  # the share is above .8 after 16 steps already
    assert (curriculum.events, curriculum.steps, curriculum.right) == (32, 0, 0.0)
    assert not any(curriculum.learned(1.0, {}) for _ in range(50))  # there is no further one
    slow = Curriculum(RecallTraining(stages=(16, 32), least_steps=0, mastery=0.8))
    assert not any(slow.learned(0.79, {}) for _ in range(200))
    assert [slow.learned(1.0, {}) for _ in range(2)] == [True, False]


def test_the_last_stage_has_half_of_the_run_mastered_or_not():
    curriculum = Curriculum(RecallTraining(stages=(16, 32, 64)))
    when = [step for step in range(1, 101) if curriculum.learned(0.0, {}, step / 100)]
    assert when == [25, 50] and curriculum.events == 64


def test_what_is_not_mastered_is_asked_more_often():
    curriculum = Curriculum(RecallTraining(practice=0.25))
    for _ in range(100):
        curriculum.learned(0.5, {"now": 1.0, "join": 0.0})
    assert curriculum.practice == pytest.approx({"now": 0.25, "join": 1.25}, abs=1e-4)
    again = Curriculum(curriculum.config)
    again.restore(json.loads(json.dumps(curriculum.state())))
    assert (again.practice, again.state()) == (curriculum.practice, curriculum.state())


def test_time_is_stretched_more_from_stage_to_stage():
    curriculum = Curriculum(RecallTraining(repeat=64))
    longest = []
    for stage in range(4):
        curriculum.stage = stage
        drawn = [curriculum.repeat(7, step) for step in range(300)]
        assert min(drawn) >= 1
        longest.append(max(drawn))
    assert longest[0] == 1
    assert longest == pytest.approx([1, 64 ** (1 / 3), 64 ** (2 / 3), 64], rel=0.05)
    assert Curriculum(RecallTraining(stages=(16,))).repeat(7, 1) > 1
    assert curriculum.repeat(7, 1) != curriculum.repeat(8, 1)


def test_lives_in_cairo_are_drawn_by_seed_step_and_lane(lives):
    told = lives.lives(5, 1, 8, {})
    assert told == lives.lives(5, 1, 8, {})
    another = CairoLives(lives.config, 4, 2)
    others = [lives.lives(6, 1, 8, {}), lives.lives(5, 0, 8, {}), another.lives(5, 1, 8, {})]
    assert all(told != other for other in others)
    assert [len(events) for events, _ in told] == [8]  # 24 events a step, for two lanes
    assert [len(asked) for _, asked in told] == [4]
    unseen = list(lives.unseen())
    assert [len(events) for [(events, _)] in unseen] == [16, 16]
    assert unseen == list(CairoLives(lives.config, 99, 1).unseen())  # the same for every run
    assert unseen[1][0][0] == list(Life(16, 1, split="val").events())


COLOURS = "red green blue white black brown pink grey".split()
THINGS = "key lamp ring book bowl coat".split()


@pytest.fixture
def folder(tmp_path) -> Path:
    """Stories of two or three sentences about colours; who asks "what colour" wants the last one told."""
    rng, events, asked = np.random.default_rng(1), [], []
    for life in range(300):
        things = rng.permutation(THINGS)[: 2 + life % 2]
        told = [(str(thing), str(rng.choice(COLOURS))) for thing in things]
        for t, (thing, colour) in enumerate(told, 1):
            events.append(Event(t, f"The {thing} is {colour}.", life=life))
        at = int(rng.integers(len(told)))
        question = f"What colour is the {told[at][0]}?"
        asked.append(Question(question, told[at][1], "colour", len(told), evidence=(at + 1,), life=life))
    write_lives(tmp_path / "colours", events, asked, {})
    return tmp_path / "colours"


def test_a_folder_keeps_some_lives_apart(folder):
    lives = FolderLives(folder, tiny().recall, 0, 1, 0.1)
    apart = {(told[0].life) for told, _ in lives.apart}
    assert apart == set(range(9, 300, 10))
    drawn = {events[0].life for step in range(200) for events, _ in lives.lives(step, 0, 8, {})}
    assert len(drawn) > 250
    assert not drawn & apart
    assert sum(len(group) for group in lives.unseen()) == 15  # every second of 30: at most 16 are judged
    with pytest.raises(ChronosError, match="too few lives to learn from some and judge by others"):
        FolderLives(folder, tiny().recall, 0, 1, 0.0)


def test_a_model_learns_from_a_folder_and_knows_it_again(folder, tmp_path):
    """Who says any colour is right once in eight."""
    more = """model.width=32 model.key=16 recall.questions=32 recall.nonces=0 recall.template_nonces=0
        recall.repeat=1 recall.eval_lives=8 train.steps=120 train.eval_every=0""".split()
    run = tmp_path / "run"
    result = begin(run, *more, source=Source(train=str(folder)))
    rows = [row for row in metrics(run) if row["kind"] == "train"]
    assert rows[-1]["loss"] < 0.3 * rows[0]["loss"]
    assert np.mean([row["right"] for row in rows[-10:]]) > 0.4
    assert result["accuracy"] > 0.3, result
    assert result["by_kind"]["colour"]["n"] == 30
    (folder / "life.jsonl").write_text((folder / "life.jsonl").read_text().replace("red", "rot"))
    with pytest.raises(ChronosError, match="the lives are not those that the run began with; put them back"):
        resume(run, {"train.steps": 121})


def test_judging_counts_the_same_on_any_number_of_lanes(lives, tokenizer, monkeypatch):
    looked, look = [], objective.LivesMemory.look
    spy = lambda memory, *more: looked.append(memory) or look(memory, *more)  # noqa: E731
    monkeypatch.setattr(objective.LivesMemory, "look", spy)
    net, packer = network(tokenizer), lives.packer(tokenizer, 2)
    net.gate.bias.data[...] = 100  # says one word, whatever is asked
    net.emb.data[...] = 0
    batches = [packer.pack(told) for told in lives.unseen()]
    counted = []
    for count in (1, 2):
        with Lanes(count) as lanes:
            counted.append(judge(net, batches, 16, lanes))
    assert counted[0] == counted[1]
    kinds = [kind for batch in batches for kind in batch.kinds]
    assert {kind: of["n"] for kind, of in counted[0]["by_kind"].items()} == {k: kinds.count(k) for k in kinds}
    assert counted[0]["accuracy"] == 0
    assert [memory.hard for memory in looked] == [True] * 8  # two lives, two hops, twice
    assert all(memory.written is None for memory in looked)
    net.config = dataclasses.replace(net.config, gate=True)
    with Lanes(1) as lanes:
        judge(net, batches, 16, lanes)
    assert all(memory.written.shape == (1, 16) for memory in looked[8:])


@pytest.mark.parametrize(
    ("preset", "override", "message"),
    [
        ("gpt", "recall.mastery=0.5", "recall.* belongs to preset chronos, got preset gpt; add --preset"),
        ("chronos", "recall.mastry=0.5", "unknown setting 'recall.mastry'; did you mean 'mastery'"),
        ("chronos", "model.layers=3", "unknown setting 'model.layers'"),
        ("chronos", "recall.stages=32,16", "recall.stages must rise from 8 or more, got [32, 16]"),
    ],
)
def test_settings_of_the_other_kind_are_refused(preset, override, message):
    with pytest.raises(ChronosError) as error:
        resolve(preset=preset, overrides=[override], environment={})
    assert message in str(error.value)


def test_the_command(tmp_path, capsys):
    words = ["train", "--json", "--preset", "chronos", "--out-dir", str(tmp_path / "run")]
    words += ["--quantize-on-complete", "--qtype", "Q8_0", "--batch-size", "4"]
    assert main([*words, *TINY, "model.width=32", "train.steps=2"]) == 0
    out, told = capsys.readouterr()
    result = json.loads(out)
    names = "steps accuracy by_kind tokens_per_s seconds peak_rss_bytes model_path checkpoint quantized_path"
    assert set(result) == set(names.split())
    assert "warning: --batch-size has no effect" in told
    assert "right about unseen lives" in told
    assert "chronos query --model-path" in told
    quantized = load_recaller(result["quantized_path"]).net
    assert type(quantized.key.weight).__name__ == "PackedTensor"
    assert main(["config", "--json", "--preset", "chronos", "recall.labels=answers"]) == 0
    shown = json.loads(capsys.readouterr().out)
    live = resolve(experiment="live", environment={}).train.steps
    told = (shown["model"]["preset"], shown["recall"]["labels"], shown["train"]["steps"])
    assert told == ("chronos", "answers", live)
