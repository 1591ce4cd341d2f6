"""The numbers and the picture of this stage's lesson: the step of a gradient check, and what loops save.

Run it in the repository as `python -m chronos.architecture.measure` (the picture needs matplotlib).
"""

import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from chronos import native
from chronos.architecture import ops
from chronos.architecture.gradcheck import check
from chronos.architecture.kernels import fast, plain
from chronos.console import table
from chronos.files import write_json

RESULTS = Path(__file__).parent / "results"
STEPS = [10.0**-e for e in range(13)]
ROUNDS = 7


def by_step() -> list[dict[str, float]]:
    """Error of GELU's gradient check for each step, in float64 and in float32; nearly the same everywhere."""
    x = np.random.default_rng(0).standard_normal((64, 64))
    kinds = {"float64": np.float64, "float32": np.float32}
    return [
        {"step": h, **{name: check(ops.GELU, [x.astype(kind)], {}, step=h) for name, kind in kinds.items()}}
        for h in STEPS
    ]


def _calls() -> dict[str, Callable[[Any], Any]]:
    """Kernel → one call of it on a module (`plain` or `fast`), at the sizes of a small model's training."""
    rng = np.random.default_rng(0)

    def a(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape).astype(np.float32)

    rows, wide, both, gain, scores = a(2048, 384), a(2048, 1536), a(2048, 2048), a(384), a(2, 6, 128, 256)
    visible, logits, targets = np.full((2, 128), 256), a(512, 4096), rng.integers(0, 4096, 512)
    w, g, m, v = a(1_000_000), a(1_000_000), a(1_000_000), np.abs(a(1_000_000))
    return {
        "gelu": lambda twin: twin.gelu(wide),
        "gelu_backward": lambda twin: twin.gelu_backward(wide, wide),
        "swiglu": lambda twin: twin.swiglu(both),
        "layer_norm": lambda twin: twin.layer_norm(rows, gain, gain, 1e-5),
        "rms_norm": lambda twin: twin.rms_norm(rows, gain, 1e-5),
        "softmax_visible": lambda twin: twin.softmax_visible(scores.copy(), visible, 0.125),
        "cross_entropy": lambda twin: twin.cross_entropy(logits.copy(), targets, 1.0),
        "dropout": lambda twin: twin.dropout(rows, 0.1, 5),
        "adamw": lambda twin: twin.adamw(w, g, m, v, 1e-3, 0.9, 0.999, 1e-8, 0.1, 10, 1.0),
    }


def twins() -> list[dict[str, Any]]:
    """Milliseconds of both twins on one thread of this machine: the best of some rounds in turn."""
    found, threads = [], native.info()["threads"]
    native.set_threads(1)
    with threadpool_limits(1):
        for name, call in _calls().items():
            best = {"plain": np.inf, "fast": np.inf}
            for _ in range(ROUNDS):
                for label, twin in (("plain", plain), ("fast", fast)):
                    began = time.perf_counter()
                    call(twin)
                    best[label] = min(best[label], 1000 * (time.perf_counter() - began))
            found.append({"kernel": name, **best})
    native.set_threads(threads)
    return found


def draw(
    rows: list[dict[str, float]], over: str, lines: dict[str, str], labels: tuple[str, str], path: Path
) -> None:
    """Columns of `rows` (name → mark) over another one, both axes logarithmic, as a reproducible SVG."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    pyplot.rcParams |= {"svg.fonttype": "none", "svg.hashsalt": "chronos"}
    figure, axes = pyplot.subplots(figsize=(7, 3))
    for name, mark in lines.items():
        axes.loglog([row[over] for row in rows], [row[name] for row in rows], mark, label=name)
    axes.set(xlabel=labels[0], ylabel=labels[1])
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    """Measure, write results/gradients.json and gradients.svg, and show the tables."""
    machine = f"{platform.machine()}, one thread, Python {platform.python_version()}, NumPy {np.__version__}"
    result = {
        "command": "python -m chronos.architecture.measure",
        "by_step": by_step(),
        "machine": machine,
        "milliseconds": twins(),
    }
    RESULTS.mkdir(exist_ok=True)
    write_json(RESULTS / "gradients.json", result)
    lines, labels = {"float64": "o-", "float32": "s-"}, ("step h", "error of the slope")
    draw(result["by_step"], "step", lines, labels, RESULTS / "gradients.svg")
    table(
        "Error over the step", ("step", "float64", "float32"), [tuple(r.values()) for r in result["by_step"]]
    )
    table("Milliseconds", ("kernel", "plain", "fast"), [tuple(r.values()) for r in result["milliseconds"]])


if __name__ == "__main__":
    main()
