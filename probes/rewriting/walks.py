"""Walks to targets: what learned memory edits are trained on, optimal actions after the memory was rewritten.

In each fitting level the agent takes its own actions up to the rewrite, and walks to a random target from then on. The
edit is trained until these actions are likely. Its gradient passes through all later steps. Walls and paths are
training labels only; the edit gets neither.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Self, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from goalmaze.agents.networks.base import RecurrentNetwork
from goalmaze.agents.policies import EditContext, NetworkPolicy, Rows
from goalmaze.agents.rollout import observer, rollout
from goalmaze.envs.actions import cell_steps
from goalmaze.envs.cells import Cells
from goalmaze.envs.engines import make_engine
from goalmaze.envs.levels import LevelBatch
from goalmaze.probes.context import FitContext
from goalmaze.probes.edits.base import Edit, applied
from goalmaze.probes.edits.fitted import FittedEdit
from goalmaze.probes.edits.goal_move import GoalMove
from goalmaze.probes.edits.memory_table import GoalMemories
from goalmaze.probes.edits.optimisation import descend
from goalmaze.probes.edits.training_batch import FINAL_FRACTION, Schedule, distances_to_target, move_log_probabilities
from goalmaze.probes.targets import draw_targets

HORIZON = 8
"""Steps after the rewrite whose actions are trained."""

DRAWS = 2
"""Targets in each fitting level."""

E = TypeVar("E", bound=FittedEdit)


@dataclasses.dataclass(frozen=True, eq=False)
class Walks:
    """Walks to targets in N levels, from the step of the rewrite on.

    Attributes:
        policy: whose memory is rewritten.
        after: number of the step behind which it is rewritten.
        levels: the N levels, goal and cue on their cells.
        actions: int8 [T, N], the actions up to the end of the walks, for replaying the episode.
        move: of the goal to the targets.
        memory: [N, ...], the memory before step `after`; empty for a network without memory.
        inputs: [S, N, ...], what the network sees in step `after` and later ones: features, or observations of a
            network without memory.
        optimal: bool [S, N, 4], the moves that shorten the path to the target; none where a walk has ended.
    """

    policy: NetworkPolicy
    after: int
    levels: LevelBatch
    actions: NDArray[np.int8]
    move: GoalMove
    memory: Tensor
    inputs: Tensor
    optimal: Tensor

    @classmethod
    def drawn(cls, context: FitContext, after: int) -> Self:
        """Return the walks in fitting levels, `DRAWS` targets in each."""
        levels = context.levels.take(np.tile(np.arange(len(context.levels)), DRAWS))
        move = GoalMove.on(levels, draw_targets(levels, context.seed))
        own = rollout(context.policy, levels, seed=context.seed).actions
        engine, network = make_engine(levels), context.policy.network
        observe, remaining = observer(context.policy, engine), distances_to_target(levels, move)
        rng, inputs, optimal, actions = np.random.default_rng(context.seed), [], [], []
        memory = torch.zeros(len(levels), 0)
        with torch.no_grad(), context.policy.about(EditContext.at_start(np.arange(len(levels)))):
            # Without a memory, an edit of one step changes no action but that step's.
            for step in range(after + (HORIZON if isinstance(network, RecurrentNetwork) else 0)):
                observations = torch.from_numpy(observe().copy())
                if isinstance(network, RecurrentNetwork):
                    observations = network.encode(observations)
                    if step == 0:
                        memory = network.initial_memory(len(levels), observe().shape[1:])
                    if step < after - 1:
                        memory = network.recur(observations, memory)[2]
                best = _optimal(remaining, engine.agent, levels.width) & ~engine.done[:, None]
                if step >= after - 1:
                    inputs.append(observations)
                    optimal.append(torch.from_numpy(best))
                taken = own[step] if step < min(after, len(own)) else _drawn_among(best, rng)
                actions.append(np.where(engine.done, -1, taken).astype(np.int8))
                engine.step(actions[-1])
        return cls(
            context.policy, after, levels, np.stack(actions), move, memory, torch.stack(inputs), torch.stack(optimal)
        )

    def take(self, rows: NDArray[np.intp]) -> Self:
        """Return the walks `rows`, int [b]."""
        index = torch.from_numpy(rows)
        return dataclasses.replace(
            self,
            levels=self.levels.take(rows),
            actions=self.actions[:, rows],
            move=self.move.take(rows),
            memory=self.memory[index],
            inputs=self.inputs[:, index],
            optimal=self.optimal[:, index],
        )

    def loss(self, edits: Sequence[Edit]) -> Tensor:
        """Return the mean negative log probability that the edited agent takes optimal actions.

        Args:
            edits: for these N levels; they act after step `after` alone.
        """
        timed = [dataclasses.replace(edit, first_steps=None, at_steps=(self.after,)) for edit in edits]
        rows, network, memory, logits = np.arange(len(self.levels)), self.policy.network, self.memory, []
        with applied(self.policy, timed):
            for step, inputs in enumerate(self.inputs, start=self.after - 1):
                context = EditContext(rows, np.full(len(rows), step, np.int64))
                with self.policy.about(context):
                    if isinstance(network, RecurrentNetwork):
                        output, _, memory = network.recur(inputs, memory)
                    else:
                        output, _ = network(inputs)
                logits.append(output)
        log_probabilities = move_log_probabilities(torch.stack(logits).flatten(0, 1))
        optimal = self.optimal.flatten(0, 1)
        counts = optimal.any(dim=1)
        # logsumexp adds up the probabilities of all optimal actions: which of them is taken does not matter.
        return -torch.where(optimal, log_probabilities, -torch.inf)[counts].logsumexp(dim=1).mean()


def learn_on_walks(
    memories: GoalMemories,
    start: Sequence[Tensor],
    build: Callable[[Sequence[Tensor]], E],
    schedule: Schedule,
    *,
    walks: Walks | None = None,
    edits_of: Callable[[E, Rows], Sequence[Edit]] | None = None,
) -> E:
    """Return a fitted edit whose tensors were trained until the agent walks to the targets.

    Args:
        memories: site, step, policy and fitting levels.
        start: what is learned, at its values before training.
        build: from values of these tensors to the fitted edit that has them.
        schedule: of the training.
        walks: the walks to train on; drawn in the fitting levels where not given.
        edits_of: from a fitted edit and the numbers of walks, int [b], to the edits that are trained; those for the
            moves of the walks where not given.
    """
    context = memories.context
    drawn = Walks.drawn(context, memories.after) if walks is None else walks
    rng, size = np.random.default_rng(context.seed), min(schedule.batch, len(drawn.levels))
    parameters = [tensor.clone().requires_grad_() for tensor in start]

    def loss() -> Tensor:
        rows = rng.choice(len(drawn.levels), size, replace=False)
        batch, fitted = drawn.take(rows), build(parameters)
        return batch.loss(fitted.edits(batch.move) if edits_of is None else edits_of(fitted, rows))

    updates = context.updates(schedule.updates)
    return build(descend(parameters, loss, updates, schedule.learning_rate, final_fraction=FINAL_FRACTION))


def _optimal(remaining: NDArray[np.int32], agent: Cells, width: int) -> NDArray[np.bool_]:
    """Return bool [N, 4], the moves after which fewer steps remain."""
    rows = np.arange(len(agent))
    after = np.stack([remaining[rows, agent + offset] for offset in cell_steps(width)], axis=1)
    return np.asarray(after < remaining[rows, agent][:, None])


def _drawn_among(allowed: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.int8]:
    """Return int8 [N], one of the allowed moves each; -1 where there is none."""
    drawn = np.where(allowed, rng.random(allowed.shape), -1.0).argmax(axis=1)
    return np.where(allowed.any(axis=1), drawn, -1).astype(np.int8)
