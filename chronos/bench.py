"""`chronos bench`: the speed of kernels, training, decoding and tokenizing, against peers in one run.

Like chronos/cli.py this file may import the stages; the measuring itself lives with what it measures.
"""

import argparse
from pathlib import Path
from typing import Any

from chronos import console, files, settings


def register(commands: Any) -> None:
    """Add `chronos bench native|train|decode|tokenizer`."""
    bench = commands.add_parser("bench", help="measure speed against peers in the same run")
    kinds = bench.add_subparsers(title="benches", metavar="BENCH", required=True)
    for name, run, about in (
        ("native", _native, "quantized products against ggml, PyTorch, NumPy and the hardware's limits"),
        ("train", _train, "training steps; --peer torch compares with PyTorch on the same model"),
        ("decode", _decode, "tokens a second while generating"),
        ("tokenizer", _tokenizer, "learning and applying a BPE against tiktoken, tokenizers and rustbpe"),
    ):
        kind = kinds.add_parser(name, help=about)
        kind.add_argument("--peer", metavar="NAME", help="what to compare with (default: what is installed)")
        kind.add_argument("--out", type=Path, metavar="FILE", help="also write the result as JSON")
        kind.set_defaults(run=run)
        if name == "native":
            kind.add_argument("--quick", action="store_true", help="a few cases, half a minute")
            kind.add_argument("--ggml", type=Path, metavar="DIR", help="where libggml is, else $CHRONOS_GGML")
        if name == "tokenizer":
            kind.add_argument(
                "--text", type=Path, metavar="FILE", help="(default: the documentation of Python)"
            )


def _native(args: argparse.Namespace) -> dict[str, Any]:
    from chronos.native.bench_native import bench
    from chronos.native.bench_report import show_targets

    result = _shown("native", bench(args.peer, quick=args.quick, ggml=args.ggml), args)
    show_targets(result.get("targets", []))
    return result


def _train(args: argparse.Namespace) -> dict[str, Any]:
    from chronos.training.bench_train import bench

    return _shown("train", bench(args.peer), args)


def _decode(args: argparse.Namespace) -> dict[str, Any]:
    from chronos.inference.bench_decode import bench

    return _shown("decode", bench(args.peer), args)


def _tokenizer(args: argparse.Namespace) -> dict[str, Any]:
    from chronos.tokenization.bench_tokenizer import bench

    return _shown("tokenizer", bench(args.peer, args.text), args)


def _shown(name: str, result: dict[str, Any], args: argparse.Namespace) -> dict[str, Any]:
    """Show `{"ours", "peers", "limit", "ratios"}` as a table, write it where asked, and hand it back."""
    drawn = result.pop("table", None)
    columns, rows = drawn or (("what", "measure", "value"), _rows(result))
    console.table(f"bench {name}, {settings.threads()} threads", columns, rows)
    if args.out:
        command = f"chronos bench {name}" + (f" --peer {args.peer}" if args.peer else "")
        if text := getattr(args, "text", None):
            command += f" --text {text.name}"
        command += " --quick" * getattr(args, "quick", False)
        about = {"command": command, "machine": settings.machine()}
        files.write_json(args.out, {**about, **result, "columns": columns, "rows": rows})
    return result


def _rows(result: dict[str, Any]) -> list[tuple[str, str, Any]]:
    return [(part, key, value) for part in result for key, value in _flat(result[part])]


def _flat(value: Any, prefix: str = "") -> list[tuple[str, Any]]:
    if not isinstance(value, dict):
        return [(prefix, value)]
    return [pair for key, inner in value.items() for pair in _flat(inner, f"{prefix}.{key}".strip("."))]
