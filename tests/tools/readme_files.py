"""Keeps READMEs true: file tables from the files' first lines, listings pulled from the sources.

`python tests/tools/readme_files.py` rewrites what stands between `<!-- files -->` and `<!-- /files -->` (for
another folder: `<!-- files: folder -->`; without the folders in it: `<!-- files: *.py -->`), the block after
each `<!-- code: path:function -->` (`Class.method` and C functions too), and what a command measured between
`<!-- result: file.json -->` and `<!-- /result -->`. The tests only look whether it would.
"""

import ast
import json
import re
import sys
import textwrap
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TABLE = re.compile(r"(<!-- files(?:: (?P<folder>\S+))? -->\n).*?(<!-- /files -->)", re.DOTALL)
LISTING = re.compile(r"(<!-- code: (?P<path>\S+):(?P<name>[\w.]+) -->\n\n?)```\w*\n.*?\n?```", re.DOTALL)
RESULT = re.compile(r"(<!-- result: (?P<path>\S+) -->\n).*?(<!-- /result -->)", re.DOTALL)
ISA = re.compile(r"_(portable|avx2|avx512|neon|neon_dot)\.[ch]$")
LANGUAGES = {".py": "py", ".c": "c", ".h": "c"}


def readmes(root: Path) -> list[Path]:
    """README.md, ARCHITECTURE.md, the README of each folder beneath and of the folders in it."""
    below = [*root.glob("[!.]*/README.md"), *root.glob("[!.]*/[!.]*/README.md")]
    return [
        root / "README.md",
        root / "ARCHITECTURE.md",
        *sorted(p for p in below if "artifacts" not in p.parts),
    ]


def render(readme: Path, root: Path) -> str:
    """The text of a README as it should be."""
    text = readme.read_text(encoding="utf-8")

    def table(match: re.Match[str]) -> str:
        folder = readme.parent / (match["folder"] or "").removesuffix("*.py")
        return match[1] + files_table(folder, deep=not (match["folder"] or "").endswith("*.py")) + match[3]

    def listing(match: re.Match[str]) -> str:
        path = next((p for p in (readme.parent / match["path"], root / match["path"]) if p.is_file()), None)
        if path is None:
            raise LookupError(f"{readme}: no file {match['path']}")
        return f"{match[1]}```{LANGUAGES[path.suffix]}\n{source_of(path, match['name'])}\n```"

    def result(match: re.Match[str]) -> str:
        return (
            match[1] + result_text(json.loads((readme.parent / match["path"]).read_text("utf-8"))) + match[3]
        )

    return RESULT.sub(result, LISTING.sub(listing, TABLE.sub(table, text)))


def result_text(found: dict) -> str:
    """What a result file says: the command, the machine, and a table."""
    lines = [f"`{found['command']}` on {found['machine']}:", "", "| " + " | ".join(found["columns"]) + " |"]
    lines.append("|" + "---|" * len(found["columns"]))
    lines += ["| " + " | ".join(_shown(cell) for cell in row) + " |" for row in found["rows"]]
    return "\n".join(lines) + "\n"


def _shown(cell: object) -> str:
    if isinstance(cell, float):
        return f"{cell:,.3g}" if abs(cell) < 1000 else f"{cell:,.0f}"
    return f"{cell:,}" if isinstance(cell, int) else str(cell)


def files_table(folder: Path, deep: bool = True) -> str:
    """A row for each source of a folder and, if `deep`, of the folders in it: its name and its first line.

    A kernel's files for other ISAs stand in the row of the portable one.
    """
    rows = ["| file | what it is |", "|---|---|"]
    sources = [
        p
        for p in folder.glob("**/*" if deep else "*")
        if p.suffix in LANGUAGES and "__pycache__" not in p.parts
    ]
    for path in sorted(sources, key=lambda p: (len(p.relative_to(folder).parts), p.as_posix())):
        if path.name != "__init__.py" and not path.name.startswith("_chronos_native"):  # built, not written
            name = path.relative_to(folder).as_posix()
            stem = ISA.sub("", name)
            if stem != name and not name.endswith("_portable.c") and (folder / f"{stem}_portable.c").exists():
                continue
            others = sorted(p.stem for p in folder.glob(f"{stem}_*.c") if ISA.sub("", p.name) == stem)
            if name.endswith("_portable.c") and len(others) > 1:
                name = f"{stem}_….c"
            rows.append(f"| `{name}` | {first_line(path)} |")
    return "\n".join(rows) + "\n"


def first_line(path: Path) -> str:
    """The first line of a module's docstring or of a C file's opening comment."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        words = ast.get_docstring(ast.parse(text)) or ""
    else:
        words = re.sub(r"^\s*(/\*+|//+|\*+(?!/))\s?", "", text.lstrip(), count=1).lstrip()
    line = words.splitlines()[0] if words else ""
    return line.removesuffix("*/").strip().replace("|", "\\|")


def source_of(path: Path, name: str) -> str:
    """The source of a function, class or `Class.method`, dedented."""
    text = path.read_text(encoding="utf-8")
    return _c_source(path, text, name) if path.suffix in (".c", ".h") else _py_source(path, text, name)


def _py_source(path: Path, text: str, name: str) -> str:
    node: ast.AST = ast.parse(text)
    for part in name.split("."):
        found = [n for n in getattr(node, "body", []) if getattr(n, "name", None) == part]
        if not found:
            raise LookupError(f"{path} has no {name}")
        node = found[-1]
    first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
    lines = text.splitlines()[first - 1 : node.end_lineno]
    return textwrap.dedent("\n".join(lines))


def _c_source(path: Path, text: str, name: str) -> str:
    lines = text.splitlines()
    opening = re.compile(rf"^[A-Za-z_].*\b{re.escape(name)}\s*\(")
    for start, line in enumerate(lines):
        if opening.match(line):
            body = next(
                (i for i in range(start, len(lines)) if lines[i].rstrip().endswith((";", "{"))), start
            )
            if lines[body].rstrip().endswith("{"):
                end = next(i for i in range(body, len(lines)) if lines[i] == "}")
                return "\n".join(lines[start : end + 1])
    raise LookupError(f"{path} has no function {name}")


def main() -> int:
    """Rewrite what is out of date; tell which files changed."""
    for readme in readmes(ROOT):
        text = render(readme, ROOT)
        if text != readme.read_text(encoding="utf-8"):
            readme.write_text(text, encoding="utf-8")
            print(f"rewrote {readme.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
