"""Reads and changes the few bytes of a state that matter at every new level, without parsing all of it.

The range of level seeds lies at a fixed distance from the start of a state, the grid from its end.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from goalmaze.envs.procgen.codec import GOAL, MAZE, SPACE

SEEDS_AT = 4 + 4 + len(MAZE) + 4 * 9 + 4 * 4
"""Version, name, nine options and four numbers stand before the range of level seeds."""

AFTER_GRID = 3 * 4
"""Sizes of maze and world and the end mark stand behind the grid."""


class Squares(NamedTuple):
    """The grid of a state.

    Attributes:
        grid: int32 [world, world], row 0 at the top; a view of the bytes it was read from.
        maze_dim: rows and columns of the maze in its middle.
    """

    grid: NDArray[np.int32]
    maze_dim: int

    @property
    def margin(self) -> int:
        """Rows and columns of wall around the maze, on the left and below."""
        return (len(self.grid) - self.maze_dim) // 2

    @property
    def top(self) -> int:
        """The maze's first row, counted from the top of the world."""
        return len(self.grid) - self.margin - self.maze_dim


def squares(state: bytes | bytearray) -> Squares:
    """Return the grid of a state."""
    maze_dim, world = struct.unpack_from("=2i", state, len(state) - AFTER_GRID)
    # In the bytes, row 0 is at the bottom; reversing makes a view, through which `with_goal` writes.
    flat = np.frombuffer(state, np.int32, world * world, len(state) - AFTER_GRID - 4 * world * world)
    return Squares(flat.reshape(world, world)[::-1], maze_dim)


def followed_by(state: bytes | bytearray, level_seed: int) -> bytes:
    """Return the state with the seed of the level that Procgen begins when this one ends."""
    changed = bytearray(state)
    # A range of one seed leaves Procgen no choice.
    struct.pack_into("=2i", changed, SEEDS_AT, level_seed, level_seed + 1)
    return bytes(changed)


def with_goal(state: bytes | bytearray, row: int, column: int) -> bytes:
    """Return the state with its goal on a square of the world, or without one where `row` is negative."""
    changed = bytearray(state)
    grid = squares(changed).grid
    grid[grid == GOAL] = SPACE
    if row >= 0:
        grid[row, column] = GOAL
    return bytes(changed)
