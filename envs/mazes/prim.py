"""Prim's mazes: join random cells of the maze's frontier to it (after Prim, 1957).

This is the variant that draws a cell of the frontier, then one of its neighbours in the maze, each uniformly.
"""

from __future__ import annotations

import numpy as np

from goalmaze.envs.jit.compile import compiled
from goalmaze.envs.jit.counter_rng import below, draw
from goalmaze.envs.mazes.grid import (
    DIGITS,
    NTH_DIRECTION,
    OPTIONS,
    cell_flags,
    cell_square,
    count_cells,
    direction_step,
    neighbours,
)

_ONE, _TWO, _S32 = (np.uint64(n) for n in (1, 2, 32))
_DIGITS, _OPTIONS = np.uint64(DIGITS), np.uint64(OPTIONS)


@compiled
def prim(walls: np.ndarray, rng: np.ndarray) -> None:
    """Carve `walls` bool [H, W]; `rng` uint64 [1] is the random stream."""
    squares, width = walls.reshape(-1), np.uint64(walls.shape[1])
    squares[:] = True
    reached = np.zeros(squares.size, np.bool_)
    new = cell_flags(walls)
    frontier = np.empty(count_cells(walls), np.uint64)
    size = 0
    here = _random_cell(walls, rng)
    new[here] = False
    # Each turn adds one cell to the maze; the last one needs no frontier and is opened after the loop.
    for _ in range(frontier.size - 1):
        squares[here] = False
        reached[here] = True
        size = _extend(frontier, size, new, here, width)
        # Drawing without replacement: the last cell of the frontier takes the place of the one drawn.
        pick = below(rng, size)
        here = frontier[pick]
        size -= 1
        frontier[pick] = frontier[size]
        squares[here + _random_step(neighbours(reached, here, width), width, rng)] = False
    squares[here] = False


@compiled
def _random_cell(walls: np.ndarray, rng: np.ndarray) -> np.uint64:
    return cell_square(walls, below(rng, walls.shape[0] // 2), below(rng, walls.shape[1] // 2))


@compiled
def _random_step(options: np.uint64, width: np.uint64, rng: np.ndarray) -> np.uint64:
    """Return a step in one of the directions whose bits are set; their probabilities differ by 2**-32."""
    # 32 bits times 12, without the lowest 32 bits of the product: a digit from 0 to 11.
    nth = ((draw(rng) >> _S32) * _DIGITS >> _S32) * _OPTIONS + options
    return direction_step(NTH_DIRECTION[nth], width)


@compiled
def _extend(frontier: np.ndarray, size: int, new: np.ndarray, here: np.uint64, width: np.uint64) -> int:
    """Move the new neighbours of a cell to the frontier and return its size."""
    options = neighbours(new, here, width)
    for direction in range(4):
        if options >> np.uint64(direction) & _ONE:
            there = here + _TWO * direction_step(direction, width)
            # Not new any more, so that no cell is on the frontier twice.
            new[there] = False
            frontier[size] = there
            size += 1
    return size
