"""Fixtures for all tests: each test has artefacts of its own, and what a module remembers is put back.

Nothing here hides a failure. `shared` skips by name where the optional files beside the repository lack.
"""

import functools
import importlib.util
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import hypothesis
import pytest

from chronos import console, native, settings
from chronos.native import plain

ROOT = Path(__file__).resolve().parent.parent

os.environ.setdefault("MPLBACKEND", "Agg")
hypothesis.settings.register_profile("steady", deadline=None, derandomize=True, database=None)
hypothesis.settings.load_profile("steady")


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository's folder."""
    return ROOT


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder `shared` beside the repository, with published vectors and real texts."""
    folder = ROOT.parent / "shared"
    if not (folder / "data").is_dir():
        pytest.skip("needs ../shared/data")
    return folder


try:
    from chronos.native import compiled
except ImportError:  # no C compiler here: the plain twin is all there is to test
    compiled = None


@pytest.fixture(params=["plain", *(compiled.isas() if compiled else [])], scope="module")
def engine(request) -> Iterator[str]:
    """Each engine in turn stands behind `chronos.native`: "plain", or an ISA of the C kernels."""
    before, threads = native._engine(), native.info()["threads"]
    native._chosen = plain if request.param == "plain" else compiled
    if request.param != "plain":
        compiled.choose_isa(request.param)
    yield request.param
    native._chosen = before
    if compiled:
        compiled.choose_isa(None)
        compiled.set_threads(threads)


@pytest.fixture(scope="session")
def outcome() -> Callable[[Path], dict]:
    """`outcome(run)`: everything of a training run that must not depend on its having been killed."""

    def of(run: Path) -> dict:
        rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
        for row in rows:
            for name in ("tokens_per_s", "seconds"):
                row.pop(name, None)
        newest = sorted((run / "checkpoints").glob("step-*"))[-1]
        state = json.loads((newest / "state.json").read_text())
        state.pop("metrics_bytes")  # the timings of the rows are told in more digits or in fewer
        files = {name: (newest / name).read_bytes() for name in ("model.safetensors", "optim.safetensors")}
        model = (run / "model" / "model.safetensors").read_bytes()
        return {"rows": rows, "state": state, "final": model, **files}

    return of


@pytest.fixture(autouse=True)
def alone(tmp_path, monkeypatch):
    """Artefacts in a temporary folder; threads and JSON mode as at the start."""
    monkeypatch.setenv("CHRONOS_ARTIFACTS", str(tmp_path / "artifacts"))
    monkeypatch.setattr(settings, "_threads", None)
    yield
    console.json_mode(False)


def _load_tool(name: str) -> ModuleType:
    """A module of tests/tools, which is no package so that its files run as scripts."""
    name_there = f"chronos_tests_{name}"
    if name_there not in sys.modules:
        spec = importlib.util.spec_from_file_location(name_there, ROOT / "tests" / "tools" / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name_there] = module
        spec.loader.exec_module(module)
    return sys.modules[name_there]


@pytest.fixture(scope="session")
def load_tool():
    """`load_tool("house")` imports tests/tools/house.py."""
    return _load_tool


@pytest.fixture(scope="session")
def web() -> ModuleType:
    """The module of the local web server and of the ways in which it can misbehave."""
    return _load_tool("local_server")


@pytest.fixture
def server(web, monkeypatch):
    """A running local web server, reached without any proxy."""
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with web.LocalServer() as running:
        yield running


@pytest.fixture
def stand_in(tmp_path, monkeypatch, load_tool):
    """The stand-ins that commands load in the place of `chronos.memory.recall`."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    return load_tool("stand_in").put_in_place(monkeypatch)


@pytest.fixture
def chronos(load_tool, capsys):
    """`chronos("ingest", "--input", "a.md")` → its JSON object, or the line of an error."""
    return functools.partial(load_tool("stand_in").command, capsys)
