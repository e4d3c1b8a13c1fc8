"""Wilson intervals: against scipy, and their coverage by simulation."""

import math

import numpy as np
import pytest
from scipy.stats import binomtest

from goalmaze.experiments.statistics.intervals import paired_difference, rate


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


@pytest.mark.parametrize("levels", [100, 512])
@pytest.mark.parametrize(("ours", "theirs", "together"), [(0.9, 0.6, 0.58), (0.98, 0.97, 0.965), (0.5, 0.5, 0.3)])
def test_paired_difference_covers_the_truth_at_the_sizes_that_are_used(
    ours: float, theirs: float, together: float, levels: int
) -> None:
    rng = np.random.default_rng(0)
    cells = [together, ours - together, theirs - together, 1 - ours - theirs + together]
    covered, half, widths = [], [], []
    for _ in range(2000):
        drawn = rng.choice(4, size=levels, p=cells)
        found = paired_difference(drawn < 2, (drawn == 0) | (drawn == 2))
        covered.append(found.low <= ours - theirs <= found.high)
        widths.append(found.high - found.low)
        half.append(abs(found.value - (ours - theirs)) <= widths[-1] / 4)
    # where fewer than three levels of 100 differ, it is wider than it need be, and never narrower
    assert np.mean(covered) >= 0.935
    if levels == 512:
        assert np.mean(covered) <= 0.98
        assert np.mean(half) < 0.9
    # pairing pays: two independent intervals would be wider
    both = rate(round(ours * levels), levels), rate(round(theirs * levels), levels)
    assert np.mean(widths) < sum(one.high - one.low for one in both)


def test_paired_difference_has_a_width_where_all_levels_agree_and_none_without_levels() -> None:
    same = paired_difference([True] * 50, [True] * 50)
    assert same.value == 0
    assert same.low < 0 < same.high
    empty = paired_difference([], [])
    assert math.isnan(empty.value)
    assert (empty.low, empty.high, str(empty)) == (-1.0, 1.0, "no levels")
    swapped = paired_difference([True, False, True], [False, False, False])
    assert swapped.value == pytest.approx(2 / 3)
    assert paired_difference([False] * 3, [True, False, True]).value == pytest.approx(-2 / 3)
