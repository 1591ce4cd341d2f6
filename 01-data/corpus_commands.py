"""`chronos data prepare`: sources, what is done to their text, and the table of what came of it.

Only arguments and what is printed; the work is in corpus/.
"""

import argparse
from pathlib import Path
from typing import Any

from chronos.console import UsageError, say, table, warn_without_effect
from chronos.settings import artifacts


def register(actions: Any) -> None:
    """Add `prepare` to the actions of `chronos data`."""
    make = actions.add_parser("prepare", help="text -> train.jsonl, val.jsonl, stats.json")
    text = (
        "a .txt .md .json .jsonl file, packed or not, a folder, or: stories, python-docs (default: stories)"
    )
    make.add_argument("--text", help=text)
    about = "a source of a mix with its share, such as books=gutenberg/:40; give it several times"
    make.add_argument("--mix", action="append", metavar="[NAME=]PATH[:WEIGHT]", help=about)
    make.add_argument("--epochs", type=int, default=1, help="how often a source of a mix may be read (1)")
    make.add_argument("--out-dir", type=Path, help="where the corpus goes (default: artifacts/01-data)")
    make.add_argument("--seed", type=int, default=0, help="decides the stories and the split of rows")
    make.add_argument("--val-fraction", type=float, default=0.1, help="share kept for validation (0.1)")
    make.add_argument("--stories", type=int, help="how many stories to tell (default: about 3 MB)")
    make.add_argument("--on-damage", choices=("fail", "skip"), default="fail", help="what damaged input does")
    make.add_argument("--num-workers", type=int, default=0, help="processes (default: one a core)")
    _add_choices(make)
    make.set_defaults(run=run_prepare)


def _add_choices(make: argparse.ArgumentParser) -> None:
    cleaning = make.add_argument_group("cleaning")
    cleaning.add_argument("--unicode", choices=("none", "NFC", "NFKC"), default="none", help="normal form")
    cleaning.add_argument("--unwrap", action="store_true", help="join hard-wrapped lines into paragraphs")
    cleaning.add_argument("--drop-invisible", action="store_true", help="soft hyphens, zero-width characters")
    cleaning.add_argument("--keep-controls", action="store_true", help="keep control characters")
    left_out = make.add_argument_group("what is left out")
    left_out.add_argument("--dedupe", choices=("none", "exact", "near"), default="none", help="duplicates")
    left_out.add_argument("--similarity", type=float, default=0.8, help="of near duplicates (Jaccard, 0.8)")
    sets = "gopher, repetition, c4, fineweb, script-latin … or single rules, with commas between"
    left_out.add_argument("--filters", default="", metavar="NAMES", help=f"quality rules: {sets}")
    left_out.add_argument("--quality-report", action="store_true", help="measure quality, leave nothing out")


def run_prepare(args: argparse.Namespace) -> dict[str, Any]:
    """Prepare a corpus and tell its numbers as tables."""
    from chronos.data.corpus.mixing import parse_source
    from chronos.data.corpus.prepare import STORIES_COUNT, prepare

    if args.mix and args.text:
        raise UsageError("give --text or --mix, not both", where="chronos data prepare")
    source = [parse_source(text) for text in args.mix] if args.mix else args.text or "stories"
    if source != "stories":
        warn_without_effect(args.given, ["--stories"], "it is for --text stories")
    if not args.mix:
        warn_without_effect(args.given, ["--epochs"], "it is for --mix")
    if args.dedupe != "near":
        warn_without_effect(args.given, ["--similarity"], "it is for --dedupe near")
    out_dir = args.out_dir or artifacts() / "01-data"
    stats = prepare(
        source,
        out_dir,
        seed=args.seed,
        val_fraction=args.val_fraction,
        stories_count=STORIES_COUNT if args.stories is None else args.stories,
        on_damage=args.on_damage,
        options=_options(args),
        num_workers=args.num_workers,
    )
    _show("a mix" if args.mix else str(source), stats)
    say(f"written to {out_dir}")
    return {**stats, "out_dir": str(out_dir)}


def _options(args: argparse.Namespace) -> Any:
    from chronos.data.cleaning import Cleaning
    from chronos.data.corpus.config import Options

    cleaning = Cleaning(
        controls=not args.keep_controls,
        invisible=args.drop_invisible,
        unicode=args.unicode,
        unwrap=args.unwrap,
    )
    return Options(
        cleaning=cleaning,
        dedupe=args.dedupe,
        similarity=args.similarity,
        filters=tuple(name.strip() for name in args.filters.split(",") if name.strip()),
        report=args.quality_report,
        epochs=args.epochs,
    )


def _show(source: str, stats: dict[str, Any]) -> None:
    keys = ("documents", "characters", "bytes")
    rows = [(side, *(stats[side][key] for key in keys)) for side in ("train", "val")]
    table(f"Corpus from {source}", ("part", *keys), [*rows, ("all", *(stats[key] for key in keys))])
    if mix := stats.get("mix"):
        keys = ("asked", "got", "documents", "bytes", "passes")
        table("The mix", ("source", *keys), [(each["name"], *(each[key] for key in keys)) for each in mix])
    if quality := stats.get("quality"):
        rows = [("kept", quality["kept"], ""), *_dropped(quality)]
        table(f"Quality of {quality['documents']:,} documents", ("rule", "documents", "for example"), rows)
    if count := stats.get("duplicates", {}).get("exact", 0):
        left = stats.get("options", {}).get("dedupe", "none") != "none"
        end = "left out" if left else "kept; --dedupe exact leaves them out"
        say(f"{count:,} exact duplicates {end}")


def _dropped(quality: dict[str, Any]) -> list[tuple[str, int, str]]:
    examples = quality["examples"]
    return [
        (rule, n, " ".join(examples.get(rule, "").split())[:60]) for rule, n in quality["dropped"].items()
    ]
