"""Plain data becomes checked dataclasses: the field's type decides, and mistakes are told with a remedy."""

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml

from chronos import settings
from chronos.console import ChronosError


@dataclass(frozen=True)
class Inner:
    layers: int = 2
    rate: float = 0.1


@dataclass(frozen=True)
class Outer:
    name: str
    inner: Inner = field(default_factory=Inner)
    on: bool = False
    betas: tuple[float, ...] = (0.9, 0.99)
    names: list[str] = field(default_factory=list)
    seed: int | None = None
    size: int | str = 1

    def __post_init__(self):
        if self.name == "bad":
            raise ChronosError("name must not be bad")


def test_yaml_values_are_coerced_by_the_field():
    text = "name: on\non: yes\ninner: {layers: '3', rate: 1e-4}\nbetas: [0.8, '0.9']\nseed: null\nsize: 1e3"
    built = settings.build(Outer, yaml.safe_load(text.replace("\non:", "\n'on':")))
    assert built == Outer("on", Inner(3, 1e-4), True, (0.8, 0.9), [], None, 1000)
    assert isinstance(built.inner.rate, float)


@pytest.mark.parametrize(
    ("key", "value", "want"),
    [
        ("seed", "12345678901234567891", 12345678901234567891),
        ("seed", "1e4", 10000),
        ("seed", 4.0, 4),
        ("on", "off", False),
        ("on", 1, True),
        ("betas", "0.5, 0.6", (0.5, 0.6)),
        ("names", "a,b", ["a", "b"]),
        ("name", 3, "3"),
        ("name", False, "off"),
        ("name", Path("a/b"), str(Path("a/b"))),
        ("size", "big", "big"),
        ("inner", Inner(5), Inner(5)),
    ],
)
def test_coercion(key, value, want):
    built = getattr(settings.build(Outer, {"name": "x", key: value}), key)
    assert built == want
    assert type(built) is type(want)


@pytest.mark.parametrize(
    ("mapping", "told"),
    [
        ({"nmae": "x"}, "unknown setting 'run.nmae'; did you mean 'name'"),
        ({"name": "x", "inner": {"layer": 1}}, "unknown setting 'run.inner.layer'; did you mean 'layers'"),
        ({"name": "x", "zzzzzz": 1}, "known: betas, inner, name, names, on, seed, size"),
        ({"name": "x", "inner": {"layers": 2.5}}, "setting 'run.inner.layers' needs int, got 2.5"),
        ({"name": "x", "inner": {"layers": "nan"}}, "needs int"),
        ({"name": "x", "inner": {"layers": "inf"}}, "needs int"),
        ({"name": "x", "inner": {"layers": True}}, "needs int"),
        ({"name": "x", "inner": {"rate": True}}, "needs float"),
        ({"name": "x", "inner": {"rate": "fast"}}, "needs float, got 'fast'"),
        ({"name": "x", "inner": 3}, "run.inner must be a mapping, got 3"),
        ({"name": "x", "on": "perhaps"}, "needs bool, got 'perhaps'"),
        ({"name": "x", "betas": 3}, "'run.betas' needs a list, got 3"),
        ({"name": "x", "betas": None}, "needs a list"),
        ({"name": None}, "needs str"),
        ({"name": ["x"]}, "needs str"),
        ({"inner": {}}, "run: missing setting name"),
        ({"name": "bad"}, "name must not be bad"),
        ([1], "run must be a mapping"),
    ],
)
def test_mistakes_are_told(mapping, told):
    with pytest.raises(ChronosError) as caught:
        settings.build(Outer, mapping, where="run")
    assert told in str(caught.value)


def test_dump_builds_the_same_again():
    built = settings.build(Outer, {"name": "x", "inner": {"rate": 0.3}, "seed": 3})
    assert settings.build(Outer, settings.dump(built)) == built
    assert settings.build(Outer, yaml.safe_load(yaml.safe_dump(settings.dump(built)))) == built
    assert dataclasses.is_dataclass(built.inner)


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("batch-sise", "did you mean 'batch_size'?"),
        ("--jsn", "did you mean '--json'?"),
        ("q", "known: --json, batch_size"),
    ],
)
def test_did_you_mean(word, told):
    assert settings.did_you_mean(word, ["batch_size", "--json"]) == told


def test_threads(monkeypatch):
    assert settings.threads() >= 1
    settings.set_threads(3)
    assert settings.threads() == 3
    for bad in (0, -1):
        with pytest.raises(ChronosError, match="at least 1"):
            settings.set_threads(bad)
    assert settings.threads() == 3


def test_artifacts_folder(monkeypatch):
    monkeypatch.setenv("CHRONOS_ARTIFACTS", "elsewhere")
    assert settings.artifacts() == Path("elsewhere")
    monkeypatch.delenv("CHRONOS_ARTIFACTS")
    assert settings.artifacts() == Path("artifacts")
    monkeypatch.setenv("CHRONOS_ARTIFACTS", "")
    assert settings.artifacts() == Path("artifacts")
