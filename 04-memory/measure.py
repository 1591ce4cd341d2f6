"""The numbers and the picture of this stage's lesson: what a token costs with the state, and without.

Run it in the repository as `python -m chronos.memory.measure` (the picture needs matplotlib).
"""

import platform
import time
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from chronos.architecture.measure import draw
from chronos.architecture.tape import no_grad
from chronos.console import table
from chronos.files import write_json
from chronos.memory.config import ModelConfig
from chronos.memory.model import Model
from chronos.memory.selftest import self_test

RESULTS = Path(__file__).parent / "results"
BEFORE = (32, 64, 128, 256, 512, 1000)
TOKENS, ROUNDS = 8, 5


def model() -> Model:
    """The default `gpt` with a longer context; what its weights are does not matter here."""
    return Model(ModelConfig(vocabulary=261, context=1024), seed=1)


def differences() -> dict[str, float]:
    """Way of evaluating → largest difference of its logits from those of one piece."""
    return self_test(model(), length=200)


def costs() -> list[dict[str, float]]:
    """Milliseconds for one more token after some tokens, on one thread: the best of some rounds."""
    gpt, rows = model(), []
    text = np.random.default_rng(0).integers(0, 261, (1, 1024))
    with no_grad(), threadpool_limits(1):
        for n in BEFORE:
            best = {"with the state": np.inf, "anew": np.inf}
            for _ in range(ROUNDS):
                state = gpt(text[:, :n]).state
                began = time.perf_counter()
                for t in range(n, n + TOKENS):
                    out = gpt(text[:, t : t + 1], state)
                    gpt.logits(out.hidden)
                    state = out.state
                each = 1000 * (time.perf_counter() - began) / TOKENS
                best["with the state"] = min(best["with the state"], each)
                began = time.perf_counter()
                gpt.logits(gpt(text[:, : n + 1], carry=False).hidden)
                best["anew"] = min(best["anew"], 1000 * (time.perf_counter() - began))
            rows.append({"before": n, **best})
    return rows


def state_bytes() -> int:
    """What a token leaves in the state: keys and values of all blocks, in float32."""
    c = model().config
    return 2 * c.layers * c.key_heads * c.head_width * 4


def main() -> None:
    """Measure, write results/state.json and state.svg, and show the table."""
    machine = f"{platform.machine()}, one thread, Python {platform.python_version()}, NumPy {np.__version__}"
    result: dict[str, Any] = {
        "command": "python -m chronos.memory.measure",
        "differences": differences(),
        "bytes_a_token": state_bytes(),
        "machine": machine,
        "milliseconds": costs(),
    }
    RESULTS.mkdir(exist_ok=True)
    write_json(RESULTS / "state.json", result)
    lines, labels = {"anew": "s-", "with the state": "o-"}, ("tokens before", "ms for one more")
    draw(result["milliseconds"], "before", lines, labels, RESULTS / "state.svg")
    rows = [tuple(row.values()) for row in result["milliseconds"]]
    table("Milliseconds for one more token", ("tokens before", "with the state", "anew"), rows)


if __name__ == "__main__":
    main()
