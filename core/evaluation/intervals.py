"""How sure a measured number is: its 95% interval over the rows that happened to be held out.

What it does not do: say anything of data that are unlike the held-out rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

RESAMPLES = 1000
Z = 1.959964
"""Of the normal distribution, for 95%."""


def interval(parts: Sequence[tuple[float, float]]) -> tuple[float, float] | None:
    """Between which values the measure lies, in 95 of 100 sets of so many rows; None without rows.

    Shares of right answers by Wilson's score interval (doi:10.1080/01621459.1927.10502953), which is honest at 0 and
    100% as well; other measures by the percentile bootstrap over rows (doi:10.1214/aos/1176344552), always the same.

    Args:
        parts: what each row adds to numerator and denominator, see `metrics.part`.
    """
    if not sum(below for _, below in parts):
        return None
    if all(part in ((0.0, 1.0), (1.0, 1.0)) for part in parts):
        return wilson(round(sum(above for above, _ in parts)), len(parts))
    return _bootstrap(parts)


def wilson(right: int, rows: int) -> tuple[float, float]:
    """The interval of a share.

    >>> [round(end, 4) for end in wilson(81, 263)]
    [0.2553, 0.3662]
    """
    share, spread = right / rows, Z * Z / rows
    middle = share + spread / 2
    half = Z * sqrt(share * (1 - share) / rows + spread / (4 * rows))
    low, high = (middle - half) / (1 + spread), (middle + half) / (1 + spread)
    return (0.0 if right == 0 else low, 1.0 if right == rows else high)


def _bootstrap(parts: Sequence[tuple[float, float]]) -> tuple[float, float] | None:
    import numpy as np

    table, draw = np.array(parts), np.random.default_rng(0)
    sums = np.array([table[draw.integers(len(table), size=len(table))].sum(axis=0) for _ in range(RESAMPLES)])
    above, below = sums[sums[:, 1] > 0].T
    low, high = np.quantile(above / below, [0.025, 0.975])
    return float(low), float(high)
