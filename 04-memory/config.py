"""What a model is: the frozen configuration from which stage 04 assembles it, and its presets' names.

Presets are YAML files beside the training configurations, not classes.
"""

from dataclasses import dataclass
from typing import Any

from chronos.architecture.config import TransformerConfig
from chronos.console import ChronosError
from chronos.settings import build, dump

OBJECTIVES = ("next-token",)
PRESETS = ("gpt", "then")


@dataclass(frozen=True)
class ModelConfig(TransformerConfig):
    """A Transformer's shape plus what makes it a model: vocabulary, objective, tokenizer identity."""

    preset: str = "gpt"
    vocabulary: int = 0  # 0 until a tokenizer gives it
    objective: str = "next-token"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.objective not in OBJECTIVES:
            raise ChronosError(
                "unknown model.objective", expected=" or ".join(OBJECTIVES), got=self.objective
            )
        if self.vocabulary < 0:
            raise ChronosError("model.vocabulary must not be negative", got=self.vocabulary)
        if self.preset not in PRESETS:
            raise ChronosError(f"unknown preset {self.preset!r}", expected=" or ".join(PRESETS))


def config_from(mapping: dict[str, Any]) -> ModelConfig:
    """A checked ModelConfig from plain data."""
    return build(ModelConfig, mapping, "model")


def config_dict(config: ModelConfig) -> dict[str, Any]:
    """Plain data of a ModelConfig."""
    return dump(config)
