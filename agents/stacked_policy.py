"""The policies of many networks as one: on a GPU all agents of a population act in one batch of episodes.

P agents act on the same B levels. Their P * B episodes are rows of one batch, those of agent p from p * B on.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from goalmaze.agents.networks.base import Network
from goalmaze.agents.networks.stacked import StackedNetwork
from goalmaze.agents.policies import Actor, Observations, Probabilities, Rows, move_probabilities
from goalmaze.agents.reuse import ReusingActor
from goalmaze.agents.rollout import Trajectory, rollout
from goalmaze.envs.cells import Cells
from goalmaze.envs.levels import Family, LevelBatch
from goalmaze.envs.observations.views import View

STACKED_PASS = 2**14
"""Most observations in one forward pass, those of all agents together."""

MAX_ROWS = 2**17
"""Most episodes in one batch; a population is evaluated in several where it has more."""

KEPT_BYTES = 2**30
"""Most memory of the observations whose probabilities are reused, in bytes."""


class StackedPolicy:
    """The policies of P networks that differ in their weights alone.

    Args:
        networks: the networks, on one device.
    """

    def __init__(self, networks: Sequence[Network]) -> None:
        self._network = StackedNetwork(networks)
        self._device = next(self._network.parameters()).device

    def begin(self, levels: LevelBatch) -> Actor:
        """Return an actor for the episodes of all agents: P times the same B levels, agent by agent."""
        actor = _StackedActor(self._network, len(levels) // self._network.agents, self._device)
        return actor if self._network.is_recurrent else ReusingActor(actor, levels, KEPT_BYTES)

    def view(self, family: Family) -> View:
        """Return the view that draws the networks' observations in levels of a family."""
        return self._network.shape.view(family)


class _StackedActor:
    """P networks that act in P * B episodes; see `StackedPolicy`."""

    def __init__(self, network: StackedNetwork, levels: int, device: torch.device) -> None:
        self._network, self._levels, self._device = network, levels, device
        self._memory: Tensor | None = None

    def probabilities(self, rows: Rows, observations: Observations, agent: Cells) -> Probabilities:
        """Return float32 [b, 4], the probability of each action, in ascending `rows` int [b]."""
        agents, per_pass = rows // self._levels, max(1, STACKED_PASS // self._network.agents)
        # The rows of an agent are consecutive: a row's place is its distance from the first of them.
        places = np.arange(len(rows)) - np.searchsorted(agents, agents)
        result = np.empty((len(rows), 0), np.float32)
        with torch.inference_mode():
            for first in range(0, int(places.max()) + 1, per_pass):
                chosen = np.flatnonzero((places >= first) & (places < first + per_pass))
                moves = move_probabilities(
                    self._logits(agents[chosen], places[chosen] - first, rows[chosen], observations[chosen])
                )
                if not result.shape[1]:
                    result = np.empty((len(rows), moves.shape[1]), np.float32)
                result[chosen] = moves
        return result

    def _logits(
        self, agents: NDArray[np.intp], places: NDArray[np.intp], rows: Rows, observations: Observations
    ) -> Tensor:
        """Return float32 [b, A], the logits of one forward pass.

        Args:
            agents: int [b], the agent of each observation.
            places: int [b], the place of each observation among those of its agent.
            rows: int [b], its episode.
            observations: uint8 [b, ...].
        """
        # Padded to the agent with most rows: [P, m, ...].
        width = int(places.max()) + 1
        index = torch.from_numpy(agents * width + places).to(self._device)
        padded = torch.zeros(
            (self._network.agents * width, *observations.shape[1:]), dtype=torch.uint8, device=self._device
        )
        padded[index] = torch.from_numpy(observations).to(self._device)
        sides = (self._network.agents, width)
        stacked = padded.reshape(*sides, *padded.shape[1:])
        if not self._network.is_recurrent:
            return self._network.outputs(stacked)[0].flatten(0, 1)[index]
        if self._memory is None:
            self._memory = self._network.initial_memory(self._levels)
        memory = self._memory.flatten(0, 1)
        episodes = torch.from_numpy(rows).to(self._device)
        gathered = torch.zeros((len(padded), *memory.shape[1:]), dtype=memory.dtype, device=self._device)
        gathered[index] = memory[episodes]
        logits, _, updated = self._network.step(stacked, gathered.reshape(*sides, *gathered.shape[1:]))
        # Only rows whose episodes have not ended take a step; the memory of the others stays as it is.
        memory[episodes] = updated.flatten(0, 1)[index]
        self._memory = memory.reshape(self._memory.shape)
        return logits.flatten(0, 1)[index]


def population_rollout(
    networks: Sequence[Network], levels: LevelBatch, *, seed: int = 0, greedy: bool = False
) -> list[Trajectory]:
    """Run one episode of every agent on every level, in stacked forward passes.

    The episodes are those of `rollout` for each agent alone, but for rounding in the forward passes.

    Args:
        networks: P networks that differ in their weights alone, on one device.
        levels: B levels.
        seed: seed of the sampled actions.
        greedy: whether to take the most probable action instead of sampling.

    Returns:
        The trajectory of each agent.
    """
    trajectories: list[Trajectory] = []
    together = max(1, MAX_ROWS // len(levels))
    for first in range(0, len(networks), together):
        group = networks[first : first + together]
        rows = np.tile(np.arange(len(levels)), len(group))
        # An episode takes the random numbers of its level, so that they do not depend on the other agents.
        whole = rollout(StackedPolicy(group), levels.take(rows), seed=seed, greedy=greedy, draw_rows=rows)
        trajectories += [
            whole.part(slice(number * len(levels), (number + 1) * len(levels))) for number in range(len(group))
        ]
    return trajectories
