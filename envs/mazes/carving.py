"""All maze algorithms by name and number, and their compiled dispatcher.

A new algorithm is one new file, its name in `ALGORITHMS` and its branch in `carve`. The branches are written out
because numba caches the machine code of `carve` with this file: it would not notice a table that is filled at run time.
"""

from __future__ import annotations

import numpy as np

from goalmaze.envs.jit.compile import compiled
from goalmaze.envs.mazes.braiding import braid
from goalmaze.envs.mazes.depth_first import depth_first
from goalmaze.envs.mazes.kruskal import kruskal
from goalmaze.envs.mazes.open_room import open_room
from goalmaze.envs.mazes.percolation import percolation
from goalmaze.envs.mazes.prim import prim
from goalmaze.envs.mazes.wilson import wilson

ALGORITHMS = ("depth-first", "kruskal", "prim", "wilson", "percolation", "open-room")
"""Names of the algorithms; `carve` takes the index of a name."""

# The index of each name in `ALGORITHMS`; depth-first, the default, is the remaining branch.
_KRUSKAL, _PRIM, _WILSON, _PERCOLATION, _OPEN_ROOM = range(1, 6)


@compiled
def carve(walls: np.ndarray, rng: np.ndarray, algorithm: int, openness: float, braiding: float) -> None:
    """Turn `walls` bool [H, W] into a maze whose free squares all reach each other.

    Args:
        walls: overwritten.
        rng: uint64 [1], the random stream, advanced.
        algorithm: index into `ALGORITHMS`.
        openness: the algorithm's own parameter, where it has one.
        braiding: probability with which every wall that is left between two cells is opened.
    """
    if algorithm == _KRUSKAL:
        kruskal(walls, rng)
    elif algorithm == _PRIM:
        prim(walls, rng)
    elif algorithm == _WILSON:
        wilson(walls, rng)
    elif algorithm == _PERCOLATION:
        percolation(walls, rng, openness)
    elif algorithm == _OPEN_ROOM:
        open_room(walls)
    else:
        depth_first(walls, rng)
    # Braiding draws from the same stream, after the algorithm, so a maze without it is the same up to here.
    if braiding > 0.0:
        braid(walls, rng, braiding)


@compiled
def carve_centred(
    walls: np.ndarray, rng: np.ndarray, algorithm: int, openness: float, braiding: float, side: int
) -> None:
    """Turn the middle of `walls`, `side` rows and columns, into a maze and the rest into wall; else as `carve`.

    The maze is the one that `carve` makes of that size.
    """
    width = walls.shape[1]
    squares = walls.reshape(-1)
    carve(squares[: side * side].reshape((side, side)), rng, algorithm, openness, braiding)
    top, left = (walls.shape[0] - side) // 2, (width - side) // 2
    # From the last square back, so that no square is overwritten before it is copied: none moves to a smaller number.
    for square in range(side * side - 1, -1, -1):
        squares[(top + square // side) * width + left + square % side] = squares[square]
    for square in range(squares.shape[0]):
        row, column = square // width - top, square % width - left
        if row < 0 or row >= side or column < 0 or column >= side:
            squares[square] = True


@compiled
def carve_many(walls: np.ndarray, rng: np.ndarray, algorithm: int, openness: float, braiding: float) -> None:
    """Turn every one of `walls` bool [B, H, W] into a maze; arguments as `carve`."""
    for b in range(walls.shape[0]):
        carve(walls[b], rng, algorithm, openness, braiding)
