"""Mazes carved slowly in plain Python, uniform ones by another way than the package's, and how many there are."""

from __future__ import annotations

import random

import numpy as np

Cell = tuple[int, int]
Tree = set[frozenset[Cell]]


def backtracker(cells: int, dice: random.Random) -> Tree:
    """Return the passages of a depth-first maze of cells x cells."""
    path = [(dice.randrange(cells), dice.randrange(cells))]
    seen = set(path)
    tree: Tree = set()
    while path:
        fresh = [cell for cell in beside(path[-1], cells) if cell not in seen]
        if not fresh:
            path.pop()
            continue
        cell = dice.choice(fresh)
        tree.add(frozenset((path[-1], cell)))
        seen.add(cell)
        path.append(cell)
    return tree


def kruskal(cells: int, dice: random.Random) -> Tree:
    """Return the passages of a maze that joins regions in random order."""
    region = {(row, column): {(row, column)} for row in range(cells) for column in range(cells)}
    edges = sorted({tuple(sorted((a, b))) for a in region for b in beside(a, cells)})
    dice.shuffle(edges)
    tree: Tree = set()
    for a, b in edges:
        if region[a] is not region[b]:
            tree.add(frozenset((a, b)))
            joined = region[a] | region[b]
            region.update(dict.fromkeys(joined, joined))
    return tree


def prim(cells: int, dice: random.Random) -> Tree:
    """Return the passages of a maze that grows by random cells of its frontier."""
    frontier = [(dice.randrange(cells), dice.randrange(cells))]
    reached: set[Cell] = set()
    tree: Tree = set()
    while frontier:
        cell = frontier.pop(dice.randrange(len(frontier)))
        near = beside(cell, cells)
        if reached:
            tree.add(frozenset((cell, dice.choice([other for other in near if other in reached]))))
        reached.add(cell)
        frontier += [other for other in near if other not in reached and other not in frontier]
    return tree


def wanderer(cells: int, dice: random.Random) -> Tree:
    """Return the passages of a uniform maze: the first ways into each cell of a random walk (Aldous; Broder, 1989)."""
    here = (dice.randrange(cells), dice.randrange(cells))
    seen = {here}
    tree: Tree = set()
    while len(seen) < cells**2:
        there = dice.choice(beside(here, cells))
        if there not in seen:
            tree.add(frozenset((here, there)))
            seen.add(there)
        here = there
    return tree


def spanning_trees(rows: int, columns: int) -> int:
    """Return how many mazes without loops rows x columns cells have (Kirchhoff, 1847)."""
    cells = rows * columns
    laplacian = np.zeros((cells, cells))
    for a in range(cells):
        for b in [a + 1] * ((a + 1) % columns > 0) + [a + columns] * (a + columns < cells):
            laplacian[a, a] += 1
            laplacian[b, b] += 1
            laplacian[a, b] = laplacian[b, a] = -1
    return round(np.linalg.det(laplacian[1:, 1:]))


def beside(cell: Cell, cells: int) -> list[Cell]:
    """Return the up to four neighbours of a cell."""
    row, column = cell
    near = [(row - 1, column), (row, column + 1), (row + 1, column), (row, column - 1)]
    return [(r, c) for r, c in near if 0 <= r < cells and 0 <= c < cells]


def dead_ends(tree: Tree, cells: int) -> float:
    """Return the share of cells with one passage only."""
    ways: dict[Cell, int] = {}
    for edge in tree:
        for cell in edge:
            ways[cell] = ways.get(cell, 0) + 1
    return sum(count == 1 for count in ways.values()) / cells**2
