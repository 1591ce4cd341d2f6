"""`chronos memory list|search|forget|stats|compact|export|check`: what a person does with a memory.

No model is needed, and none is loaded. Only arguments and what is printed: the work is in forgetting.py and
in stage 04's episodes.
"""

import argparse
import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from chronos.console import ChronosError, say, table

STATE = "the folder of a memory (default: the profile's own)"


def register(subparsers: Any) -> None:
    """Add `memory` and its actions to the command line."""
    memory = subparsers.add_parser("memory", help="look into a memory, forget for good, copy it out")
    actions = memory.add_subparsers(dest="action", required=True, metavar="ACTION")
    listing = actions.add_parser("list", help="the newest events")
    listing.add_argument("--oldest-first", action="store_true", help="begin with the oldest")
    search = actions.add_parser("search", help="events that hold all of these words")
    search.add_argument("words", nargs="+", metavar="WORD")
    for parser in (listing, search):
        parser.add_argument("--limit", type=int, default=20, metavar="N", help="at most so many (default 20)")
        filter_flags(parser)
    forget = actions.add_parser("forget", help="never answer with these events again")
    forget.add_argument("ids", nargs="+", type=int, metavar="ID", help="as `list` and `search` show them")
    forget.add_argument("--compact", action="store_true", help="remove their bytes at once, too")
    stats = actions.add_parser("stats", help="how many events, which bytes")
    compact = actions.add_parser("compact", help="write the files anew, without what was forgotten")
    export = actions.add_parser("export", help="all events as JSONL, oldest first")
    export.add_argument("--out", type=Path, required=True, metavar="FILE", help="the file to write")
    check = actions.add_parser("check", help="read every byte and say what is damaged")
    check.add_argument("--repair", action="store_true", help="keep what is whole, and say what was lost")
    runs = (run_list, run_search, run_forget, run_stats, run_compact, run_export, run_check)
    for parser, run in zip((listing, search, forget, stats, compact, export, check), runs):
        state_flags(parser)
        parser.set_defaults(run=run)


def state_flags(parser: argparse.ArgumentParser) -> None:
    """`--state` and `--profile`."""
    parser.add_argument("--state", type=Path, metavar="DIR", help=STATE)
    parser.add_argument(
        "--profile", default="default", metavar="NAME", help="whose memory (default: default)"
    )


def filter_flags(parser: argparse.ArgumentParser) -> None:
    """`--since`, `--until` and `--source`."""
    for flag, side in (("--since", "from"), ("--until", "up to and with")):
        about = f"only events {side} this day, minute or hour of the life"
        parser.add_argument(flag, metavar="DATE", help=about)
    names = ("unknown", "user", "training", "correction")
    parser.add_argument("--source", choices=names, help="only events from there")


def state_of(args: argparse.Namespace, *, made: bool = True) -> Path:
    """The folder that the flags name. ChronosError where it should have been `made` and was not."""
    from chronos.inference.moments import default_state
    from chronos.memory.episodes.disk import ours

    state = args.state if args.state is not None else default_state(args.profile)
    there = state.is_dir() and any(ours(file.name) for file in state.iterdir())
    if made and not there:
        mend = f"make one: `chronos ingest --input FILE --state {state}`"
        raise ChronosError("there is no memory here", where=state, mend=mend)
    return state


@contextlib.contextmanager
def reading(args: argparse.Namespace) -> Iterator[tuple[Any, int]]:
    """The store that the flags name, opened to be read, and where its life begins."""
    from chronos.memory.episodes.store import EventStore

    with EventStore.open(state_of(args)) as store:
        yield store, store.origin


def run_list(args: argparse.Namespace) -> dict[str, Any]:
    """Show the newest events."""
    from chronos.memory.episodes.view import listing

    with reading(args) as (store, origin):
        options = _filters(args, origin) | {"limit": _limit(args), "oldest_first": args.oldest_first}
        return _shown(listing(store, **options), origin, "Newest events first", args)


def run_search(args: argparse.Namespace) -> dict[str, Any]:
    """Show the events that hold all the words."""
    from chronos.memory.episodes.view import search

    with reading(args) as (store, origin):
        options = _filters(args, origin)
        source = options.pop("source")
        sources = None if source is None else [source]
        found = search(store, " ".join(args.words), limit=_limit(args), sources=sources, **options)
        return _shown(found, origin, f"Events with {' '.join(args.words)}", args)


def _limit(args: argparse.Namespace) -> int:
    if args.limit < 1:
        raise ChronosError("--limit must be at least 1", got=args.limit)
    return args.limit


def _filters(args: argparse.Namespace, origin: int) -> dict[str, Any]:
    from chronos.inference.moments import bounds

    return {**bounds(args.since, args.until, origin), "source": args.source}


def _shown(events: Iterable[Any], origin: int, title: str, args: argparse.Namespace) -> dict[str, Any]:
    from chronos.inference.moments import when
    from chronos.inference.text_stream import printable

    rows = [plain_event(event, origin) for event in events]
    if getattr(args, "oldest_first", False):
        title = "Oldest events first"
    if not args.json and rows:
        cells = [(str(r["id"]), when(r["time"], origin), r["source"], printable(r["text"])) for r in rows]
        table(title, ("id", "when", "source", "what"), cells)
    elif not rows:
        say("no such event")
    return {"events": rows}


def plain_event(event: Any, origin: int) -> dict[str, Any]:
    """As JSON says it: `t` is the hour of the life, `time` microseconds, `date` the same for people."""
    from chronos.data.notes.dates import step_of, written

    row = {name: getattr(event, name) for name in ("id", "time", "source", "surprise", "uses", "text")}
    return {"t": step_of(event.time, origin), "date": written(event.time), **row}


def run_forget(args: argparse.Namespace) -> dict[str, Any]:
    """Forget events, and say where they can still be found."""
    from chronos.inference.forgetting import forget
    from chronos.inference.text_stream import printable

    state = state_of(args)
    found = forget(state, args.ids, args.compact)
    for text in found["texts"]:
        say(f"forgotten: {printable(text)}")
    if not args.compact:
        say(f"their bytes go with `chronos memory compact --state {state}`")
    for copy in found["copies"]:
        say(f"still held by a copy: {copy}; forget them there too")
    if found["files"]:
        say(f"files that were read keep their own text: {', '.join(found['files'])}")
    return {name: found[name] for name in ("forgotten", "copies", "files", "saved")}


def run_stats(args: argparse.Namespace) -> dict[str, Any]:
    """Show counts and bytes."""
    from chronos.inference.moments import when
    from chronos.memory.episodes.view import stats

    with reading(args) as (store, origin):
        found = stats(store)
    shown = {name: found[name] for name in ("events", "forgotten", "bytes", "text_bytes")}
    shown["bytes an event beside its text"] = round(found["beside_text"], 1)
    for name in ("first_time", "last_time"):
        shown[name.replace("_", " ")] = "–" if found[name] is None else when(found[name], origin)
    shown |= {f"from {name}": n for name, n in found["sources"].items() if n}
    shown |= {f"read from {name}": n for name, n in found["cursors"].items()}
    cells = [
        (name.replace("_", " "), f"{v:,}" if isinstance(v, int) else str(v)) for name, v in shown.items()
    ]
    table(f"Memory {found['id']}", ("what", "how much"), cells)
    return found


def run_compact(args: argparse.Namespace) -> dict[str, Any]:
    """Rewrite the files without what was forgotten."""
    from chronos.memory.episodes.store import EventStore

    with EventStore.open(state_of(args), write=True) as store:
        forgotten = int((store.alive == 0).sum())
        saved = store.compact()
        found = {"events": len(store), "bytes": store.disk_bytes(), "saved": saved, "removed": forgotten}
    say(f"{forgotten:,} forgotten events removed, {saved:,} bytes saved; {found['events']:,} events remain")
    return found


def run_export(args: argparse.Namespace) -> dict[str, Any]:
    """Write all events as JSONL."""
    from chronos.memory.episodes.view import export

    if args.out.is_dir():
        raise ChronosError("this is a folder", where=args.out, mend="name a file to write")
    args.out.parent.mkdir(parents=True, exist_ok=True)
    with reading(args) as (store, _):
        count = export(store, args.out)
    say(f"{count:,} events written to {args.out}")
    return {"events": count, "out": str(args.out)}


def run_check(args: argparse.Namespace) -> dict[str, Any]:
    """Read every byte; with --repair keep what is whole."""
    from chronos.memory.episodes.repair import verify
    from chronos.memory.episodes.store import EventStore

    state = state_of(args)
    notes: list[str] = []
    if args.repair:
        with EventStore.open(state, write=True, repair=True) as store:
            notes = list(store.notes)
    problems = verify(state)
    for line in (*notes, *problems):
        say(line)
    if not notes and not problems:
        say("every byte is as it was written")
    elif problems and not args.repair:
        say(f"keep what is whole: `chronos memory check --repair --state {state}`")
    return {"ok": not problems, "problems": problems, "repaired": notes}
