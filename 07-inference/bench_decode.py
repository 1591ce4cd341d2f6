"""Decoding speed at batch 1: float32, Q8_0, Q4_0 of one model and, where it is installed, PyTorch, in turn.

Weights are random: the time does not depend on them. `chronos bench decode --peer torch`;
CHRONOS_PEER_PYTHON names the interpreter that has torch.
"""

import dataclasses
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from chronos import native
from chronos.console import ChronosError, Progress
from chronos.inference.session import Session, tokens
from chronos.memory.model import Model
from chronos.memory.modeldir import quantize_model
from chronos.memory.sampling import Sampling
from chronos.settings import threads
from chronos.training.bench_side import side, torch_python
from chronos.training.config import resolve

EXPERIMENT, VOCABULARY = "peer", 4096
PROMPT, COUNT, ROUNDS = 16, 64, 7  # tokens read before, tokens drawn in a round, rounds
FLOAT = "float32"

Side = Callable[[], float]  # one round; returns its seconds


def bench(peer: str | None = None) -> dict[str, Any]:
    """{"ours", "peers", "limit", "ratios"} of greedy decoding, tokens/s, medians over rounds in turn.

    `peer` is "torch" or None. The limit is what the weights that a token needs would take to be read, at the
    rate at which as many bytes are read again and again on the same threads: from cache if they fit.
    Ratios are ours/theirs, medians of the rounds' own ratios, and our share of the limit.
    Raises ChronosError for an unknown peer or one that is not installed.
    """
    if peer not in (None, "torch"):
        raise ChronosError("unknown peer", expected="torch", got=repr(peer))
    models = make_models()
    sides = {name: _ours(model) for name, model in models.items()}
    with _peer(peer, models[FLOAT].config) as torch:
        speeds = _in_turn(sides | ({"torch": torch} if torch else {}))
    median = {name: statistics.median(found) for name, found in speeds.items()}
    limit = {name: read_limit(model) for name, model in models.items()}
    ratios = {"limit": {name: median[name] / limit[name]["tokens_per_s"] for name in models}}
    if torch:
        ratios["torch"] = {
            name: statistics.median(a / b for a, b in zip(speeds[name], speeds["torch"])) for name in models
        }
    peers = {"torch": {FLOAT: {"tokens_per_s": median["torch"]}}} if torch else {}
    ours = {name: {"tokens_per_s": median[name]} for name in models}
    result = {"ours": ours, "peers": peers, "limit": limit, "ratios": ratios, "threads": threads()}
    return {**result, "table": _table(result)}


def _table(result: dict[str, Any]) -> tuple[list[str], list[list[Any]]]:
    """Columns and rows for people: one row a format of the weights."""
    columns = ["weights", "tokens/s", "of the limit by bandwidth"]
    theirs = result["ratios"].get("torch", {})
    columns += ["ours/torch float32"] if theirs else []
    rows = [
        [
            name,
            result["ours"][name]["tokens_per_s"],
            result["ratios"]["limit"][name],
            *([theirs[name]] if theirs else []),
        ]
        for name in result["ours"]
    ]
    return columns, rows


def make_models() -> dict[str, Model]:
    """The experiment's model with random weights, and its quantized copies, by format."""
    config = resolve(experiment=EXPERIMENT, environment={}).model
    model = Model(dataclasses.replace(config, vocabulary=VOCABULARY))
    return {FLOAT: model} | {qtype: quantize_model(model, qtype)[0] for qtype in ("Q8_0", "Q4_0")}


def _ours(model: Model) -> Side:
    """Reads a prompt, then times the tokens after it; as `chronos generate` decodes."""
    prompt = np.random.default_rng(0).integers(0, VOCABULARY, PROMPT)

    def one_round() -> float:
        session = Session(model)
        session.add(prompt)
        session.logits()
        begun = time.perf_counter()
        for _ in tokens(session, Sampling(temperature=0), COUNT, end=-1):
            pass
        session.logits()  # the last token is read too: COUNT whole steps
        return time.perf_counter() - begun

    return one_round


def _in_turn(sides: dict[str, Side]) -> dict[str, list[float]]:
    """Tokens/s of each side in each round, in rounds A B C A B C …; the first round is not counted."""
    speeds: dict[str, list[float]] = {name: [] for name in sides}
    with Progress(ROUNDS + 1, "decoding in turn") as bar:
        for turn in range(ROUNDS + 1):
            for name, side in sides.items():
                seconds = side()
                if turn:
                    speeds[name].append(COUNT / seconds)
            bar.update(turn + 1)
    return speeds


def bytes_per_token(model: Model) -> int:
    """Bytes of weights that one token needs: all but the tables of which it takes a row."""
    tables = {"embed.positions"} | (set() if model.head is None else {"embed.weight"})
    return sum(p.data.nbytes for name, p in model.named() if name not in tables)


def read_limit(model: Model) -> dict[str, float]:
    """{"bytes_per_token", "read_gb_s", "tokens_per_s"}: the best of several readings of as many bytes."""
    if native.available():
        from chronos.native import compiled as engine
    else:
        from chronos.native import plain as engine
    size = bytes_per_token(model)
    data, best = np.ones(size, np.uint8), float("inf")
    for _ in range(20):
        begun = time.perf_counter()
        engine.read(data)
        best = min(best, time.perf_counter() - begun)
    return {"bytes_per_token": size, "read_gb_s": size / best / 1e9, "tokens_per_s": 1 / best}


@contextmanager
def _peer(peer: str | None, config: Any) -> Iterator[Side | None]:
    """A process that decodes with PyTorch when it is told to; it waits while we work."""
    if peer is None:
        yield None
        return
    wish = dataclasses.asdict(config) | {"prompt": PROMPT, "count": COUNT, "threads": threads()}
    # -P: this folder must not come first on the path of an interpreter that is not ours.
    command = [torch_python(), "-P", str(Path(__file__).with_name("torch_decode.py"))]
    with side(command, wish) as ask:
        yield lambda: float(ask("go"))
