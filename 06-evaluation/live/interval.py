"""How sure a share of right answers is: Wilson's interval within a seed, Student's t over seeds.

Pure functions of counts, 95% everywhere; it knows no records. Try
`python -c "from chronos.evaluation.live.interval import wilson; print(wilson(9, 10))"`.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

Z = 1.959963984540054  # 97.5% of a normal distribution lies below
# 97.5% quantiles of Student's t for 1 … 10 degrees of freedom; beyond, the expansion below is good to 1e-4.
T = (12.706205, 4.302653, 3.182446, 2.776445, 2.570582, 2.446912, 2.364624, 2.306004, 2.262157, 2.228139)


def wilson(right: int, n: int) -> tuple[float, float]:
    """The 95% interval of a share of n independent answers (E. Wilson 1927, no continuity correction)."""
    share, spread = right / n, Z * Z / n
    centre = (share + spread / 2) / (1 + spread)
    half = Z * math.sqrt(share * (1 - share) / n + spread / (4 * n)) / (1 + spread)
    low, high = max(0.0, centre - half), min(1.0, centre + half)
    return (0.0 if right == 0 else low), (1.0 if right == n else high)


def quantile(freedom: int) -> float:
    """97.5% of Student's t distribution lies below it (Abramowitz & Stegun 26.7.5 beyond ten degrees)."""
    if freedom <= len(T):
        return T[freedom - 1]
    first = (Z**3 + Z) / 4
    second = (5 * Z**5 + 16 * Z**3 + 3 * Z) / 96
    third = (3 * Z**7 + 19 * Z**5 + 17 * Z**3 - 15 * Z) / 384
    return Z + first / freedom + second / freedom**2 + third / freedom**3


def student(means: Sequence[float]) -> tuple[float, float]:
    """The 95% interval of the mean of at least two seeds' means, cut to 0 … 1."""
    n, mean = len(means), sum(means) / len(means)
    deviation = math.sqrt(sum((one - mean) ** 2 for one in means) / (n - 1))
    half = quantile(n - 1) * deviation / math.sqrt(n)
    return max(0.0, mean - half), min(1.0, mean + half)


def estimate(by_seed: Mapping[int, tuple[int, int]]) -> dict[str, Any]:
    """{"n", "seeds", "accuracy", "low", "high", "interval"} from seed → (right, n), n > 0.

    The accuracy is the mean of the seeds' own. `interval` says where low and high come from: "wilson" for
    one seed; "t" for several; "wilson, seeds agree" where all seeds have the very same share, of which t
    would say that it is certain: then the questions of all seeds together.
    """
    means = [right / n for right, n in by_seed.values()]
    right, n = (sum(column) for column in zip(*by_seed.values()))
    if len(means) == 1:
        name, (low, high) = "wilson", wilson(right, n)
    elif len(set(means)) == 1:
        name, (low, high) = "wilson, seeds agree", wilson(right, n)
    else:
        name, (low, high) = "t", student(means)
    accuracy = sum(means) / len(means)
    return {"n": n, "seeds": len(means), "accuracy": accuracy, "low": low, "high": high, "interval": name}
