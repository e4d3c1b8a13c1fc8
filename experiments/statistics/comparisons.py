"""Hypothesis tests of differences, and their correction for multiple comparisons."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy
from numpy.typing import NDArray

from goalmaze.experiments.statistics.intervals import Rate

ALPHA = 0.05
"""Family-wise error rate of a table of comparisons."""


def holm(p_values: Sequence[float]) -> list[float]:
    """Return Holm-adjusted p-values, which control the family-wise error rate (Holm, 1979)."""
    # Written out: scipy has only the corrections of the false discovery rate, and statsmodels is no dependency.
    order = np.argsort(p_values, kind="stable")
    # The i-th smallest of n p-values is multiplied by n - i + 1. The running maximum keeps the adjusted ones in order.
    scaled = np.array(p_values)[order] * np.arange(len(p_values), 0, -1)
    adjusted = np.empty(len(p_values))
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(scaled))
    return [float(p) for p in adjusted]


def proportions_test(one: Rate, other: Rate) -> float:
    """Return the p-value of Pearson's chi-squared test that two independent rates are equal.

    It is 1 where the test is undefined: without levels, or where both rates are 0 or both are 1.
    """
    successes = np.array([round(rate.value * rate.levels) if rate.levels else 0 for rate in (one, other)])
    levels = np.array([one.levels, other.levels])
    counts = np.column_stack([successes, levels - successes])
    # A row or column of zeros has an expected count of 0, by which the statistic would be divided.
    if not levels.all() or not counts.sum(axis=0).all():
        return 1.0
    return float(scipy.stats.chi2_contingency(counts, correction=False).pvalue)


def sign_flip_test(differences: NDArray[np.float64], *, seed: int = 0, resamples: int = 10_000) -> float:
    """Return the p-value of a paired permutation test that differences [B] on the same levels are symmetric about 0.

    The signs of the differences are flipped at random; the p-value is at least 1 / (resamples + 1).
    """
    # scipy.stats.permutation_test(permutation_type="samples") takes ten times as long (512 levels: 0.51 s against
    # 0.05 s), and its other random signs would change every p-value that was published.
    rng = np.random.default_rng(seed)
    observed = abs(differences.sum())
    extreme = 0
    # In blocks, because one matrix of all signs would take 10,000 numbers a level.
    for _ in range(0, resamples, 500):
        signs = rng.integers(0, 2, size=(500, len(differences))) * 2 - 1
        # The sums are compared with a tolerance, because their order of addition differs.
        extreme += int((np.abs(signs @ differences) >= observed * (1 - 1e-12)).sum())
    # The observed signs are one of the possible assignments, so p is never 0.
    return (extreme + 1) / (resamples + 1)


def permutation_test(
    ours: NDArray[np.float64], theirs: NDArray[np.float64], *, seed: int = 0, resamples: int = 10_000
) -> float:
    """Return the p-value of a two-sample permutation test that the means of runs [S] and [S'] are equal.

    The runs are assigned to two groups at random. The p-value is limited by the number of different assignments: with
    three seeds on each side it is about 0.1 or more.
    """
    # scipy.stats.permutation_test refuses a group of one run, which is what an agent trained with one seed is.
    rng = np.random.default_rng(seed)
    pooled = np.concatenate([ours, theirs])
    observed = abs(ours.mean() - theirs.mean())
    permuted = rng.permuted(np.tile(pooled, (resamples, 1)), axis=1)
    gaps = np.abs(permuted[:, : len(ours)].mean(axis=1) - permuted[:, len(ours) :].mean(axis=1))
    # A tolerance, because the same runs in another order have a sum that differs by rounding.
    return (int((gaps >= observed - 1e-12).sum()) + 1) / (resamples + 1)
