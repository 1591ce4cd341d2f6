"""Loss on any text, loss by position, and baselines, each against a second, slower way of computing it."""

import json
import math
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from chronos.architecture.tape import no_grad
from chronos.cli import main
from chronos.console import ChronosError, Progress
from chronos.data.documents import Document
from chronos.data.stories import stories
from chronos.evaluation import baselines as baselines_module
from chronos.evaluation.baselines import baselines
from chronos.evaluation.by_position import by_position, token_nats
from chronos.evaluation.find_model import default_model_path, find_model, shipped_model_path
from chronos.evaluation.held_out import Watched, count_tokens, evaluate, measure, open_tokens
from chronos.memory.config import config_from
from chronos.memory.model import Model
from chronos.memory.modeldir import quantize_model, save_model
from chronos.tokenization.factory import train_tokenizer
from chronos.tokenization.shard_writer import write_shards
from chronos.tokenization.shards import TokenShards
from chronos.training.lanes import Lanes
from chronos.training.validate import validate

CONTEXT = 16
TEXTS = list(stories(40, seed=3))


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer("bpe", TEXTS, 400)


@pytest.fixture(scope="module")
def model(tokenizer) -> Model:
    """Untrained, but with weights large enough that losses differ from token to token."""
    shape = {"layers": 2, "heads": 2, "width": 32, "context": CONTEXT, "vocabulary": tokenizer.vocab_size}
    made = Model(config_from(shape), seed=5)
    for p in made.parameters().values():
        p.data *= 3 if p.data.ndim > 1 else 1
    return made


@pytest.fixture(scope="module")
def shards(tokenizer, tmp_path_factory) -> TokenShards:
    folder = tmp_path_factory.mktemp("shards")
    write_shards(TEXTS, tokenizer, folder / "val", separator=True)
    return TokenShards(folder / "val")


def slow_nats(model: Model, ids: np.ndarray) -> list[float]:
    """−log p of every id but the first, window by window, by a softmax in float64."""
    found = []
    for start in range(0, len(ids) - 1, CONTEXT):
        row = ids[start : start + CONTEXT + 1].astype(np.int64)
        with no_grad():
            logits = model.logits(model(row[None, :-1]).hidden)[0].astype(np.float64)
        logits -= logits.max(1, keepdims=True)
        found += list(np.log(np.exp(logits).sum(1)) - logits[np.arange(len(logits)), row[1:]])
    return found


def test_a_text_is_measured_token_by_token(model, tokenizer, tmp_path):
    path = tmp_path / "a.txt"
    path.write_text(TEXTS[0] * 3, encoding="utf-8")
    found = evaluate(model, tokenizer, path)
    ids = tokenizer.encode(TEXTS[0] * 3)
    nats = slow_nats(model, ids)
    assert len(nats) == len(ids) - 1
    assert found["nats_per_token"] == pytest.approx(np.mean(nats), rel=2e-6)
    assert (found["tokens"], found["bytes"]) == (len(ids), len((TEXTS[0] * 3).encode()))
    bits = found["nats_per_token"] * found["tokens"] / found["bytes"] / math.log(2)
    assert found["bits_per_byte"] == pytest.approx(bits, rel=1e-12)


def test_it_is_the_number_of_training(model, tokenizer, shards):
    with Lanes(2) as lanes:
        trained = validate(model, shards, lanes)
    assert evaluate(model, tokenizer, shards.folder)["nats_per_token"] == trained["nats_per_token"]
    with Lanes(2) as lanes:
        part = validate(model, shards, lanes, limit=50)
    assert measure(model, shards, limit=50)["nats_per_token"] == part["nats_per_token"]


def test_documents_end_as_in_training(tokenizer, tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in TEXTS[:3]), encoding="utf-8")
    with open_tokens(path, tokenizer) as found:
        ids = found.read(0, len(found))
    expected = [id for text in TEXTS[:3] for id in (*tokenizer.encode(text), tokenizer.end)]
    plain = tmp_path / "one.txt"
    plain.write_text(TEXTS[0], encoding="utf-8")
    with open_tokens(plain, tokenizer) as one:
        assert tokenizer.end not in one.read(0, len(one))
    assert ids.tolist() == expected


def test_a_quantized_model_is_measured_too(model, tokenizer, shards):
    small, left = quantize_model(model, "Q8_0")
    assert left == []
    exact, rounded = measure(model, shards), measure(small, shards)
    assert rounded["nats_per_token"] != exact["nats_per_token"]
    assert rounded["nats_per_token"] == pytest.approx(exact["nats_per_token"], abs=0.02)


def test_what_cannot_be_measured_is_refused(model, tokenizer, shards, tmp_path):
    other = train_tokenizer("char", TEXTS)
    with pytest.raises(ChronosError, match="another tokenizer"):
        evaluate(model, other, shards.folder)
    with pytest.raises(ChronosError, match=r"several sets of token shards.*val"):
        evaluate(model, tokenizer, shards.folder.parent)
    (tmp_path / "one.txt").write_text("a")
    with pytest.raises(ChronosError, match="too short to be measured"):
        evaluate(model, tokenizer, tmp_path / "one.txt")
    (tmp_path / "none.txt").write_text("")
    with pytest.raises(ChronosError, match="no text"):
        evaluate(model, tokenizer, tmp_path / "none.txt")
    with pytest.raises(ChronosError, match="gone"):
        evaluate(model, tokenizer, tmp_path / "gone.txt")


def test_unknown_characters_are_counted(tmp_path, capsys):
    tokenizer = train_tokenizer("char", ["abc"])
    (tmp_path / "x.txt").write_text("abcxyabc")
    with open_tokens(tmp_path / "x.txt", tokenizer):
        assert "2 of 8 characters are unknown" in capsys.readouterr().err


def test_progress_comes_to_the_end(model, shards):
    bar = Progress(len(shards), "x")
    with Lanes(2) as lanes:
        validate(model, Watched(shards, bar), lanes)
    assert bar.done == len(shards) - 1


def test_the_default_model_is_where_training_leaves_it_or_the_one_that_is_shipped(
    model, tokenizer, tmp_path, monkeypatch
):
    shipped = tmp_path / "inference" / "demo"
    monkeypatch.setattr("chronos.evaluation.find_model.shipped_model_path", lambda: shipped)
    with pytest.raises(ChronosError, match=r"no model yet.*run `make`"):
        default_model_path()
    save_model(shipped, model, tokenizer)
    assert find_model(None).path == default_model_path() == shipped
    save_model(tmp_path / "artifacts" / "model", model, tokenizer)
    assert find_model(None).path == tmp_path / "artifacts" / "model"


def test_the_shipped_model_lies_in_its_stage_and_is_small(root):
    assert shipped_model_path() == root / "07-inference" / "demo"
    files = list(shipped_model_path().iterdir())
    assert {file.name for file in files} == {"config.json", "model.gguf", "tokenizer.json"}
    assert sum(file.stat().st_size for file in files) <= 2_000_000


# ---- by position -------------------------------------------------------------------------------------------


def test_marked_text_is_read_but_not_counted(model, tokenizer, tmp_path):
    """Of a row, the answer is measured, after the question; by every measure that the report shows."""
    rows = [
        Document(f"{question} {answer}", "", untrained=((0, len(question)),)) for question, answer in ASKED
    ]
    write_shards(rows, tokenizer, tmp_path / "s")
    marked = TokenShards(tmp_path / "s")
    ids = marked.read(0, len(marked))
    nats = np.array(slow_nats(model, ids))
    counted = marked.pairs(0, len(ids) - 1)[1] >= 0
    assert 0 < counted.sum() < len(counted)
    found = measure(model, marked)
    assert found["nats_per_token"] == pytest.approx(nats[counted].mean(), rel=2e-6)
    bits = nats[counted].mean() / math.log(2) * marked.trained_tokens / marked.trained_bytes
    assert found["bits_per_byte"] == pytest.approx(bits, rel=2e-6)
    assert found["bytes"] == sum(len(answer) + 1 for _, answer in ASKED)
    with Lanes(1) as lanes:
        curve = by_position(model, marked, lanes, windows=1)
    part = np.array(curve["nats"])[counted[:CONTEXT]]
    assert part == pytest.approx(nats[:CONTEXT][counted[:CONTEXT]], rel=1e-5)
    for b in curve["bins"]:
        here = slice(b["first"] - 1, b["last"])
        assert b["nats"] == pytest.approx(
            nats[here][counted[here]].mean() if counted[here].any() else 0, rel=1e-5
        )
    assert 0 < counted[:CONTEXT].sum() < CONTEXT and len(ids) > 2 * CONTEXT
    uniform = baselines(marked, marked, tokenizer.vocab_size)
    n = Counter(ids.tolist())
    unigram = [-math.log((n[i] + 1) / (len(ids) + tokenizer.vocab_size)) for i in ids[1:][counted]]
    assert uniform["unigram"]["nats_per_token"] == pytest.approx(np.mean(unigram), rel=1e-9)


ASKED = [
    ("Where is Mia?", "Mia is in the barn."),
    ("Who has the lamp?", "Leo."),
    ("And now?", "Anna has it."),
]


def test_every_token_has_its_own_loss(model, shards):
    rows = shards.read(0, 3 * (CONTEXT + 1)).reshape(3, -1).astype(np.int64)
    found = token_nats(model, rows[:, :-1], rows[:, 1:])
    expected = [slow_nats(model, row) for row in rows]
    assert found.shape == (3, CONTEXT)
    assert np.abs(found - expected).max() < 2e-5


def test_the_mean_over_positions_is_the_loss(model, shards, tmp_path, tokenizer):
    """On one window both are the same tokens; over windows each position is a mean of its own."""
    ids = shards.read(0, CONTEXT + 1)
    text = tokenizer.decode(ids)
    write_shards([text], tokenizer, tmp_path / "one", separator=False)
    one = TokenShards(tmp_path / "one")
    with Lanes(1) as lanes:
        found = by_position(model, one, lanes)
        whole = validate(model, one, lanes)
        many = by_position(model, shards, lanes, windows=7, batch_size=3)
    assert found["windows"] == 1
    assert found["bins"][0]["standard_error"] is None
    assert np.mean(found["nats"][: len(one) - 1]) == pytest.approx(whole["nats_per_token"], rel=1e-6)
    starts = np.linspace(0, len(shards) - 1 - CONTEXT, 7).astype(int)
    slow = [slow_nats(model, shards.read(int(s), CONTEXT + 1)) for s in starts]
    assert many["nats"] == pytest.approx(np.mean(slow, axis=0), abs=1e-5)
    column = np.array(slow)[:, 8:16].mean(1)
    assert many["bins"][-1]["standard_error"] == pytest.approx(column.std(ddof=1) / 7**0.5, rel=1e-4)


@pytest.mark.parametrize("context", [1, 2, 5, CONTEXT])
def test_bins_cover_each_position_once(model, tokenizer, tmp_path, context):
    text = "".join(chr(97 + i % 3) for i in range(200))
    ids = tokenizer.encode(text)
    write_shards([tokenizer.decode(ids[: context + 1])], tokenizer, tmp_path / "s", separator=False)
    with Lanes(1) as lanes:
        found = by_position(model, TokenShards(tmp_path / "s"), lanes)
    covered = [p for b in found["bins"] for p in range(b["first"], b["last"] + 1)]
    assert covered == list(range(1, found["context"] + 1))
    weights = [b["last"] - b["first"] + 1 for b in found["bins"]]
    mean = np.average([b["nats"] for b in found["bins"]], weights=weights)
    assert mean == pytest.approx(np.mean(found["nats"]))


def test_lanes_do_not_change_the_curve(model, shards):
    with Lanes(1) as one, Lanes(2) as two:
        a, b = (by_position(model, shards, lanes, windows=9, batch_size=2) for lanes in (one, two))
    assert a["nats"] == pytest.approx(b["nats"], abs=1e-6)


# ---- baselines ---------------------------------------------------------------------------------------------


def slow_baselines(train: list[int], val: list[int], E: int) -> dict[str, float]:
    n, pairs = Counter(train), Counter(pairwise(train))
    before, kinds = Counter(train[:-1]), Counter(a for a, _ in pairs)

    def unigram(x):
        return (n[x] + 1) / (len(train) + E)

    def bigram(a, x):
        t = max(1, kinds[a])
        return (pairs[a, x] + t * unigram(x)) / (before[a] + t)

    for a in range(E):
        assert sum(bigram(a, x) for x in range(E)) == pytest.approx(1)
    nats = {"uniform": [math.log(E)], "unigram": [-math.log(unigram(x)) for x in val[1:]]}
    nats["bigram"] = [-math.log(bigram(a, x)) for a, x in pairwise(val)]
    return {name: float(np.mean(found)) for name, found in nats.items()}


@pytest.mark.parametrize(("limit", "piece"), [(0, 1 << 20), (0, 7), (40, 7), (10**6, 50)])
def test_baselines_against_dictionaries(tokenizer, shards, tmp_path, monkeypatch, limit, piece):
    monkeypatch.setattr(baselines_module, "PIECE", piece)
    write_shards(TEXTS[:9], tokenizer, tmp_path / "train", separator=True)
    train = TokenShards(tmp_path / "train")
    E = tokenizer.vocab_size
    found = baselines(train, shards, E, limit=limit)
    ids = shards.read(0, min(len(shards), limit + 1) if limit else len(shards)).tolist()
    expected = slow_baselines(train.read(0, len(train)).tolist(), ids, E)
    assert {name: loss["nats_per_token"] for name, loss in found.items()} == pytest.approx(expected, rel=1e-9)
    assert expected["bigram"] < expected["unigram"] < expected["uniform"]
    bits = found["unigram"]["nats_per_token"] * len(shards) / shards.bytes / math.log(2)
    assert found["unigram"]["bits_per_byte"] == pytest.approx(bits)


def test_a_large_vocabulary_has_no_table_of_pairs(tokenizer, shards, monkeypatch):
    monkeypatch.setattr(baselines_module, "PAIRS", 400**2 - 1)
    assert set(baselines(shards, shards, 400)) == {"uniform", "unigram"}
    assert count_tokens(shards, 400).sum() == len(shards)


# ---- the command -------------------------------------------------------------------------------------------


def test_the_command_prints_one_object(model, tokenizer, tmp_path, capsys):
    save_model(tmp_path / "m", model, tokenizer)
    (tmp_path / "a.txt").write_text(TEXTS[0])
    arguments = ["eval", "--model-path", str(tmp_path / "m"), "--data", str(tmp_path / "a.txt"), "--json"]
    assert main(arguments) == 0
    captured = capsys.readouterr()
    found = json.loads(captured.out)
    assert list(found) == ["nats_per_token", "bits_per_byte", "tokens", "bytes"]
    assert found == evaluate(model, tokenizer, tmp_path / "a.txt")
    assert f"{found['nats_per_token']:.4f} nats/token" in captured.err


def test_the_command_fails_in_one_line(tmp_path, capsys):
    assert main(["eval", "--model-path", str(tmp_path), "--data", "x.txt"]) == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert main(["eval", "--data", str(Path(__file__))]) == 1
    assert "give a model of preset gpt" in capsys.readouterr().err  # the one that is shipped writes no texts
