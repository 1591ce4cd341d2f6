"""The `chronos` command: finds the stages' commands, runs one, turns every failure into one line.

With chronos/bench.py the only place that knows all stages. It holds no work of its own, and imports no
heavy package before a command runs, so that `chronos --help` answers at once.
"""

import argparse
import contextlib
import importlib
import os
import shlex
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from chronos import STAGES, __version__, console, settings

DONE, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130
BLAS_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
BLAS_WAIT = "17"  # 2^17 cycles: OpenBLAS's threads spin as long as native's, not a tenth of a second
EXTRAS = {"torch": "oracle", "tokenizers": "oracle", "matplotlib": "plots"}  # what `make setup` may lack


class Parser(argparse.ArgumentParser):
    """argparse with errors of one line, "did you mean", `_` as `-` in flags, and the global flags."""

    def __init__(self, **options: Any):
        options.setdefault("allow_abbrev", False)
        super().__init__(**options)
        self.set_defaults(parser=self)  # the deepest parser that was reached wins
        everywhere = self.add_argument_group("everywhere")
        give = {"default": argparse.SUPPRESS}
        everywhere.add_argument(
            "--json", action="store_true", help="print one JSON object, nothing else", **give
        )
        everywhere.add_argument("--debug", action="store_true", help="show a traceback on failure", **give)
        everywhere.add_argument(
            "--threads",
            type=_threads,
            metavar="N",
            help="threads of BLAS and native (default: all cores)",
            **give,
        )

    def add_argument(self, *names: str, **options: Any) -> argparse.Action:
        return super().add_argument(*(_normal(name) for name in names), **options)

    def parse_known_args(
        self, args: Sequence[str] | None = None, namespace: Any = None
    ) -> tuple[Any, list[str]]:
        """Look for what is unknown first: argparse would complain about something that is missing."""
        commands, words = self._commands(), iter(args or ())
        for word in words:
            flag = word.partition("=")[0]
            action = self._option_string_actions.get(flag)
            if word == "--" or (commands and not word.startswith("-")):
                break  # a command's own words are looked at by its own parser
            if flag.startswith("--") and action is None:
                known = [name for name in self._option_string_actions if name.startswith("--")]
                near = settings.did_you_mean(flag, known)
                mend = near if near.startswith("did") else f"see {self.prog} --help"
                raise console.UsageError(f"unknown flag {flag}", where=self.prog, mend=mend)
            if commands and action is not None and action.nargs is None and flag == word:
                next(words, None)  # its value
        return super().parse_known_args(args, namespace)

    def parse_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> Any:
        """As argparse's, but settings (key.sub=value) may stand anywhere among a command's flags."""
        found, rest = self.parse_known_args(args, namespace)
        if hasattr(found, "overrides"):
            settings_found = [word for word in rest if "=" in word and not word.startswith("-")]
            found.overrides = [*found.overrides, *settings_found]
            rest = [word for word in rest if word not in settings_found]
        if rest:
            found.parser.error(f"unrecognized arguments: {' '.join(rest)}")
        return found

    def _commands(self) -> dict[str, Any]:
        found = (a.choices for a in self._actions if isinstance(a, argparse._SubParsersAction))
        return next(found, {})

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            what = "command" if isinstance(action, argparse._SubParsersAction) else _name(action)
            mend = settings.did_you_mean(str(value), map(str, action.choices))
            raise console.UsageError(f"unknown {what} {str(value)!r}", where=self.prog, mend=mend)

    def error(self, message: str) -> NoReturn:
        raise console.UsageError(message, where=self.prog, mend=f"see {self.prog} --help")


def _name(action: argparse.Action) -> str:
    return "/".join(action.option_strings) or action.metavar or action.dest


def _threads(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError("needs a whole number from 1")
    return int(text)


def _normal(token: str) -> str:
    """`--batch_size=a_b` → `--batch-size=a_b`: the name is folded, never the value."""
    name, equals, value = token.partition("=")
    return name.replace("_", "-") + equals + value if name.startswith("--") else token


def normalise(argv: Sequence[str]) -> list[str]:
    """Fold `_` to `-` in the names of all flags before a bare `--`."""
    end = argv.index("--") if "--" in argv else len(argv)
    return [_normal(token) for token in argv[:end]] + list(argv[end:])


def build_parser() -> Parser:
    """The whole command tree: each stage registers its own commands, then `bench` and `doctor`."""
    parser = Parser(prog="chronos", description="A language model that remembers, in seven readable stages.")
    parser.add_argument("--version", action="version", version=f"chronos {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    modules = [f"chronos.{stage}.commands" for stage, _ in STAGES] + ["chronos.bench", "chronos.doctor"]
    for name in modules:
        importlib.import_module(name).register(commands)
    _describe(parser)
    return parser


def _describe(parser: argparse.ArgumentParser) -> None:
    """A command's own help opens with the line that its parent's list shows for it."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for listed in action._choices_actions:
                action.choices[listed.dest].description = (
                    action.choices[listed.dest].description or listed.help
                )
            for child in action.choices.values():
                _describe(child)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. 0 done, 1 failed, 2 usage, 130 interrupted; never raises, never calls exit."""
    argv = normalise(sys.argv[1:] if argv is None else list(argv))
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a terminal that lacks a character shows its escape
            stream.reconfigure(errors="backslashreplace")
    try:
        code = _run(argv)
        sys.stdout.flush()
        return code
    except SystemExit as stop:  # argparse after --help and --version
        return stop.code if isinstance(stop.code, int) else DONE
    except BaseException as error:
        if "--debug" in argv:
            traceback.print_exc()
        return _explain(error, argv)


def _run(argv: list[str]) -> int:
    console.json_mode("--json" in argv)
    os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", BLAS_WAIT)  # OpenBLAS reads it when it is loaded
    args = build_parser().parse_args(argv)
    args.given = {token.partition("=")[0] for token in argv if token.startswith("--")}
    args.json, args.debug = getattr(args, "json", False), getattr(args, "debug", False)
    command: Callable[..., Any] | None = getattr(args, "run", None)
    if command is None:
        args.parser.print_help(sys.stderr)
        return USAGE
    _limit_threads(getattr(args, "threads", None))
    result = command(args)
    if isinstance(result, int):
        return result
    if args.json:
        console.emit(result or {})
    return DONE if (result or {}).get("ok", True) else FAILED


def _limit_threads(count: int | None) -> None:
    """One `--threads` for BLAS and native; Numba's kernels are serial."""
    if count is None:
        return
    settings.set_threads(count)
    os.environ.update(dict.fromkeys(BLAS_VARIABLES, str(count)))  # for processes that we start
    import numpy  # noqa: F401  (BLAS must be loaded before it can be limited)
    import threadpoolctl

    from chronos import native

    threadpoolctl.threadpool_limits(limits=count)
    native.set_threads(count)


def _explain(error: BaseException, argv: list[str]) -> int:
    """Say in one line what happened; the exit code."""
    if isinstance(error, BrokenPipeError):  # `chronos … | head`: the reader has seen enough
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    if isinstance(error, KeyboardInterrupt):
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    print("error: " + " ".join(_reason(error, argv).split()), file=sys.stderr)
    return getattr(error, "exit_code", FAILED)


def _reason(error: BaseException, argv: list[str]) -> str:
    match error:
        case console.ChronosError():
            return str(error)
        case ModuleNotFoundError():
            extra = EXTRAS.get((error.name or "").partition(".")[0])
            if extra:
                return f"{error.name} is missing; run `.venv/bin/pip install -e '.[{extra}]'`"
            again = shlex.join([".venv/bin/chronos", *argv])
            return f"{error.name} is missing: not in the environment; run `make setup`, then `{again}`"
        case MemoryError():
            detail = f" ({error})" if str(error) else ""
            return f"out of memory{detail}; choose a smaller batch, context or model"
        case RecursionError():
            return "nested too deep: the input or the configuration contains itself or too many levels"
        case OSError():
            where = f"{error.filename}: " if error.filename else ""
            mend = "; free some space and run the command again" if error.errno == 28 else ""
            return f"{where}{error.strerror or error}{mend}"
    what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return f"this is a bug in Chronos: {what}; run it again with --debug and report what it prints"


if __name__ == "__main__":
    sys.exit(main())
