"""The environments of a population, stepped in two halves.

Agents with the same family share one vector environment, in which every agent has environments of its own. The agents
are cut into two halves, so that a GPU can compute the actions of one half while the environments of the other advance.

Axes: P agents, E environments of each agent, B = P * E.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from goalmaze.agents.training.algorithms import make_environments
from goalmaze.agents.training.recipe import Recipe
from goalmaze.agents.training.sb3_environment import Arrays, MazeVecEnv
from goalmaze.envs.engines import Observations
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.json_data import JsonObject
from goalmaze.envs.levels import Family


class Truncated(NamedTuple):
    """The episodes that the time limit ended with one step.

    Attributes:
        rows: int [e], their environments among the B of the population.
        observations: [e, ...], their last observations.
    """

    rows: NDArray[np.intp]
    observations: Observations


class Group(NamedTuple):
    """A vector environment and the agents to which its rows belong, E rows each.

    Attributes:
        env: the vector environment.
        agents: the agents.
    """

    env: MazeVecEnv
    agents: slice


class EpisodeStatistics(NamedTuple):
    """Statistics of the episodes of one agent, as its log has them.

    Attributes:
        episodes: number of episodes that ended.
        levels: number of levels begun.
        recent: float64 [4], means of solved, length, true return and cue return over the latest episodes.
    """

    episodes: int
    levels: int
    recent: NDArray[np.float64]


class EnvironmentHalf:
    """The environments of some of the agents.

    Args:
        groups: their vector environments, whose agents follow each other.
        envs: number E of environments of each agent.

    Attributes:
        agents: the agents.
        rows: their rows among the B of the population.
    """

    def __init__(self, groups: Sequence[Group], envs: int) -> None:
        self.groups = tuple(groups)
        self.agents = slice(groups[0].agents.start, groups[-1].agents.stop)
        self.rows = slice(self.agents.start * envs, self.agents.stop * envs)
        self._envs = envs

    def observe_into(self, out: Observations) -> None:
        """Copy the present observations to `out` [rows, ...]."""
        for group, rows in self._parts():
            out[rows] = group.env.observations

    def advance(
        self, actions: NDArray[np.int64], rewards: NDArray[np.float32], dones: NDArray[np.bool_]
    ) -> list[Truncated]:
        """Take a step in every environment.

        Args:
            actions: int64 [rows].
            rewards: float32 [rows], filled.
            dones: bool [rows], filled.

        Returns:
            The episodes that the time limit ended, by group.
        """
        truncated = []
        for group, rows in self._parts():
            rewards[rows], dones[rows], ends = group.env.advance(actions[rows])
            if ends.truncated.any():
                first = self.rows.start + rows.start
                truncated.append(Truncated(first + ends.rows[ends.truncated], ends.observations[ends.truncated]))
        return truncated

    def _parts(self) -> Iterator[tuple[Group, slice]]:
        """Yield every group with its rows inside this half."""
        for group in self.groups:
            start, stop = (
                self._envs * (agent - self.agents.start) for agent in (group.agents.start, group.agents.stop)
            )
            yield group, slice(start, stop)


class PopulationEnvironments:
    """The environments of all agents.

    Args:
        recipe: the recipe that the agents share.
        seeds: P training seeds.
        parameters: for each agent, the parameters of its family that replace the recipe's.

    Attributes:
        halves: one half where there is one agent, else two.

    Raises:
        GoalmazeError: the observations of two agents have different shapes.
    """

    def __init__(self, recipe: Recipe, seeds: Sequence[int], parameters: Sequence[JsonObject]) -> None:
        self.envs = recipe.envs
        self._groups = [_group(recipe, seeds, parameters, agents) for agents in _agent_slices(parameters)]
        first = self._groups[0].env
        for group in self._groups:
            if group.env.observation_space != first.observation_space:
                shapes = [one.env.observation_space.shape for one in (group, self._groups[0])]
                raise GoalmazeError(
                    f"agent {group.agents.start} has observations of shape {shapes[0]}, agent 0 of {shapes[1]}: train "
                    "agents of different shapes in runs of their own"
                )
        cut = _middle([group.agents.stop for group in self._groups])
        parts = (self._groups[:cut], self._groups[cut:])
        self.halves = tuple(EnvironmentHalf(part, recipe.envs) for part in parts if part)

    @property
    def first(self) -> MazeVecEnv:
        """The vector environment of the first agent; its spaces are those of all."""
        return self._groups[0].env

    def families(self) -> list[Family]:
        """Return the family of every agent."""
        return [group.env.mazes.family for group in self._groups for _ in range(_length(group.agents))]

    def statistics(self) -> list[EpisodeStatistics]:
        """Return the statistics of every agent's episodes."""
        return [one for group in self._groups for one in _statistics(group.env)]

    def reset(self) -> None:
        """Start all episodes."""
        for group in self._groups:
            group.env.reset()

    def snapshot(self) -> Arrays:
        """Return a copy of everything that `restore` needs to continue from here."""
        return {
            f"{number}/{name}": array
            for number, group in enumerate(self._groups)
            for name, array in group.env.snapshot().items()
        }

    def restore(self, arrays: Arrays) -> None:
        """Continue from a `snapshot` of environments that were made with the same arguments.

        Raises:
            GoalmazeError: the snapshot is of other environments.
        """
        for number, group in enumerate(self._groups):
            prefix = f"{number}/"
            own = {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
            group.env.restore(own)


def _length(agents: slice) -> int:
    return int(agents.stop - agents.start)


def _agent_slices(parameters: Sequence[JsonObject]) -> list[slice]:
    """Return the agents of every vector environment: neighbours with equal parameters, of one half of the agents."""
    agents = len(parameters)
    starts = [p for p in range(agents) if p in (0, agents // 2) or parameters[p] != parameters[p - 1]]
    return [slice(*pair) for pair in itertools.pairwise([*starts, agents])]


def _middle(stops: Sequence[int]) -> int:
    """Return how many groups, which end at the agents `stops`, go to the first half so that the halves are alike."""
    cuts = range(1, len(stops))
    return min(cuts, key=lambda cut: abs(2 * stops[cut - 1] - stops[-1]), default=1)


def _group(recipe: Recipe, seeds: Sequence[int], parameters: Sequence[JsonObject], agents: slice) -> Group:
    """Return the vector environment of some agents, which share their parameters."""
    own = dataclasses.replace(recipe, parameters=recipe.parameters | parameters[agents.start])
    return Group(make_environments(own, seeds[agents]), agents)


def _statistics(env: MazeVecEnv) -> list[EpisodeStatistics]:
    """Return the statistics of every agent of a vector environment."""
    numbers = zip(env.record.counts.tolist(), env.mazes.levels_begun.tolist(), env.record.means(), strict=True)
    return [EpisodeStatistics(*one) for one in numbers]
