"""A slow second implementation of the rules: one level in plain Python, written from the documentation alone."""

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
    """An object of a level: its slot, its type and its cell at the start."""

    slot: int
    object_type: ObjectType
    cell: Cell


class SplitMix64:
    """The random number generator of Steele et al. (2014), on Python's integers."""

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
        self.hidden_after = self.limits(family)
        self.time_limit = family.time_limit
        self.slots = len(family.slots)
        self.walls = walls
        self.things = things
        self.start = start
        self.begin()

    def limits(self, family: Family) -> dict[str, int]:
        """Return the number of first observations that show each object type; types that always show are left out."""
        planes = {one.name: set(one.shows_on) for one in family.object_types}
        limits = {}
        for name, own in planes.items():
            limits[name] = family.visible_steps
            if own & planes[family.cue] and family.cue_visible_steps:
                limits[name] = family.cue_visible_steps
            if own & planes[family.goal]:
                limits[name] = family.goal_visible_steps or family.visible_steps
        return {name: limit for name, limit in limits.items() if limit}

    def begin(self) -> None:
        self.agent = self.start
        self.entered: set[int] = set()
        self.at: dict[int, Cell] = {thing.slot: thing.cell for thing in self.things}
        self.items: list[int] = []
        self.steps = 0
        self.led: set[int] = set()
        self.rng = self.seeded_rng()

    def seeded_rng(self) -> SplitMix64:
        """Return a generator seeded by the start and the objects: each cell is added to the number drawn before it."""
        width = len(self.walls[0])
        state = self.start[0] * width + self.start[1]
        for slot in range(self.slots):
            cell = self.at.get(slot)
            state = SplitMix64(state + (-1 if cell is None else cell[0] * width + cell[1])).draw()
        return SplitMix64(state)

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
            if thing.slot in self.at and thing.slot not in self.items:
                self.at[thing.slot] = self.next_cell(thing)
            if self.at.get(thing.slot) == self.agent and thing.slot not in self.entered and self.has_effect(thing):
                self.enter(thing)
                ended |= self.ends(thing)
        return float(self.true), float(self.cue), ended, self.steps >= self.time_limit and not ended

    def has_effect(self, thing: Thing) -> bool:
        return self.in_turn(thing) and self.fits_lamp(thing) and (not thing.object_type.needs or len(self.items) > 0)

    def in_turn(self, thing: Thing) -> bool:
        before = [other.slot for other in self.things if other.object_type.name == thing.object_type.after]
        return thing.object_type.after is None or (before[:1] != [] and before[0] in self.entered)

    def fits_lamp(self, thing: Thing) -> bool:
        lit = any(other.object_type.name == thing.object_type.lamp and other.slot in self.at for other in self.things)
        return thing.object_type.lamp is None or lit == thing.object_type.while_lit

    def enter(self, thing: Thing) -> None:
        object_type = thing.object_type
        self.entered.add(thing.slot)
        if object_type.needs:
            self.use_item()
        if object_type.spares and self.items:
            self.use_item()
        else:
            self.true += np.float32(object_type.reward)
            self.cue += np.float32(object_type.cue_reward)
        if object_type.gives:
            self.items.append(thing.slot)
        elif object_type.vanishes:
            del self.at[thing.slot]

    def use_item(self) -> None:
        item = min(self.items)
        self.items.remove(item)
        del self.at[item]

    def ends(self, thing: Thing) -> bool:
        object_type = thing.object_type
        return object_type.ends or ((object_type.required or object_type.gives) and self.nothing_left())

    def nothing_left(self) -> bool:
        available = sum(thing.object_type.gives and thing.slot in self.at for thing in self.things)
        required = [thing for thing in self.things if thing.object_type.required]
        open_ = [thing for thing in required if thing.slot not in self.entered]
        return bool(required) and all(thing.object_type.needs and available == 0 for thing in open_)

    def next_cell(self, thing: Thing) -> Cell:
        at, motion = self.at[thing.slot], thing.object_type.motion
        if motion in ("leads", "misleads"):
            return self.led_to(at, backwards=motion == "misleads")
        if motion == "still" or at == self.agent:
            return at
        return self.beside(at, self.chase(at) if motion == "chases" else self.rng.below(4))

    def chase(self, at: Cell) -> int:
        down, right = self.agent[0] - at[0], self.agent[1] - at[1]
        if abs(down) >= abs(right):
            return 2 if down > 0 else 0
        return 1 if right > 0 else 3

    def led_to(self, at: Cell, *, backwards: bool) -> Cell:
        """One step along a shortest path to the next required object; the first of several in the order of actions."""
        required = [thing for thing in self.things if thing.object_type.required]
        for thing in sorted(required, key=lambda thing: thing.slot, reverse=backwards):
            if thing.slot in self.led:
                continue
            if thing.cell == at:
                self.led.add(thing.slot)
                continue
            far = self.distances(thing.cell)
            if at not in far:
                return at
            return next(cell for cell in (self.beside(at, action) for action in MOVES) if far[cell] < far[at])
        return at

    def distances(self, source: Cell) -> dict[Cell, int]:
        far, edge = {source: 0}, [source]
        while edge:
            fresh = {self.beside(cell, action) for cell in edge for action in MOVES} - far.keys()
            far |= dict.fromkeys(fresh, far[edge[0]] + 1)
            edge = list(fresh)
        return far

    def picture(self) -> NDArray[np.uint8]:
        """Return planes uint8 [C, H, W]: walls, the agent, then the planes of the object types."""
        planes = np.zeros((len(self.plane_names), len(self.walls), len(self.walls[0])), np.uint8)
        planes[0] = self.walls
        planes[1][self.agent] = 1
        for thing in self.things:
            # The observation after n steps is number n + 1 of the episode.
            if self.steps + 1 > self.hidden_after.get(thing.object_type.name, self.steps + 1):
                continue
            for plane in thing.object_type.shows_on:
                value = self.shown.get(thing.object_type.name, 1)
                if thing.slot in self.items:
                    planes[self.plane_names.index(plane), 0, thing.slot] = value
                elif thing.slot in self.at:
                    cells = ... if thing.object_type.fills else self.at[thing.slot]
                    planes[self.plane_names.index(plane)][cells] = value
        return planes

    def observe(self) -> list[list[list[int]]]:
        """Return the picture as nested lists [C][H][W]."""
        planes: list[list[list[int]]] = self.picture().tolist()
        return planes

    def twin(self) -> Self:
        """Return an independent copy of the episode in its current state."""
        twin = copy.copy(self)
        twin.entered, twin.at, twin.items, twin.led = set(self.entered), dict(self.at), list(self.items), set(self.led)
        twin.rng = SplitMix64(self.rng.state)
        return twin

    def key(self) -> Hashable:
        """Return the state that determines the rest of the episode."""
        items, led = frozenset(self.items), frozenset(self.led)
        return self.agent, self.steps, frozenset(self.entered), frozenset(self.at.items()), items, led, self.rng.state


def rulebook(family: Family, levels: LevelBatch, b: int, book: type[Rulebook] = Rulebook) -> Rulebook:
    """Return the rulebook of level b of a batch."""
    width = len(levels.walls[b][0])
    object_types = {one.name: one for one in family.object_types}
    things = [
        Thing(slot, object_types[name], divmod(cell, width))
        for slot, (name, cell) in enumerate(zip(levels.slots, levels.objects[b].tolist(), strict=True))
        if cell >= 0
    ]
    return book(family, levels.walls[b].tolist(), divmod(int(levels.start[b]), width), things)
