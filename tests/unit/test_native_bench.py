"""`chronos bench native`: what it compares, refuses and reports, with peers that are made up or NumPy alone.

ggml itself is asked only where its library is there ($CHRONOS_GGML or llama-cpp-python).
"""

import json
import time
from contextlib import ExitStack
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from chronos import native
from chronos.console import ChronosError
from chronos.native import bench_native, bench_report, plain

if not native.available():
    pytest.skip("needs the C kernels", allow_module_level=True)
from chronos.native import bench_ggml, bench_peers, compiled
from chronos.native.bench_peers import Turn, Weights

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def as_before():
    before, isa = native.info()["threads"], native.info()["isa"]
    yield
    native.set_threads(before)
    compiled.choose_isa(isa)


@pytest.fixture
def weights():
    return Weights("Q8_0", np.random.default_rng(0).standard_normal((48, 256), np.float32))


@pytest.fixture
def short(monkeypatch):
    """A run of a moment: two types, three small cases, two threads."""
    monkeypatch.setattr(bench_native, "TYPES", ("Q4_0", "INT4"))
    cases = (((64, 64), False, (1, 8)), ((32, 64), True, (1,)))
    monkeypatch.setattr(bench_native, "CASES", cases)
    monkeypatch.setattr(bench_native, "SPREAD", 5000)
    monkeypatch.setattr(bench_native, "CELL", 0.001)
    monkeypatch.setattr(bench_native, "TURN", 0.0001)
    monkeypatch.setattr(bench_native, "LEAST", 2)
    native.set_threads(2)


# ---- the run -----------------------------------------------------------------------------------------------


def test_a_run_has_its_parts(short, monkeypatch, tmp_path):
    result = bench_native.bench("numpy")
    assert {"ours", "peers", "limit", "ratios", "targets", "machine", "table"} == result.keys()
    names = [f"{case}, {n}" for n in ("1 thread", "2 threads") for case in ("64² n=1", "64² n=8")]
    names += [f"32×64 n=1 from memory, {n}" for n in ("1 thread", "2 threads")]
    for qtype in ("Q4_0", "INT4"):
        assert list(result["ours"][qtype]) == names
        for case in names:
            ours, theirs = result["ours"][qtype][case], result["peers"]["numpy"][qtype][case]
            ratio = result["ratios"]["numpy"][qtype][case]
            assert ratio == pytest.approx(theirs["us"] / ours["us"], rel=0.01, abs=0.001)
            assert ours["us"] > 0 and theirs["kind"] == "numpy"
            limit, share = result["limit"][qtype][case], result["ratios"]["limit"][qtype][case]
            assert share == pytest.approx(limit["us"] / ours["us"], rel=0.01, abs=0.001)
    assert list(result["ratios"]["Q4_0"]) == ["INT4"] and native.info()["threads"] == 2
    # from memory only what fits beside it: no second type of ours
    assert not [case for case in result["ratios"]["Q4_0"]["INT4"] if "memory" in case]
    bench_report.save(result, tmp_path / "p.json", "made so")
    kept = json.loads((tmp_path / "p.json").read_text())
    assert kept["command"] == "made so" and kept["ours"] == result["ours"] and "table" not in kept
    ElementTree.parse(tmp_path / "p.svg")
    bench_report.show(kept)


def test_what_is_asked_for_is_named_and_what_lacks_is_told(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(bench_ggml, "folder", lambda given: None)
    with pytest.raises(ChronosError, match="unknown peer"):
        bench_native.bench("nobody")
    with pytest.raises(ChronosError, match=r"ggml is not installed.*CHRONOS_GGML"):
        bench_native.bench("ggml")
    monkeypatch.setattr(bench_peers, "Torch", lambda: __import__("there_is_no_such_module"))
    assert [peer.name for peer in bench_native._peers(None, None)] == ["ours", "numpy"]
    told = capsys.readouterr().out.splitlines()
    assert len(told) == 2 and told[0].startswith("without ggml: ") and told[1].startswith("without torch: ")


def test_without_the_kernels_there_is_nothing_to_measure(monkeypatch):
    monkeypatch.setattr(native, "available", lambda: False)
    with pytest.raises(ChronosError, match="nothing to measure"):
        bench_native.bench()


def test_turns_are_interleaved_and_rest():
    calls = []
    runs = {name: lambda name=name: calls.append(name) or time.sleep(0.002) for name in "ab"}
    after = {"b": lambda: calls.append("sleep")}
    begun = time.perf_counter()
    found = bench_native.interleaved(runs, 0, after, {"a": 0.1})
    assert time.perf_counter() - begun > bench_native.LEAST * 0.1
    turns = "".join(call[0] for call in calls).split("s")  # what b does last, between its rests
    assert len(turns) == bench_native.LEAST + 1 and turns[-1] == ""
    assert [turn.strip("b") == "" for turn in turns[1:-1]] == [True, False] * 2  # a b | b | a a b | b | …
    assert len(turns[1]) in (3, 5, 7)  # 2, 3 or 4 calls are timed, and one less before them
    assert set(found) == {"a", "b"} and all(0.002 <= value < 0.05 for value in found.values())


def test_another_product_is_refused_and_a_slow_way_dropped():
    y = np.ones((2, 3), np.float32)

    def turn(result, seconds):
        return Turn(lambda: time.sleep(seconds), 1, 1, lambda: result)

    turns = {("ours", "ours"): turn(y, 0.004), ("ggml", "plain"): turn(1.1 * y, 0.02)}
    turns["ggml", "repacked"] = turn(0.9 * y, 0.002)
    bench_native._check(turns)
    assert bench_native._hopeful(turns) == [("ours", "ours"), ("ggml", "repacked")]
    turns["ggml", "plain"] = turn(-y, 0)
    with pytest.raises(ChronosError, match=r"ggml \(plain\) computes another product"):
        bench_native._check(turns)


# ---- who takes part ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [1, 8])
@pytest.mark.parametrize("spread", [0, 100_000])
def test_ours_does_the_products_that_it_counts(weights, rows, spread):
    held = Weights(weights.qtype, weights.w, spread)
    x = np.random.default_rng(1).standard_normal((rows, 256), np.float32)
    with ExitStack() as stack:
        makers = bench_peers.Ours().hold(held, stack)
        turn, limit = makers["ours"](x), makers["limit"](x)
        turn.run()
    np.testing.assert_array_equal(turn.result(), native.matmul(x, native.pack(weights.blocks)))
    copies = -(-spread // weights.blocks.nbytes) or 1
    assert (
        turn.products == (copies if spread else bench_peers.REPEATS) and turn.nbytes == weights.blocks.nbytes
    )
    if limit is not None:
        limit.run()
        assert rows > 1 or limit.products == turn.products


def test_numpy_holds_float32(weights):
    x = np.random.default_rng(1).standard_normal((3, 256), np.float32)
    turn = bench_peers.Numpy().hold(Weights("Q4_0", weights.w, 3 * weights.w.nbytes), ExitStack())["numpy"](x)
    turn.run()
    np.testing.assert_allclose(turn.result(), x @ weights.w.T, rtol=1e-5)
    assert turn.products == 3


def test_where_ggml_is_looked_for(monkeypatch, tmp_path):
    monkeypatch.delenv("CHRONOS_GGML", raising=False)
    monkeypatch.setattr(bench_ggml.importlib.util, "find_spec", lambda name: None)
    assert bench_ggml.folder() is None
    package = tmp_path / "llama_cpp"
    (package / "lib").mkdir(parents=True)
    spec = type("Spec", (), {"origin": str(package / "__init__.py")})
    monkeypatch.setattr(bench_ggml.importlib.util, "find_spec", lambda name: spec)
    assert bench_ggml.folder() is None
    (package / "lib" / "libggml.so").write_bytes(b"no library")
    assert bench_ggml.folder() == package / "lib"
    with pytest.raises(ChronosError, match="libggml is not there"):
        bench_ggml.folder(tmp_path)
    monkeypatch.setenv("CHRONOS_GGML", str(tmp_path))
    with pytest.raises(ChronosError, match="libggml is not there"):
        bench_ggml.folder()
    with pytest.raises(ChronosError, match="cannot be used"):
        bench_ggml.Ggml(package / "lib")


@pytest.mark.parametrize("qtype", bench_native.TYPES)
def test_ggml_computes_our_product(qtype):
    place = bench_ggml.folder()
    if place is None:
        pytest.skip("needs libggml")
    w = np.random.default_rng(0).standard_normal((64, 512), np.float32)
    ggml = bench_ggml.Ggml(place)
    for threads in (2, 1):
        ggml.set_threads(threads)
        for rows, spread in ((1, 0), (9, 0), (1, 100_000)):
            x = np.random.default_rng(1).standard_normal((rows, 512), np.float32)
            weights = Weights(qtype, w, spread)
            with ExitStack() as stack:
                makers = ggml.hold(weights, stack)
                assert "plain" in makers
                for make in makers.values():
                    turn = make(x)
                    turn.run()
                    turn.rest()
                    exact = x @ native.dequantize(native.quantize(w, "Q4_0" if qtype == "INT4" else qtype)).T
                    assert np.linalg.norm(turn.result() - exact) < 0.02 * np.linalg.norm(exact)


# ---- limits ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("isa", native.info()["isas"])
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_reading_leaves_nothing_out(isa, threads):
    data = np.random.default_rng(0).integers(0, 256, 3_000_001, np.uint8)
    compiled.choose_isa(isa)
    native.set_threads(threads)
    for size in (0, 255, 256, 511, 768, 4096 + 256, len(data)):
        for times in (1, 2, 7):
            assert compiled.read(data[:size], times) == plain.read(data[:size], times)
    assert compiled.read(data) != compiled.read(data[256:])


@pytest.mark.parametrize("isa", native.info()["isas"])
def test_peaks_count_what_they_do(isa):
    compiled.choose_isa(isa)
    for kind in compiled.PEAKS:
        native.set_threads(1)
        one = compiled.peak(kind, 1000)
        native.set_threads(2)
        assert compiled.peak(kind, 3000) == 6 * one
        if isa == "portable":
            assert one == 0
    if isa.startswith("avx"):
        assert (
            compiled.peak("float32", 1) > 0
            and compiled.peak("int8", 1) >= 4 * compiled.peak("float32", 1) / 1.5
        )


def test_a_peak_is_not_faster_than_twice_as_much_work():
    """A compiler that found a shorter way to the sums would not take longer for more of them."""
    native.set_threads(1)
    for kind in compiled.PEAKS:
        if compiled.peak(kind, 1):
            spent = []
            for rounds in (100_000, 400_000):
                runs = []
                for _ in range(5):
                    begun = time.perf_counter()
                    compiled.peak(kind, rounds)
                    runs.append(time.perf_counter() - begun)
                spent.append(min(runs))
            assert spent[1] > 2 * spent[0]
            assert compiled.peak(kind, 400_000) / spent[1] < 8e12  # more than any core does


# ---- what is reported --------------------------------------------------------------------------------------


def test_targets_take_the_worst_of_their_cases():
    ratios = {"ggml": {"Q4_0": {"512² n=1, 1 thread": 3.0, "4096² n=1, 1 thread": 2.6}}}
    ratios["ggml"]["Q4_0"] |= {"4096² n=1 from memory, 1 thread": 1.2, "512² n=1, 2 threads": 0.1}
    ratios["ggml"]["Q4_0"] |= {"512² n=8, 1 thread": 9.0, "512² n=512, 1 thread": 2.0}
    ratios["limit"] = {"F16": {"4096² n=1 from memory, 2 threads": 0.96, "512² n=1, 2 threads": 0.1}}
    found = {(t["cases"], t["type"], t["threads"]): t for t in bench_report.targets({"ratios": ratios})}
    assert found["one row, from a cache", "Q4_0", "1"]["reached"] == 2.6
    assert found["one row, from memory", "Q4_0", "1"]["reached"] == 1.2
    assert found["8 to 512 rows", "Q4_0", "1"]["case"] == "512² n=512"
    assert found["one row, from memory", "F16", "all"]["reached"] == 0.96
    assert len(found) == 4


def test_the_saved_figures_are_this_codes():
    """The file that the README shows has every part, and its picture is drawn from it."""
    kept = json.loads((ROOT / "native/results/products.json").read_text(encoding="utf-8"))
    assert kept["command"].startswith("python native/bench_native.py")
    assert set(kept["ours"]) == set(bench_native.TYPES)
    assert bench_report.targets(kept) == kept["targets"]
    assert (ROOT / "native/results/products.svg").read_text(encoding="utf-8") == bench_report.picture(kept)
