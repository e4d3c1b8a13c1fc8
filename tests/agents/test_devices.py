"""Networks on another device act as on the CPU, and devices that are not there are refused."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from other_device import OtherTensor, move, other_device

from goalmaze.agents import devices
from goalmaze.agents.devices import CPU, find_device
from goalmaze.agents.loading import Agent, load_agent
from goalmaze.agents.networks import make_network
from goalmaze.agents.networks.base import Network, Shape, device_of
from goalmaze.agents.policies import NetworkPolicy
from goalmaze.agents.rollout import rollout
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.levels import Family
from goalmaze.envs.observations.views import make_view


@pytest.mark.parametrize("name", ["grid", "lstm", "impala"])
def test_a_network_acts_on_another_device_as_on_the_cpu(family: Family, name: str) -> None:
    torch.manual_seed(0)
    network = make_network(name, Shape.seeing(make_view(family)), {}).eval()
    moved, levels = copy.deepcopy(network), family.levels(seed=0, count=6)
    expected = rollout(NetworkPolicy(network), levels)
    with other_device():
        move(moved)
        assert device_of(moved).type == "meta"
        trajectory = rollout(NetworkPolicy(moved), levels)
    assert np.array_equal(trajectory.agent, expected.agent)
    assert np.array_equal(trajectory.action_probabilities, expected.action_probabilities)


def test_the_other_device_refuses_what_a_gpu_refuses(network: Network) -> None:
    # The control of the test above: a tensor that is left on the CPU, or not moved back to it, is an error.
    observation = torch.zeros(1, *network.shape.observation, dtype=torch.uint8)
    with other_device():
        move(network)
        with pytest.raises(RuntimeError, match="same device"):
            network(observation)
        logits, _ = network(OtherTensor(observation))
        with pytest.raises(RuntimeError, match="numpy"):
            logits.detach().numpy()
        assert logits.detach().cpu().numpy().shape == (1, 4)


def test_an_untrained_copy_is_on_the_device_of_its_network(network: Network) -> None:
    expected = network.untrained(3).state_dict()
    with other_device():
        move(network)
        fresh = network.untrained(3)
        assert device_of(fresh).type == "meta"
        assert all(torch.equal(tensor.cpu(), expected[name]) for name, tensor in fresh.state_dict().items())


def test_a_device_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert find_device("cpu") == find_device("auto") == CPU
    with pytest.raises(GoalmazeError, match="torch finds no CUDA device here; choose --device cpu or auto"):
        load_agent("zoo:green-exit", "cuda")
    with pytest.raises(GoalmazeError, match="gpu"):
        load_agent("zoo:green-exit", "gpu")


def test_auto_finds_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices.torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(devices.torch.cuda, "current_device", lambda: 1)
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", "")
    for name in ("cuda", "auto"):
        assert find_device(name) == torch.device("cuda", 1)
    assert find_device("cpu") == CPU


def test_an_agent_moves_in_place(network: Network, family: Family) -> None:
    agent = Agent(network, family)
    assert agent.to("cpu") is agent
    assert agent.device == CPU
