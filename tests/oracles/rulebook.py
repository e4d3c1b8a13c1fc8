"""The rules once more, slowly: one level in plain Python, written from the documentation alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from goalmaze.envs.families.base import Family
from goalmaze.envs.levels import LevelBatch

Cell = tuple[int, int]

MOVES: Mapping[int, Cell] = {0: (-1, 0), 1: (0, 1), 2: (1, 0), 3: (0, -1)}
"""Row and column change of up, right, down, left."""


@dataclasses.dataclass(frozen=True)
class Thing:
    """An object of a level: its kind and where it stands."""

    kind: str
    cell: Cell


class Rulebook:
    """One episode of one level under a family's rules."""

    def __init__(self, family: Family, walls: list[list[bool]], start: Cell, things: list[Thing]) -> None:
        self.kinds = {kind.name: kind for kind in family.kinds}
        self.shown = family.values()
        self.time_limit = family.time_limit
        self.walls = walls
        self.things = things
        self.start = start
        self.begin()

    def begin(self) -> None:
        self.agent = self.start
        self.entered: set[Thing] = set()
        self.steps = 0

    def moved(self, action: int) -> Cell:
        down, right = MOVES[action]
        row, column = self.agent[0] + down, self.agent[1] + right
        return self.agent if self.walls[row][column] else (row, column)

    def step(self, action: int) -> tuple[float, float, bool, bool]:
        """Return true reward, cue reward, terminated and truncated."""
        self.agent = self.moved(action)
        self.steps += 1
        new = [thing for thing in self.things if thing.cell == self.agent and thing not in self.entered]
        self.entered.update(new)
        true = sum(self.kinds[thing.kind].reward for thing in new)
        cue = sum(self.kinds[thing.kind].cue_reward for thing in new)
        terminated = any(self.kinds[thing.kind].ends for thing in new)
        return true, cue, terminated, self.steps >= self.time_limit and not terminated

    def observe(self) -> list[list[list[int]]]:
        """Return planes [C][H][W]: walls, agent, then one for each kind of object."""
        walls = [[int(wall) for wall in row] for row in self.walls]
        planes = [walls, self.blank()]
        planes[1][self.agent[0]][self.agent[1]] = 1
        for kind in self.kinds:
            plane = self.blank()
            for thing in self.things:
                if thing.kind == kind:
                    plane[thing.cell[0]][thing.cell[1]] = self.shown.get(kind, 1)
            planes.append(plane)
        return planes

    def blank(self) -> list[list[int]]:
        return [[0] * len(row) for row in self.walls]


def rulebook(family: Family, levels: LevelBatch, b: int, book: type[Rulebook] = Rulebook) -> Rulebook:
    """Return the rulebook of level b of a batch."""
    width = len(levels.walls[b][0])
    things = [
        Thing(kind, divmod(cell, width))
        for kind, cell in zip(levels.kinds, levels.objects[b].tolist(), strict=True)
        if cell >= 0
    ]
    return book(family, levels.walls[b].tolist(), divmod(int(levels.start[b]), width), things)
