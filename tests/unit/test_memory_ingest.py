"""`chronos ingest` with a stand-in for the model: what reaches it, what is read again, what is refused."""

from pathlib import Path

import pytest

from chronos import cli
from chronos.data.notes.dates import DAY, HOUR
from chronos.memory.episodes.store import EventStore

pytestmark = pytest.mark.usefixtures("stand_in")

START = 19_846 * DAY  # 2024-05-03


def texts(folder: Path = Path("state")) -> list[str]:
    with EventStore.open(folder) as store:
        return [store.event(i).text for i in range(len(store))]


DIARY = "## 2024-05-03\nI moved to Giza. My cat is called Mishmish.\n\n## 2024-05-10\nI moved to Cairo.\n"


# ---- ingest ------------------------------------------------------------------------------------------------


def test_ingest(tmp_path, chronos):
    (tmp_path / "a.md").write_text(DIARY)
    found = chronos("ingest", "--input", "a.md")
    assert (found["events"], found["written"], found["total"]) == (3, 3, 3)
    assert found["bytes"] == sum(f.stat().st_size for f in Path("state").iterdir())
    assert found["events_per_s"] > 0 and found["warnings"] == []
    with EventStore.open("state") as store:
        assert store.times.tolist() == [START, START, START + 7 * DAY]
        assert [store.event(i).source for i in range(3)] == ["user"] * 3
        assert store.cursor(f"{tmp_path.name}/a.md").done


def test_the_same_again_adds_nothing_and_new_rows_are_added(tmp_path, chronos):
    (tmp_path / "a.md").write_text(DIARY)
    chronos("ingest", "--input", "a.md")
    before = {file.name: file.read_bytes() for file in Path("state").iterdir()}
    again = chronos("ingest", "--input", "a.md")
    assert (again["events"], again["written"], again["total"]) == (0, 0, 3)
    after = {file.name: file.read_bytes() for file in Path("state").iterdir()}
    assert {n: b for n, b in after.items() if n != "head.bin"} == {
        n: b for n, b in before.items() if n != "head.bin"
    }
    (tmp_path / "a.md").write_text(DIARY + "\nIt rains. I drink tea.\n")
    assert chronos("ingest", "--input", "a.md")["events"] == 2
    assert texts()[3:] == ["It rains.", "I drink tea."]


@pytest.mark.parametrize("dies", range(1, 12))
def test_an_interrupted_reading_goes_on(tmp_path, monkeypatch, load_tool, dies):
    kind = load_tool("stand_in").StandIn
    lines = [f"Event number {i} happened." for i in range(11)]
    (tmp_path / "a.txt").write_text("2024-05-03\n" + "\n".join(lines))
    monkeypatch.setattr(kind, "batch", 2)
    monkeypatch.setattr(kind, "dies", dies)
    command = ["ingest", "--input", "a.txt", "--state", "state", "--model-path", "model"]
    assert cli.main(command) == 130
    monkeypatch.setattr(kind, "dies", None)
    assert cli.main(command) == 0
    assert texts() == lines


def test_a_text_that_changed_is_refused_and_nothing_is_written(tmp_path, chronos, stand_in):
    (tmp_path / "a.md").write_text(DIARY)
    chronos("ingest", "--input", "a.md")
    (tmp_path / "b.md").write_text("2024-06-01: New.\n")
    (tmp_path / "a.md").write_text(DIARY.replace("Giza", "Tanta"))
    told = chronos("ingest", "--input", "b.md", "a.md", code=1)
    assert "a.md: this source was read before and has changed since" in told and "another name" in told
    assert len(texts()) == 3 and len(stand_in) == 1


def test_texts_are_read_in_the_order_of_their_times(tmp_path, chronos):
    (tmp_path / "n").mkdir()
    (tmp_path / "n" / "a.md").write_text("2024-05-05: Third.\n")
    (tmp_path / "n" / "b.md").write_text("2024-05-03: First.\n\n2024-05-04: Second.\n")
    found = chronos("ingest", "--input", "n")
    assert texts() == ["First.", "Second.", "Third."] and found["warnings"] == []


def test_texts_that_overlap_are_told_or_sorted(tmp_path, chronos):
    (tmp_path / "a.md").write_text("2024-05-03: One.\n\n2024-05-05: Three.\n")
    (tmp_path / "b.md").write_text("2024-05-04: Two.\n")
    (told,) = chronos("ingest", "--input", "a.md", "b.md")["warnings"]
    assert "counts as more recent all the same" in told and "--sort" in told
    assert chronos("ingest", "--input", "a.md", "b.md", "--state", "s", "--sort")["warnings"] == []
    assert texts(Path("s")) == ["One.", "Two.", "Three."]
    assert chronos("ingest", "--input", "a.md", "b.md", "--state", "s", "--sort")["events"] == 0


def test_a_text_is_not_read_twice_under_two_names(tmp_path, chronos):
    (tmp_path / "n").mkdir()
    (tmp_path / "n" / "a.md").write_text("2024-05-05: One.\n")
    (tmp_path / "b.md").write_text("2024-05-05: Two.\n")
    chronos("ingest", "--input", "n")
    assert chronos("ingest", "--input", "n/a.md")["events"] == 0
    for inputs in (["n", "b.md"], ["n/a.md", "b.md"]):
        told = chronos("ingest", "--input", *inputs, "--sort", code=1)
        assert "n/a.md: this text was read before, with others or by itself" in told
    assert "two texts of one name" in chronos("ingest", "--input", "b.md", "b.md", code=1)
    assert texts() == ["One."]


def test_options_reach_the_reading(tmp_path, chronos):
    (tmp_path / "a.txt").write_text("One. Two.\n\n" + "so we went to the market and then to the river " * 9)
    chronos("ingest", "--input", "a.txt", "--date", "3 May 2024", "--segment", "surprise")
    with EventStore.open("state") as store:
        assert store.times[:2].tolist() == [START, START + HOUR]
    assert texts()[0] == "One. Two." and len(texts()) > 5
    (tmp_path / "b.txt").write_bytes(b"2024-05-03: One.\n\xff\n2024-05-02: Two.\n")
    options = ["--state", "s", "--sort", "--on-damage", "skip"]
    assert "skipped 1 damaged" in chronos("ingest", "--input", "b.txt", *options)["warnings"][0]
    assert texts(Path("s")) == ["Two.", "One."]


def test_a_person_reads_lines(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("a.md").write_text(DIARY)
    assert cli.main(["ingest", "--input", "a.md", "--model-path", "model"]) == 0
    shown = capsys.readouterr().out
    assert "a.md: 3 new events" in shown and "3 of 3 events written" in shown
    assert (tmp_path / "data" / "chronos" / "profiles" / "default" / "memory" / "journal.log").exists()


@pytest.mark.parametrize(
    "name, content, told",
    [
        ("a.md", b"", "there is no event in it"),
        ("a.md", b"## 2024-05-03\nOne.\n## 2024-05-01\nTwo.\n", "a.md:4: time runs backwards"),
        (
            "life.jsonl",
            b'{"t": 2, "text": "a"}\n{"t": 1, "text": "b"}\n',
            "life.jsonl:2: time runs backwards",
        ),
        ("a.txt", b"\0\1\2", "binary data"),
        ("a.txt", b"caf\xe9", "a.txt:1: byte 0xe9 is not UTF-8"),
        ("a.png", b"x", "unknown kind of file"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(tmp_path, chronos, name, content, told):
    (tmp_path / name).write_bytes(content)
    assert told in chronos("ingest", "--input", name, code=1)
    assert not Path("state").exists()


def test_a_store_of_another_model_is_refused(tmp_path, chronos):
    (tmp_path / "a.md").write_text(DIARY)
    chronos("ingest", "--input", "a.md")
    for command in (["ingest", "--input", "a.md"], ["query", "--question", "Where?"]):
        (tmp_path / "a.md").write_text(DIARY + "New.\n")
        told = chronos(*command, "--model-path", "other", code=1)
        assert "a store made by another model" in told and "ingest again into a new store" in told
    assert len(texts()) == 3


def test_a_day_that_is_none(tmp_path, chronos):
    (tmp_path / "a.md").write_text("One.")
    assert "this is no day" in chronos("ingest", "--input", "a.md", "--date", "soon", code=1)
