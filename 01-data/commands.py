"""`chronos data prepare` and `chronos data stories`: the stage's commands, thin over its functions.

Only arguments and what is printed; the work is in prepare.py and stories.py.
"""

import argparse
from pathlib import Path
from typing import Any

from chronos.console import say, table, warn
from chronos.data import life_commands, source_commands
from chronos.settings import artifacts


def register(subparsers: Any) -> None:
    """Add `data` and its two actions to the command line."""
    data = subparsers.add_parser("data", help="make a corpus from files or from the story grammar")
    actions = data.add_subparsers(dest="action", required=True, metavar="ACTION")

    make = actions.add_parser("prepare", help="text -> train.jsonl, val.jsonl, stats.json")
    make.add_argument("--text", default="stories", help="a .txt .md .json .jsonl file, a folder, or: stories")
    make.add_argument("--out-dir", type=Path, help="where the corpus goes (default: artifacts/01-data)")
    make.add_argument("--seed", type=int, default=0, help="decides the stories and the split of rows")
    make.add_argument("--val-fraction", type=float, default=0.1, help="share kept for validation")
    make.add_argument("--stories", type=int, help="how many stories to tell (default: about 3 MB)")
    make.add_argument("--on-damage", choices=("fail", "skip"), default="fail", help="what damaged input does")
    make.set_defaults(run=run_prepare)

    tell = actions.add_parser("stories", help="print stories of the seeded grammar")
    tell.add_argument("--n", type=int, default=3, help="how many")
    tell.add_argument("--seed", type=int, default=0, help="the same seed tells the same stories")
    tell.add_argument(
        "--level", type=int, help="1 facts, 2 moves, 3 giving, 4 many people, 5 beliefs (default: all)"
    )
    tell.set_defaults(run=run_stories)

    life_commands.register(actions)
    source_commands.register(actions)


def run_prepare(args: argparse.Namespace) -> dict[str, Any]:
    """Prepare a corpus and tell its numbers as a table."""
    from chronos.data.corpus.prepare import STORIES_COUNT, prepare

    if args.stories is not None and args.text != "stories":
        warn("--stories has no effect on --text PATH")
    out_dir = args.out_dir or artifacts() / "01-data"
    stats = prepare(
        args.text,
        out_dir,
        seed=args.seed,
        val_fraction=args.val_fraction,
        stories_count=STORIES_COUNT if args.stories is None else args.stories,
        on_damage=args.on_damage,
    )
    keys = ("documents", "characters", "bytes")
    rows = [(side, *(stats[side][key] for key in keys)) for side in ("train", "val")]
    table(f"Corpus from {args.text}", ("part", *keys), [*rows, ("all", *(stats[key] for key in keys))])
    say(f"written to {out_dir}")
    return {**stats, "out_dir": str(out_dir)}


def run_stories(args: argparse.Namespace) -> dict[str, Any]:
    """Print stories, a blank line between two."""
    from chronos.data.stories import stories

    told = list(stories(args.n, args.seed, args.level))
    if not args.json:
        say("\n".join(told).rstrip("\n"))
    return {"stories": told}
