"""Tests of differences: against scipy and the definition, and how often chance fools them."""

import itertools

import numpy as np
import pytest
from scipy import stats

from goalmaze.experiments.statistics.comparisons import differing, holm, paired
from goalmaze.experiments.statistics.intervals import rate


def stepped_down(chances: list[float], alpha: float) -> set[int]:
    """Which hypotheses the step-down procedure rejects, as Holm wrote it."""
    rejected: set[int] = set()
    while len(rejected) < len(chances):
        left = [i for i in range(len(chances)) if i not in rejected]
        smallest = min(left, key=lambda i: chances[i])
        if chances[smallest] > alpha / len(left):
            break
        rejected.add(smallest)
    return rejected


def test_holms_correction_rejects_what_the_step_down_procedure_does() -> None:
    rng = np.random.default_rng(0)
    seen = set()
    for _ in range(300):
        chances = (rng.random(rng.integers(1, 8)) ** 3).tolist()
        corrected = holm(chances)
        for alpha in (0.01, 0.05, 0.2):
            rejected = stepped_down(chances, alpha)
            assert {i for i, p in enumerate(corrected) if p <= alpha} == rejected
            seen.add(len(rejected))
    assert len(seen) > 4
    assert holm([]) == []


def test_chance_is_taken_for_a_difference_in_few_tables() -> None:
    rng = np.random.default_rng(1)
    tables = rng.random((2000, 10))
    assert np.mean([min(holm(list(row))) <= 0.05 for row in tables]) == pytest.approx(0.05, abs=0.015)
    assert np.mean(tables.min(axis=1) <= 0.05) > 0.3


@pytest.mark.parametrize(("a", "n", "b", "m"), [(10, 100, 30, 100), (50, 60, 300, 400), (1, 9, 8, 9)])
def test_two_shares_differ_as_scipy_says(a: int, n: int, b: int, m: int) -> None:
    ours = differing(rate(a, n), rate(b, m))
    theirs = stats.chi2_contingency([[a, n - a], [b, m - b]], correction=False).pvalue
    assert ours == pytest.approx(theirs, rel=1e-9)


def test_nothing_differs_from_nothing() -> None:
    assert differing(rate(0, 0), rate(3, 4)) == 1
    assert differing(rate(5, 5), rate(7, 7)) == 1


def test_flipping_signs_gives_the_exact_chance() -> None:
    differences = np.array([0.3, 1.2, -0.4, 0.9, 2.0, -0.1, 0.5, 0.8])
    signs = np.array(list(itertools.product([-1, 1], repeat=len(differences))))
    exact = np.mean(np.abs(signs @ differences) >= abs(differences.sum()) - 1e-9)
    assert paired(differences) == pytest.approx(exact, abs=0.01)
    assert paired(np.full(30, 0.1)) < 0.001
    assert paired(np.zeros(10)) == 1
