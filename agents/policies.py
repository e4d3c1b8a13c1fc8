"""Who acts: the two small interfaces between a policy and the rollout loop, and the policy a network gives."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol, Self, cast, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from goalmaze.agents.networks.base import Network, RecurrentNetwork
from goalmaze.envs.actions import ACTIONS, PROCGEN_ACTIONS, PROCGEN_MOVES
from goalmaze.envs.cells import Bools, Cells
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.levels import Family, LevelBatch
from goalmaze.envs.observations.views import View

PASS = 512
"""Levels in one forward pass: the maps of more do not fit a core's cache, which costs a quarter of the speed."""

Probabilities = NDArray[np.float32]
Observations = NDArray[np.uint8]
Rows = NDArray[np.intp]
Steps = NDArray[np.int64]


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


@dataclasses.dataclass(frozen=True, eq=False)
class EditContext:
    """Which levels a forward pass is about, and where their episodes stand. Edits of activations depend on it.

    Attributes:
        rows: int [b], the level of each observation, as an index into the batch of levels.
        steps: int [b], the steps that the agent has taken in each episode; 0 before its first.
    """

    rows: Rows
    steps: Steps

    @classmethod
    def at_start(cls, rows: Rows) -> Self:
        """Return the context of the first step in the levels `rows` int [b]."""
        return cls(rows, np.zeros(len(rows), np.int64))

    def take(self, chosen: Bools) -> Self:
        """Return the context of the observations that are `chosen`, bool [b]."""
        return dataclasses.replace(self, rows=self.rows[chosen], steps=self.steps[chosen])

    def __len__(self) -> int:
        return len(self.rows)


class NetworkPolicy:
    """The policy of a trained network.

    Attributes:
        network: the network, in evaluation mode.
        context: of the forward pass under way; None between passes.
    """

    def __init__(self, network: Network) -> None:
        if network.shape.actions not in (len(ACTIONS), PROCGEN_ACTIONS):
            raise GoalmazeError(
                f"the network has {network.shape.actions} actions: agents in mazes have {len(ACTIONS)}, or Procgen's "
                f"{PROCGEN_ACTIONS}"
            )
        self.network = network.eval()
        self.context: EditContext | None = None

    def begin(self, levels: LevelBatch) -> Actor:
        """Return an actor that counts the steps of each episode and, for a recurrent network, keeps its memory."""
        if isinstance(self.network, RecurrentNetwork):
            return RecurrentActor(self, self.network, len(levels))
        return NetworkActor(self, len(levels))

    def view(self, family: Family) -> View:
        """Return what draws the observations that the network was made for, in levels of a family."""
        return self.network.shape.view(family)

    def logits(self, rows: Rows, observations: Tensor, steps: Steps | None = None) -> Tensor:
        """Return float32 [b, A], the network's logits; differentiable.

        Args:
            rows: int [b], the level of each observation.
            observations: [b, ...].
            steps: int [b], steps taken before; none where not given. A recurrent network starts without memory.
        """
        context = EditContext.at_start(rows) if steps is None else EditContext(rows, steps)
        with self.about(context):
            logits, _ = self.network(observations)
        return cast(Tensor, logits.float())

    def probabilities(
        self, rows: Rows, observations: Observations, agent: Cells, steps: Steps | None = None
    ) -> Probabilities:
        """Return float32 [b, 4], the probability of each move; see `logits` and `move_probabilities`."""
        images, steps = torch.from_numpy(observations), np.zeros(len(rows), np.int64) if steps is None else steps
        parts = [slice(start, start + PASS) for start in range(0, len(rows), PASS)]
        with torch.inference_mode():
            return move_probabilities(torch.cat([self.logits(rows[p], images[p], steps[p]) for p in parts]))

    @contextmanager
    def about(self, context: EditContext) -> Iterator[None]:
        """Set the context of the forward passes made meanwhile."""
        self.context = context
        try:
            yield
        finally:
            self.context = None


class NetworkActor:
    """A network without memory that acts in a batch of B episodes."""

    def __init__(self, policy: NetworkPolicy, batch: int) -> None:
        self._policy = policy
        self._steps = np.zeros(batch, np.int64)

    def probabilities(self, rows: Rows, observations: Observations, agent: Cells) -> Probabilities:
        """Return float32 [b, 4], each action's probability; the episodes `rows` then stand one step further."""
        result = self._policy.probabilities(rows, observations, agent, self._steps[rows])
        self._steps[rows] += 1
        return result


class RecurrentActor:
    """A recurrent network that acts in a batch of B episodes, with a memory for each.

    Attributes:
        memory: [B, ...], blank until the first step.
    """

    def __init__(self, policy: NetworkPolicy, network: RecurrentNetwork, batch: int) -> None:
        self._policy, self._network = policy, network
        self._steps = np.zeros(batch, np.int64)
        self.memory: Tensor | None = None

    def probabilities(self, rows: Rows, observations: Observations, agent: Cells) -> Probabilities:
        """Return float32 [b, 4], each action's probability; the episodes `rows` then stand one step further."""
        with torch.inference_mode(), self._policy.about(EditContext(rows, self._steps[rows])):
            if self.memory is None:
                self.memory = self._network.initial_memory(len(self._steps), observations.shape[1:])
            index = torch.from_numpy(rows)
            logits, _, memory = self._network.step(torch.from_numpy(observations), self.memory[index])
            self.memory[index] = memory
            self._steps[rows] += 1
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
