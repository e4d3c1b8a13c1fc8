"""Confidence intervals of rates. They cover the sampling of levels, not of training seeds."""

from __future__ import annotations

import dataclasses
import math

Z_95 = 1.959963984540054
"""The 0.975 quantile of the standard normal distribution."""


@dataclasses.dataclass(frozen=True)
class Rate:
    """A fraction of levels with its 95 % Wilson interval (Wilson, 1927).

    Attributes:
        value: successes / levels; NaN without levels.
        low: lower end of the interval.
        high: upper end of the interval.
        levels: number of levels counted.
    """

    value: float
    low: float
    high: float
    levels: int

    def __str__(self) -> str:
        return f"{self.value:.2f} [{self.low:.2f}, {self.high:.2f}]" if self.levels else "no levels"


def rate(successes: int, levels: int) -> Rate:
    """Return the fraction successes / levels with its interval, which is [0, 1] without levels."""
    if levels == 0:
        return Rate(math.nan, 0.0, 1.0, 0)
    # scipy.stats.binomtest(...).proportion_ci(method="wilson") gives the same ends in 1.3 ms instead of 4 µs, after an
    # import that every command would pay for (see the docstring of the package).
    value = successes / levels
    correction = Z_95**2 / levels
    centre = (value + correction / 2) / (1 + correction)
    half_width = Z_95 / (1 + correction) * math.sqrt(value * (1 - value) / levels + correction / (4 * levels))
    # Rounding can push an end beyond [0, 1], or past a rate of exactly 0 or 1.
    low, high = max(0.0, centre - half_width), min(1.0, centre + half_width)
    return Rate(value, min(value, low), max(value, high), levels)
