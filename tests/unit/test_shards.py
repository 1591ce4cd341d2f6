"""Token shards: what is written is what is read, and nothing else is."""

import json
import tracemalloc

import numpy as np
import pytest

from chronos.console import ChronosError
from chronos.data.documents import Document
from chronos.tokenization import shard_writer
from chronos.tokenization.factory import train_tokenizer
from chronos.tokenization.shard_writer import ShardWriter, write_shards
from chronos.tokenization.shards import TokenShards

TEXTS = ["one lamp\n", "", "naïve 🐈", "four ships and a lighthouse"]


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer("bytes", [])


@pytest.fixture
def small_files(monkeypatch):
    monkeypatch.setattr(shard_writer, "FILE_TOKENS", 10)
    monkeypatch.setattr(shard_writer, "BATCH_BYTES", 7)


def expected_ids(tokenizer, separator):
    return [i for text in TEXTS for i in [*tokenizer.encode(text).tolist(), *([tokenizer.end] * separator)]]


@pytest.mark.parametrize("separator", [True, False])
def test_what_is_written_is_read(tmp_path, tokenizer, small_files, separator):
    index = write_shards(iter(TEXTS), tokenizer, tmp_path / "s", separator=separator)
    ids = expected_ids(tokenizer, separator)
    read = TokenShards(tmp_path / "s", tokenizer.hash)
    assert len(read) == len(ids) == index["tokens"] and len(index["files"]) == -(-len(ids) // 10) > 4
    assert read.bytes == index["bytes"] == len("".join(TEXTS).encode()) and index["documents"] == 4
    for start in range(len(ids) + 1):
        for length in range(len(ids) + 1 - start):
            assert read.read(start, length).tolist() == ids[start : start + length]
    assert read.read(0, 5).dtype == np.int32
    read.verify()
    for start, length in ((-1, 2), (0, len(ids) + 1), (len(ids), 1), (3, -1)):
        with pytest.raises(ChronosError, match="no such tokens"):
            read.read(start, length)


def test_format_on_disk(tmp_path, tokenizer):
    """Little-endian uint16 in one file, and an index that says so."""
    write_shards(["Aé"], tokenizer, tmp_path / "s", separator=True)
    index = json.loads((tmp_path / "s" / "shards.json").read_text())
    assert (tmp_path / "s" / "tokens-00000.bin").read_bytes() == bytes([70, 0, 200, 0, 174, 0, 2, 0])
    assert index["version"] == 2 and index["dtype"] == "uint16" and index["tokenizer"] == tokenizer.hash
    assert index["files"][0]["name"] == "tokens-00000.bin" and index["files"][0]["tokens"] == 4


def test_large_vocabularies_take_four_bytes(tmp_path):
    text = "".join(chr(point) for point in range(0x4E00, 0x4E00 + 65_532 + 5) if not 0xD800 <= point < 0xE000)
    text += "".join(chr(0x1F300 + i) for i in range(2100))
    tokenizer = train_tokenizer("char", [text])
    assert tokenizer.vocab_size > 1 << 16
    write_shards([text], tokenizer, tmp_path / "s", separator=True)
    read = TokenShards(tmp_path / "s")
    assert read.dtype == np.dtype("<u4") and tokenizer.decode(read.read(0, len(read))) == text


def test_writing_holds_little(tmp_path, tokenizer, monkeypatch):
    monkeypatch.setattr(shard_writer, "BATCH_BYTES", 1 << 14)
    texts = ("lamp " * 200 for _ in range(2000))
    tracemalloc.start()
    write_shards(texts, tokenizer, tmp_path / "s", separator=True)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(TokenShards(tmp_path / "s")) == 2000 * 1001
    assert peak < 1_000_000


ROWS = [
    Document("ask: 1? say: one", "", untrained=((0, 8),)),
    Document("plain", ""),
    Document("ab cd ef", "", untrained=((0, 2), (3, 5), (6, 8))),
    Document("given", "", untrained=((0, 5),)),
]


def test_marks_stay_with_their_tokens(tmp_path, tokenizer, small_files):
    """One byte a token, so that ranges of ASCII characters are ranges of tokens."""
    index = write_shards(ROWS, tokenizer, tmp_path / "s", separator=True)
    read = TokenShards(tmp_path / "s")
    read.verify()
    wanted = []
    for row in ROWS:
        trained = [not any(a <= i < b for a, b in row.untrained) for i in range(len(row.text))]
        ids = tokenizer.encode(row.text).tolist()
        wanted += [i if t else -1 for i, t in zip(ids, trained)] + [tokenizer.end]
    assert index["trained_tokens"] == sum(i >= 0 for i in wanted) == read.trained_tokens
    assert index["trained_bytes"] == index["trained_tokens"] - len(ROWS) == read.trained_bytes
    for start in range(len(wanted)):
        for length in range(len(wanted) - start):
            tokens, targets = read.pairs(start, length)
            assert targets.tolist() == wanted[start + 1 : start + 1 + length]
            assert (tokens == read.read(start, length)).all() and (tokens >= 0).all()


def test_a_token_never_straddles_a_mark(tmp_path):
    learned = train_tokenizer("bpe", ["abab " * 50], 400)
    assert len(learned.encode("abab")) < len(learned.encode("aba")) + len(learned.encode("b"))
    write_shards([Document("abab", "", untrained=((0, 3),))], learned, tmp_path / "s", separator=False)
    assert TokenShards(tmp_path / "s").read(0, 3).tolist()[-1:] == learned.encode("b").tolist()
    with pytest.raises(ChronosError, match="content differs"):
        (tmp_path / "s" / "untrained.bin").write_bytes(bytes(16))
        TokenShards(tmp_path / "s").verify()


@pytest.mark.parametrize("saved", range(5))
def test_a_writer_goes_on_from_the_last_save(tmp_path, tokenizer, small_files, saved):
    """Whatever a dead writer left after its last `save`, the result is that of one writer."""
    whole = write_shards(ROWS, tokenizer, tmp_path / "whole", separator=True)
    dead = ShardWriter(tmp_path / "s", tokenizer, separator=True)
    for i, row in enumerate(ROWS):
        dead.add([row])
        if i + 1 == saved:
            dead.save(i + 1)
    dead.close()
    second = ShardWriter(tmp_path / "s", tokenizer, separator=True)
    assert second.at == (saved or None)
    second.add(ROWS[saved:])
    assert second.finish() == whole
    assert {p.name: p.read_bytes() for p in (tmp_path / "s").iterdir()} == {
        p.name: p.read_bytes() for p in (tmp_path / "whole").iterdir()
    }


@pytest.fixture
def written(tmp_path, tokenizer, small_files):
    write_shards(TEXTS, tokenizer, tmp_path / "s", separator=True)
    return tmp_path / "s"


def refusal(folder, **options):
    with pytest.raises(ChronosError) as caught:
        TokenShards(folder, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_another_tokenizer_is_refused(written):
    assert "made by another tokenizer" in refusal(written, tokenizer_hash="f" * 64)


def test_truncated_missing_and_grown_files_are_refused(written):
    file = written / "tokens-00002.bin"
    whole = file.read_bytes()
    for data in (whole[:-1], whole[:-2], b"", whole + b"\0\0"):
        file.write_bytes(data)
        assert str(file) in refusal(written) and "truncated or missing" in refusal(written)
    file.unlink()
    assert str(file) in refusal(written)


def test_a_flipped_bit_is_found_by_verify(written):
    file = written / "tokens-00001.bin"
    data = bytearray(file.read_bytes())
    data[3] ^= 1
    file.write_bytes(data)
    with pytest.raises(ChronosError, match=r"tokens-00001\.bin: content differs"):
        TokenShards(written).verify()


DAMAGE = {
    "version": lambda d: d.update(version=3),
    "no version": lambda d: d.pop("version"),
    "tokens": lambda d: d.update(tokens=d["tokens"] + 1),
    "tokens a string": lambda d: d.update(tokens="many"),
    "dtype": lambda d: d.update(dtype="float64"),
    "files": lambda d: d.update(files={}),
    "file without name": lambda d: d["files"][0].pop("name"),
    "file elsewhere": lambda d: d["files"][0].update(name="../s/tokens-00000.bin"),
    "negative file": lambda d: d["files"][0].update(tokens=-1),
    "no hash": lambda d: d.pop("tokenizer"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damaged_index_is_one_line(written, name):
    index = json.loads((written / "shards.json").read_text())
    DAMAGE[name](index)
    (written / "shards.json").write_text(json.dumps(index))
    assert "make the shards again" in refusal(written)


def test_no_index(written):
    (written / "shards.json").write_text("[1, 2")
    assert "damaged JSON" in refusal(written)
    (written / "shards.json").write_text("[]")
    assert "unknown version" in refusal(written)
    (written / "shards.json").unlink()
    assert "no token shards here" in refusal(written)


def test_failure_keeps_the_old_shards(written, tokenizer):
    before = {path.name: path.read_bytes() for path in written.iterdir()}

    def broken():
        yield "good"
        raise ChronosError("the source broke")

    for documents in (broken(), [], ["", ""], ["half \ud83d"]):
        with pytest.raises(ChronosError):
            write_shards(documents, tokenizer, written, separator=True)
        assert {path.name: path.read_bytes() for path in written.iterdir()} == before
    assert [path.name for path in written.parent.iterdir() if path.name.endswith(".tmp")] == []
