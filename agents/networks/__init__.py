"""Networks, one in each file; `registry` finds them by name."""

from goalmaze.agents.networks.base import Network, RecurrentNetwork, Shape, Site
from goalmaze.agents.networks.registry import known_networks, make_meta_network, make_network, register_network

__all__ = [
    "Network",
    "RecurrentNetwork",
    "Shape",
    "Site",
    "known_networks",
    "make_meta_network",
    "make_network",
    "register_network",
]
