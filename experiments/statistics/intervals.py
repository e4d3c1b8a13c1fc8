"""Intervals on rates. Every interval here covers chance over levels, not over training seeds."""

from __future__ import annotations

import dataclasses
import math

Z_95 = 1.959963984540054


@dataclasses.dataclass(frozen=True)
class Rate:
    """A share of levels with its 95 % Wilson interval (Wilson, 1927).

    Attributes:
        value: successes / levels; NaN where there are none.
        low: lower end of the interval.
        high: upper end.
        levels: how many levels were counted.
    """

    value: float
    low: float
    high: float
    levels: int

    def __str__(self) -> str:
        return f"{self.value:.2f} [{self.low:.2f}, {self.high:.2f}]" if self.levels else "no levels"


def rate(successes: int, levels: int) -> Rate:
    """Return the share of `successes` among `levels` with its interval; [0, 1] where there are no levels."""
    if levels == 0:
        return Rate(math.nan, 0.0, 1.0, 0)
    share = successes / levels
    spread = Z_95**2 / levels
    middle = (share + spread / 2) / (1 + spread)
    half = Z_95 / (1 + spread) * math.sqrt(share * (1 - share) / levels + spread / (4 * levels))
    return Rate(share, min(share, max(0.0, middle - half)), max(share, min(1.0, middle + half)), levels)
