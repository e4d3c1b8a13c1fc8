"""Distributions over training seeds: against the crossed bootstrap, an analysis of variance, and counting."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from goalmaze.experiments.common.histogram import histogram, histogram_bounds
from goalmaze.experiments.statistics.bootstrap import bootstrap_seeds_and_levels
from goalmaze.experiments.statistics.over_seeds import (
    difference_over_seeds,
    mean_over_seeds,
    median_over_seeds,
    rates_of_seeds,
    sd_between_seeds,
    seed_distribution,
)


def scores_of(rates: np.ndarray, levels: int = 200, seed: int = 0) -> np.ndarray:
    return (np.random.default_rng(seed).random((len(rates), levels)) < rates[:, None]).astype(np.float64)


SPREAD = scores_of(np.linspace(0.1, 0.9, 12))
ALIKE = scores_of(np.full(12, 0.6))


def test_the_mean_is_that_of_the_crossed_bootstrap_where_every_level_counts() -> None:
    ours, theirs = mean_over_seeds(SPREAD), bootstrap_seeds_and_levels([SPREAD])
    assert (ours.value, ours.covers) == (pytest.approx(theirs.value), theirs.covers)
    assert ours.high - ours.low == pytest.approx(theirs.high - theirs.low, rel=0.1)


def test_levels_that_do_not_count_are_left_out_of_each_rate() -> None:
    scores = SPREAD.copy()
    scores[:, ::3] = np.nan
    scores[4] = np.nan
    kept = np.delete(SPREAD, 4, axis=0)
    expected = kept[:, np.arange(200) % 3 != 0].mean(axis=1)
    rates = rates_of_seeds(scores)
    assert math.isnan(rates[4])
    np.testing.assert_allclose(np.delete(rates, 4), expected)
    mean = mean_over_seeds(scores)
    assert (mean.value, mean.seeds, mean.levels) == (pytest.approx(expected.mean()), 11, 133)


def test_the_variance_between_seeds_is_that_of_an_analysis_of_variance() -> None:
    """The oracle: (mean square of agents - mean square of residuals) / levels, of the crossed two-way layout."""
    seeds, levels = SPREAD.shape
    rows, columns, whole = SPREAD.mean(axis=1), SPREAD.mean(axis=0), SPREAD.mean()
    residuals = ((SPREAD - rows[:, None] - columns + whole) ** 2).sum() / ((seeds - 1) * (levels - 1))
    expected = np.var(rows, ddof=1) - residuals / levels
    assert sd_between_seeds(SPREAD).value == pytest.approx(math.sqrt(expected), rel=0.01)
    assert sd_between_seeds(SPREAD).value < np.std(rows, ddof=1)


def test_seeds_that_are_alike_differ_by_noise_alone() -> None:
    found, measured = sd_between_seeds(ALIKE), np.std(ALIKE.mean(axis=1), ddof=1)
    assert measured > 0.02
    assert found.low == 0
    assert found.value < measured
    assert sd_between_seeds(SPREAD).low > 0.1


def test_the_ends_of_the_median_are_values_that_enclose_it_with_the_stated_probability() -> None:
    values = np.arange(16.0)
    found = median_over_seeds(values)
    assert (found.value, found.low, found.high) == (7.5, 3.0, 12.0)
    outside = stats.binom.cdf(3, 16, 0.5)
    assert 2 * outside < 0.05 < 2 * stats.binom.cdf(4, 16, 0.5)
    assert not median_over_seeds(np.arange(5.0)).exists
    assert median_over_seeds(np.arange(6.0)).exists
    assert "train 6 or more seeds" in median_over_seeds(np.arange(5.0)).note


def test_two_populations_differ_or_do_not() -> None:
    found = difference_over_seeds(SPREAD + 0.0, scores_of(np.linspace(0.0, 0.3, 9), seed=1))
    assert found.difference.value == pytest.approx(SPREAD.mean() - scores_of(np.linspace(0.0, 0.3, 9), seed=1).mean())
    assert found.difference.low > 0
    assert found.p_value < 0.01
    same = difference_over_seeds(SPREAD, scores_of(np.linspace(0.1, 0.9, 12), seed=2))
    assert same.difference.low < 0 < same.difference.high
    assert same.p_value > 0.5


def test_without_a_level_that_counts_there_is_a_distribution_without_numbers() -> None:
    nothing = seed_distribution(np.full((8, 20), np.nan))
    data = nothing.json()
    assert data["agents"] == 0
    assert data["mean"]["value"] is None
    assert set(data["quantiles"].values()) == {None}
    assert difference_over_seeds(np.full((8, 20), np.nan), SPREAD[:, :20]).p_value == 1


def test_a_histogram_counts_every_value_once() -> None:
    values = [0.0, 0.3, 0.1 * 3, 0.35, 0.99, 1.0, math.nan]
    table = histogram(values, "rate")
    counts = {str(row[0]): row[1] for row in table.rows}
    assert counts["0.30 to 0.40"] == 3
    assert counts["0.90 to 1.00"] == 2
    assert sum(int(str(count)) for count in counts.values()) == 6
    assert all(len(str(row[2])) == row[1] for row in table.rows)


def test_bins_are_narrow_where_values_are_close() -> None:
    assert histogram_bounds([0.951, 0.989]) == [0.95, 0.96, 0.97, 0.98, 0.99]
    assert histogram_bounds([1.0, 1.0]) == [0.99, 1.0]
    assert len(histogram_bounds([0.0, 1.0])) == 11
    many = histogram([0.5] * 400 + [0.95], "rate")
    assert max(len(str(row[2])) for row in many.rows) == 50
    assert [len(str(row[2])) for row in many.rows if row[1] == 1] == [1]
