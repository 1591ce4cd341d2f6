"""The native package as a part of a process: ISAs, threads, forks, a missing compiler, the build.

Most of it runs in processes of its own, for the choice of an engine is made once in each.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from chronos import native

ROOT = Path(__file__).resolve().parents[2]
needs_c = pytest.mark.skipif(not native.available(), reason="needs the C kernels")
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


def run(code: str, **env: str) -> subprocess.CompletedProcess:
    """Run Python code in a process of its own, with the best ISA unless `env` says another."""
    around = {name: value for name, value in os.environ.items() if name != "CHRONOS_ISA"}
    command = [sys.executable, "-c", code]
    return subprocess.run(command, env=around | env, capture_output=True, text=True, timeout=60)


def random_problem(b: int, n: int, k: int, qtype: str) -> tuple[np.ndarray, native.QuantTensor]:
    rng = np.random.default_rng(0)
    w = native.quantize(rng.standard_normal((n, k), np.float32), qtype)
    return rng.standard_normal((b, k), np.float32), w


@pytest.fixture(autouse=True)
def threads_as_before():
    before = native.info()["threads"]
    yield
    native.set_threads(before)


# ---- which engine ------------------------------------------------------------------------------------------

DIGEST = """
import numpy as np
from chronos import native
rng = np.random.default_rng(0)
packed = native.quantize(rng.standard_normal((70, 544), np.float32), "Q4_0")
y = native.matmul(rng.standard_normal((9, 544), np.float32), packed)
print(native.info()["isa"], native.available(), y.astype(np.float64).sum(), sep="|")
"""


@pytest.mark.parametrize("isa", native.info()["isas"] + ["plain"] * native.available())
def test_chronos_isa_forces_an_engine(isa):
    done = run(DIGEST, CHRONOS_ISA=isa)
    assert done.returncode == 0 and done.stderr == ""
    name, available, total = done.stdout.split("|")
    assert name == isa and available == str(isa != "plain")
    best = run(DIGEST).stdout.split("|")
    assert abs(float(total) - float(best[2])) < 1e-3
    assert best[0] == native.info()["isas"][-1] or not native.available()


@pytest.mark.parametrize("isa", ["avx9000", "AVX2", "portable "])
def test_an_unknown_isa_is_one_line_at_the_first_use(isa):
    lines = [
        "from chronos import native",
        "try: native.available()",
        "except native.ChronosError as e: print(e)",
    ]
    done = run("\n".join(lines), CHRONOS_ISA=isa)
    assert done.returncode == 0 and len(done.stdout.splitlines()) == 1
    assert "CHRONOS_ISA" in done.stdout and isa in done.stdout


WITHOUT = """
import sys
sys.modules["chronos.native._chronos_native"] = None  # importing it now fails
import numpy as np
from chronos import native
print("imported")
packed = native.quantize(np.eye(32, dtype=np.float32), "Q8_0")
assert np.allclose(native.matmul(np.ones((2, 32), np.float32), packed), 1, rtol=0.01)
assert np.allclose(native.dequantize(packed), np.eye(32), atol=1e-3) and not native.available()
native.set_threads(3)
print(native.info())
"""


def test_without_the_extension_numpy_runs_with_one_notice():
    done = run(WITHOUT)
    assert done.returncode == 0, done.stderr
    assert (
        done.stdout.startswith("imported")
        and "'isa': 'plain'" in done.stdout
        and "'threads': 3" in done.stdout
    )
    assert done.stderr.count("\n") == 1 and done.stderr.startswith("warning: the C kernels are not there")
    assert "make setup" in done.stderr


def test_without_the_extension_an_isa_that_was_asked_for_is_refused():
    done = run(WITHOUT, CHRONOS_ISA="portable")
    assert done.returncode == 1 and "CHRONOS_ISA=portable: the C kernels are not there" in done.stderr


# ---- threads -----------------------------------------------------------------------------------------------


@needs_c
@pytest.mark.parametrize("qtype", native.TYPES)
@pytest.mark.parametrize("shape", [(1, 2048, 512), (70, 1001, 544), (300, 40, 2080)])
def test_results_do_not_depend_on_threads(qtype, shape):
    x, packed = random_problem(*shape, qtype)
    native.set_threads(1)
    alone = native.matmul(x, packed).tobytes()
    for threads in (2, 3, 7, 16):
        native.set_threads(threads)
        assert native.info()["threads"] == threads
        assert native.matmul(x, packed).tobytes() == alone


@needs_c
def test_quantizing_does_not_depend_on_threads():
    w = np.random.default_rng(1).standard_normal((512, 1024), np.float32)
    native.set_threads(1)
    alone = native.quantize(w, "Q4_0").tobytes()
    native.set_threads(3)
    assert native.quantize(w, "Q4_0").tobytes() == alone


@needs_c
def test_python_threads_may_call_at_once():
    """Different products in four threads while a fifth keeps changing the size of the pool."""
    problems = [random_problem(b, 500 + b, 320, "Q8_0") for b in (1, 5, 33, 80)]
    expected = [native.matmul(*problem).tobytes() for problem in problems]
    wrong, end = [], time.monotonic() + 1.0

    def multiply(i: int) -> None:
        while time.monotonic() < end:
            if native.matmul(*problems[i]).tobytes() != expected[i]:
                wrong.append(i)

    def resize() -> None:
        while time.monotonic() < end:
            for threads in (1, 4, 2):
                native.set_threads(threads)

    callers = [threading.Thread(target=multiply, args=(i,), daemon=True) for i in range(4)]
    callers.append(threading.Thread(target=resize, daemon=True))
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(timeout=30)
        assert not caller.is_alive(), "a product hangs"
    assert wrong == []


@needs_c
def test_the_interpreter_runs_during_a_product():
    """Were the lock held, this thread could not look at the clock until the product is done."""
    from chronos.native import compiled

    x, packed = random_problem(64, 4096, 1024, "Q4_0")
    native.set_threads(1)
    compiled.choose_isa("portable")
    try:
        start = time.perf_counter()
        product = threading.Thread(target=native.matmul, args=(x, packed))
        product.start()
        longest, last = 0.0, time.perf_counter()
        while product.is_alive():
            now = time.perf_counter()
            longest, last = max(longest, now - last), now
        took = time.perf_counter() - start
    finally:
        compiled.choose_isa(None)
    assert longest < took * 0.7


FORKS = """
import os, signal, sys, threading
import numpy as np
from chronos import native
signal.alarm(40)  # a child that waits for threads it does not have would wait for ever
rng = np.random.default_rng(0)
packed = native.quantize(rng.standard_normal((600, 320), np.float32), "Q4_0")
x = rng.standard_normal((20, 320), np.float32)
native.set_threads(3)
expected = native.matmul(x, packed).tobytes()
stop = False
def hammer():
    while not stop:
        native.matmul(x, packed)
thread = threading.Thread(target=hammer, daemon=True)
thread.start()
for i in range(20):
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        same = native.matmul(x, packed).tobytes() == expected
        native.set_threads(2 + i % 2)
        same = same and native.matmul(x, packed).tobytes() == expected
        os._exit(0 if same else 1)
    status = os.waitpid(child, 0)[1]
    if status:
        sys.exit(f"child {i}: status {status}")
stop = True
thread.join()
assert native.matmul(x, packed).tobytes() == expected
"""


@needs_c
@needs_fork
def test_a_fork_in_the_middle_of_products():
    done = run(FORKS)
    assert done.returncode == 0, done.stdout + done.stderr


# ---- the build ---------------------------------------------------------------------------------------------


@needs_c
def test_the_extension_is_built_from_these_sources():
    spec = importlib.util.spec_from_file_location("build_native", ROOT / "native" / "build_native.py")
    build = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(build)
    told = "the C sources changed: run `python setup.py build_ext --inplace`"
    assert native.info()["sources"] == build.fingerprint(ROOT / "native"), told


@pytest.mark.parametrize("compiler", ["/bin/false", "/no/such/compiler"])
def test_without_a_compiler_the_build_succeeds_and_leaves_it_out(tmp_path, compiler):
    pytest.importorskip("setuptools", minversion="77")
    folders = ["--build-lib", str(tmp_path / "lib"), "--build-temp", str(tmp_path / "temp")]
    done = subprocess.run(
        [sys.executable, "setup.py", "build_ext", *folders],
        cwd=ROOT,
        env=os.environ | {"CC": compiler},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert "_chronos_native" in done.stderr  # which says that it failed
    assert not list((tmp_path / "lib").rglob("*_chronos_native*"))


@needs_c
def test_every_kernel_agrees_with_its_twin():
    """Among guard pages: one byte too far would end that process."""
    script = ROOT / "native" / "check_kernels.py"
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "WRONG" not in done.stdout and done.stdout.count("good") >= 10 * len(native.info()["isas"])


def test_scripts_tell_what_to_do_outside_of_the_environment(tmp_path):
    for name in ("check_faces.py", "check_fused.py", "check_kernels.py", "bench_fused.py", "bench_native.py"):
        script = shutil.copy(ROOT / "native" / name, tmp_path)
        done = subprocess.run(
            [sys.executable, "-I", "-S", str(script)], capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 1 and "make setup" in done.stderr
        assert len(done.stderr.splitlines()) == 1


@pytest.mark.slow
@pytest.mark.parametrize("sanitizer", ["asan", "tsan", "faces"])
def test_sanitizers(sanitizer, tmp_path):
    """The C alone, and Python's faces over it, under address, undefined-behaviour and thread sanitizers."""
    if not (shutil.which("make") and shutil.which("cc")):
        pytest.skip("needs make and cc")
    command = ["make", "-C", str(ROOT / "native"), sanitizer, f"OUT={tmp_path}", f"PYTHON={sys.executable}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1200)
    if "cannot find" in done.stderr and "san" in done.stderr:
        pytest.skip("the compiler has no sanitizers")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_64_bit_arm_in_an_emulator(tmp_path):
    """Each ISA of ARM against sums in double, where a cross compiler and an emulator are installed."""
    if not shutil.which("make"):
        pytest.skip("needs make")
    command = ["make", "-C", str(ROOT / "native"), "neon", f"OUT={tmp_path}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1200)
    assert done.returncode == 0, done.stdout + done.stderr
    if why := [line for line in done.stdout.splitlines() if line.startswith("skipped")]:
        pytest.skip(why[0])
    assert done.stdout.count("neon_dot") >= 4 and done.stdout.count("neon, packed: good") == 2


@pytest.mark.skipif(not native.available(), reason="the C kernels are not built")
def test_a_late_worker_takes_no_task_of_the_next_job():
    """It would be counted there, and the pool would wait for ever."""
    once = "c.chronos_set_threads(2); c.chronos_empty_jobs(2_000_000)"
    done = run(f"from chronos.native.compiled import lib as c; {once}")
    assert (done.returncode, done.stderr) == (0, "")
