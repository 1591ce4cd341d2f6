"""Training speed: ours, and PyTorch's where it is installed, step for step in turn in one run.

Each side, float32 or bf16, eager or compiled, is a process of its own, so that peak memory can be compared
too; while one works the others wait. `chronos bench train --peer torch`; CHRONOS_PEER_PYTHON names the
interpreter that has torch, whose compiler needs a C++ compiler.
"""

import dataclasses
import json
import statistics
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from chronos import native
from chronos.architecture.cost import flops_per_token
from chronos.console import ChronosError, Progress
from chronos.settings import set_threads, threads
from chronos.training.bench_side import side, torch_python
from chronos.training.config import RunConfig, resolve

ROUNDS = 5
SETTINGS = {"shakespeare-published": 20, "peer": 2}  # experiment → steps a round
VOCABULARY = {"shakespeare-published": 70, "peer": 4096}
OURS = {"float32": {"amp": False}, "amp": {"amp": True}}
TORCH = {
    "eager": {"compiled": False, "bf16": False},
    "compiled": {"compiled": True, "bf16": False},
    "bf16": {"compiled": False, "bf16": True},
    "bf16, compiled": {"compiled": True, "bf16": True},
}
AGAINST = {"float32": ("eager", "compiled"), "amp": tuple(TORCH)}  # ours → what it is held against

Rounds = dict[str, list[dict[str, float]]]  # side → what each round took


def bench(peer: str | None = None) -> dict[str, Any]:
    """Tokens/s and peak memory of each setting and side: {"ours", "peers", "limit", "ratios"} (ours/theirs).

    Speeds are medians, beside those of all rounds.

    "ratios" holds ours in float32 against PyTorch in float32, and ours with --amp, where the CPU has bf16,
    against all of PyTorch's.
    """
    if peer not in (None, "torch"):
        raise ChronosError("unknown peer", expected="torch", got=peer)
    result: dict[str, Any] = {"ours": {}, "peers": {}, "limit": {}, "ratios": {}}
    with Progress(ROUNDS * len(SETTINGS), "training steps in turn") as bar:
        for number, (name, steps) in enumerate(SETTINGS.items()):
            runs = _measure(name, steps, peer, lambda i, n=number: bar.update(n * ROUNDS + i))
            _add(name, steps, runs, result)
    return {**result, "table": _table(result)}


def _measure(name: str, steps: int, peer: str | None, tick: Callable[[int], None]) -> Rounds:
    config = _config(name)
    wish = {
        **dataclasses.asdict(config.model),
        "batch_size": config.train.batch_size,
        "threads": threads(),
        "experiment": name,
    }
    ours = [sys.executable, "-m", "chronos.training.bench_train"]
    theirs = [torch_python(), str(Path(__file__).with_name("bench_torch.py"))] if peer else []
    with ExitStack() as stack:
        has = native.has_bf16()
        sides = {who: (ours, more) for who, more in OURS.items() if has or not more["amp"]}
        sides |= {who: (theirs, more) for who, more in TORCH.items() if peer and (has or not more["bf16"])}
        asks = {who: stack.enter_context(side(line, wish | more)) for who, (line, more) in sides.items()}
        for ask in asks.values():
            ask(2)  # compilation and first touches
        runs: Rounds = {who: [] for who in asks}
        for i in range(ROUNDS):
            for who, ask in asks.items():
                runs[who].append(ask(steps))
            tick(i + 1)
    return runs


def _add(name: str, steps: int, runs: Rounds, result: dict[str, Any]) -> None:
    """Medians of the rounds, and the ratios of each round's pairs, into the result."""
    config = _config(name)
    tokens = config.train.batch_size * config.model.context * steps
    speed = {who: [tokens / r["seconds"] for r in found] for who, found in runs.items()}
    peak = {who: found[-1]["peak_rss_bytes"] for who, found in runs.items()}
    rows = {
        who: {"tokens_per_s": statistics.median(found), "rounds": found, "peak_rss_bytes": peak[who]}
        for who, found in speed.items()
    }
    result["ours"][name] = {who: row for who, row in rows.items() if who in OURS}
    flops = flops_per_token(config.model, config.model.vocabulary)
    gflops = {who: flops * row["tokens_per_s"] / 1e9 for who, row in result["ours"][name].items()}
    result["limit"][name] = {"flops_per_token": flops, "gflops": gflops}
    theirs = {who: row for who, row in rows.items() if who in TORCH}
    if not theirs:
        return
    result["peers"].setdefault("torch", {})[name] = theirs
    result["ratios"][name] = {"torch": {}}
    for mine in result["ours"][name]:
        for other in (who for who in AGAINST[mine] if who in theirs):
            pairs = [a / b for a, b in zip(speed[mine], speed[other])]
            found = {"tokens_per_s": statistics.median(pairs), "least": min(pairs)}
            ratios = found | {"peak_rss_bytes": peak[mine] / peak[other]}
            result["ratios"][name]["torch"].setdefault(mine, {})[other] = ratios


def _table(result: dict[str, Any]) -> tuple[list[str], list[list[Any]]]:
    """Columns and rows for people: one row for each of ours, beside the fastest that it is held against."""
    rows = []
    for name, ours in result["ours"].items():
        for mine, found in ours.items():
            gflops = result["limit"][name]["gflops"][mine]
            row = [name, mine, found["tokens_per_s"], gflops, found["peak_rss_bytes"] / 2**20]
            if "torch" in result["peers"]:
                ratios = result["ratios"][name]["torch"][mine]
                best = min(ratios, key=lambda other: ratios[other]["tokens_per_s"])
                theirs, ratio = result["peers"]["torch"][name][best], ratios[best]
                row += [best, theirs["tokens_per_s"], ratio["tokens_per_s"], ratio["least"]]
                row += [ratio["peak_rss_bytes"]]
            rows.append(row)
    columns = ["setting", "ours", "tokens/s", "GFLOP/s", "peak MiB"]
    if "torch" in result["peers"]:
        columns += ["torch's best", "its tokens/s", "ours/torch", "least of the rounds", "memory ours/theirs"]
    return columns, rows


def _config(name: str) -> RunConfig:
    config = resolve(experiment=name, environment={})
    return dataclasses.replace(config, model=dataclasses.replace(config.model, vocabulary=VOCABULARY[name]))


def work(wish: dict[str, Any]) -> None:
    """The process that trains ours: for each number on standard input, that many whole steps."""
    import numpy as np
    from threadpoolctl import threadpool_limits

    from chronos.memory.model import Model
    from chronos.training.lanes import Lanes
    from chronos.training.run import peak_rss
    from chronos.training.stepper import Stepper

    set_threads(wish["threads"])
    threadpool_limits(wish["threads"])
    native.set_threads(wish["threads"])
    config = _config(wish["experiment"])
    train = dataclasses.replace(config.train, batch_size=wish["batch_size"], amp=wish["amp"])
    shape = (wish["batch_size"], config.model.context + 1)
    ids = np.random.default_rng(0).integers(0, config.model.vocabulary, shape)
    with Lanes(min(wish["threads"], wish["batch_size"])) as lanes:
        stepper = Stepper(Model(config.model), train, lanes)
        for line in sys.stdin:
            begun = time.perf_counter()
            for _ in range(int(line)):
                loss = stepper(ids[:, :-1], ids[:, 1:])["loss"]
            seconds = time.perf_counter() - begun
            print(json.dumps({"seconds": seconds, "loss": loss, "peak_rss_bytes": peak_rss()}), flush=True)


if __name__ == "__main__":
    work(json.loads(sys.argv[1]))
