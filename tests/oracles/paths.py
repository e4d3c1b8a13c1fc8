"""Shortest paths by other means: scipy's graphs, and every shortest path written out."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import shortest_path

Adjacency = dict[int, list[int]]


def neighbours(walls: NDArray[np.bool_]) -> Adjacency:
    """Return the free cells next to each free cell of `walls` [H, W]."""
    height, width = walls.shape
    around: Adjacency = {}
    for row in range(height):
        for column in range(width):
            if walls[row, column]:
                continue
            near = [(row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)]
            around[row * width + column] = [
                r * width + c for r, c in near if 0 <= r < height and 0 <= c < width and not walls[r, c]
            ]
    return around


def all_distances(walls: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return [H*W, H*W], the steps between any two cells; infinite where there is no way."""
    edges = [(a, b) for a, near in neighbours(walls).items() for b in near]
    rows, columns = zip(*edges, strict=True) if edges else ((), ())
    graph = csr_array((np.ones(len(edges)), (rows, columns)), shape=(walls.size, walls.size))
    return np.asarray(shortest_path(graph, unweighted=True))


def shortest_paths(around: Adjacency, source: int, target: int) -> list[tuple[int, ...]]:
    """Return every shortest path from source to target, by trying all paths of growing length without repeats."""
    for length in range(len(around)):
        found = [path for path in _walks(around, (source,), length) if path[-1] == target]
        if found:
            return found
    return []


def _walks(around: Adjacency, path: tuple[int, ...], left: int) -> Iterator[tuple[int, ...]]:
    if left == 0:
        yield path
        return
    for cell in around[path[-1]]:
        if cell not in path:
            yield from _walks(around, (*path, cell), left - 1)
