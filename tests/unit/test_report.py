"""The report of a run: finished, unfinished, damaged; its three forms say what its data say, and no more."""

import json
import re
import shutil
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from chronos.cli import main
from chronos.console import ChronosError
from chronos.data.stories import stories
from chronos.evaluation import content, pictures
from chronos.evaluation.as_markdown import escaped, fenced
from chronos.evaluation.outline import thinned
from chronos.evaluation.run_files import curve, newest_model, read_run, step_seconds
from chronos.evaluation.svg import VARIABLES
from chronos.evaluation.write_report import write_report
from chronos.memory.modeldir import load_model, quantize_model, save_model
from chronos.training.config import resolve
from chronos.training.run import Source, start

SETTINGS = """tokenizer.kind=char model.layers=1 model.heads=2 model.width=32 model.context=16
    train.batch_size=4 train.steps=12 train.warmup=2 train.eval_every=4 train.checkpoint_every=4
    train.sample_tokens=8 train.keep_checkpoints=3 train.eval_tokens=400""".split()
VOID = {"meta", "br", "img", "link", "hr"}


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """A finished run; tests that change it take `run`."""
    folder = tmp_path_factory.mktemp("report")
    (folder / "text.txt").write_text("".join(stories(60, seed=1)), encoding="utf-8")
    start(resolve(overrides=SETTINGS, environment={}), Source(str(folder / "text.txt")), folder / "run")
    return folder / "run"


@pytest.fixture(scope="module")
def made(finished, tmp_path_factory) -> tuple[dict, Path]:
    """Its report, as data and as files."""
    out = tmp_path_factory.mktemp("made")
    return write_report(finished, out), out


@pytest.fixture
def run(finished, tmp_path) -> Path:
    return shutil.copytree(finished, tmp_path / "run")


def unfinish(run: Path, rows: int) -> None:
    """As if it had been killed after so many metrics rows, before its first checkpoint."""
    lines = (run / "metrics.jsonl").read_text().splitlines(keepends=True)
    (run / "metrics.jsonl").write_text("".join(lines[:rows]))
    shutil.rmtree(run / "checkpoints")
    shutil.rmtree(run / "model")
    (run / "result.json").unlink()


def listing(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


class Tags(HTMLParser):
    """Collects tags, ids and addresses, and checks that what opens closes."""

    def __init__(self, text: str):
        super().__init__()
        self.open, self.ids, self.addresses, self.tags = [], [], [], set()
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.ids += [value for name, value in attributes if name == "id"]
        self.addresses += [v for name, v in attributes if name in ("src", "href", "xlink:href", "action")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_a_finished_run(finished, tmp_path):
    before = listing(finished)
    report = write_report(finished, tmp_path / "out")
    assert listing(finished) == before
    assert json.loads((tmp_path / "out" / "report.json").read_text()) == report
    result = json.loads((finished / "result.json").read_text())
    assert report["run"]["finished"]
    assert report["validation"]["final"]["nats_per_token"] == result["val_nats"]
    assert [p["step"] for p in report["validation"]["points"]] == [4, 8, 12]
    losses = [p["nats_per_token"] for p in report["validation"]["points"]]
    assert report["validation"]["best"]["nats_per_token"] == min(losses)
    assert report["validation"]["final"]["perplexity"] == pytest.approx(np.exp(losses[-1]))
    assert report["training"]["tokens"] == 12 * 4 * 16 == report["training"]["points"][-1]["tokens"]
    assert report["cost"]["parameters"] == sum(
        p.data.size for _, p in load_model(Path(result["model_path"])).model.named()
    )
    shards = json.loads((finished / "tokens" / "val" / "shards.json").read_text())
    assert report["data"]["val"]["sha256"] == [shards["files"][0]["sha256"]]
    assert [sample["step"] for sample in report["samples"]] == [4, 8, 12]
    assert report["position"]["step"] == 12
    assert report["problems"] == []
    assert set(report["baselines"]) == {"uniform", "unigram", "bigram"}


def test_the_page_stands_alone(made):
    out = made[1]
    page = (out / "report.html").read_text()
    tags = Tags(page)
    assert page.count("<svg") == 5 == len(list(out.glob("*.svg")))
    assert len(tags.ids) == len(set(tags.ids)), "ids of the pictures clash"
    assert all(address.startswith("#") for address in tags.addresses)
    assert {a[1:] for a in tags.addresses} <= set(tags.ids)
    assert set(re.findall(r"url\(#([^)]*)\)", page)) <= set(tags.ids)
    assert "script" not in tags.tags
    assert "prefers-color-scheme: dark" in page
    assert not any(colour in page for colour in VARIABLES)
    for name in ("loss", "position"):
        text = (out / f"{name}.svg").read_text()
        assert ET.fromstring(text).tag.endswith("svg")
        assert "prefers-color-scheme:dark" in text


def test_numbers_in_the_page_come_from_the_data(made):
    report, out = made
    for name in ("report.html", "report.md"):
        text = (out / name).read_text()
        for loss in (report["validation"]["final"], *report["baselines"].values()):
            assert f"{loss['nats_per_token']:.4f}" in text
        assert f"{report['cost']['parameters']:,}" in text
        assert f"{report['position']['last_quarter']:.4f}" in text
        assert report["data"]["train"]["sha256"][0] in text


def test_what_comes_from_data_is_escaped(run, tmp_path):
    evil = "<script>alert(1)</script> ``` | & <img src=x onerror=y> ````\n# no heading"
    row = {"kind": "sample", "step": 13, "text": evil}
    with open(run / "metrics.jsonl", "a") as file:
        file.write(json.dumps(row) + "\n")
    environment = json.loads((run / "environment.json").read_text())
    environment["command"] = ["chronos", "<b>|x"]
    (run / "environment.json").write_text(json.dumps(environment))
    write_report(run, tmp_path / "out")
    page = (tmp_path / "out" / "report.html").read_text()
    tags = Tags(page)
    assert not tags.tags & {"script", "img", "b"}
    assert "&lt;script&gt;alert(1)" in page
    text = (tmp_path / "out" / "report.md").read_text()
    assert f"`````text\n{evil}\n`````" in text
    assert "\\<b\\>\\|x" in text


def test_an_unfinished_run_says_so(run, tmp_path, capsys):
    unfinish(run, rows=4)
    (run / "checkpoints").mkdir()
    (run / "checkpoints" / ".step-00000004.1-ab.tmp").mkdir()
    report = write_report(run, tmp_path / "out")
    assert (run / "checkpoints" / ".step-00000004.1-ab.tmp").is_dir(), "it may be written just now"
    assert not report["run"]["finished"]
    assert report["run"]["step"] == 3
    assert report["validation"]["final"] is None
    assert report["position"] is None
    assert report["baselines"]
    page = (tmp_path / "out" / "report.html").read_text()
    Tags(page)
    assert "not finished: it stands at step 3 of 12" in page
    assert "no whole checkpoint yet" in page
    assert "no whole checkpoint yet" in capsys.readouterr().err


def test_killed_between_the_last_step_and_the_model(run):
    assert read_run(run).finished
    (run / "result.json").unlink()
    assert not read_run(run).finished


def test_a_run_that_has_not_begun(run, tmp_path):
    unfinish(run, rows=0)
    (run / "metrics.jsonl").unlink()
    shutil.rmtree(run / "tokens")
    (run / "environment.json").unlink()
    report = write_report(run, tmp_path / "out")
    assert report["training"]["points"] == []
    assert report["baselines"] == {}
    assert len(report["problems"]) == 4
    assert "no training steps" in (tmp_path / "out" / "report.md").read_text()


def test_damaged_lines_are_named_and_left_out(run, tmp_path, capsys):
    lines = (run / "metrics.jsonl").read_bytes().splitlines(keepends=True)
    lines[3] = b'{"kind": "train", "step": 3, "lo\n'
    lines[4] = (
        b'{"kind": "train", "step": 4, "loss": NaN, "lr": 1, "grad_norm": 1, "tokens": 9, "seconds": 1}\n'
    )
    lines[5] = b"[1]\n"
    lines += [b'{"kind": "new kind"}\n', b"\xff\xfe\n", b'{"kind": "sample", "step": 99}\n', lines[1]]
    (run / "metrics.jsonl").write_bytes(b"".join([*lines, b'{"kind": "train", "st']))
    report = write_report(run, tmp_path / "out")
    path = run / "metrics.jsonl"
    assert f"{path}:4: left out, it is not JSON" in report["problems"]
    assert f"{path}:5: left out, loss is nan" in report["problems"]
    assert f"{path}:6: left out, it is not a metrics row" in report["problems"]
    assert f"{path}: 1 more damaged lines left out" in report["problems"]
    assert len(report["problems"]) == 6
    assert f"warning: {path}:4" in capsys.readouterr().err
    assert report["run"]["step"] == 12
    assert [p["step"] for p in report["training"]["points"]][:3] == [1, 2, 5]


def test_a_damaged_checkpoint_is_passed_over(run):
    (run / "checkpoints" / "step-00000012" / "model.safetensors").write_bytes(b"x")
    found = read_run(run)
    assert newest_model(found)[1] == 8
    assert "step-00000012 is passed over" in found.problems[0]


def test_a_moved_run_finds_its_tokens(run, tmp_path):
    moved = run.rename(tmp_path / "moved")
    assert write_report(moved, tmp_path / "out")["baselines"]


@pytest.mark.parametrize("made", ["nothing", "folder", "file"])
def test_what_is_no_run_is_refused(tmp_path, made):
    place = tmp_path / "place"
    if made == "folder":
        place.mkdir()
    elif made == "file":
        place.write_text("x")
    with pytest.raises(ChronosError, match=r"not a run.*chronos train"):
        write_report(place, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_damaged_configuration_is_one_line(run, tmp_path, capsys):
    (run / "config.yaml").write_text("model: [")
    assert main(["report", "--run", str(run), "--out-dir", str(tmp_path / "out")]) == 1
    assert re.fullmatch(r"error: .*config\.yaml:\d+: damaged YAML.*\n", capsys.readouterr().err)


def test_without_matplotlib_the_extra_is_named(finished, tmp_path, monkeypatch):
    monkeypatch.setattr(pictures, "available", lambda: False)
    write_report(finished, tmp_path)
    page = (tmp_path / "report.html").read_text()
    Tags(page)
    assert "<svg" not in page
    assert "pip install -e &#x27;.[plots]&#x27;" in page
    assert "class='bars'" in page


def test_quantized_models_stand_beside(finished, tmp_path):
    loaded = load_model(finished / "model")
    save_model(tmp_path / "q8", quantize_model(loaded.model, "Q8_0")[0], loaded.tokenizer)
    report = write_report(finished, tmp_path / "out", [tmp_path / "q8", finished / "model"])
    small, same = report["quantized"]
    assert (small["qtype"], same["qtype"]) == ("Q8_0", "F32")
    assert same["rise"] == 0
    assert small["rise"] == small["nats_per_token"] - same["nats_per_token"]
    final = report["validation"]["final"]["nats_per_token"]
    assert same["nats_per_token"] == pytest.approx(final, rel=1e-6)  # batches of another size
    assert 0 < abs(small["rise"]) < 0.05
    assert f"{small['rise']:+.4f}" in (tmp_path / "out" / "report.html").read_text()


def test_a_stranger_is_no_quantized_copy(finished, tmp_path):
    from chronos.tokenization.factory import train_tokenizer

    loaded = load_model(finished / "model")
    save_model(tmp_path / "other", loaded.model, train_tokenizer("char", ["z" * 3]))
    with pytest.raises(ChronosError, match=r"vocabulary|another tokenizer"):
        write_report(finished, tmp_path / "out", [tmp_path / "other"])


def test_the_command(finished, tmp_path, capsys):
    assert main(["report", "--run", str(finished), "--out-dir", str(tmp_path), "--json"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["report"] == str(tmp_path / "report.html")
    assert "The run is finished: 12 steps." in captured.err


# ---- the small parts ---------------------------------------------------------------------------------------


def row(step: int, seconds: float, **more: float) -> dict:
    return {
        "step": step,
        "tokens": 10 * step,
        "loss": 1.0,
        "lr": 1.0,
        "grad_norm": 1.0,
        "seconds": seconds,
    } | more


def test_a_resumed_run_starts_its_clock_anew():
    rows = [row(1, 1.0), row(2, 3.0), row(3, 0.5), row(4, 1.0)]
    assert step_seconds(rows).tolist() == [1.0, 2.0, 0.5, 0.5]
    assert [p["tokens_per_s"] for p in curve(rows, 2)] == [20 / 3, 20.0]


def test_a_long_curve_is_averaged_not_sampled():
    rows = [row(i, i, loss=float(i % 10)) for i in range(1, 1001)]
    points = curve(rows, 100)
    assert [p["loss"] for p in points] == [4.5] * 100
    assert points[-1]["step"] == 1000
    assert curve(rows[:3], 100) == [{**p, "tokens_per_s": 10.0} for p in curve(rows[:3], 100)]
    assert curve([], 5) == []


def test_smoothing_keeps_a_straight_line_and_the_ends():
    line = np.arange(100.0)
    assert pictures.smooth(line) == pytest.approx(line)
    noise = np.where(np.arange(400) % 2, 1.0, -1.0)
    assert np.abs(pictures.smooth(noise)[20:-20]).max() < 0.06
    assert pictures.smooth(np.array([3.0])).tolist() == [3.0]


def test_thinning_keeps_both_ends():
    assert thinned(list(range(100)), 5) == [0, 25, 50, 74, 99]
    assert thinned([1, 2], 5) == [1, 2]


def test_markdown_escapes():
    assert escaped("a|b\n# *c* <d> [e](f) `g`") == r"a\|b \# \*c\* \<d\> \[e\](f) \`g\`"
    assert fenced("a") == "```text\na\n```"
    assert fenced("x ```` y").startswith("`````text\n")


def test_the_commit_is_that_of_this_checkout(monkeypatch):
    assert set(content.git_state()) == {"commit", "changed"}
    monkeypatch.setattr(content, "_git", lambda folder, *words: str(Path.cwd().anchor))
    assert content.git_state() == {"commit": None, "changed": None}
