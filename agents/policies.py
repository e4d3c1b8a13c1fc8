"""Who acts: the two small interfaces between a policy and the rollout loop, and the policy a network gives."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol, cast, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from goalmaze.agents.networks.base import Network, RecurrentNetwork
from goalmaze.envs.cells import Cells
from goalmaze.envs.engine.kernels import ACTIONS
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.levels import Family, LevelBatch
from goalmaze.envs.observations.views import View

PASS = 512
"""Levels in one forward pass: the maps of more do not fit a core's cache, which costs a quarter of the speed."""

Probabilities = NDArray[np.float32]
Observations = NDArray[np.uint8]
Rows = NDArray[np.intp]

PROCGEN_ACTIONS = 15
PROCGEN_MOVES = ((5,), (6, 7, 8), (3,), (0, 1, 2))
"""Procgen's actions that move up, right, down and left; the rest stays."""


class Actor(Protocol):
    """Acts in one batch of episodes. It may keep a memory for each of them."""

    def probabilities(self, rows: Rows, observations: Observations, agent: Cells) -> Probabilities:
        """Return float32 [b, 4], each action's probability.

        Args:
            rows: int [b], indices of the b levels whose episodes are under way.
            observations: uint8 [b, C, H, W], or the shape of the policy's view.
            agent: int32 [b], the agents' cells.
        """


class Policy(Protocol):
    """Anything that can act in mazes: a trained network, a scripted baseline, or a class of your own."""

    def begin(self, levels: LevelBatch) -> Actor:
        """Return an actor for one new episode on each level.

        The rollout loop calls this once per rollout. What must not outlast the episodes, such as the hidden state of a
        recurrent network or the distances to a scripted agent's goal, belongs to the actor and not to the policy. A
        policy without such a state may return itself.

        Args:
            levels: B levels; the `rows` that the actor receives later index them.
        """


@runtime_checkable
class ObservingPolicy(Protocol):
    """A policy that says what it sees; others see planes."""

    def view(self, family: Family) -> View:
        """Return what draws the observations in levels of a family."""


class NetworkPolicy:
    """The policy of a trained network.

    Attributes:
        network: the network, in evaluation mode.
        rows: int [b], the levels that the forward pass under way is about; edits that differ by level read it.
    """

    def __init__(self, network: Network) -> None:
        if network.shape.actions not in (len(ACTIONS), PROCGEN_ACTIONS):
            raise GoalmazeError(
                f"the network has {network.shape.actions} actions: agents in mazes have {len(ACTIONS)}, or Procgen's "
                f"{PROCGEN_ACTIONS}"
            )
        self.network = network.eval()
        self.rows: Rows | None = None

    def begin(self, levels: LevelBatch) -> Actor:
        """Return itself, which keeps no memory, or for a recurrent network an actor with a memory for each level."""
        return RecurrentActor(self, self.network, len(levels)) if isinstance(self.network, RecurrentNetwork) else self

    def view(self, family: Family) -> View:
        """Return what draws the observations that the network was made for, in levels of a family."""
        return self.network.shape.view(family)

    def logits(self, rows: Rows, observations: Tensor) -> Tensor:
        """Return float32 [b, A] for first observations [b, ...] of the levels `rows` int [b]; differentiable."""
        with self.about(rows):
            logits, _ = self.network(observations)
        return cast(Tensor, logits.float())

    def probabilities(self, rows: Rows, observations: Observations, agent: Cells) -> Probabilities:
        """Return float32 [b, 4], the probability of each move; see `move_probabilities`."""
        seen, ends = torch.from_numpy(observations), range(0, len(rows), PASS)
        with torch.inference_mode():
            parts = [self.logits(rows[at : at + PASS], seen[at : at + PASS]) for at in ends]
            return move_probabilities(torch.cat(parts))

    @contextmanager
    def about(self, rows: Rows) -> Iterator[None]:
        """Say, while the context lasts, which levels the forward pass is about."""
        self.rows = rows
        try:
            yield
        finally:
            self.rows = None


class RecurrentActor:
    """A recurrent network at work on one batch of B levels, with a memory for each.

    Attributes:
        memory: [B, ...], blank until the first step.
    """

    def __init__(self, policy: NetworkPolicy, network: RecurrentNetwork, batch: int) -> None:
        self._policy, self._network, self._batch = policy, network, batch
        self.memory: Tensor | None = None

    def probabilities(self, rows: Rows, observations: Observations, agent: Cells) -> Probabilities:
        """Return float32 [b, 4], each action's probability; the memory of the levels `rows` goes one step on."""
        with torch.inference_mode(), self._policy.about(rows):
            if self.memory is None:
                self.memory = self._network.blank(self._batch, observations.shape[1:])
            places = torch.from_numpy(rows)
            logits, _, memory = self._network.advance(torch.from_numpy(observations), self.memory[places])
            self.memory[places] = memory
            return move_probabilities(logits.float())


def move_probabilities(logits: Tensor) -> Probabilities:
    """Return float32 [b, 4], the probabilities of moving up, right, down and left.

    Several of Procgen's actions move in the same direction: their probabilities are summed. Its other actions do not
    move: the four results are conditional on moving. An agent without memory then takes the same paths in fewer steps.

    Args:
        logits: float32 [b, 4], or [b, 15] over Procgen's actions.
    """
    probabilities = torch.softmax(logits, dim=1)
    if probabilities.shape[1] == PROCGEN_ACTIONS:
        moves = torch.stack([probabilities[:, list(group)].sum(1) for group in PROCGEN_MOVES], 1)
        probabilities = moves / moves.sum(1, keepdim=True)
    result: Probabilities = probabilities.numpy()
    return result
