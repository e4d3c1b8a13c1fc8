"""Lessons for edits that are learned: mazes with the agent anywhere in them, and the moves that lead to the target.

What is learned is the same for all mazes; a lesson's walls and ways judge it and do not go into it.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from goalmaze.agents.allocator import keep_large_blocks
from goalmaze.agents.policies import PROCGEN_MOVES, NetworkPolicy
from goalmaze.agents.rollout import observations_of
from goalmaze.envs.cells import ABSENT, Bools, Cells
from goalmaze.envs.engine.kernels import ACTIONS
from goalmaze.envs.jit.flood import UNREACHABLE
from goalmaze.envs.levels import LevelBatch
from goalmaze.envs.solving import Distances, distances, pick
from goalmaze.probes.context import FitContext
from goalmaze.probes.edits.base import Edit, applied
from goalmaze.probes.edits.goal_move import GoalMove
from goalmaze.probes.targets import draw_targets, relocate_agents

STAYING = 1 / 8
"""Share of a lesson's mazes whose target is the goal itself, so that an edit learns to change nothing there."""


@dataclasses.dataclass(frozen=True, eq=False)
class TrainingBatch:
    """Mazes to learn from.

    Attributes:
        policy: who is edited.
        levels: B of them, the agent on a random cell.
        move: from each level's goal to the cell it is to be moved to.
        seen: uint8 [B, ...], what the agent sees there.
        right: bool [B, 4], the moves that shorten the way to the target.
    """

    policy: NetworkPolicy
    levels: LevelBatch
    move: GoalMove
    seen: Tensor
    right: Tensor

    def loss(self, edits: Sequence[Edit]) -> Tensor:
        """Return how surprising right moves are to the edited agent: the mean negative log of their chance."""
        with applied(self.policy, edits):
            logits = self.policy.logits(np.arange(len(self.levels)), self.seen)
        return -torch.where(self.right, move_log_chances(logits), -torch.inf).logsumexp(dim=1).mean()


def draw_training_batch(
    context: FitContext, choice: np.random.Generator, batch: int, staying: float = STAYING
) -> TrainingBatch:
    """Return a lesson on mazes of a workshop, with targets and the agent's cells drawn.

    Args:
        workshop: whose mazes.
        choice: draws.
        batch: how many mazes; all, where there are fewer.
        staying: chance that a maze's target is its goal.
    """
    rows = choice.choice(len(context.levels), min(batch, len(context.levels)), replace=False)
    levels, seed = context.levels.take(rows), int(choice.integers(2**31))
    goals = levels.cells(context.family.goal)
    stays = (choice.random(len(levels)) < staying) & (goals != ABSENT)
    targets = np.where(stays, goals, draw_targets(levels, seed))
    put = relocate_agents(levels, targets, seed)
    seen = torch.from_numpy(observations_of(context.policy, put).copy())
    right = torch.from_numpy(right_moves(put, goals, targets))
    return TrainingBatch(context.policy, put, GoalMove.on(put, targets), seen, right)


def right_moves(levels: LevelBatch, goals: Cells, targets: Cells) -> Bools:
    """Return bool [B, 4], the moves that shorten the way from the start to the target, around the goal if that can be.

    Where the only way leads over the goal, whose entering ends the episode, it is that way all the same.
    """
    ways = ways_around(levels, goals, targets)
    rows, steps = np.arange(len(levels)), (-levels.width, 1, levels.width, -1)
    beside = np.stack([ways[rows, levels.start + step] for step in steps], axis=1)
    return np.asarray(beside < pick(ways, levels.start)[:, None])


def ways_around(levels: LevelBatch, goals: Cells, targets: Cells) -> Distances:
    """Return int32 [B, H*W], the steps from every cell to the target without entering the goal's cell.

    Of a level whose start has no such way, the steps over the goal.
    """
    walls = levels.walls.reshape(len(levels), -1).copy()
    closed = (goals != ABSENT) & (goals != targets)
    walls[np.flatnonzero(closed), goals[closed]] = True
    around = distances(dataclasses.replace(levels, walls=walls.reshape(levels.walls.shape)), targets)
    blocked = pick(around, levels.start) == UNREACHABLE
    return np.where(blocked[:, None], distances(levels, targets), around)


def move_log_chances(logits: Tensor) -> Tensor:
    """Return float32 [b, 4], the log of each move's chance, from logits [b, 4] or those of Procgen [b, 15]."""
    if logits.shape[1] != len(ACTIONS):
        logits = torch.stack([logits[:, list(group)].logsumexp(dim=1) for group in PROCGEN_MOVES], dim=1)
    return logits.log_softmax(dim=1)


def descend(free: Sequence[Tensor], loss: Callable[[], Tensor], updates: int, rate: float) -> list[Tensor]:
    """Change tensors by gradient descent (Adam, its rate falling to a thirtieth) and return them, detached.

    Args:
        free: what is learned; each requires its gradient.
        loss: of the present values, on a lesson drawn anew.
        updates: how many.
        rate: at the start.
    """
    keep_large_blocks()
    optimiser = torch.optim.Adam(free, rate)
    schedule = torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 0.03, updates)
    for _ in range(updates):
        value = loss()
        with repeatable():
            gradients = torch.autograd.grad(value, free)
        for tensor, gradient in zip(free, gradients, strict=True):
            tensor.grad = gradient
        optimiser.step()
        schedule.step()
    return [tensor.detach() for tensor in free]


@contextlib.contextmanager
def repeatable() -> Iterator[None]:
    """Add up gradients in a fixed order: overlapping patterns otherwise sum in whatever order threads arrive."""
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)
