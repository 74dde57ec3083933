"""What differences over seeds can show: correction for several comparisons, and how many seeds a difference takes.

A comparison here is a paired one: Student's t of the differences of the scores with the same seed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache

import numpy as np

LEVEL, POWER = 0.05, 0.8
MOST_SEEDS = 1000
_STEPS = 2000  # of an integral


def p_value(mean: float, deviation: float, n: int) -> float:
    """Return the two-sided p of the mean of `n` differences by Student's t; NaN below two.

    Args:
        mean: of the differences.
        deviation: their standard deviation, with n - 1.
        n: how many.
    """
    from scipy.stats import t

    if n < 2 or math.isnan(deviation):
        return math.nan
    if deviation == 0:
        return 1.0 if mean == 0 else 0.0
    return float(2 * t.sf(abs(mean) * math.sqrt(n) / deviation, n - 1))


def holm(values: Sequence[float]) -> list[float]:
    """Return the p values of several comparisons, corrected so that 0.05 is the chance of any false one among them.

    The smallest is multiplied by their number, the next one by one less, and so on; none comes before a smaller one.

    Source: Holm, "A Simple Sequentially Rejective Multiple Test Procedure", 1979.

    Args:
        values: p values; NaN is no comparison, and stays.

    Example:
        >>> [round(value, 3) for value in holm([0.01, 0.04, 0.03, float("nan")])]
        [0.03, 0.06, 0.06, nan]
    """
    found = np.array(values, dtype=float)
    order = np.argsort(found)[: np.count_nonzero(~np.isnan(found))]  # NaN comes last
    weighted = found[order] * np.arange(len(order), 0, -1)
    found[order] = np.minimum(np.maximum.accumulate(weighted), 1.0)
    return found.tolist()


def power(difference: float, deviation: float, n: int, level: float = LEVEL) -> float:
    """Return the chance that `n` seeds show a difference that is there.

    Args:
        difference: the true mean.
        deviation: standard deviation of the differences of single seeds.
        n: number of seeds, 2 or more.
        level: of the two-sided test.
    """
    from scipy.special import ndtr, stdtrit

    # Over what the deviation of the sample may come out as: scipy's non-central t is no number in places.
    bound, shift = stdtrit(n - 1, 1 - level / 2) * _deviations(n), difference * math.sqrt(n) / deviation
    return float((ndtr(shift - bound) + ndtr(-shift - bound)).mean())


@cache
def _deviations(n: int) -> np.ndarray:
    """What the standard deviation of `n` numbers comes out as, in equal shares of all cases; 1 is the true one."""
    from scipy.special import gammaincinv

    return np.sqrt(gammaincinv((n - 1) / 2, (np.arange(_STEPS) + 0.5) / _STEPS) * 2 / (n - 1))


def seeds_needed(difference: float, deviation: float, level: float = LEVEL) -> int | None:
    """Return how many seeds show a difference with a chance of 80 percent; None for more than `MOST_SEEDS`.

    Args:
        difference: the true mean, above 0.
        deviation: standard deviation of the differences of single seeds, above 0.
        level: of the two-sided test.

    Example:
        >>> seeds_needed(1.0, 1.0), seeds_needed(0.5, 1.0), seeds_needed(0.01, 1.0)
        (10, 34, None)
    """
    low, high = 1, MOST_SEEDS  # more seeds, more power
    if power(difference, deviation, high, level) < POWER:
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if power(difference, deviation, middle, level) >= POWER else (middle, high)
    return high


def detectable(deviation: float, n: int, level: float = LEVEL) -> float:
    """Return the smallest difference that `n` seeds show with a chance of 80 percent.

    Args:
        deviation: standard deviation of the differences of single seeds, above 0.
        n: number of seeds, 2 or more.
        level: of the two-sided test.
    """
    from scipy.optimize import brentq
    from scipy.stats import t

    error = deviation / math.sqrt(n)
    most = 10 * float(t.isf(level / 2, n - 1)) * error  # far more than it takes
    return float(brentq(lambda difference: power(difference, deviation, n, level) - POWER, 0, most))
