"""Sites by name: which sites a network has, which of them are maps, and the submodule of each."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from goalmaze.agents.networks.base import Network, Site
from goalmaze.agents.networks.layers import WHOLE_MEMORY
from goalmaze.envs.errors import GoalmazeError, unknown


def find_site(network: Network, name: str) -> tuple[Site, nn.Module]:
    """Return a site, of the memory too, and the submodule whose output it is; former names are accepted.

    Raises:
        GoalmazeError: the network has no site of that name.
    """
    # Links, reports and edits of earlier versions hold the former names.
    current = network.former_sites.get(name, name)
    sites = (*network.sites(), *network.memory_sites())
    for site in sites:
        if site.name == current:
            return site, network.get_submodule(site.path or current)
    if name.startswith(WHOLE_MEMORY) and not network.memory_sites():
        raise GoalmazeError(
            f"network {network.name} has no memory, so it has no site '{name}': choose an agent with a memory, such as "
            "one of network lstm"
        )
    raise unknown(f"site of network {network.name}", name, [site.name for site in sites])


def with_border(output: Tensor, site: Site) -> Tensor:
    """Return the activation at a site for the output of its submodule: a map with the border of the level, in zeros."""
    return functional.pad(output, [site.border] * 4) if site.border else output


def without_border(activation: Tensor, site: Site) -> Tensor:
    """Return the output of a site's submodule for the activation: the map without the border of the level."""
    if not site.border:
        return activation
    inside = slice(site.border, -site.border)
    return activation[..., inside, inside]


def is_memory_site(network: Network, name: str) -> bool:
    """Return whether a site of a network is one of its memory between two steps."""
    return name in [site.name for site in network.memory_sites()]


def is_map_site(network: Network, name: str) -> bool:
    """Return whether a site, of the memory too, is a map [B, C, H, W] of the maze; see `map_sites`."""
    maps = [site.name for site in (*network.sites(), *network.memory_sites()) if site.is_map]
    return name in maps and network.shape.spec.mode != "crop"


def map_sites(network: Network) -> list[str]:
    """Return the names of the sites that are maps [B, C, H, W] of the maze, in order of depth.

    There are none in observation mode "crop", whose maps move with the agent: their squares are not cells of the maze.
    """
    return [site.name for site in network.sites() if site.is_map and network.shape.spec.mode != "crop"]


def usual_sites(network: Network) -> list[str]:
    """Return the names of the sites that experiments use by default: all maps, or all sites if there is no map."""
    return map_sites(network) or [site.name for site in network.sites()]


def find_map_site(network: Network, name: str) -> tuple[Site, nn.Module]:
    """Return a site that is a map, and its submodule.

    Raises:
        GoalmazeError: there is no such site, or it is not a map.
    """
    site, module = find_site(network, name)
    maps = map_sites(network)
    if not is_map_site(network, site.name):
        remedy = f"choose one of {', '.join(maps)}" if maps else "this network has none: choose one that takes planes"
        raise GoalmazeError(f"site '{name}' is not a map of squares; {remedy}")
    return site, module
