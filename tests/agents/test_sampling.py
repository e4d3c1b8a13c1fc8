"""Sampling of actions: right frequencies, no impossible action, and independent random numbers from step to step."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from goalmaze.agents import rollout
from goalmaze.agents.rollout import _sample

ROWS = np.arange(40_000)


def sampled(probabilities: list[float], step: int = 0, seed: int = 0) -> NDArray[np.intp]:
    return _sample(np.tile(np.array(probabilities, np.float32), (len(ROWS), 1)), seed, ROWS, step)


@pytest.mark.parametrize(
    "probabilities", [[0.25] * 4, [0.1, 0.0, 0.6, 0.3], [0.0, 1 / 3, 1 / 3, 1 / 3], [0.97, 0.03, 0, 0]]
)
def test_frequencies_are_the_probabilities(probabilities: list[float]) -> None:
    counts = np.bincount(sampled(probabilities), minlength=4)
    for count, probability in zip(counts, probabilities, strict=True):
        assert stats.binomtest(int(count), len(ROWS), probability).pvalue > 1e-6 if probability else count == 0


def test_the_bound_detects_frequencies_that_are_off_by_two_percent() -> None:
    count = np.bincount(sampled([0.27, 0.23, 0.25, 0.25]), minlength=4)[0]
    assert stats.binomtest(int(count), len(ROWS), 0.25).pvalue < 1e-6


@given(
    st.lists(st.one_of(st.just(0.0), st.floats(2**-20, 1.0, width=32)), min_size=2, max_size=6).filter(any),
    st.integers(0, 2**31),
)
def test_actions_of_probability_zero_are_never_sampled(probabilities: list[float], seed: int) -> None:
    rows = np.arange(200)
    table = np.tile(np.array(probabilities, np.float32) / np.float32(sum(probabilities)), (200, 1))
    actions = _sample(table, seed, rows, 3)
    assert (table[rows, actions] > 0).all()


@pytest.mark.parametrize("other", [{"step": 1}, {"seed": 1}])
def test_draws_are_independent_of_those_of_other_steps_and_seeds(other: dict[str, int]) -> None:
    even = [0.25] * 4
    table, *_ = np.histogram2d(sampled(even), sampled(even, **other), bins=4)
    assert stats.chi2_contingency(table).pvalue > 1e-6
    same, *_ = np.histogram2d(sampled(even), sampled(even), bins=4)
    assert stats.chi2_contingency(same).pvalue < 1e-6


def test_draws_depend_on_the_row_number_and_not_on_its_position_in_the_batch() -> None:
    table = np.full((len(ROWS), 4), 0.25, np.float32)
    picked = np.random.default_rng(0).permutation(ROWS)[:500]
    np.testing.assert_array_equal(_sample(table[:500], 0, picked, 0), _sample(table, 0, ROWS, 0)[picked])


@pytest.mark.parametrize(("draw", "action"), [(0.0, 1), (0.25, 3), (1 - 2**-53, 3)])
def test_the_smallest_and_largest_draw_select_possible_actions(
    monkeypatch: pytest.MonkeyPatch, draw: float, action: int
) -> None:
    monkeypatch.setattr(rollout, "uniforms", lambda seed, rows, step, out: out.fill(draw))
    assert _sample(np.array([[0, 0.25, 0, 0.75, 0]], np.float32), 0, np.arange(1), 0).tolist() == [action]
