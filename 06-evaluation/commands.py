"""`chronos eval` and `chronos report`: the stage's commands, thin over its functions.

Only arguments and what is printed; the work is in held_out.py, write_report.py and live/.
"""

import argparse
from pathlib import Path
from typing import Any

from chronos.console import UsageError, say, table, warn_without_effect
from chronos.settings import artifacts

SUITE = {  # flag → its default; they say what is asked, and mean nothing for a text
    "events": 10_000, "lives": 2, "questions": 240, "seed": 900, "language": "en", "templates": "seen",
    "values": "seen", "changes": "announced",
}  # fmt: skip
CAIRO = [*(f"--{name}" for name in SUITE), "--conditions", "--baseline-path"]


def register(subparsers: Any) -> None:
    """Add `eval` and `report` to the command line."""
    evaluate = subparsers.add_parser("eval", help="how good a model is: on any text, or at remembering lives")
    evaluate.add_argument(
        "--model-path", type=Path, action="append", metavar="DIR",
        help="a model directory (default: make's); with --suite repeatable, one a seed of training",
    )  # fmt: skip
    what = evaluate.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "--data", type=Path, metavar="PATH",
        help="loss on a text, a folder, rows (.txt .md .json .jsonl), or token shards of the same tokenizer",
    )  # fmt: skip
    what.add_argument(
        "--recall", type=Path, metavar="FOLDER",
        help="a folder of lives, such as `chronos data recall` makes: read into a memory, and asked",
    )  # fmt: skip
    what.add_argument(
        "--suite", choices=("cairo", "quotes"),
        help="cairo: lives are read once, and questions asked; quotes: novels, and which sentence is shown",
    )  # fmt: skip
    _suite_flags(evaluate.add_argument_group("of --suite cairo"))
    quotes = evaluate.add_argument_group("of --suite quotes")
    quotes.add_argument("--texts", type=Path, metavar="DIR", help="the folder with the novels")
    quotes.add_argument(
        "--asked", type=Path, nargs="+", metavar="FILE", help="questions about a novel, a .json file each"
    )
    evaluate.set_defaults(run=run_eval)

    report = subparsers.add_parser("report", help="the report of a run or of a memory: JSON, Markdown, HTML")
    of = report.add_mutually_exclusive_group()
    of.add_argument("--run", type=Path, dest="run_dir", metavar="DIR", help="default artifacts/05-training")
    of.add_argument("--live", type=Path, metavar="RECORDS", help="records that `eval --suite cairo` wrote")
    report.add_argument("--out-dir", type=Path, metavar="DIR", help="default artifacts/06-evaluation")
    report.add_argument(
        "--quantized", type=Path, action="append", default=[], metavar="DIR",
        help="a quantized copy of the run's model, to be measured beside it (repeatable)",
    )  # fmt: skip
    report.set_defaults(run=run_report)


def _suite_flags(group: Any) -> None:
    for name, about in (
        ("events", "how long each life is"), ("lives", "how many lives"),
        ("questions", "how many are asked of each"), ("seed", "the first life's"),
    ):  # fmt: skip
        group.add_argument(f"--{name}", type=int, default=SUITE[name], metavar="N", help=about)
    for name, choices, about in (
        ("language", ("en", "ar", "mixed"), "of events and questions"),
        ("templates", ("seen", "held-out"), "wordings that training uses, or others"),
        ("values", ("seen", "held-out"), "names, places and things that training uses, or others"),
        ("changes", ("announced", "shown"), "told, or only seen in what is said later"),
    ):
        group.add_argument(f"--{name}", choices=choices, default=SUITE[name], help=about)
    group.add_argument(
        "--conditions", default="all", metavar="NAMES",
        help="all, main, or names between commas: on, off, reset, shuffled, another life …",
    )  # fmt: skip
    group.add_argument(
        "--baseline-path", type=Path, action="append", default=[], metavar="DIR",
        help="a language model (gpt, then) trained on short lives as texts, asked the same; repeatable",
    )  # fmt: skip
    group.add_argument(
        "--out-dir", type=Path, metavar="DIR", help="where records and stores go, or quotes.json"
    )


def run_eval(args: argparse.Namespace) -> dict[str, Any]:
    """Measure a model on a text, or ask it about lives."""
    if args.suite == "quotes":
        return _run_quotes(args)
    warn_without_effect(args.given, ("--texts", "--asked"), "it belongs to --suite quotes")
    if args.suite is not None:
        return _run_suite(args)
    warn_without_effect(args.given, [*CAIRO, "--out-dir"], "it belongs to --suite")
    paths = args.model_path or [None]
    if len(paths) > 1:
        raise UsageError("several models need --suite", where="--model-path", got=len(paths))
    if args.recall is not None:
        return _ask_folder(paths[0], args.recall)
    from chronos.evaluation.find_model import find_model
    from chronos.evaluation.held_out import evaluate

    loaded = find_model(paths[0])
    found = evaluate(loaded.model, loaded.tokenizer, args.data)
    say(
        f"{found['nats_per_token']:.4f} nats/token, {found['bits_per_byte']:.4f} bits/byte on "
        f"{found['tokens']:,} tokens, {found['bytes']:,} bytes"
    )
    return found


def _ask_folder(model: Path | None, folder: Path) -> dict[str, Any]:
    """Read and ask the lives of a folder, and print the share of right answers by kind."""
    from chronos.evaluation.find_model import default_model_path
    from chronos.evaluation.live.folder import ask_folder
    from chronos.memory.recall import load_recaller

    found = ask_folder(load_recaller(model or default_model_path()), folder)
    rows = [(kind, of["n"], f"{100 * of['accuracy']:.1f}") for kind, of in found["by_kind"].items()]
    rows.append(("all", found["n"], f"{100 * found['accuracy']:.1f}"))
    table("right answers", ("kind", "questions", "right %"), rows)
    return found


def _run_suite(args: argparse.Namespace) -> dict[str, Any]:
    """Ask about lives, print the table by kind, and say where the records are."""
    from chronos.evaluation.find_model import default_model_path
    from chronos.evaluation.live.conditions import chosen
    from chronos.evaluation.live.evaluate import Suite, evaluate
    from chronos.evaluation.live.summary import show, summary
    from chronos.evaluation.live.told import Lives

    lives, conditions = Lives(**{name: getattr(args, name) for name in SUITE}), chosen(args.conditions)
    models = tuple(args.model_path or [default_model_path()])
    suite = Suite(models, lives, conditions, tuple(args.baseline_path))
    folder = args.out_dir or artifacts() / "06-evaluation" / "cairo"
    found = summary(evaluate(suite, folder, keep=args.out_dir is not None))
    show(found)
    say(f"records: {found['records']}; `chronos report --live {found['records']}` makes the report")
    return found


def _run_quotes(args: argparse.Namespace) -> dict[str, Any]:
    """Ask about novels, and print how often the right sentence is shown."""
    from chronos.evaluation.find_model import default_model_path
    from chronos.evaluation.live.quotes import evaluate

    warn_without_effect(args.given, CAIRO, "it belongs to --suite cairo")
    if args.texts is None or not args.asked:
        raise UsageError("--suite quotes needs --texts and --asked")
    paths = args.model_path or [default_model_path()]
    if len(paths) > 1:
        raise UsageError("novels are read by one model", where="--model-path", got=len(paths))
    folder = args.out_dir or artifacts() / "06-evaluation" / "quotes"
    found = evaluate(paths[0], args.texts, args.asked, folder)
    table("The sentence that answers is among them", found["columns"], found["rows"])
    say(f"result: {folder / 'quotes.json'}")
    return found


def run_report(args: argparse.Namespace) -> dict[str, Any]:
    """Write the report of a run, or of records, and say where it is."""
    out_dir = args.out_dir or artifacts() / "06-evaluation"
    if args.live is not None:
        return _run_live_report(args, out_dir)
    from chronos.evaluation.outline import headline
    from chronos.evaluation.write_report import write_report
    from chronos.training.run import default_run

    report = write_report(args.run_dir or default_run(), out_dir, args.quantized)
    say(headline(report))
    say(f"report: {out_dir / 'report.html'}")
    return {**report, "report": str(out_dir / "report.html")}


def _run_live_report(args: argparse.Namespace, out_dir: Path) -> dict[str, Any]:
    from chronos.evaluation.live.report import PAGE, write_live_report

    warn_without_effect(args.given, ("--quantized",), "it belongs to --run")
    report = write_live_report(args.live, out_dir)
    say(report["headline"])
    say(f"report: {out_dir / 'live.html'}")
    if report["shown"]:
        say(f"microscope: {out_dir / PAGE}")
    return {**report, "report": str(out_dir / "live.html")}
