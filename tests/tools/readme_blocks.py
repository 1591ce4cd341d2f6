"""Runs what a README shows: `python` blocks in one process, the `$ ` lines of `console` blocks in a shell.

`script_of(readme)` turns a README into one Python program in the order of the text: python blocks stand in
it as they are, console blocks become calls of `check_console`. The lines after `$ ` are the expected standard
output: `…` is anything in a line, alone on a line any number of lines, and no lines at all expect nothing.
The program runs in a workspace that looks like the repository but has an `artifacts/` of its own.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

BLOCK = re.compile(r"^```(python|console)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def script_of(readme: Path) -> str:
    """The program that runs all blocks of a README; empty when there are none."""
    text = readme.read_text(encoding="utf-8")
    parts = []
    for match in BLOCK.finditer(text):
        where = f"{readme.name}:{text.count(chr(10), 0, match.start()) + 2}"
        if match[1] == "python":
            parts.append(f"# {where}\n{match[2]}")
        else:
            parts.append(f"_readme_blocks.check_console({match[2]!r}, {where!r})\n")
    return "\n".join(["import readme_blocks as _readme_blocks\n", *parts]) if parts else ""


def workspace(root: Path, folder: Path) -> Path:
    """A folder that holds links to what the repository holds, and an artefacts folder of its own."""
    place = folder / "repository"
    (place / "artifacts").mkdir(parents=True)
    for entry in root.iterdir():
        if not entry.name.startswith(".") and entry.name not in ("artifacts", "build"):
            (place / entry.name).symlink_to(entry)
    return place


def run_readme(readme: Path, root: Path, folder: Path, timeout: float = 300) -> subprocess.CompletedProcess:
    """Run all blocks of a README in a workspace under `folder`; failures are told by line."""
    place = workspace(root, folder)
    script = folder / "readme.py"
    script.write_text(script_of(readme), encoding="utf-8")
    env = os.environ | {
        "CHRONOS_ARTIFACTS": str(place / "artifacts"),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
        "PYTHONPATH": str(Path(__file__).parent),
        "COLUMNS": "110",
    }
    command = [sys.executable, str(script)]
    return subprocess.run(command, cwd=place, env=env, capture_output=True, text=True, timeout=timeout)


def check_console(block: str, where: str) -> None:
    """Run the `$ ` lines of a block one after the other and compare what they print."""
    for command, expected in commands_of(block):
        done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
        told = f"{where}: $ {command}\n"
        if done.returncode:
            sys.exit(f"{told}exit code {done.returncode}\n{done.stdout}{done.stderr}")
        if not matches(done.stdout, expected):
            sys.exit(f"{told}--- the README says\n{expected}\n--- it printed\n{done.stdout}{done.stderr}")


def commands_of(block: str) -> list[tuple[str, str]]:
    """(command, expected output) pairs; a command goes on after a backslash."""
    pairs: list[tuple[list[str], list[str]]] = []
    for line in block.splitlines():
        if line.startswith("$ "):
            pairs.append(([line[2:]], []))
        elif pairs and not pairs[-1][1] and pairs[-1][0][-1].endswith("\\"):
            pairs[-1][0].append(line)
        elif pairs:
            pairs[-1][1].append(line)
        elif line.strip():
            raise ValueError(f"a console block opens with a `$ ` line, got {line!r}")
    return [("\n".join(command), "\n".join(expected)) for command, expected in pairs]


def matches(printed: str, expected: str) -> bool:
    """Whether the output is what the README shows; spaces at line ends do not count."""
    pattern = ""
    for line in expected.strip("\n").splitlines():
        if line.strip() == "…":
            pattern += r"(?:[^\n]*\n)*"
        else:
            pattern += "[^\n]*".join(re.escape(piece) for piece in line.rstrip().split("…")) + r"[ \t]*\n"
    lines = [line.rstrip() for line in printed.strip("\n").splitlines()]
    return re.fullmatch(pattern, "".join(line + "\n" for line in lines)) is not None
