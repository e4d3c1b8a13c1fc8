"""Gradient routing: what a network learns about the cue is confined to some of its channels.

The weights from the cue's observation planes to all other channels of the first convolution begin at 0 and get no
gradient, so the plane reaches the network through the chosen channels alone. This is the masking of gradients of Cloud
et al. (2024), by input plane in place of data point.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from goalmaze.agents.networks.base import Network
from goalmaze.agents.training.penalties.cue_planes import CuePlanes
from goalmaze.envs.errors import GoalmazeError


def first_convolution(network: Network) -> nn.Conv2d:
    """Return the convolution that reads the observation planes.

    Raises:
        GoalmazeError: the network has none.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and module.in_channels == network.shape.planes:
            return module
    raise GoalmazeError(
        f"network {network.name} has no convolution over the observation planes, so gradients of the cue cannot be "
        "routed: choose network grid"
    )


def route_cue(network: Network, planes: CuePlanes, channels: int) -> None:
    """Mask the gradients from the cue's planes to all but the first `channels` channels of the first convolution.

    Raises:
        GoalmazeError: the network has no such convolution, or fewer channels.
    """
    weight = first_convolution(network).weight
    if channels >= weight.shape[0]:
        raise GoalmazeError(
            f"route_cue is {channels} and the first convolution has {weight.shape[0]} channels: lower it"
        )
    mask = routing_mask(weight, planes, channels)

    def masked(gradient: Tensor) -> Tensor:
        return gradient * mask.to(gradient)

    weight.register_hook(masked)  # type: ignore[no-untyped-call]


def clear_unrouted(network: Network, planes: CuePlanes, channels: int) -> None:
    """Set the weights from the cue's planes to all but the first `channels` channels to 0."""
    weight = first_convolution(network).weight
    with torch.no_grad():
        weight *= routing_mask(weight, planes, channels)


def routing_mask(weight: Tensor, planes: CuePlanes, channels: int) -> Tensor:
    """Return [C, planes, 1, 1], 0 for weights from a plane of the cue to another than the first channels, else 1."""
    mask = torch.ones(*weight.shape[:2], 1, 1)
    mask[channels:, planes.cue] = 0
    return mask
