"""Random numbers of training: uniform, independent, and fixed by their address alone."""

from __future__ import annotations

import copy
import random
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from goalmaze.agents.networks.base import Shape
from goalmaze.agents.training.addressed_draws import (
    AddressedDraws,
    action_numbers,
    minibatch_order,
    minibatch_orders,
    sampled_actions,
)
from goalmaze.agents.training.initial_network import initial_network
from goalmaze.envs.jit.counter_rng import uniforms

seeds = st.integers(0, 2**32 - 2)


@settings(max_examples=30, deadline=None)
@given(seeds, seeds, st.integers(0, 2**40), st.integers(0, 30))
def test_a_number_depends_on_seed_environment_and_step_alone(seed: int, other: int, first: int, later: int) -> None:
    many = action_numbers([other, seed], first, later + 2, 5)
    np.testing.assert_array_equal(action_numbers([seed], first + later, 1, 3)[0, 0], many[later, 1, :3])


def test_numbers_are_uniform_and_below_one() -> None:
    numbers = action_numbers(range(20), 0, 50, 40).ravel()
    assert numbers.min() >= 0
    assert numbers.max() < 1
    assert stats.kstest(numbers, "uniform").pvalue > 1e-3
    # The test has power: squares are not uniform.
    assert stats.kstest(numbers**2, "uniform").pvalue < 1e-9


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_numbers_at_neighbouring_addresses_are_unrelated(axis: int) -> None:
    numbers = action_numbers(range(30), 5, 30, 30)
    first, second = np.delete(numbers, -1, axis).ravel(), np.delete(numbers, 0, axis).ravel()
    assert abs(np.corrcoef(first, second)[0, 1]) < 4 / len(first) ** 0.5


def test_numbers_of_training_are_not_those_of_evaluation() -> None:
    rows = np.empty(500)
    uniforms(3, np.arange(500), 7, rows)
    assert not np.isclose(rows, action_numbers([3], 7, 1, 500)[0, 0], atol=1e-6).any()


@settings(max_examples=30, deadline=None)
@given(st.lists(seeds, min_size=1, max_size=4), st.integers(0, 10**6), st.integers(0, 9), st.integers(1, 60))
def test_an_order_is_a_permutation_of_its_seed(some: list[int], rollout: int, epoch: int, count: int) -> None:
    orders = minibatch_orders(some, rollout, epoch, count)
    for seed, order in zip(some, orders, strict=True):
        assert sorted(order) == list(range(count))
        np.testing.assert_array_equal(order, minibatch_order(seed, rollout, epoch, count))


def test_all_orders_are_equally_likely() -> None:
    counts = Counter(tuple(minibatch_order(seed, rollout, 0, 4)) for seed in range(40) for rollout in range(60))
    assert len(counts) == 24
    assert stats.chisquare(list(counts.values())).pvalue > 1e-3


def test_epochs_and_rollouts_have_orders_of_their_own() -> None:
    orders = {tuple(minibatch_order(1, rollout, epoch, 30)) for rollout in range(5) for epoch in range(5)}
    assert len(orders) == 25


def test_actions_are_sampled_from_their_probabilities() -> None:
    probabilities = torch.tensor([0.1, 0.0, 0.65, 0.25])
    numbers = torch.from_numpy(action_numbers([1], 0, 1, 20_000)[0, 0])
    actions = sampled_actions(probabilities.expand(len(numbers), 4), numbers)
    counts = torch.bincount(actions, minlength=4).numpy()
    assert counts[1] == 0
    assert stats.chisquare(counts[[0, 2, 3]], 20_000 * np.array([0.1, 0.65, 0.25])).pvalue > 1e-3
    # Also at the ends of the unit interval, and for a row that is not finite, the action exists.
    ends = torch.tensor([0.0, 1 - 2**-24, 0.5])
    rows = torch.stack([probabilities, probabilities, torch.full((4,), float("nan"))])
    assert sampled_actions(rows, ends).tolist() == [0, 3, 0]


def test_numbers_are_needed_before_actions() -> None:
    with pytest.raises(ValueError, match="call begin_rollout first"):
        AddressedDraws(0).actions(0, torch.ones(1, 4) / 4)


def test_initial_weights_depend_on_the_seed_and_leave_the_generators_alone() -> None:
    def weights(seed: int) -> torch.Tensor:
        network = initial_network("grid", Shape((4, 5, 5), 4), {"blocks": 1}, seed)
        return torch.cat([tensor.flatten() for tensor in network.state_dict().values()])

    first = weights(3)
    torch.manual_seed(99)
    before = torch.get_rng_state(), copy.deepcopy(np.random.get_state()), random.getstate()  # noqa: NPY002
    assert torch.equal(first, weights(3))
    assert not torch.allclose(first, weights(4))
    after = torch.get_rng_state(), np.random.get_state(), random.getstate()  # noqa: NPY002
    assert torch.equal(before[0], after[0])
    np.testing.assert_array_equal(before[1][1], after[1][1])  # type: ignore[index]
    assert before[2] == after[2]
