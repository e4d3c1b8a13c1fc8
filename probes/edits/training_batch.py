"""Training batches for learned edits: mazes with the agent on random cells, labelled with the optimal actions there.

The edit that is learned is the same for all mazes. Walls and paths are training labels only; the edit gets neither.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from goalmaze.agents.policies import NetworkPolicy
from goalmaze.agents.rollout import observations_of
from goalmaze.envs.actions import ACTIONS, PROCGEN_MOVES, cell_steps
from goalmaze.envs.cells import ABSENT, Bools
from goalmaze.envs.jit.flood import UNREACHABLE
from goalmaze.envs.levels import LevelBatch
from goalmaze.envs.solving import Distances, distances, pick
from goalmaze.probes.context import FitContext
from goalmaze.probes.edits.base import Edit, applied
from goalmaze.probes.edits.cell_table import CellTable
from goalmaze.probes.edits.fitted import FittedEdit
from goalmaze.probes.edits.goal_move import GoalMove
from goalmaze.probes.edits.optimisation import descend
from goalmaze.probes.edits.patterns import GoalPattern
from goalmaze.probes.targets import draw_targets, relocate_agents

STAY_RATE = 1 / 8
"""Probability that a level's target is its goal, so that an edit learns to change nothing there."""

FINAL_FRACTION = 0.03
"""Fraction of its initial value to which the learning rate falls."""


E = TypeVar("E", bound=FittedEdit)
TwoSided = TypeVar("TwoSided", GoalPattern, CellTable)
"""A fitted edit of two tensors: one for the target, one for the goal."""


@dataclasses.dataclass(frozen=True, eq=False)
class TrainingBatch:
    """Levels to learn from.

    Attributes:
        policy: the policy that is edited.
        levels: B levels, the agent on a random cell.
        move: of the goal, in these levels.
        observations: uint8 [B, ...], what the agent sees on these cells.
        optimal_actions: bool [B, 4], the moves that shorten the path to the target.
    """

    policy: NetworkPolicy
    levels: LevelBatch
    move: GoalMove
    observations: Tensor
    optimal_actions: Tensor

    def loss(self, edits: Sequence[Edit]) -> Tensor:
        """Return the mean negative log probability that the edited policy takes an optimal action."""
        with applied(self.policy, edits):
            logits = self.policy.logits(np.arange(len(self.levels)), self.observations)
        log_probabilities = move_log_probabilities(logits)
        # logsumexp adds up the probabilities of all optimal actions: which of them is taken does not matter.
        return -torch.where(self.optimal_actions, log_probabilities, -torch.inf).logsumexp(dim=1).mean()


def draw_training_batch(
    context: FitContext, rng: np.random.Generator, size: int, stay_rate: float = STAY_RATE
) -> TrainingBatch:
    """Return a batch of the fitting levels, with random targets and the agent on random cells.

    Args:
        context: has the fitting levels.
        rng: of the draw.
        size: number of levels; all, if there are fewer.
        stay_rate: probability that a level's target is its goal.
    """
    # Without replacement, so that no maze counts twice in a batch.
    rows = rng.choice(len(context.levels), min(size, len(context.levels)), replace=False)
    levels, seed = context.levels.take(rows), int(rng.integers(2**31))
    goals = levels.cells(context.family.goal)
    stays = (rng.random(len(levels)) < stay_rate) & (goals != ABSENT)
    targets = np.where(stays, goals, draw_targets(levels, seed))
    # On the path of an episode the edit would learn only from cells that the agent visits; in use, it must work on all.
    levels = relocate_agents(levels, targets, seed)
    move = GoalMove.on(levels, targets)
    observations = torch.from_numpy(observations_of(context.policy, levels).copy())
    return TrainingBatch(context.policy, levels, move, observations, torch.from_numpy(optimal_actions(levels, move)))


@dataclasses.dataclass(frozen=True)
class Schedule:
    """How long a learned edit is trained, and on how much.

    Attributes:
        updates: number of updates at full effort.
        batch: levels in a training batch; a new one is drawn at every update.
        learning_rate: of the first update.
    """

    updates: int
    batch: int
    learning_rate: float


def learn_from_optimal_actions(
    context: FitContext, start: Sequence[Tensor], build: Callable[[Sequence[Tensor]], list[E]], schedule: Schedule
) -> list[E]:
    """Return fitted edits, one a site, whose tensors were trained until the edits make optimal actions likely.

    Args:
        context: has the policy, the fitting levels, the seed and the effort.
        start: what is learned, at its values before training.
        build: from values of these tensors to the fitted edits that have them.
        schedule: of the training.
    """
    rng = np.random.default_rng(context.seed)
    parameters = [tensor.clone().requires_grad_() for tensor in start]

    def loss() -> Tensor:
        batch = draw_training_batch(context, rng, schedule.batch)
        # Built anew at every update: patterns are placed when an edit is made, and the gradient passes through that.
        return batch.loss([edit for one in build(parameters) for edit in one.edits(batch.move)])

    updates = context.updates(schedule.updates)
    return build(descend(parameters, loss, updates, schedule.learning_rate, final_fraction=FINAL_FRACTION))


def learn_target_and_goal(context: FitContext, start: TwoSided, schedule: Schedule) -> TwoSided:
    """Return a fitted edit with what it adds at the target and subtracts at the goal trained on optimal actions."""

    def build(tensors: Sequence[Tensor]) -> list[TwoSided]:
        return [dataclasses.replace(start, at_target=tensors[0], at_goal=tensors[1])]

    return learn_from_optimal_actions(context, [start.at_target, start.at_goal], build, schedule)[0]


def optimal_actions(levels: LevelBatch, move: GoalMove) -> Bools:
    """Return bool [B, 4], the moves that shorten the path from the start to the target; see `distances_to_target`."""
    remaining = distances_to_target(levels, move)
    rows, offsets = np.arange(len(levels)), cell_steps(levels.width)
    # Borders are closed, so no offset leaves the maze. The distance from a wall is `UNREACHABLE`, which is never
    # shorter.
    after = np.stack([remaining[rows, levels.start + offset] for offset in offsets], axis=1)
    return np.asarray(after < pick(remaining, levels.start)[:, None])


def distances_to_target(levels: LevelBatch, move: GoalMove) -> Distances:
    """Return int32 [B, H*W], the steps from every cell to the target without entering the goal's cell.

    Entering the goal ends the episode. Where every path from a level's start leads over the goal, the steps of that
    level count the paths over it.
    """
    walls = levels.walls.reshape(len(levels), -1).copy()
    avoided = (move.goals != ABSENT) & (move.goals != move.targets)
    # A wall on the goal's cell, so that no path enters it.
    walls[np.flatnonzero(avoided), move.goals[avoided]] = True
    around_goal = distances(dataclasses.replace(levels, walls=walls.reshape(levels.walls.shape)), move.targets)
    blocked = pick(around_goal, levels.start) == UNREACHABLE
    return np.where(blocked[:, None], distances(levels, move.targets), around_goal)


def move_log_probabilities(logits: Tensor) -> Tensor:
    """Return float32 [b, 4], the log probability of each move, from logits [b, 4] or those of Procgen [b, 15]."""
    if logits.shape[1] != len(ACTIONS):
        # Several Procgen actions make the same move, and their probabilities add up.
        logits = torch.stack([logits[:, list(group)].logsumexp(dim=1) for group in PROCGEN_MOVES], dim=1)
    return logits.log_softmax(dim=1)
