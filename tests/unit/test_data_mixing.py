"""Sources mixed by weight: shares within a document, every stretch alike, and what happens at the end."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronos.console import ChronosError
from chronos.data.corpus.config import Options
from chronos.data.corpus.mixing import Source, mixed, parse_source, units
from chronos.data.corpus.prepare import prepare


def reader(name, sizes):
    return lambda: ((size, f"{name}{i}") for i, size in enumerate(sizes))


@pytest.mark.parametrize("weights", [(40, 30, 20, 10), (0.4, 0.3, 0.2, 0.1), (1,), (0.1, 0.2), (7, 3)])
def test_units_are_in_inverse_proportion_exactly(weights):
    unit = units(weights)
    scaled = {u * round(w * 10) for u, w in zip(unit, weights)}
    assert len(scaled) == 1


@given(st.lists(st.sampled_from([1, 2, 5, 10, 40]), min_size=1, max_size=4), st.integers(1, 50))
def test_every_prefix_has_the_mix(weights, largest):
    readers = [reader(i, [1 + (7 * k + i) % largest for k in range(400)]) for i in range(len(weights))]
    taken = [0] * len(weights)
    for turn, size, _ in mixed(readers, weights):
        taken[turn] += size
        total = sum(taken)
        for got, weight in zip(taken, weights):
            assert abs(got - total * weight / sum(weights)) <= largest * len(weights)


def test_it_ends_with_the_scarcest_or_reads_it_again():
    readers = [reader("a", [10] * 100), reader("b", [10] * 5)]
    once = [item for _, _, item in mixed(readers, (1, 1))]
    assert once == [f"{name}{i}" for i in range(5) for name in "ab"] + ["a5"]
    thrice = [item for _, _, item in mixed(readers, (1, 1), epochs=3)]
    assert thrice.count("b0") == 3 and len(thrice) == 31 and thrice[10:12] == ["a5", "b0"]
    assert list(mixed([reader("a", [])], (1,), epochs=5)) == []


def write(path, name, count, size):
    rows = (f"{name} {i} ".ljust(size, "x") for i in range(count))
    path.write_text("".join(json.dumps({"text": row}) + "\n" for row in rows))
    return str(path)


def mix(tmp_path):
    sizes = {
        "books": (40, 2000, 300),
        "wiki": (30, 3000, 200),
        "arxiv": (20, 900, 150),
        "news": (10, 700, 80),
    }
    return [
        Source(write(tmp_path / f"{name}.jsonl", name, count, size), weight, name)
        for name, (weight, count, size) in sizes.items()
    ]


def test_forty_thirty_twenty_ten(tmp_path):
    stats = prepare(mix(tmp_path), tmp_path / "out")
    rows = [json.loads(line)["text"] for line in (tmp_path / "out" / "train.jsonl").read_text().splitlines()]
    for start in range(0, len(rows) - 500, 250):  # every stretch of 500 documents
        part = rows[start : start + 500]
        total = sum(map(len, part))
        for name, share in (("books", 0.4), ("wiki", 0.3), ("arxiv", 0.2), ("news", 0.1)):
            assert abs(sum(len(row) for row in part if row.startswith(name)) / total - share) < 0.01
    table = {row["name"]: row for row in stats["mix"]}
    assert [row["asked"] for row in stats["mix"]] == [0.4, 0.3, 0.2, 0.1]
    assert all(abs(row["got"] - row["asked"]) < 0.01 and row["passes"] <= 1 for row in stats["mix"])
    assert table["news"]["passes"] > 0.9 and table["books"]["available_documents"] == 2000
    assert sum(row["bytes"] for row in stats["mix"]) == stats["bytes"]
    again = prepare(mix(tmp_path), tmp_path / "twice", options=Options(epochs=2))
    assert again["train"]["documents"] > 1.9 * stats["train"]["documents"]
    assert again["val"]["sha256"] == stats["val"]["sha256"]  # nothing is asked twice
    assert [source["kind"] for source in stats["source"]] == ["file"] * 4


def test_duplicates_between_sources_fall_to_the_first(tmp_path):
    sources = [Source(write(tmp_path / f"{n}.jsonl", "same", 200, 50), 1, n) for n in "ab"]
    (tmp_path / "b.jsonl").write_text((tmp_path / "b.jsonl").read_text() + '{"text": "x"}\n{"text": "y"}\n')
    stats = prepare(sources, tmp_path / "out", options=Options(dedupe="exact"))
    assert [row["available_documents"] for row in stats["mix"]] == [200, 2]


def test_a_source_without_text_is_named(tmp_path):
    (tmp_path / "empty.jsonl").write_text("\n")
    good = Source(write(tmp_path / "a.jsonl", "a", 50, 50))
    with pytest.raises(ChronosError, match=r"empty\.jsonl: there is no text in it"):
        prepare([good, Source(str(tmp_path / "empty.jsonl"))], tmp_path / "out")
    with pytest.raises(ChronosError, match="nothing to prepare"):
        prepare([], tmp_path / "out")


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("a.txt", Source("a.txt")),
        ("a.txt:40", Source("a.txt", 40)),
        ("books=a/:0.5", Source("a/", 0.5, "books")),
        ("books=C:\\x", Source("C:\\x", 1, "books")),
        ("C:\\x:3", Source("C:\\x", 3)),
    ],
)
def test_sources_on_the_command_line(text, source):
    assert parse_source(text) == source


@pytest.mark.parametrize("text", ["", "books=", "a:0", "a:-1", "a:nan", "a:inf", ":5"])
def test_absurd_sources_are_refused(text):
    with pytest.raises(ChronosError):
        parse_source(text)
