"""Records of questions: what is written is read, in parts that survive a crash; damage is named by line."""

import json
from pathlib import Path

import pytest

from chronos.console import ChronosError
from chronos.data.cairo.life import Life
from chronos.data.decoding import DamageError
from chronos.data.lives import majority as shares
from chronos.data.lives import score
from chronos.evaluation.live.readers import READERS, without_model
from chronos.evaluation.live.records import Writer, check, read
from chronos.evaluation.live.rows import Read, parse_answer


@pytest.fixture(scope="session")
def example(load_tool):
    return load_tool("live_example")


@pytest.fixture
def folder(example, tmp_path) -> Path:
    """Two seeds, one life of 20 events."""
    rows = [example.answer(), example.answer(question="أين أنا؟", language="ar", given="لا أعرف", as_of=None)]
    events = [example.taken(n) for n in range(1, 21)]
    parts = {(2, 7, "on"): rows, (1, 7, "on"): rows, (1, 7, "off"): [example.answer(reads=[], given="")]}
    return example.write(tmp_path / "records", parts, {7: events})


def listing(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def damage(path: Path, number: int, **fields) -> str:
    """Change fields of a row (None removes one); returns file:line as an error should name it."""
    lines = path.read_text().splitlines(keepends=True)
    row = json.loads(lines[number - 1]) | fields
    row = {name: value for name, value in row.items() if value != "remove"}
    lines[number - 1] = json.dumps(row) + "\n"
    path.write_text("".join(lines))
    return f"{path}:{number}"


def test_what_is_written_is_read(folder, example):
    assert sorted(listing(folder)) == ["about.json", "answers.jsonl", "lives/7.jsonl"]
    records = read(folder)
    found = list(records.answers())
    assert records.about == example.ABOUT
    assert [(row.seed, row.condition, row.right) for row in found] == [
        (1, "off", False), (1, "on", True), (1, "on", False), (2, "on", True), (2, "on", False),
    ]  # fmt: skip
    assert found[1].reads == (Read(1, 0.1, ((17, 0.8),)),)
    assert found[2].question == "أين أنا؟" and found[2].as_of is None
    assert records.lives == (7,)
    events = records.life(7)
    assert [event.n for event in events] == list(range(1, 21))
    assert (events[3].surprise, events[3].written, events[3].why) == (1.5, True, "surprise 1.5 ≥ 1")
    check(records)


def test_the_order_of_writing_does_not_count(example, tmp_path):
    parts = {(seed, 7, name): [example.answer()] for seed in (1, 12) for name in ("on", "as-of off", "a/b")}
    one = example.write(tmp_path / "one", parts)
    two = example.write(tmp_path / "two", dict(reversed(parts.items())))
    assert listing(one) == listing(two)
    assert {row.condition for row in read(one).answers()} == {"on", "as-of off", "a/b"}


@pytest.mark.parametrize("trouble", [KeyboardInterrupt, ChronosError("the model fell"), ZeroDivisionError])
def test_an_interrupted_writer_goes_on(example, tmp_path, trouble):
    out, fed = tmp_path / "records", []

    def rows():
        fed.append(1)
        yield example.answer()

    with pytest.raises(BaseException) as told, Writer(out, "m") as writer:
        writer.about(example.ABOUT)
        writer.life(7, [example.taken(n) for n in range(1, 21)])
        writer.answers(1, 7, "on", rows())
        raise trouble
    assert told.type in (trouble, type(trouble))
    assert not out.exists()
    with Writer(out, "m") as writer:
        assert writer.has(1, 7, "on") and writer.has_life(7)
        assert not writer.has(1, 7, "off") and not writer.has(2, 7, "on") and not writer.has_life(8)
        writer.answers(1, 7, "off", rows())
    assert len(fed) == 2
    assert [row.condition for row in read(out).answers()] == ["off", "on"]
    assert [path.name for path in tmp_path.iterdir()] == ["records"], "nothing is left beside it"


def test_a_part_that_breaks_off_is_not_there(example, tmp_path):
    def rows():
        yield example.answer()
        raise OSError("gone")

    with pytest.raises(ChronosError, match="gone"), Writer(tmp_path / "r", "m") as writer:
        writer.answers(1, 7, "on", rows())
    with pytest.raises(ChronosError), Writer(tmp_path / "r", "m") as writer:
        assert not writer.has(1, 7, "on")


def test_work_of_another_model_is_discarded(example, tmp_path, capsys):
    with pytest.raises(ChronosError, match=r"about\.json"), Writer(tmp_path / "r", "one") as writer:
        writer.answers(1, 7, "on", [example.answer()])
    with pytest.raises(ChronosError), Writer(tmp_path / "r", "two") as writer:
        assert not writer.has(1, 7, "on")
    assert "discarded" in capsys.readouterr().err


def test_old_records_stay_until_the_new_ones_are_whole(folder, example):
    before = listing(folder)
    with pytest.raises(DamageError, match=r"row 2: field 'ms'"), Writer(folder, "new") as writer:
        writer.answers(1, 7, "on", [example.answer(), example.answer(ms=-1)])
    assert listing(folder) == before


def test_other_folders_are_not_replaced(example, tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "letter.txt").write_text("dear")
    with pytest.raises(ChronosError, match="refusing to replace"):
        example.write(tmp_path / "home", {(1, 7, "on"): [example.answer()]})
    assert listing(tmp_path / "home") == {"letter.txt": b"dear"}


def test_contradictions_are_not_kept(example, tmp_path):
    parts = {(1, 7, "on"): [example.answer()], (2, 7, "on"): [example.answer(events=21)]}
    with pytest.raises(DamageError, match="changes its length"):
        example.write(tmp_path / "r", parts)
    assert list(tmp_path.iterdir()) == []


WRONG = [
    ({"seed": -1}, "field 'seed' must be a whole number"),
    ({"life": True}, "field 'life' must be a whole number"),
    ({"events": 0}, "field 'events'"),
    ({"condition": " "}, "field 'condition' must be a text"),
    ({"question": 3}, "field 'question'"),
    ({"given": None}, "field 'given' must be a text"),
    ({"accept": "Giza"}, "field 'accept' must be a list"),
    ({"right": 1}, "field 'right' must be true or false"),
    ({"right": False}, "field 'right' is not what the answers say"),
    ({"given": "Cairo"}, "field 'right' is not what the answers say"),
    ({"ms": "fast"}, "field 'ms'"),
    ({"as_of": 21}, "as of a time to come.*expected ≤ 20.*got 21"),
    ({"as_of": 2.0}, "field 'as_of'"),
    ({"age": 21}, "older than time"),
    ({"t": "remove"}, "field 't' is missing"),
    ({"colour": 1}, "field 'colour' is not known"),
    ({"question": "\ud800"}, "lone surrogate"),
    ({"reads": [{"hop": 1, "null": 0.1}]}, "field 'events' is missing"),
    ({"reads": [{"hop": 1, "null": 1.5, "events": []}]}, "field 'null' must be a share"),
    ({"reads": [{"hop": 1, "null": 0.1, "events": [[1, 0.6], [2, 0.6]]}]}, "do not add up"),
    ({"reads": [{"hop": 1, "null": 0.1, "events": [[1, 0.1], [1, 0.1]]}]}, "do not add up"),
    ({"reads": [{"hop": 1, "null": 0.1, "events": [[21, 0.6]]}]}, "the life does not have.*1 … 20.*got 21"),
    ({"reads": [{"hop": 1, "null": 0.1, "events": [3]}]}, r"is \[number, weight\]"),
    ({"reads": [{"hop": 2, "null": 1, "events": []}, {"hop": 1, "null": 1, "events": []}]}, "hops must rise"),
]


@pytest.mark.parametrize(("fields", "told"), WRONG)
def test_a_wrong_answer_row_is_named(folder, fields, told):
    where = damage(folder / "answers.jsonl", 2, **fields)
    with pytest.raises(DamageError, match=told) as error:
        list(read(folder).answers())
    assert str(error.value).startswith(where)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"n": 2}, "count from 1.*expected 3.*got 2"),
        ({"t": 1}, "time runs backwards"),
        ({"date": "2026-2-30"}, "field 'date'"),
        ({"text": ""}, "field 'text'"),
        ({"surprise": "much"}, "field 'surprise'"),
        ({"written": "yes"}, "field 'written'"),
        ({"why": None}, "field 'why'"),
    ],
)
def test_a_wrong_event_is_named(folder, fields, told):
    where = damage(folder / "lives" / "7.jsonl", 3, **fields)
    with pytest.raises(DamageError, match=told) as error:
        read(folder).life(7)
    assert str(error.value).startswith(where)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"seed": 1}, "answered twice"),
        ({"events": 30}, "changes its length"),
        ({"kind": "at"}, "a question changes"),
        ({"answer": "Cairo", "given": "Cairo"}, "a question changes"),
    ],
)
def test_rows_that_contradict_each_other(folder, fields, told):
    where = damage(folder / "answers.jsonl", 4, **fields)
    with pytest.raises(DamageError, match=told) as error:
        list(read(folder).answers())
    assert str(error.value).startswith(where)


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("about.json", "{", r"about\.json:1: damaged JSON"),
        ("about.json", "[]", "not an object"),
        ("about.json", '{"model": "big"}', "field 'model' must be there"),
        ("answers.jsonl", "", "there is no answer"),
        ("answers.jsonl", "{}\n", r"answers\.jsonl:1: field"),
        ("answers.jsonl", "\xff", r"answers\.jsonl:1"),
        ("lives/seven.jsonl", "", "named by its number"),
        ("lives/8.jsonl", "", "there is no event"),
    ],
)
def test_damaged_files_are_one_line(folder, name, text, told):
    (folder / name).write_bytes(text.encode("latin-1"))
    with pytest.raises(ChronosError, match=told):
        check(read(folder))


def test_a_life_of_another_length_is_refused(folder, example):
    with open(folder / "lives" / "7.jsonl", "a") as file:
        file.write(json.dumps(example.taken(21)) + "\n")
    with pytest.raises(DamageError, match=r"another life.*expected 20.*got 21"):
        check(read(folder))


def test_no_records_are_one_line(tmp_path):
    with pytest.raises(ChronosError, match=r"no records.*answers\.jsonl.*--suite cairo"):
        read(tmp_path)


def test_nothing_asked_is_refused(example, tmp_path):
    with pytest.raises(ChronosError, match="no answers to record"), Writer(tmp_path / "r", 1) as writer:
        writer.answers(1, 7, "on", [])


def test_right_follows_the_house(example):
    row = {"seed": 1, "life": 1, "condition": "on"}
    for given, right in (("GIZA ", True), ("الجيزة", True), ("Giza!", False)):
        told = example.answer(given=given, accept=["الجيزة"], right=right)
        assert parse_answer({**told, **row}, "here").right is right


def test_readers_without_a_model():
    life = Life(600, 3)
    events, asked = list(life.events()), life.questions(60)
    found = {name: score(asked, without_model(name, events, asked)) for name in READERS}
    common = shares(asked)
    for kind, row in found["majority"]["by_kind"].items():
        assert row["accuracy"] == common[kind]["share"]
    assert found["majority"]["accuracy"] < found["last 512 words"]["accuracy"] < 1
    last = "last 512 words"
    assert found[last]["by_kind"]["now"]["accuracy"] > found[last]["by_kind"]["oneoff"]["accuracy"]
    with pytest.raises(ChronosError, match="no such reader"):
        without_model("oracle", events, asked)
