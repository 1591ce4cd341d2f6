"""`chronos data`: the stage's commands, thin over its functions; here those of the stories.

Only arguments and what is printed. `prepare` is in corpus_commands.py, `sources` and `fetch` are in
source_commands.py, `cairo` and `recall` in life_commands.py.
"""

import argparse
from typing import Any

from chronos.console import say
from chronos.data import corpus_commands, life_commands, source_commands


def register(subparsers: Any) -> None:
    """Add `data` and its two actions to the command line."""
    data = subparsers.add_parser("data", help="text: read, made up, fetched; corpora, and lives to remember")
    actions = data.add_subparsers(dest="action", required=True, metavar="ACTION")

    corpus_commands.register(actions)

    tell = actions.add_parser("stories", help="print stories of the seeded grammar")
    tell.add_argument("--n", type=int, default=3, help="how many")
    tell.add_argument("--seed", type=int, default=0, help="the same seed tells the same stories")
    tell.add_argument(
        "--level", type=int, help="1 facts, 2 moves, 3 giving, 4 many people, 5 beliefs (default: all)"
    )
    tell.set_defaults(run=run_stories)

    life_commands.register(actions)
    source_commands.register(actions)


def run_stories(args: argparse.Namespace) -> dict[str, Any]:
    """Print stories, a blank line between two."""
    from chronos.data.stories import stories

    told = list(stories(args.n, args.seed, args.level))
    if not args.json:
        say("\n".join(told).rstrip("\n"))
    return {"stories": told}
