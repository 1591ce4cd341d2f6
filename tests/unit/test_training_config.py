"""Layers of configuration: who wins, what is coerced, and what is refused with a remedy."""

import pytest
import yaml

from chronos.console import ChronosError
from chronos.settings import dump
from chronos.training.config import CONFIGS, config_text, load_run_config, resolve


def test_later_layers_win(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    experiment = tmp_path / "mine.yaml"
    experiment.write_text("layers: {training: nanogpt}\ntrain: {lr: 2e-4, warmup: 7}\n")
    base = resolve(environment={})
    layered = resolve(experiment=str(experiment), environment={})
    assert base.train.optimizer == "muon"  # the layer that base.yaml names
    assert (layered.train.optimizer, layered.train.beta2) == ("adamw", 0.99)  # from the training layer
    assert (layered.train.lr, layered.train.warmup) == (2e-4, 7)  # the experiment's, over the layer's
    (tmp_path / ".env").write_text("# mine\nexport CHRONOS__TRAIN__WARMUP=8\nCHRONOS__TRAIN__SEED='11'\n")
    found = resolve(experiment=str(experiment), environment={"CHRONOS__TRAIN__WARMUP": "9"})
    assert (found.train.warmup, found.train.seed) == (9, 11)  # the environment over .env
    flags = {"train.warmup": 10, "train.lr": 0.5}
    found = resolve(experiment=str(experiment), environment={}, flags=flags, overrides=["train.warmup=12"])
    assert (found.train.warmup, found.train.lr) == (12, 0.5)


def test_yaml_scalars_are_coerced_by_the_field(tmp_path):
    file = tmp_path / "x.yaml"
    # PyYAML reads 1e-4 as text and `on` as a boolean
    file.write_text("train: {lr: 1e-4, steps: 1e3}\nmodel: {bias: on, tied: 'off', norm: layernorm}\n")
    c = resolve(experiment=str(file), environment={})
    assert c.train.lr == 1e-4
    assert c.train.steps == 1000
    assert type(c.train.steps) is int
    assert (c.model.bias, c.model.tied) == (True, False)


def test_every_committed_configuration_resolves():
    for path in CONFIGS.glob("experiment/*.yaml"):
        assert resolve(experiment=path.stem, environment={}).train.steps > 0, path
    for path in CONFIGS.glob("model/*.yaml"):
        assert resolve(preset=path.stem, environment={}).preset == path.stem


def test_what_is_saved_reads_back_the_same(tmp_path):
    config = resolve(experiment="default", overrides=["train.lr=1e-5"], environment={})
    path = tmp_path / "config.yaml"
    path.write_text(config_text(config))
    assert load_run_config(path) == config
    assert yaml.safe_load(path.read_text()) == yaml.safe_load(yaml.safe_dump(dump(config)))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["model.widht=3"], "unknown setting 'model.widht'; did you mean 'width'"),
        (["modle.width=3"], "unknown setting 'modle'; did you mean 'model'"),
        (["model.width=-4"], "model.width must be at least 1, got -4"),
        (["model.width=wide"], "'model.width' needs int, got 'wide'"),
        (["model.width=1e999"], "'model.width' needs int"),
        (["model.heads=3"], "does not divide by model.heads 3; choose heads that divide 128"),
        (["model.kv_heads=3"], "does not divide by kv_heads 3"),
        (["model.heads=128"], "even width per head, got 1"),
        (["model.norm=batchnorm"], "unknown model.norm, expected rmsnorm or layernorm"),
        (["model.preset=gtp"], "unknown preset 'gtp'"),
        (["train.lr=nan"], "train.lr must be at least 0, got nan"),
        (["train.steps=0"], "train.steps or train.epochs must be above 0"),
        (["train.steps=2.5"], "'train.steps' needs int"),
        (["train.batch_size=0"], "train.batch_size must be at least 1, got 0"),
        (["train.dropout=1"], "train.dropout must be at least 0 and below 1"),
        (["train.optimizer=lion"], "unknown train.optimizer, expected adamw or muon, got lion"),
        (["tokenizer.kind=words"], "unknown tokenizer.kind"),
        (["tokenizer.kind=file"], "needs tokenizer.path"),
        (["train.lr"], "cannot read 'train.lr', expected key.sub=value"),
        (["lr=3"], "cannot read 'lr=3'"),
        (["train.lr.x=3"], "setting 'train.lr.x' does not exist"),
        (["sample.top_p=0"], "top-p must be above 0"),
    ],
)
def test_absurd_settings_are_refused_in_one_line(overrides, message):
    with pytest.raises(ChronosError) as error:
        resolve(overrides=overrides, environment={})
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("train: [", r"x\.yaml:\d+: damaged YAML"),
        ("- 1\n", "a configuration is a mapping"),
        ("train: 3\n", "must be a mapping"),
    ],
)
def test_damaged_files_are_named(tmp_path, text, message):
    (tmp_path / "x.yaml").write_text(text)
    with pytest.raises(ChronosError, match=message):
        resolve(experiment=str(tmp_path / "x.yaml"), environment={})


def test_unknown_names_come_with_a_suggestion(tmp_path):
    with pytest.raises(ChronosError, match="unknown experiment 'shakespear'; did you mean 'shakespeare'"):
        resolve(experiment="shakespear", environment={})
    with pytest.raises(ChronosError, match="cannot read configuration"):
        resolve(experiment=str(tmp_path / "none.yaml"), environment={})
