"""Agents: networks with their family, from a run folder, a population, a checkpoint file, ``zoo:NAME`` or memory."""

from __future__ import annotations

import dataclasses
import os
import re
from functools import cached_property
from pathlib import Path
from typing import NamedTuple, Self

import torch

from goalmaze.agents.checkpoints import Header, load_checkpoint
from goalmaze.agents.devices import find_device
from goalmaze.agents.networks.base import Network, device_of
from goalmaze.agents.policies import NetworkPolicy
from goalmaze.agents.population_files import StoredPopulation, is_population_file, read_population
from goalmaze.agents.zoo import zoo_folder
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.extensions import extensions_needed
from goalmaze.envs.levels import Family
from goalmaze.envs.text_files import expanded, is_file, read_json

CHECKPOINT, RECIPE = "checkpoint.safetensors", "recipe.json"
ZOO_PREFIX = "zoo:"
POPULATION = "population"
"""Key in the recipe file of a population: the seeds and the parameters of its agents."""


@dataclasses.dataclass(frozen=True)
class Agent:
    """A network that acts in the levels of a family. It may come from a checkpoint or from memory.

    Attributes:
        network: the network.
        family: the family of levels that it was trained on.
        name: the name that results show; for a loaded agent the name given to `load_agent`.
        header: the header of its checkpoint; None for a network that was not loaded.
    """

    network: Network
    family: Family
    name: str = "agent"
    header: Header | None = None

    @cached_property
    def policy(self) -> NetworkPolicy:
        """The policy of the network."""
        return NetworkPolicy(self.network)

    @property
    def device(self) -> torch.device:
        """The device that the network runs on."""
        return device_of(self.network)

    def to(self, device: str) -> Self:
        """Move the network to a device, in place, and return this agent.

        Args:
            device: "cpu", "cuda", or "auto" for a CUDA device if there is one.

        Raises:
            GoalmazeError: there is no such device.
        """
        self.network.to(find_device(device))
        return self

    @property
    def sites(self) -> tuple[str, ...]:
        """The names of the network's sites, in order of depth."""
        return tuple(site.name for site in self.network.sites())


class AgentLocation(NamedTuple):
    """Where the files of an agent are.

    Attributes:
        path: the run folder, or the checkpoint file that was named itself.
        number: the agent's number in a population; None for an agent of its own, and for a whole population.
    """

    path: Path
    number: int | None = None

    @property
    def folder(self) -> Path:
        """The run folder; for a checkpoint file, the folder that it lies in."""
        return self.path.parent if is_file(self.path) else self.path

    @property
    def checkpoint(self) -> Path:
        """The checkpoint file. It need not exist."""
        return self.path if is_file(self.path) else self.path / CHECKPOINT


def locate(name: str) -> AgentLocation:
    """Return where the agent or population of a name is: a path or ``zoo:NAME``, with /NUMBER for one of a population.

    A path need not exist.

    Raises:
        GoalmazeError: there is no such zoo agent, or the name has a number and is that of one agent.
    """
    whole, number = _split_number(name)
    if name.startswith(ZOO_PREFIX):
        path = zoo_folder(whole.removeprefix(ZOO_PREFIX))
    else:
        path = expanded(Path(name))
        # A run folder may have a number as its name.
        if number is None or os.path.lexists(path):
            return AgentLocation(path)
        path = expanded(Path(whole))
        if not is_file(path) and not is_file(path / CHECKPOINT) and not holds_population(path):
            return AgentLocation(expanded(Path(name)))
    if number is not None and not holds_population(path):
        raise GoalmazeError(f"{whole} is one agent, not a population; leave /{number} out")
    return AgentLocation(path, number)


def _split_number(name: str) -> tuple[str, int | None]:
    """Split a name such as "runs/many/17" into the population and the number; None where it does not end in one."""
    match = re.fullmatch(r"(.+)/(-?[0-9]{1,9})", name.replace(os.sep, "/"), re.DOTALL)
    return (match[1], int(match[2])) if match else (name, None)


def holds_population(path: Path) -> bool:
    """Return whether a run folder or a checkpoint file is that of a population, finished or not."""
    if is_file(path):
        return is_population_file(path)
    if is_population_file(path / CHECKPOINT):
        return True
    try:
        return POPULATION in read_json(path / RECIPE)
    except (OSError, ValueError, TypeError):
        return False


def load_agent(name: str, device: str = "cpu") -> Agent:
    """Load an agent: of a run folder, a checkpoint file or the zoo as ``zoo:NAME``, with /NUMBER for one of many.

    Args:
        name: the run folder, the file or the agent of the zoo.
        device: the device that its network is to run on, see `Agent.to`.

    Raises:
        GoalmazeError: there is no such agent or device, the name is that of a population, or its checkpoint cannot be
            used.
    """
    place = locate(name)
    path = place.checkpoint
    # An agent of the user's own family or network loads only after that was imported; the error then names the file.
    with extensions_needed(_recorded_imports(path.parent)):
        if place.number is not None:
            stored = stored_population(place)
            if not 0 <= place.number < len(stored):
                raise GoalmazeError(
                    f"{name}: there is no such agent; the population's agents are 0 to {len(stored) - 1}"
                )
            network, family, header = stored.agent(place.number)
        elif holds_population(place.path):
            raise GoalmazeError(
                f"{name} is a population, and one agent is needed here; name one of it, such as {name}/0"
            )
        else:
            network, family, header = load_checkpoint(path)
    return Agent(network, family, name, header).to(device)


def agents_in(path: Path, name: str) -> tuple[StoredPopulation, tuple[Agent, ...]]:
    """Return the content of a stacked checkpoint and its agents.

    Args:
        path: the file.
        name: the name of the population; agent i is called NAME/i.

    Raises:
        GoalmazeError: the file cannot be used.
    """
    with extensions_needed(_recorded_imports(path.parent)):
        stored = stored_population(AgentLocation(path))
        loaded = [stored.agent(number) for number in range(len(stored))]
    return stored, tuple(
        Agent(network, family, f"{name}/{number}", header) for number, (network, family, header) in enumerate(loaded)
    )


def stored_population(place: AgentLocation) -> StoredPopulation:
    """Return the stacked checkpoint at a location.

    Raises:
        GoalmazeError: the population is not trained to its end, or the file cannot be used.
    """
    folder = place.path if place.path.name != CHECKPOINT else place.path.parent
    if not is_file(place.checkpoint) and is_file(folder / RECIPE):
        raise GoalmazeError(
            f"{folder} is a population that is still in training; finish it with: goalmaze train --resume {folder}"
        )
    return read_population(place.checkpoint)


def _recorded_imports(folder: Path) -> list[str]:
    """Return the user's files and modules that the recipe in a folder names; none if it cannot be read.

    They are used for an error message only. A checkpoint without a recipe is complete.
    """
    try:
        content = read_json(folder / RECIPE)
        return [str(name) for name in content["recipe"]["imports"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []
