"""Networks by name. A file in this folder is found because it is there; other networks once they are imported."""

from __future__ import annotations

import dataclasses
import functools
import importlib
import pkgutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import torch

from goalmaze.agents.networks.base import Network, Shape, named_networks
from goalmaze.envs.errors import GoalmazeError, unknown


def known_networks() -> dict[str, type[Network]]:
    """Return every network class by name, in alphabetical order.

    Example:
        >>> import goalmaze as gm
        >>> "grid" in gm.known_networks()
        True
    """
    _import_all()
    return {network.name: network for network in sorted(named_networks(), key=lambda network: network.name)}


def make_network(name: str, shape: Shape, options: Mapping[str, Any] | None = None) -> Network:
    """Build an untrained network.

    Args:
        name: of the network.
        shape: of its input and output.
        options: hyperparameters that differ from their defaults.

    Raises:
        GoalmazeError: no such network or option, an option out of range, or an observation mode it does not accept.
    """
    networks = known_networks()
    if name not in networks:
        raise unknown("network", name, networks)
    network = networks[name]
    fields = [field.name for field in dataclasses.fields(network.Options)]
    for option in options or {}:
        if option not in fields:
            raise unknown(f"option of network {name}", option, fields)
    if shape.mode not in network.modes:
        others = ", ".join(other for other, one in networks.items() if shape.mode in one.modes)
        raise GoalmazeError(
            f"network {name} does not accept observation mode '{shape.mode}': choose {', '.join(network.modes)}, "
            f"or one of the networks {others}"
        )
    try:
        return network(shape, msgspec.convert(dict(options or {}), network.Options))
    except msgspec.ValidationError as error:
        raise GoalmazeError(f"network {name}: {error}") from None


def make_meta_network(name: str, shape: Shape, options: Mapping[str, Any] | None = None) -> Network:
    """Build a network on torch's device "meta": its tensors have shapes and no memory.

    Raises:
        GoalmazeError: as `make_network`.
    """
    with torch.device("meta"):
        return make_network(name, shape, options)


@functools.cache
def _import_all() -> None:
    package = __name__.rpartition(".")[0]
    for module in pkgutil.iter_modules([str(Path(__file__).parent)]):
        importlib.import_module(f"{package}.{module.name}")
