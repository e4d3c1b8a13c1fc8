"""A small world and a small untrained network for the tests of the agents."""

from __future__ import annotations

import pytest
import torch

from goalmaze.agents.networks import make_network
from goalmaze.agents.networks.base import Network, Shape
from goalmaze.envs.families import make_family
from goalmaze.envs.levels import Family
from goalmaze.envs.observations.views import make_view


@pytest.fixture(scope="session")
def family() -> Family:
    return make_family("GreenExit", {"size": 7, "braid": 0.3})


@pytest.fixture
def network(family: Family) -> Network:
    """Return a network whose random policy has opinions: its logits differ by about one."""
    torch.manual_seed(0)
    network = make_network("grid", Shape.seeing(make_view(family)), {"channels": 8, "blocks": 2, "hidden": 16})
    torch.nn.init.orthogonal_(network.get_submodule("policy").weight, 3.0)
    return network.eval()
