"""The rules once more, slowly: one level in plain Python, written from the documentation alone."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Hashable, Mapping
from typing import Self

import numpy as np
from numpy.typing import NDArray

from goalmaze.envs.levels import Family, LevelBatch
from goalmaze.envs.objects import ObjectType

Cell = tuple[int, int]

MOVES: Mapping[int, Cell] = {0: (-1, 0), 1: (0, 1), 2: (1, 0), 3: (0, -1)}
"""Row and column change of up, right, down, left."""

FULL = 2**64


@dataclasses.dataclass(frozen=True)
class Thing:
    """An object of a level: its slot, its kind and where it stands at the start."""

    slot: int
    kind: ObjectType
    cell: Cell


class Luck:
    """SplitMix64 on Python's integers, as Steele et al. (2014) give it."""

    def __init__(self, state: int) -> None:
        self.state = state % FULL

    def draw(self) -> int:
        self.state = (self.state + 0x9E3779B97F4A7C15) % FULL
        x = self.state
        x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 % FULL
        x = (x ^ x >> 27) * 0x94D049BB133111EB % FULL
        return x ^ x >> 31

    def below(self, bound: int) -> int:
        return (self.draw() >> 32) * bound >> 32


class Rulebook:
    """One episode of one level under a family's rules."""

    def __init__(self, family: Family, walls: list[list[bool]], start: Cell, things: list[Thing]) -> None:
        self.plane_names = family.plane_names
        self.shown = family.values()
        self.time_limit = family.time_limit
        self.slots = len(family.slots)
        self.walls = walls
        self.things = things
        self.start = start
        self.begin()

    def begin(self) -> None:
        self.agent = self.start
        self.entered: set[int] = set()
        self.at: dict[int, Cell] = {thing.slot: thing.cell for thing in self.things}
        self.held: list[int] = []
        self.steps = 0
        self.led: set[int] = set()
        self.luck = self.seeded_luck()

    def seeded_luck(self) -> Luck:
        """The same on equal start and objects: each in turn is added to what was drawn before."""
        width = len(self.walls[0])
        state = self.start[0] * width + self.start[1]
        for slot in range(self.slots):
            cell = self.at.get(slot)
            state = Luck(state + (-1 if cell is None else cell[0] * width + cell[1])).draw()
        return Luck(state)

    def moved(self, action: int) -> Cell:
        return self.beside(self.agent, action)

    def beside(self, cell: Cell, action: int) -> Cell:
        down, right = MOVES.get(action, (0, 0))
        row, column = cell[0] + down, cell[1] + right
        return cell if self.walls[row][column] else (row, column)

    def step(self, action: int) -> tuple[float, float, bool, bool]:
        """Return true reward, cue reward, terminated and truncated."""
        self.agent = self.moved(action)
        self.steps += 1
        self.true, self.cue = np.float32(0), np.float32(0)
        ended = False
        for thing in self.things:
            if thing.slot in self.at and thing.slot not in self.held:
                self.at[thing.slot] = self.next_cell(thing)
            if self.at.get(thing.slot) == self.agent and thing.slot not in self.entered and self.has_effect(thing):
                self.enter(thing)
                ended |= self.ends(thing)
        return float(self.true), float(self.cue), ended, self.steps >= self.time_limit and not ended

    def has_effect(self, thing: Thing) -> bool:
        return self.in_turn(thing) and self.in_its_hours(thing) and (not thing.kind.needs or len(self.held) > 0)

    def in_turn(self, thing: Thing) -> bool:
        before = [other.slot for other in self.things if other.kind.name == thing.kind.after]
        return thing.kind.after is None or (before[:1] != [] and before[0] in self.entered)

    def in_its_hours(self, thing: Thing) -> bool:
        lit = any(other.kind.name == thing.kind.lamp and other.slot in self.at for other in self.things)
        return thing.kind.lamp is None or lit == thing.kind.while_lit

    def enter(self, thing: Thing) -> None:
        kind = thing.kind
        self.entered.add(thing.slot)
        if kind.needs:
            self.use_item()
        if kind.spares and self.held:
            self.use_item()
        else:
            self.true += np.float32(kind.reward)
            self.cue += np.float32(kind.cue_reward)
        if kind.gives:
            self.held.append(thing.slot)
        elif kind.vanishes:
            del self.at[thing.slot]

    def use_item(self) -> None:
        item = min(self.held)
        self.held.remove(item)
        del self.at[item]

    def ends(self, thing: Thing) -> bool:
        return thing.kind.ends or ((thing.kind.required or thing.kind.gives) and self.nothing_left())

    def nothing_left(self) -> bool:
        items = sum(thing.kind.gives and thing.slot in self.at for thing in self.things)
        required = [thing for thing in self.things if thing.kind.required]
        open_ = [thing for thing in required if thing.slot not in self.entered]
        return bool(required) and all(thing.kind.needs and items == 0 for thing in open_)

    def next_cell(self, thing: Thing) -> Cell:
        at, motion = self.at[thing.slot], thing.kind.motion
        if motion in ("leads", "misleads"):
            return self.led_to(at, backwards=motion == "misleads")
        if motion == "still" or at == self.agent:
            return at
        return self.beside(at, self.chase(at) if motion == "chases" else self.luck.below(4))

    def chase(self, at: Cell) -> int:
        down, right = self.agent[0] - at[0], self.agent[1] - at[1]
        if abs(down) >= abs(right):
            return 2 if down > 0 else 0
        return 1 if right > 0 else 3

    def led_to(self, at: Cell, *, backwards: bool) -> Cell:
        """One step along a shortest way to the next required object; the first of several in the order of actions."""
        for thing in sorted((t for t in self.things if t.kind.required), key=lambda t: t.slot, reverse=backwards):
            if thing.slot in self.led:
                continue
            if thing.cell == at:
                self.led.add(thing.slot)
                continue
            far = self.distances(thing.cell)
            if at not in far:
                return at
            return next(cell for cell in (self.beside(at, way) for way in MOVES) if far[cell] < far[at])
        return at

    def distances(self, source: Cell) -> dict[Cell, int]:
        far, edge = {source: 0}, [source]
        while edge:
            fresh = {self.beside(cell, way) for cell in edge for way in MOVES} - far.keys()
            far |= dict.fromkeys(fresh, far[edge[0]] + 1)
            edge = list(fresh)
        return far

    def picture(self) -> NDArray[np.uint8]:
        """Return planes uint8 [C, H, W]: walls, agent, then those the kinds of object show on."""
        planes = np.zeros((len(self.plane_names), len(self.walls), len(self.walls[0])), np.uint8)
        planes[0] = self.walls
        planes[1][self.agent] = 1
        for thing in self.things:
            for plane in thing.kind.shows_on:
                value = self.shown.get(thing.kind.name, 1)
                if thing.slot in self.held:
                    planes[self.plane_names.index(plane), 0, thing.slot] = value
                elif thing.slot in self.at:
                    planes[self.plane_names.index(plane)][... if thing.kind.fills else self.at[thing.slot]] = value
        return planes

    def observe(self) -> list[list[list[int]]]:
        """Return the picture as nested lists [C][H][W]."""
        planes: list[list[list[int]]] = self.picture().tolist()
        return planes

    def twin(self) -> Self:
        """Return an independent copy of the episode as it stands."""
        twin = copy.copy(self)
        twin.entered, twin.at, twin.held, twin.led = set(self.entered), dict(self.at), list(self.held), set(self.led)
        twin.luck = Luck(self.luck.state)
        return twin

    def key(self) -> Hashable:
        """Return what decides over all that is to come."""
        held, led = frozenset(self.held), frozenset(self.led)
        return self.agent, self.steps, frozenset(self.entered), frozenset(self.at.items()), held, led, self.luck.state


def rulebook(family: Family, levels: LevelBatch, b: int, book: type[Rulebook] = Rulebook) -> Rulebook:
    """Return the rulebook of level b of a batch."""
    width = len(levels.walls[b][0])
    object_types = {kind.name: kind for kind in family.object_types}
    things = [
        Thing(slot, object_types[name], divmod(cell, width))
        for slot, (name, cell) in enumerate(zip(levels.slots, levels.objects[b].tolist(), strict=True))
        if cell >= 0
    ]
    return book(family, levels.walls[b].tolist(), divmod(int(levels.start[b]), width), things)
