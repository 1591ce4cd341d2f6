"""The command line: flags, one-line errors with exit codes, `--json`, threads, bench and doctor.

Commands here are made up and registered through a module that takes the place of one stage's commands.
"""

import importlib
import inspect
import json
import os
import subprocess
import sys
import time
from types import ModuleType, SimpleNamespace

import pytest

from chronos import bench, cli, console, doctor, settings


@pytest.fixture
def command(monkeypatch):
    """`command(function)` puts `chronos go [--batch_size N] [--kind a|b] [words …]` in the place of 01's."""

    def use(function):
        def register(commands):
            go = commands.add_parser("go", help="go somewhere")
            go.add_argument("--batch_size", type=int, default=1)
            go.add_argument("--kind", choices=["fast", "slow"])
            go.add_argument("words", nargs="*")
            set_things = commands.add_parser("set", help="take settings")
            set_things.add_argument("--steps")
            set_things.add_argument("overrides", nargs="*")
            set_things.set_defaults(run=function)
            go.set_defaults(run=function)

        module = ModuleType("chronos.data.commands")
        module.register = register
        monkeypatch.setitem(sys.modules, "chronos.data.commands", module)

    return use


def raising(error):
    def run(_args):
        raise error

    return run


# ---- flags -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("flag", ["--batch_size", "--batch-size", "--batch_size=7"])
def test_dash_and_underscore_are_the_same(command, flag):
    seen = []
    command(lambda args: seen.append(args))
    assert cli.main(["go", flag, *([] if "=" in flag else ["7"])]) == 0
    assert seen[0].batch_size == 7
    assert seen[0].given == {"--batch-size"}


def test_values_are_left_as_they_are():
    argv = ["go", "--a_b=c_d", "e_f", "model.n_heads=3", "--", "--g_h"]
    assert cli.normalise(argv) == ["go", "--a-b=c_d", "e_f", "model.n_heads=3", "--", "--g_h"]


@pytest.mark.parametrize("argv", [["--json", "--threads", "2", "go"], ["go", "--json", "--threads=2"]])
def test_global_flags_stand_before_or_after_the_command(command, argv, capsys):
    command(lambda args: {"threads": settings.threads(), "json": args.json})
    assert cli.main(argv) == 0
    assert json.loads(capsys.readouterr().out) == {"threads": 2, "json": True}


def test_threads_reach_blas_and_native(command, monkeypatch):
    import threadpoolctl

    from chronos import native

    def run(_args):
        blas = [pool["num_threads"] for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"]
        return {"blas": blas, "native": native.info()["threads"], "env": os.environ["OMP_NUM_THREADS"]}

    seen = []
    command(lambda args: seen.append(run(args)))
    for name in cli.BLAS_VARIABLES:
        monkeypatch.setenv(name, "9")
    before = native.info()["threads"]
    with threadpoolctl.threadpool_limits(limits=None):
        try:
            assert cli.main(["go", "--threads", "1"]) == 0
        finally:
            native.set_threads(before)
    assert set(seen[0]["blas"]) <= {1}  # none is listed for macOS' Accelerate
    assert (seen[0]["native"], seen[0]["env"]) == (1, "1")


@pytest.mark.parametrize("before", [None, "9"])
def test_blas_is_told_not_to_spin_for_long_unless_somebody_has_said_something(command, monkeypatch, before):
    monkeypatch.delenv("OPENBLAS_THREAD_TIMEOUT", raising=False)
    if before:
        monkeypatch.setenv("OPENBLAS_THREAD_TIMEOUT", before)
    seen = []
    command(lambda args: seen.append(os.environ["OPENBLAS_THREAD_TIMEOUT"]))
    assert cli.main(["go"]) == 0
    assert seen == [before or cli.BLAS_WAIT]
    code = "import sys, chronos.cli as c; c.build_parser(); print('numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout == "False\n"  # it would be too late


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (["og"], "error: chronos: unknown command 'og'; did you mean 'go'?"),
        (["og", "--batch-size", "3"], "error: chronos: unknown command 'og'; did you mean 'go'?"),
        (["--threads", "2", "og"], "error: chronos: unknown command 'og'; did you mean 'go'?"),
        (
            ["go", "--bach-size", "3"],
            "error: chronos go: unknown flag --bach-size; did you mean '--batch-size'?",
        ),
        (["go", "--qqqqqqq"], "error: chronos go: unknown flag --qqqqqqq; see chronos go --help"),
        (["--jsno", "go"], "error: chronos: unknown flag --jsno; did you mean '--json'?"),
        (["go", "--batch", "3"], "unknown flag --batch; did you mean '--batch-size'?"),
        (["go", "--kind", "fats"], "error: chronos go: unknown --kind 'fats'; did you mean 'fast'?"),
        (["go", "--batch-size", "many"], "invalid int value: 'many'; see chronos go --help"),
        (["go", "--batch-size"], "expected one argument; see chronos go --help"),
        (["go", "-x"], "unrecognized arguments: -x"),
        (["go", "--threads", "0"], "needs a whole number from 1"),
        (["bench"], "error: chronos bench: the following arguments are required: BENCH"),
        (["bench", "trian"], "unknown command 'trian'; did you mean 'train'?"),
    ],
)
def test_usage_errors_are_one_line(command, capsys, argv, told):
    command(raising(AssertionError("must not run")))
    assert cli.main(argv) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert told in err
    assert err.count("\n") == 1


def test_flags_after_a_bare_double_dash_are_words(command):
    seen = []
    command(lambda args: seen.append(args.words))
    assert cli.main(["go", "--", "--a_b"]) == 0
    assert seen == [["--a_b"]]


def test_settings_may_stand_between_flags(command, capsys):
    seen = []
    command(lambda args: seen.append((args.steps, args.overrides)))
    assert cli.main(["set", "a.b=1", "--steps", "3", "c_d=2", "e=--x"]) == 0
    assert seen == [("3", ["a.b=1", "c_d=2", "e=--x"])]
    assert cli.main(["set", "a.b=1", "--steps", "3", "c_d"]) == 2
    assert (
        "error: chronos set: unrecognized arguments: c_d; see chronos set --help" in capsys.readouterr().err
    )


def test_without_a_command_the_help_is_shown(capsys):
    assert cli.main([]) == 2
    assert "usage: chronos" in capsys.readouterr().err


def test_help_and_version_end_with_zero(command, capsys):
    command(print)
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("chronos 0.")
    assert cli.main(["go", "--help"]) == 0
    out = capsys.readouterr().out
    for part in ("go somewhere", "--batch-size", "--json", "--threads"):
        assert part in out


# ---- results and errors ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("result", "code", "printed"),
    [
        ({"a": 1}, 0, {"a": 1}),
        (None, 0, {}),
        (3, 3, None),
        ({"ok": False}, 1, {"ok": False}),
        ({"ok": True}, 0, None),
    ],
)
def test_what_a_command_returns(command, capsys, result, code, printed):
    command(lambda args: result)
    assert cli.main(["go"]) == code
    assert capsys.readouterr().out == ""
    assert cli.main(["go", "--json"]) == code
    out = capsys.readouterr().out
    if printed is not None:
        assert json.loads(out) == printed


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (console.ChronosError("empty", where="a.txt", mend="give more"), 1, "error: a.txt: empty; give more"),
        (console.UsageError("no such preset"), 2, "error: no such preset"),
        (MemoryError(), 1, "error: out of memory; choose a smaller batch"),
        (
            MemoryError("Unable to allocate 9 GiB"),
            1,
            "error: out of memory (Unable to allocate 9 GiB); choose",
        ),
        (RecursionError("maximum depth"), 1, "error: nested too deep"),
        (
            OSError(28, "No space left on device", "x.bin"),
            1,
            "x.bin: No space left on device; free some space",
        ),
        (FileNotFoundError(2, "No such file", "gone.txt"), 1, "error: gone.txt: No such file"),
        (
            ZeroDivisionError("division\nby zero"),
            1,
            "this is a bug in Chronos: ZeroDivisionError: division by zero",
        ),
        (KeyboardInterrupt(), 130, "interrupted"),
        (
            ModuleNotFoundError("", name="numba"),
            1,
            "run `make setup`, then `.venv/bin/chronos go 'two words'`",
        ),
        (ModuleNotFoundError("", name="torch.nn"), 1, "run `.venv/bin/pip install -e '.[oracle]'`"),
    ],
)
def test_each_failure_is_one_line(command, capsys, error, code, told):
    command(raising(error))
    assert cli.main(["go", "two words"]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert told in err
    assert err.count("\n") == 1
    assert "Traceback" not in err


def test_debug_shows_the_traceback_and_the_line(command, capsys):
    command(raising(console.ChronosError("lost")))
    assert cli.main(["go", "--debug"]) == 1
    err = capsys.readouterr().err
    assert "Traceback" in err
    assert "in raising" in err or "in run" in err
    assert err.endswith("error: lost\n")


def test_a_reader_that_leaves_is_no_error(root):
    """`chronos … | head -n 1` stays quiet."""
    code = (
        "import sys; from types import ModuleType, SimpleNamespace as N; from chronos import cli, console\n"
        "m = ModuleType('x'); run = lambda args: [console.say('line') for _ in range(10**5)] and None\n"
        "m.register = lambda c: c.add_parser('go').set_defaults(run=run)\n"
        "sys.modules['chronos.data.commands'] = m; sys.exit(cli.main(['go']))"
    )
    run = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=root
    )
    run.stdout.readline()
    run.stdout.close()
    assert run.stderr.read() == b""
    assert run.wait(10) == 1


def test_help_answers_at_once(root):
    begin = time.monotonic()
    subprocess.run([sys.executable, "-m", "chronos", "--help"], cwd=root, capture_output=True, check=True)
    assert time.monotonic() - begin < 2, "half a second on an idle machine; the rest is for a busy one"


def test_outside_the_environment_one_line_tells_the_way(root, tmp_path):
    """A bare Python that has none of our packages: -S and -E leave the environment out."""
    command = [sys.executable, "-S", "-E", "-m", "chronos", "train", "--resume"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "run `make setup`, then `.venv/bin/chronos train --resume`" in done.stderr


# ---- bench and doctor --------------------------------------------------------------------------------------


def test_bench_hands_over_and_shows_a_table(monkeypatch, capsys):
    result = {"ours": {"q8": {"s": 0.5}}, "peers": {"numpy": 1.0}, "limit": {}, "ratios": {"numpy": 2.0}}
    seen = []
    for module in (
        "chronos.native.bench_native",
        "chronos.training.bench_train",
        "chronos.inference.bench_decode",
    ):
        fake = SimpleNamespace(bench=lambda *args, **kwargs: seen.append((args, kwargs)) or result)
        monkeypatch.setitem(sys.modules, module, fake)
    for kind in ("native", "train", "decode"):
        assert cli.main(["bench", kind, "--peer", "numpy", "--json"]) == 0
    out, err = capsys.readouterr()
    assert [json.loads(line) for line in out.splitlines()] == [result] * 3
    assert "q8.s" in err
    assert [args for args, _ in seen] == [("numpy",)] * 3
    assert bench._flat({}) == []


@pytest.mark.parametrize("module", ["native.bench_native", "training.bench_train", "inference.bench_decode"])
def test_the_benches_take_what_they_are_handed(module):
    bench_of = importlib.import_module(f"chronos.{module}").bench
    assert inspect.signature(bench_of).bind("numpy").args == ("numpy",)


def test_doctor_is_well_here(capsys):
    assert cli.main(["doctor", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["ok"] is True
    assert report["packages"]["numpy"]
    assert not [problem for problem in report["problems"] if problem["essential"]]


@pytest.mark.parametrize(
    ("forced", "flags", "told"),
    [
        ("Haswell", {"avx2", "avx512f"}, True),
        ("SkylakeX", {"avx2", "avx512f"}, False),
        ("Haswell", {"avx2"}, False),
        ("", {"avx512f"}, False),
    ],
)
def test_doctor_tells_when_blas_is_held_back(forced, flags, told):
    problems = []
    doctor._blas(forced, flags, problems)
    assert [problem.mend for problem in problems] == ["unset OPENBLAS_CORETYPE"] * told


def diagnose(capsys) -> tuple[int, str]:
    code = cli.main(["doctor"])
    return code, " ".join(capsys.readouterr().out.split())


def test_doctor_names_a_package_that_hides_ours(monkeypatch, capsys, tmp_path):
    known = doctor.importlib.metadata.packages_distributions
    both = known() | {"chronos": ["chronos-memory", "chronos"]}
    monkeypatch.setattr(doctor.importlib.metadata, "packages_distributions", lambda: both)
    (tmp_path / "chronos.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    code, out = diagnose(capsys)
    assert code == 1
    assert "BROKEN: the package chronos is named `chronos` too and hides ours" in out
    assert "pip uninstall chronos && make setup" in out
    assert f"notice: {tmp_path / 'chronos.py'} hides our package" in out


def test_doctor_names_a_missing_package(monkeypatch, capsys):
    known = doctor.importlib.metadata.version

    def version(name):
        if name in ("numba", "matplotlib"):
            raise doctor.importlib.metadata.PackageNotFoundError(name)
        return known(name)

    monkeypatch.setattr(doctor.importlib.metadata, "version", version)
    code, out = diagnose(capsys)
    assert code == 1
    assert "BROKEN: the package numba is missing; mend: make setup" in out
    assert "the package matplotlib is missing" not in out, "an extra is not essential"


def test_doctor_names_an_unfit_python(monkeypatch, capsys):
    monkeypatch.setattr(doctor, "PYTHONS", ((3, 90), (3, 91)))
    code, out = diagnose(capsys)
    assert code == 1
    assert "is not one of 3.90 to 3.91; mend: rm -rf .venv && make setup" in out


def test_doctor_names_a_library_that_was_not_built(monkeypatch, capsys):
    find = doctor.importlib.util.find_spec
    hidden = "chronos.native._chronos_native"
    monkeypatch.setattr(
        doctor.importlib.util, "find_spec", lambda name: None if name == hidden else find(name)
    )
    monkeypatch.setattr(doctor.shutil, "which", lambda name: None)
    code, out = diagnose(capsys)
    assert code == 0
    assert "notice: the C library is not built" in out
    assert "mend: install a C compiler, then make setup" in out


def test_doctor_names_a_folder_that_cannot_be_written(monkeypatch, capsys):
    monkeypatch.setattr(doctor, "_writable", lambda folder: False)
    code, out = diagnose(capsys)
    assert code == 1
    assert "cannot be written; mend: export CHRONOS_ARTIFACTS=" in out
    assert "Numba cannot write its cache" in out


def test_doctor_names_a_full_disk(monkeypatch, capsys):
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda path: SimpleNamespace(free=2**30))
    code, out = diagnose(capsys)
    assert code == 0
    assert "notice: only 1.0 GiB are free" in out
