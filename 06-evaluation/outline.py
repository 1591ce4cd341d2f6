"""The report as an outline: sections of sentences, tables, bars and pictures, the same for every format.

It says what report.json holds and measures nothing; `as_markdown.py` and `as_html.py` give it a form.
"""

from dataclasses import dataclass, field
from typing import Any

import yaml

from chronos.console import duration
from chronos.evaluation.pictures import TITLES
from chronos.evaluation.svg import EXTRA


@dataclass
class Section:
    """One part of a report.

    `bars` are its rows for the eye (name, value, what is told), `pictures` are (name, title), `links` are
    (text, address of a file beside the report), `blocks` are (title, text).
    """

    title: str
    text: list[str] = field(default_factory=list)
    columns: tuple[str, ...] = ()
    rows: list[tuple[str, ...]] = field(default_factory=list)
    bars: list[tuple[str, float, str]] = field(default_factory=list)
    pictures: list[tuple[str, str]] = field(default_factory=list)
    links: list[tuple[str, str]] = field(default_factory=list)
    blocks: list[tuple[str, str]] = field(default_factory=list)


def headline(report: dict[str, Any]) -> str:
    """The report in a sentence or two."""
    run, final = report["run"], report["validation"]["final"]
    state = f"The run is finished: {run['steps']:,} steps."
    if not run["finished"]:
        state = f"The run is not finished: it stands at step {run['step']:,} of {run['steps']:,}."
    if final is None:
        return f"{state} It has not been evaluated yet."
    undecided = ""
    if final["perplexity"] is not None:
        undecided = f": as undecided as between {final['perplexity']:,.3g} equally likely tokens"
    return (
        f"{state} On text that was held back it needs {final['nats_per_token']:.4f} nats per token, "
        f"{final['bits_per_byte']:.4f} bits per byte{undecided}."
    )


def figures(report: dict[str, Any]) -> list[tuple[str, str]]:
    """The handful of numbers at the top, as (name, value); what is not known yet is left out."""
    best, training = report["validation"]["best"], report["training"]
    found = []
    if best:
        found.append(("best validation", f"{best['nats_per_token']:.4f} nats/token"))
        found.append(("best bits per byte", f"{best['bits_per_byte']:.4f}"))
    found.append(("parameters", f"{report['cost']['parameters']:,}"))
    if training["tokens_per_s"]:
        found.append(("speed", f"{training['tokens_per_s']:,.0f} tokens/s"))
        found.append(("time in training", duration(training["seconds"])))
    if training["peak_rss_bytes"]:
        found.append(("peak memory", f"{training['peak_rss_bytes'] / 2**20:,.0f} MiB"))
    return found


def outline(report: dict[str, Any], pictures: list[str], drawable: bool = True) -> list[Section]:
    """All sections that have something to say; `pictures` are the names of those that were drawn."""
    sections = [
        Section("What could not be read", text=report["problems"]),
        _meaning(report),
        _training(report, pictures, drawable),
        _context(report, pictures),
        _quantized(report),
        _samples(report),
        _cost(report),
        _origin(report),
    ]
    return [section for section in sections if section.text or section.rows or section.blocks]


def _meaning(report: dict[str, Any]) -> Section:
    """The loss beside guesses that need no network."""
    final = report["validation"]["final"]
    section = Section("What the number means")
    if not (report["baselines"] and final):
        return section
    about = {
        "uniform": "every token equally likely",
        "unigram": "how often each token occurs",
        "bigram": "which token follows which",
    }
    section.text.append(
        "The same held-out tokens, guessed without a network from counts of the training tokens, "
        "and by the model after its last evaluation. Lower is better."
    )
    losses = {**report["baselines"], f"model, step {final['step']:,}": final}
    for name, loss in losses.items():
        nats, bits = f"{loss['nats_per_token']:.4f}", f"{loss['bits_per_byte']:.4f}"
        source = about.get(name, "what it has learned")
        section.bars.append(
            (f"{name}: {source}", loss["nats_per_token"], f"{nats} nats/token, {bits} bits/byte")
        )
        section.rows.append((name, source, nats, bits))
    section.columns = ("guess", "from", "nats/token", "bits per byte")
    if report["validation"]["tokens_limit"]:
        section.text.append(
            f"Validation looks at the first {report['validation']['tokens_limit']:,} tokens only."
        )
    return section


def _training(report: dict[str, Any], pictures: list[str], drawable: bool) -> Section:
    training, section = report["training"], Section("Training")
    if not training["points"]:
        section.text.append("There are no training steps in the metrics yet.")
        return section
    speed = ""
    if training["gflop_per_s"]:
        speed = f", {training['gflop_per_s']:,.1f} GFLOP/s of products"
    section.text.append(
        f"{training['tokens']:,} tokens in {duration(training['seconds'])}{speed}; the last training loss "
        f"was {training['final_loss']:.4f} nats/token."
    )
    if not drawable:
        section.text.append(EXTRA)
    section.pictures = [(name, TITLES[name]) for name in pictures if name != "position"]
    section.columns = ("step", "tokens", "nats/token", "bits per byte")
    section.rows = [
        (
            f"{point['step']:,}",
            "?" if point["tokens"] is None else f"{point['tokens']:,}",
            f"{point['nats_per_token']:.4f}",
            f"{point['bits_per_byte']:.4f}",
        )
        for point in thinned(report["validation"]["points"], 12)
    ]
    return section


def thinned(items: list[Any], most: int) -> list[Any]:
    """At most `most` of the items, evenly spaced, the first and the last among them."""
    if len(items) <= most:
        return items
    return [items[round(i * (len(items) - 1) / (most - 1))] for i in range(most)]


def _context(report: dict[str, Any], pictures: list[str]) -> Section:
    position, section = report["position"], Section("What context is worth")
    if position is None:
        return section
    section.text.append(
        f"The mean loss by a token's position in the window: {position['windows']:,} windows of "
        f"{position['context']:,} held-out tokens, read by the checkpoint of step {position['step']:,}. The "
        f"first quarter of a window costs {position['first_quarter']:.4f} nats/token, the last quarter "
        f"{position['last_quarter']:.4f}: that difference is what reading further back is worth."
    )
    section.pictures = [(name, TITLES[name]) for name in pictures if name == "position"]
    section.columns = ("position", "nats/token", "± error of the mean")
    section.rows = [
        (
            f"{b['first']:,}" if b["first"] == b["last"] else f"{b['first']:,}–{b['last']:,}",
            f"{b['nats']:.4f}",
            "?" if b["standard_error"] is None else f"{b['standard_error']:.4f}",
        )
        for b in position["bins"]
    ]
    return section


def _quantized(report: dict[str, Any]) -> Section:
    section = Section("Quantized")
    section.columns = ("format", "file", "nats/token", "float32", "rise")
    section.rows = [
        (
            row["qtype"],
            f"{row['bytes'] / 2**20:,.2f} MiB",
            f"{row['nats_per_token']:.4f}",
            f"{row['float32_nats_per_token']:.4f}",
            f"{row['rise']:+.4f}",
        )
        for row in report["quantized"]
    ]
    return section


def _samples(report: dict[str, Any]) -> Section:
    section = Section("Samples")
    if report["samples"]:
        section.text.append("What the model wrote at each evaluation, after the same few tokens.")
    section.blocks = [(f"step {row['step']:,}", row["text"]) for row in thinned(report["samples"], 8)]
    return section


def _cost(report: dict[str, Any]) -> Section:
    section = Section("The model", columns=("part", "parameters", "FLOP a token, forward"))
    section.text.append(
        f"Training takes {report['cost']['training_flops_per_token'] / 1e6:,.2f} MFLOP a token: forward "
        "once, backward twice as much. Products are counted, elementwise work is not."
    )
    section.rows = [
        (row["part"], f"{row['parameters']:,}", f"{row['flops_forward']:,}")
        for row in report["cost"]["parts"]
    ]
    return section


def _origin(report: dict[str, Any]) -> Section:
    """What it takes to make the run again."""
    code, environment = report["code"], report["environment"]
    commit = (
        f"commit {code['commit']}{' with changes' if code['changed'] else ''}"
        if code["commit"]
        else "not a checkout"
    )
    rows = [("run", report["run"]["path"]), ("seed", str(report["run"]["seed"]))]
    rows += [("model", report["run"]["model_path"])] if report["run"]["model_path"] else []
    rows += [("command", " ".join(environment["command"]))] if environment.get("command") else []
    rows += [("report by", f"chronos {code['chronos']}, {commit}")]
    for part, data in report["data"].items():
        size = f"{data['tokens']:,} tokens, {data['bytes']:,} bytes, {data['documents']:,} documents"
        rows.append((f"{part} tokens", size))
        rows.append((f"{part} SHA-256", " ".join(data["sha256"])))
    known = ("chronos", "python", "numpy", "platform", "threads", "lanes")
    rows += [(f"trained with: {name}", str(environment[name])) for name in known if name in environment]
    settings = yaml.safe_dump(report["config"], sort_keys=False, allow_unicode=True)
    return Section(
        "How to make it again", columns=("what", "value"), rows=rows, blocks=[("config.yaml", settings)]
    )
