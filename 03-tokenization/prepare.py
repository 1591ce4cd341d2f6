"""From prepared text to tokens: train (or take) a tokenizer, then write memory-mapped shards of both parts.

`chronos tokenizer prepare --data artifacts/01-data --out-dir artifacts/03-tokenization`
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from chronos.console import ChronosError
from chronos.files import atomic_directory, write_json
from chronos.tokenization.factory import load_tokenizer, train_tokenizer
from chronos.tokenization.shards import write_shards
from chronos.tokenization.tokenizer import Tokenizer

PARTS = ("train", "val")


def prepare_tokens(
    data: Path, out_dir: Path, *, kind: str, vocab: int, tokenizer_path: Path | None = None
) -> dict[str, Any]:
    """Turn data/train.jsonl and data/val.jsonl into out_dir/{tokenizer.json, train/, val/, stats.json}.

    The tokenizer learns from the training part alone. Documents are separated by <end> where there are
    several.
    """
    for part in PARTS:
        if not (data / f"{part}.jsonl").is_file():
            mend = "run `chronos data prepare` first"
            raise ChronosError(f"no {part}.jsonl", where=data, mend=mend)
    if tokenizer_path is not None or kind == "file":
        tokenizer = load_tokenizer(tokenizer_path)
    else:
        tokenizer = train_tokenizer(kind, _texts(data / "train.jsonl"), vocab)
    with atomic_directory(out_dir) as folder:
        tokenizer.save(folder / "tokenizer.json")
        counts = {part: _shards(data / f"{part}.jsonl", tokenizer, folder / part) for part in PARTS}
        stats = {
            "tokenizer": {"kind": tokenizer.kind, "vocab_size": tokenizer.vocab_size, "hash": tokenizer.hash},
            **{part: {"tokens": c["tokens"], "bytes": c["bytes"]} for part, c in counts.items()},
            "bytes_per_token": counts["train"]["bytes"] / counts["train"]["tokens"],
        }
        write_json(folder / "stats.json", stats)
    return stats


def _texts(path: Path) -> Iterator[str]:
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)["text"]


def _shards(path: Path, tokenizer: Tokenizer, out: Path) -> dict[str, Any]:
    with open(path, "rb") as lines:
        several = sum(1 for _ in zip(lines, range(2))) > 1
    return write_shards(_texts(path), tokenizer, out, separator=several)
