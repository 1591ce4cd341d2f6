"""Training configuration: frozen dataclasses, read in layers, saved with the run.

Layers: base → platform → model → training → experiment → .env and environment → command line. What a layer
does not say, an earlier one decides; unknown keys are errors with a suggestion.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from chronos.console import ChronosError, UsageError
from chronos.data.corpus.config import Options
from chronos.memory.config import ModelConfig
from chronos.memory.recall.config import RecallConfig
from chronos.memory.recall.modelfiles import PRESET
from chronos.memory.sampling import Sampling
from chronos.settings import build, did_you_mean, dump
from chronos.tokenization.pretokenize import PATTERNS
from chronos.training.recall.config import RecallTraining

CONFIGS = Path(__file__).parent / "configs"
SCHEDULES = ("cosine", "wsd", "constant")
OPTIMIZERS = ("adamw", "muon")
ENVIRONMENT = "CHRONOS__"  # CHRONOS__TRAIN__LR=1e-3 sets train.lr


@dataclass(frozen=True)
class DataConfig:
    """Where text comes from (a file, a folder, `stories`), how it is split, and what is done to it before."""

    source: str = "stories"
    val_fraction: float = 0.1
    on_damage: str = "fail"
    options: Options = field(default_factory=Options)


@dataclass(frozen=True)
class TokenizerConfig:
    """kind char, bpe, bytes or file (then `path`); `vocab` and `pattern` (how words are cut) are BPE's."""

    kind: str = "bpe"
    vocab: int = 1024
    pattern: str = "gpt2"
    path: str = ""

    def __post_init__(self) -> None:
        if self.kind not in ("char", "bpe", "bytes", "file"):
            raise ChronosError("unknown tokenizer.kind", expected="char, bpe, bytes or file", got=self.kind)
        if self.kind == "file" and not self.path:
            raise ChronosError("tokenizer.kind=file needs tokenizer.path")
        if self.vocab < 1:
            raise ChronosError("tokenizer.vocab must be at least 1", got=self.vocab)
        if self.pattern not in PATTERNS:
            raise ChronosError(
                "unknown tokenizer.pattern", expected=", ".join(PATTERNS), got=repr(self.pattern)
            )


@dataclass(frozen=True)
class TrainConfig:
    """Everything that decides the numbers of a run; sizes in rows and steps, `lr` at the peak.

    `steps` 0 means as many as `epochs` take. Evaluation, samples and checkpoints every 0 steps means only
    at the end. `amp` rounds what enters matrix products to bf16.
    """

    steps: int = 1000
    epochs: float = 0.0
    batch_size: int = 16
    accumulation_steps: int = 1
    optimizer: str = "adamw"
    lr: float = 1e-3
    min_lr: float = 1e-4
    muon_lr: float = 0.02
    schedule: str = "cosine"
    warmup: int = 100
    decay_share: float = 0.4
    beta1: float = 0.9
    beta2: float = 0.95
    weight_decay: float = 0.1
    grad_clip: float = 1.0
    dropout: float = 0.0
    amp: bool = False
    eval_every: int = 250
    eval_tokens: int = 0  # 0: the whole validation set
    checkpoint_every: int = 250
    keep_checkpoints: int = 2
    sample_tokens: int = 120
    seed: int = 1337

    def __post_init__(self) -> None:
        at_least = {"batch_size": 1, "accumulation_steps": 1, "keep_checkpoints": 1}
        names = (
            "steps",
            "epochs",
            "warmup",
            "eval_every",
            "eval_tokens",
            "checkpoint_every",
            "sample_tokens",
            "seed",
        )
        at_least |= dict.fromkeys((*names, "lr", "min_lr", "muon_lr", "weight_decay", "grad_clip"), 0)
        for name, low in at_least.items():
            if not low <= getattr(self, name) < float("inf"):
                raise ChronosError(f"train.{name} must be at least {low}", got=getattr(self, name))
        if not self.steps and not self.epochs:
            raise ChronosError("train.steps or train.epochs must be above 0")
        for name in ("dropout", "beta1", "beta2"):
            if not 0 <= getattr(self, name) < 1:
                raise ChronosError(f"train.{name} must be at least 0 and below 1", got=getattr(self, name))
        if not 0 < self.decay_share <= 1:
            raise ChronosError("train.decay_share must be above 0 and at most 1", got=self.decay_share)
        for name, known in (("schedule", SCHEDULES), ("optimizer", OPTIMIZERS)):
            if getattr(self, name) not in known:
                raise ChronosError(
                    f"unknown train.{name}", expected=" or ".join(known), got=getattr(self, name)
                )


@dataclass(frozen=True)
class RunConfig:
    """A whole run, resolved: what `config.yaml` in its directory holds.

    Preset `chronos` has a RecallConfig for its model, and `recall` for what it is trained on.
    """

    model: ModelConfig | RecallConfig = field(default_factory=ModelConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    tokenizer: TokenizerConfig = field(default_factory=TokenizerConfig)
    data: DataConfig = field(default_factory=DataConfig)
    sample: Sampling = field(default_factory=Sampling)
    recall: RecallTraining | None = None

    @property
    def preset(self) -> str:
        """The name of the model's kind."""
        return PRESET if isinstance(self.model, RecallConfig) else self.model.preset


def from_mapping(mapping: Mapping[str, Any]) -> RunConfig:
    """A checked configuration from plain data: `model.preset` says which kind of model is meant."""
    found, model = dict(mapping), mapping.get("model", {})
    if isinstance(model, Mapping) and model.get("preset") == PRESET:
        shape = {key: value for key, value in model.items() if key != "preset"}
        found |= {"model": build(RecallConfig, shape, "model"), "recall": found.get("recall") or {}}
    else:
        found["model"] = build(ModelConfig, model, "model")
        if found.get("recall") is not None:
            what = f"recall.* belongs to preset {PRESET}"
            raise ChronosError(what, got=f"preset {found['model'].preset}", mend=f"add --preset {PRESET}")
    return build(RunConfig, found)


def as_mapping(config: RunConfig) -> dict[str, Any]:
    """The plain data that `from_mapping` reads."""
    found = dump(config)
    return {**found, "model": {"preset": config.preset, **found["model"]}}


def resolve(
    *, preset: str | None = None, experiment: str | None = None, overrides: Sequence[str] = (),
    flags: Mapping[str, Any] | None = None, environment: Mapping[str, str] | None = None,
) -> RunConfig:  # fmt: skip
    """Read all layers and check the result. `overrides` are `key.sub=value`, `flags` dotted name → value."""
    last = _layer("experiment", experiment) if experiment else {}
    merged = _read(CONFIGS / "base.yaml")
    chosen = {**merged.pop("layers", {}), **(wanted := last.pop("layers", {}))}
    model = _layer("model", preset or chosen["model"])
    chosen |= {**model.pop("layers", {}), **wanted}  # a model may name the way in which it is trained
    platform, training = (_layer(kind, chosen[kind]) for kind in ("platform", "training"))
    for layer in (platform, model, training, last):
        _merge(merged, layer)
    for dotted, value in _environment(environment if environment is not None else os.environ).items():
        set_dotted(merged, dotted, value)
    for dotted, value in (flags or {}).items():
        set_dotted(merged, dotted, value)
    for dotted, value in parse_overrides(overrides).items():
        set_dotted(merged, dotted, value)
    return from_mapping(merged)


def parse_overrides(overrides: Sequence[str]) -> dict[str, str]:
    """`["train.lr=1e-3"]` → {"train.lr": "1e-3"}."""
    pairs = {}
    for text in overrides:
        name, equals, value = text.partition("=")
        if not equals or "." not in name:
            raise UsageError(f"cannot read {text!r}", expected="key.sub=value, such as train.lr=1e-3")
        pairs[name] = value
    return pairs


def set_dotted(mapping: dict[str, Any], dotted: str, value: Any) -> None:
    """mapping["a"]["b"] = value for "a.b"."""
    *path, last = dotted.split(".")
    for key in path:
        mapping = mapping.setdefault(key, {})
        if not isinstance(mapping, dict):
            raise ChronosError(f"setting {dotted!r} does not exist")
    mapping[last] = value


def load_run_config(path: Path) -> RunConfig:
    """The resolved configuration that a run was started with."""
    return from_mapping(_read(path))


def config_text(config: RunConfig) -> str:
    """YAML of a resolved configuration."""
    return yaml.safe_dump(as_mapping(config), sort_keys=False, allow_unicode=True)


def _layer(kind: str, name: str) -> dict[str, Any]:
    """A layer by name, or (an experiment) by the path of a YAML file."""
    if name.endswith((".yaml", ".yml")):
        return _read(Path(name))
    path = CONFIGS / kind / f"{name}.yaml"
    if not path.is_file():
        known = sorted(p.stem for p in (CONFIGS / kind).glob("*.yaml"))
        what = "preset" if kind == "model" else kind
        raise ChronosError(f"unknown {what} {name!r}", mend=did_you_mean(name, known))
    return _read(path)


def _read(path: Path) -> dict[str, Any]:
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ChronosError(f"cannot read configuration: {error}", where=path) from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else path
        raise ChronosError(f"damaged YAML: {getattr(error, 'problem', error)}", where=where) from error
    if not isinstance(data or {}, dict):
        raise ChronosError("a configuration is a mapping", where=path)
    return data or {}


def _merge(into: dict[str, Any], new: Mapping[str, Any]) -> None:
    for key, value in new.items():
        if isinstance(value, Mapping) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = dict(value) if isinstance(value, Mapping) else value


def _environment(environment: Mapping[str, str]) -> dict[str, str]:
    """CHRONOS__TRAIN__LR=1e-3, from `.env` in the working folder and, stronger, the environment itself."""
    found = dict(_dotenv(Path(".env"))) | dict(environment)
    pairs = {}
    for name, value in found.items():
        if name.startswith(ENVIRONMENT):
            pairs[name[len(ENVIRONMENT) :].lower().replace("__", ".")] = value
    return pairs


def _dotenv(path: Path) -> list[tuple[str, str]]:
    if not path.is_file():
        return []
    lines = (line.strip() for line in path.read_text(encoding="utf-8").splitlines())
    pairs = (line.removeprefix("export ").split("=", 1) for line in lines if "=" in line and line[0] != "#")
    return [(name.strip(), value.strip().strip("'\"")) for name, value in pairs]
