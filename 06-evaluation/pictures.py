"""The pictures of a run's report: loss, position, learning rate, gradient norm, speed.

`draw(report)` takes a report's data and returns name → SVG (svg.py); nothing is measured here. Without
matplotlib there are no pictures, and the report says which extra brings them.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from chronos.evaluation.svg import ACCENT, LINE, available, render

TITLES = {
    "loss": "Loss in training (thin: as it came, thick: smoothed) and validation (dots)",
    "position": "Loss by position in the context, with the error of the mean",
    "learning-rate": "Learning rate",
    "gradient-norm": "Gradient norm before clipping",
    "speed": "Training speed, pauses for evaluation and checkpoints included",
}


def draw(report: dict[str, Any]) -> dict[str, str]:
    """Name → SVG, in the order of TITLES, for what the report has data for; {} without matplotlib."""
    points = report["training"]["points"]
    if not available():
        return {}
    made: dict[str, Callable[[Any], None]] = {}
    if points:
        made["loss"] = lambda axes: _loss(axes, points, report["validation"]["points"])
    if report["position"]:
        made["position"] = lambda axes: _position(axes, report["position"])
    if points:
        for name, key, label in (
            ("learning-rate", "lr", "learning rate"),
            ("gradient-norm", "grad_norm", "norm"),
            ("speed", "tokens_per_s", "tokens/s"),
        ):
            made[name] = lambda axes, key=key, label=label: _line(axes, points, key, label)
    return {name: render(name, TITLES[name], paint) for name, paint in made.items()}


def smooth(values: np.ndarray) -> np.ndarray:
    """A centred running mean over a twentieth of the points, narrower at both ends."""
    reach = len(values) // 40
    sums = np.concatenate([[0.0], np.cumsum(values)])
    middle = np.arange(len(values))
    half = np.minimum(reach, np.minimum(middle, len(values) - 1 - middle))
    return (sums[middle + half + 1] - sums[middle - half]) / (2 * half + 1)


def _loss(axes: Any, points: list[dict[str, float]], evals: list[dict[str, Any]]) -> None:
    tokens = [point["tokens"] for point in points]
    loss = np.array([point["loss"] for point in points])
    axes.plot(tokens, loss, color=LINE, alpha=0.35, linewidth=0.7)
    axes.plot(tokens, smooth(loss), color=LINE, linewidth=1.6)
    seen = [point for point in evals if point["tokens"] is not None]
    axes.plot(
        [point["tokens"] for point in seen],
        [point["nats_per_token"] for point in seen],
        "o",
        color=ACCENT,
        markersize=4,
    )
    _label(axes, "tokens", "nats/token")
    low = min([loss.min(), *(point["nats_per_token"] for point in seen)])
    # The first steps fall so far that nothing else would be seen: they lie above the picture.
    high = max([*loss[len(loss) // 10 :], *(point["nats_per_token"] for point in seen)])
    axes.set_ylim(low - 0.05 * (high - low or 1), high + 0.05 * (high - low or 1))


def _position(axes: Any, position: dict[str, Any]) -> None:
    bins = position["bins"]
    centre = [np.sqrt(b["first"] * b["last"]) for b in bins]
    error = [b["standard_error"] or 0.0 for b in bins]
    nats = [b["nats"] for b in bins]
    axes.errorbar(centre, nats, error, color=LINE, ecolor=ACCENT, marker="o", markersize=3.5, linewidth=1.4)
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter(lambda x, _: f"{x:,.0f}")
    _label(axes, "position in the context (tokens)", "nats/token")


def _line(axes: Any, points: list[dict[str, float]], key: str, label: str) -> None:
    values = np.array([point[key] for point in points])
    axes.plot([point["tokens"] for point in points], values, color=LINE, linewidth=1.2)
    if key == "grad_norm" and values.min() > 0 and values.max() > 30 * values.min():
        axes.set_yscale("log")
    elif values.min() >= 0:
        axes.set_ylim(0, 1.08 * (values.max() or 1))
    axes.yaxis.set_major_formatter(lambda y, _: f"{y:,.6g}")
    _label(axes, "tokens", label)


def _label(axes: Any, x: str, y: str) -> None:
    if x == "tokens":
        axes.xaxis.set_major_formatter(lambda value, _: _short(value))
        axes.set_xlim(left=0)
    axes.set_xlabel(x)
    axes.set_ylabel(y)


def _short(value: float) -> str:
    for size, unit in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{unit}"
    return f"{value:.3g}"
