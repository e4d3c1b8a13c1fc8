"""Episodes of many agents in one batch are those of each agent alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from plans import NETWORK

from goalmaze.agents import stacked_policy
from goalmaze.agents.networks import make_network
from goalmaze.agents.networks.base import Network, Shape
from goalmaze.agents.policies import NetworkPolicy
from goalmaze.agents.rollout import Trajectory, rollout
from goalmaze.agents.stacked_policy import StackedPolicy, population_rollout
from goalmaze.envs.levels import Family
from goalmaze.envs.observations.views import make_view


def networks_of(name: str, family: Family) -> list[Network]:
    """Return three small networks whose policies have opinions, each its own."""
    networks = []
    for seed in range(3):
        torch.manual_seed(seed)
        network = make_network(name, Shape.seeing(make_view(family)), NETWORK)
        torch.nn.init.orthogonal_(network.get_submodule("policy").weight, 3.0)
        networks.append(network.eval())
    return networks


def check_same(one: Trajectory, other: Trajectory) -> None:
    for name in ("agent", "actions", "steps", "terminated", "returns", "rewards"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), name)
    np.testing.assert_allclose(one.action_probabilities, other.action_probabilities, atol=1e-5)
    assert one.levels == other.levels


@pytest.mark.parametrize("name", ["grid", "lstm"])
@pytest.mark.parametrize("greedy", [False, True])
def test_the_episodes_are_those_of_each_agent_alone(
    name: str, greedy: bool, family: Family, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Small enough that one step takes several forward passes, and that agents are split into batches.
    monkeypatch.setattr(stacked_policy, "STACKED_PASS", 40)
    monkeypatch.setattr(stacked_policy, "MAX_ROWS", 60)
    networks, levels = networks_of(name, family), family.levels(1, count=30, shift="moved-sign")
    together = population_rollout(networks, levels, seed=2, greedy=greedy)
    for network, trajectory in zip(networks, together, strict=True):
        check_same(trajectory, rollout(NetworkPolicy(network), levels, seed=2, greedy=greedy))


def test_an_episode_takes_the_random_numbers_of_its_level_and_not_of_its_row(family: Family) -> None:
    """Negative control: with its own rows, the second agent's sampled episodes differ from those it plays alone."""
    networks, levels = networks_of("grid", family)[:2], family.levels(1, count=24, shift="moved-sign")
    whole = rollout(StackedPolicy(networks), levels.take(np.tile(np.arange(24), 2)))
    check_same(whole.part(slice(0, 24)), rollout(NetworkPolicy(networks[0]), levels))
    with pytest.raises(AssertionError):
        check_same(whole.part(slice(24, 48)), rollout(NetworkPolicy(networks[1]), levels))
