"""Small levels and networks for the tests of probes: an ordinary network, and a linear one with closed forms."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from goalmaze.agents.networks import make_network
from goalmaze.agents.networks.base import Network, Shape, Site, agent_cells
from goalmaze.agents.networks.registry import register_network
from goalmaze.agents.policies import NetworkPolicy
from goalmaze.envs.families import make_family
from goalmaze.envs.levels import Family, LevelBatch
from goalmaze.envs.observations.views import make_view


@dataclasses.dataclass(frozen=True)
class LinearOptions:
    """Hyperparameters of the linear network: channels, and the side of its convolution."""

    channels: int = 4
    side: int = 3


@register_network
class LinearNetwork(Network):
    """One convolution without a ReLU is the site `map`; the logits are its first four channels at the agent's cell."""

    name = "linear-for-tests"
    Options = LinearOptions

    def __init__(self, shape: Shape, options: LinearOptions) -> None:
        super().__init__()
        self.shape, self.options = shape, options
        self.map = nn.Conv2d(shape.planes, options.channels, options.side, padding=options.side // 2)

    def forward(self, observation: Tensor) -> tuple[Tensor, Tensor]:
        held = self.map(observation.float()).flatten(2)
        own = held[torch.arange(len(held)), :, agent_cells(observation)]
        return own[:, : self.shape.actions], own[:, 0]

    def sites(self) -> tuple[Site, ...]:
        return (Site("map", self.options.channels, is_map=True),)


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
