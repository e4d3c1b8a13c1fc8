"""The registry of networks: a network registers where its class is defined, and everything else finds it by name.

The files of this folder are imported when a network is first looked up; others must be imported by their user.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import pkgutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import torch

from goalmaze.agents.networks.base import Network, Shape
from goalmaze.envs.errors import GoalmazeError, unknown

_networks: dict[str, type[Network]] = {}

N = TypeVar("N", bound=type[Network])


def register_network(network: N) -> N:
    """Register a network under its name; a decorator of its class.

    ```python
    @register_network
    class MyNetwork(Network):
        name = "mine"
        ...
    ```

    The same class may be defined again, as in a notebook cell that runs twice.

    Raises:
        GoalmazeError: the name is in use.

    Example:
        >>> import goalmaze as gm
        >>> grid = gm.known_networks()["grid"]
        >>> @gm.register_network
        ... class Mine(grid):
        ...     name = "mine"
        >>> "mine" in gm.known_networks()
        True
    """
    known = _networks.get(network.name)
    if known is not None and _definition(known) != _definition(network):
        raise GoalmazeError(f"the network name '{network.name}' is in use by {_definition(known)}: choose another name")
    _networks[network.name] = network
    return network


def _definition(network: type[Network]) -> str:
    return f"{network.__module__}.{network.__qualname__}"


def known_networks() -> dict[str, type[Network]]:
    """Return every registered network class by name, in alphabetical order.

    Example:
        >>> import goalmaze as gm
        >>> "grid" in gm.known_networks()
        True
    """
    _import_all()
    return dict(sorted(_networks.items()))


def network_class(name: str) -> type[Network]:
    """Return the registered network class of that name.

    Raises:
        GoalmazeError: there is none; the message suggests the closest name.
    """
    networks = known_networks()
    if name in networks:
        return networks[name]
    pending: list[type[Any]] = [Network]
    while pending:
        network = pending.pop()
        if getattr(network, "name", None) == name:
            raise GoalmazeError(f"the network '{name}' is not registered: put @register_network above its class")
        pending += network.__subclasses__()
    raise unknown("network", name, networks)


def make_network(name: str, shape: Shape, options: Mapping[str, Any] | None = None) -> Network:
    """Build an untrained network.

    Args:
        name: of the network.
        shape: of its input and output.
        options: hyperparameters that differ from their defaults.

    Raises:
        GoalmazeError: no such network or option, an option out of range, or an observation mode it does not accept.
    """
    network = network_class(name)
    fields = [field.name for field in dataclasses.fields(network.Options)]
    for option in options or {}:
        if option not in fields:
            raise unknown(f"option of network {name}", option, fields)
    if shape.spec.mode not in network.modes:
        others = ", ".join(other for other, one in known_networks().items() if shape.spec.mode in one.modes)
        raise GoalmazeError(
            f"network {name} does not accept observation mode '{shape.spec.mode}': choose {', '.join(network.modes)}, "
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
