"""Validation of levels: closed borders, and agent and objects on free cells."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from goalmaze.envs.cells import ABSENT, Bools, Cells
from goalmaze.envs.errors import GoalmazeError


class LevelArrays(NamedTuple):
    """The arrays of B levels, see `goalmaze.envs.levels.LevelBatch`.

    Attributes:
        walls: bool [B, H, W].
        start: int32 [B].
        objects: int32 [B, K].
        slots: the object type of each of the K slots.
    """

    walls: Bools
    start: Cells
    objects: Cells
    slots: tuple[str, ...]

    @property
    def height(self) -> int:
        """Rows H, in cells."""
        return int(self.walls.shape[1])

    @property
    def width(self) -> int:
        """Columns W, in cells."""
        return int(self.walls.shape[2])


def check_cells(arrays: LevelArrays) -> None:
    """Refuse levels that break the rules every family shares; the message names the first bad level.

    The border must be closed; agent and objects must stand inside, on free cells; no object on the agent's start,
    no two of one kind on the same cell.

    Raises:
        GoalmazeError: for example "level 17: exit (3, 9) lies on a wall".
    """
    check_standing(arrays)
    for k, kind in enumerate(arrays.slots):
        cells = arrays.objects[:, k]
        on_start = cells == arrays.start
        if on_start.any():
            b = int(on_start.argmax())
            raise GoalmazeError(f"level {b}: {kind} {_point(arrays, cells[b])} lies on the agent's start; move one")
        for j in range(k):
            same = (arrays.objects[:, j] == cells) & (cells != ABSENT)
            if arrays.slots[j] == kind and same.any():
                b = int(same.argmax())
                raise GoalmazeError(f"level {b}: two objects '{kind}' at {_point(arrays, cells[b])}; move one")


def _check_border(arrays: LevelArrays) -> None:
    walls = arrays.walls
    border = np.ones(walls.shape[1:], dtype=np.bool_)
    border[1:-1, 1:-1] = False
    holes = (~walls & border).reshape(len(arrays.walls), arrays.height * arrays.width)
    if holes.any():
        b, cell = (int(i) for i in np.argwhere(holes)[0])
        raise GoalmazeError(f"level {b}: the border is open at {_point(arrays, cell)}; put a wall there")


def check_standing(arrays: LevelArrays) -> None:
    """Refuse levels on which no episode can be played: an open border, or something in a wall or outside.

    Raises:
        GoalmazeError: for example "level 17: exit (3, 9) lies on a wall".
    """
    _check_border(arrays)
    _check_standing(arrays, "agent", arrays.start, may_be_absent=False)
    for k, kind in enumerate(arrays.slots):
        _check_standing(arrays, kind, arrays.objects[:, k], may_be_absent=True)


def _check_standing(arrays: LevelArrays, what: str, cells: Cells, *, may_be_absent: bool) -> None:
    inside = (cells >= 0) & (cells < arrays.height * arrays.width)
    fine = inside | (cells == ABSENT) if may_be_absent else inside
    if not fine.all():
        b = int((~fine).argmax())
        raise GoalmazeError(
            f"level {b}: {what} at cell {int(cells[b])} is outside the {arrays.height}x{arrays.width} maze"
        )
    rows = np.flatnonzero(inside)
    on_wall = arrays.walls.reshape(len(arrays.walls), -1)[rows, cells[rows]]
    if on_wall.any():
        b = int(rows[on_wall.argmax()])
        raise GoalmazeError(f"level {b}: {what} {_point(arrays, cells[b])} lies on a wall; choose a free cell")


def _point(arrays: LevelArrays, cell: int) -> str:
    row, column = divmod(int(cell), arrays.width)
    return f"({row}, {column})"
