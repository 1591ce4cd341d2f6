"""Everything imports, and the command answers: the first thing to look at when all else is red."""

import importlib
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from chronos import STAGES, __version__

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = [*STAGES, ("native", "native"), ("architecture.ops", "02-architecture/ops")]
PACKAGES += [("architecture.kernels", "02-architecture/kernels")]
MODULES = [
    f"chronos.{name}.{path.stem}"
    for name, folder in PACKAGES
    for path in sorted((ROOT / folder).glob("*.py"))
    if path.stem != "__init__" and path.stem != "build_native"  # which setup.py runs
]
SCRIPTS = [
    path.relative_to(ROOT).as_posix()
    for _, folder in STAGES
    for path in sorted((ROOT / folder).glob("*.py"))
    if "from chronos.cli import main" in path.read_text(encoding="utf-8")
]


@pytest.mark.parametrize("name", [f"chronos.{name}" for name, _ in PACKAGES])
def test_packages_lie_in_their_folders(name):
    module = importlib.import_module(name)
    folder = {f"chronos.{short}": place for short, place in PACKAGES}[name]
    assert Path(module.__path__[0]).resolve() == ROOT / folder


@pytest.mark.parametrize("name", MODULES)
def test_modules_import(name):
    if name == "chronos.native.compiled":
        pytest.importorskip("chronos.native._chronos_native", reason="the C library is not built")
    assert importlib.import_module(name).__name__ == name


def run(*command: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "chronos", *command], cwd=ROOT, capture_output=True, text=True
    )


def test_version():
    done = run("--version")
    assert (done.returncode, done.stdout) == (0, f"chronos {__version__}\n")


def test_doctor_prints_one_object():
    done = run("doctor", "--json")
    assert done.stdout.count("\n") == 1
    assert json.loads(done.stdout)["ok"] is True
    assert done.returncode == 0


def test_training_and_talking_have_scripts():
    assert {"05-training/train.py", "07-inference/chat.py"} <= set(SCRIPTS)


@pytest.mark.parametrize("script", SCRIPTS)
def test_entry_scripts_are_the_commands(script):
    command = [sys.executable, str(ROOT / script), "--no-such-flag"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    command = re.match(r"error: chronos (\w+): unknown flag --no-such-flag", done.stderr)
    assert command
    assert Path(script).stem.startswith(command[1])


@pytest.mark.parametrize("script", SCRIPTS)
def test_entry_scripts_outside_the_environment_tell_the_way(script):
    command = [sys.executable, "-S", "-E", str(ROOT / script)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "make setup" in done.stderr
    assert Path(script).name in done.stderr, "and which command to run then"


@pytest.mark.parametrize("stage", [name for name, _ in STAGES])
def test_each_stage_brings_its_commands(stage):
    assert callable(importlib.import_module(f"chronos.{stage}.commands").register)
