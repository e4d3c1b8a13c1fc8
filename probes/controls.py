"""A network whose layers above a site were never trained: what an edit does there, the edit itself does."""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import nn

from goalmaze.agents.networks.base import Network
from goalmaze.agents.sites import find_site
from goalmaze.envs.errors import GoalmazeError


def untrained_above(network: Network, site: str, seed: int) -> Network:
    """Return a copy of a network in which all parameters used first after a site's output are fresh.

    Each is as long as the trained one, so that the network is as sure of its moves. Parameters that are used before the
    site too, as by a recurrent layer, are kept.

    Args:
        network: a trained one.
        site: where the trained part ends.
        seed: of the fresh weights.

    Raises:
        GoalmazeError: there is no such site, or nothing is learned above it.
    """
    result = copy.deepcopy(network)
    above = used_above(result, site)
    if not above:
        raise GoalmazeError(f"nothing above site '{site}' is learned: choose one lower down")
    fresh = network.untrained(seed).state_dict()
    held = result.state_dict()
    for name in above:
        length = held[name].norm() / fresh[name].norm() if fresh[name].any() else 1.0
        held[name].copy_(fresh[name] * length)
    return result.eval()


def used_above(network: Network, site: str) -> list[str]:
    """Return the names of the parameters whose module runs for the first time after the site has its output."""
    module = find_site(network, site)[1]
    order: list[nn.Module] = []
    handles = [one.register_forward_hook(_noting(order)) for one in network.modules()]
    try:
        with torch.inference_mode():
            network(torch.zeros((1, *network.shape.observation), dtype=torch.uint8))
    finally:
        for handle in handles:
            handle.remove()
    last = order.index(module)
    below = {id(p) for one in order[: last + 1] for p in one.parameters(recurse=False)}
    above = {id(p) for one in order[last + 1 :] for p in one.parameters(recurse=False)} - below
    return [name for name, parameter in network.named_parameters() if id(parameter) in above]


def _noting(order: list[nn.Module]) -> Callable[[nn.Module, object, object], None]:
    def note(module: nn.Module, _inputs: object, _output: object) -> None:
        order.append(module)

    return note
