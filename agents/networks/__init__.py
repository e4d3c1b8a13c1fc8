"""The networks, one file each; a file in this folder is found by being here."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import torch

from goalmaze.agents.networks.base import Network, RecurrentNetwork, Shape
from goalmaze.envs.errors import GoalmazeError, unknown

__all__ = ["Network", "RecurrentNetwork", "Shape", "bare_network", "known_networks", "make_network"]

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")


def known_networks() -> dict[str, type[Network]]:
    """Return every network by name."""
    everything: type[Any] = Network
    return {network.name: network for network in sorted(_concrete(everything), key=lambda n: n.name)}


def make_network(name: str, shape: Shape, options: Mapping[str, Any] | None = None) -> Network:
    """Build an untrained network.

    Raises:
        GoalmazeError: no such network or option, an option out of range, or it cannot see what `shape` says.
    """
    networks = known_networks()
    if name not in networks:
        raise unknown("network", name, networks)
    kind = networks[name]
    fields = kind.Options.__dataclass_fields__  # type: ignore[attr-defined]
    for option in options or {}:
        if option not in fields:
            raise unknown(f"option of network {name}", option, fields)
    if shape.mode not in kind.modes:
        raise GoalmazeError(
            f"network {name} cannot see observation mode '{shape.mode}': choose {', '.join(kind.modes)}, or one of "
            f"the networks {', '.join(n for n, other in networks.items() if shape.mode in other.modes)}"
        )
    try:
        return kind(shape, msgspec.convert(dict(options or {}), kind.Options))
    except msgspec.ValidationError as error:
        raise GoalmazeError(f"network {name}: {error}") from None


def bare_network(name: str, shape: Shape, options: Mapping[str, Any] | None = None) -> Network:
    """Build a network that has the shapes of its tensors and no memory for them, on the device "meta".

    Raises:
        GoalmazeError: as `make_network`.
    """
    with torch.device("meta"):
        return make_network(name, shape, options)


def _concrete(kind: type[Network]) -> Iterator[type[Network]]:
    for below in kind.__subclasses__():
        if not inspect.isabstract(below):
            yield below
        yield from _concrete(below)
