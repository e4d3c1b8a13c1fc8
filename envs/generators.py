"""From an address to walls: the maze algorithms, one compiled function each.

A maze of odd size N has cells at odd coordinates; the squares between them are walls that an algorithm opens.
"""

from __future__ import annotations

import numpy as np

from goalmaze.envs.compiled import below, compiled, draw, stream, uniform

WALLS_STREAM = 0
"""Purpose number of the random stream that walls are drawn from."""


@compiled
def depth_first(walls: np.ndarray, rng: np.ndarray, stack: np.ndarray) -> None:
    """Carve a uniform-neighbour depth-first maze (recursive backtracker) into solid `walls` [H, W].

    `stack` [cells] is scratch space for the path back to the first cell.
    """
    height, width = walls.shape
    rows, columns = height // 2, width // 2
    row, column = below(rng, rows), below(rng, columns)
    walls[2 * row + 1, 2 * column + 1] = False
    stack[0] = row * columns + column
    depth = 1
    while depth > 0:
        row, column = divmod(stack[depth - 1], columns)
        r, c = 2 * row + 1, 2 * column + 1
        ways = 0
        options = 0
        if row > 0 and walls[r - 2, c]:
            options |= 1
            ways += 1
        if column + 1 < columns and walls[r, c + 2]:
            options |= 2
            ways += 1
        if row + 1 < rows and walls[r + 2, c]:
            options |= 4
            ways += 1
        if column > 0 and walls[r, c - 2]:
            options |= 8
            ways += 1
        if ways == 0:
            depth -= 1
            continue
        skip = below(rng, ways)
        way = 0
        while True:
            if options >> way & 1:
                if skip == 0:
                    break
                skip -= 1
            way += 1
        dr = -1 if way == 0 else (1 if way == 2 else 0)
        dc = 1 if way == 1 else (-1 if way == 3 else 0)
        walls[r + dr, c + dc] = False
        walls[r + 2 * dr, c + 2 * dc] = False
        stack[depth] = (row + dr) * columns + column + dc
        depth += 1


@compiled
def braid(walls: np.ndarray, rng: np.ndarray, probability: float) -> None:
    """Open every remaining wall between two neighbouring cells of `walls` [H, W] with the given probability."""
    height, width = walls.shape
    for r in range(1, height - 1):
        for c in range(1 + r % 2, width - 1, 2):
            if walls[r, c] and uniform(rng) < probability:
                walls[r, c] = False


@compiled
def generate_walls(seed: int, split: int, indices: np.ndarray, braiding: float, walls: np.ndarray) -> None:
    """Fill `walls` [B, H, W] with the depth-first mazes at addresses (seed, split, indices [B])."""
    cells = (walls.shape[1] // 2) * (walls.shape[2] // 2)
    stack = np.empty(cells, np.int64)
    rng = np.empty(1, np.uint64)
    for b in range(walls.shape[0]):
        walls[b] = True
        rng[0] = stream(seed, split, indices[b], WALLS_STREAM)
        draw(rng)
        depth_first(walls[b], rng, stack)
        if braiding > 0.0:
            braid(walls[b], rng, braiding)
