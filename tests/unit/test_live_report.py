"""The live-memory report: its numbers against plain counting and published intervals; its forms."""

import json
import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path

import pytest

from chronos.console import ChronosError
from chronos.evaluation import svg
from chronos.evaluation.live import pictures
from chronos.evaluation.live.content import build
from chronos.evaluation.live.interval import estimate, quantile, student, wilson
from chronos.evaluation.live.records import read
from chronos.evaluation.live.report import write_live_report
from chronos.evaluation.live.tally import AGES, OVERWRITES, bucket, bucket_names

EVIL = "</script><script>alert(1)</script> | ``` <img src=x onerror=y> & [a](b)"


@pytest.fixture(scope="session")
def example(load_tool):
    return load_tool("live_example")


@pytest.fixture(scope="module")
def records(example, tmp_path_factory) -> Path:
    """Two lives of 300 mixed events, two seeds, nine conditions."""
    return example.cairo(tmp_path_factory.mktemp("live") / "records")


@pytest.fixture(scope="module")
def made(records, tmp_path_factory) -> tuple[dict, Path]:
    out = tmp_path_factory.mktemp("made")
    return write_live_report(records, out), out


class Page(HTMLParser):
    """Tags, ids, addresses and text of a page; what opens closes."""

    def __init__(self, text: str):
        super().__init__()
        self.open, self.ids, self.addresses, self.tags, self.words = [], [], [], [], ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.ids += [value for name, value in attributes if name == "id"]
        self.addresses += [v for name, v in attributes if name in ("src", "href", "xlink:href", "action")]
        if tag not in ("meta", "br", "img", "link"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, text):
        self.words += text


# ---- intervals and counts ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("right", "n", "low", "high"),
    [  # Brown, Cai, DasGupta (2001) and the R package binom, method "wilson"
        (9, 10, 0.5958, 0.9821),
        (0, 10, 0.0, 0.2775),
        (10, 10, 0.7225, 1.0),
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
    ],
)
def test_wilson_is_the_published_interval(right, n, low, high):
    assert wilson(right, n) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize(
    ("freedom", "value"), [(1, 12.7062), (2, 4.3027), (10, 2.2281), (11, 2.2010), (20, 2.0860), (120, 1.9799)]
)
def test_student_is_the_published_table(freedom, value):
    assert quantile(freedom) == pytest.approx(value, abs=2e-4)


def test_the_interval_over_seeds():
    assert student([0.4, 0.5, 0.6]) == pytest.approx((0.5 - 0.24841, 0.5 + 0.24841), abs=1e-5)
    assert student([0.9, 1.0])[1] == 1.0
    three = estimate({1: (4, 10), 2: (10, 20), 3: (6, 10)})
    assert (three["n"], three["seeds"], three["interval"]) == (40, 3, "t")
    assert three["accuracy"] == pytest.approx(0.5) and three["low"] == pytest.approx(0.25159, abs=1e-5)
    one = estimate({4: (9, 10)})
    assert (one["interval"], one["low"]) == ("wilson", wilson(9, 10)[0])
    same = estimate({1: (10, 10), 2: (20, 20)})
    assert (same["interval"], same["low"]) == ("wilson, seeds agree", wilson(30, 30)[0])


def test_buckets():
    assert [bucket(age, AGES) for age in (0, 9, 10, 99, 100, 10**7)] == [0, 0, 1, 1, 2, 5]
    assert bucket_names(OVERWRITES) == ["0", "1", "2–3", "4–9", "10–99", "100 and more"]
    assert [bucket(n, OVERWRITES) for n in (0, 1, 2, 3, 4, 100)] == [0, 1, 2, 2, 3, 5]


def counted(rows) -> float:
    """The mean over seeds of the share of right answers."""
    shares = []
    for seed in sorted({row.seed for row in rows}):
        mine = [row.right for row in rows if row.seed == seed]
        shares.append(sum(mine) / len(mine))
    return pytest.approx(sum(shares) / len(shares))


def test_every_number_is_what_plain_counting_says(records, made):
    report, rows = made[0], list(read(records).answers())
    assert report["answers"] == len(rows) and report["lives"] == 2 and report["seeds"] == [0, 1, 2]
    for total in report["totals"]:
        mine = [row for row in rows if row.condition == total["condition"]]
        told = [row for row in mine if row.kind != "unknown"]
        assert total["n"] == len(told) < len(mine) == total["with_unknown"]["n"]
        assert total["accuracy"] == counted(told)
        assert total["with_unknown"]["accuracy"] == counted(mine)
    for row in report["by_kind"]:
        mine = [r for r in rows if r.condition == row["condition"] and r.kind == row["kind"]]
        if row["kind"] == "all":
            mine = [r for r in rows if r.condition == row["condition"] and r.kind != "unknown"]
        assert (row["n"], row["accuracy"]) == (len(mine), counted(mine))
    on = [row for row in rows if row.condition == "on"]
    ages, overwrites = bucket_names(AGES), bucket_names(OVERWRITES)
    for cell in report["cells"]:
        age, times = ages.index(cell["age"]), overwrites.index(cell["overwrites"])
        mine = [r for r in on if r.kind == cell["kind"] and bucket(r.age, AGES) == age]
        mine = [r for r in mine if bucket(r.overwrites, OVERWRITES) == times]
        assert (cell["n"], cell["accuracy"]) == (len(mine), counted(mine))
    assert sum(cell["n"] for cell in report["cells"]) == sum(row.kind != "unknown" for row in on)
    for name in ("by_age", "by_overwrites", "by_language"):
        assert sum(row["n"] for row in report[name]) == sum(row.kind != "unknown" for row in on)
    wrong = [row.question for row in on if not row.right]
    assert [row["question"] for row in report["wrong"]] == wrong[:30]


def test_conditions_stand_in_their_order(made):
    names = list(made[0]["conditions"])
    assert names[:3] == ["on", "off", "reset"] and names[-2:] == ["majority", "last 512 words"]
    assert [row["condition"] for row in made[0]["totals"]] == names


def test_the_main_size_is_the_one_asked_under_most_conditions(example, tmp_path):
    def rows(events):
        return [example.answer(events=events)]

    parts = {(1, 1, "on"): rows(20), (1, 1, "off"): rows(20), (1, 2, "on"): rows(5000)}
    one = example.write(tmp_path / "one", parts)
    assert build(read(one))["main"] == 20
    two = example.write(tmp_path / "two", parts | {(1, 2, "off"): rows(5000)})
    report = write_live_report(two, tmp_path / "out")
    assert report["main"] == 5000 and report["shown"] is None
    assert (tmp_path / "out" / "by-events.svg").is_file() and not (
        tmp_path / "out" / "microscope.html"
    ).exists()
    assert "microscope" not in (tmp_path / "out" / "live.html").read_text()


# ---- the forms ---------------------------------------------------------------------------------------------


def test_the_page_says_what_the_data_say(made):
    report, out = made
    assert json.loads((out / "live.json").read_text()) == report
    page = Page((out / "live.html").read_text())
    markdown = (out / "live.md").read_text()
    for row in [*report["totals"], *report["by_kind"]]:
        told = f"{100 * row['accuracy']:.1f}%"
        assert told in page.words and told in markdown
    assert report["headline"] in page.words
    on = next(row for row in report["totals"] if row["condition"] == "on")
    assert f"{100 * on['accuracy']:.1f}% of the answers are right" in report["headline"]
    assert f"{100 * on['low']:.1f}–{100 * on['high']:.1f}" in report["headline"]
    assert "2 seeds of training" in report["headline"]


def test_the_page_stands_alone(made):
    out = made[1]
    text = (out / "live.html").read_text()
    page = Page(text)
    assert "script" not in page.tags
    assert {a for a in page.addresses if not a.startswith("#")} == {"microscope.html"}
    assert (out / "microscope.html").is_file()
    assert len(page.ids) == len(set(page.ids)), "ids of the pictures clash"
    assert text.count("<svg") == 3 == len(list(out.glob("*.svg")))
    assert not any(colour in text for colour in svg.VARIABLES)
    for name in ("by-kind", "by-age", "by-overwrites"):
        assert ET.fromstring((out / f"{name}.svg").read_text()).tag.endswith("svg")
        assert f"({name}.svg)" in (out / "live.md").read_text()


def test_what_comes_from_records_is_escaped(example, tmp_path):
    rows = [example.answer(), example.answer(question=EVIL, given=EVIL, kind="<b>|$^$")]
    made = example.write(tmp_path / "r", {(1, 1, "on"): rows, (1, 1, "<i>|$^$"): rows})
    write_live_report(made, tmp_path / "out")
    page = Page((tmp_path / "out" / "live.html").read_text())
    assert EVIL in page.words and not {"script", "img", "b", "i"} & set(page.tags)
    for line in (tmp_path / "out" / "live.md").read_text().splitlines():
        assert not re.search(r"(?<!\\)<(script|img|b|i)", line)
    lines = (tmp_path / "out" / "live.md").read_text().splitlines()
    assert "| condition | right | 95% interval | from | with “unknown” | questions |" in lines
    assert r"| kind | questions | on | \<i\>\|$^$ | on, 95% interval |" in lines
    for head, row in zip(lines, lines[2:]):
        if head.startswith("| ") and row.startswith("| "):
            assert len(re.findall(r"(?<!\\)\|", head)) == len(re.findall(r"(?<!\\)\|", row))


def test_without_matplotlib_the_extra_is_named(records, tmp_path, monkeypatch):
    monkeypatch.setattr(svg, "available", lambda: False)
    monkeypatch.setattr(pictures, "available", lambda: False)
    write_live_report(records, tmp_path)
    text = (tmp_path / "live.html").read_text()
    assert "<svg" not in text and "pip install -e &#x27;.[plots]&#x27;" in text


def test_the_same_records_give_the_same_bytes(records, made, tmp_path):
    write_live_report(records, tmp_path)
    for path in made[1].iterdir():
        assert (tmp_path / path.name).read_bytes() == path.read_bytes(), path.name


def test_one_question_is_enough(example, tmp_path):
    unknown = example.answer(kind="unknown", answer="I don't know", given="I don't know", age=0)
    made = example.write(tmp_path / "r", {(1, 1, "on"): [unknown]})
    report = write_live_report(made, tmp_path / "out")
    assert report["totals"] == [] and "nobody was told" in report["headline"]


def test_damaged_records_leave_nothing(example, tmp_path):
    made = example.write(tmp_path / "r", {(1, 1, "on"): [example.answer()]})
    with open(made / "answers.jsonl", "a") as file:
        file.write("{")
    with pytest.raises(ChronosError, match=r"answers\.jsonl:2"):
        write_live_report(made, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_no_memory_no_report(example, tmp_path):
    made = example.write(tmp_path / "r", {(1, 1, "gpt"): [example.answer()]})
    with pytest.raises(ChronosError, match="memory on"):
        write_live_report(made, tmp_path / "out")


def test_the_lesson_runs_and_its_tables_are_current(load_tool, root, tmp_path):
    readme = root / "06-evaluation" / "live" / "README.md"
    done = load_tool("readme_blocks").run_readme(readme, root, tmp_path)
    assert done.returncode == 0, done.stderr
    assert load_tool("readme_files").render(readme, root) == readme.read_text(encoding="utf-8")
