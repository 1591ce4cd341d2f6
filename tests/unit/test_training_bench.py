"""The bench of training: which sides work in turn, and what is made of their rounds.

No step is run here: sides are stand-ins, and expected ratios are worked out by hand.
"""

import contextlib

import pytest

from chronos import native
from chronos.console import ChronosError
from chronos.training import bench_train

SECONDS = {"float32": 2.0, "amp": 1.0, "eager": 5.0, "compiled": 4.0, "bf16": 3.0, "bf16, compiled": 2.5}
BYTES = {"float32": 300, "amp": 300, "eager": 900, "compiled": 800, "bf16": 700, "bf16, compiled": 600}


def kind(wish: dict) -> str:
    """Which side a wish asks for."""
    if "compiled" not in wish:
        return "amp" if wish["amp"] else "float32"
    return next(name for name, more in bench_train.TORCH.items() if more.items() <= wish.items())


@pytest.fixture
def asked(monkeypatch) -> list[tuple[str, str, object]]:
    """(side, program, what it was asked) in order, instead of processes."""
    found = []

    @contextlib.contextmanager
    def side(command, wish):
        def ask(what):
            found.append((kind(wish), command[-1], what))
            later = 1 + 0.5 * (found.count(found[-1]) - 1)  # each round is slower than the one before
            seconds = SECONDS[kind(wish)] * (later if kind(wish) == "amp" else 1)
            return {"seconds": seconds, "peak_rss_bytes": BYTES[kind(wish)]}

        yield ask

    monkeypatch.setattr(bench_train, "side", side)
    monkeypatch.setattr(bench_train, "torch_python", lambda: "python-with-torch")
    monkeypatch.setattr(bench_train, "ROUNDS", 3)
    monkeypatch.setattr(bench_train, "SETTINGS", {"peer": 2})
    monkeypatch.setattr(native, "has_bf16", lambda: True)
    return found


def test_all_sides_take_turns_after_they_are_warm(asked):
    bench_train.bench("torch")
    sides = list(SECONDS)
    assert [who for who, _, _ in asked] == sides * 4
    assert {what for _, _, what in asked[:6]} == {2} and {what for _, _, what in asked[6:]} == {2}
    programs = {who: program.rpartition("/")[2] for who, program, _ in asked}
    assert programs["amp"] == "chronos.training.bench_train" and programs["bf16"] == "bench_torch.py"


def test_ratios_are_of_pairs_and_each_of_ours_beside_the_best(asked):
    result = bench_train.bench("torch")
    found = result["ratios"]["peer"]["torch"]
    assert found["float32"]["compiled"] == {"tokens_per_s": 2.0, "least": 2.0, "peak_rss_bytes": 300 / 800}
    assert set(found["float32"]) == {"eager", "compiled"} and set(found["amp"]) == set(bench_train.TORCH)
    # amp's rounds took 1.5, 2 and 2.5 s: the warm-up was asked the same and counts as the first
    assert found["amp"]["bf16, compiled"]["tokens_per_s"] == 2.5 / 2.0
    assert found["amp"]["bf16, compiled"]["least"] == 1.0
    columns, rows = result["table"]
    tokens = 16 * 256 * 2
    assert [dict(zip(columns, row))["torch's best"] for row in rows] == ["compiled", "bf16, compiled"]
    assert dict(zip(columns, rows[1]))["tokens/s"] == tokens / 2.0
    assert result["ours"]["peer"]["amp"]["rounds"] == [tokens / seconds for seconds in (1.5, 2.0, 2.5)]
    assert dict(zip(columns, rows[0]))["its tokens/s"] == tokens / 4.0
    assert dict(zip(columns, rows[1]))["memory ours/theirs"] == 0.5


def test_without_bf16_only_float32_is_measured(asked, monkeypatch):
    monkeypatch.setattr(native, "has_bf16", lambda: False)
    result = bench_train.bench("torch")
    assert {who for who, _, _ in asked} == {"float32", "eager", "compiled"}
    assert set(result["ours"]["peer"]) == {"float32"}


def test_without_a_peer_ours_alone(asked):
    result = bench_train.bench()
    assert {who for who, _, _ in asked} == {"float32", "amp"}
    assert result["peers"] == {} and "ours/torch" not in result["table"][0]
    with pytest.raises(ChronosError, match="unknown peer"):
        bench_train.bench("jax")
