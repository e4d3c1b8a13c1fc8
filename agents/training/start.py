"""The weights that training starts from where a recipe names an agent or a population."""

from __future__ import annotations

import dataclasses
import sys

from torch import Tensor
from tqdm import tqdm

from goalmaze.agents.loading import Agent, holds_population, load_agent, locate, stored_population
from goalmaze.agents.networks.base import Network
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.json_data import JsonObject
from goalmaze.envs.observations.spec import ObservationSpec

NETWORK_SETTINGS = ("network", "network_options", "observation", "observation_options")
"""The settings of a recipe that say what network is trained."""


def start_agent(start: str, seed: int | None = None) -> Agent:
    """Return the agent that a run starts from: the named one, or of a named population the agent of the run's seed.

    Args:
        start: an agent or a population: a run folder or ``zoo:NAME``.
        seed: the training seed of the run; None for any agent of the population.

    Raises:
        GoalmazeError: there is no such agent, the population is not finished, or it does not have exactly one of this
            seed.
    """
    place = locate(start)
    if place.number is None and holds_population(place.path):
        seeds = [agent.seed for agent in stored_population(place).header.agents]
        if seed is not None and seeds.count(seed) != 1:
            raise GoalmazeError(
                f"{start} has {seeds.count(seed) or 'no'} agents of seed {seed}, and one is needed to start from; "
                f"train other seeds, or name one agent, such as {start}/0"
            )
        start = f"{start}/{seeds.index(seed) if seed is not None else 0}"
    return load_agent(start)


def network_settings(start: str) -> JsonObject:
    """Return the settings of `NETWORK_SETTINGS` with which a recipe trains the network of an agent or a population.

    Raises:
        GoalmazeError: there is no such agent.
    """
    network = start_agent(start).network
    spec = network.shape.spec
    usual = dataclasses.asdict(ObservationSpec(spec.mode))
    changed = {name: value for name, value in dataclasses.asdict(spec).items() if value != usual[name]}
    values = (network.name, dataclasses.asdict(network.options), spec.mode, changed)
    return dict(zip(NETWORK_SETTINGS, values, strict=True))


def start_weights(start: str, network: Network, seed: int) -> dict[str, Tensor]:
    """Return the weights that a run starts from.

    Args:
        start: the agent or the population, see `start_agent`.
        network: the network that is to be trained.
        seed: the training seed of the run.

    Raises:
        GoalmazeError: there is no such agent, or its network is another one.
    """
    agent = start_agent(start, seed)
    trained, loaded = ((one.name, one.options, one.shape.spec.mode) for one in (network, agent.network))
    weights = agent.network.state_dict()
    resampled = network.resampled_from(agent.network) if trained != loaded else None
    if resampled is not None:
        tqdm.write(f"goalmaze: the weights of {agent.name}, made for another size, are resampled", file=sys.stderr)
        return resampled
    if trained != loaded:
        raise GoalmazeError(
            f"{agent.name} is a network {loaded[0]} with {loaded[1]} in mode {loaded[2]}, and this run trains "
            f"{trained[0]} with {trained[1]} in mode {trained[2]}; choose the same network and mode, or leave "
            "--start out"
        )
    # A flat read-out has the same options at every maze size, and the planes of another family their own number.
    if any(weights[name].shape != tensor.shape for name, tensor in network.state_dict().items()):
        read, wanted = ("x".join(map(str, one.shape.observation)) for one in (agent.network, network))
        raise GoalmazeError(
            f"the weights of {agent.name} fit observations of {read} alone, and those of this run are {wanted}; choose "
            "the same family and size, or leave --start out"
        )
    return weights
