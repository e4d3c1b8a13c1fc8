"""Populations: many agents of one recipe that differ by their seed, or by parameters of their family too."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from goalmaze.agents.loading import Agent, agents_in, holds_population, locate
from goalmaze.agents.population_files import PopulationHeader
from goalmaze.agents.training.checkpoint_schedule import checkpoint_series
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.json_data import JsonObject


@dataclasses.dataclass(frozen=True)
class Population:
    """The agents of a population, in the order of their numbers.

    Attributes:
        name: the name given to `load_population`.
        agents: the P agents; agent i is called NAME/i.
        seeds: their training seeds.
        parameters: for each agent, the parameters of its family that differ between the agents.
        header: the header of their checkpoint.
        folder: the run folder; None for a checkpoint file that was named itself.

    Example:
        >>> import goalmaze as gm
        >>> population = gm.load_population("runs/GreenExit-seeds0-63")  # doctest: +SKIP
        >>> population.seeds[17], population[17].name  # doctest: +SKIP
        (17, 'runs/GreenExit-seeds0-63/17')
    """

    name: str
    agents: tuple[Agent, ...]
    seeds: tuple[int, ...]
    parameters: tuple[JsonObject, ...]
    header: PopulationHeader
    folder: Path | None = None

    def __len__(self) -> int:
        return len(self.agents)

    def __getitem__(self, number: int) -> Agent:
        return self.agents[number]

    def __iter__(self) -> Iterator[Agent]:
        return iter(self.agents)

    @property
    def stopped(self) -> dict[int, str]:
        """Agent number → why its training stopped early, for the agents that did not take all their steps."""
        return {number: entry.stopped for number, entry in enumerate(self.header.agents) if entry.stopped}

    @property
    def checkpoints(self) -> tuple[int, ...]:
        """The step counts of the scheduled checkpoints, in order."""
        return () if self.folder is None else tuple(checkpoint_series(self.folder))

    def at(self, steps: int) -> Self:
        """Return the population at a scheduled checkpoint.

        Args:
            steps: one of `checkpoints`.

        Raises:
            GoalmazeError: there is no such checkpoint, or it cannot be used.
        """
        series = {} if self.folder is None else checkpoint_series(self.folder)
        if steps not in series:
            known = ", ".join(f"{count:,}" for count in series) or "none"
            raise GoalmazeError(f"{self.name} has no checkpoint after {steps:,} steps; its checkpoints: {known}")
        path = series[steps]
        stored, agents = agents_in(path, str(path))
        for agent in agents:
            agent.to(self.agents[0].device.type)
        return type(self)(str(path), agents, self.seeds, self.parameters, stored.header, self.folder)


def load_population(name: str, device: str = "cpu") -> Population:
    """Load all agents of a population: a run folder, a stacked checkpoint file, or ``zoo:NAME``.

    Args:
        name: the run folder, the file or the population of the zoo.
        device: the device that the networks are to run on, see `Agent.to`.

    Raises:
        GoalmazeError: there is no such population or device, it is one agent, or its checkpoint cannot be used.

    Example:
        >>> import goalmaze as gm
        >>> gm.load_population("zoo:green-exit")
        Traceback (most recent call last):
        goalmaze.envs.errors.GoalmazeError: zoo:green-exit is one agent, not a population; ...
    """
    place = locate(name)
    if place.number is not None:
        raise GoalmazeError(f"{name} is one agent of a population; name the population without /{place.number}")
    if place.path.exists() and not holds_population(place.path):
        raise GoalmazeError(f"{name} is one agent, not a population; train one with goalmaze train --seeds 0-63")
    stored, agents = agents_in(place.checkpoint, name)
    for agent in agents:
        agent.to(device)
    folder = place.path if place.path.is_dir() else None
    entries = stored.header.agents
    return Population(
        name,
        agents,
        tuple(entry.seed for entry in entries),
        tuple(entry.parameters for entry in entries),
        stored.header,
        folder,
    )


def is_population(name: str) -> bool:
    """Return whether a name is that of a population and not of one agent; no error for a name that nothing has."""
    try:
        place = locate(name)
    except GoalmazeError:
        return False
    return place.number is None and holds_population(place.path)
