"""What several maze algorithms share: cells and squares, and steps from cell to cell.

Square numbers are unsigned where speed counts: numba then leaves out the code for negative indices.
"""

from __future__ import annotations

import numpy as np

from goalmaze.envs.actions import ACTIONS, MOVES
from goalmaze.envs.jit.compile import compiled, inlined

_ONE, _TWO, _THREE = (np.uint64(n) for n in (1, 2, 3))

OPTIONS = 2 ** len(ACTIONS)
"""Number of sets of directions; a set is a number whose bits 0 to 3 stand for up, right, down and left."""

DIGITS = 12
"""A digit from 0 to 11 chooses among 1, 2, 3 or 4 directions with exactly equal probabilities."""

# 12 is the least common multiple of 1, 2, 3 and 4. The empty set stands for direction 0: it is never looked up.
_DIRECTIONS = [[d for d in range(len(ACTIONS)) if options >> d & 1] or [0] for options in range(OPTIONS)]
NTH_DIRECTION = np.array(
    [directions[digit * len(directions) // DIGITS] for digit in range(DIGITS) for directions in _DIRECTIONS]
)
"""int [DIGITS * OPTIONS], the direction that a digit chooses from a set of them; the index is digit * OPTIONS + set."""

_DOWN, _RIGHT = (np.ascontiguousarray(signs).view(np.uint64) for signs in MOVES.T)


@inlined
def direction_step(direction: int, width: np.uint64) -> np.uint64:
    """Return what a step in a direction adds to the number of a square; -1 is 2**64 - 1, which wraps around."""
    return _DOWN[direction] * width + _RIGHT[direction]


@inlined
def neighbours(flags: np.ndarray, cell: np.uint64, width: np.uint64) -> np.uint64:
    """Return which cells above, to the right, below and to the left are flagged, as bits 0 to 3.

    `flags` bool [H*W] is false in the leftmost and the rightmost column, where a step across the border ends.
    """
    # min and max instead of branches, which the processor would mispredict.
    # Steps across the upper and lower border are cut to squares of the border, which are never flagged.
    up, down = max(cell, _TWO * width) - _TWO * width, min(cell + _TWO * width, np.uint64(flags.size - 1))
    return (
        np.uint64(flags[up])
        | np.uint64(flags[cell + _TWO]) << _ONE
        | np.uint64(flags[down]) << _TWO
        | np.uint64(flags[cell - _TWO]) << _THREE
    )


@compiled
def count_cells(walls: np.ndarray) -> int:
    """Return the number of cells of `walls` [H, W]."""
    return (walls.shape[0] // 2) * (walls.shape[1] // 2)


@compiled
def cell_square(walls: np.ndarray, row: int, column: int) -> np.uint64:
    """Return the square of the cell in a row and column of cells."""
    return np.uint64((2 * row + 1) * walls.shape[1] + 2 * column + 1)


@compiled
def separate_cells(walls: np.ndarray) -> None:
    """Free the cells of `walls` [H, W] and nothing else."""
    walls[:] = True
    walls[1::2, 1::2] = False


@compiled
def cell_flags(walls: np.ndarray) -> np.ndarray:
    """Return bool [H*W], True where a square is a cell."""
    flags = np.zeros(walls.shape, np.bool_)
    flags[1::2, 1::2] = True
    return flags.reshape(-1)


@compiled
def squares_between(walls: np.ndarray) -> np.ndarray:
    """Return int64, every square between two cells, as 2 * square + 1 where the two are left and right of it.

    It is 2 * square where the two cells are above and below.
    """
    height, width = walls.shape
    codes = np.empty((height // 2) * (width // 2 - 1) + (height // 2 - 1) * (width // 2), np.int64)
    count = 0
    for row in range(1, height - 1):
        # An odd row has its cells at odd columns and walls between them at even ones; an even row has walls between the
        # cells above and below it, at odd columns.
        for column in range(1 + row % 2, width - 1, 2):
            codes[count] = 2 * (row * width + column) + row % 2
            count += 1
    return codes
