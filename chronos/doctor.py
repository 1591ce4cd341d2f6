"""`chronos doctor`: what this machine has, what is broken, and the command that mends it.

It changes nothing. A problem is "essential" when the stages cannot run at all; the rest are notices.
"""

import argparse
import importlib.metadata
import importlib.util
import os
import re
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chronos import STAGES, __version__, console, settings

DISTRIBUTION = "chronos-memory"
PYTHONS = ((3, 11), (3, 14))
ROOM_BYTES = 2 << 30  # what `make` and a few runs need


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong and the command that mends it."""

    what: str
    mend: str
    essential: bool = False


def register(commands: Any) -> None:
    """Add `chronos doctor`."""
    doctor = commands.add_parser("doctor", help="what this machine has, what is broken, how to mend it")
    doctor.set_defaults(run=run)


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Look at everything; `ok` is false when something essential is broken."""
    problems: list[Problem] = []
    report: dict[str, Any] = {"ok": True, "chronos": __version__}
    report["python"] = _python(problems)
    report["packages"] = _packages(problems)
    report["install"] = _install(problems)
    report["native"] = _native(problems)
    report["threads"] = settings.threads()
    report["blas"] = _blas(os.environ.get("OPENBLAS_CORETYPE", ""), _processor_flags(), problems)
    report["artifacts"] = _artifacts(problems)
    report["numba_cache"] = _numba_cache(problems)
    report["problems"] = [vars(problem) for problem in problems]
    report["ok"] = not any(problem.essential for problem in problems)
    _show(report, problems)
    return report


def _show(report: dict[str, Any], problems: list[Problem]) -> None:
    rows = []
    for name, value in report.items():
        if name in ("ok", "problems"):
            continue
        shown = ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else value
        rows.append((name, shown))
    console.table("chronos doctor", ("what", "found"), rows)
    for problem in problems:
        console.say(f"{'BROKEN' if problem.essential else 'notice'}: {problem.what}; mend: {problem.mend}")
    if not problems:
        console.say("Everything is well.")


def _python(problems: list[Problem]) -> str:
    low, high = PYTHONS
    if not low <= sys.version_info[:2] <= high:
        span = f"{low[0]}.{low[1]} to {high[0]}.{high[1]}"
        what = f"Python {sys.version.split()[0]} is not one of {span}"
        problems.append(Problem(what, "rm -rf .venv && make setup PYTHON=python3.12", essential=True))
    return sys.version.split()[0]


def _packages(problems: list[Problem]) -> dict[str, str]:
    """Versions of what we depend on; a missing core package is essential, an extra is not."""
    found = {}
    try:
        needs = importlib.metadata.requires(DISTRIBUTION) or []
    except importlib.metadata.PackageNotFoundError:
        problems.append(Problem(f"{DISTRIBUTION} is not installed here", "make setup", essential=True))
        return found
    for need in needs:
        name = re.split(r"[^A-Za-z0-9._-]", need, maxsplit=1)[0]
        if name == DISTRIBUTION:  # an extra that is made of other extras
            continue
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            if "extra ==" not in need:
                problems.append(Problem(f"the package {name} is missing", "make setup", essential=True))
    return found


def _install(problems: list[Problem]) -> str:
    """Where our packages lie; another `chronos` in front of ours, or stages of another copy, are told."""
    here = Path(__file__).resolve().parent
    others = importlib.metadata.packages_distributions().get("chronos", [])
    for other in sorted(set(others) - {DISTRIBUTION}):
        mend = f"{sys.executable} -m pip uninstall {other} && make setup"
        problems.append(Problem(f"the package {other} is named `chronos` too and hides ours", mend, True))
    for rival in _rivals(here):
        problems.append(Problem(f"{rival} hides our package", f"rename {rival} or leave that folder"))
    for name, folder in (*STAGES, ("native", "native")):
        spec = importlib.util.find_spec(f"chronos.{name}")
        place = Path(spec.submodule_search_locations[0]).resolve() if spec else None
        if place not in (here.parent / folder, here / name):
            what = f"chronos.{name} is {'missing' if place is None else f'taken from {place}'}"
            problems.append(Problem(what, "make setup", essential=True))
    return str(here.parent)


def _rivals(here: Path) -> list[Path]:
    """Folders and modules named `chronos` on the path that are not ours."""
    entries = [Path(entry or ".") for entry in dict.fromkeys(sys.path)]
    packages = [entry / "chronos" for entry in entries if (entry / "chronos" / "__init__.py").is_file()]
    modules = [entry / "chronos.py" for entry in entries if (entry / "chronos.py").is_file()]
    return [package for package in packages if package.resolve() != here] + modules


def _native(problems: list[Problem]) -> dict[str, Any]:
    try:
        from chronos import native
    except ImportError as error:
        problems.append(Problem(f"chronos.native cannot be imported: {error}", "make setup", essential=True))
        return {"built": False}
    if importlib.util.find_spec("chronos.native._chronos_native"):
        if not native.available() and os.environ.get("CHRONOS_ISA") != "plain":
            mend = "rm native/_chronos_native* && make setup"
            problems.append(Problem("the C library is there but cannot be loaded", mend))
        return {"built": True, **native.info()}
    names = (os.environ.get("CC", "").split()[:1] or []) + ["cc", "gcc", "clang", "cl"]
    compiler = next((path for name in names if (path := shutil.which(name))), None)
    mend = f"{_hint()}, then make setup"
    if compiler:
        mend = f"make setup; if it fails again, Python's headers may be missing: {mend}"
    problems.append(Problem("the C library is not built: slower NumPy and Numba kernels are used", mend))
    return {"built": False, "compiler": compiler}


def _hint() -> str:
    """The command that brings a compiler to this system."""
    if sys.platform == "darwin":
        return "xcode-select --install"
    if os.name == "nt":
        return "winget install Microsoft.VisualStudio.2022.BuildTools"
    managers = {
        "apt-get": "sudo apt-get install build-essential python3-dev",
        "dnf": "sudo dnf install gcc python3-devel",
        "pacman": "sudo pacman -S base-devel",
        "apk": "sudo apk add build-base python3-dev",
    }
    return next((line for name, line in managers.items() if shutil.which(name)), "install a C compiler")


def _processor_flags() -> set[str]:
    """What the processor can do, as Linux tells it; empty elsewhere."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return set()
    return set(next((line.partition(":")[2] for line in lines if line.startswith("flags")), "").split())


def _blas(forced: str, flags: set[str], problems: list[Problem]) -> str:
    """Which kernels OpenBLAS was told to take: ones without AVX-512 can cost half the speed of training."""
    wide = ("skylakex", "cooperlake", "sapphirerapids", "zen4", "zen5")
    if forced and "avx512f" in flags and forced.lower() not in wide:
        what = f"OPENBLAS_CORETYPE={forced} keeps BLAS from AVX-512: products can take twice as long"
        problems.append(Problem(what, "unset OPENBLAS_CORETYPE"))
    return forced or "chosen by OpenBLAS"


def _artifacts(problems: list[Problem]) -> dict[str, Any]:
    """The folder of artefacts, whether it can be written, and the room on its disk."""
    folder = settings.artifacts().absolute()
    there = next(path for path in (folder, *folder.parents) if path.exists())
    if not _writable(there):
        what = f"the artefacts folder {folder} cannot be written"
        problems.append(Problem(what, "export CHRONOS_ARTIFACTS=/some/folder/of/yours", essential=True))
    free = shutil.disk_usage(there).free
    if free < ROOM_BYTES:
        what = f"only {free / 2**30:.1f} GiB are free beside {folder}"
        problems.append(Problem(what, "free some space or set CHRONOS_ARTIFACTS to another disk"))
    made = (
        sorted(p.name for p in folder.iterdir() if p.is_dir() and p.name[0] != ".") if folder.is_dir() else []
    )
    return {"path": str(folder), "free_GiB": round(free / 2**30, 1), "made": " ".join(made) or "nothing yet"}


def _numba_cache(problems: list[Problem]) -> str:
    """The first place that Numba can keep compiled kernels in; with none, each start compiles anew."""
    spec = importlib.util.find_spec("chronos.architecture")
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    places = [Path(spec.origin).parent / "kernels"] if spec and spec.origin else []
    places.append(Path(home))
    if os.environ.get("NUMBA_CACHE_DIR"):
        places = [Path(os.environ["NUMBA_CACHE_DIR"])]
    for place in places:
        if place.is_dir() and _writable(place):
            return str(place)
    what = "Numba cannot write its cache, so kernels are compiled at every start or refused"
    problems.append(Problem(what, "mkdir -p ~/.cache/numba && export NUMBA_CACHE_DIR=~/.cache/numba", True))
    return "none"


def _writable(folder: Path) -> bool:
    """Whether a file can be made there (a permission bit alone does not tell on a read-only disk)."""
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False
