"""`chronos data cairo` and `chronos data recall`: lives to remember, and questions about them.

Only arguments and what is printed; the work is in cairo/ and tasks/.
"""

import argparse
from pathlib import Path
from typing import Any

from chronos.console import UsageError, say, table

SPLITS = ("train", "val", "test")


def register(actions: Any) -> None:
    """Add `cairo` and `recall` to the actions of `chronos data`."""
    cairo = actions.add_parser("cairo", help="a seeded life of any length, with questions about it")
    cairo.add_argument("--events", type=int, help="how many sentences (default: 10000; printed: 24)")
    cairo.add_argument("--questions", type=int, help="how many (default: 240, fewer for a short life)")
    cairo.add_argument("--language", choices=("en", "ar", "mixed"), default="en", help="of the sentences")
    for name, of in (("templates", "wordings"), ("values", "names, places and things")):
        about = f"{of} that training uses, or others that only tests may use"
        cairo.add_argument(f"--{name}", choices=("seen", "held-out"), default="seen", help=about)
    about = "changes are told, or only seen in what is said later"
    cairo.add_argument("--changes", choices=("announced", "shown"), default="announced", help=about)
    cairo.add_argument("--no-joins", action="store_true", help='no "where was I when …?" questions')
    cairo.add_argument("--facts", type=int, help="how many things are told only once (default: by length)")
    cairo.add_argument("--first", type=int, default=1, help="the time of the first event")
    cairo.set_defaults(run=run_cairo)

    recall = actions.add_parser(
        "recall", help="a recall task of the literature, or short lives in Cairo, as lives and documents"
    )
    recall.add_argument("--task", required=True, help="mqar, needle, copying, babi or cairo")
    recall.add_argument("--n", type=int, help="how many lives (default: 1000; needle 10 a cell; babi all)")
    recall.set_defaults(run=run_recall, overrides=[])
    recall.epilog = "The task's own settings follow as key=value, such as pairs=8 or path=FOLDER."

    for action, split in ((cairo, "test"), (recall, "train")):
        where = "where the folder goes" + (" (default: print the life)" if action is cairo else "")
        action.add_argument("--out-dir", type=Path, required=action is recall, help=where)
        action.add_argument("--seed", type=int, default=0, help="the same seed gives the same bytes")
        action.add_argument("--split", choices=SPLITS, default=split, help=f"no seed in common ({split})")


def run_cairo(args: argparse.Namespace) -> dict[str, Any]:
    """Write a life and its questions, and tell how far always giving the same answer gets; or print it."""
    from chronos.data.cairo.writing import show_cairo, write_cairo

    names = ("questions", "split", "language", "templates", "values", "changes", "facts", "first")
    options = {name: getattr(args, name) for name in names} | {"joins": not args.no_joins}
    if args.out_dir is None:
        lines = list(show_cairo(24 if args.events is None else args.events, args.seed, **options))
        if not args.json:
            say("\n".join(lines))
        return {"lines": lines}
    events = 10_000 if args.events is None else args.events
    stats = write_cairo(args.out_dir, events, args.seed, **options)
    _show(f"A life of {events:,} events", stats, args.out_dir)
    return {**stats, "out_dir": str(args.out_dir)}


def run_recall(args: argparse.Namespace) -> dict[str, Any]:
    """Write a recall task as lives, documents and, where it has them, arrays."""
    from chronos.data.tasks.registry import write_task

    options = settings_of(args.overrides, "recall")
    stats = write_task(args.task, args.out_dir, seed=args.seed, n=args.n, split=args.split, **options)
    _show(f"Recall task {args.task}", stats, args.out_dir)
    return {**stats, "out_dir": str(args.out_dir)}


def settings_of(words: list[str], where: str) -> dict[str, str]:
    """key=value words as a dictionary; UsageError for a key that is none or comes twice."""
    found: dict[str, str] = {}
    for word in words:
        name, _, value = word.partition("=")
        if not name.isidentifier() or name in found:
            raise UsageError("a setting is key=value, each key once", where=where, got=repr(word))
        found[name] = value
    return found


def _show(title: str, stats: dict[str, Any], out_dir: Path) -> None:
    columns = ("kind", "questions", "answers", "most common answer %")
    rows = [
        (kind, share["n"], share["classes"], 100 * share["share"])
        for kind, share in stats["majority"].items()
    ]
    table(title, columns, rows)
    say(f"written to {out_dir}")
