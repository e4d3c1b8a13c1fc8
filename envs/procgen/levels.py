"""Procgen's mazes as levels: a `LevelBatch` in which each level has the state of Procgen that it was read from.

A level is two cells wider than Procgen's world, so that a closed wall runs around it; row 0 is at the top.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from goalmaze.envs.cells import ABSENT, Bools, Cells
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.jit.flood import UNREACHABLE
from goalmaze.envs.levels import Family, LevelBatch
from goalmaze.envs.procgen.codec import GOAL, MOUSE, SPACE, WALL, MazeState, pack, parse
from goalmaze.envs.procgen.patches import squares
from goalmaze.envs.procgen.simulator import build
from goalmaze.envs.solving import distances, pick

CHEESE, SIGN, CORNER = "cheese", "sign", "corner"


@dataclasses.dataclass(frozen=True, eq=False)
class ProcgenLevels(LevelBatch):
    """A batch of Procgen's levels; batches are equal where walls, start and objects are.

    Every edit of a `LevelBatch` works on it: `moved`, `removed`, `started`, `splayed`; and `walled`.

    Attributes:
        templates: B states, which give everything but walls, start and objects: colours, time, random generators.
    """

    templates: tuple[bytes, ...]

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.templates) != len(self.walls) or self.slots.count(CHEESE) != 1:
            raise GoalmazeError(
                f"{len(self.walls)} levels of Procgen need as many states (here {len(self.templates)}) and one slot "
                f"for the {CHEESE} (here {' '.join(self.slots)})"
            )

    def take(self, rows: ArrayLike) -> ProcgenLevels:
        """Return the levels at the given rows (indices or a boolean mask)."""
        chosen = np.arange(len(self))[np.asarray(rows)]
        taken = {name: getattr(self, name)[rows] for name in ("walls", "start", "objects")}
        return dataclasses.replace(self, **taken, templates=tuple(self.templates[b] for b in np.atleast_1d(chosen)))

    def walled(self, walls: Bools) -> ProcgenLevels:
        """Return the levels with other walls bool [B, H, W].

        Raises:
            GoalmazeError: the border is open, something stands on a wall, or the mouse cannot reach the cheese.
        """
        changed = dataclasses.replace(self, walls=walls)
        changed.check()
        return changed.connected()

    def connected(self) -> ProcgenLevels:
        """Return these levels if the mouse can reach the cheese wherever there is one.

        Raises:
            GoalmazeError: naming the first level where it cannot.
        """
        cheese = self.cells(CHEESE)
        lost = (cheese != ABSENT) & (pick(distances(self, self.start), cheese) >= UNREACHABLE)
        if lost.any():
            raise GoalmazeError(f"level {int(lost.argmax())}: the mouse cannot reach the {CHEESE}; open a wall")
        return self

    def states(self) -> list[bytes]:
        """Return the B states of Procgen with the mazes, mice and cheese of these levels."""
        return [self._state(b) for b in range(len(self))]

    def _state(self, b: int) -> bytes:
        template = parse(self.templates[b])
        grid = np.where(self.walls[b, 1:-1, 1:-1], WALL, SPACE).astype(np.int32)
        cheese = int(self.cells(CHEESE)[b])
        if cheese != ABSENT:
            row, column = divmod(cheese, self.width)
            grid[row - 1, column - 1] = GOAL
        return pack(placed(dataclasses.replace(template, grid=grid), *divmod(int(self.start[b]), self.width)))


def placed(state: MazeState, row: int, column: int) -> MazeState:
    """Return the state with the mouse in the middle of a cell of the level."""
    # Procgen counts rows of its world from below, and the level has one more ring of walls than the world.
    mouse = dataclasses.replace(state.entities[MOUSE], x=column - 0.5, y=state.world_dim - row + 0.5)
    others = state.entities[MOUSE + 1 :]
    return dataclasses.replace(state, entities=(mouse, *others))


def from_states(states: Sequence[bytes], family: Family) -> ProcgenLevels:
    """Return states of one mode as levels of a family; slots other than the cheese's are empty.

    Raises:
        GoalmazeError: a state is damaged, of another size than the first, or has two goals.
    """
    found = [parse(state) for state in states]
    if not found:
        raise GoalmazeError("there are no states: give at least one")
    for b, state in enumerate(found):
        if state.world_dim != found[0].world_dim:
            raise GoalmazeError(
                f"state {b} has a world of {state.world_dim} where state 0 has {found[0].world_dim}; keep modes apart"
            )
        if (state.grid == GOAL).sum() > 1:
            raise GoalmazeError(f"state {b} has {(state.grid == GOAL).sum()} goals; leave one")
    width = found[0].world_dim + 2
    objects = np.full((len(found), len(family.slots)), ABSENT, np.int32)
    objects[:, family.slots.index(CHEESE)] = [cell_of(state.grid == GOAL) for state in found]
    start = [(state.mouse[0] + 1) * width + state.mouse[1] + 1 for state in found]
    walls = np.stack([framed(state.grid) for state in found])
    return ProcgenLevels(walls, np.array(start, np.int32), objects, family, tuple(states))


def framed(grid: NDArray[np.int32]) -> Bools:
    """Return bool [world + 2, world + 2], the walls of a grid with one more ring of wall around it."""
    return np.pad(grid == WALL, 1, constant_values=True)


def cell_of(where: Bools) -> int:
    """Return the level's cell of the one True square of a world, or `ABSENT`."""
    found = np.flatnonzero(where)
    if not len(found):
        return ABSENT
    row, column = divmod(int(found[0]), where.shape[1])
    return int((row + 1) * (where.shape[1] + 2) + column + 1)


def with_states(levels: LevelBatch, templates: Sequence[bytes]) -> ProcgenLevels:
    """Return levels, such as those read from text, as Procgen's, each in the colours of a template.

    Raises:
        GoalmazeError: the templates are of another size or number.
    """
    sizes = {len(squares(state).grid) + 2 for state in templates}
    if sizes - {levels.height} or levels.height != levels.width:
        raise GoalmazeError(
            f"levels of {levels.height}x{levels.width} do not fit states of {', '.join(map(str, sorted(sizes)))}: "
            "Procgen's are 17, 27 or 33 cells wide (easy, hard, memory)"
        )
    return ProcgenLevels(levels.walls, levels.start, levels.objects, levels.family, tuple(templates))


def in_stock_colours(levels: LevelBatch, mode: str) -> ProcgenLevels:
    """Return levels of a mode as Procgen's, all in the colours of its level 0."""
    return with_states(levels, build(mode, [0]) * len(levels))


def mazes(levels: ProcgenLevels) -> tuple[Cells, Cells, Cells]:
    """Return int32 [B] each: the first row, the first column and the size of the maze inside each level's walls."""
    found = [squares(state) for state in levels.templates]
    return (
        np.array([one.top + 1 for one in found], np.int32),
        np.array([one.margin + 1 for one in found], np.int32),
        np.array([one.maze_dim for one in found], np.int32),
    )
