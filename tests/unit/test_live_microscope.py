"""The memory microscope: its page holds the records and nothing dangerous, and works in a real browser."""

import json
import re
import shutil
import subprocess
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest

from chronos.console import ChronosError
from chronos.evaluation.live import microscope
from chronos.evaluation.live.microscope import choose, write_microscope
from chronos.evaluation.live.records import read

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
EVIL = (
    "</script><script>document.title='owned'</script><!-- "
    "<img src=x onerror=\"document.title='owned'\"> \u2028 &amp;"
)


@pytest.fixture(scope="session")
def example(load_tool):
    return load_tool("live_example")


@pytest.fixture(scope="module")
def folder(example, tmp_path_factory) -> Path:
    """A life with hostile and Arabic texts; event 3 was not written."""
    events = [example.taken(n, f"Event number {n}.") for n in range(1, 401)]
    events[1] |= {"text": EVIL, "why": EVIL, "date": "2030-05-03"}
    events[2] |= {"text": "انتقلت إلى الجيزة.", "written": False, "why": "known", "surprise": None}
    reads = [
        {"hop": 1, "null": 0.05, "events": [[2, 0.25], [400, 0.7]]},
        {"hop": 2, "null": 0.5, "events": [[7, 0.5]]},
    ]
    rows = [
        example.answer(events=400, t=400, as_of=2, reads=reads),
        example.answer(events=400, t=400, question=EVIL, given=EVIL, reads=[]),
        example.answer(events=400, t=400, question="أين أنا؟", given="الجيزة", answer="الجيزة"),
    ]
    off = [row | {"given": "I don't know", "right": False, "reads": [], "as_of": None} for row in rows]
    guess = [row | {"given": "Nowhere", "right": False, "reads": [], "as_of": None} for row in rows]
    parts = {(1, 5, "on"): rows, (1, 5, "off"): off, (0, 5, "majority"): guess}
    parts |= {(2, 5, "on"): off, (1, 6, "on"): [example.answer()]}
    return example.write(tmp_path_factory.mktemp("live") / "records", parts, {5: events})


@pytest.fixture(scope="module")
def page(folder, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("page") / "microscope.html"
    write_microscope(read(folder), path, seed=1, life=5)
    return path


class Scripts(HTMLParser):
    """The scripts, addresses and tags of a page, as a browser would find them."""

    def __init__(self, text: str):
        super().__init__()
        self.scripts, self.inside, self.tags, self.addresses = [], False, [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.addresses += [v for name, v in attributes if name in ("src", "href", "action", "srcset", "data")]
        self.inside = tag == "script"
        self.scripts += [""] * self.inside

    def handle_endtag(self, tag):
        self.inside = self.inside and tag != "script"

    def handle_data(self, data):
        if self.inside:
            self.scripts[-1] += data


def test_the_page_holds_the_records(folder, page):
    found = Scripts(page.read_text())
    assert len(found.scripts) == 2 and "img" not in found.tags
    data = json.loads(found.scripts[0])
    columns = {name: i for i, name in enumerate(data["columns"])}
    events = read(folder).life(5)
    assert [row[columns["text"]] for row in data["events"]] == [event.text for event in events]
    assert data["events"][1][columns["text"]] == EVIL.replace("\x85", "")
    assert [data["whys"][row[columns["why"]]] for row in data["events"]] == [event.why for event in events]
    assert [row[columns["written"]] for row in data["events"]][:4] == [1, 1, 0, 1]
    assert data["events"][2][columns["surprise"]] is None
    first, second, third = data["questions"]
    assert set(first["under"]) == {"on", "off", "majority"}
    assert first["under"]["on"]["given"] == "Giza", "seed 2 is not shown"
    assert first["under"]["on"]["asOf"] == 2
    assert first["under"]["on"]["reads"][0] == {"hop": 1, "null": 0.05, "events": [[2, 0.25], [400, 0.7]]}
    assert (second["question"], third["question"]) == (EVIL, "أين أنا؟")
    assert [condition["name"] for condition in data["about"]["conditions"]] == ["on", "off", "majority"]


def test_nothing_is_fetched_and_nothing_becomes_markup(page):
    text = page.read_text()
    found = Scripts(text)
    assert found.addresses == []
    assert "default-src 'none'" in text
    assert not re.search(r"url\(|@import|https?:", text)
    script = found.scripts[1]
    for danger in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function("):
        assert danger not in script
    assert "{{" not in text.replace(found.scripts[0], "")


def test_a_long_life_is_shown_in_part(folder, tmp_path, monkeypatch):
    whole = write_microscope(read(folder), tmp_path / "whole.html", 1, 5)
    monkeypatch.setattr(microscope, "LIMIT", whole - 9000)
    size = write_microscope(read(folder), tmp_path / "part.html", 1, 5)
    assert whole - 9600 < size <= whole - 9000 == microscope.LIMIT
    data = json.loads(Scripts((tmp_path / "part.html").read_text()).scripts[0])
    numbers = [row[0] for row in data["events"]]
    assert {2, 7, 17} < set(numbers), "what was read is kept"
    rest = sorted(set(numbers) - {2, 7, 17})
    assert rest == list(range(rest[0], 401)) and rest[0] > 50, "and then the latest"
    assert numbers == sorted(numbers) and data["about"]["events"] == 400


def test_too_many_questions_and_too_long_a_text(example, tmp_path, monkeypatch):
    monkeypatch.setattr(microscope, "LIMIT", 120_000)
    rows = [example.answer(question=f"أين {i}?", events=20) for i in range(600)]
    rows[-1]["reads"] = [{"hop": 1, "null": 0, "events": [[3, 1]]}]
    events = [example.taken(n, "ميم" * 700_000 if n == 17 else "Then.") for n in range(1, 21)]
    made = example.write(tmp_path / "r", {(1, 1, "on"): rows}, {1: events})
    assert write_microscope(read(made), tmp_path / "page.html", 1, 1) < 120_000
    data = json.loads(Scripts((tmp_path / "page.html").read_text()).scripts[0])
    assert 50 < len(data["questions"]) < 600 == data["about"]["questions"]
    assert len(data["events"]) == 20 and data["events"][16][3] == ("ميم" * 667)[:2000] + "…"


def test_ten_thousand_events_fit(example, tmp_path):
    text = "I moved from Nasr City to Basateen with all that I have. " * 2
    events = [example.taken(n, text, date="2030-01-01", why=f"surprise 1.{n % 97}") for n in range(1, 10_001)]
    rows = [example.answer(events=10_000, t=10_000, question=f"Where {i}?") for i in range(300)]
    made = example.write(tmp_path / "r", {(1, 1, "on"): rows}, {1: events})
    assert write_microscope(read(made), tmp_path / "page.html", 1, 1) < 3_000_000
    assert len(json.loads(Scripts((tmp_path / "page.html").read_text()).scripts[0])["events"]) == 10_000


def test_which_life_is_shown(folder):
    records = read(folder)
    assert choose(records, 400) == {"seed": 1, "life": 5} == choose(records, 20)
    records.lives = ()
    assert choose(records, 400) is None


@pytest.mark.parametrize(("seed", "life", "told"), [(1, 6, "were not recorded"), (3, 5, "memory on")])
def test_what_is_not_there_is_refused(folder, tmp_path, seed, life, told):
    with pytest.raises(ChronosError, match=told):
        write_microscope(read(folder), tmp_path / "page.html", seed, life)
    assert not (tmp_path / "page.html").exists()


# ---- in a browser ------------------------------------------------------------------------------------------

STEPS = """
    const tell = (id, value, event) => { byId(id).value = value; byId(id).dispatchEvent(new Event(event)); };
    const press = (...keys) => keys.forEach((key) =>
        document.activeElement.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true })));
    const steps = {
        "at first": () => {},
        "an event": () => { location.hash = "#e=3&if=on"; },
        "keys": () => { byId("list").focus(); press("ArrowUp", "End", "PageUp", "Home", "ArrowDown"); },
        "the end": () => { press("End"); },
        "a question": () => { document.querySelector("#detail .reads-list a").click(); },
        "off": () => { document.querySelector("#conditions input[id=if-1]").click(); },
        "filter": () => tell("filter", "right with the memory, wrong here", "change"),
        "search": () => { tell("filter", "all questions", "change"); tell("search", "أين", "input"); },
        "back": () => { history.back(); },
    };
    (async () => {
        const seen = {};
        for (const [name, step] of Object.entries(steps)) {
            step();
            await new Promise((after) => setTimeout(after, 100));
            seen[name] = document.documentElement.outerHTML;
        }
        document.body.replaceChildren(document.createElement("pre"));
        document.querySelector("pre").textContent = JSON.stringify(seen);
    })();
"""


@pytest.fixture(scope="module")
def seen(page, tmp_path_factory) -> dict[str, str]:
    """What a browser's document holds after each of the STEPS."""
    if not BROWSER:
        pytest.skip("needs chromium")
    place = tmp_path_factory.mktemp("browser")
    copy = place / "copy.html"
    copy.write_text(page.read_text().replace("</body>", f"<script>{STEPS}</script></body>"))
    told = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--window-size=1200,800", "--dump-dom"]
    told += ["--virtual-time-budget=20000", f"--user-data-dir={place / 'profile'}", copy.as_uri()]
    done = subprocess.run(told, capture_output=True, text=True, timeout=60, check=True)
    return json.loads(unescape(done.stdout[done.stdout.index("<pre>") + 5 : done.stdout.rindex("</pre>")]))


def detail(dom: str) -> str:
    """The text of what is told about the chosen event or question."""
    part = dom[dom.index('<article id="detail"') : dom.index("</article>")]
    return unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", part)))


def options(dom: str) -> int:
    """How many rows of the list exist."""
    return len(re.findall(r'role="option"', dom))


def test_a_question_in_a_browser(seen):
    dom = seen["at first"]
    assert "<title>Memory microscope: life 5</title>" in dom, "no text of the life was run"
    told = detail(dom)
    assert "Answer Giza ✓ right" in told and "the time up to step 2, 2030-05-03" in told
    assert told.index("70.0% Event number 400.") < told.index("25.0% </script><script>")
    assert "5.0% nothing that fits" in told and "Hop 2 reads 50.0% Event number 7." in told
    assert "majority Nowhere ✗ wrong" in told
    assert options(dom) == 3


def test_an_event_in_a_browser(seen):
    dom, told = seen["an event"], detail(seen["an event"])
    assert "Not written known" in told and "Surprise not measured" in told
    assert "no question can read it" in told
    assert '<h2 dir="auto">انتقلت إلى الجيزة.</h2>' in dom
    assert 5 < options(dom) < 60, "of 400 events only those in sight exist"


def test_keys_in_a_browser(seen):
    told = detail(seen["keys"])
    assert "Event 2 of 400" in told and "Read by 1 question, in 1 hop 25.0% Where am I?" in told
    assert "Event 400 of 400" in detail(seen["the end"])
    assert 'aria-posinset="2" aria-selected="true"' in seen["keys"], "it is in sight again"
    row = re.search(r'<div[^>]*aria-selected="true"[^>]*>', seen["the end"])[0]
    assert 'aria-posinset="400"' in row and 5 < options(seen["the end"]) < 60
    assert f'aria-activedescendant="{re.search(r"row-[0-9]+", row)[0]}"' in seen["the end"]


def test_switching_the_memory_off_in_a_browser(seen):
    assert "Answer Giza ✓ right" in detail(seen["a question"])
    told = detail(seen["off"])
    assert "Answer I don't know ✗ wrong" in told and "Nothing was read from a memory." in told
    assert "off: the memory is there, and not read. 0 of 3 answers are right." in seen["off"]


def test_searching_in_a_browser(seen):
    assert "2 of 3 questions" in seen["filter"] and options(seen["filter"]) == 2
    assert "1 of 3 questions" in seen["search"] and options(seen["search"]) == 1


def test_going_back_in_a_browser(seen):
    assert "Event 400 of 400" in detail(seen["back"])
