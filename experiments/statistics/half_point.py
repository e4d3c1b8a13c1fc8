"""Where a rate over seeds crosses one half along a dial, with an interval that holds at any number of seeds.

The rate is taken to rise along the dial and nothing else: no curve is fitted. The estimate is the crossing of the
isotonic fit (pool adjacent violators), between two values of the dial on a logarithmic scale. The interval inverts
exact binomial tests of "the rate is one half" in a fixed sequence: from the lowest value of the dial upwards for its
lower end, from the highest downwards for its upper end, each until the first test that does not reject. Each end errs
with a probability of 2.5 % at most, whatever the rates are, so the interval covers in 95 % of experiments or more.
Fewer than six seeds can reject nothing, so they give no ends.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
import scipy
from numpy.typing import NDArray

from goalmaze.envs.json_data import JsonObject

TAIL = 0.025
"""Probability with which each end of the interval errs, at most."""


@dataclasses.dataclass(frozen=True)
class HalfPoint:
    """The value of a dial at which a rate over seeds crosses one half.

    Attributes:
        value: the estimate; NaN where the rates cross one half below or above all values of the dial.
        low: lower end of the interval, a value of the dial; None where no lower value is excluded.
        high: upper end; None where no higher value is excluded.
        least: the lowest value of the dial.
        most: the highest value of the dial.
        is_below: whether the crossing lies at or below the lowest value of the dial.
    """

    value: float
    low: float | None
    high: float | None
    least: float
    most: float
    is_below: bool

    def __str__(self) -> str:
        low = "0" if self.low is None else f"{self.low:.3g}"
        high = "-" if self.high is None else f"{self.high:.3g}"
        return f"{self.bound} [{low}, {high}]"

    @property
    def bound(self) -> str:
        """The estimate as text, or the value of the dial that it lies beyond."""
        if not math.isnan(self.value):
            return f"{self.value:.2g}"
        return f"<= {self.least:.3g}" if self.is_below else f"> {self.most:.3g}"

    def json(self) -> JsonObject:
        """Return the estimate and its interval as plain data."""
        return {
            "value": None if math.isnan(self.value) else self.value,
            "low": self.low,
            "high": self.high,
            "text": str(self),
        }


def half_point(dial: Sequence[float], successes: Sequence[int], totals: Sequence[int]) -> HalfPoint:
    """Return where the rate of successes crosses one half.

    Args:
        dial: the values, in ascending order.
        successes: seeds that succeeded at each.
        totals: seeds at each, 1 or more.
    """
    low: float | None = None
    for value, count, total in zip(dial, successes, totals, strict=True):
        if scipy.stats.binom.cdf(count, total, 0.5) > TAIL:
            break
        low = value
    high: float | None = None
    for value, count, total in reversed(list(zip(dial, successes, totals, strict=True))):
        if scipy.stats.binom.sf(count - 1, total, 0.5) > TAIL:
            break
        high = value
    rates = isotonic(np.asarray(successes) / np.asarray(totals), np.asarray(totals, np.float64))
    value = _crossing(dial, rates)
    return HalfPoint(value, low, high, dial[0], dial[-1], is_below=bool(rates[0] >= 0.5))


def isotonic(rates: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the rising sequence with the least weighted squared distance to `rates` (pool adjacent violators)."""
    blocks: list[tuple[float, float, int]] = []
    for rate, weight in zip(rates, weights, strict=True):
        blocks.append((float(rate), float(weight), 1))
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            (one, first, m), (other, second, n) = blocks[-2:]
            mean = (one * first + other * second) / (first + second)
            blocks[-2:] = [(mean, first + second, m + n)]
    return np.repeat([rate for rate, _, _ in blocks], [count for _, _, count in blocks])


def _crossing(dial: Sequence[float], rates: NDArray[np.float64]) -> float:
    """Return the crossing of one half, NaN where it lies beyond the dial."""
    above = np.flatnonzero(rates >= 0.5)
    if not len(above) or above[0] == 0:
        return math.nan
    i = int(above[0])
    part = (0.5 - rates[i - 1]) / (rates[i] - rates[i - 1])
    if dial[i - 1] <= 0:
        # A dial that begins at 0 has no logarithm there.
        return float(dial[i - 1] + part * (dial[i] - dial[i - 1]))
    return float(dial[i - 1] * (dial[i] / dial[i - 1]) ** part)
