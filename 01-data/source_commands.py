"""`chronos data sources` and `chronos data fetch`: what text there is, and getting it from the network.

Only arguments and what is printed; the work is in sources/. Nothing touches the network but `fetch`.
"""

import argparse
from pathlib import Path
from typing import Any

from chronos.console import say, table

# Flags of the sources, by the option that each gives: name, whether it takes several, what it is.
OPTIONS = {
    "ids": ("+", "gutenberg: numbers of books, such as 1342 84"),
    "bookshelf": (None, "gutenberg: words in a bookshelf's name, such as philosophy"),
    "catalogue_url": (None, "gutenberg: another catalogue"),
    "language": (None, "gutenberg, wikipedia: two letters (wikipedia: also simple)"),
    "date": (None, "wikipedia: YYYYMMDD of a dump (default: latest)"),
    "set": (None, "arxiv: cs (default), math, physics:hep-th …"),
    "since": (None, "arxiv: YYYY-MM-DD, the first day of change"),
    "until": (None, "arxiv: YYYY-MM-DD, the last day"),
    "feeds": ("+", "news: addresses of RSS or Atom feeds"),
    "repo": (None, "huggingface: OWNER/NAME of a data set"),
    "files": ("+", "huggingface: paths in it, .jsonl, .jsonl.gz or .parquet"),
    "revision": (None, "huggingface: branch or commit"),
    "column": (None, "huggingface: the column with the text (default: text)"),
    "title_column": (None, "huggingface: the column with a title"),
    "licence": (None, "huggingface: what the data set's page says, kept with every row"),
    "base_url": (None, "another mirror, endpoint or hub"),
}


def register(actions: Any) -> None:
    """Add `sources` and `fetch` to the actions of `chronos data`."""
    known = actions.add_parser("sources", help="what text can be made here or fetched")
    known.set_defaults(run=run_sources)

    get = actions.add_parser(
        "fetch", help="text from the network: gutenberg, wikipedia, arxiv, news, huggingface"
    )
    get.add_argument("name", metavar="NAME", help="see `chronos data sources`")
    get.add_argument(
        "--out-dir", type=Path, required=True, help="a folder of rows; run again, it adds what is new"
    )
    get.add_argument("--limit", type=int, help="at most so many rows")
    for option, (several, about) in OPTIONS.items():
        get.add_argument(f"--{option.replace('_', '-')}", nargs=several, help=about)
    get.set_defaults(run=run_fetch)


def run_sources(args: argparse.Namespace) -> dict[str, Any]:
    """Show what text there is."""
    from chronos.data.sources.fetching import table_of_sources

    columns, rows = table_of_sources()
    table("Sources", columns, rows)
    return {"sources": [dict(zip(columns, row)) for row in rows]}


def run_fetch(args: argparse.Namespace) -> dict[str, Any]:
    """Fetch from a source, with the options that were given."""
    from chronos.data.sources.fetching import fetch

    options = {name: value for name in OPTIONS if (value := getattr(args, name)) is not None}
    found = fetch(args.name, args.out_dir, limit=args.limit, **options)
    say(f"{found['added']:,} new rows of {found['rows']:,} ({found['bytes']:,} bytes) in {found['out_dir']}")
    say(f"licence: {found['licence']}; prepare them with: chronos data prepare --text {found['out_dir']}")
    return found
