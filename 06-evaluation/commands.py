"""`chronos eval` and `chronos report`: the stage's commands, thin over its functions.

Only arguments and what is printed; the work is in held_out.py and write_report.py.
"""

import argparse
from pathlib import Path
from typing import Any

from chronos.console import say
from chronos.settings import artifacts


def register(subparsers: Any) -> None:
    """Add `eval` and `report` to the command line."""
    evaluate = subparsers.add_parser("eval", help="loss and bits per byte of a model on any text")
    evaluate.add_argument(
        "--model-path", type=Path, metavar="DIR", help="a model directory (default: make's)"
    )
    evaluate.add_argument(
        "--data", type=Path, required=True, metavar="PATH",
        help="a text, a folder, rows (.txt .md .json .jsonl), or token shards of the same tokenizer",
    )  # fmt: skip
    evaluate.set_defaults(run=run_eval)

    report = subparsers.add_parser(
        "report", help="the report of a run: JSON, Markdown and HTML with pictures"
    )
    report.add_argument(
        "--run", type=Path, dest="run_dir", metavar="DIR", help="default artifacts/05-training"
    )
    report.add_argument("--out-dir", type=Path, metavar="DIR", help="default artifacts/06-evaluation")
    report.add_argument(
        "--quantized", type=Path, action="append", default=[], metavar="DIR",
        help="a quantized copy of the run's model, to be measured beside it (repeatable)",
    )  # fmt: skip
    report.set_defaults(run=run_report)


def run_eval(args: argparse.Namespace) -> dict[str, Any]:
    """Measure a model on a text."""
    from chronos.evaluation.find_model import find_model
    from chronos.evaluation.held_out import evaluate

    loaded = find_model(args.model_path)
    found = evaluate(loaded.model, loaded.tokenizer, args.data)
    say(
        f"{found['nats_per_token']:.4f} nats/token, {found['bits_per_byte']:.4f} bits/byte on "
        f"{found['tokens']:,} tokens, {found['bytes']:,} bytes"
    )
    return found


def run_report(args: argparse.Namespace) -> dict[str, Any]:
    """Write the report of a run and say where it is."""
    from chronos.evaluation.outline import headline
    from chronos.evaluation.write_report import write_report
    from chronos.training.run import default_run

    out_dir = args.out_dir or artifacts() / "06-evaluation"
    report = write_report(args.run_dir or default_run(), out_dir, args.quantized)
    say(headline(report))
    say(f"report: {out_dir / 'report.html'}")
    return {**report, "report": str(out_dir / "report.html")}
