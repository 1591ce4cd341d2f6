"""What recall is trained by: the share of the stick that fell on the events which hold the answer.

One op over any number of hops, for labelled evidence and for none. Which events are evidence, stage 05 knows.
"""

import numpy as np

from chronos.architecture.tape import Node, Op
from chronos.console import ChronosError

UNFOUND = 100.0  # nats for evidence that masks shut out altogether: no slope leads back to it


class Evidence(Op):
    """Σ_q −log p_q · scale, in nats, over hops: any number of logs (B, Q, N + 1) of `StickRead(log=True)`.

    evidence (H, B, Q, N + 1) bool marks the slots that answer a question, null among them for "I don't know";
    x_h is the share of hop h on them. Where `every` (B, Q) is true, each hop that has some must find it,
    p = Π_h x_h: labelled evidence, or null. Elsewhere one hop is enough, p = 1 − Π_h (1 − x_h): events that
    contain the answer, while nobody knows which hop should find them. A question without evidence is left
    out. Worked out in logarithms, so that a share of e⁻⁵⁰⁰ still has its slope. Saves the slopes.
    """

    @staticmethod
    def forward(
        ctx: Node, *logs: np.ndarray, evidence: np.ndarray, every: np.ndarray, scale: float = 1.0
    ) -> np.ndarray:
        _check(logs, evidence, every)
        with np.errstate(divide="ignore", invalid="ignore"):
            w = np.where(evidence, np.stack(logs).astype(np.float64), -np.inf)
            x = np.logaddexp.reduce(w, axis=-1)  # (H, B, Q): log x_h
            missed = np.log1p(-np.minimum(np.exp(x), 1 - 1e-15))
            some = np.full(every.shape, -np.inf)
            for h in range(len(logs)):  # the first hop that finds it is hop h
                some = np.logaddexp(some, x[h] + missed[:h].sum(0))
            log_p = np.where(every, np.where(evidence.any(-1), x, 0).sum(0), some)
            used, found = evidence.any((0, -1)), np.isfinite(log_p)
            part = np.where(every, 1, np.exp(x + missed.sum(0) - missed - some))  # ∂ log p / ∂ log x_h
            slopes = part[..., None] * np.exp(w - np.where(np.isfinite(x), x, 0)[..., None])
        slopes = -scale * np.where((used & found)[..., None] & evidence, slopes, 0)
        ctx.saved["slopes"] = slopes.astype(logs[0].dtype)
        return np.asarray(-scale * np.where(found, log_p, -UNFOUND)[used].sum(), logs[0].dtype)

    @staticmethod
    def backward(ctx: Node, grad: np.ndarray) -> tuple[np.ndarray, ...]:
        return tuple(slopes * grad for slopes in ctx.saved["slopes"])


def _check(logs: tuple[np.ndarray, ...], evidence: np.ndarray, every: np.ndarray) -> None:
    shape = logs[0].shape if logs else ()
    if not logs or evidence.shape != (len(logs), *shape) or every.shape != shape[:2]:
        expected, got = f"{(len(logs), *shape)} and {shape[:2]}", f"{evidence.shape} and {every.shape}"
        raise ChronosError("Evidence: evidence and every do not fit", expected=expected, got=got)
