"""The rules of the house hold, and each of them can fail: a made-up tree breaks one at a time."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

PYPROJECT = """[project]
dependencies = ["numpy>=1", "pyyaml"]
[tool.setuptools]
packages = ["chronos", "chronos.data", "chronos.memory", "chronos.native"]
[tool.setuptools.package-dir]
"chronos" = "chronos"
"chronos.data" = "01-data"
"chronos.memory" = "02-memory"
"chronos.native" = "native"
[tool.setuptools.package-data]
"chronos.memory" = ["configs/**/*.yaml"]
"""


@pytest.fixture(scope="session")
def house(load_tool):
    return load_tool("house")


@pytest.fixture
def tree(tmp_path) -> Path:
    """A small house in good order."""
    put(tmp_path, "pyproject.toml", PYPROJECT)
    stages = 'STAGES = (("data", "01-data"), ("memory", "02-memory"))'
    put(tmp_path, "chronos/__init__.py", f'"""The face."""\n{stages}\n')
    put(
        tmp_path,
        "chronos/cli.py",
        '"""All."""\nimport importlib\nimportlib.import_module("chronos." + "data")\n',
    )
    for name in ("console", "files", "settings"):
        put(tmp_path, f"chronos/{name}.py", '"""A leaf."""\n')
    for folder in ("01-data", "02-memory", "native"):
        put(tmp_path, f"{folder}/__init__.py", "")
    put(tmp_path, "01-data/words.py", '"""Words."""\nfrom chronos.console import say\n')
    put(
        tmp_path,
        "02-memory/model.py",
        '"""A model."""\nfrom chronos import native\nfrom chronos.data import words\n',
    )
    put(tmp_path, "02-memory/configs/deep/base.yaml", "a: 1\n")
    put(tmp_path, "native/product.c", "/* A product. */\n")
    put(tmp_path, "README.md", "# A house\n")
    return tmp_path


def put(root: Path, name: str, text: str | bytes) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)


def python(*lines: str) -> str:
    return '"""What it is."""\n' + "\n".join(lines) + "\n"


RULES = (
    "dependence",
    "packaging",
    "module_names",
    "sizes",
    "openings",
    "dangers",
    "binaries",
    "machine_paths",
)


@pytest.mark.parametrize("rule", RULES)
def test_the_house_is_in_order(house, root, rule):
    assert getattr(house, rule)(root) == []


def test_no_rule_is_left_out(house):
    assert tuple(rule.__name__ for rule in house.RULES) == RULES


def test_the_small_house_is_in_order(house, tree):
    assert [violation for rule in house.RULES for violation in rule(tree)] == []


GUARD = 'if __name__ == "__main__":\n    main()'
BROKEN = [
    ("dependence", "01-data/up.py", python("from chronos.memory import model"), "chronos.memory.model"),
    ("dependence", "01-data/up.py", python("import chronos.memory"), "chronos.memory"),
    ("dependence", "01-data/up.py", python("def f():", "    from chronos import memory"), "chronos.memory"),
    (
        "dependence",
        "01-data/up.py",
        python("import importlib as i", "i.import_module('chronos.memory')"),
        "memory",
    ),
    ("dependence", "01-data/up.py", python("import importlib as i", "i.import_module(some)"), "chronos.?"),
    ("dependence", "01-data/up.py", python("import chronos"), "may not import chronos."),
    ("dependence", "01-data/up.py", python("from chronos.doctor import run"), "chronos.doctor.run"),
    ("dependence", "01-data/up.py", python("from . import words"), "relative import"),
    ("dependence", "02-memory/peep.py", python("from chronos.data.words import _hidden"), "private name"),
    ("dependence", "02-memory/peep.py", python("from chronos.data._hidden import x"), "private name"),
    (
        "dependence",
        "02-memory/peep.py",
        python("from chronos.data import words as w", "w._hidden()"),
        "w._hidden",
    ),
    (
        "dependence",
        "02-memory/peep.py",
        python("from chronos import console", "console._json"),
        "console._json",
    ),
    ("dependence", "chronos/cli.py", python("from chronos.data.words import _hidden"), "private name"),
    ("dependence", "native/up.py", python("from chronos.settings import threads"), "chronos.settings"),
    ("dependence", "chronos/files.py", python("from chronos.data import words"), "chronos.data"),
    ("dependence", "chronos/files.py", python("from chronos import native"), "chronos.native"),
    ("dependence", "chronos/doctor.py", python("from chronos.data import words"), "chronos.data"),
    ("dependence", "01-data/go.py", python("from chronos.cli import main"), "chronos.cli"),
    (
        "dependence",
        "01-data/go.py",
        python("from chronos.cli import main", "class A: pass", GUARD),
        "chronos.cli",
    ),
    ("packaging", "03-more/__init__.py", "", None),
    ("packaging", "01-data/ops/__init__.py", "", "lacks chronos.data.ops"),
    ("packaging", "01-data/ops/add.py", python(), "no __init__.py"),
    ("packaging", "pyproject.toml", PYPROJECT.replace('"chronos.memory", ', ""), "lacks chronos.memory"),
    ("packaging", "pyproject.toml", PYPROJECT.replace('"02-memory"', '"2-memory"'), "package-dir differs"),
    ("packaging", "pyproject.toml", PYPROJECT.replace('"chronos", ', '"chronos", "chronos", '), "twice"),
    (
        "packaging",
        "pyproject.toml",
        PYPROJECT.replace('"chronos", ', '"chronos", "chronos.gone", '),
        "no folder",
    ),
    ("packaging", "01-data/style.css", "p {}", "package-data lacks 01-data/style.css"),
    ("module_names", "01-data/random.py", python(), "hides the module random"),
    ("module_names", "01-data/yaml.py", python(), "hides the module yaml"),
    ("module_names", "native/numpy/__init__.py", python(), "hides the module numpy"),
    ("sizes", "01-data/long.py", python(*["x = 1"] * 400), "401 lines, at most 400"),
    ("sizes", "01-data/tape.py", python(*["x = 1"] * 150), "151 lines, at most 150"),
    ("sizes", "01-data/long.py", python("def f():", *["    x = 1"] * 50), "f has 51 lines"),
    ("sizes", "native/long.c", "/* C */\n" * 401, "401 lines, at most 400"),
    ("sizes", "01-data/README.md", "word\n" * 251, "251 lines, at most 250"),
    ("openings", "01-data/silent.py", "x = 1\n", "silent.py"),
    ("openings", "01-data/silent.py", "", "silent.py"),
    ("openings", "native/silent.c", "int x;\n", "silent.c"),
    ("dangers", "01-data/load.py", python("import pickle"), "pickle"),
    ("dangers", "01-data/load.py", python("from joblib import load"), "joblib"),
    ("dangers", "01-data/load.py", python("eval('1')"), "eval"),
    ("dangers", "01-data/load.py", python("exec('1')"), "exec"),
    ("dangers", "01-data/load.py", python("np.load('x', allow_pickle=True)"), "allow_pickle"),
    ("binaries", "01-data/x.bin", b"a\0b", "x.bin"),
    ("binaries", "01-data/x.png", b"\x89PNG", "x.png"),
    ("machine_paths", "01-data/where.md", "see /" + "home/someone/chronos", "where.md:1"),
    ("machine_paths", "01-data/where.md", "see C:" + r"\Users\someone", "where.md:1"),
]


@pytest.mark.parametrize(("rule", "name", "text", "told"), BROKEN)
def test_each_rule_can_fail(house, tree, rule, name, text, told):
    put(tree, name, text)
    violations = getattr(house, rule)(tree)
    if told is None:  # a folder that is no stage is none of our business
        assert violations == []
    else:
        assert violations
        assert any(told in violation for violation in violations), violations


ALLOWED = [
    ("01-data/go.py", python("import sys", "from chronos.cli import main", GUARD)),
    (
        "native/more.py",
        python("from chronos.console import ChronosError", "from chronos.native._lib import lib"),
    ),
    ("02-memory/load.py", python("np.load('x', allow_pickle=False)", "model.eval()")),
    ("chronos/doctor.py", python("from chronos import STAGES, console, native, settings")),
    ("chronos/bench.py", python("from chronos.memory import model")),
    ("tests/unit/test_x.py", python("from chronos.memory.model import _hidden")),
    ("tests/fixtures/x.bin", b"a\0b"),
    ("native/x.spv", b"\x03\x02#\x07\0"),
]


@pytest.mark.parametrize(("name", "text"), ALLOWED)
def test_what_is_allowed_is_not_called_broken(house, tree, name, text):
    put(tree, name, text)
    rules = [rule for rule in house.RULES if rule is not house.packaging]
    assert [violation for rule in rules for violation in rule(tree)] == []


def test_untracked_and_ignored_files_in_git(house, tree):
    """Ignored files are not ours; new files that git does not ignore are."""
    subprocess.run(["git", "init", "-q", tree], check=True)
    put(tree, ".gitignore", "artifacts/\n")
    put(tree, "artifacts/model.bin", b"\0")
    assert house.binaries(tree) == []
    put(tree, "new.bin", b"\0")
    assert house.binaries(tree) == ["new.bin: a binary file"]


def test_the_face_needs_no_heavy_package(root):
    """`chronos --help` answers at once: commands import NumPy and the like only when they run."""
    code = (
        "import sys, json, chronos.cli; chronos.cli.main(['--help']);"
        "print(json.dumps([m for m in ('numpy', 'numba', 'rich', 'yaml', 'gguf') if m in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.splitlines()[-1]) == []
