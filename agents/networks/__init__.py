"""The networks, one file each; a file in this folder is found by being here."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from typing import Any

import msgspec

from goalmaze.agents.networks.base import Network, Shape
from goalmaze.envs.errors import GoalmazeError, unknown

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")


def known_networks() -> dict[str, type[Network]]:
    """Return every network by name."""
    return {network.name: network for network in sorted(Network.__subclasses__(), key=lambda n: n.name)}


def make_network(name: str, shape: Shape, options: Mapping[str, Any] | None = None) -> Network:
    """Build an untrained network.

    Raises:
        GoalmazeError: no such network or option.
    """
    networks = known_networks()
    if name not in networks:
        raise unknown("network", name, networks)
    fields = networks[name].Options.__dataclass_fields__  # type: ignore[attr-defined]
    for option in options or {}:
        if option not in fields:
            raise unknown(f"option of network {name}", option, fields)
    try:
        return networks[name](shape, msgspec.convert(dict(options or {}), networks[name].Options))
    except msgspec.ValidationError as error:
        raise GoalmazeError(f"network {name}: {error}") from None
