"""Activations: what a network computes at its sites for given observations or levels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor, nn

from goalmaze.agents.networks.base import Network, Site, device_of
from goalmaze.agents.policies import NetworkPolicy
from goalmaze.agents.rollout import observations_of
from goalmaze.agents.sites import find_site, with_border
from goalmaze.envs.engines import Observations
from goalmaze.envs.levels import LevelBatch

Activations = dict[str, Tensor]
"""Site name → float32 [N, C, H, W] for a map, [N, F] for features; on the CPU, wherever the network is."""


@contextmanager
def captured(network: Network, sites: Sequence[str]) -> Iterator[Activations]:
    """Yield a dictionary that holds, after each forward pass inside the context, the activations at the sites.

    Raises:
        GoalmazeError: a site is unknown; no hook has been attached then.
    """
    found = {name: find_site(network, name) for name in sites}
    latest: Activations = {}

    def keep(name: str, site: Site) -> Callable[[nn.Module, object, Tensor], None]:
        def hook(_module: nn.Module, _inputs: object, output: Tensor) -> None:
            # detached, so that the graph of the pass can be freed
            latest[name] = with_border(output.detach().float().cpu(), site)

        return hook

    with ExitStack() as stack:
        for name, (site, module) in found.items():
            stack.callback(module.register_forward_hook(keep(name, site)).remove)
        yield latest


def read_activations(
    network: Network, observations: Observations, sites: Sequence[str], batch: int = 512
) -> Activations:
    """Return the activations at `sites` for observations uint8 [N, C, H, W], in forward passes of at most `batch`."""
    parts: dict[str, list[Tensor]] = {site: [] for site in sites}
    with torch.inference_mode(), captured(network, sites) as latest:
        # In parts: the maps of every layer for thousands of observations at once would not fit in memory.
        for part in torch.split(torch.from_numpy(observations), batch):
            network(part.to(device_of(network)))
            for site in sites:
                parts[site].append(latest[site])
    return {site: torch.cat(tensors) for site, tensors in parts.items()}


def level_activations(policy: NetworkPolicy, levels: LevelBatch, site: str) -> Tensor:
    """Return float32 [B, C, H, W], or [B, F] for features: the activation at a site before the first step of levels.

    Raises:
        GoalmazeError: the site is unknown.
    """
    return read_activations(policy.network, observations_of(policy, levels), [site])[site]


def is_rectified(activations: Tensor) -> bool:
    """Return whether no activation [N, ...] is negative, as after a ReLU."""
    return bool((activations >= 0).all())
