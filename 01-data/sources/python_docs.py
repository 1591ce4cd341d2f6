"""Python's own documentation as text: real English on every machine, with no download.

Docstrings are read from source files with `ast`; nothing is imported or run. The text is that of the Python
that runs it and differs from version to version, so no published number may rest on it. Try it with
`python -m chronos.data.sources.python_docs`.
"""

import ast
import builtins
import inspect
import itertools
import os
import re
import sysconfig
import types
import warnings
from collections.abc import Iterator
from pathlib import Path

from chronos.console import ChronosError, say
from chronos.data.decoding import clean
from chronos.data.documents import Document
from chronos.data.sources import PYTHON_DOCS

FILE_LIMIT = 4 << 20  # bytes of a source file; longer ones are generated tables
SKIPPED = {"test", "tests", "testing", "site-packages", "dist-packages", "__pycache__", "_vendor", "_bundled"}
_SURROGATE = re.compile("[\ud800-\udfff]")


def documents(installed: bool = False) -> Iterator[Document]:
    """A document for each built-in type, topic of `help()` and module that says anything; in a fixed order.

    The standard library, and with `installed` the packages beside it too. Deterministic for one installation.
    Raises ChronosError where there is no documentation at all (a Python without its sources).
    """
    library = Path(sysconfig.get_path("stdlib"))
    parts = [_builtins(), _topics(library / "pydoc_data" / "topics.py"), _modules(library)]
    if installed:
        folders = sorted({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")})
        parts += [_modules(Path(folder)) for folder in folders]
    found = False
    for name, text in itertools.chain(*parts):
        found = True
        yield Document(text, f"python-docs:{name}")
    if not found:
        raise ChronosError("this Python comes without documentation", where=library, mend="give a text")


def _builtins() -> Iterator[tuple[str, str]]:
    """Functions and types that are always there; what a program added to `builtins` is not of them."""
    for name, value in sorted(vars(builtins).items()):
        if not isinstance(value, type | types.BuiltinFunctionType) or value.__module__ != "builtins":
            continue
        parts = [(name, value.__doc__)]
        if isinstance(value, type) and not issubclass(value, BaseException):
            inner = [(key, item) for key, item in sorted(vars(value).items()) if key[0] != "_"]
            parts += [(f"{name}.{key}", getattr(item, "__doc__", None)) for key, item in inner]
        yield from _document(f"builtins.{name}", parts)


def _topics(path: Path) -> Iterator[tuple[str, str]]:
    """The topics of `help("…")`, a dictionary literal."""
    for node in getattr(_parse(path), "body", ()):
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Dict):
            for name, text in sorted(ast.literal_eval(node.value).items()):
                yield from _document(f"topics.{name}", [(name, text)])


def _modules(root: Path) -> Iterator[tuple[str, str]]:
    """What the modules below a folder say of themselves, in the order of their names."""
    for path in _sources(root):
        tree = _parse(path)
        if tree is not None:
            parts = path.relative_to(root).with_suffix("").parts
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            yield from _document(name, _docstrings(tree, name))


def _sources(folder: Path) -> Iterator[Path]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            if entry.name not in SKIPPED and entry.name.isidentifier():
                yield from _sources(Path(entry.path))
        elif entry.name.endswith(".py") and not entry.name.startswith("test_"):
            yield Path(entry.path)


def _parse(path: Path) -> ast.Module | None:
    """The syntax tree of a file; nothing for what is too long, unreadable, or no Python of this version."""
    try:
        if path.stat().st_size > FILE_LIMIT:
            return None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of escapes in other people's strings
            return ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _docstrings(node: ast.AST, name: str) -> Iterator[tuple[str, str | None]]:
    """The docstrings of a module, its classes and functions, in the order of the file."""
    yield name, ast.get_docstring(node, clean=False)  # type: ignore[arg-type]
    for child in getattr(node, "body", ()):
        if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _docstrings(child, f"{name}.{child.name}")


def _document(name: str, parts: Iterator | list) -> Iterator[tuple[str, str]]:
    """One text of all that is said, each piece below its name; nothing if nothing is said."""
    told = []
    for title, text in parts:
        text = clean(inspect.cleandoc(text)).strip() if isinstance(text, str) else ""
        if text and not _SURROGATE.search(text):
            told.append(f"{title}\n\n{text}\n")
    if told:
        yield name, "\n".join(told)


if __name__ == "__main__":
    count = characters = 0
    for document in documents():
        count, characters = count + 1, characters + len(document.text)
    say(f"{count:,} documents, {characters:,} characters: {PYTHON_DOCS}")
