"""Thinking: extra passes of a recurrent network on the first observation, against a loop by hand."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from goalmaze.agents.networks import make_network
from goalmaze.agents.networks.base import RecurrentNetwork, Shape
from goalmaze.agents.policies import NetworkPolicy, move_probabilities
from goalmaze.agents.rollout import observations_of, rollout, stepwise
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.levels import Family
from goalmaze.envs.observations.views import make_view

OPTIONS = {
    "lstm": {"channels": 4, "blocks": 1, "hidden": 8, "units": 6},
    "drc": {"layers": 2, "ticks": 2, "channels": 4, "hidden": 8},
}


def policy_of(name: str, family: Family) -> NetworkPolicy:
    torch.manual_seed(0)
    network = make_network(name, Shape.seeing(make_view(family)), OPTIONS[name])
    # Distinct actions, which depend on what the network remembers.
    torch.nn.init.orthogonal_(network.get_submodule("policy").weight, 3.0)
    return NetworkPolicy(network)


@pytest.mark.parametrize("name", OPTIONS)
def test_extra_passes_are_those_of_a_loop_by_hand_and_none_changes_nothing(name: str, family: Family) -> None:
    policy, levels = policy_of(name, family), family.levels(0, count=8)
    network = policy.network
    assert isinstance(network, RecurrentNetwork)
    plain = rollout(policy, levels)
    with policy.thinking(0):
        same = rollout(policy, levels)
    assert np.array_equal(plain.action_probabilities, same.action_probabilities)
    assert np.array_equal(plain.actions, same.actions)
    first = torch.from_numpy(observations_of(policy, levels).copy())
    memory = network.initial_memory(len(levels), tuple(first.shape[1:]))
    by_hand = []
    with torch.inference_mode():
        for _ in range(4):
            logits, _, memory = network.step(first, memory)
            by_hand.append(move_probabilities(logits))
    for steps in range(4):
        with policy.thinking(steps):
            record = next(stepwise(policy, levels))
        assert np.array_equal(record.probabilities, by_hand[steps])
    # The loop has different results at every pass, so the comparison would notice a pass too few.
    assert all(np.abs(one - other).max() > 1e-4 for one, other in itertools.pairwise(by_hand))
    # After the context, the policy acts as before.
    assert np.array_equal(rollout(policy, levels).action_probabilities, plain.action_probabilities)


def test_thinking_without_memory_and_for_fewer_than_no_steps_is_refused(family: Family) -> None:
    torch.manual_seed(0)
    grid = NetworkPolicy(make_network("grid", Shape.seeing(make_view(family)), {"channels": 4, "blocks": 1}))
    with pytest.raises(GoalmazeError, match="no memory"), grid.thinking(1):
        pass
    with pytest.raises(GoalmazeError, match="-1 steps"), policy_of("lstm", family).thinking(-1):
        pass
    with grid.thinking(0) as policy:
        assert policy is grid
