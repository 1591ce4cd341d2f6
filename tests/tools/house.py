"""The rules of the house as functions over a folder: each takes the root and returns its violations.

Used by tests/unit/test_house*.py, which also shows on made-up trees that each rule can fail. It reads sources
with `ast` and imports none of them. By hand: `python tests/tools/house.py`.
"""

import ast
import fnmatch
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

LEAVES = ("console", "files", "settings")
FACE = (*LEAVES, "cli", "bench", "doctor")
KNOWS_ALL = ("cli.py", "bench.py")  # of the face
LIMITS = {".py": 400, ".c": 400, ".h": 400, "README.md": 250, "tape.py": 150}
FUNCTION_LINES = 50
SHIPPED = "07-inference/demo/model.gguf"
DATA_SUFFIXES = (".yaml", ".css", ".html", ".spv", ".json")  # read at run time, unlike results/*.json
FORBIDDEN_MODULES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}
# Import names of what we depend on, directly or through it; a module of ours with such a name would hide it.
IMPORT_NAMES = {"pyyaml": "yaml"}
ALSO_TAKEN = {"llvmlite", "pycparser", "tqdm", "requests", "torch", "tokenizers", "transformers", "tiktoken"}
# Written so that this line does not match itself.
MACHINE_PATH = re.compile(r"(?:/(?:home|Users)/[A-Za-z0-9_]|/(?:root|work)/|[A-Z]:\\Users\\)")


def files(root: Path) -> list[Path]:
    """Tracked files and those that could be: what git lists, or everything where there is no git."""
    if (root / ".git").exists():
        listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        names = subprocess.run(listing, cwd=root, capture_output=True, check=True).stdout.split(b"\0")
        return sorted(path for name in names if name and (path := root / os.fsdecode(name)).is_file())
    return sorted(path for path in root.rglob("*") if path.is_file() and "__pycache__" not in path.parts)


def pythons(root: Path) -> list[Path]:
    """All Python files."""
    return [path for path in files(root) if path.suffix == ".py"]


def parse(path: Path) -> ast.Module:
    """The syntax tree of a file."""
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def stages(root: Path) -> list[tuple[str, str]]:
    """STAGES of chronos/__init__.py, read without importing it."""
    for node in parse(root / "chronos" / "__init__.py").body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "STAGES":
            return list(ast.literal_eval(node.value))
    return []


def package_of(root: Path, path: Path) -> tuple[str, int | None]:
    """The package of a file as (name, stage number); ("", None) outside of all packages."""
    top = path.relative_to(root).parts[0]
    for number, (name, folder) in enumerate(stages(root)):
        if top == folder:
            return name, number
    return (top, None) if top in ("chronos", "native") else ("", None)


# ---- the rule of dependence --------------------------------------------------------------------------------


def imports(tree: ast.Module) -> Iterator[tuple[int, list[str], str | None]]:
    """Imports of ours as (line, path below `chronos`, bound name): `from chronos.a.b import c as d`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.partition(".")[0] == "chronos":
                    yield node.lineno, alias.name.split(".")[1:], alias.asname
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "chronos":
            for alias in node.names:
                parts = [*(node.module or "").split(".")[1:], alias.name]
                yield node.lineno, parts, alias.asname or alias.name
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) in (
            "import_module",
            "__import__",
        ):
            told = node.args[0].value if node.args and isinstance(node.args[0], ast.Constant) else "chronos.?"
            if str(told).partition(".")[0] == "chronos":
                yield node.lineno, str(told).split(".")[1:], None


def dependence(root: Path) -> list[str]:
    """Imports upward, relative imports, private names of others, native or a leaf importing too much."""
    found = []
    for path in pythons(root):
        package, number = package_of(root, path)
        if not package:
            continue
        tree = parse(path)
        where = path.relative_to(root).as_posix()
        relative = (n for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and n.level)
        found += [f"{where}:{node.lineno}: relative import" for node in relative]
        entry = is_entry_script(tree)
        for line, parts, _ in imports(tree):
            if not _allowed(root, path, package, number, parts) and not (entry and parts[:1] == ["cli"]):
                found.append(f"{where}:{line}: {package} may not import chronos.{'.'.join(parts)}")
        found += [f"{where}:{line}: private name {name}" for line, name in private_names(tree, package)]
    return found


def _allowed(root: Path, path: Path, package: str, number: int | None, parts: list[str]) -> bool:
    order = [name for name, _ in stages(root)]
    target = parts[0] if parts else "?"
    if target in ("__version__", "STAGES") and package != "native":
        return True
    if package == "native":
        return target in ("native", "console")
    if package == "chronos":
        if path.name in KNOWS_ALL:
            return True
        if path.name == "__main__.py":
            return target == "cli"
        leaf = path.stem in LEAVES
        return target in LEAVES or (target == "native" and not leaf)
    return target in (*LEAVES, "native") or (target in order and order.index(target) <= number)


def is_entry_script(tree: ast.Module) -> bool:
    """Whether a stage's file only hands over to chronos.cli: nothing else of ours, no class, a main guard."""
    targets = {parts[0] for _, parts, _ in imports(tree) if parts}
    classes = any(isinstance(node, ast.ClassDef) for node in ast.walk(tree))
    guard = any(isinstance(node, ast.If) and "__main__" in ast.dump(node.test) for node in tree.body)
    return targets == {"cli"} and guard and not classes


def private_names(tree: ast.Module, package: str) -> Iterator[tuple[int, str]]:
    """Names with one leading underscore that belong to another package of ours."""
    foreign = set()
    for line, parts, bound in imports(tree):
        if not parts or parts[0] == package or (package == "chronos" and parts[0] in FACE):
            continue
        if bound:
            foreign.add(bound)
        yield from ((line, ".".join(parts)) for part in parts if _private(part))
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and _private(node.attr):
            base = node.value
            if isinstance(base, ast.Name) and base.id in foreign:
                yield node.lineno, f"{base.id}.{node.attr}"


def _private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


# ---- packages and names ------------------------------------------------------------------------------------


def packaging(root: Path) -> list[str]:
    """pyproject's packages and folders against the folders that hold __init__.py and against STAGES."""
    tool = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    listed, folders = tool["packages"], tool["package-dir"]
    names = {folder: f"chronos.{name}" for name, folder in stages(root)}
    names |= {"chronos": "chronos", "native": "chronos.native"}
    real, found = {}, []
    for path in pythons(root):
        parts = path.relative_to(root).parts[:-1]
        if not parts or parts[0] not in names:
            continue
        if not (path.parent / "__init__.py").exists():
            found.append(f"{'/'.join(parts)}: holds modules but no __init__.py")
        real[".".join([names[parts[0]], *parts[1:]])] = "/".join(parts)
    found += [f"{folder}: a stage without a package" for folder in names if folder not in real.values()]
    found += [f"pyproject.toml: packages lacks {name}" for name in sorted(real.keys() - set(listed))]
    found += [f"pyproject.toml: no folder for {name}" for name in sorted(set(listed) - real.keys())]
    found += [
        f"pyproject.toml: {name} is listed twice" for name in sorted(set(listed)) if listed.count(name) > 1
    ]
    if folders != real:
        found.append(
            f"pyproject.toml: package-dir differs: {sorted(set(folders.items()) ^ set(real.items()))}"
        )
    return sorted(set(found)) + package_data(root, tool, names)


def package_data(root: Path, tool: dict, names: dict[str, str]) -> list[str]:
    """Data that an installed package would lack: configurations, styles, shaders."""
    found = []
    for path in files(root):
        parts = path.relative_to(root).parts
        if parts[0] not in names or "results" in parts or path.suffix not in DATA_SUFFIXES:
            continue
        globs = tool.get("package-data", {}).get(names[parts[0]], [])
        inner = "/".join(parts[1:])
        if not any(fnmatch.fnmatch(inner, glob.replace("**/", "*")) for glob in globs):
            found.append(f"pyproject.toml: package-data lacks {'/'.join(parts)}")
    return found


def module_names(root: Path) -> list[str]:
    """Modules that would hide one of the standard library or of a dependency."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    groups = [project.get("dependencies", []), *project.get("optional-dependencies", {}).values()]
    names = {re.split(r"[^A-Za-z0-9_-]", need)[0].lower() for needs in groups for need in needs}
    taken = {IMPORT_NAMES.get(name, name.replace("-", "_")) for name in names} | ALSO_TAKEN
    found = []
    for path in pythons(root):
        if not package_of(root, path)[0]:
            continue
        name = path.parent.name if path.name == "__init__.py" else path.stem
        if name == "__main__":
            continue
        if name in sys.stdlib_module_names or name in taken:
            found.append(f"{path.relative_to(root).as_posix()}: hides the module {name}")
    return found


# ---- size and form -----------------------------------------------------------------------------------------


def sizes(root: Path) -> list[str]:
    """Files and functions that are longer than the house allows."""
    found = []
    for path in files(root):
        limit = LIMITS.get(path.name, LIMITS.get(path.suffix))
        if limit is None:
            continue
        where = path.relative_to(root).as_posix()
        text = path.read_text(encoding="utf-8")
        if (lines := len(text.splitlines())) > limit:
            found.append(f"{where}: {lines} lines, at most {limit}")
        if path.suffix == ".py":
            found += [
                f"{where}:{line}: {name} has {n} lines" for line, name, n in long_functions(ast.parse(text))
            ]
    return found


def long_functions(tree: ast.Module) -> Iterator[tuple[int, str, int]]:
    """Functions above the limit, as (line, name, lines)."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = node.end_lineno - node.lineno + 1
            if lines > FUNCTION_LINES:
                yield node.lineno, node.name, lines


def openings(root: Path) -> list[str]:
    """Sources that do not open with what they are (an empty __init__.py needs no words)."""
    found = []
    for path in files(root):
        text = path.read_text(encoding="utf-8") if path.suffix in (".py", ".c", ".h") else ""
        silent = path.suffix == ".py" and text.strip() and not ast.get_docstring(ast.parse(text))
        silent = silent or (path.suffix in (".c", ".h") and not text.lstrip().startswith(("/*", "//")))
        if silent or (path.suffix == ".py" and not text.strip() and path.name != "__init__.py"):
            found.append(f"{path.relative_to(root).as_posix()}: does not open with what it is")
    return found


def dangers(root: Path) -> list[str]:
    """pickle and its kin, eval, exec, and NumPy's allow_pickle other than an explicit False."""
    found = []
    for path in pythons(root):
        where = path.relative_to(root).as_posix()
        for node in ast.walk(parse(path)):
            bad = _danger(node)
            found += [f"{where}:{node.lineno}: {bad}"] if bad else []
    return found


def _danger(node: ast.AST) -> str | None:
    if isinstance(node, ast.Import):
        return next((a.name for a in node.names if a.name.partition(".")[0] in FORBIDDEN_MODULES), None)
    if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in FORBIDDEN_MODULES:
        return node.module
    if isinstance(node, ast.Call):
        if isinstance(node.func, ast.Name) and node.func.id in ("eval", "exec"):
            return node.func.id
        for keyword in node.keywords:
            if keyword.arg == "allow_pickle" and getattr(keyword.value, "value", None) is not False:
                return "allow_pickle"
    return None


def binaries(root: Path) -> list[str]:
    """Files that are not text, other than SPIR-V shaders, test fixtures and the model that is shipped."""
    found = []
    for path in files(root):
        where = path.relative_to(root).as_posix()
        if path.suffix == ".spv" or where.startswith("tests/fixtures/") or where == SHIPPED:
            continue
        data = path.read_bytes()
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError:
            text = "\0"
        found += [f"{where}: a binary file"] if "\0" in text else []
    return found


def machine_paths(root: Path) -> list[str]:
    """Absolute paths of somebody's machine."""
    found = []
    for path in files(root):
        text = path.read_bytes().decode("utf-8", errors="replace")
        for number, line in enumerate(text.splitlines(), 1):
            if match := MACHINE_PATH.search(line):
                found.append(f"{path.relative_to(root).as_posix()}:{number}: {match[0]}")
    return found


RULES = (dependence, packaging, module_names, sizes, openings, dangers, binaries, machine_paths)

if __name__ == "__main__":
    here = Path(__file__).resolve().parents[2]
    broken = [violation for rule in RULES for violation in rule(here)]
    print("\n".join(broken) or "the house is in order")
    sys.exit(bool(broken))
