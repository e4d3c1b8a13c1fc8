"""Rank correlations over the agents of a population, with bootstrap intervals and paired differences."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import scipy
from numpy.typing import NDArray

from goalmaze.envs.json_data import JsonObject
from goalmaze.experiments.common.tables import number

Numbers = NDArray[np.float64]

RESAMPLES, SEED = 2000, 0
"""Bootstrap resamples of agents, and their seed."""

PERCENTILES = (0.025, 0.975)


@dataclasses.dataclass(frozen=True, eq=False)
class Estimate:
    """A statistic with its 95 % percentile interval over agents.

    Attributes:
        value: the statistic.
        samples: float64 [R], the same statistic of each resample of agents.
    """

    value: float
    samples: Numbers

    @functools.cached_property
    def _ends(self) -> tuple[float, float]:
        low, high = np.quantile(self.samples, PERCENTILES)
        return float(low), float(high)

    @property
    def low(self) -> float:
        """The lower end of the interval."""
        return self._ends[0]

    @property
    def high(self) -> float:
        """The upper end of the interval."""
        return self._ends[1]

    @property
    def contains_zero(self) -> bool:
        """Whether the interval contains 0."""
        return self.low <= 0 <= self.high

    def minus(self, other: Estimate) -> Estimate:
        """Return the paired difference to an estimate over the same resamples."""
        return Estimate(self.value - other.value, self.samples - other.samples)

    def __str__(self) -> str:
        return f"{self.value:.2f} [{self.low:.2f}, {self.high:.2f}]"

    def json(self) -> JsonObject:
        """Return the estimate as plain data."""
        return {"value": number(self.value), "low": number(self.low), "high": number(self.high)}


@functools.lru_cache(maxsize=16)
def resampled_rows(count: int, resamples: int = RESAMPLES) -> NDArray[np.int64]:
    """Return int64 [R, n], the agents of each resample; the same for all methods, so that differences are paired."""
    rows = np.random.default_rng(SEED).integers(count, size=(resamples, count))
    rows.flags.writeable = False
    return rows


def spearman(scores: Numbers, targets: Numbers, resamples: int = RESAMPLES) -> Estimate:
    """Return Spearman's rank correlation of scores [n] and targets [n] over n agents; ties have their mean rank.

    Scores that are all equal order nothing: their correlation counts as 0.
    """
    rows = resampled_rows(len(scores), resamples)
    value = _correlations(scores[None], targets[None])[0]
    return Estimate(float(value), _correlations(scores[rows], targets[rows]))


def _correlations(scores: Numbers, targets: Numbers) -> Numbers:
    """Return float64 [R], the rank correlation of each row of scores [R, n] and targets [R, n]."""
    first, second = (scipy.stats.rankdata(one, axis=1) for one in (scores, targets))
    first, second = (one - one.mean(axis=1, keepdims=True) for one in (first, second))
    sizes = np.sqrt((first**2).sum(axis=1) * (second**2).sum(axis=1))
    return np.where(sizes > 0, (first * second).sum(axis=1) / np.where(sizes > 0, sizes, 1), 0.0)
