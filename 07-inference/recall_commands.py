"""`chronos ingest` and `chronos query`: arguments and what is printed.

The work is in remember.py and answering.py, and the model's part in `chronos.memory.recall`.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from chronos.console import ChronosError, UsageError, say, table
from chronos.inference.memory_commands import filter_flags, state_flags, state_of

MODEL = "a model that remembers (default: the one that `make` trained)"


def register(subparsers: Any) -> None:
    """Add the two commands to the command line."""
    ingest = subparsers.add_parser("ingest", help="read texts into a memory: a diary, notes, chats, a life")
    ingest.add_argument("--model-path", type=Path, metavar="DIR", help=MODEL)
    ingest.add_argument(
        "--input", type=Path, nargs="+", required=True, metavar="PATH", help=".md .txt .jsonl, or a folder"
    )
    state_flags(ingest)
    ingest.add_argument("--date", metavar="DATE", help="the first day of a text without dates (1970-01-01)")
    ingest.add_argument("--sort", action="store_true", help="put events in order of time, over all inputs")
    ingest.add_argument(
        "--segment", choices=("sentences", "surprise"), default="sentences",
        help="cut events at sentences, or, where a text has no marks, where it surprises",
    )  # fmt: skip
    ingest.add_argument(
        "--on-damage", choices=("fail", "skip"), default="fail", help="skip: leave out what cannot be read"
    )
    ingest.set_defaults(run=run_ingest)

    query = subparsers.add_parser("query", help="ask a memory; each answer with what it stands on")
    query.add_argument("--model-path", type=Path, metavar="DIR", help=MODEL)
    state_flags(query)
    asked = query.add_mutually_exclusive_group()
    asked.add_argument("--question", metavar="TEXT", help="one question (default: read them, a line each)")
    asked.add_argument("--questions", type=Path, metavar="FILE", help="questions.jsonl, or a .txt of lines")
    query.add_argument("--now", metavar="DATE", help="when it is asked (default: at the memory's end)")
    filter_flags(query)
    query.add_argument("--top", type=int, default=3, metavar="N", help="memories to cite (default 3)")
    query.set_defaults(run=run_query)


def run_ingest(args: argparse.Namespace) -> dict[str, Any]:
    """Read texts into a memory."""
    from chronos.data.notes.reading import Reading, day_of
    from chronos.inference.remember import ingest
    from chronos.memory.segmentation import SurpriseCutter

    options: dict[str, Any] = {"sort": args.sort, "on_damage": args.on_damage}
    if args.date is not None:
        options["date"] = day_of(args.date)
    if args.segment == "surprise":
        options["cutter"] = SurpriseCutter
    state = state_of(args, made=False)
    found = ingest(_model(args), args.input, state, Reading(**options))
    for name, new in found["texts"].items():
        say(f"{name}: {new:,} new events" if new else f"{name}: nothing new")
    speed = f", {found['events_per_s']:,.0f} events/s" if found["events_per_s"] else ""
    say(f"{found['written']:,} of {found['events']:,} events written{speed}")
    say(f"memory: {state}, {found['total']:,} events in {found['bytes']:,} bytes")
    return found


def _model(args: argparse.Namespace) -> Path:
    from chronos.evaluation.find_model import default_model_path

    return args.model_path or default_model_path()


def run_query(args: argparse.Namespace) -> dict[str, Any]:
    """Answer questions from a memory."""
    from chronos.inference.answering import Asker
    from chronos.inference.moments import bounds, span
    from chronos.memory.recall import load_recaller

    if args.top < 0:
        raise UsageError("--top must not be negative", got=args.top)
    state = state_of(args)
    recaller = load_recaller(_model(args))
    with recaller.open_store(state) as store:
        if not len(store):
            raise ChronosError("this memory is empty", where=state, mend="`chronos ingest` fills it")
        origin = store.origin
        filters: dict[str, Any] = bounds(args.since, args.until, origin)
        if args.source is not None:
            filters["sources"] = [args.source]
        now = None if args.now is None else span(args.now, origin)[1]
        asker = Asker(recaller, store, now, filters, args.top)
        if args.question is not None:
            return _told(asker.ask(args.question), asker, args)
        if args.questions is not None:
            return _scored(asker.ask_all(args.questions), args)
        return {"answers": [_told(asker.ask(line), asker, args) for line in _asked(args)]}


def _asked(args: argparse.Namespace) -> Iterator[str]:
    """Questions from a terminal, until it ends, or from a pipe."""
    drawn = sys.stdin.isatty() and not args.json
    if drawn:
        say("Ask; an empty line or Ctrl-D ends.")
    elif hasattr(sys.stdin, "reconfigure"):
        sys.stdin.reconfigure(encoding="utf-8", errors="replace")
    while True:
        try:
            line = input("? ") if drawn else sys.stdin.readline()
        except (EOFError, KeyboardInterrupt):
            say()
            return
        if not line or (drawn and not line.strip()):
            return
        if line.strip():
            yield line.strip()


def _told(found: dict[str, Any], asker: Any, args: argparse.Namespace) -> dict[str, Any]:
    """Print an answer and what it stands on."""
    from chronos.inference.moments import when
    from chronos.inference.text_stream import printable

    if args.json:
        return found
    say(printable(found["answer"]))
    for title, name, number, form in (
        ("It stands on", "memories", "weight", ".0%"),
        ("Nearest in words, not recalled", "nearest", "score", ".2f"),  # no share of the stick, so no percent
    ):
        if found[name]:
            rows = [
                (when(m["time"], asker.origin), printable(m["text"]), format(m[number], form))
                for m in found[name]
            ]
            table(title, ("when", "what", number), rows)
    return found


def _scored(found: dict[str, Any], args: argparse.Namespace) -> dict[str, Any]:
    """Print the accuracy of each kind, or, without right answers, the answers."""
    if "accuracy" not in found:
        for one in found["answers"]:
            say(f"{one['question']} {one['answer']}")
        return found
    rows = [(kind, part["n"], 100 * part["accuracy"]) for kind, part in found["by_kind"].items()]
    table(
        "Right answers",
        ("kind", "questions", "right %"),
        [*rows, ("all", found["n"], 100 * found["accuracy"])],
    )
    if args.json:
        found = {name: found[name] for name in ("n", "accuracy", "by_kind")}
    return found
