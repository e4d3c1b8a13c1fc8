"""Validation of levels and of their indices: closed borders, agent and objects on free cells."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from goalmaze.envs.cells import ABSENT, Bools, Cells
from goalmaze.envs.errors import GoalmazeError

DEFAULT_LEVELS = 256
"""The number of levels that `Family.levels` returns where neither indices nor a count are given."""


class LevelArrays(Protocol):
    """The arrays of B levels, such as a `goalmaze.envs.levels.LevelBatch` holds."""

    @property
    def walls(self) -> Bools:
        """bool [B, H, W]."""

    @property
    def start(self) -> Cells:
        """int32 [B]."""

    @property
    def objects(self) -> Cells:
        """int32 [B, K]."""

    @property
    def slots(self) -> tuple[str, ...]:
        """The object type of each of the K slots."""

    @property
    def height(self) -> int:
        """Rows H, in cells."""

    @property
    def width(self) -> int:
        """Columns W, in cells."""


def check_cells(levels: LevelArrays) -> None:
    """Refuse levels that break the rules every family shares; the message names the first bad level.

    The border must be closed; agent and objects must stand inside, on free cells; no object on the agent's start,
    no two of one object type on the same cell.

    Raises:
        GoalmazeError: for example "level 17: exit (3, 9) lies on a wall".
    """
    check_standing(levels)
    for k, name in enumerate(levels.slots):
        cells = levels.objects[:, k]
        on_start = cells == levels.start
        if on_start.any():
            b = int(on_start.argmax())
            raise GoalmazeError(f"level {b}: {name} {_point(levels, cells[b])} lies on the agent's start; move one")
        for j in range(k):
            same = (levels.objects[:, j] == cells) & (cells != ABSENT)
            if levels.slots[j] == name and same.any():
                b = int(same.argmax())
                raise GoalmazeError(f"level {b}: two objects '{name}' at {_point(levels, cells[b])}; move one")


def _check_border(levels: LevelArrays) -> None:
    walls = levels.walls
    border = np.ones(walls.shape[1:], dtype=np.bool_)
    border[1:-1, 1:-1] = False
    holes = (~walls & border).reshape(len(levels.walls), levels.height * levels.width)
    if holes.any():
        b, cell = (int(i) for i in np.argwhere(holes)[0])
        raise GoalmazeError(f"level {b}: the border is open at {_point(levels, cell)}; put a wall there")


def check_standing(levels: LevelArrays) -> None:
    """Refuse levels on which no episode can be played: an open border, or something in a wall or outside.

    Raises:
        GoalmazeError: for example "level 17: exit (3, 9) lies on a wall".
    """
    _check_border(levels)
    _check_standing(levels, "agent", levels.start, may_be_absent=False)
    for k, name in enumerate(levels.slots):
        _check_standing(levels, name, levels.objects[:, k], may_be_absent=True)


def _check_standing(levels: LevelArrays, what: str, cells: Cells, *, may_be_absent: bool) -> None:
    inside = (cells >= 0) & (cells < levels.height * levels.width)
    fine = inside | (cells == ABSENT) if may_be_absent else inside
    if not fine.all():
        b = int((~fine).argmax())
        raise GoalmazeError(
            f"level {b}: {what} at cell {int(cells[b])} is outside the {levels.height}x{levels.width} maze"
        )
    rows = np.flatnonzero(inside)
    on_wall = levels.walls.reshape(len(levels.walls), -1)[rows, cells[rows]]
    if on_wall.any():
        b = int(rows[on_wall.argmax()])
        raise GoalmazeError(f"level {b}: {what} {_point(levels, cells[b])} lies on a wall; choose a free cell")


def _point(levels: LevelArrays, cell: int) -> str:
    row, column = divmod(int(cell), levels.width)
    return f"({row}, {column})"


def level_indices(indices: ArrayLike | None, count: int | None) -> NDArray[np.int64]:
    """Return int64 [B], the given level indices, or the first `count` of them (`DEFAULT_LEVELS` where None).

    Raises:
        GoalmazeError: both are given, or the count is negative.
    """
    if indices is not None and count is not None:
        raise GoalmazeError("indices and count exclude each other: give the indices, or a count of levels from index 0")
    if count is not None and count < 0:
        raise GoalmazeError(f"count is {count}: choose 0 or more levels")
    if indices is None:
        return np.arange(DEFAULT_LEVELS if count is None else count, dtype=np.int64)
    return np.ascontiguousarray(indices, np.int64)
