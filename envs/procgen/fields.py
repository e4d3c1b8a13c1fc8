"""What the studies of Procgen's maze look at: the top right corner, the way there, and where the ways part."""

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
    """Return int32 [B], the last cell that the ways from the mouse to the cheese and to the top right corner share.

    It is `ABSENT` where there is no cheese, where it cannot be reached, and where one of the two lies on the way to the
    other, so that nothing is decided. A cell counts as on a way if it lies on a shortest one.
    """
    goal, corner = levels.cells(CHEESE), corners(levels)
    away = distances(levels, levels.start)
    to_goal, to_corner = distances(levels, goal), distances(levels, corner)
    both = (away + to_goal == pick(away, goal)[:, None]) & (away + to_corner == pick(away, corner)[:, None])
    both &= away < UNREACHABLE
    last = np.where(both, away, -1).argmax(axis=1).astype(np.int32)
    nothing = ~both.any(axis=1) | (last == goal) | (last == corner) | (goal == ABSENT)
    return np.where(nothing, ABSENT, last).astype(np.int32)


def opened(levels: ProcgenLevels) -> ProcgenLevels:
    """Return the levels with a way dug from the maze's top right corner up, and then right, to the world's own corner.

    What the top-right vector is the difference of. A maze that fills its world stays as it was.
    """
    walls = levels.walls.copy()
    for b, cell in enumerate(corners(levels)):
        row, column = divmod(int(cell), levels.width)
        walls[b, 1 : row + 1, column] = False
        walls[b, 1, column : levels.width - 1] = False
    return levels.walled(walls)
