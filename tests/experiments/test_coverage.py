"""Intervals reach their coverage at the sizes used, also near 0 and 1 and where training seeds fall into two heaps."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from goalmaze.experiments.coverage.simulations import (
    ONE_HEAP,
    OPPONENTS,
    POPULATIONS,
    WIDE_POPULATIONS,
    Heaps,
    difference_of_populations,
    improvement,
    mean_of_population,
    median_of_population,
    rare_counts,
    rare_difference,
    rate_of_levels,
    rate_of_seeds,
    sd_of_population,
    simulate,
)
from goalmaze.experiments.statistics.bootstrap import Interval, bootstrap_levels, probability_of_superiority

TRIALS = 250


@pytest.mark.parametrize("levels", [128, 512])
@pytest.mark.parametrize("probability", [0.01, 0.5, 0.99])
def test_a_rate_of_levels_is_covered(probability: float, levels: int) -> None:
    exists, covered = simulate(rate_of_levels(probability, levels), probability, TRIALS)
    assert exists == 1
    assert covered > 0.92


def test_the_percentile_bootstrap_of_a_rare_rate_is_not_covered() -> None:
    def trial(rng: np.random.Generator) -> Interval:
        solved = (rng.random(128) < 0.01).astype(np.float64)
        return bootstrap_levels(solved, lambda scores: float(scores.mean()), resamples=100)

    assert simulate(trial, 0.01, TRIALS)[1] < 0.85


@pytest.mark.parametrize("levels", [128, 512])
def test_a_rare_difference_is_covered(levels: int) -> None:
    assert simulate(rare_difference(0.02, 0.01, levels), 0.01, TRIALS)[1] > 0.92


def test_a_mean_of_counts_is_covered_or_has_no_interval() -> None:
    # Where all counts are 0 or 1, their mean is a rate.
    assert simulate(rare_counts(0.02, 128), 0.1, 40)[0] < 0.2
    exists, covered = simulate(rare_counts(0.3, 128), 1.5, TRIALS)
    assert exists > 0.95
    assert covered > 0.88


@pytest.mark.parametrize("theirs", OPPONENTS.values(), ids=OPPONENTS.keys())
@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_the_probability_of_improvement_is_covered_with_few_seeds(seeds: int, theirs: Heaps) -> None:
    exists, covered = simulate(improvement(ONE_HEAP, theirs, seeds), ONE_HEAP.superiority(theirs), TRIALS)
    assert exists == 1
    assert covered > 0.92


def test_a_bootstrap_of_three_seeds_does_not_cover_the_probability_of_improvement() -> None:
    theirs = OPPONENTS["one heap each"]

    def trial(rng: np.random.Generator) -> Interval:
        groups = ONE_HEAP.rates(rng, 3), theirs.rates(rng, 3)
        samples = [probability_of_superiority(*(rng.choice(group, 3) for group in groups)) for _ in range(100)]
        low, high = np.quantile(samples, [0.025, 0.975])
        return Interval(0.0, float(low), float(high), "seeds and levels", 3, 1)

    assert simulate(trial, ONE_HEAP.superiority(theirs), TRIALS)[1] < 0.92


@pytest.mark.parametrize("name", ["one heap", "two equal heaps"])
def test_a_rate_over_five_seeds_is_covered_and_three_give_no_interval(name: str) -> None:
    population = POPULATIONS[name]
    assert simulate(rate_of_seeds(population, 3), population.mean, 5)[0] == 0
    exists, covered = simulate(rate_of_seeds(population, 5), population.mean, TRIALS)
    assert exists == 1
    assert covered > 0.89


def test_students_interval_of_three_seeds_in_two_heaps_is_not_covered() -> None:
    population, rng = POPULATIONS["two equal heaps"], np.random.default_rng(0)
    means = np.stack([population.scores(rng, 3).mean(axis=1) for _ in range(1000)])
    half_widths = stats.t.ppf(0.975, 2) * stats.sem(means, axis=1)
    assert np.mean(np.abs(means.mean(axis=1) - population.mean) <= half_widths) < 0.85


def test_the_true_probability_of_superiority_is_that_of_many_seeds() -> None:
    rng, theirs = np.random.default_rng(0), OPPONENTS["two heaps around one, one of 0.1"]
    many = probability_of_superiority(ONE_HEAP.rates(rng, 20_000), theirs.rates(rng, 20_000))
    assert many == pytest.approx(ONE_HEAP.superiority(theirs), abs=0.01)


@pytest.mark.parametrize(("name", "seeds"), [("one heap", 16), ("two equal heaps", 8), ("all alike", 16)])
def test_mean_and_sd_between_the_seeds_of_a_population_are_covered(name: str, seeds: int) -> None:
    population, trials = WIDE_POPULATIONS[name], 60
    for trial, truth in (
        (mean_of_population(population, seeds), population.mean),
        (sd_of_population(population, seeds), population.sd),
    ):
        exists, covered = simulate(trial, truth, trials)
        assert exists == 1
        assert covered > 0.86


def test_the_median_of_a_population_is_covered_and_five_seeds_give_no_interval() -> None:
    assert simulate(median_of_population(ONE_HEAP, 5), ONE_HEAP.mean, 5)[0] == 0
    exists, covered = simulate(median_of_population(ONE_HEAP, 16), ONE_HEAP.mean, TRIALS)
    assert exists == 1
    assert covered > 0.92


def test_the_difference_of_two_populations_is_covered() -> None:
    theirs = OPPONENTS["two heaps around one"]
    trial = difference_of_populations(ONE_HEAP, theirs, (8, 16))
    assert simulate(trial, ONE_HEAP.mean - theirs.mean, 60)[1] > 0.86


def test_an_interval_over_levels_alone_does_not_cover_the_mean_of_a_population() -> None:
    def trial(rng: np.random.Generator) -> Interval:
        return bootstrap_levels(np.nanmean(population.counted_scores(rng, 16), axis=0), resamples=100)

    population = WIDE_POPULATIONS["two equal heaps"]
    assert simulate(trial, population.mean, 60)[1] < 0.7
