"""The network whose layers above a site are untrained: what is fresh, and what is kept."""

from __future__ import annotations

import pytest
import torch

from goalmaze.agents.networks import make_network
from goalmaze.agents.networks.base import Shape
from goalmaze.agents.policies import NetworkPolicy
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.levels import Family
from goalmaze.envs.observations.views import make_view
from goalmaze.probes.controls import untrained_above, used_above


def test_only_the_parameters_above_the_site_are_fresh_and_their_norms_are_kept(policy: NetworkPolicy) -> None:
    control = untrained_above(policy.network, "block1", 5)
    above = set(used_above(policy.network, "block1"))
    assert {name.partition(".")[0] for name in above} == {"block2", "hidden", "policy", "value"}
    for name, tensor in policy.network.state_dict().items():
        other = control.state_dict()[name]
        assert torch.equal(other, tensor) == (name not in above or not bool(tensor.any()))
        if tensor.dim() > 1:
            torch.testing.assert_close(other.norm(), tensor.norm())
    with pytest.raises(GoalmazeError, match="unknown site"):
        untrained_above(policy.network, "block9", 0)


def test_a_recurrent_layer_below_and_above_the_site_is_kept(family: Family) -> None:
    options = {"channels": 4, "layers": 1, "ticks": 2, "hidden": 8}
    network = make_network("drc", Shape.seeing(make_view(family)), options)
    above = used_above(network, "tick1_layer1")
    assert 0 < len(above) < len(network.state_dict())
    assert not any(name.startswith("cell") for name in above)
