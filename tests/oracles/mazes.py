"""Mazes carved slowly in plain Python: the recursive backtracker, and Kruskal's as its contrast."""

from __future__ import annotations

import random

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
