"""Percolation: open every wall between two cells independently, keep the largest region (Broadbent & Hammersley, 1957).

This is bond percolation on the square lattice of the cells.
"""

from __future__ import annotations

import numpy as np

from goalmaze.envs.jit.compile import compiled
from goalmaze.envs.mazes.braiding import braid
from goalmaze.envs.mazes.grid import count_cells, separate_cells, squares_between

MIN_FREE = 8
"""The fewest free squares that are left, so that agent and objects find a cell."""


@compiled
def percolation(walls: np.ndarray, rng: np.ndarray, openness: float) -> None:
    """Open every wall of `walls` bool [H, W] with probability `openness`, and fill all but the largest region.

    While the largest region has fewer than `MIN_FREE` squares, every remaining wall is opened with probability 1/8.
    """
    separate_cells(walls)
    braid(walls, rng, openness)
    squares = walls.reshape(-1)
    regions = np.empty(squares.size, np.int64)
    fewest = min(MIN_FREE, count_cells(walls) + squares_between(walls).size)
    largest, size = _find_regions(walls, regions)
    # A tiny maze may have fewer than `MIN_FREE` squares in all, so the bound is the smaller of the two.
    while size < fewest:
        braid(walls, rng, 0.125)
        largest, size = _find_regions(walls, regions)
    for square in range(squares.size):
        squares[square] = regions[square] != largest


@compiled
def _find_regions(walls: np.ndarray, regions: np.ndarray) -> tuple[int, int]:
    """Number the regions in `regions` [H*W], 0 for walls; return the largest one and its number of squares."""
    squares, width = walls.reshape(-1), walls.shape[1]
    regions[:] = 0
    queue = np.empty(squares.size, np.int64)
    count = largest = most = 0
    for square in range(squares.size):
        if not squares[square] and regions[square] == 0:
            count += 1
            size = _fill_region(squares, width, regions, square, count, queue)
            # Strictly larger: of regions of equal size the first one is kept.
            if size > most:
                largest, most = count, size
    return largest, most


@compiled
def _fill_region(
    squares: np.ndarray, width: int, regions: np.ndarray, origin: int, region: int, queue: np.ndarray
) -> int:
    """Give all squares that can be reached from a free one the number of its region; return how many they are."""
    regions[origin] = region
    queue[0] = origin
    count, done = 1, 0
    while done < count:
        here = queue[done]
        done += 1
        # No check of bounds: the border is wall.
        for step in (-width, -1, 1, width):
            if not squares[here + step] and regions[here + step] == 0:
                regions[here + step] = region
                queue[count] = here + step
                count += 1
    return count
