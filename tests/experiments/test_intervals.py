"""Wilson intervals: against scipy, and their coverage by simulation."""

import math

import numpy as np
import pytest
from scipy.stats import binomtest

from goalmaze.experiments.statistics.intervals import rate


@pytest.mark.parametrize(("successes", "levels"), [(0, 1), (1, 1), (0, 50), (50, 50), (3, 17), (400, 512)])
def test_wilson_interval_equals_scipys(successes: int, levels: int) -> None:
    ours = rate(successes, levels)
    theirs = binomtest(successes, levels).proportion_ci(method="wilson")
    assert ours.value == successes / levels
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


@pytest.mark.parametrize("truth", [0.03, 0.5, 0.9])
def test_interval_covers_the_truth_about_95_times_in_100(truth: float) -> None:
    hits = np.random.default_rng(0).binomial(200, truth, 4000)
    covered = np.mean([rate(int(h), 200).low <= truth <= rate(int(h), 200).high for h in hits])
    assert 0.93 <= covered <= 0.975
    too_narrow = np.mean([abs(h / 200 - truth) <= (rate(int(h), 200).high - rate(int(h), 200).low) / 4 for h in hits])
    assert too_narrow < 0.9


def test_without_levels_the_rate_is_nan_and_the_interval_is_the_unit_interval() -> None:
    empty = rate(0, 0)
    assert math.isnan(empty.value)
    assert (empty.low, empty.high, str(empty)) == (0.0, 1.0, "no levels")
