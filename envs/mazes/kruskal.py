"""Kruskal's mazes: open walls in random order where they separate cells that are not joined yet (Kruskal, 1956)."""

from __future__ import annotations

import numpy as np

from goalmaze.envs.jit.compile import compiled
from goalmaze.envs.jit.counter_rng import below
from goalmaze.envs.mazes.grid import count_cells, separate_cells, squares_between


@compiled
def kruskal(walls: np.ndarray, rng: np.ndarray) -> None:
    """Carve `walls` bool [H, W]; `rng` uint64 [1] is the random stream."""
    separate_cells(walls)
    squares, width = walls.reshape(-1), walls.shape[1]
    untried = squares_between(walls)
    # Union-find: a square points to another one of its region, and the representative to itself.
    regions = np.arange(squares.size)
    # A spanning tree of n cells has n - 1 edges; the walls after the last one need not be drawn.
    tries = untried.size
    remaining = count_cells(walls) - 1
    while remaining > 0:
        # Draw without replacement: the last untried wall takes the place of the one drawn.
        pick = below(rng, tries)
        square, step = _sides(untried[pick], width)
        tries -= 1
        untried[pick] = untried[tries]
        one, other = _root(regions, square - step), _root(regions, square + step)
        if one != other:
            regions[one] = other
            squares[square] = False
            remaining -= 1


@compiled
def _sides(code: int, width: int) -> tuple[int, int]:
    """Return a square between two cells, from its code of `squares_between`, and the step from it to one of them."""
    return code >> 1, 1 if code & 1 else width


@compiled
def _root(regions: np.ndarray, square: int) -> int:
    """Return the square that represents the region of a square, halving the path to it (van Leeuwen & Weide, 1977)."""
    while regions[square] != square:
        regions[square] = regions[regions[square]]
        square = regions[square]
    return square
