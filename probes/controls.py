"""The control of a network that is untrained above a site: an edit that steers even that network navigates itself."""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import nn

from goalmaze.agents.networks.base import Network, device_of
from goalmaze.agents.sites import find_site
from goalmaze.envs.errors import GoalmazeError


def untrained_above(network: Network, site: str, seed: int) -> Network:
    """Return a copy of a network with fresh weights in all parameters that are used only after a site's output.

    Each fresh parameter is scaled to the norm of the trained one, so that the logits are of similar size. Parameters
    that are used before the site too, as those of a recurrent layer, are kept.

    Args:
        network: a trained network.
        site: name of the site up to which the network stays trained.
        seed: of the fresh weights.

    Raises:
        GoalmazeError: there is no such site, or no parameter above it.
    """
    result = copy.deepcopy(network)
    above = used_above(result, site)
    if not above:
        raise GoalmazeError(f"there is no parameter above site '{site}': choose a site lower down")
    # The tensors of a state_dict share memory with the parameters, so `copy_` changes the network.
    fresh, weights = network.untrained(seed).state_dict(), result.state_dict()
    for name in above:
        # A fresh bias is often 0, which no factor scales to a norm.
        scale = weights[name].norm() / fresh[name].norm() if fresh[name].any() else 1.0
        weights[name].copy_(fresh[name] * scale)
    return result.eval()


def used_above(network: Network, site: str) -> list[str]:
    """Return the names of the parameters whose module first runs after the site has its output."""
    module = find_site(network, site)[1]
    order: list[nn.Module] = []
    handles = [one.register_forward_hook(_recorder(order)) for one in network.modules()]
    try:
        with torch.inference_mode():
            # The order of execution is recorded, because the order of definition says nothing about it.
            observation = torch.zeros((1, *network.shape.observation), dtype=torch.uint8, device=device_of(network))
            network(observation)
    finally:
        for handle in handles:
            handle.remove()
    # A shared parameter that is used before the site counts as below it, wherever else it is used.
    end = order.index(module) + 1
    below = {id(p) for one in order[:end] for p in one.parameters(recurse=False)}
    above = {id(p) for one in order[end:] for p in one.parameters(recurse=False)} - below
    return [name for name, parameter in network.named_parameters() if id(parameter) in above]


def _recorder(order: list[nn.Module]) -> Callable[[nn.Module, object, object], None]:
    def record(module: nn.Module, _inputs: object, _output: object) -> None:
        order.append(module)

    return record
