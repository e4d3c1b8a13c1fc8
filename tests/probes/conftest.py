"""Small levels and networks for the tests of probes: an ordinary network, and a linear one with closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from one_map import OneMapNetwork
from torch import Tensor, nn

from goalmaze.agents.networks import make_network
from goalmaze.agents.networks.base import Shape, agent_cells
from goalmaze.agents.networks.registry import register_network
from goalmaze.agents.policies import NetworkPolicy
from goalmaze.envs.families import make_family
from goalmaze.envs.levels import Family, LevelBatch
from goalmaze.envs.observations.views import make_view


@register_network
class LinearNetwork(OneMapNetwork):
    """The logits are the first four channels of the map at the agent's cell."""

    name = "linear-for-tests"

    def forward(self, observation: Tensor) -> tuple[Tensor, Tensor]:
        activation = self.map(observation.float()).flatten(2)
        own = activation[torch.arange(len(activation)), :, agent_cells(observation)]
        return own[:, : self.shape.actions], own[:, 0]


@pytest.fixture(scope="session")
def family() -> Family:
    return make_family("GreenExit", {"size": 7, "braid": 0.3})


@pytest.fixture(scope="session")
def levels(family: Family) -> LevelBatch:
    return family.levels(0, np.arange(24))


@pytest.fixture
def policy(family: Family) -> NetworkPolicy:
    """Return an untrained network with confident action probabilities."""
    torch.manual_seed(0)
    network = make_network("grid", Shape.seeing(make_view(family)), {"channels": 8, "blocks": 2, "hidden": 16})
    nn.init.orthogonal_(network.get_submodule("policy").weight, 3.0)
    return NetworkPolicy(network)


@pytest.fixture
def linear(family: Family) -> NetworkPolicy:
    torch.manual_seed(0)
    return NetworkPolicy(make_network("linear-for-tests", Shape.seeing(make_view(family)), {"channels": 5}))
