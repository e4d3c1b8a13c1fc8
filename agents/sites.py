"""The one address book: site name → submodule and shape."""

from __future__ import annotations

from torch import nn

from goalmaze.agents.networks.base import Network, Site
from goalmaze.envs.errors import GoalmazeError, unknown


def find_site(network: Network, name: str) -> tuple[Site, nn.Module]:
    """Return a site and the submodule whose output it is.

    Raises:
        GoalmazeError: the network has no site of that name.
    """
    for site in network.sites():
        if site.name == name:
            return site, network.get_submodule(name)
    raise unknown(f"site of network {network.name}", name, [site.name for site in network.sites()])


def map_sites(network: Network) -> list[str]:
    """Return the names of the sites that are maps [B, C, H, W], in order of depth."""
    return [site.name for site in network.sites() if site.is_map]


def find_map_site(network: Network, name: str) -> tuple[Site, nn.Module]:
    """Return a site that is a map, and its submodule.

    Raises:
        GoalmazeError: there is no such site, or it has no squares.
    """
    site, module = find_site(network, name)
    if not site.is_map:
        raise GoalmazeError(f"site '{name}' is not a map of squares; choose one of {', '.join(map_sites(network))}")
    return site, module
