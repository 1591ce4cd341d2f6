"""Where artefacts live, how many threads run, and how a mapping becomes a checked dataclass.

A leaf helper that every stage may import. It knows no configuration class: each stage has its own.
"""

import contextlib
import dataclasses
import difflib
import os
import platform
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from chronos.console import ChronosError

T = TypeVar("T")
_threads: int | None = None


def artifacts() -> Path:
    """The folder of everything that the stages make ($CHRONOS_ARTIFACTS or ./artifacts)."""
    return Path(os.environ.get("CHRONOS_ARTIFACTS") or "artifacts")


def threads() -> int:
    """Threads for BLAS, Numba and native alike: `--threads`, else all cores this process may use."""
    if _threads is not None:
        return _threads
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def set_threads(n: int) -> None:
    """Fix the number of threads for this process."""
    global _threads
    if n < 1:
        raise ChronosError("threads must be at least 1", got=n)
    _threads = n


def build(cls: type[T], mapping: Mapping[str, Any], where: str = "") -> T:
    """Make a (nested) dataclass from plain data; unknown keys and wrong types are errors with a remedy."""
    if not isinstance(mapping, Mapping):
        raise ChronosError(f"{where or cls.__name__} must be a mapping", got=repr(mapping))
    hints = typing.get_type_hints(cls)
    known = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    values = {}
    for key, value in mapping.items():
        name = f"{where}.{key}" if where else str(key)
        if key not in known:
            raise ChronosError(f"unknown setting {name!r}", mend=did_you_mean(str(key), known))
        values[key] = coerce(value, hints[key], name)
    missing = [name for name, field in known.items() if name not in values and _required(field)]
    if missing:
        raise ChronosError(f"missing setting {', '.join(missing)}", where=where or cls.__name__)
    return cls(**values)


def _required(field: dataclasses.Field) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def did_you_mean(word: str, known: typing.Iterable[str]) -> str:
    """The nearest known name (`-` and `_` are the same), or all of them."""
    names = {name.replace("-", "_"): name for name in sorted(known)}
    near = difflib.get_close_matches(word.replace("-", "_"), names, n=1, cutoff=0.5)
    return f"did you mean {names[near[0]]!r}?" if near else f"known: {', '.join(names.values())}"


def coerce(value: Any, hint: Any, name: str) -> Any:
    """Bring a YAML, environment or command-line value to the type that the field declares.

    PyYAML reads `1e-4` as a string and `on` as a boolean; the field's type decides, not the parser.
    """
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        return _coerce_union(value, typing.get_args(hint), name)
    if dataclasses.is_dataclass(hint):
        return value if isinstance(value, hint) else build(hint, value, name)
    if origin in (tuple, list):
        items = [item.strip() for item in value.split(",")] if isinstance(value, str) else value
        if not isinstance(items, list | tuple):
            raise ChronosError(f"setting {name!r} needs a list", got=repr(value))
        inner = (typing.get_args(hint) or (str,))[0]
        return origin(coerce(item, inner, name) for item in items)
    try:
        return _SCALARS[hint](value)
    except (KeyError, TypeError, ValueError, OverflowError):
        kind = getattr(hint, "__name__", str(hint))
        raise ChronosError(f"setting {name!r} needs {kind}", got=repr(value)) from None


def _coerce_union(value: Any, options: tuple[Any, ...], name: str) -> Any:
    """The first of the types that takes the value; None only where it is one of them."""
    if value is None and type(None) in options:
        return None
    *first, last = (option for option in options if option is not type(None))
    for option in first:
        try:
            return coerce(value, option, name)
        except ChronosError:
            continue
    return coerce(value, last, name)


def _to_bool(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    words = {"true": True, "yes": True, "on": True, "1": True}
    words |= {"false": False, "no": False, "off": False, "0": False}
    return words[str(value).strip().lower()]


def _to_int(value: Any) -> int:
    if isinstance(value, bool):
        raise TypeError
    try:
        if isinstance(value, int | str):
            return int(value)  # exact; a float would lose the low digits of a 64-bit seed
    except ValueError:
        pass  # "1e4" is a whole number too
    number = float(value)
    if number != int(number):
        raise ValueError
    return int(number)


def _to_float(value: Any) -> float:
    if isinstance(value, bool):
        raise TypeError
    return float(value)


def _to_str(value: Any) -> str:
    if isinstance(value, bool):  # YAML's `on`/`off`/`yes`/`no`
        return "on" if value else "off"
    if isinstance(value, str | int | float | Path):
        return str(value)
    raise TypeError


_SCALARS = {bool: _to_bool, int: _to_int, float: _to_float, str: _to_str}


def dump(instance: Any) -> dict[str, Any]:
    """The plain data of a configuration, to be saved with what it made; tuples are lists, as in JSON."""
    return _plain(dataclasses.asdict(instance))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, tuple | list) else value


def machine() -> str:
    """The machine in a line, for results: processor, threads, and the kernels that BLAS chose."""
    import numpy
    from threadpoolctl import threadpool_info

    name = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):  # Linux: the processor's own name
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        name = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), name)
    blas = ", ".join(f"{i['internal_api']} {i.get('architecture', '')}".strip() for i in threadpool_info())
    return f"{name}, {threads()} threads, NumPy {numpy.__version__} ({blas})"
