"""Quantities from studies of Procgen's maze: the top right corner, the path to it, and the decision square."""

from __future__ import annotations

import numpy as np

from goalmaze.envs.cells import ABSENT, Cells
from goalmaze.envs.jit.flood import UNREACHABLE
from goalmaze.envs.procgen.levels import CHEESE, ProcgenLevels, mazes
from goalmaze.envs.solving import distances, pick


def corners(levels: ProcgenLevels) -> Cells:
    """Return int32 [B], the free cell nearest to the top right corner of each maze."""
    top, left, size = mazes(levels)
    found = np.full(len(levels), ABSENT, np.int32)
    for b, free in enumerate(levels.free()):
        cells = np.flatnonzero(free)
        away = abs(cells // levels.width - top[b]) + abs(cells % levels.width - (left[b] + size[b] - 1))
        found[b] = cells[away.argmin()]
    return found


def decision_squares(levels: ProcgenLevels) -> Cells:
    """Return int32 [B], the last cell that the shortest paths to the cheese and to the top right corner share.

    Both paths begin at the mouse. It is `ABSENT` where there is no cheese, where it cannot be reached, and where one of
    the two targets lies on the path to the other, so that there is no decision.
    """
    goal, corner = levels.cells(CHEESE), corners(levels)
    away = distances(levels, levels.start)
    to_goal, to_corner = distances(levels, goal), distances(levels, corner)
    # A cell lies on a shortest path if its distances to both ends add up to the length of the path.
    both = (away + to_goal == pick(away, goal)[:, None]) & (away + to_corner == pick(away, corner)[:, None])
    both &= away < UNREACHABLE
    last = np.where(both, away, -1).argmax(axis=1).astype(np.int32)
    nothing = ~both.any(axis=1) | (last == goal) | (last == corner) | (goal == ABSENT)
    return np.where(nothing, ABSENT, last).astype(np.int32)


def opened(levels: ProcgenLevels) -> ProcgenLevels:
    """Return the levels with a path from the maze's top right corner up, and then right, to the corner of the world.

    The top-right vector is the difference that this path makes. A maze that fills its world does not change.
    """
    walls = levels.walls.copy()
    for b, cell in enumerate(corners(levels)):
        row, column = divmod(int(cell), levels.width)
        walls[b, 1 : row + 1, column] = False
        walls[b, 1, column : levels.width - 1] = False
    return levels.walled(walls)
