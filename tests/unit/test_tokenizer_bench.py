"""The tokenizer benchmark measures what it says; its peers learn and give the same (needs them: oracle)."""

import importlib.util

import pytest

from chronos import native
from chronos.console import ChronosError
from chronos.data.stories import stories
from chronos.tokenization import bench_tokenizer

pytestmark = pytest.mark.skipif(not native.available(), reason="needs the C kernels")


@pytest.fixture
def small(monkeypatch, tmp_path):
    """A benchmark of a small vocabulary on a small text of several documents."""
    monkeypatch.setattr(bench_tokenizer, "VOCAB", 500)
    monkeypatch.setattr(bench_tokenizer, "ROUNDS", 2)
    monkeypatch.setattr(bench_tokenizer, "DOCUMENT_BYTES", 4000)
    monkeypatch.delenv("CHRONOS_PEER_PYTHON", raising=False)
    path = tmp_path / "text.txt"
    path.write_text("\n\n".join(stories(60, 1)) + " é世\n", encoding="utf-8")
    return path


def test_what_it_returns_without_peers(small, monkeypatch):
    monkeypatch.setattr(bench_tokenizer, "_installed", lambda name: False)
    found = bench_tokenizer.bench(None, small)
    assert {"ours", "peers", "limit", "ratios", "table"} <= found.keys()
    assert found["peers"] == found["ratios"] == {} and found["missing"] == list(bench_tokenizer.PEERS)
    text = found["text"]
    assert text["bytes"] == small.stat().st_size and text["documents"] > 3 and text["vocab"] == 500
    for figures in found["ours"].values():
        assert figures["train_s"] > 0
        assert figures["encode_tokens_s"] / figures["encode_mb_s"] == pytest.approx(
            text["tokens"] / text["bytes"] * 1e6
        )
    columns, rows = found["table"]
    assert all(len(row) == len(columns) for row in rows) and len(rows) == len(found["ours"]) + 3


def test_what_is_refused(small, monkeypatch, tmp_path):
    with pytest.raises(ChronosError, match="unknown peer"):
        bench_tokenizer.bench("nobody", small)
    monkeypatch.setattr(bench_tokenizer, "_installed", lambda name: False)
    with pytest.raises(ChronosError, match="rustbpe is not installed"):
        bench_tokenizer.bench("rustbpe", small)
    empty = tmp_path / "empty.txt"
    empty.touch()
    with pytest.raises(ChronosError, match="empty"):
        bench_tokenizer.bench(None, empty)


def test_a_peer_that_ends_early_is_one_line(small, monkeypatch):
    """Here: one that is said to be installed, and is not."""
    if importlib.util.find_spec("rustbpe"):
        pytest.skip("rustbpe is here")
    monkeypatch.setattr(bench_tokenizer, "_installed", lambda name: True)
    with pytest.raises(ChronosError, match="ended early"):
        bench_tokenizer.bench("rustbpe", small)


@pytest.mark.oracle
def test_peers_learn_and_give_the_same(small):
    for name in ("tiktoken", "tokenizers"):
        pytest.importorskip(name)
    found = bench_tokenizer.bench(None, small)
    assert found["peers"]["tiktoken"]["same_ids"] and found["peers"]["tokenizers"]["same_ids"]
    assert found["peers"]["tokenizers"]["same_merges"]
    for name, ratios in found["ratios"].items():
        assert all(ratio > 0 for sides in ratios.values() for ratio in sides.values()), name


@pytest.mark.oracle
def test_other_ids_are_no_figure(small, monkeypatch):
    pytest.importorskip("tiktoken")
    wish = bench_tokenizer._wish

    def wrong(*arguments):
        return wish(*arguments) | {"pattern": r"\S+|\s+"}

    monkeypatch.setattr(bench_tokenizer, "_wish", wrong)
    with pytest.raises(ChronosError, match="other ids"):
        bench_tokenizer.bench("tiktoken", small)
