"""States of mazes as features need them: where every object is, and how far every square is from it.

A state is a level whose start is the agent's present cell. Axes: B states, H rows, W columns, N = H*W squares.
"""

from __future__ import annotations

import dataclasses
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from goalmaze.envs.actions import MOVES
from goalmaze.envs.cells import ABSENT, Bools, Cells
from goalmaze.envs.jit.flood import UNREACHABLE
from goalmaze.envs.levels import LevelBatch
from goalmaze.envs.objects import AGENT
from goalmaze.envs.solving import distances

Values = NDArray[np.float32]


@dataclasses.dataclass(frozen=True, eq=False)
class MazeStates:
    """B states, with what several features share computed once.

    Attributes:
        levels: the states; their start is the agent's cell.
    """

    levels: LevelBatch

    def __len__(self) -> int:
        return len(self.levels)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(B, H, W)."""
        return len(self.levels), self.levels.height, self.levels.width

    @cached_property
    def objects(self) -> dict[str, NDArray[np.int32]]:
        """What features refer to → its cells int32 [B, k]: the agent, every object type, and goal and cue together.

        Types that no state holds are left out, and so are those that show on no plane, unless they are goal or cue.
        """
        levels, family = self.levels, self.levels.family
        named = {one.name for one in family.object_types if not one.fills and one.shows_on} | {family.goal, family.cue}
        result = {AGENT: levels.start[:, None]}
        for kind in levels.present():
            if kind in named:
                result[kind] = levels.objects[:, [k for k, name in enumerate(levels.slots) if name == kind]]
        if family.goal != family.cue and {family.goal, family.cue} <= set(result):
            result[self.either] = np.concatenate([result[family.goal], result[family.cue]], axis=1)
        return result

    @property
    def either(self) -> str:
        """What the union of goal and cue is called."""
        return f"{self.levels.family.goal} or {self.levels.family.cue}"

    @cached_property
    def lit(self) -> dict[str, Bools]:
        """Object type that fills its planes → bool [B], whether it is in the level."""
        fills = [one.name for one in self.levels.family.object_types if one.fills]
        return {kind: self.levels.cells(kind) != ABSENT for kind in fills if kind in self.levels.slots}

    @cached_property
    def rows(self) -> Values:
        """float32 [N], the row of each square."""
        return np.repeat(np.arange(self.levels.height, dtype=np.float32), self.levels.width)

    @cached_property
    def columns(self) -> Values:
        """float32 [N], the column of each square."""
        return np.tile(np.arange(self.levels.width, dtype=np.float32), self.levels.height)

    @cached_property
    def free(self) -> Bools:
        """bool [B, N], True at squares without a wall."""
        return self.levels.free()

    @cached_property
    def steps(self) -> dict[str, Cells]:
        """Object → int32 [B, N], the steps along the maze from each square to the nearest of its cells."""
        result = {}
        for name, cells in self.objects.items():
            each = [distances(self.levels, cells[:, k]) for k in range(cells.shape[1])]
            result[name] = np.minimum.reduce(each)
        return result

    def shown(self, name: str) -> Values:
        """Return float32 [B, H, W], 1 at the squares of an object."""
        batch, height, width = self.shape
        result = np.zeros((batch, height * width), np.float32)
        for cells in self.objects[name].T:
            there = cells != ABSENT
            result[np.flatnonzero(there), cells[there]] = 1
        return result.reshape(batch, height, width)

    def shifted(self, plane: NDArray[np.generic], down: int, right: int, outside: float = 0.0) -> Values:
        """Return float32 [B, N], the entry of a plane [B, H, W] that lies `down` rows and `right` columns away."""
        batch, height, width = self.shape
        reach = max(abs(down), abs(right))
        padded = np.pad(plane.astype(np.float32), ((0, 0), (reach, reach), (reach, reach)), constant_values=outside)
        part = padded[:, reach + down : reach + down + height, reach + right : reach + right + width]
        return np.ascontiguousarray(part).reshape(batch, -1)

    @cached_property
    def neighbours(self) -> Bools:
        """bool [4, B, N], whether the next square in the direction of each action is free."""
        plane = self.free.reshape(self.shape)
        return np.stack([self.shifted(plane, int(down), int(right)) > 0 for down, right in MOVES])

    def nearest_offsets(self, name: str) -> tuple[Values, Values, Bools]:
        """Return rows down and columns right, float32 [B, N], from each square to the nearest of an object's cells.

        The third is bool [B], whether there is one. "Nearest" is by rows plus columns, walls ignored.
        """
        batch, _, width = self.shape
        best = np.full((batch, len(self.rows)), np.inf, np.float32)
        down, right = np.zeros_like(best), np.zeros_like(best)
        for cells in self.objects[name].T:
            rows, columns = (cells // width)[:, None] - self.rows, (cells % width)[:, None] - self.columns
            far = np.where((cells != ABSENT)[:, None], abs(rows) + abs(columns), np.inf)
            nearer = far < best
            best = np.where(nearer, far, best).astype(np.float32)
            down, right = np.where(nearer, rows, down), np.where(nearer, columns, right)
        return down.astype(np.float32), right.astype(np.float32), np.isfinite(best[:, 0])


def reachable(steps: Cells) -> Bools:
    """Return bool [...], whether a number of steps is that of a path."""
    return np.asarray(steps < UNREACHABLE)
