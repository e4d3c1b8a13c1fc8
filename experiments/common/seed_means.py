"""One value a training seed: its mean with an interval over seeds, and its quantiles."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
import scipy

from goalmaze.envs.json_data import JsonObject
from goalmaze.experiments.common.tables import number
from goalmaze.experiments.statistics.bootstrap import MIN_SEEDS


@dataclasses.dataclass(frozen=True)
class MeanOverSeeds:
    """A mean over S training seeds with its 95 % interval, by Student's t with S - 1 degrees of freedom.

    The interval covers training seeds. All seeds are evaluated on the same levels, so it leaves out the variation
    between sets of levels.

    Attributes:
        values: the values in the order of the seeds, without those that are undefined.
        value: the mean; NaN if there are no values.
        low: the lower end; NaN for fewer than `MIN_SEEDS` values.
        high: the upper end; NaN for fewer than `MIN_SEEDS` values.
    """

    values: tuple[float, ...]
    value: float
    low: float
    high: float

    def __str__(self) -> str:
        if not self.values:
            return "-"
        mean = f"{self.value:.3f}"
        return mean if math.isnan(self.low) else f"{mean} [{self.low:.3f}, {self.high:.3f}]"

    def json(self) -> JsonObject:
        """Return the mean as plain data, None for numbers that are undefined."""
        return {
            "mean": number(self.value),
            "low": number(self.low),
            "high": number(self.high),
            "covers": "training seeds, on the same levels",
            "values": [round(value, 4) for value in self.values],
        }


def mean_over_seeds(values: Sequence[float | None], *, is_rate: bool = True) -> MeanOverSeeds:
    """Return the mean of one value a training seed.

    Args:
        values: the values; None where undefined, which is left out.
        is_rate: whether the interval is cut to [0, 1].
    """
    defined = np.array([value for value in values if value is not None], np.float64)
    if not len(defined):
        return MeanOverSeeds((), math.nan, math.nan, math.nan)
    mean = float(defined.mean())
    if len(defined) < MIN_SEEDS:
        return MeanOverSeeds(tuple(defined.tolist()), mean, math.nan, math.nan)
    # scipy.stats.t.interval gives NaN where all seeds have the same value.
    half = float(scipy.stats.t.ppf(0.975, len(defined) - 1)) * float(defined.std(ddof=1)) / math.sqrt(len(defined))
    low, high = (max(0.0, mean - half), min(1.0, mean + half)) if is_rate else (mean - half, mean + half)
    return MeanOverSeeds(tuple(defined.tolist()), mean, low, high)
