"""Reading: what a network holds at its sites while it looks at observations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor, nn

from goalmaze.agents.networks.base import Network
from goalmaze.agents.sites import find_site
from goalmaze.envs.episodes import Planes

Activations = dict[str, Tensor]
"""Site name → float32 [N, C, H, W] for a map, [N, F] for features."""


@contextmanager
def captured(network: Network, sites: Sequence[str]) -> Iterator[Activations]:
    """Give a dictionary that holds, after each forward pass inside the context, what it left at the sites.

    Raises:
        GoalmazeError: a site is unknown; nothing has been attached then.
    """
    modules = [(site, find_site(network, site)[1]) for site in sites]
    latest: Activations = {}

    def keep(site: str) -> object:
        def hook(_module: nn.Module, _inputs: object, output: Tensor) -> None:
            latest[site] = output.detach().float()

        return hook

    with ExitStack() as stack:
        for site, module in modules:
            stack.callback(module.register_forward_hook(keep(site)).remove)  # type: ignore[arg-type]
        yield latest


def read_activations(network: Network, observations: Planes, sites: Sequence[str], batch: int = 512) -> Activations:
    """Return what a network holds at `sites` for observations uint8 [N, C, H, W], run in parts of `batch`."""
    parts: dict[str, list[Tensor]] = {site: [] for site in sites}
    with torch.inference_mode(), captured(network, sites) as latest:
        for part in torch.split(torch.from_numpy(observations), batch):
            network(part)
            for site in sites:
                parts[site].append(latest[site])
    return {site: torch.cat(tensors) for site, tensors in parts.items()}
