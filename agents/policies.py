"""Policies and actors, which choose the actions in the rollout loop; and the policy of a network.

A policy is the same in all episodes. An actor acts in one batch of episodes and holds what changes during them, such as
a memory.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol, Self, cast, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from goalmaze.agents.networks.base import Network, RecurrentNetwork, device_of
from goalmaze.envs.actions import PROCGEN_ACTIONS, PROCGEN_MOVES, check_action_count
from goalmaze.envs.cells import Bools, Cells
from goalmaze.envs.engines import Engine
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.levels import Family, LevelBatch
from goalmaze.envs.observations.views import View

PASS = 512
"""Observations in one forward pass on a CPU. The maps of more exceed a core's cache: a quarter more time."""

GPU_PASS = 4096
"""Observations in one forward pass on a GPU, which fewer leave idle. Maps of as many pictures fit in its memory."""

Probabilities = NDArray[np.float32]
Observations = NDArray[np.uint8]
Rows = NDArray[np.intp]
Steps = NDArray[np.int64]


class Actor(Protocol):
    """The part of a policy that acts in one batch of episodes. It may have a memory for each of them."""

    def probabilities(self, rows: Rows, observations: Observations, agent: Cells) -> Probabilities:
        """Return float32 [b, 4], the probability of each action.

        Args:
            rows: int [b], indices of the b levels whose episodes have not ended.
            observations: uint8 [b, ...], planes [b, C, H, W] or what the policy's view draws.
            agent: int32 [b], the agents' cells.
        """


class Policy(Protocol):
    """Anything that can act in mazes: a trained network, a scripted baseline, or a class of your own."""

    def begin(self, levels: LevelBatch) -> Actor:
        """Return an actor for one new episode on each level.

        The rollout loop calls this once per rollout. What belongs to these episodes alone, such as the memory of a
        recurrent network or the distances to a scripted agent's goal, is part of the actor and not of the policy. A
        policy without such a state may return itself.

        Args:
            levels: B levels. The `rows` of the actor's methods are indices of them.
        """


@runtime_checkable
class ObservingPolicy(Protocol):
    """A policy with an observation mode of its own. All other policies receive planes."""

    def view(self, family: Family) -> View:
        """Return the view that draws its observations in levels of a family."""


@runtime_checkable
class StatePolicy(Protocol):
    """A policy that acts on the state of the episodes instead of on observations, such as a scripted baseline."""

    def begin_in(self, engine: Engine) -> Actor:
        """Return an actor for the new episodes of an engine. It may read the engine's present state at every step.

        The rollout loop calls this instead of `Policy.begin`.
        """


@dataclasses.dataclass(frozen=True, eq=False)
class EditContext:
    """The levels and steps of the observations in one forward pass. Edits of activations depend on them.

    Attributes:
        rows: int [b], the level of each observation, as an index into the batch of levels.
        steps: int [b], the number of steps in the episode before each observation; 0 for a first observation.
    """

    rows: Rows
    steps: Steps

    @classmethod
    def at_start(cls, rows: Rows) -> Self:
        """Return the context of first observations, in the levels `rows` int [b]."""
        return cls(rows, np.zeros(len(rows), np.int64))

    def take(self, chosen: Bools) -> Self:
        """Return the context of those observations that are `chosen`, bool [b]."""
        return dataclasses.replace(self, rows=self.rows[chosen], steps=self.steps[chosen])

    def __len__(self) -> int:
        return len(self.rows)


class NetworkPolicy:
    """The policy of a trained network.

    Attributes:
        network: the network, in evaluation mode.
        context: the context of the forward pass in progress; None between forward passes.
        edits: number of edits that are applied to the network at present.
        think: number of forward passes on the first observation before the first action, see `thinking`.
    """

    def __init__(self, network: Network) -> None:
        check_action_count(network.shape.actions)
        self.network = network.eval()
        self.context: EditContext | None = None
        self.edits = 0
        self.think = 0

    def begin(self, levels: LevelBatch) -> Actor:
        """Return an actor that counts the steps of each episode and has its memory if the network is recurrent."""
        if isinstance(self.network, RecurrentNetwork):
            return RecurrentActor(self, self.network, len(levels))
        return NetworkActor(self, len(levels))

    def view(self, family: Family) -> View:
        """Return the view that draws the network's observations in levels of a family."""
        return self.network.shape.view(family)

    def logits(self, rows: Rows, observations: Tensor, steps: Steps | None = None) -> Tensor:
        """Return float32 [b, A], the network's logits, with their gradient. A recurrent network starts without memory.

        Observations and logits are on the CPU, wherever the network is.

        Args:
            rows: int [b], the level of each observation.
            observations: [b, ...].
            steps: int [b], the number of steps taken before each observation; 0 by default.
        """
        context = EditContext.at_start(rows) if steps is None else EditContext(rows, steps)
        with self.about(context):
            logits, _ = self.network(observations.to(device_of(self.network)))
        # float32 also for a network in half precision, whose softmax would be coarse.
        return cast(Tensor, logits.float().cpu())

    def probabilities(
        self, rows: Rows, observations: Observations, agent: Cells, steps: Steps | None = None
    ) -> Probabilities:
        """Return float32 [b, 4], the probability of each move; see `logits` and `move_probabilities`."""
        tensor, steps = torch.from_numpy(observations), np.zeros(len(rows), np.int64) if steps is None else steps
        # In slices, so that the activations between two layers stay in the cache.
        size = PASS if device_of(self.network).type == "cpu" else GPU_PASS
        parts = [slice(start, start + size) for start in range(0, len(rows), size)]
        with torch.inference_mode():
            return move_probabilities(torch.cat([self.logits(rows[p], tensor[p], steps[p]) for p in parts]))

    def probabilities_with(self, memory: Tensor, context: EditContext, observations: Observations) -> Probabilities:
        """Return float32 [b, 4], the probability of each move of a recurrent network with one memory for all rows.

        Args:
            memory: [1, ...], what it remembers before each of the observations.
            context: of the observations.
            observations: uint8 [b, ...].
        """
        network = cast(RecurrentNetwork, self.network)
        with torch.inference_mode(), self.about(context):
            tensor = torch.from_numpy(observations).to(memory.device)
            logits, _, _ = network.step(tensor, memory.expand(len(tensor), *memory.shape[1:]))
            return move_probabilities(logits.float())

    @contextmanager
    def thinking(self, steps: int) -> Iterator[Self]:
        """Let a recurrent network think: inside the context, episodes begin with extra passes on their observation.

        Before its first action, the network runs `steps` times on the first observation and keeps its memory, as in
        Guez et al. (2019) and Taufeeque et al. (2024). The episode does not go on meanwhile; for edits these passes
        belong to the first step. With 0 steps, everything is as without the context.

        Raises:
            GoalmazeError: the number is negative, or the network has no memory.
        """
        if steps < 0:
            raise GoalmazeError(f"an agent cannot think for {steps} steps: choose 0 or more")
        if steps and not isinstance(self.network, RecurrentNetwork):
            raise GoalmazeError("this network has no memory, so thinking changes nothing: choose a recurrent agent")
        before, self.think = self.think, steps
        try:
            yield self
        finally:
            self.think = before

    @contextmanager
    def about(self, context: EditContext) -> Iterator[None]:
        """Set the context of the forward passes inside the `with` block."""
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
        """Return float32 [b, 4], the probability of each action, and count a step in the episodes `rows`."""
        result = self._policy.probabilities(rows, observations, agent, self._steps[rows])
        self._steps[rows] += 1
        return result


class RecurrentActor:
    """A recurrent network that acts in a batch of B episodes, with a memory for each.

    Attributes:
        memory: [B, ...], the memory of each episode; None before the first step.
    """

    def __init__(self, policy: NetworkPolicy, network: RecurrentNetwork, batch: int) -> None:
        self._policy, self._network = policy, network
        self._steps = np.zeros(batch, np.int64)
        self.memory: Tensor | None = None

    def probabilities(self, rows: Rows, observations: Observations, agent: Cells) -> Probabilities:
        """Return float32 [b, 4], the probability of each action; count a step and update the memory in `rows`."""
        with torch.inference_mode(), self._policy.about(EditContext(rows, self._steps[rows])):
            if self.memory is None:
                self.memory = self._network.initial_memory(len(self._steps), observations.shape[1:])
                # In the first step no episode has ended, so `rows` are all rows of the memory.
                for _ in range(self._policy.think):
                    _, _, self.memory = self._network.step(
                        torch.from_numpy(observations).to(self.memory.device), self.memory
                    )
            # Only rows whose episodes have not ended take a step; the memory of the others stays as it is.
            device = self.memory.device
            index = torch.from_numpy(rows).to(device)
            logits, _, memory = self._network.step(torch.from_numpy(observations).to(device), self.memory[index])
            self.memory[index] = memory
            self._steps[rows] += 1
            return move_probabilities(logits.float())


def move_probabilities(logits: Tensor) -> Probabilities:
    """Return float32 [b, 4], the probabilities of moving up, right, down and left.

    Several of Procgen's 15 actions move in the same direction; their probabilities are added up. Its other actions do
    not move, and the four results are conditional on moving. An agent without memory takes the same paths then, with
    the same probabilities, in fewer steps.

    Args:
        logits: float32 [b, 4], or [b, 15] over Procgen's actions.
    """
    probabilities = torch.softmax(logits, dim=1)
    if probabilities.shape[1] == PROCGEN_ACTIONS:
        moves = torch.stack([probabilities[:, list(group)].sum(1) for group in PROCGEN_MOVES], 1)
        probabilities = moves / moves.sum(1, keepdim=True)
    result: Probabilities = probabilities.cpu().numpy()
    return result
