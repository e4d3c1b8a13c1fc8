"""Two routes to one goal: the path that an agent takes, and the shortest other one that leaves it at a branch."""

from __future__ import annotations

import dataclasses

import numpy as np

from goalmaze.agents.rollout import NEVER, Trajectory
from goalmaze.envs.actions import cell_steps
from goalmaze.envs.cells import ABSENT, Bools, Cells
from goalmaze.envs.jit.flood import UNREACHABLE
from goalmaze.envs.levels import LevelBatch
from goalmaze.envs.solving import distances, pick

MIN_OWN = 2
"""Fewest squares that each route must have for itself."""

MIN_EXTRA = 2
"""Fewest steps by which the alternative is longer: no shortest path is an alternative."""


@dataclasses.dataclass(frozen=True, eq=False)
class RoutePairs:
    """The route of an agent and an alternative in B levels. Rows are padded with `ABSENT` behind the goal.

    Attributes:
        levels: the B levels.
        usual: int32 [B, L], the cells that the agent enters from its start to the goal, each once.
        alternative: int32 [B, M], another route, longer by `MIN_EXTRA` steps or more.
        branch: int [B], the index of the last common cell before the routes part.
    """

    levels: LevelBatch
    usual: Cells
    alternative: Cells
    branch: Cells

    def __len__(self) -> int:
        return len(self.levels)

    @property
    def extra_steps(self) -> Cells:
        """int [B], by how many steps the alternative is longer."""
        return np.asarray((self.alternative != ABSENT).sum(axis=1) - (self.usual != ABSENT).sum(axis=1))

    @property
    def left_out(self) -> Cells:
        """int32 [B, L], the cells of the usual route that are not on the alternative; `ABSENT` elsewhere."""
        common = (self.usual[:, :, None] == self.alternative[:, None, :]).any(axis=2)
        return np.where(common, ABSENT, self.usual).astype(np.int32)

    @property
    def first_left_out(self) -> Cells:
        """int32 [B], the cell onto which the usual route leaves the alternative."""
        return self.usual[np.arange(len(self)), self.branch + 1]

    def take(self, rows: Cells) -> RoutePairs:
        """Return the pairs of some levels, by index."""
        return RoutePairs(self.levels.take(rows), self.usual[rows], self.alternative[rows], self.branch[rows])

    def taken(self, trajectory: Trajectory) -> Bools:
        """Return bool [B], whether an agent arrives at the goal without entering a cell that it is to leave out."""
        left_out, arrival = self.left_out, trajectory.first_visit(goals_of(self.levels))
        entered = np.zeros(len(self), np.bool_)
        for column in left_out.T:
            entered |= trajectory.first_visit(column) < NEVER
        return np.asarray((arrival < NEVER) & ~entered)

    def followed(self, trajectory: Trajectory) -> Bools:
        """Return bool [B], whether an agent enters the cells of the alternative and no others, in order."""
        paths, simple = simple_paths(trajectory)
        width = max(paths.shape[1], self.alternative.shape[1])
        ours, other = (
            np.pad(cells, ((0, 0), (0, width - cells.shape[1])), constant_values=ABSENT)
            for cells in (paths, self.alternative)
        )
        return np.asarray((ours == other).all(axis=1) & simple)


def goals_of(levels: LevelBatch) -> Cells:
    """Return int32 [B], the cells of the goals."""
    return levels.cells(levels.family.goal)


def simple_paths(trajectory: Trajectory) -> tuple[Cells, Bools]:
    """Return int32 [B, L], the cells from start to goal in order, and bool [B]: arrived, and no cell entered twice.

    A step against a wall does not enter a cell. Rows are padded with `ABSENT`.
    """
    arrival = trajectory.first_visit(goals_of(trajectory.levels))
    length = len(trajectory.agent)
    paths = np.full((len(trajectory.levels), length), ABSENT, np.int32)
    simple = arrival < NEVER
    for row in np.flatnonzero(simple):
        cells = trajectory.agent[: arrival[row] + 1, row]
        entered = cells[np.append(True, cells[1:] != cells[:-1])]
        paths[row, : len(entered)] = entered
        simple[row] = len(np.unique(entered)) == len(entered)
    return paths[:, : max(1, int((paths != ABSENT).sum(axis=1).max(initial=0)))], simple


def route_pairs(trajectory: Trajectory) -> RoutePairs:
    """Return the levels in which an agent takes a simple path and a longer alternative exists, with both routes.

    The routes part at the first cell of the path from which the goal can be reached without the next cell of the path
    and without turning back. The alternative goes on from there by a shortest path of those that remain.

    Args:
        trajectory: episodes of the agent, best those of greedy actions.
    """
    levels, goals = trajectory.levels, goals_of(trajectory.levels)
    usual, open_ = simple_paths(trajectory)
    rows = np.arange(len(levels))
    alternative = np.full((len(levels), levels.height * levels.width), ABSENT, np.int32)
    branch = np.full(len(levels), ABSENT, np.int32)
    walls = levels.walls.reshape(len(levels), -1).copy()
    for index in range(usual.shape[1] - 1):
        here, next_ = usual[:, index], usual[:, index + 1]
        trying = open_ & (branch == ABSENT) & (next_ != ABSENT) & (next_ != goals)
        blocked = walls.copy()
        blocked[rows[trying], next_[trying]] = True
        # The goal is the source, so that a path from `here` goes down in distance.
        steps = distances(dataclasses.replace(levels, walls=blocked.reshape(levels.walls.shape)), goals)
        for row in np.flatnonzero(trying & (pick(steps, here) < UNREACHABLE)):
            alternative[row, : index + 1] = usual[row, : index + 1]
            tail = _descent(steps[row], int(here[row]), levels.width)
            alternative[row, index + 1 : index + 1 + len(tail)] = tail
            branch[row] = index
        # A later branch must not lead back over cells that were left.
        walls[rows[here != ABSENT], here[here != ABSENT]] = True
    pairs = RoutePairs(levels, usual, alternative[:, : _width(alternative)], branch)
    common = (pairs.alternative[:, :, None] == usual[:, None, :]) & (usual != ABSENT)[:, None, :]
    own = (pairs.alternative != ABSENT).sum(axis=1) - common.any(axis=2).sum(axis=1)
    own_usual = (pairs.left_out != ABSENT).sum(axis=1)
    kept = (branch != ABSENT) & (own >= MIN_OWN) & (own_usual >= MIN_OWN) & (pairs.extra_steps >= MIN_EXTRA)
    return pairs.take(np.flatnonzero(kept).astype(np.int32))


def _descent(steps: Cells, start: int, width: int) -> list[int]:
    """Return the cells behind `start` of a shortest path to the source of distances int32 [H*W]."""
    cell = start
    path: list[int] = []
    while steps[cell]:
        cell = next(cell + int(step) for step in cell_steps(width) if steps[cell + step] < steps[cell])
        path.append(cell)
    return path


def _width(rows: Cells) -> int:
    return max(1, int((rows != ABSENT).sum(axis=1).max(initial=0)))
