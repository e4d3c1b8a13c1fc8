"""Bootstrap intervals: against scipy, slow loops, and their coverage by simulation."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from goalmaze.envs.errors import GoalmazeError
from goalmaze.experiments.statistics.bootstrap import (
    Statistic,
    bootstrap_levels,
    bootstrap_seeds_and_levels,
    interquartile_mean,
    mean,
    paired_difference,
    performance_profile,
    probability_of_improvement,
    probability_of_superiority,
    ratio,
)


@pytest.mark.parametrize("count", [1, 3, 4, 7, 40, 101])
def test_the_interquartile_mean_is_scipys_trimmed_mean(count: int) -> None:
    scores = np.random.default_rng(count).normal(size=(2, count))
    assert interquartile_mean(scores) == pytest.approx(stats.trim_mean(scores, 0.25, axis=None), abs=1e-12)
    if count > 3:
        assert abs(interquartile_mean(scores) - scores.mean()) > 1e-6


@pytest.mark.parametrize(("ours", "theirs"), [(mean, np.mean), (interquartile_mean, stats.trim_mean)])
def test_the_interval_over_levels_has_scipys_ends_for_the_same_seed(
    ours: Callable[..., float], theirs: Callable[..., float]
) -> None:
    scores = np.random.default_rng(0).exponential(size=80)
    interval = bootstrap_levels(scores, ours, seed=3, resamples=500)
    options = {} if theirs is np.mean else {"proportiontocut": 0.25}
    expected = stats.bootstrap(
        (scores,),
        lambda sample: theirs(sample, **options),
        vectorized=False,
        method="percentile",
        n_resamples=500,
        rng=np.random.default_rng(3),
    ).confidence_interval
    assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high), rel=1e-12)


def test_the_interval_over_levels_is_scipys_percentile_bootstrap() -> None:
    scores = np.random.default_rng(0).exponential(size=80)
    ours = bootstrap_levels(scores, interquartile_mean, resamples=4000)
    theirs = stats.bootstrap(
        (scores,),
        lambda drawn: stats.trim_mean(drawn, 0.25),
        vectorized=False,
        method="percentile",
        n_resamples=4000,
        rng=np.random.default_rng(1),
    ).confidence_interval
    width = theirs.high - theirs.low
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.06 * width)
    assert (ours.covers, ours.seeds, ours.levels) == ("levels", 1, 80)


@pytest.mark.parametrize("statistic", [mean, interquartile_mean])
def test_the_interval_over_levels_covers_the_truth_about_95_times_in_100(statistic: Statistic) -> None:
    rng = np.random.default_rng(2)
    intervals = [bootstrap_levels(rng.normal(1.0, 2.0, 60), statistic, resamples=300) for _ in range(400)]
    covered = np.mean([one.low <= 1.0 <= one.high for one in intervals])
    assert 0.905 <= covered <= 0.98
    assert np.mean([abs(one.value - 1.0) <= (one.high - one.low) / 4 for one in intervals]) < 0.85


def test_a_ratio_of_sums_is_covered_where_long_levels_cost_more() -> None:
    rng = np.random.default_rng(6)
    covered = []
    for _ in range(300):
        steps = rng.geometric(0.1, 80).astype(float)
        nats = rng.normal(0.7 * steps, np.sqrt(steps))
        interval = bootstrap_levels(np.column_stack([nats, steps]), ratio, resamples=300)
        covered.append(interval.low <= 0.7 <= interval.high)
        assert interval.value == pytest.approx(nats.sum() / steps.sum())
    assert 0.9 <= np.mean(covered) <= 0.985


def population(rng: np.random.Generator, seeds: int, levels: int, *, spread: float) -> np.ndarray:
    """Scores [S, B] about 0 with an effect of the seed, one of the level, and noise."""
    return np.asarray(
        rng.normal(0, spread, (seeds, 1)) + rng.normal(0, 0.5, (1, levels)) + rng.normal(0, 0.5, (seeds, levels))
    )


@pytest.mark.parametrize("seeds", [5, 12])
@pytest.mark.parametrize("statistic", [mean, interquartile_mean])
def test_the_interval_over_seeds_covers_the_truth_and_one_over_levels_does_not(
    seeds: int, statistic: Statistic
) -> None:
    rng = np.random.default_rng(seeds)
    both, levels_only = [], []
    for _ in range(250):
        scores = population(rng, seeds, 40, spread=0.6)
        interval = bootstrap_seeds_and_levels([scores], statistic, resamples=150)
        both.append(interval.low <= 0 <= interval.high)
        naive = bootstrap_levels(scores.mean(axis=0), resamples=150)
        levels_only.append(naive.low <= 0 <= naive.high)
    assert 0.91 <= np.mean(both) <= 0.995
    assert np.mean(levels_only) < 0.8


def test_strata_share_their_resampled_seeds() -> None:
    rng = np.random.default_rng(0)
    effect = rng.normal(0, 1, (6, 1))
    together = [effect + rng.normal(0, 0.1, (6, 30)) for _ in range(4)]
    apart = [rng.permutation(effect) + rng.normal(0, 0.1, (6, 30)) for _ in range(4)]
    joint, split = bootstrap_seeds_and_levels(together), bootstrap_seeds_and_levels(apart)
    assert joint.high - joint.low > 1.3 * (split.high - split.low)
    assert (joint.covers, joint.seeds, joint.levels) == ("seeds and levels", 6, 120)


def test_an_interval_over_seeds_needs_two_or_more() -> None:
    with pytest.raises(GoalmazeError, match="needs 2 or more"):
        bootstrap_seeds_and_levels([np.zeros((1, 9))])
    with pytest.raises(GoalmazeError, match="the same in every condition"):
        bootstrap_seeds_and_levels([np.zeros((2, 9)), np.zeros((3, 9))])


def test_without_an_interval_the_value_stands_alone_beside_advice() -> None:
    scores = np.random.default_rng(0).random((4, 30))
    few = bootstrap_seeds_and_levels([scores])
    assert str(few.clipped()) == f"{scores.mean():.3f}"
    assert few.note == "no interval: train 5 or more seeds, not 4"
    assert few.json()["low"] is None
    rare = bootstrap_levels(np.array([0.0] * 60 + [7.0] * 4))
    assert (str(rare), rare.note) == ("0.438", "no interval: evaluate on more levels")
    enough = bootstrap_levels(np.array([0.0] * 60 + [7.0] * 20))
    assert enough.exists
    assert enough.note == "levels"


def test_agents_that_solve_everything_may_still_fail_on_other_levels() -> None:
    alike = bootstrap_seeds_and_levels([np.ones((6, 50))])
    wilson = stats.binomtest(50, 50).proportion_ci(method="wilson")
    assert (alike.low, alike.high) == pytest.approx((wilson.low, 1.0))
    assert bootstrap_levels(np.ones(50)).low == pytest.approx(wilson.low)


def test_a_difference_of_rates_has_the_interval_of_its_table() -> None:
    differences = np.repeat([1.0, -1.0, 0.0], [9, 3, 116])
    interval = paired_difference(differences)
    middle, table = 6 / 130, np.repeat([1.0, -1.0, 0.0], [95, 35, 1170])
    half_width = stats.norm.ppf(0.975) * table.std() / math.sqrt(130)
    assert (interval.low, interval.high) == pytest.approx((middle - half_width, middle + half_width))
    assert interval.value == differences.mean()
    alike = paired_difference(np.zeros(128))
    assert alike.low < 0 < alike.high, "agents that never differed may differ on other levels"
    assert paired_difference(np.zeros(0)).levels == 0


def test_the_probability_of_superiority_is_mann_whitneys() -> None:
    rng = np.random.default_rng(0)
    ours, theirs = rng.integers(0, 6, 30).astype(float), rng.integers(0, 5, 40).astype(float)
    slow = np.mean([(a > b) + 0.5 * (a == b) for a in ours for b in theirs])
    assert probability_of_superiority(ours, theirs) == pytest.approx(slow)
    assert slow == pytest.approx(stats.mannwhitneyu(ours, theirs).statistic / (30 * 40))
    assert probability_of_superiority(ours, ours) == 0.5
    assert probability_of_superiority(ours, theirs) + probability_of_superiority(theirs, ours) == pytest.approx(1)


def test_better_runs_are_superior_and_equal_ones_are_not() -> None:
    rng = np.random.default_rng(1)
    weak, strong = population(rng, 8, 50, spread=0.3), population(rng, 8, 50, spread=0.3) + 1.5
    better = probability_of_improvement([(strong, weak)], resamples=200)
    assert better.low > 0.6
    assert better.covers == "seeds and levels"
    same = probability_of_improvement([(weak, weak)], resamples=200)
    assert same.low < 0.5 < same.high
    single = probability_of_improvement([(strong[:1], weak[:1])], resamples=200)
    assert single.covers == "levels"
    few = probability_of_improvement([(strong[:5], weak[:5])])
    assert few.low < 0.5 < few.value == 1, "five wins of five do not exclude chance"


def test_the_probability_of_improvement_is_covered() -> None:
    rng = np.random.default_rng(3)
    truth = stats.norm.cdf(0.4 / math.sqrt(2))
    covered = []
    for _ in range(200):
        ours, theirs = rng.normal(0.4, 1, (12, 1)), rng.normal(0, 1, (12, 1))
        interval = probability_of_improvement([(np.repeat(ours, 3, 1), np.repeat(theirs, 3, 1))], resamples=200)
        covered.append(interval.low <= truth <= interval.high)
    assert np.mean(covered) >= 0.94


def test_a_profile_counts_scores_above_each_threshold() -> None:
    scores = np.random.default_rng(0).random((5, 200))
    profile = performance_profile(scores, [0.1, 0.5, 0.9])
    assert [rate.value for rate in profile.rates] == [float((scores > t).mean()) for t in (0.1, 0.5, 0.9)]
    assert all(0 <= rate.low <= rate.value <= rate.high <= 1 for rate in profile.rates)
    assert profile.rates[0].covers == "seeds and levels"
    assert performance_profile(scores[0], [0.5]).rates[0].covers == "levels"
    assert not performance_profile(scores[:4], [0.5]).rates[0].exists, "four seeds give no interval"


def test_a_profile_covers_the_truth() -> None:
    rng = np.random.default_rng(4)
    covered = []
    for _ in range(200):
        rate = performance_profile(rng.normal(0, 1, (1, 80)), [0.3], seed=1).rates[0]
        covered.append(rate.low <= 1 - stats.norm.cdf(0.3) <= rate.high)
    assert 0.89 <= np.mean(covered) <= 0.99
