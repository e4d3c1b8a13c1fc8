"""Hypothesis tests: against scipy, formulas and enumeration, and their error rates by simulation."""

import itertools

import numpy as np
import pytest
from scipy import stats

from goalmaze.experiments.statistics.comparisons import holm, permutation_test, proportions_test, sign_flip_test
from goalmaze.experiments.statistics.intervals import rate


def stepped_down(p_values: list[float], alpha: float) -> set[int]:
    """Return which hypotheses Holm's step-down procedure rejects, as Holm wrote it."""
    rejected: set[int] = set()
    while len(rejected) < len(p_values):
        left = [i for i in range(len(p_values)) if i not in rejected]
        smallest = min(left, key=lambda i: p_values[i])
        if p_values[smallest] > alpha / len(left):
            break
        rejected.add(smallest)
    return rejected


def test_adjusted_p_values_reject_what_the_step_down_procedure_rejects() -> None:
    rng = np.random.default_rng(0)
    counts = set()
    for _ in range(300):
        p_values = (rng.random(rng.integers(1, 8)) ** 3).tolist()
        corrected = holm(p_values)
        for alpha in (0.01, 0.05, 0.2):
            rejected = stepped_down(p_values, alpha)
            assert {i for i, p in enumerate(corrected) if p <= alpha} == rejected
            counts.add(len(rejected))
    assert len(counts) > 4
    assert holm([]) == []


def test_the_family_wise_error_rate_is_alpha() -> None:
    rng = np.random.default_rng(1)
    tables = rng.random((2000, 10))
    assert np.mean([min(holm(list(row))) <= 0.05 for row in tables]) == pytest.approx(0.05, abs=0.015)
    assert np.mean(tables.min(axis=1) <= 0.05) > 0.3


@pytest.mark.parametrize(("a", "n", "b", "m"), [(10, 100, 30, 100), (50, 60, 300, 400), (1, 9, 8, 9)])
def test_two_rates_are_compared_by_pearsons_chi_squared(a: int, n: int, b: int, m: int) -> None:
    ours = proportions_test(rate(a, n), rate(b, m))
    theirs = stats.chi2_contingency([[a, n - a], [b, m - b]], correction=False).pvalue
    assert ours == pytest.approx(theirs, rel=1e-9)
    pooled = (a + b) / (n + m)
    z = (a / n - b / m) / np.sqrt(pooled * (1 - pooled) * (1 / n + 1 / m))
    assert ours == pytest.approx(2 * stats.norm.sf(abs(z)), rel=1e-9)


def test_undefined_comparisons_have_a_p_value_of_one() -> None:
    assert proportions_test(rate(0, 0), rate(3, 4)) == 1
    assert proportions_test(rate(5, 5), rate(7, 7)) == 1


def test_random_signs_approach_the_exact_p_value() -> None:
    differences = np.array([0.3, 1.2, -0.4, 0.9, 2.0, -0.1, 0.5, 0.8])
    signs = np.array(list(itertools.product([-1, 1], repeat=len(differences))))
    exact = np.mean(np.abs(signs @ differences) >= abs(differences.sum()) - 1e-9)
    assert sign_flip_test(differences) == pytest.approx(exact, abs=0.01)
    assert sign_flip_test(np.full(30, 0.1)) < 0.001
    assert sign_flip_test(np.zeros(10)) == 1


@pytest.mark.parametrize(("ours", "theirs"), [([1.0, 2.0, 5.0], [4.0, 7.0, 6.0]), ([0.0], [2.0, 3.0, 4.0])])
def test_random_permutations_approach_the_exact_p_value(ours: list[float], theirs: list[float]) -> None:
    runs = np.array(ours + theirs)
    groups = [np.isin(np.arange(len(runs)), first) for first in itertools.combinations(range(len(runs)), len(ours))]
    gaps = np.array([abs(runs[group].mean() - runs[~group].mean()) for group in groups])
    exact = np.mean(gaps >= abs(np.mean(ours) - np.mean(theirs)) - 1e-9)
    assert 0 < exact < 1
    assert permutation_test(np.array(ours), np.array(theirs)) == pytest.approx(exact, abs=0.015)
    assert permutation_test(np.zeros(3), np.zeros(3)) == 1
