"""`chronos quantize`, `chronos generate` and `chronos chat`: arguments and what is printed.

The work is in shrink.py, continuation.py and terminal.py. `ingest` and `query` are in recall_commands.py,
`memory` is in memory_commands.py.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

from chronos.console import say, warn_without_effect
from chronos.inference import memory_commands, recall_commands
from chronos.training.commands import QTYPES

MODEL = "a model directory (default: the one that `make` trained)"


def register(subparsers: Any) -> None:
    """Add the stage's commands to the command line."""
    quantize = subparsers.add_parser("quantize", help="a model in 16, 8, 4 or 2 bits a weight")
    quantize.add_argument("--model-path", type=Path, metavar="DIR", help=MODEL)
    quantize.add_argument(
        "--out-dir", type=Path, metavar="DIR", help="default artifacts/07-inference/MODEL-QTYPE"
    )
    quantize.add_argument(
        "--qtype", choices=QTYPES, default="Q4_0", metavar="TYPE",
        help=f"{', '.join(QTYPES[:-1])} or {QTYPES[-1]} (default Q4_0)",
    )  # fmt: skip
    quantize.add_argument(
        "--data", type=Path, metavar="PATH", help="a text or token shards: measure the loss before and after"
    )
    quantize.set_defaults(run=run_quantize)

    generate = subparsers.add_parser("generate", help="continue a prompt")
    generate.add_argument(
        "--prompt", default="", metavar="TEXT", help="what to go on from (default: nothing)"
    )
    generate.add_argument(
        "--stop", action="append", default=[], metavar="TEXT", help="end before this text (repeatable)"
    )
    _sampling_flags(generate, max_new_tokens=200)
    generate.set_defaults(run=run_generate)

    chat = subparsers.add_parser("chat", help="talk with a model in the terminal")
    chat.add_argument("--instruct", action="store_true", help="put each line as an instruction")
    _sampling_flags(chat, max_new_tokens=512)
    chat.set_defaults(run=run_chat)
    recall_commands.register(subparsers)
    memory_commands.register(subparsers)


def _sampling_flags(parser: argparse.ArgumentParser, max_new_tokens: int) -> None:
    parser.add_argument("--model-path", type=Path, metavar="DIR", help=MODEL)
    count = f"at most so many (default {max_new_tokens})"
    parser.add_argument("--max-new-tokens", type=int, default=max_new_tokens, metavar="N", help=count)
    flags = (
        ("--temperature", float, "0 takes the likeliest token (default 0.8)"),
        ("--top-k", int, "only the N likeliest tokens (default 0: off)"),
        ("--top-p", float, "only the likeliest that make up this share (default 1: off)"),
        ("--min-p", float, "only those at least this times as likely as the likeliest (default 0: off)"),
        ("--seed", int, "the same seed gives the same text (default 0)"),
    )
    for flag, kind, text in flags:
        parser.add_argument(flag, type=kind, help=text)


def _sampling(args: argparse.Namespace) -> Any:
    from chronos.memory.sampling import Sampling

    names = ("temperature", "top_k", "top_p", "min_p", "seed")
    given = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
    sampling = Sampling(**given)
    if sampling.temperature == 0:
        idle = ("--top-k", "--top-p", "--min-p", "--seed")
        warn_without_effect(args.given, idle, "temperature 0 takes the likeliest token")
    return sampling


def run_quantize(args: argparse.Namespace) -> dict[str, Any]:
    """Quantize a model directory and tell what it saves and costs."""
    from chronos.evaluation.find_model import default_model_path
    from chronos.inference.shrink import quantize_directory
    from chronos.settings import artifacts

    source = args.model_path or default_model_path()
    out = args.out_dir or artifacts() / "07-inference" / f"{source.resolve().name}-{args.qtype}"
    found = quantize_directory(source, out, args.qtype, args.data)
    say(
        f"weights in {args.qtype}: {found['bytes_before']:,} → {found['bytes_after']:,} bytes, "
        f"{found['bits_per_weight']:.2f} bits a weight"
    )
    if args.data:
        before, after, rise = (found[name] for name in ("nats_before", "nats_after", "rise"))
        say(f"loss: {before:.4f} → {after:.4f} nats/token, a rise of {rise:+.5f}")
    for kind in sorted(set(found["other"].values())):
        names = [name for name, other in found["other"].items() if other == kind]
        say(f"in {kind}, whose rows are no whole blocks of {args.qtype}: {', '.join(names)}")
    say(f"quantized model: {out}")
    return found


def run_generate(args: argparse.Namespace) -> dict[str, Any]:
    """Stream a continuation to standard output."""
    from chronos.evaluation.find_model import find_model
    from chronos.inference.continuation import continue_text
    from chronos.inference.text_stream import printable

    def show(text: str) -> None:
        sys.stdout.write(printable(text) if sys.stdout.isatty() else text)
        sys.stdout.flush()

    sampling, loaded = _sampling(args), find_model(args.model_path)
    quiet = {} if args.json else {"show": show}
    found = continue_text(
        loaded, args.prompt, max_new_tokens=args.max_new_tokens, sampling=sampling, stop=args.stop, **quiet
    )
    if not args.json:
        print()
    if found["tokens_per_s"]:
        print(f"{len(found['ids'])} tokens, {found['tokens_per_s']:,.0f} tokens/s", file=sys.stderr)
    return found


def run_chat(args: argparse.Namespace) -> dict[str, Any]:
    """Talk until the input ends."""
    from chronos.evaluation.find_model import find_model
    from chronos.inference.talk import Conversation
    from chronos.inference.terminal import Chat, at_least_one

    sampling = _sampling(args)
    conversation = Conversation(
        find_model(args.model_path), sampling, at_least_one(args.max_new_tokens), args.instruct
    )
    drawn = sys.stdin.isatty() and not args.json
    if drawn:
        _line_editing()
    elif hasattr(sys.stdin, "reconfigure"):
        sys.stdin.reconfigure(encoding="utf-8", errors="replace")
    return Chat(conversation, sys.stdin, sys.stderr if args.json else sys.stdout, drawn).run()


def _line_editing() -> None:
    """Arrow keys and history at the prompt, where the system has them."""
    try:
        import readline  # noqa: F401
    except ImportError:
        return
