"""Probes, edits and steering methods on a network of another device give what they give on the CPU."""

from __future__ import annotations

import copy
import dataclasses

import numpy as np
import pytest
import torch
from other_device import move, other_device

from goalmaze.agents.loading import Agent
from goalmaze.agents.networks import Shape, make_network
from goalmaze.agents.rollout import rollout
from goalmaze.envs.families import make_family
from goalmaze.envs.observations.views import make_view
from goalmaze.experiments.probe.by_site import probe
from goalmaze.experiments.retarget.task import make_fit_context
from goalmaze.probes.controls import untrained_above
from goalmaze.probes.edits.base import applied
from goalmaze.probes.edits.goal_move import GoalMove
from goalmaze.probes.steering import find_method, fit_method

METHODS = ("mean-pattern", "learned-pattern", "channel-translation", "pointwise-network", "cell-means")
"""Methods that read activations, learn through the network, or move with the agent."""


def agent_of(name: str) -> Agent:
    family = make_family("GreenExit", {"size": 5})
    torch.manual_seed(0)
    network = make_network(name, Shape.seeing(make_view(family)), {"blocks": 1, "channels": 4, "hidden": 8})
    torch.nn.init.orthogonal_(network.get_submodule("policy").weight, 3.0)
    return Agent(network.eval(), family, name)


def edited_probabilities(agent: Agent, method: str) -> np.ndarray:
    """Return the probabilities of the actions that an agent takes under an edit that was fitted for it."""
    context = dataclasses.replace(make_fit_context(agent.policy, agent.family, 16, 0), effort=0.005)
    edit = fit_method(find_method(method), context, "block1")
    levels = agent.family.levels(seed=0, count=8)
    move_ = GoalMove.on(levels, levels.start)
    with applied(agent.policy, edit.edits(move_, 1.0)):
        return rollout(agent.policy, levels).action_probabilities


@pytest.mark.parametrize("method", METHODS)
def test_a_method_works_on_another_device(method: str) -> None:
    expected = edited_probabilities(agent_of("grid"), method)
    with other_device():
        agent = agent_of("grid")
        move(agent.network)
        assert np.allclose(edited_probabilities(agent, method), expected, atol=1e-5)


def test_a_recurrent_network_is_edited_on_another_device() -> None:
    expected = edited_probabilities(agent_of("lstm"), "cell-means")
    with other_device():
        agent = agent_of("lstm")
        move(agent.network)
        assert np.allclose(edited_probabilities(agent, "cell-means"), expected, atol=1e-5)


def test_probes_of_another_device_have_the_same_scores() -> None:
    agent = agent_of("grid")
    moved = Agent(copy.deepcopy(agent.network), agent.family, agent.name)
    expected = probe(agent, ["next-action"], sites=["block1"], levels=50, fit_levels=50)
    with other_device():
        move(moved.network)
        assert probe(moved, ["next-action"], sites=["block1"], levels=50, fit_levels=50).json() == expected.json()


def test_the_untrained_control_is_made_on_another_device() -> None:
    network = agent_of("grid").network
    expected = untrained_above(network, "stem", 0).state_dict()
    with other_device():
        move(network)
        result = untrained_above(network, "stem", 0)
        assert all(torch.equal(tensor.cpu(), expected[name]) for name, tensor in result.state_dict().items())
