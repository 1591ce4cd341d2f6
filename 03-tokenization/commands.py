"""`chronos tokenizer train|encode|decode|prepare`: the stage's commands, thin over its functions.

Text and ids come on standard input. Only arguments and what is printed; the work is elsewhere.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from chronos.console import ChronosError, say, table, warn_without_effect
from chronos.settings import artifacts

# Nothing heavy is imported before a command runs, so that `chronos --help` answers at once.

KINDS = ("bpe", "char", "bytes", "words")
SHARD_KINDS = KINDS[:3]  # words go beyond their vocabulary
DEFAULT_VOCAB = 1024
PATTERNS = ("gpt2", "gpt4", "qwen2", "none")


def register(subparsers: Any) -> None:
    """Add `tokenizer` and its actions to the command line."""
    tokenizer = subparsers.add_parser("tokenizer", help="train a tokenizer; turn text into ids and back")
    actions = tokenizer.add_subparsers(dest="action", required=True, metavar="ACTION")
    place = "a tokenizer.json or its folder (default: artifacts/03-tokenization)"

    train = actions.add_parser("train", help="learn a tokenizer.json from text")
    train.add_argument("--text", type=Path, required=True, help="a file or a folder of text")
    train.add_argument("--tokenizer-path", type=Path, help=place)
    train.set_defaults(run=run_train)

    make = actions.add_parser("prepare", help="a prepared corpus -> tokenizer.json and token shards")
    make.add_argument("--data", type=Path, help="train.jsonl and val.jsonl (default: artifacts/01-data)")
    make.add_argument("--out-dir", type=Path, help="where they go (default: artifacts/03-tokenization)")
    make.add_argument("--tokenizer-path", type=Path, help="take this tokenizer instead of training one")
    make.set_defaults(run=run_prepare)

    for action in (train, make):
        kinds = KINDS if action is train else SHARD_KINDS
        action.add_argument("--kind", choices=kinds, help="default: bpe")
        action.add_argument("--vocab", type=int, help=f"ids of a BPE or of words (default: {DEFAULT_VOCAB})")
        action.add_argument("--pattern", choices=PATTERNS, help="how a BPE's words are cut (default: gpt2)")

    for name, run, about in (
        ("encode", run_encode, "text on standard input -> ids"),
        ("decode", run_decode, "ids on standard input -> text"),
    ):
        action = actions.add_parser(name, help=about)
        action.add_argument("--tokenizer-path", type=Path, help=place)
        action.set_defaults(run=run)
        if name == "encode":
            about = "take the names of special tokens in the text for the tokens"
            action.add_argument("--allow-special", action="store_true", help=about)


def _what(args: argparse.Namespace, given: bool = False) -> dict[str, Any]:
    """kind, vocab, pattern to train; `given`: there is a tokenizer already. Idle flags are named."""
    kind = args.kind or "bpe"
    if given:
        warn_without_effect(args.given, ("--kind", "--vocab", "--pattern"), "--tokenizer-path is given")
    elif kind != "bpe":
        idle = ("--pattern",) if kind == "words" else ("--vocab", "--pattern")
        warn_without_effect(args.given, idle, f"--kind is {kind}")
    vocab = DEFAULT_VOCAB if args.vocab is None else args.vocab
    return {"kind": kind, "vocab": vocab, "pattern": args.pattern or PATTERNS[0]}


def _path(args: argparse.Namespace) -> Path:
    return args.tokenizer_path or artifacts() / "03-tokenization"


def run_train(args: argparse.Namespace) -> dict[str, Any]:
    """Train on all documents of a file or folder and save."""
    from chronos.data.documents import read_documents
    from chronos.tokenization.factory import train_tokenizer

    what = _what(args)
    began = time.perf_counter()
    texts = (document.text for document in read_documents(args.text))
    tokenizer = train_tokenizer(texts=texts, **what)
    path = tokenizer.save(_path(args))
    seconds = time.perf_counter() - began
    say(f"{tokenizer.kind} tokenizer with {tokenizer.vocab_size} ids written to {path} in {seconds:.1f} s")
    return {
        "kind": tokenizer.kind,
        "vocab_size": tokenizer.vocab_size,
        "hash": tokenizer.hash,
        "tokenizer_path": str(path),
        "seconds": seconds,
    }


def run_prepare(args: argparse.Namespace) -> dict[str, Any]:
    """Tokenize both parts of a prepared corpus and tell the numbers."""
    from chronos.tokenization.prepare import prepare_tokens

    out_dir = args.out_dir or artifacts() / "03-tokenization"
    data = args.data or artifacts() / "01-data"
    what = _what(args, given=args.tokenizer_path is not None)
    stats = prepare_tokens(data, out_dir, tokenizer_path=args.tokenizer_path, **what)
    rows = [(part, stats[part]["tokens"], stats[part]["bytes"]) for part in ("train", "val")]
    made = stats["tokenizer"]
    title = f"Tokens of a {made['kind']} tokenizer with {made['vocab_size']} ids"
    table(title, ("part", "tokens", "bytes"), rows)
    say(f"written to {out_dir}")
    return {**stats, "out_dir": str(out_dir)}


def run_encode(args: argparse.Namespace) -> dict[str, Any]:
    """Print the ids of the text on standard input."""
    from chronos.tokenization.factory import load_tokenizer

    ids = load_tokenizer(_path(args)).encode(_standard_input(), args.allow_special).tolist()
    if not args.json:
        say(" ".join(map(str, ids)))
    return {"ids": ids}


def run_decode(args: argparse.Namespace) -> dict[str, Any]:
    """Print the text of the ids on standard input: numbers, a JSON list, or what `encode --json` printed."""
    from chronos.tokenization.factory import load_tokenizer

    text = load_tokenizer(_path(args)).decode(_ids(_standard_input()))
    if not args.json:
        say(text)
    return {"text": text}


def _standard_input() -> str:
    from chronos.data.decoding import decode

    return decode(sys.stdin.buffer.read(), "standard input", encoding="utf-8")


def _ids(text: str) -> list[int]:
    try:
        if text.lstrip().startswith(("[", "{")):
            found = json.loads(text)
            found = found["ids"] if isinstance(found, dict) else found
            if isinstance(found, list) and all(type(i) is int for i in found):
                return found
            raise ValueError
        return [int(word) for word in text.replace(",", " ").split()]
    except (ValueError, KeyError, RecursionError):
        raise ChronosError(
            "these are not ids", where="standard input", expected="integers, or a JSON list of them"
        ) from None
