"""Runs from Python: start, resume to the last bit, refuse, and leave no mess."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from chronos import settings
from chronos.console import ChronosError
from chronos.memory.modeldir import load_model
from chronos.training import checkpoint
from chronos.training.config import load_run_config, resolve
from chronos.training.loop import Interrupted, Trainer
from chronos.training.run import Source, model_path_of, resume, start

TINY = """tokenizer.kind=char model.layers=1 model.heads=2 model.width=16 model.context=8 train.batch_size=4
    train.steps=12 train.warmup=2 train.eval_every=4 train.checkpoint_every=4 train.sample_tokens=4
    train.dropout=0.1 train.keep_checkpoints=9 train.optimizer=adamw train.lr=1e-3""".split()
TIMINGS = ("tokens_per_s", "seconds")


@pytest.fixture
def text(tmp_path) -> str:
    path = tmp_path / "text.txt"
    path.write_text("the cat sat on the mat. a dog ran to the cat and sat. " * 20)
    return str(path)


def begin(text: str, run: Path, *more: str) -> dict:
    return start(resolve(overrides=[*TINY, *more], environment={}), Source(text), run)


def metrics(run: Path) -> list[dict]:
    rows = checkpoint.rows(run / "metrics.jsonl")
    return [{k: v for k, v in row.items() if k not in TIMINGS} for row in rows]


def same_model(a: Path, b: Path) -> bool:
    return (a / "model" / "model.safetensors").read_bytes() == (
        b / "model" / "model.safetensors"
    ).read_bytes()


def test_a_run_leaves_what_it_promises(text, tmp_path):
    run = tmp_path / "run"
    result = begin(text, run)
    assert result["steps"] == 12
    files = "config.yaml environment.json text tokens metrics.jsonl checkpoints model result.json"
    assert {p.name for p in run.iterdir()} == set(files.split())
    kinds = [row["kind"] for row in metrics(run)]
    assert kinds.count("train") == 12
    assert kinds.count("eval") == kinds.count("sample") == 3
    assert result["val_nats"] == [row for row in metrics(run) if row["kind"] == "eval"][-1]["val_nats"]
    loaded = load_model(Path(result["model_path"]))
    newest = checkpoint.newest(run)
    for name, p in loaded.model.parameters().items():
        assert np.array_equal(p.data, newest.weights[name])
    assert load_run_config(run / "config.yaml").model.vocabulary == loaded.tokenizer.vocab_size


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
@pytest.mark.parametrize("lanes", [1, 2])
def test_resuming_is_exact(text, tmp_path, optimizer, lanes):
    settings.set_threads(lanes)
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    more = (f"train.optimizer={optimizer}", "train.accumulation_steps=2")
    begin(text, whole, *more)
    begin(text, broken, *more)
    for path in checkpoint.listed(broken)[:-1]:  # back to step 4, as if killed before step 8
        shutil.rmtree(path)
    shutil.rmtree(broken / "model")
    (broken / "result.json").unlink()
    resume(broken, {})
    assert metrics(whole) == metrics(broken)
    assert same_model(whole, broken)
    a, b = checkpoint.newest(whole), checkpoint.newest(broken)
    assert all(np.array_equal(a.moments[name], b.moments[name]) for name in a.moments)


def test_an_interrupted_run_saves_and_resumes_exactly(text, tmp_path):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    begin(text, whole, "train.checkpoint_every=0")

    def stop_at_seven(trainer: Trainer, row: dict) -> None:
        trainer.stop_wanted = row.get("step") == 7

    config = resolve(overrides=[*TINY, "train.checkpoint_every=0"], environment={})
    with pytest.raises(Interrupted, match=r"stopped at step 7 of 12, state saved; continue with: .*--resume"):
        start(config, Source(text), broken, hooks=[stop_at_seven])
    resume(broken, {})
    assert metrics(whole) == metrics(broken)
    assert same_model(whole, broken)


def test_a_damaged_newest_checkpoint_costs_only_its_steps(text, tmp_path, capsys):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    begin(text, whole)
    begin(text, broken)
    path = broken / "checkpoints" / "step-00000012" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-7])
    resume(broken, {})
    assert "checkpoint step-00000012 is passed over: " in capsys.readouterr().err
    assert same_model(whole, broken)
    assert metrics(whole) == metrics(broken)


def test_a_finished_run_is_left_alone(text, tmp_path, capsys):
    run = tmp_path / "run"
    result = begin(text, run)
    before = {p: p.stat().st_mtime_ns for p in run.rglob("*")}
    assert resume(run, {}) == json.loads((run / "result.json").read_text()) == result
    assert "nothing to do" in capsys.readouterr().out
    assert before == {p: p.stat().st_mtime_ns for p in run.rglob("*")}


def test_more_steps_may_be_added_also_after_a_move(text, tmp_path):
    begin(text, tmp_path / "elsewhere")
    run = (tmp_path / "elsewhere").rename(tmp_path / "run")
    assert resume(run, {"train.steps": 14})["steps"] == 14


def test_what_a_resume_may_not_change(text, tmp_path, capsys):
    run = tmp_path / "run"
    begin(text, run)
    with pytest.raises(
        ChronosError, match=r"model\.width cannot change .*expected 16, got 32; start a new run"
    ):
        resume(run, {"model.width": "32"})
    resume(run, {"train.lr": "5e-4", "train.steps": 13})
    assert "train.lr is ignored on resume; add --override-scheduling" in capsys.readouterr().err
    assert load_run_config(run / "config.yaml").train.lr == 1e-3
    resume(run, {"train.lr": "5e-4", "train.steps": 14}, reschedule=True)
    assert load_run_config(run / "config.yaml").train.lr == 5e-4


def test_a_second_start_is_refused(text, tmp_path):
    run = tmp_path / "run"
    begin(text, run)
    before = (run / "metrics.jsonl").read_bytes()
    with pytest.raises(ChronosError, match="a run is already here; add --resume"):
        begin(text, run)
    assert (run / "metrics.jsonl").read_bytes() == before


@pytest.mark.parametrize(
    ("content", "overrides", "message"),
    [
        ("", [], "empty|no text"),
        ("short", ["model.context=64"], "short"),
        ("abc " * 300, ["model.context=2000"], "shorter than the context"),
        ("abc " * 300, ["model.causal=false"], "needs model.causal=true"),
    ],
)
def test_a_refused_start_leaves_nothing(tmp_path, content, overrides, message):
    text = tmp_path / "t.txt"
    text.write_text(content)
    with pytest.raises(ChronosError, match=message):
        begin(str(text), tmp_path / "run", *overrides)
    assert not (tmp_path / "run").exists()


def test_a_missing_text_is_named(tmp_path):
    with pytest.raises(ChronosError, match=r"nowhere\.txt"):
        begin(str(tmp_path / "nowhere.txt"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_loss_that_is_not_finite_stops_the_run(text, tmp_path):
    with pytest.raises(ChronosError, match=r"the loss is \S+ at step \d+; resume"):
        begin(
            text, tmp_path / "run", "train.lr=1e30", "train.warmup=0", "train.grad_clip=0", "train.min_lr=0"
        )


def test_weights_of_another_model_can_be_the_start(text, tmp_path):
    first = begin(text, tmp_path / "first")
    tokenizer = f"tokenizer.path={Path(first['model_path']) / 'tokenizer.json'}"
    config = resolve(
        overrides=[*TINY, "tokenizer.kind=file", tokenizer, "train.lr=0", "train.min_lr=0"], environment={}
    )
    again = start(config, Source(text, model_path=Path(first["model_path"])), tmp_path / "again")
    assert again["val_nats"] == pytest.approx(first["val_nats"], rel=1e-6)
    wider = resolve(overrides=[*TINY, "tokenizer.kind=file", tokenizer, "model.width=32"], environment={})
    with pytest.raises(ChronosError, match="shape is not the configuration's"):
        start(wider, Source(text, model_path=Path(first["model_path"])), tmp_path / "wider")


def test_a_run_from_given_weights_restarts_from_them(text, tmp_path):
    """Killed before its first checkpoint, it must not go on from random weights."""
    first = Path(begin(text, tmp_path / "first")["model_path"])
    more = [*TINY, "tokenizer.kind=file", f"tokenizer.path={first / 'tokenizer.json'}"]
    config = resolve(overrides=more, environment={})
    start(config, Source(text, model_path=first), tmp_path / "whole")
    start(config, Source(text, model_path=first), tmp_path / "broken")
    shutil.rmtree(tmp_path / "broken" / "checkpoints")
    resume(tmp_path / "broken", {})
    assert metrics(tmp_path / "whole") == metrics(tmp_path / "broken")
    assert same_model(tmp_path / "whole", tmp_path / "broken")


def test_the_default_run_publishes_where_commands_look():
    assert model_path_of(settings.artifacts() / "05-training") == settings.artifacts() / "model"
    assert model_path_of(Path("elsewhere")) == Path("elsewhere/model")
