"""Training speed: ours, and PyTorch's where it is installed, step for step in turn in one run.

Each side is a process of its own, so that peak memory can be compared too; while one works the other waits.
`chronos bench train --peer torch`; CHRONOS_PEER_PYTHON names the interpreter that has torch.
"""

import dataclasses
import json
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from chronos.architecture.cost import flops_per_token
from chronos.console import ChronosError, Progress
from chronos.settings import set_threads, threads
from chronos.training.bench_side import Ask, side, torch_python
from chronos.training.config import RunConfig, resolve

ROUNDS = 5
SETTINGS = {"shakespeare-published": 20, "peer": 2}  # experiment → steps a round
VOCABULARY = {"shakespeare-published": 70, "peer": 4096}


def bench(peer: str | None = None) -> dict[str, Any]:
    """Tokens/s and peak memory of each setting: {"ours", "peers", "limit", "ratios"} (ours/theirs)."""
    if peer not in (None, "torch"):
        raise ChronosError("unknown peer", expected="torch", got=peer)
    result: dict[str, Any] = {"ours": {}, "peers": {}, "limit": {}, "ratios": {}}
    with Progress(ROUNDS * len(SETTINGS), "training steps in turn") as bar:
        for number, (name, steps) in enumerate(SETTINGS.items()):
            _measure(name, steps, peer, result, lambda i, n=number: bar.update(n * ROUNDS + i))
    return {**result, "table": _table(result)}


def _table(result: dict[str, Any]) -> tuple[list[str], list[list[Any]]]:
    """Columns and rows for people: one row a setting."""
    rows = []
    for name, ours in result["ours"].items():
        gflops = result["limit"][name]["gflops"]
        row = [name, ours["tokens_per_s"], gflops, ours["peak_rss_bytes"] / 2**20]
        for peer, ratio in result["ratios"].get(name, {}).items():
            theirs = result["peers"][peer][name]["tokens_per_s"]
            row += [theirs, ratio["tokens_per_s"], ratio["least"], ratio["peak_rss_bytes"]]
        rows.append(row)
    columns = ["setting", "tokens/s", "GFLOP/s", "peak MiB"]
    for peer in result["peers"]:
        columns += [f"{peer} tokens/s", f"ours/{peer}", "least of the rounds", "memory ours/theirs"]
    return columns, rows


def _measure(name: str, steps: int, peer: str | None, result: dict[str, Any], tick: Any) -> None:
    config = _config(name)
    c = config.model
    tokens = config.train.batch_size * c.context * steps
    wish = {
        **dataclasses.asdict(c),
        "batch_size": config.train.batch_size,
        "threads": threads(),
        "experiment": name,
    }
    with (
        side([sys.executable, "-m", "chronos.training.bench_train"], wish) as ours,
        _peer(peer, wish) as theirs,
    ):
        sides = {"ours": ours} | ({"torch": theirs} if theirs else {})
        for ask in sides.values():
            ask(2)  # compilation and first touches
        runs: dict[str, list[dict[str, float]]] = {who: [] for who in sides}
        for i in range(ROUNDS):
            for who, ask in sides.items():
                runs[who].append(ask(steps))
            tick(i + 1)
    speed = {who: [tokens / r["seconds"] for r in found] for who, found in runs.items()}
    for who, found in speed.items():
        row = {"tokens_per_s": statistics.median(found), "peak_rss_bytes": runs[who][-1]["peak_rss_bytes"]}
        (result["ours"] if who == "ours" else result["peers"].setdefault(who, {}))[name] = row
    flops = flops_per_token(c, c.vocabulary)
    result["limit"][name] = {
        "flops_per_token": flops,
        "gflops": flops * statistics.median(speed["ours"]) / 1e9,
    }
    if theirs:
        pairs = [a / b for a, b in zip(speed["ours"], speed["torch"])]
        memory = runs["ours"][-1]["peak_rss_bytes"] / runs["torch"][-1]["peak_rss_bytes"]
        ratios = {"tokens_per_s": statistics.median(pairs), "least": min(pairs), "peak_rss_bytes": memory}
        result["ratios"][name] = {"torch": ratios}


def _config(name: str) -> RunConfig:
    config = resolve(experiment=name, environment={})
    return dataclasses.replace(config, model=dataclasses.replace(config.model, vocabulary=VOCABULARY[name]))


@contextmanager
def _peer(peer: str | None, wish: dict[str, Any]) -> Iterator[Ask | None]:
    if peer is None:
        yield None
        return
    with side([torch_python(), str(Path(__file__).with_name("bench_torch.py"))], wish) as ask:
        yield ask


def work(wish: dict[str, Any]) -> None:
    """The process that trains ours: for each number on standard input, that many whole steps."""
    import numpy as np

    from chronos.memory.model import Model
    from chronos.training.lanes import Lanes
    from chronos.training.run import peak_rss
    from chronos.training.stepper import Stepper

    set_threads(wish["threads"])
    config = _config(wish["experiment"])
    ids = np.random.default_rng(0).integers(
        0, config.model.vocabulary, (wish["batch_size"], config.model.context + 1)
    )
    with Lanes(min(wish["threads"], wish["batch_size"])) as lanes:
        stepper = Stepper(Model(config.model), config.train, lanes)
        for line in sys.stdin:
            begun = time.perf_counter()
            for _ in range(int(line)):
                loss = stepper(ids[:, :-1], ids[:, 1:])["loss"]
            seconds = time.perf_counter() - begun
            print(json.dumps({"seconds": seconds, "loss": loss, "peak_rss_bytes": peak_rss()}), flush=True)


if __name__ == "__main__":
    work(json.loads(sys.argv[1]))
