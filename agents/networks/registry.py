"""The registry of networks: a network registers where its class is defined, and everything else finds it by name.

The files of this folder are imported when a network is first looked up; others must be imported by their user.
"""

from __future__ import annotations

from typing import TypeVar

import torch

from goalmaze.agents.networks.base import Network, Shape
from goalmaze.envs.class_registry import ClassRegistry
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.json_data import ReadonlyJsonObject
from goalmaze.envs.options import options_from

_networks: ClassRegistry[Network] = ClassRegistry(
    "network", "register_network", Network.__subclasses__, ["goalmaze.agents.networks"]
)

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
    _networks.add(network.name, network)
    return network


unregister_network = _networks.remove


def known_networks() -> dict[str, type[Network]]:
    """Return every registered network class by name, in alphabetical order.

    Example:
        >>> import goalmaze as gm
        >>> "grid" in gm.known_networks()
        True
    """
    return _networks.all()


def network_class(name: str) -> type[Network]:
    """Return the registered network class of that name.

    Raises:
        GoalmazeError: there is none; the message suggests the closest name.
    """
    return _networks.find(name)


def make_network(name: str, shape: Shape, options: ReadonlyJsonObject | None = None) -> Network:
    """Build an untrained network.

    Args:
        name: name of the network.
        shape: shape of its input and output.
        options: hyperparameters; others keep their defaults.

    Raises:
        GoalmazeError: there is no such network or option, an option is out of range, or the network does not accept the
            observation mode.
    """
    network = network_class(name)
    chosen: object = options_from(f"network {name}", options or {}, network.Options)
    if shape.spec.mode not in network.modes:
        others = ", ".join(other for other, one in known_networks().items() if shape.spec.mode in one.modes)
        raise GoalmazeError(
            f"network {name} does not accept observation mode '{shape.spec.mode}': choose {', '.join(network.modes)}, "
            f"or one of the networks {others}"
        )
    return network(shape, chosen)


def make_meta_network(name: str, shape: Shape, options: ReadonlyJsonObject | None = None) -> Network:
    """Build a network on torch's device "meta", on which tensors have shapes but no memory.

    Raises:
        GoalmazeError: as `make_network`.
    """
    with torch.device("meta"):
        return make_network(name, shape, options)
