"""How fast the tokenizer learns and encodes, beside tiktoken, tokenizers and rustbpe, in turn in one run.

Same text, vocabulary and pattern (GPT-2's); where a peer can load our merges, its ids are held against ours.
`chronos bench tokenizer`; CHRONOS_PEER_PYTHON names the interpreter that has the peers.
"""

import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from chronos import native
from chronos.console import ChronosError, Progress
from chronos.data.sources.python_docs import documents
from chronos.settings import threads
from chronos.tokenization.bpe import NAMES, BpeTokenizer
from chronos.tokenization.layout import BYTE_TO_CHAR
from chronos.tokenization.pretokenize import REGEXES

PEERS = ("tiktoken", "tokenizers", "rustbpe")
TRAIN = ("tokenizers", "rustbpe")  # those that learn merges
TEXT_BYTES, DOCUMENT_BYTES = 20_000_000, 1 << 16
VOCAB, PATTERN, ROUNDS = 32_000, "gpt2", 3

Ask = Callable[[str], dict[str, Any]]  # tells a peer "train" or "encode", waits for the answer


def bench(peer: str | None = None, text: Path | None = None) -> dict[str, Any]:
    """{"ours", "peers", "limit", "ratios"} of learning and encoding 20 MB of English, medians over rounds.

    `peer` is one of PEERS, or None for all that are installed; `text` a file in place of the documentation of
    Python and its packages, which differs from machine to machine. A side has one thread, but "2 threads".
    Every round has a cold cache of words. The limit is turning the text into UTF-8. Ratios are theirs/ours in
    seconds, medians and least of the rounds' own.
    Raises ChronosError for an unknown peer, one that is not installed, or ids that differ.
    """
    if peer not in (None, *PEERS):
        raise ChronosError("unknown peer", expected=", ".join(PEERS), got=repr(peer))
    if not native.available():
        raise ChronosError("there is nothing to compare: the C core is not built", mend="run `make setup`")
    found = [name for name in PEERS if peer in (None, name) and _installed(name)]
    if peer and not found:
        mend = "set CHRONOS_PEER_PYTHON to an interpreter that has it, or leave out --peer"
        raise ChronosError(f"{peer} is not installed", where=_python(), mend=mend)
    pieces = _pieces(text)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        tokenizer = BpeTokenizer.train(pieces, VOCAB, PATTERN)
        wish = _wish(Path(folder), pieces, tokenizer)
        asks = {name: stack.enter_context(_side(wish | {"peer": name})) for name in found}
        times = _in_turn(asks, pieces, tokenizer)
    return _result(times, pieces, tokenizer, [name for name in PEERS if peer is None and name not in found])


def _pieces(text: Path | None) -> list[str]:
    """The text as documents of some 64 KiB that end where lines end."""
    if text is not None:
        whole = text.read_bytes().decode("utf-8", "replace")
    else:
        whole = _documentation()
    pieces, start = [], 0
    while start < len(whole):
        end = whole.find("\n", start + DOCUMENT_BYTES) + 1 or len(whole)
        pieces.append(whole[start:end])
        start = end
    if not pieces:
        raise ChronosError("the text is empty", where=text)
    return pieces


def _documentation() -> str:
    parts, size = [], 0
    with Progress(TEXT_BYTES, "reading documentation", unit="B") as bar:
        for document in documents(installed=True):
            parts.append(document.text)
            size += len(document.text.encode("utf-8"))
            bar.update(size)
            if size >= TEXT_BYTES:
                break
    return "\n\n".join(parts)


def _wish(folder: Path, pieces: Sequence[str], tokenizer: BpeTokenizer) -> dict[str, Any]:
    """What a peer's process is told, as JSON."""
    data = [piece.encode("utf-8") for piece in pieces]
    path = folder / "text.txt"
    path.write_bytes(b"".join(data))
    return {
        "text": str(path),
        "ends": np.cumsum([len(piece) for piece in data]).tolist(),
        "tokenizer": str(tokenizer.save(folder)),
        "alphabet": "".join(BYTE_TO_CHAR),
        "specials": {name: i for i, name in enumerate(NAMES)},
        "pattern": REGEXES[PATTERN],
        "vocab": VOCAB,
    }


def _in_turn(asks: dict[str, Ask], pieces: list[str], tokenizer: BpeTokenizer) -> dict[str, Any]:
    """{"train" | "encode": {side: seconds of each round}}, in rounds A B C A B C …, and what peers made."""
    ours = {"1 thread": 1} | ({"2 threads": 2} if threads() > 1 else {})
    times: dict[str, Any] = {"train": {}, "encode": {}, "made": {}}
    limits: list[float] = []
    with Progress(2 * ROUNDS, "learning and encoding in turn") as bar:
        for turn in range(2 * ROUNDS):
            what = "train" if turn < ROUNDS else "encode"
            for name, count in ours.items():
                seconds = _train(pieces, count) if what == "train" else _encode(pieces, tokenizer, count)
                times[what].setdefault(name, []).append(seconds)
            for name in asks if what == "encode" else [name for name in asks if name in TRAIN]:
                made = asks[name](what)
                times[what].setdefault(name, []).append(made.pop("seconds"))
                times["made"][name, what] = made
            limits.append(_timed(lambda: [piece.encode("utf-8") for piece in pieces]))
            bar.update(turn + 1)
    return times | {"limit": min(limits)}


def _timed(run: Callable[[], Any]) -> float:
    begun = time.perf_counter()
    run()
    return time.perf_counter() - begun


def _train(pieces: list[str], count: int) -> float:
    return _timed(lambda: BpeTokenizer.train(pieces, VOCAB, PATTERN, threads=count))


def _encode(pieces: list[str], tokenizer: BpeTokenizer, count: int) -> float:
    """A new encoder each time: no word is remembered from the round before."""
    fresh = BpeTokenizer(tokenizer.layout)
    fresh.encode("")
    return _timed(lambda: fresh.encode_many(pieces, count))


def _result(
    times: dict[str, Any], pieces: list[str], tokenizer: BpeTokenizer, missing: list[str]
) -> dict[str, Any]:
    ids = tokenizer.encode_many(pieces)
    tokens, size = sum(map(len, ids)), sum(len(piece.encode("utf-8")) for piece in pieces)
    digest = hashlib.sha256(b"".join(part.astype("<i4").tobytes() for part in ids)).hexdigest()
    same = _same(times["made"], tokenizer, tokens, digest)

    def figures(name: str) -> dict[str, float]:
        encode = statistics.median(times["encode"][name])
        found = {"encode_mb_s": size / encode / 1e6, "encode_tokens_s": tokens / encode}
        learned = times["train"].get(name)
        return found | ({"train_s": statistics.median(learned)} if learned else {})

    ours = [name for name in times["encode"] if name not in PEERS]
    peers = [name for name in times["encode"] if name in PEERS]
    result = {
        "ours": {name: figures(name) for name in ours},
        "peers": {name: figures(name) | same[name] for name in peers},
        "limit": {"utf8_mb_s": size / times["limit"] / 1e6},
        "ratios": {name: {mine: _ratios(times, mine, name) for mine in ours} for name in peers},
        "missing": missing,
        "text": {"bytes": size, "documents": len(pieces), "tokens": tokens, "vocab": tokenizer.vocab_size},
    }
    return {**result, "table": _table(result)}


def _same(
    made: dict[tuple[str, str], Any], tokenizer: BpeTokenizer, tokens: int, digest: str
) -> dict[str, dict[str, bool]]:
    """Whether each peer's merges and ids are ours; ChronosError if a peer with our merges gives other ids."""
    same: dict[str, dict[str, bool]] = {}
    for (name, what), found in made.items():
        if what == "train":
            merges = [list(merge) for merge in tokenizer.merges]
            same.setdefault(name, {})["same_merges"] = found["merges"] in (
                merges,
                ["".join(m) for m in merges],
            )
        elif name == "rustbpe":  # has numbers of its own
            same.setdefault(name, {})["same_length"] = found["tokens"] == tokens
        elif found["sha256"] != digest:
            raise ChronosError(
                f"{name} gives other ids with our merges", expected=tokens, got=found["tokens"]
            )
        else:
            same.setdefault(name, {})["same_ids"] = True
    return same


def _ratios(times: dict[str, Any], ours: str, peer: str) -> dict[str, float]:
    found = {}
    for what in ("train", "encode"):
        if peer in times[what]:
            ratios = [theirs / mine for mine, theirs in zip(times[what][ours], times[what][peer])]
            found |= {what: statistics.median(ratios), f"{what}_least": min(ratios)}
    return found


def _table(result: dict[str, Any]) -> tuple[list[str], list[list[Any]]]:
    """Columns and rows for people: one row a side; the ratios are to ours with one thread."""
    columns = ["side", "learning, s", "ours is faster", "encoding, MB/s", "M tokens/s", "ours is faster"]
    rows = []
    for name, found in (result["ours"] | result["peers"]).items():
        ratio = result["ratios"].get(name, {}).get("1 thread", {})
        learning = [found.get("train_s", "")] + [ratio.get("train", "")]
        speed = [found["encode_mb_s"], found["encode_tokens_s"] / 1e6, ratio.get("encode", "")]
        rows.append([f"ours, {name}" if name in result["ours"] else name, *learning, *speed])
    rows += [[name, "not installed", "", "", "", ""] for name in result["missing"]]
    return columns, rows


# ---- the peers' processes ----------------------------------------------------------------------------------


def _python() -> str:
    return os.environ.get("CHRONOS_PEER_PYTHON", sys.executable)


def _installed(name: str) -> bool:
    return subprocess.run([_python(), "-c", f"import {name}"], capture_output=True).returncode == 0


@contextmanager
def _side(wish: dict[str, Any]) -> Iterator[Ask]:
    """A peer in a process of its own, with one thread; it works only while it is asked."""
    # -P: this folder must not come first on the path of an interpreter that is not ours.
    command = [_python(), "-P", str(Path(__file__).with_name("peer_tokenizers.py")), json.dumps(wish)]
    one = {"RAYON_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=os.environ | one) as process:

        def ask(what: str) -> dict[str, Any]:
            process.stdin.write(f"{what}\n")
            process.stdin.flush()
            line = process.stdout.readline()
            if not line:
                raise ChronosError("a peer's process ended early", where=wish["peer"])
            return json.loads(line)

        try:
            yield ask
        finally:
            process.stdin.close()
            process.wait()
