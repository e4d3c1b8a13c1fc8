"""The weights that training starts from where a recipe names an agent."""

from __future__ import annotations

import dataclasses

from torch import Tensor

from goalmaze.agents.loading import load_agent
from goalmaze.agents.networks.base import Network
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.json_data import JsonObject
from goalmaze.envs.observations.spec import ObservationSpec

NETWORK_SETTINGS = ("network", "network_options", "observation", "observation_options")
"""The settings of a recipe that say what network is trained."""


def network_settings(start: str) -> JsonObject:
    """Return the settings of `NETWORK_SETTINGS` with which a recipe trains the network of an agent.

    Raises:
        GoalmazeError: there is no such agent.
    """
    network = load_agent(start).network
    spec = network.shape.spec
    usual = dataclasses.asdict(ObservationSpec(spec.mode))
    changed = {name: value for name, value in dataclasses.asdict(spec).items() if value != usual[name]}
    values = (network.name, dataclasses.asdict(network.options), spec.mode, changed)
    return dict(zip(NETWORK_SETTINGS, values, strict=True))


def start_weights(start: str, network: Network) -> dict[str, Tensor]:
    """Return the weights of an agent, for a network that is to be trained.

    Args:
        start: the agent, a run folder or ``zoo:NAME``.
        network: the network.

    Raises:
        GoalmazeError: there is no such agent, or its network is another one.
    """
    agent = load_agent(start)
    trained, loaded = ((one.name, one.options, one.shape.spec.mode) for one in (network, agent.network))
    weights = agent.network.state_dict()
    # The shapes too: a flat read-out has the same options at every maze size.
    if trained != loaded or any(weights[name].shape != tensor.shape for name, tensor in network.state_dict().items()):
        raise GoalmazeError(
            f"{start} is a network {loaded[0]} with {loaded[1]} in mode {loaded[2]}, and this run trains {trained[0]} "
            f"with {trained[1]} in mode {trained[2]}; choose the same network and mode, or leave --start out"
        )
    return weights
